"""The figures, each from arrays or a table: a function takes what is to be seen and returns a `Figure`.

Nothing is shown and no setting of matplotlib stays changed. A returned figure is not known to pyplot, so a
notebook cell that ends with the call displays it once. What they are drawn with is in `histobridge.display.drawing`.

Images are float32 [H, W] in 0..1 (their contrast is never stretched), masks uint8 [H, W] with 0 background,
1 myelin and 2 axon, and pixel sizes in µm/px. Every function raises `UserError` if there is nothing to draw,
a column is missing, shapes differ or a pixel size is not positive.

============  =================================================================================================
`images`      what the notebooks look at: domains, translations, pseudo labels
`training`    losses, and the evidence on polarity
`scores`      Dice and reconstruction
`morphometry` fibres, and how far pseudo labels and experts agree on them
`trust`       where a label is unsure, and whether it is as sure as it says; the ablation
`speed`       the benchmark
`handoff`     what is handed to annotation tools
`own`         somebody's own images, before anything is trained
`method`      the method on one page, from drawn tissue
`lesson`      what the lesson of notebook 00 shows, one idea each
`examples`    the published study's figures 2 to 4 (arXiv 2412.02858), from one example of every pair
============  =================================================================================================
"""

from histobridge.display.drawing import save
from histobridge_label.contact_sheet import Thumbnail, contact_sheet
from histobridge_study.plotting.examples import Example, pseudo_label_examples, translation_examples, two_strategies
from histobridge_study.plotting.handoff import handoff_panel
from histobridge_study.plotting.images import domains, pseudo_labels, translations
from histobridge_study.plotting.lesson import (
    guided_walk,
    noise_levels,
    round_trips,
    scales,
    steps_back,
    swiped,
    tissue_and_mask,
)
from histobridge_study.plotting.method import method_overview
from histobridge_study.plotting.morphometry import agreement_panels, g_ratio_against_diameter
from histobridge_study.plotting.scores import dice_bars, reconstruction_bars
from histobridge_study.plotting.speed import speed
from histobridge_study.plotting.training import losses, polarity
from histobridge_study.plotting.trust import ablation_bars, guidance_scatter, ladder_lines, trust_curves, where_to_look

__all__ = [
    "Example",
    "Thumbnail",
    "ablation_bars",
    "agreement_panels",
    "contact_sheet",
    "dice_bars",
    "domains",
    "g_ratio_against_diameter",
    "guidance_scatter",
    "guided_walk",
    "handoff_panel",
    "ladder_lines",
    "losses",
    "method_overview",
    "noise_levels",
    "polarity",
    "pseudo_label_examples",
    "pseudo_labels",
    "reconstruction_bars",
    "round_trips",
    "save",
    "scales",
    "speed",
    "steps_back",
    "swiped",
    "tissue_and_mask",
    "translation_examples",
    "translations",
    "trust_curves",
    "two_strategies",
    "where_to_look",
]
