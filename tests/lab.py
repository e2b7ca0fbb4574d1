"""A real JupyterLab for tests: start one, open a notebook in a browser, run all of it, read what came out."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

PANEL = "window.jupyterapp?.shell.currentWidget"
IDLE = f"{PANEL}?.context?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = """() => {
    window.ended = false;
    window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => { window.ended = true; });
}"""


def with_parameters(notebook: Path, folder: Path, **values) -> Path:
    """Write a copy of a notebook into a folder, with other literals in its parameters cell; return its path."""
    content = json.loads(notebook.read_text())
    cell = next(c for c in content["cells"] if "parameters" in c["metadata"].get("tags", []))
    literals = {}
    exec("".join(cell["source"]), {"__builtins__": {}}, literals)
    assert values.keys() <= literals.keys()
    cell["source"] = "\n".join(f"{name} = {value!r}" for name, value in (literals | values).items())
    copy = folder / notebook.name
    copy.write_text(json.dumps(content))
    return copy


@contextmanager
def jupyterlab(folder: Path, **environment: str) -> Iterator[str]:
    """Serve a folder by JupyterLab, without this user's settings; yield its address, `{}` for a notebook's name."""
    port, token, home = _free_port(), secrets.token_hex(8), folder / ".jupyter"
    named = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "IPYTHONDIR")
    own = {name: str(home / name) for name in named} | {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")}
    own["OMP_NUM_THREADS"] = "1"  # tests share the machine: threads that wait for one another take minutes
    _no_news(home / "JUPYTERLAB_SETTINGS_DIR")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | own | environment, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server)
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
        finally:
            server.terminate()  # ends its kernels too
            server.wait(timeout=30)


def _no_news(settings: Path) -> None:
    """Answer the question that a new JupyterLab asks over its lower right corner."""
    file = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))


def _free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def _wait_for(address: str, server: subprocess.Popen, *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urlopen(address, timeout=5).close()
            return
        except OSError:
            assert server.poll() is None, "JupyterLab ended: see lab.log"
            assert time.monotonic() < deadline, "JupyterLab does not answer"
            time.sleep(0.3)


def run_all(page, address: str, *, seconds: float = 300) -> list[dict]:
    """Open a notebook in a page of the browser, run all cells, and return the cells with their outputs."""
    page.goto(address)
    page.wait_for_function(IDLE, timeout=90_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function("window.ended", timeout=1000 * seconds)
    return page.evaluate(f"{PANEL}.content.model.toJSON().cells")


def show_cell(page, number: int):
    """Scroll to a cell and return its locator."""
    page.evaluate(f"number => {PANEL}.content.scrollToItem(number, 'start')", number)
    return page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}']")


def errors(cells: list[dict]) -> list[str]:
    """Return what the errors among the outputs say."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"]


def pictures(cells: list[dict]) -> list[str]:
    """Return the still pictures (PNG, base64) among the outputs."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
