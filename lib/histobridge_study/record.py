"""The record of a stage: the file that marks it as finished, with a checksum of every other file of the stage.

The record itself has a seal (`histobridge.io.kept`). Results are used only if the record and every file fit.
"""

from __future__ import annotations

from pathlib import Path

from histobridge.io.files import DRAFT, read_json, sha256_of, write_json
from histobridge.io.kept import SEAL, SET_ASIDE, fits_seal, seal, set_aside, unseal

RECORD = "finished.json"
"""Written last into the folder of a stage."""
ADDED = ("ablation.csv", "guidance.csv", "corrections.csv")
"""Tables that are added to a finished stage; each has a seal of its own."""
HANDOFF = "handoff"
"""The hand-off in the folder of a stage, which people may edit."""


def write_record(folder: Path, content: dict) -> Path:
    """Write the record of a stage whose files are all there; return its path."""
    record = folder / RECORD
    files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in _results(folder)}
    write_json(record, content | {"files": files})
    seal(record)
    return record


def read_record(folder: Path) -> dict:
    """Read the record of a stage; a `BrokenError` says what is wrong with it. The files are not read."""
    return read_json(folder / RECORD, fields=("files", "key", "provenance"))


def misfits(folder: Path) -> list[Path]:
    """Return the files of a stage that are missing or not as they were written.

    It is the record alone if that is not whole, and nothing if the stage has no record.
    """
    record = folder / RECORD
    if not record.exists():
        return []
    if not fits_seal(record):
        return [record]
    files = read_record(folder)["files"]
    return [folder / name for name, checksum in files.items() if _checksum(folder / name) != checksum]


def set_misfits_aside(folder: Path) -> None:
    """Make a stage count as unfinished if files of it do not fit; set those aside, and tell which."""
    record, wrong = folder / RECORD, misfits(folder)
    for path in wrong:
        if path.exists():
            set_aside(path, "is not what was kept there")
        else:
            print(f"{path} is no longer there: it is made anew.", flush=True)
    if wrong:
        unseal(record)
        record.unlink(missing_ok=True)


def _results(folder: Path) -> list[Path]:
    """Return the files that a stage has left: not its notebook, nor what is added later or belongs to people."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _is_result(path.relative_to(folder)))


def _is_result(path: Path) -> bool:
    if path.parts[0] in (RECORD, HANDOFF, *ADDED) or (len(path.parts) == 1 and path.suffix in (".ipynb", ".html")):
        return False
    return not path.name.startswith((".lock", DRAFT)) and not path.name.endswith(SEAL) and SET_ASIDE not in path.name


def _checksum(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None
