"""Folders of drawn images for tests of the label tool."""

import imagecodecs
import numpy as np
import tifffile

from histobridge.io.images import write_image
from histobridge.phantom import phantom

SIDE = 128


def draw(folder, seeds=(80, 81, 82), side=SIDE):
    """Save drawn SEM images as plain files: 8-bit grey, 16-bit grey, RGB."""
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        image = phantom("sem", seed, (side, side))[0]
        if number % 3 == 0:
            write_image(folder / f"a{seed}.png", image)
        elif number % 3 == 1:
            tifffile.imwrite(folder / f"b{seed}.tif", (65535 * image).astype(np.uint16))
        else:
            colour = np.repeat((255 * image).astype(np.uint8)[..., None], 3, axis=2)
            (folder / f"c{seed}.png").write_bytes(imagecodecs.png_encode(colour))
    return folder
