"""stages/translate.py: what is refused is left out with its reason, and its training can be looked at."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.io.files import read_table
from histobridge.translators import Control
from histobridge_study import plotting
from histobridge_study.runs import open_run
from histobridge_study.stages import translate


@pytest.fixture
def run(tiny_study, tmp_path):
    """Fold 0 of the tiny study."""
    places = {"out": str(tmp_path), "data": str(tmp_path / "data"), "study": str(tiny_study)}
    return open_run({"pair": "phantom-sem", "profile": "tiny", "fold": 0, **places})


@pytest.fixture
def steps():
    """A recipe whose translators are two controls."""
    translators = {name: Control(name) for name in ("none", "invert")}
    return SimpleNamespace(names=tuple(translators), translators=translators, evidence=pd.DataFrame({"image": [0]}))


def test_a_refused_translator_is_left_out_and_the_table_says_why(run, steps):
    """It is neither saved nor read back; the others are."""
    checks = pd.DataFrame({"translator": ["invert"], "refused": ["classes are swapped"]})
    assert list(translate.save_translators(run, steps, checks)) == ["none"]
    run.stage(translate.STAGE).finish()
    files = run.stage(translate.STAGE).files()
    table = read_table(files[translate.KEPT]).set_index("translator")["refused"]
    assert table["invert"] == "classes are swapped" and table[["none"]].isna().all()
    assert "translators/invert.pt" not in files
    assert list(translate.trained_translators(run)) == ["none"]


def test_without_checks_all_translators_are_kept(run, steps):
    """They are read back in their order."""
    translate.save_translators(run, steps)
    run.stage(translate.STAGE).finish()
    assert list(translate.trained_translators(run)) == ["none", "invert"]


def test_critics_are_drawn_by_translator_and_by_kind_of_generator():
    """SynDiff has a panel for F and one for G; a translator of one pass has one."""
    columns = ("logit_real_F", "logit_fake_F", "logit_real_G", "logit_fake_G")
    histories = {
        "syndiff": pd.DataFrame({"step": range(9), **{name: np.linspace(0, 1, 9) for name in columns}}),
        "cut": pd.DataFrame({"step": range(9), "logit_real": 1.0, "logit_fake": 0.0}),
    }
    axes = plotting.critic_logits(histories).axes
    assert [a.get_title(loc="left") for a in axes] == ["syndiff F", "syndiff G", "cut"]
    assert all(len(a.lines) == 4 for a in axes)
    with pytest.raises(UserError, match="logit_fake"):
        plotting.critic_logits({"cut": histories["cut"].drop(columns="logit_fake")})
