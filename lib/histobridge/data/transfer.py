"""The content of one file from a public address, in pieces, within bounds of size and time.

Nothing that a server sends is believed. Its pieces are counted as they come out of a compressed answer, and they must
come at a least pace, because a limit for silence alone lets a server drip for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import Empty, Queue
from threading import Event, Thread
from typing import NamedTuple

import requests
import urllib3

PIECE = 64 * 1024


class TransferLimits(NamedTuple):
    """How long a server is waited for.

    At least `least_bytes` must come in `least_bytes_in_s` seconds. An attempt to fetch a file of n bytes therefore ends
    after `least_bytes_in_s * (n / least_bytes + 1)` seconds at most, whatever the server does.
    """

    connect_s: float = 10
    silence_s: float = 30
    least_bytes: int = 64 * 1024
    least_bytes_in_s: float = 60
    attempts: int = 3
    pause_s: float = 1


class TransferError(Exception):
    """Why a transfer failed, in words that follow the name of the host.

    Attributes
    ----------
    final : bool
        Whether the next attempt would fail too.
    host_fails : bool
        Whether the host as a whole seems to be at fault, not this file.
    """

    def __init__(self, why: str, *, final: bool = False, host_fails: bool = False):
        super().__init__(why)
        self.final, self.host_fails = final, host_fails


def download(url: str, accept: Callable[[Iterator[bytes]], None], limits: TransferLimits) -> None:
    """Download what is at an address, in several attempts.

    Parameters
    ----------
    url : str
    accept : callable
        Takes the pieces; raises a `TransferError` if they are not what was wanted.
    limits : TransferLimits

    Raises
    ------
    TransferError
        That of the last attempt.
    """
    for attempt in range(1, limits.attempts + 1):
        try:
            with closing(_paced(_pieces(url, limits), limits)) as pieces:
                return accept(pieces)
        except TransferError as error:
            if error.final or attempt == limits.attempts:
                raise
            time.sleep(attempt * limits.pause_s)


def _pieces(url: str, limits: TransferLimits) -> Iterator[bytes]:
    """Yield the content at an address as it comes; whatever goes wrong is a `TransferError`."""
    asked = {"headers": {"Accept-Encoding": "identity"}, "hooks": {"response": _close_redirect}}
    try:
        with requests.get(url, stream=True, timeout=(limits.connect_s, limits.silence_s), **asked) as response:
            _check_answer(response)
            while piece := response.raw.read1(PIECE, decode_content=True):
                yield piece
    except TransferError:
        raise
    except requests.exceptions.TooManyRedirects:
        raise TransferError("redirects without end", final=True) from None
    except requests.exceptions.RequestException as error:
        # Of `requests` are ValueErrors those about addresses, to which it was redirected.
        wrong_address = isinstance(error, ValueError)
        why = "redirects to an address that cannot be used" if wrong_address else "could not be reached"
        raise TransferError(why, final=wrong_address, host_fails=not wrong_address) from error
    except Exception as error:  # of sockets, TLS, HTTP, addresses or compression: whatever it is, the file did not come
        silent = isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError))
        raise TransferError(f"broke off the download ({type(error).__name__})", host_fails=silent) from error


def _check_answer(response: requests.Response) -> None:
    if (code := response.status_code) != 200:
        busy = code >= 500 or code in (408, 429)
        raise TransferError(f"answered with HTTP {code}", final=not busy, host_fails=busy)


def _close_redirect(response: requests.Response, **_) -> None:
    """Close a redirecting answer, whose body `requests` would read into memory, however long."""
    if response.is_redirect:
        response.close()


def _paced(pieces: Iterator[bytes], limits: TransferLimits) -> Iterator[bytes]:
    """Yield pieces as long as enough of them come in time.

    They are read in a thread of their own: nothing else ends a read that waits for one byte after another.
    """
    queue: Queue[bytes | Exception] = Queue(maxsize=4)
    stopped = Event()
    Thread(target=_read, args=(pieces, queue, stopped), daemon=True).start()
    try:
        while True:
            due, came = time.monotonic() + limits.least_bytes_in_s, 0
            while came < limits.least_bytes:
                piece = queue.get(timeout=max(0, due - time.monotonic()))
                if isinstance(piece, Exception):
                    raise piece
                if not piece:
                    return
                yield piece
                came += len(piece)
    except Empty:
        raise TransferError(
            f"is too slow: it sent {came} bytes in {limits.least_bytes_in_s:g} s", host_fails=True
        ) from None
    finally:
        stopped.set()
        while not queue.empty():  # the thread may wait for room
            queue.get()


def _read(pieces: Iterator[bytes], queue: Queue, stopped: Event) -> None:
    """Put pieces into a queue until it is `stopped`, then what ended them: nothing, or an exception."""
    try:
        for piece in pieces:
            queue.put(piece)
            if stopped.is_set():
                return
        queue.put(b"")
    except Exception as error:
        queue.put(error)
