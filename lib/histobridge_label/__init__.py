"""The label tool: from a folder of images of a new microscope to masks that can be corrected.

================  ======================================================================================
`pipeline`        the two commands as functions: `label_folder` and `apply_model` (`options`)
`inspect_folder`  which images a folder holds, and what may be wrong with them (`find_images`, `image_file`,
                  `pixel_size`)
`source`          the labelled dataset that everything is learned from
`scale`           the pixel size at which new images look like the labelled ones (`settled_scale`)
`train`           from labelled examples and unlabelled images to a model
`model`           what labels further images: a folder with weights
`labelling`       labels of images, one at a time (`native_grid`)
`export`          the hand-off: labels in the formats of annotation tools
`model_export`    a model as one file for other tools
`corrections`     corrected labels come back (`corrected_files`, `edits`), and a model learns from them (`finetune`,
                  `lessons`)
`page`            the report (`contact_sheet`)
`cli`             the commands
================  ======================================================================================
"""
