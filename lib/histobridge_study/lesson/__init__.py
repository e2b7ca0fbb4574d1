"""The lesson behind `notebooks/00_tour.ipynb`: small experiments on drawn tissue, sliders, and checked exercises.

=============  ===============================================================================================
`tour`         the lesson's parameters, its drawn animals, and the few numbers that its tables show
`experiments`  what a cycle sees, how far one step back may jump, a walk from noise: arrays in, arrays out
`exercises`    `check`: right, not yet (with a hint), or not answered yet
`interactive`  a slider where somebody can move it, the still picture everywhere else
=============  ===============================================================================================
"""

from histobridge.metrics.instances import mean_enclosure
from histobridge_study.lesson.exercises import check
from histobridge_study.lesson.experiments import one_axon, round_trips, steps_back, walk
from histobridge_study.lesson.interactive import noise_slider, scale_slider, swipe
from histobridge_study.lesson.tour import dice_table, errors_found, final_losses, go_on, open_tour, real_results

__all__ = [
    "check",
    "dice_table",
    "errors_found",
    "final_losses",
    "go_on",
    "mean_enclosure",
    "noise_slider",
    "one_axon",
    "open_tour",
    "real_results",
    "round_trips",
    "scale_slider",
    "steps_back",
    "swipe",
    "walk",
]
