"""The report as a site: static pages of a profile's runs that need neither a server nor a network.

Nothing is computed here that is not in the tables of `collect.py`, `tables.py` and `claims.py`; the site shows them,
with the pictures and the executed notebooks behind each number.

============  =================================================================================================
`sources`     what the site is made of: rows, tables, runs and what each has left
`pictures`    images, translations, masks and uncertainty as small files for a browser
`cells`       a table as cells that may be sorted and lead somewhere
`notebooks`   executed notebooks as pages, and which of their cells makes what
`api`         the library's docstrings as a page
`swipe`       what the comparison of pictures is given
`plates`      the figures
`pages`       what all pages share; `overview`, `pair` and `origins` write them
============  =================================================================================================
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from histobridge.errors import UserError
from histobridge.io.files import write_text
from histobridge_study.site.origins import write_provenance, write_reference, write_reviewer
from histobridge_study.site.overview import write_overview
from histobridge_study.site.pages import HERE, Site
from histobridge_study.site.pair import write_pair
from histobridge_study.site.sources import Sources

MARK = ".histobridge-site"
"""A file that tells a site of ours, which may be replaced, from a folder of somebody's files."""

__all__ = ["build"]


def build(
    folder: Path,
    to: Path | None = None,
    *,
    data: Path = Path("data"),
    seed: int = 0,
    shown: tuple[int, ...] | None = None,
) -> Path:
    """Write the site of all finished runs of a profile; return the path of its first page.

    The site is replaced as a whole: a build that fails leaves the one before.

    Parameters
    ----------
    folder : Path
        Of a profile's runs, such as runs/phantom. Some may be missing: the site says which.
    to : Path, optional
        Where the site goes; `folder`/site by default. That of real images may not enter the repository.
    data : Path
        The datasets; where they are not here, pictures of them are left out.
    seed : int
        Of which runs.
    shown : tuple of int, optional
        Folds of which pictures and notebooks are shown, which are most of a site's size; all by default. The tables
        are always those of all folds.

    Raises
    ------
    UserError
        If there are no finished runs, none of the folds to be shown, or `to` holds something else than a site.
    """
    sources = Sources(Path(folder).resolve(), Path(data).resolve(), seed, shown)
    to = sources.folder / "site" if to is None else Path(to).resolve()
    sources.check()
    sources.refuse_real_in_repository(to)
    _refuse_foreign(to)
    draft = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        write_text(draft / MARK, "Made by `histobridge report`, which replaces this folder as a whole.\n")
        _write(Site(sources, draft))
        _replace(to, draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return to / "index.html"


def _write(site: Site) -> None:
    shutil.copytree(HERE / "static", site.to / "static")
    site.write_notebooks()
    for pair in site.sources.pairs:
        write_pair(site, pair)
    for write in (write_overview, write_provenance, write_reviewer, write_reference):
        write(site)


def _replace(to: Path, draft: Path) -> None:
    """Put a site in the place of another; killed at any moment, one of them is whole and in its place or beside it."""
    before = to.with_name(f".{to.name}.{os.getpid()}.before")
    if to.exists():
        to.rename(before)
    draft.rename(to)
    shutil.rmtree(before, ignore_errors=True)


def _refuse_foreign(to: Path) -> None:
    if to.exists() and not (to / MARK).exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to} is there and no site of ours: choose another folder (--to), or move it away.")
