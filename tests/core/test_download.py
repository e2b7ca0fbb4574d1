"""Files of a dataset are fetched whole and verified, whatever networks, mirrors and disks do."""

import errno
import functools
import http.server
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from test_manifest import CONTENT, COUNTS, toy

from histobridge.data.download import fetch_dataset
from histobridge.data.manifest import load_dataset
from histobridge.data.status import complaints, status, summary
from histobridge.errors import UserError


def write_files(folder: Path) -> Path:
    """Lay out CONTENT as `folder/toy/...`: a data folder, a mirror, or what a server serves."""
    for path, content in CONTENT.items():
        file = folder / "toy" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def states(statuses) -> Counter:
    """Count the files by state."""
    return Counter(one.state for one in statuses)


def leftovers(folder: Path) -> list[str]:
    """List the files in a data folder that belong to no dataset."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".png"]


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves files, but the answers queued in `faults` come first."""

    def do_GET(self):
        """Answer with the next fault for this path, if there is one."""
        self.server.asked.append(self.path)
        fault = next(iter(self.server.faults.get(self.path, [])), None)
        if fault is None:
            return super().do_GET()
        self.server.faults[self.path].pop(0)
        if isinstance(fault, int):
            return self.send_error(fault)
        self.send_response(200)
        self.send_header("Content-Length", str(len(fault) * 2))
        self.end_headers()
        self.wfile.write(fault)  # and the connection closes half way

    def log_message(self, *_):
        """Keep the test output quiet."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local web server over CONTENT, with faults to order; no pause between attempts."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = functools.partial(Server, directory=write_files(tmp_path / "served") / "toy")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.faults, running.asked = {}, []
        running.url = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def test_everything_is_downloaded(tmp_path, server):
    """Files arrive with their content at the place of `local`; a second run asks the server for nothing."""
    dataset = toy(tmp_path, base_url=server.url)
    assert (
        states(fetch_dataset(dataset, tmp_path / "data")) == states(status(dataset, tmp_path / "data")) == {"here": 6}
    )
    assert {p: dataset.local(tmp_path / "data", p).read_bytes() for p in CONTENT} == CONTENT
    fetch_dataset(dataset, tmp_path / "data")
    assert len(server.asked) == 6 and leftovers(tmp_path / "data") == []
    written = dataset.local(tmp_path / "data", "images/a.png")
    assert written.stat().st_mode & 0o444 == 0o444  # others can read it too


def test_a_split_can_be_left_out(tmp_path, server):
    """Only the files of the named splits are fetched and reported; an unknown split is refused."""
    dataset, seen = toy(tmp_path, base_url=server.url), []
    got = fetch_dataset(dataset, tmp_path / "data", splits=["development"], progress=seen.append)
    assert states(got) == {"here": 4} and seen == got
    assert states(status(dataset, tmp_path / "data")) == {"here": 4, "missing": 2}
    with pytest.raises(UserError, match="development, locked-test"):
        fetch_dataset(dataset, tmp_path / "data", splits=["train"])


@pytest.mark.parametrize("fault", [b"half" * 1000, 503, 429])
def test_a_temporary_fault_is_tried_again(tmp_path, server, fault):
    """After two truncated or busy answers the third attempt succeeds."""
    server.faults["/images/a.png"] = [fault, fault]
    assert states(fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")) == {"here": 6}
    assert server.asked.count("/images/a.png") == 3


def test_a_lasting_truncation_leaves_no_half_file(tmp_path, server):
    """A file whose download always breaks off stays missing, with the reason; the others are fetched."""
    server.faults["/images/a.png"] = [b"half" * 1000] * 9
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")
    assert got[0].state == "missing" and "broke off the download" in got[0].reason
    assert states(got) == {"here": 5, "missing": 1}
    assert not (tmp_path / "data/toy/images/a.png").exists() and leftovers(tmp_path / "data") == []


def test_a_404_is_final_for_one_file_only(tmp_path, server):
    """A missing page is requested once and does not stop the others."""
    server.faults["/masks/a.png"] = [404] * 9
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")
    assert states(got) == {"here": 5, "missing": 1} and "HTTP 404" in got[1].reason
    assert server.asked.count("/masks/a.png") == 1


def test_other_content_than_listed_is_refused(tmp_path, server):
    """A complete download with a wrong checksum is discarded."""
    (tmp_path / "served/toy/images/b.png").write_bytes(CONTENT["images/a.png"])
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")
    assert got[2].state == "missing" and "other content: wrong checksum" in got[2].reason
    assert not (tmp_path / "data/toy/images/b.png").exists() and leftovers(tmp_path / "data") == []


def test_a_silent_host_is_given_up_after_three_files(tmp_path, server, monkeypatch):
    """If no server listens, three files are tried, three times each, and one line reports all files."""
    calls = []
    monkeypatch.setattr(time, "sleep", calls.append)
    server.shutdown()
    server.server_close()
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")
    assert len(calls) == 3 * 2 and states(got) == {"missing": 6}
    assert complaints(got) == [f"toy: missing 6 ({server.url[7:]} could not be reached)"]


def test_a_busy_host_is_given_up_too(tmp_path, server):
    """A host that answers with an internal error for three files in a row is not asked for the next one."""
    paths = ["/images/a.png", "/masks/a.png", "/images/b.png"]
    server.faults |= {path: [500] * 3 for path in paths}
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")
    assert states(got) == {"missing": 6} and Counter(server.asked) == dict.fromkeys(paths, 3)


def test_a_fault_of_one_file_is_not_the_end_of_the_others(tmp_path, server):
    """Two files that the host never sends are missing, with the reason; the rest is fetched."""
    server.faults |= {path: [500] * 3 for path in ("/images/a.png", "/masks/a.png")}
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data")
    assert states(got) == {"here": 4, "missing": 2} and "HTTP 500" in got[0].reason


def test_the_mirror_serves_first(tmp_path, server):
    """Files in the mirror are not downloaded; files that it lacks are."""
    folder = write_files(tmp_path / "mirror")
    (folder / "toy/images/c.png").unlink()
    got = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data", mirror=folder)
    assert states(got) == {"here": 6} and server.asked == ["/images/c.png"]


def test_a_mirror_without_a_public_address(tmp_path):
    """A dataset without a public address comes from the mirror alone; files that it lacks are reported."""
    folder = write_files(tmp_path / "mirror")
    shutil.rmtree(folder / "toy/masks")
    got = fetch_dataset(toy(tmp_path), tmp_path / "data", mirror=folder)
    assert states(got) == {"here": 3, "missing": 3}
    assert complaints(got) == ["toy: missing 3 (no public location known)"]


def test_a_wrong_file_in_the_mirror_is_refused(tmp_path, server):
    """A broken copy in the mirror is reported and the public file taken, if there is one."""
    folder = write_files(tmp_path / "mirror")
    (folder / "toy/images/a.png").write_bytes(b"broken")
    rescued = fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "rescued", mirror=folder)[0]
    assert rescued.state == "here" and "mirror's copy was refused: wrong checksum" in rescued.reason
    lost = fetch_dataset(toy(tmp_path), tmp_path / "lost", mirror=folder)[0]
    assert lost.state == "missing" and "refused" in lost.reason and "no public location" in lost.reason
    assert not (tmp_path / "lost/toy/images/a.png").exists()


def test_a_mirror_that_is_not_there(tmp_path):
    """A mistyped mirror is an error; nothing is downloaded instead."""
    with pytest.raises(UserError, match="no mirror folder"):
        fetch_dataset(toy(tmp_path), tmp_path / "data", mirror=tmp_path / "mirrr")


def test_a_wrong_file_is_reported_and_left_alone(tmp_path, server):
    """A file with other content is reported as wrong and stays unchanged."""
    dataset, data = toy(tmp_path, base_url=server.url), write_files(tmp_path / "data")
    own = CONTENT["images/a.png"][::-1]  # as long as the right one: only the checksum can tell
    (data / "toy/images/a.png").write_bytes(own)
    got = fetch_dataset(dataset, data, mirror=write_files(tmp_path / "mirror"))
    assert states(got) == states(status(dataset, data)) == {"here": 5, "wrong": 1}
    assert (data / "toy/images/a.png").read_bytes() == own and server.asked == []
    assert len(complaints(got)) == 1 and complaints(got)[0].startswith("toy/images/a.png: wrong")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("source", ["mirror", "server"])
def test_an_interrupted_fetch_leaves_no_partial_file(tmp_path, server, monkeypatch, stop, source):
    """Ctrl-C and a full disk leave neither a partial file nor a temporary one, for a copy and for a download."""

    class Stopped:
        """A checksum whose calculation is interrupted, as Ctrl-C or a full disk would interrupt the writing."""

        def update(self, _piece):
            raise stop

    folder = write_files(tmp_path / "mirror") if source == "mirror" else None
    dataset = toy(tmp_path, base_url=server.url)
    monkeypatch.setattr("histobridge.data.download.hashlib.sha256", Stopped)
    with pytest.raises(UserError if isinstance(stop, OSError) else KeyboardInterrupt) as caught:
        fetch_dataset(dataset, tmp_path / "data", mirror=folder)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert stop is KeyboardInterrupt or "No space left on device" in str(caught.value)


def test_a_data_folder_that_cannot_be_made(tmp_path, server):
    """A file in the place of the data folder is reported in one sentence, for a copy and for a download."""
    (tmp_path / "data").write_text("in the way")
    for mirror in (write_files(tmp_path / "mirror"), None):
        with pytest.raises(UserError, match="Could not write"):
            fetch_dataset(toy(tmp_path, base_url=server.url), tmp_path / "data", mirror=mirror)


def test_summary_counts_by_split(tmp_path):
    """The table has one row for each dataset and split, and its counts add up to the number of files."""
    data = write_files(tmp_path / "data")
    (data / "toy/images/a.png").unlink()
    (data / "toy/masks/c.png").write_bytes(b"short")
    assert summary(status(toy(tmp_path), data)) == [
        {"dataset": "toy", "split": "development", "here": 3, "missing": 1, "wrong": 0},
        {"dataset": "toy", "split": "locked-test", "here": 1, "missing": 0, "wrong": 1},
    ]


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_development_files_come_from_the_mirror(mirror, tmp_path, name):
    """All development files of the mirror pass their checksums and arrive intact."""
    got = fetch_dataset(load_dataset(name), tmp_path, mirror=mirror, splits=["development"])
    assert states(got) == {"here": 2 * COUNTS[name][0]} and complaints(got) == []
