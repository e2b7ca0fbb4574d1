"""Files in and out: images, masks, tables, locks and progress lines."""
