"""Translators between the labelled domain L and the unlabelled domain U. They learn from images, never from masks.

=======================  ===========================================================================================
`none`                   the image itself
`invert`                 the negative
`histogram`              grey values matched to those of the other domain
`invert-histogram`       the negative, then matched
`histogram-blur`         blurred as much as the other domain (`blur.py`), then matched
`invert-histogram-blur`  the negative, blurred as much as the other domain, then matched
`fourier`                amplitudes of low frequencies from the other domain (`fourier.py`)
`invert-fourier`         the negative, with amplitudes of low frequencies from the other domain
`cyclegan`               CycleGAN by itself
`cut`                    contrastive unpaired translation (CUT)
`cycle`                  the non-diffusive generators of SynDiff: a CycleGAN
`syndiff`                the diffusive generators of SynDiff: T steps from noise
=======================  ===========================================================================================
"""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

from histobridge.config import TRANSLATOR_CLASSES
from histobridge.errors import UserError, one_of
from histobridge.translators.base import Domain, Translator
from histobridge.translators.controls import Control
from histobridge.translators.syndiff import Cycle, SynDiff

__all__ = ["Control", "Cycle", "Domain", "SynDiff", "Translator", "load_translator", "translator_class"]


def translator_class(name: str) -> type[Translator]:
    """Return the class of the translator `name`; a `UserError` lists the valid names."""
    return resolve_name(TRANSLATOR_CLASSES[one_of("translator", name, TRANSLATOR_CLASSES)])


def load_translator(name: str, path: Path) -> Translator:
    """Read the saved translator `name` from `path`; `cycle` and `syndiff` share one file.

    Raises
    ------
    UserError
        If there is no translator of this name, or the file does not hold one.
    """
    of_name = translator_class(name)
    try:
        return of_name.load(path)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} holds no '{name}' of this version. Delete it to train anew.") from error
