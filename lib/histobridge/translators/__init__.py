"""Translators between the labelled domain L and the unlabelled domain U, behind one small interface."""

from histobridge.translators.base import Domain, Translator
from histobridge.translators.controls import Control
from histobridge.translators.saved import load_translator
from histobridge.translators.syndiff import Cycle, SynDiff

__all__ = ["Control", "Cycle", "Domain", "SynDiff", "Translator", "load_translator"]
