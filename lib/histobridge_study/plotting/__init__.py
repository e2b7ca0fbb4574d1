"""Plots of the study: each function takes arrays or a table and returns a matplotlib `Figure`.

A returned figure is closed in pyplot, so a notebook cell that ends with the call shows it once. matplotlib's settings
stay as they were. Every function raises `UserError` if there is nothing to draw, a column is missing, shapes differ or
a pixel size is not positive.

============  ========================================================================================
`images`      translations, and pseudo labels beside the expert's mask
`training`    losses, and the evidence on polarity
`scores`      Dice and reconstruction
`annotation`  scores and edits after some corrected images
`calibration` uncertainty, calibration, label-free scores
`morphometry` fibre measurements against the expert's
`handoff`     a pseudo label as annotation tools show it
`other_tools` notebook 09: exports as other tools read them
`examples`    figures 2 to 4 of the published study (figure 1, the method, is `reports/method.svg`)
`lesson`      notebook 00
============  ========================================================================================
"""

from histobridge.display.domains import domains
from histobridge.display.drawing import save_figure
from histobridge_study.plotting.annotation import annotation_curves
from histobridge_study.plotting.calibration import calibration_curves, label_free_score_scatter, uncertainty_panels
from histobridge_study.plotting.examples import Example, pseudo_label_examples, translation_examples, two_strategies
from histobridge_study.plotting.handoff import handoff_panel
from histobridge_study.plotting.images import overlays, pseudo_labels, translations
from histobridge_study.plotting.known_translation import distance_dots
from histobridge_study.plotting.lesson import (
    guided_walk,
    noise_levels,
    round_trip_panels,
    scales,
    step_back_panels,
    swiped,
    tissue_and_mask,
)
from histobridge_study.plotting.morphometry import bland_altman_panels, g_ratio_against_diameter
from histobridge_study.plotting.other_tools import (
    axon_diameter_and_g_ratio,
    differing_pixels,
    outlines,
    picture_row,
    pyramid_levels,
)
from histobridge_study.plotting.scores import ablation_dots, dice_dots, reconstruction_bars, simulated_shift_lines
from histobridge_study.plotting.training import critic_logits, losses, polarity

__all__ = [
    "Example",
    "ablation_dots",
    "annotation_curves",
    "axon_diameter_and_g_ratio",
    "bland_altman_panels",
    "calibration_curves",
    "critic_logits",
    "dice_dots",
    "differing_pixels",
    "distance_dots",
    "domains",
    "g_ratio_against_diameter",
    "guided_walk",
    "handoff_panel",
    "label_free_score_scatter",
    "losses",
    "noise_levels",
    "outlines",
    "overlays",
    "picture_row",
    "polarity",
    "pseudo_label_examples",
    "pseudo_labels",
    "pyramid_levels",
    "reconstruction_bars",
    "round_trip_panels",
    "save_figure",
    "scales",
    "simulated_shift_lines",
    "step_back_panels",
    "swiped",
    "tissue_and_mask",
    "translation_examples",
    "translations",
    "two_strategies",
    "uncertainty_panels",
]
