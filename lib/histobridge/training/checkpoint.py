"""Checkpoints: tensors with the settings they were made with, written atomically and verified when read.

A file begins with its own checksum, because PyTorch reads most files with flipped bits without noticing.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch

from histobridge.errors import BrokenError
from histobridge.io.files import atomic_write

FORMAT = 2


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
    OutputError
        If the disk is full or the folder cannot be written; the previous checkpoint stays as it was.
    """
    saved = io.BytesIO()
    torch.save({"format": FORMAT, "settings": settings, "state": state}, saved)
    content = saved.getbuffer()
    with atomic_write(path) as draft, draft.open("wb") as file:
        file.write(f"{hashlib.sha256(content).hexdigest()}\n".encode())
        file.write(content)


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
    BrokenError
        If the file is missing, not as it was written, of another format version, or made with other settings.
    """
    try:
        with Path(path).open("rb") as file:
            checksum, content = file.readline(100).strip(), file.read()
    except OSError as error:
        raise BrokenError(f"There is no checkpoint {path} ({error.strerror}): train first.") from error
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        raise BrokenError(f"{path} is damaged, or of another version of histobridge.")
    try:
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        version = saved["format"]
    except Exception as error:  # a file that somebody has made can raise any exception
        raise BrokenError(f"{path} is no checkpoint of histobridge.") from error
    if version != FORMAT:
        raise BrokenError(f"{path} has format {version}, and this version reads {FORMAT}.")
    if settings is not None and saved["settings"] != settings:
        raise BrokenError(f"{path} was made with other settings ({_difference(saved['settings'], settings)}).")
    return saved


def _difference(old: dict, new: dict) -> str:
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return ", ".join(f"{key}: {old.get(key)} then, {new.get(key)} now" for key in names)
