"""An earlier hand-off in the folder of a new one: work of people in it is never lost, and the rest makes room."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from histobridge.errors import BrokenError, UserError
from histobridge.io.kept import set_aside
from histobridge_label.export import names
from histobridge_label.export.read import CHECKSUMS, changed_files, is_handoff, is_own_table, read_provenance


def refuse_to_lose(folder: Path) -> None:
    """Raise a `UserError` if the folder holds another dataset, or work of people in the files of a hand-off."""
    broken = _written_or_broken(folder) is None
    if (folder / names.DESCRIPTION).exists() and not is_handoff(folder) and not (broken and _is_broken(folder)):
        raise UserError(f"{folder} holds another dataset: hand the labels off to a folder of their own.")
    written = _written_or_broken(folder) or {}
    if changed := [name for name in changed_files(folder, written) if not is_own_table(name)]:
        raise UserError(
            f"{folder / changed[0]} was edited since it was written ({len(changed)} such files): move your corrections "
            "to a folder of their own, or choose another one for the new labels."
        )


def make_room(folder: Path) -> None:
    """Remove the files of an earlier hand-off, so that none of an image that no longer exists stays behind.

    Without its provenance nobody knows which files people have edited: then the whole folder is set aside.
    """
    written = _written_or_broken(folder)
    if written is not None:
        set_tables_aside(folder, written)
        _remove(folder, list(written))
    elif any(path.name.endswith(names.ENDINGS) for path in folder.rglob("*")) or (folder / names.PROVENANCE).exists():
        set_aside(folder, f"has no readable {names.PROVENANCE}, so that nobody knows which files were edited")


def set_tables_aside(folder: Path, written: dict[str, str]) -> None:
    """Set aside the program's own tables that do not have the checksums of `written`."""
    for name in filter(is_own_table, changed_files(folder, written)):
        set_aside(folder / name, "is not as it was written")


def _written_or_broken(folder: Path) -> dict[str, str] | None:
    """Return the checksums of the files of an earlier hand-off; none are known without a whole provenance."""
    try:
        return read_provenance(folder)[CHECKSUMS]
    except BrokenError:
        return None


def _is_broken(folder: Path) -> bool:
    """Return whether a folder looks like a hand-off whose two records are both broken."""
    try:
        json.loads((folder / names.DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return (folder / names.PROVENANCE).exists()
    return False


def _remove(folder: Path, files: list[str]) -> None:
    """Remove the files of an earlier hand-off.

    The table of images goes first, because without it a hand-off counts as incomplete. The provenance goes last,
    because it lists the files, so that an interrupted removal can be continued. The dataset description stays, because
    it marks the folder as a hand-off.
    """
    removed = [names.IMAGES, *(name for name in files if name != names.DESCRIPTION), names.PROVENANCE]
    for name in removed:
        (folder / name).unlink(missing_ok=True)
    for parent in sorted({parent for name in removed for parent in Path(name).parents}, reverse=True):
        with contextlib.suppress(OSError):  # the folder is not empty
            (folder / parent).rmdir()
