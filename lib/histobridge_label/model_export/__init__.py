"""A model for other tools: one file with weights, normalisation, pixel size, classes, a test image and what comes out.

=============  ========================================================================================================
`write`        `export_model` writes the file, runs it in its own runtime, and compares it with the model
`contents`     what every file holds: facts, test image, expected classes
`bioimageio`   the zip of the BioImage Model Zoo, for bioimageio.core, Fiji (DeepImageJ) and QuPath
`onnx_file`    ONNX
`run`          run an exported file, as its user would
`network`      a labeller as one network, traced by PyTorch (`windows`, `anatomy`, `components`)
`command`      the command `export`
=============  ========================================================================================================
"""
