"""Label-free strategies as functions of arrays and models.

================  =================================================================================================
`basic`           pretrained, adaptation, tutorship, and the supervised reference
`refined`         several students, test-time augmentation, anatomy and self-training
`sources`         further labelled microscopes, with the look of U
`recipe`          from two domains to checked translators
`polarity`        keep the contrast or invert it, decided by anatomy
`tile_selection`  which part of U translators learn from
`tta`             test-time augmentation
`postprocess`     what anatomy knows of a mask
`cached`          trainings and translations that are remembered
`label_free`      scores of methods that need no mask
`recommend`       which method to trust, by those scores
================  =================================================================================================
"""

from histobridge.strategies.basic import Examples, adapt, pretrained, supervised, translate_examples, tutor
from histobridge.strategies.recipe import TranslatorRecipe
from histobridge.strategies.refined import Labeller, adjusted, refine, teachers
from histobridge.strategies.sources import with_look_of

__all__ = [
    "Examples",
    "Labeller",
    "TranslatorRecipe",
    "adapt",
    "adjusted",
    "pretrained",
    "refine",
    "supervised",
    "teachers",
    "translate_examples",
    "tutor",
    "with_look_of",
]
