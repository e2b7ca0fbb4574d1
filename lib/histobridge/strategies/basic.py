"""The two strategies of the paper, as functions of arrays and models (stands in until the core brings its own)."""


def adapt(image, translator, segmenter, *, seed=0):
    """Translate an image of U to the look of L and segment it there."""
    return segmenter.predict(translator.translate(image, "L", seed=seed))


def tutor(examples, translator, fit, *, seed=0):
    """Fit a segmenter on labelled images of L translated to the look of U."""
    return fit([(translator.translate(image, "U", seed=seed), mask) for image, mask in examples])
