"""A misbehaving server or mirror costs the file that it was asked for, and nothing else."""

import gzip
import hashlib
import http.server
import os
import threading
import time
from contextlib import suppress
from importlib import resources

import pytest
import yaml

from histobridge.data import download
from histobridge.data.transfer import TransferLimits

GOOD = b"good content " * 5000
BOMB = gzip.compress(bytes(2**28))  # 256 MiB of nothing in a quarter of one


class Server(http.server.BaseHTTPRequestHandler):
    """Sends GOOD for /good.png, and misbehaves for /bad.png as `server.fault` says."""

    def do_GET(self):
        """Answer."""
        with suppress(OSError):
            if self.path == "/good.png":
                self.start(200, {"Content-Length": len(GOOD)})
                self.wfile.write(GOOD)
            elif self.path == "/nowhere":
                self.send_error(404)
            else:
                self.server.asked += 1
                getattr(self, self.server.fault)()

    def start(self, code, headers):
        """Send the head of an answer."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def endless(self, code=200, **headers):
        """Send without end, and count what is taken."""
        self.start(code, headers)
        while True:
            self.wfile.write(bytes(2**16))
            self.server.sent += 2**16

    def endless_redirect(self):
        """Redirect, with a body without end."""
        self.endless(302, Location="/nowhere")

    def bomb(self):
        """Send a compressed answer that unpacks to much more than was asked for."""
        self.start(200, {"Content-Encoding": "gzip", "Content-Length": len(BOMB)})
        self.wfile.write(BOMB)

    def drip(self):
        """Send a byte now and then."""
        self.start(200, {"Content-Length": len(GOOD)})
        while True:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def drip_head(self):
        """Send a head that never ends, a byte now and then."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def malformed(self):
        """Redirect to what is no address."""
        self.start(302, {"Location": "http://[::1"})

    def to_file(self):
        """Redirect to a file of this machine."""
        self.start(302, {"Location": "file:///etc/hostname"})

    def to_ftp(self):
        """Redirect to another protocol."""
        self.start(302, {"Location": "ftp://127.0.0.1/x"})

    def loop(self):
        """Redirect to the same place."""
        self.start(302, {"Location": "/bad.png"})

    def too_short(self):
        """Name a length that is larger than what comes."""
        self.start(200, {"Content-Length": 10 * len(GOOD)})
        self.wfile.write(GOOD)

    def no_http(self):
        """Send something that is not HTTP."""
        self.wfile.write(b"\x16\x03\x01 SSH-2.0\r\n\r\n")

    def broken_gzip(self):
        """Claim a compression that is not there."""
        self.start(200, {"Content-Encoding": "gzip"})
        self.wfile.write(GOOD)

    def log_message(self, *_):
        """Keep the test output quiet."""


def study_file(folder, **changes):
    """Write a study file beside which the manifest `toy` describes bad.png and good.png; return its path."""
    words = ("name", "title", "modality", "organism", "tissue", "availability", "citation", "licence")
    seal = {"sha256": hashlib.sha256(GOOD).hexdigest(), "bytes": len(GOOD)}
    same = {"subject": "a", "um_per_px": 0.1, "split": "development"} | seal
    images = [{"path": f"{name}.png", **same} for name in ("bad", "good")]
    (folder / "data_manifest").mkdir(exist_ok=True)
    manifest = dict.fromkeys(words, "toy") | {"images": images} | changes
    (folder / "data_manifest/toy.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "study.yaml").write_text(resources.files("histobridge_study").joinpath("study.yaml").read_text())
    return folder / "study.yaml"


@pytest.fixture
def server(monkeypatch):
    """A server; attempts follow one another at once, and a second is long."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "LIMITS", TransferLimits(1, 1, 1000, 0.3, attempts=2, pause_s=0))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.sent = running.asked = 0
        running.daemon_threads, running.block_on_close = True, False
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("endless", "more than the 65000 bytes"),
        ("bomb", "more than the 65000 bytes"),
        ("drip", "too slow"),
        ("drip_head", "too slow"),
        ("malformed", ""),
        ("to_file", "redirects to an address that cannot be used"),
        ("to_ftp", "redirects to an address that cannot be used"),
        ("loop", "redirects without end"),
        ("endless_redirect", "HTTP 404"),
        ("too_short", "broke off"),
        ("no_http", ""),
        ("broken_gzip", "broke off"),
    ],
)
def test_a_misbehaving_answer_costs_one_file_and_little_memory_and_time(histobridge, server, tmp_path, fault, reason):
    """Rows 18 to 21: the file is listed with the reason, the next one is fetched, the exit code is 2."""
    server.fault, begun = fault, time.monotonic()
    study = study_file(tmp_path, base_url=f"http://127.0.0.1:{server.server_port}")
    code, out, err = histobridge("fetch", "toy", "--study", study, "--data", tmp_path / "data")
    assert code == 2 and "Traceback" not in err
    assert "Skipped toy/bad.png: missing, 127.0.0.1" in out and reason in out
    assert "2 files: 1 used, 1 skipped, 0 of no concern" in out
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == ["good.png"]
    assert time.monotonic() - begun < 10
    assert server.sent < 2**24  # what the system holds on its way, for each attempt


@pytest.mark.parametrize("state", ["folder", "fifo", "dangling", "cut"])
@pytest.mark.parametrize("place", ["mirror", "data"])
def test_what_is_no_file_in_a_mirror_or_data_folder_costs_itself(histobridge, tmp_path, state, place):
    """It is named with what to do and left alone; the next file is taken; `data` shows it without a traceback."""
    for folder in ("mirror", "data"):
        (tmp_path / folder / "toy").mkdir(parents=True)
    for name in ("bad", "good"):
        (tmp_path / "mirror/toy" / f"{name}.png").write_bytes(GOOD)
    bad = tmp_path / place / "toy/bad.png"
    bad.unlink(missing_ok=True)
    make = {"folder": bad.mkdir, "fifo": lambda: os.mkfifo(bad), "cut": lambda: bad.write_bytes(GOOD[:-1])}
    make["dangling"] = lambda: bad.symlink_to("nowhere")
    make[state]()
    options = ["toy", "--study", study_file(tmp_path), "--data", tmp_path / "data"]
    code, out, err = histobridge("fetch", *options, "--mirror", tmp_path / "mirror")
    assert code == 2 and "Traceback" not in err and "Skipped toy/bad.png" in out
    assert "2 files: 1 used, 1 skipped" in out and (tmp_path / "data/toy/good.png").read_bytes() == GOOD
    code, out, err = histobridge("data", *options)
    assert code == (2 if place == "data" else 0) and "Traceback" not in err
    assert ("move it away" in out) == (place == "data")


def test_a_broken_manifest_costs_its_dataset_alone(histobridge, tmp_path):
    """`histobridge data` names it and shows the others; the exit code is 2."""
    study = study_file(tmp_path)
    (tmp_path / "data_manifest/odd.yaml").write_text("name: [")
    code, out, _ = histobridge("data", "--study", study, "--data", tmp_path / "data")
    assert code == 2 and "Skipped odd:" in out and "toy" in out and "1 skipped" in out
