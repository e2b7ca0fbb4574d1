"""Which share of the fair reference do refined labels reach, without any mask of U? Subject by subject."""

from __future__ import annotations

import pandas as pd

from histobridge.config import REFINED_STRATEGIES
from histobridge_study.analysis.comparisons import paired_subjects
from histobridge_study.analysis.methods import FAIR_REFERENCE, learned_from, method_words
from histobridge_study.analysis.statistics import mean_interval
from histobridge_study.analysis.tables import CLASSES, EXPERIMENT_KEYS, FAMILY_KEYS, image_values

METHOD = ["strategy", "translator"]
SHARE_COLUMNS = [*FAMILY_KEYS, *METHOD, "subject", "refined", "reference", "share"]


def reference_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the Dice of refined labels and of the fair reference on the same images, and their ratio `share`.

    One row for each experiment, class, method (`refined`, `many-sources`) and subject: columns `SHARE_COLUMNS`. Without
    the reference the table is empty.
    """
    found = []
    for family, of in image_values(rows).groupby(FAMILY_KEYS):
        refined = of.loc[of["strategy"].isin(REFINED_STRATEGIES), METHOD].drop_duplicates()
        for method in refined.itertuples(index=False, name=None):
            for subject, pair in paired_subjects(of, method, FAIR_REFERENCE).iterrows():
                found.append([*family, *method, subject, pair["one"], pair["other"], pair["one"] / pair["other"]])
    return pd.DataFrame(found, columns=SHARE_COLUMNS)


def reference_overview(rows: pd.DataFrame, *, profile: str = "") -> pd.DataFrame:
    """Return the mean over subjects of `reference_shares` as text, a row for each method, a column for each class."""
    shares, keys = reference_shares(rows), [*EXPERIMENT_KEYS, *METHOD]
    images, found = learned_from(rows, [*EXPERIMENT_KEYS, "strategy"]), []
    for key, of in shares.groupby(keys):
        reference = method_words(*FAIR_REFERENCE, learned_from=images[(*key[:3], FAIR_REFERENCE[0])])
        names = {"method": method_words(*key[3:], profile=profile), "share of": reference}
        cells = {c: mean_interval(of.loc[of["class"] == c, "share"]).text(".1%") for c in CLASSES}
        found.append(dict(zip(EXPERIMENT_KEYS, key[:3], strict=True)) | names | cells)
    return pd.DataFrame(found, columns=[*EXPERIMENT_KEYS, "method", "share of", *CLASSES])
