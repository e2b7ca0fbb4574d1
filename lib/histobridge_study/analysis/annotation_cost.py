"""What annotation costs: from rows of corrections.csv to scores and edits after some corrected images, by subject.

Edits are counted, never guessed in minutes: fibres that are added, removed or reshaped, and pixels that change.
"""

from __future__ import annotations

import pandas as pd

from histobridge_study.analysis.tables import EXPERIMENT_KEYS

CURVE_KEYS = [*EXPERIMENT_KEYS, "start", "corrected"]
LEFT, MADE = ["fibres_to_correct", "pixels_to_correct"], ["fibres_corrected", "pixels_corrected"]
SCORES = ["axon", "myelin", "f1_50", "dice"]


def cost_by_subject(rows: pd.DataFrame) -> pd.DataFrame:
    """Return scores and edits, one row for each subject and number of corrected images.

    The value of a subject is the mean over its images, of which each is the mean over the folds that scored it.

    Parameters
    ----------
    rows : DataFrame
        Of corrections.csv (`stages.corrections.correct`).

    Returns
    -------
    DataFrame
        `CURVE_KEYS` and `subject`; the Dice of `axon` and `myelin`, their mean `dice`, and `f1_50`; per image of the
        subject `fibres_to_correct` (added, removed or reshaped) and `pixels_to_correct`; and `fibres_corrected` and
        `pixels_corrected`, what was edited on all corrected images together.
    """
    rows = rows.assign(
        dice=rows[["axon", "myelin"]].mean(axis=1),
        fibres_to_correct=rows[["added", "removed", "reshaped"]].sum(axis=1),
        pixels_to_correct=rows["pixels_changed"],
    )
    scored = rows[rows["role"] == "scored"].merge(_made(rows), how="left").fillna(dict.fromkeys(MADE, 0))
    images = scored.groupby([*CURVE_KEYS, "subject", "image"], sort=False)[[*SCORES, *LEFT, *MADE]].mean()
    return images.groupby([*CURVE_KEYS, "subject"], sort=False).mean().reset_index()


def _made(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the edits of the first 1, 2, ... corrected images together, by fold."""
    keys = [*EXPERIMENT_KEYS, "fold", "start"]
    corrected = rows[rows["role"] == "corrected"].sort_values("corrected")
    sums = corrected.groupby(keys)[LEFT].cumsum().set_axis(MADE, axis=1)
    return corrected[[*keys, "corrected"]].join(sums)


def cost_overview(subjects: pd.DataFrame) -> pd.DataFrame:
    """Return the means over subjects of `cost_by_subject` as text, a row for each number of corrected images."""
    groups = subjects.groupby(CURVE_KEYS, sort=False)
    means = groups[[*SCORES, *LEFT, *MADE]].mean()
    table = {name: means[name].map("{:.3f}".format) for name in ("axon", "myelin")}
    table["fibre F1"] = means["f1_50"].map("{:.3f}".format)
    table["fibres to correct, per image"] = means[LEFT[0]].map("{:.1f}".format)
    table["pixels to correct, per image"] = means[LEFT[1]].map("{:.0f}".format)
    table["fibres corrected before"] = means[MADE[0]].map("{:.0f}".format)
    table["pixels corrected before"] = means[MADE[1]].map("{:.0f}".format)
    return pd.DataFrame(table | {"subjects": groups.size()}).reset_index()


def images_saved(subjects: pd.DataFrame) -> pd.DataFrame:
    """Return how many images must be drawn from nothing until labels are as good as those of `refined` without any.

    Returns
    -------
    DataFrame
        `EXPERIMENT_KEYS`; `dice` of `refined` without a corrected image, the mean over subjects of the mean of both
        classes; and the smallest number of `images` with which the start from nothing reaches it, empty if none does.
    """
    means = subjects.groupby(CURVE_KEYS, sort=False)["dice"].mean().reset_index()
    free = means[(means["start"] == "refined") & (means["corrected"] == 0)][[*EXPERIMENT_KEYS, "dice"]]
    drawn = means[means["start"] == "nothing"].merge(free, on=EXPERIMENT_KEYS, suffixes=("", "_free"))
    reached = drawn[drawn["dice"] >= drawn["dice_free"]]
    needed = reached.groupby(EXPERIMENT_KEYS)["corrected"].min().rename("images").astype("Int64")
    return free.merge(needed.reset_index(), how="left", on=EXPERIMENT_KEYS)
