"""What notebook 00, the tour, calls: small experiments on drawn tissue, and pictures with a slider.

=============  ====================================================================================
`tour`         the parameters of the tour, its drawn tissue, and the table of Dice
`experiments`  what a cycle loss measures, how far one step back may jump, a walk from noise
`interactive`  a slider where a front end can move it, a still picture everywhere else
=============  ====================================================================================
"""

from histobridge_study.lesson.experiments import one_axon, round_trips, steps_back, walk
from histobridge_study.lesson.interactive import noise_slider, scale_slider, swipe
from histobridge_study.lesson.tour import mean_dice_table, open_tour

__all__ = [
    "mean_dice_table",
    "noise_slider",
    "one_axon",
    "open_tour",
    "round_trips",
    "scale_slider",
    "steps_back",
    "swipe",
    "walk",
]
