"""Datasets: their manifests, their files and how to get them, images and masks at one pixel size, folds of subjects."""
