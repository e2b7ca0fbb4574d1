"""The results of a study as a site: pages that a browser opens from a folder, without server and network.

=============  =============================================================================
`contents`     what the site shows: tables, arrays and paths, nothing of a run
`sources`      gathers the contents from the folders of finished runs
`pictures`     writes images, translations, masks and uncertainty as small files
`pages`        writes the overview, a page for each pair, executed notebooks and provenance
=============  =============================================================================
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from histobridge.errors import UserError
from histobridge.io.files import DRAFT, write_text
from histobridge.items import Account
from histobridge_study.report.site.contents import Contents
from histobridge_study.report.site.pages import Pages
from histobridge_study.report.site.sources import gather

MARK = ".histobridge-site"
"""A file that marks a folder as a site, which the next build may replace."""

__all__ = ["MARK", "build", "write_site"]


def build(
    folder: Path,
    to: Path | None = None,
    *,
    data: Path = Path("data"),
    seed: int = 0,
    shown: tuple[int, ...] | None = None,
    study_file: str = "",
    account: Account | None = None,
) -> Path:
    """Write the site of all finished runs of a profile; return the path of its first page.

    Parameters
    ----------
    folder : Path
        The runs of one profile, such as runs/phantom. The site names the runs that are missing.
    to : Path, optional
        Folder of the site; `folder`/site by default.
    data : Path
        Folder of the datasets. The site leaves out pictures of images that it does not hold.
    seed : int
        Runs with this seed count.
    shown : tuple of int, optional
        Folds whose pictures and notebooks are shown, all by default. The tables always contain every fold.
    study_file : str
        The study file of the runs; by default that of the package.
    account : Account, optional
        Is told which runs are shown, and which are skipped because files of theirs are not as they were written.

    Raises
    ------
    UserError
        If no run has finished, none of the folds exists, `to` holds other files, or real images would enter the
        repository.
    """
    to = Path(folder).resolve() / "site" if to is None else Path(to).resolve()
    chosen = {"seed": seed, "shown": shown, "study_file": study_file, "account": account}
    contents = gather(Path(folder).resolve(), Path(data).resolve(), to, **chosen)
    return write_site(contents, to)


def write_site(contents: Contents, to: Path) -> Path:
    """Write a site into a folder and return the path of its first page; a failure leaves the previous site in place.

    Raises
    ------
    UserError
        If the folder holds anything else than a site.
    """
    if to.exists() and not (to / MARK).exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} exists and is not a site: choose another folder (--to), or move it away.")
    draft, previous = (to.with_name(f"{DRAFT}{kind}-{secrets.token_hex(8)}") for kind in ("site", "before"))
    try:
        write_text(draft / MARK, "Made by `histobridge report`, which replaces this folder as a whole.\n")
        Pages(contents, draft).write()
        if to.exists():
            to.rename(previous)
        draft.rename(to)
    finally:
        if previous.exists() and not to.exists():
            previous.rename(to)
        for folder in (draft, previous):
            shutil.rmtree(folder, ignore_errors=True)
    return to / "index.html"
