"""Read saved translators by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histobridge.config import CONTROLS
from histobridge.errors import UserError, one_of

if TYPE_CHECKING:
    pass
from histobridge.translators.base import Translator
from histobridge.translators.controls import Control
from histobridge.translators.syndiff import Cycle, SynDiff


def load_translator(name: str, path: Path) -> Translator:
    """Read the saved translator `name`; `cycle` and `syndiff` share one file."""
    kinds = {"cycle": Cycle, "syndiff": SynDiff} | dict.fromkeys(CONTROLS, Control)
    try:
        return kinds[one_of("translator", name, kinds)].load(path)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} holds no '{name}' of this version. Delete it to train anew.") from error
