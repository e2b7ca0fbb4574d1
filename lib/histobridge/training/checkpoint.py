"""Checkpoints: plain tensors with their settings, written atomically, refused when they do not fit."""

from __future__ import annotations

from pathlib import Path

import torch

from histobridge.errors import UserError
from histobridge.io.files import atomic_write

FORMAT = 1


def save(path: Path, state: dict, settings: dict) -> None:
    """Write `state` (nested dicts of tensors and plain numbers) so that a kill leaves the old file or the new one.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written; the previous checkpoint stays as it was.
    """
    # torch reports a full disk as RuntimeError, and given a path it would write the draft's name into the file
    with atomic_write(path, also=(RuntimeError,)) as draft, draft.open("wb") as file:
        torch.save({"format": FORMAT, "settings": settings, "state": state}, file)


def load(path: Path, settings: dict | None = None) -> dict:
    """Read a checkpoint back as {'format', 'settings', 'state'}; `settings`, if given, must equal the saved ones.

    Raises
    ------
    UserError
        If the file is missing, broken, of another format version, or was made with other settings.
    """
    if not path.exists():
        raise UserError(f"There is no checkpoint {path}. Run notebook 02 (or `histobridge run`) first.")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        version = saved["format"]
    except Exception as error:  # a damaged file can raise anything, with PyTorch's advice to load it unsafely
        raise UserError(f"The checkpoint {path} cannot be read: it is damaged. Delete it to train anew.") from error
    if version != FORMAT:
        raise UserError(
            f"The checkpoint {path} has format {version}, this version reads {FORMAT}. Delete it to train anew."
        )
    if settings is not None and saved["settings"] != settings:
        raise UserError(
            f"The checkpoint {path} was made with other settings ({_difference(saved['settings'], settings)}). "
            "Restore them, choose another --out, or delete it to train anew."
        )
    return saved


def _difference(old: dict, new: dict) -> str:
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return ", ".join(f"{key}: {old.get(key)} then, {new.get(key)} now" for key in names)
