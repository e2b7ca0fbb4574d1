"""Checkpoints: tensors with the settings they were made with, written atomically and checked when read."""

from __future__ import annotations

from pathlib import Path

import torch

from histobridge.errors import UserError
from histobridge.io.files import atomic_write

FORMAT = 1


def save(path: Path, state: dict, settings: dict) -> None:
    """Write a checkpoint. A process killed meanwhile leaves either the old file or the new one.

    Parameters
    ----------
    path : Path
    state : dict
        Nested dicts and lists of tensors and plain numbers.
    settings : dict
        Plain values; `load` compares them.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written; the previous checkpoint stays as it was.
    """
    # torch reports a full disk as RuntimeError. Given a path, torch would write the draft's name into the file.
    with atomic_write(path, also=(RuntimeError,)) as draft, draft.open("wb") as file:
        torch.save({"format": FORMAT, "settings": settings, "state": state}, file)


def load(path: Path, settings: dict | None = None) -> dict:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
    settings : dict, optional
        If given, the saved settings must equal them.

    Returns
    -------
    dict
        With the keys `format`, `settings` and `state`; tensors are on the CPU.

    Raises
    ------
    UserError
        If the file is missing, damaged, of another format version, or was made with other settings.
    """
    if not path.exists():
        raise UserError(f"There is no checkpoint {path}. Train first: run notebook 02, or `histobridge study`.")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        version = saved["format"]
    except Exception as error:  # a damaged file can raise any exception
        raise UserError(f"The checkpoint {path} cannot be read: it is damaged. Delete it to train anew.") from error
    if version != FORMAT:
        raise UserError(
            f"The checkpoint {path} has format {version}, this version reads {FORMAT}. Delete it to train anew."
        )
    if settings is not None and saved["settings"] != settings:
        raise UserError(
            f"The checkpoint {path} was made with other settings ({_difference(saved['settings'], settings)}). "
            "Restore them, choose another output folder, or delete it to train anew."
        )
    return saved


def _difference(old: dict, new: dict) -> str:
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return ", ".join(f"{key}: {old.get(key)} then, {new.get(key)} now" for key in names)
