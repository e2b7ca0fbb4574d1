"""Whether the files of a dataset are here and intact, and how they are got: from a mirror or the public address."""

import hashlib
import io
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import pooch

from histobridge.data.manifest import SPLITS, DataFile, Dataset, Split
from histobridge.errors import UserError, one_of
from histobridge.io.files import atomic_write

TIMEOUT_S = (10, 30)  # to connect, and between two pieces of an answer
ATTEMPTS = 3


class FileStatus(NamedTuple):
    """Whether one file is here; `reason` says why not, or what went wrong on the way."""

    dataset: str
    path: str
    role: Literal["image", "mask"]
    split: Split
    state: Literal["here", "missing", "wrong"]
    reason: str = ""


def status(dataset: Dataset, data_dir: Path) -> list[FileStatus]:
    """Compare every file of a dataset below `data_dir` with its size and sha256.

    A file is `here` (and intact), `missing`, or `wrong` (with other content). Drawings have no files.
    """
    return [_status(dataset, file, data_dir) for file in dataset.files()]


def _status(dataset: Dataset, file: DataFile, data_dir: Path, *, reason: str = "") -> FileStatus:
    path, state = dataset.local(data_dir, file.path), "missing"
    if path.is_file():
        state = "here" if _is_intact(path.read_bytes(), file) else "wrong"
    if state == "wrong":
        reason = "its checksum is not the manifest's; delete it and fetch again"
    return FileStatus(dataset.name, file.path, file.role, file.split, state, reason)


def _is_intact(content: bytes, file: DataFile) -> bool:
    return len(content) == file.bytes and hashlib.sha256(content).hexdigest() == file.sha256


def fetch(
    dataset: Dataset,
    data_dir: Path,
    *,
    mirror: Path | None = None,
    splits: Iterable[str] = SPLITS,
    progress: Callable[[FileStatus], None] | None = None,
) -> list[FileStatus]:
    """Bring the missing files of a dataset to `data_dir/<dataset>/<path>`, whole and checked or not at all.

    A file is taken from `mirror/<dataset>/<path>` where that exists and is intact, else from the public
    address. One that is here but wrong is reported and left alone: it may be somebody's own work. One that
    cannot be had does not stop the others, and a host that fails to answer is not asked again. An interrupted
    run can simply be repeated.

    Returns a status for every file of `splits`; `progress` is called with each as soon as it is known.

    Raises
    ------
    UserError
        No such mirror folder or split, or the data folder cannot be written (the disk is full, say).
    """
    if mirror is not None and not Path(mirror).is_dir():
        raise UserError(f"There is no mirror folder '{mirror}'. Name one that holds {dataset.name}/.")
    wanted = {one_of("split", split, SPLITS) for split in splits}
    silent_hosts: dict[str, str] = {}
    statuses = []
    for file in dataset.files():
        if file.split in wanted:
            statuses.append(_fetch_one(dataset, file, data_dir, mirror, silent_hosts))
            if progress:
                progress(statuses[-1])
    return statuses


class Answer(NamedTuple):
    """The content of a file, intact, or why it could not be had and what that means for other attempts."""

    content: bytes | None = None
    reason: str = ""
    may_pass: bool = False  # the same request may succeed next time
    of_host: bool = False  # every other file of this host would fail alike


def _fetch_one(
    dataset: Dataset, file: DataFile, data_dir: Path, mirror: Path | None, silent_hosts: dict[str, str]
) -> FileStatus:
    before = _status(dataset, file, data_dir)
    if before.state != "missing":
        return before
    target = dataset.local(data_dir, file.path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        answers = [_copy(dataset.local(mirror, file.path), file)] if mirror else [Answer()]
        if answers[0].content is None:
            answers.append(download(dataset.url(file.path), file, silent_hosts))
        if answers[-1].content is not None:
            with atomic_write(target) as draft:
                draft.write_bytes(answers[-1].content)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"Cannot bring {target}: {why}. Mend that and run again; nothing is lost.") from error
    return _status(dataset, file, data_dir, reason="; ".join(a.reason for a in answers if a.reason))


def _copy(source: Path, file: DataFile) -> Answer:
    content = source.read_bytes() if source.is_file() else None
    if content is None or _is_intact(content, file):
        return Answer(content)
    return Answer(reason="the mirror's copy was refused: wrong checksum")


def download(url: str | None, file: DataFile, silent_hosts: dict[str, str]) -> Answer:
    """Ask for a file, to memory, again where that may help; remember in `silent_hosts` a host that does not answer."""
    if url is None:
        return Answer(reason="no public location known")
    host = urlsplit(url).netloc
    if host in silent_hosts:
        return Answer(reason=silent_hosts[host])
    for attempt in range(ATTEMPTS):
        time.sleep(attempt)
        answer = _ask(host, url, file)
        if not answer.may_pass:
            break
    if answer.of_host:
        silent_hosts[host] = answer.reason
    return answer


def _ask(host: str, url: str, file: DataFile) -> Answer:
    """Ask for a file once. It goes to memory, so what fails here is the network and never the disk."""
    received = io.BytesIO()
    try:
        pooch.HTTPDownloader(timeout=TIMEOUT_S)(url, received, None)
    except OSError as error:  # as pooch's own HTTP library raises it, with the response if there was one
        code = getattr(getattr(error, "response", None), "status_code", 0)
        if code:
            busy = code >= 500 or code in (408, 429)  # any other code is the host's last word
            return Answer(None, f"{host} answered with HTTP {code}", busy, busy)
        if not received.tell():
            return Answer(None, f"{host} could not be reached", True, True)
        return Answer(None, f"the download from {host} broke off", True)
    if not _is_intact(received.getvalue(), file):
        return Answer(None, f"{host} sent other content: wrong checksum", True)
    return Answer(received.getvalue())


def summary(statuses: Iterable[FileStatus]) -> list[dict[str, str | int]]:
    """Count the files by dataset and split, in the order in which they come.

    >>> one = FileStatus("sem", "a.png", "image", "development", "here")
    >>> summary([one, one._replace(path="b.png", state="missing")])
    [{'dataset': 'sem', 'split': 'development', 'here': 1, 'missing': 1, 'wrong': 0}]
    """
    rows: dict[tuple[str, str], dict] = {}
    for one in statuses:
        empty = {"dataset": one.dataset, "split": one.split, "here": 0, "missing": 0, "wrong": 0}
        rows.setdefault((one.dataset, one.split), empty)[one.state] += 1
    return list(rows.values())


def complaints(statuses: Iterable[FileStatus]) -> list[str]:
    """Say what went wrong: a line a wrong or refused file, one line for all files missing for one reason.

    >>> lost = FileStatus("sem", "a.png", "image", "development", "missing", "no public location known")
    >>> complaints([lost, lost._replace(path="b.png")])
    ['sem: missing 2 (no public location known)']
    """
    told = [one for one in statuses if one.reason]
    lines = [f"{one.dataset}/{one.path}: {one.state}, {one.reason}" for one in told if one.state != "missing"]
    missing = Counter((one.dataset, one.reason) for one in told if one.state == "missing")
    return lines + [f"{name}: missing {count} ({reason})" for (name, reason), count in missing.items()]
