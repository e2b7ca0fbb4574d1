"""The missing files of a dataset, copied from a mirror or downloaded from their public address."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from requests.exceptions import ChunkedEncodingError, HTTPError, RequestException

from histobridge.data.manifest import SPLITS, DataFile, Dataset
from histobridge.data.status import FileStatus, file_status, is_intact
from histobridge.errors import UserError, one_of
from histobridge.io.files import atomic_write

TIMEOUT_S = (10, 30)  # to connect, and between two pieces of an answer
ATTEMPTS = 3


def fetch_dataset(
    dataset: Dataset,
    data_dir: Path,
    *,
    mirror: Path | None = None,
    splits: Iterable[str] = SPLITS,
    progress: Callable[[FileStatus], None] | None = None,
) -> list[FileStatus]:
    """Bring the missing files of a dataset to `data_dir/<dataset>/<path>`, whole and verified or not at all.

    A file is taken from `mirror/<dataset>/<path>` if that copy is intact, else from the public address. A wrong file
    is reported and left alone: it may be somebody's own work. A file that cannot be fetched does not stop the others,
    and a host that does not answer is not asked again. An interrupted run can be repeated.

    Returns the status of every file of `splits`; `progress` is called with each of them as soon as it is known.

    Raises
    ------
    UserError
        If there is no such mirror folder or split, or the data folder cannot be written, for example on a full disk.
    """
    if mirror is not None and not Path(mirror).is_dir():
        raise UserError(f"There is no mirror folder '{mirror}'. Name one that holds {dataset.name}/.")
    wanted = {one_of("split", split, SPLITS) for split in splits}
    silent_hosts: dict[str, str] = {}
    statuses = []
    for file in dataset.files():
        if file.split in wanted:
            found = file_status(dataset, file, data_dir)
            if found.state == "missing":
                reasons = _bring(dataset, file, data_dir, mirror, silent_hosts)
                found = file_status(dataset, file, data_dir, reason="; ".join(reasons))
            statuses.append(found)
            if progress:
                progress(found)
    return statuses


def _bring(dataset: Dataset, file: DataFile, data_dir: Path, mirror: Path | None, silent_hosts: dict) -> list[str]:
    """Copy or download one file; return everything that went wrong."""
    target, copy = dataset.local(data_dir, file.path), mirror and dataset.local(mirror, file.path)
    refused = []
    if copy and copy.is_file():
        if is_intact(copy, file):
            with atomic_write(target) as draft:
                shutil.copyfile(copy, draft)
            return []
        refused = ["the mirror's copy was refused: wrong checksum"]
    failed = _download(dataset.url(file.path), file, target, silent_hosts)
    return refused + ([failed] if failed else [])


def _download(url: str | None, file: DataFile, target: Path, silent_hosts: dict[str, str]) -> str | None:
    """Download one file; return what went wrong. A host that does not answer is added to `silent_hosts`."""
    if url is None:
        return "no public location known"
    host = urlsplit(url).netloc
    if host in silent_hosts:
        return silent_hosts[host]
    pooch.get_logger().setLevel("ERROR")  # the returned reason replaces its messages
    names = {"registry": {target.name: file.sha256}, "urls": {target.name: url}}
    store = pooch.create(target.parent, base_url="", retry_if_failed=ATTEMPTS - 1, **names)
    try:
        store.fetch(target.name, downloader=_ask)
    except _Refused as error:
        return f"{host} answered with HTTP {error}"
    except ValueError:  # of pooch, about the checksum
        return f"{host} sent other content: wrong checksum"
    except ChunkedEncodingError:
        return f"the download from {host} broke off"
    except RequestException as error:
        busy = f"answered with HTTP {error.response.status_code}" if isinstance(error, HTTPError) else None
        silent_hosts[host] = f"{host} {busy or 'could not be reached'}"
        return silent_hosts[host]
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"Could not write {target} ({why}): free some space or choose another folder.") from error


class _Refused(Exception):
    """The HTTP code of an answer that the next attempt would not change."""


def _ask(url: str, draft: str, store: pooch.Pooch) -> None:
    """Make one attempt for pooch, which repeats those that end with a RequestException or a wrong checksum."""
    try:
        pooch.HTTPDownloader(timeout=TIMEOUT_S)(url, draft, store)
    except HTTPError as error:
        code = error.response.status_code
        if code >= 500 or code in (408, 429):  # the host is busy
            raise
        raise _Refused(code) from error
    Path(draft).chmod(0o644)  # only the owner could read the drafts of pooch
