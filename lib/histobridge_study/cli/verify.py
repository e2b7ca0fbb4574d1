"""The command that compares everything that is kept with its checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from histobridge.cli import app, finish
from histobridge.errors import BrokenError, UserError
from histobridge.items import Account

EDITED = "edited by people"


@app.command(rich_help_panel="Data")
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder that `histobridge label` or `histobridge study` wrote.")],
) -> None:
    """Compare everything that is kept below a folder with its checksums; nothing is changed.

    Models, translations, labels, stages of a study, hand-offs. The exit code is 2 if a file is not what was kept; the
    command that made the folder makes it anew.
    """
    from histobridge_label.model import CARD, Model  # seconds, which help should not cost

    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: name one that `histobridge label` or `histobridge study` wrote.")
    account = Account()
    for path, intact in _kept_files(folder, account):
        with account.item(path):
            if not intact:
                raise BrokenError("it is not what was kept there: the command that made it makes it anew.")
    for card in sorted(folder.rglob(CARD)):
        with account.item(card):
            Model.load(card.parent)
    if not (account.used or account.skipped):
        raise UserError(f"Nothing below {folder} was kept by histobridge: name the --out of label or study.")
    finish(account)


def _kept_files(folder: Path, account: Account) -> Iterator[tuple[Path, bool]]:
    """Yield every file below a folder that has a checksum somewhere, and whether it fits."""
    from histobridge.io.kept import fits_seal, sealed_files
    from histobridge_label.export import names
    from histobridge_study.record import RECORD, misfits, read_record

    yield from ((path, fits_seal(path)) for path in sealed_files(folder))
    for record in sorted(folder.rglob(RECORD)):
        wrong = misfits(record.parent)
        if record in wrong:
            continue  # its seal has told
        for name in read_record(record.parent)["files"]:
            yield record.parent / name, record.parent / name not in wrong
    for provenance in sorted(folder.rglob(names.PROVENANCE)):
        yield from _handed_off(provenance.parent, account)


def _handed_off(folder: Path, account: Account) -> Iterator[tuple[Path, bool]]:
    """Yield the files of a hand-off; those that people have edited are of no concern."""
    from histobridge_label.export import edited_files, names, read_handoff

    try:
        handoff = read_handoff(folder)
    except BrokenError:
        yield folder / names.PROVENANCE, False
        return
    edited = set(edited_files(handoff))
    for name in handoff.provenance["files_sha256"]:
        if name in edited:
            account.harmless[folder / name] = EDITED
        else:
            yield folder / name, (folder / name).exists()
