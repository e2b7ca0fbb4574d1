"""collect.py: what is published was made by the settings beside it."""

import pytest

from histobridge.collect import refuse_stale
from histobridge.errors import UserError
from histobridge.study import open_run


def record(stage: str, **changes) -> dict:
    """What a stage that finished just now says of itself."""
    run = open_run({"pair": "tem-sem", "profile": "cpu", "fold": 1})
    return {"stage": stage, "settings_hash": run.settings_hash(stage), **run.provenance(), **changes}


def test_runs_of_other_settings_are_not_published():
    """A run that study.yaml would not repeat is named, with the stage; the others are not."""
    refuse_stale([record("02_translate"), record("03_pseudo_label")])
    stale = record("03_pseudo_label", settings_hash="of before")
    with pytest.raises(UserError, match=r"now: tem-sem transductive fold 1 \(03_pseudo_label\)\. Run"):
        refuse_stale([record("02_translate"), stale])
    with pytest.raises(UserError, match="other settings"):
        refuse_stale([record("03_pseudo_label", seed=1)])
