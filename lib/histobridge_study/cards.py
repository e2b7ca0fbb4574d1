"""The cards of this machine, and how the jobs of a study share them.

A job alone leaves a card idle while it reads, scores and draws, so a few share one. Where NVIDIA's MPS daemon runs,
CUDA lets their kernels run side by side by itself; nothing is started here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from histobridge.config import SynDiffSettings
from histobridge.machine import number_asked

JOBS_PER_CARD = 4
"""More jobs than this gain little: then the card is busy."""
GIB, GIB_PER_CHANNEL_PX = 6.0, 1.4e-6
"""Memory of a job on a card: of any job, above all for windows of large images; and of a training, for each px of a
batch and channel of the translator (18.3 GiB were measured at the published size)."""
QUERY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")  # MiB, a line a card


def card_places(translator: SynDiffSettings) -> list[str]:
    """Return the places for jobs on the cards of this machine: the name of the card of each, card after card in turn.

    Cards are named as in CUDA_VISIBLE_DEVICES. The driver is asked, because to import torch takes seconds.
    HISTOBRIDGE_JOBS_PER_CARD=N sets the jobs on one card; by default they are `JOBS_PER_CARD`, or fewer where the
    smallest card has no memory for as many.

    Parameters
    ----------
    translator : SynDiffSettings
        Of the profile: its size decides the memory of a job.

    Raises
    ------
    UserError
        If HISTOBRIDGE_JOBS_PER_CARD is neither a positive number nor `auto`.
    """
    asked = number_asked("HISTOBRIDGE_JOBS_PER_CARD", "jobs")
    memory = _memory_gib()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = list(map(str, range(len(memory)))) if visible is None else [v.strip() for v in visible.split(",")]
    if not memory or not set(names).isdisjoint(("", "-1")):
        return []
    return names * (asked or jobs_on(min(memory), translator))


def jobs_on(memory_gib: float, translator: SynDiffSettings) -> int:
    """Return how many jobs share a card by default.

    >>> published = SynDiffSettings(crop=160, batch=8, stem=1)
    >>> jobs_on(80, SynDiffSettings()), jobs_on(16, SynDiffSettings()), jobs_on(24, published)
    (4, 2, 1)
    """
    channels_px = translator.batch * translator.crop**2 * translator.width / translator.stem**2
    return max(1, min(JOBS_PER_CARD, int(memory_gib / (GIB + GIB_PER_CHANNEL_PX * channels_px))))


def _memory_gib() -> list[float]:
    """Return the memory of each card; nothing without a driver."""
    try:
        answer = subprocess.run(QUERY, capture_output=True, text=True, check=True, timeout=30).stdout
        return [float(line) / 1024 for line in answer.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []


@contextmanager
def on_a_card(places: list[str], folder: Path) -> Iterator[None]:
    """Show this process, and those that it starts, the one card of a free place; all cards if no place is free.

    Parameters
    ----------
    places : list of str
        Of `card_places`.
    folder : Path
        Of the locks that mark places as taken. They are free again when their process has ended, however that ends.
    """
    for number, card in enumerate(places):
        lock = FileLock(folder / f".card-place-{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        os.environ["CUDA_VISIBLE_DEVICES"] = card
        try:
            yield
        finally:
            lock.release()
        return
    yield
