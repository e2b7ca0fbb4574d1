"""The missing files of a dataset, copied from a mirror or downloaded from their public address."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from histobridge.data.manifest import SPLITS, DataFile, Dataset
from histobridge.data.status import FileStatus, file_status
from histobridge.data.transfer import PIECE, TransferError, TransferLimits, download
from histobridge.errors import UserError, one_of
from histobridge.io.files import atomic_write
from histobridge.io.limits import check_disk

LIMITS = TransferLimits()
MOST_FAILED = 3
"""Files in a row that a host fails to send; then it is not asked again."""


class Hosts:
    """What is known about hosts: how many files in a row each failed to send, and why."""

    def __init__(self):
        self.failed: Counter[str] = Counter()
        self.why: dict[str, str] = {}

    def check(self, host: str) -> None:
        """Raise a `TransferError` if a host is not to be asked again."""
        if self.failed[host] >= MOST_FAILED:
            raise TransferError(self.why[host])

    def note(self, host: str, error: TransferError | None) -> None:
        """Note how asking a host ended."""
        self.failed[host] = self.failed[host] + 1 if error and error.host_fails else 0
        self.why[host] = str(error)


def fetch_dataset(
    dataset: Dataset,
    data_dir: Path,
    *,
    mirror: Path | None = None,
    splits: Iterable[str] = SPLITS,
    progress: Callable[[FileStatus], None] | None = None,
    limits: TransferLimits | None = None,
) -> list[FileStatus]:
    """Bring the missing files of a dataset to `data_dir/<dataset>/<path>`, whole and verified or not at all.

    A file is taken from `mirror/<dataset>/<path>` if that copy is intact, else from the public address. A wrong file
    is reported and left alone: it may be somebody's own work. A file that cannot be fetched, for whatever reason, does
    not stop the others. A host that fails `MOST_FAILED` times in a row is not asked again. An interrupted run can be
    repeated.

    Returns the status of every file of `splits`; `progress` is called with each of them as soon as it is known.
    `limits` say how long a server is waited for.

    Raises
    ------
    UserError
        If there is no such mirror folder or split, or the data folder cannot be written, for example on a full disk.
    """
    if mirror is not None and not Path(mirror).is_dir():
        raise UserError(f"There is no mirror folder '{mirror}'. Name one that holds {dataset.name}/.")
    wanted = {one_of("split", split, SPLITS) for split in splits}
    hosts, statuses = Hosts(), []
    for file in (file for file in dataset.files() if file.split in wanted):
        found = file_status(dataset, file, data_dir)
        if found.state == "missing":
            reasons = _bring(dataset, file, data_dir, mirror, hosts, limits or LIMITS)
            found = file_status(dataset, file, data_dir, reason="; ".join(reasons))
        statuses.append(found)
        if progress:
            progress(found)
    return statuses


def _bring(
    dataset: Dataset, file: DataFile, data_dir: Path, mirror: Path | None, hosts: Hosts, limits: TransferLimits
) -> list[str]:
    """Copy or download one file; return everything that went wrong."""
    target, refused = dataset.local(data_dir, file.path), []
    check_disk(file.bytes, next(folder for folder in target.absolute().parents if folder.is_dir()))
    try:
        if mirror and _copy(dataset.local(mirror, file.path), file, target):
            return []
    except TransferError as error:
        why = str(error).removeprefix("sent other content: ")
        refused = [f"the mirror's copy was refused: {why}"]
    try:
        _download(dataset.url(file.path), file, target, hosts, limits)
    except TransferError as error:
        return [*refused, str(error)]
    return refused


def _copy(copy: Path, file: DataFile, target: Path) -> bool:
    """Copy a file of the mirror; return False if it has none."""
    try:
        if not copy.is_file():
            if copy.exists() or copy.is_symlink():
                raise TransferError("it is no file")
            return False
    except OSError as error:
        raise TransferError(_cannot_be_read(error)) from None
    _store(_pieces_of(copy), file, target)
    return True


def _pieces_of(copy: Path) -> Iterator[bytes]:
    try:
        with copy.open("rb") as opened:
            while piece := opened.read(PIECE):
                yield piece
    except OSError as error:
        raise TransferError(_cannot_be_read(error)) from None


def _cannot_be_read(error: OSError) -> str:
    return f"it cannot be read ({error.strerror or error})"


def _download(url: str | None, file: DataFile, target: Path, hosts: Hosts, limits: TransferLimits) -> None:
    """Download one file, or raise a `TransferError` that names the host."""
    if url is None:
        raise TransferError("no public location known")
    host = _host(url)
    hosts.check(host)
    error = None
    try:
        download(url, lambda pieces: _store(pieces, file, target), limits)
    except TransferError as failed:
        error = TransferError(f"{host} {failed}", host_fails=failed.host_fails)
        raise error from failed
    finally:
        hosts.note(host, error)


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return url  # the download will say what is wrong with it


def _store(pieces: Iterator[bytes], file: DataFile, target: Path) -> None:
    """Write pieces to the target if they are the content that the manifest names, else raise a `TransferError`.

    What is written is what is verified, and no more of it than the manifest names, but for a piece.
    """
    sha256, size = hashlib.sha256(), 0
    with atomic_write(target) as draft:
        with draft.open("wb") as output:
            for piece in pieces:
                size += len(piece)
                if size > file.bytes:
                    raise TransferError(f"sent other content: more than the {file.bytes} bytes of the manifest")
                sha256.update(piece)
                output.write(piece)
        if sha256.hexdigest() != file.sha256:
            raise TransferError("sent other content: wrong checksum")
