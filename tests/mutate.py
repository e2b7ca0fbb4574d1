"""Random changes of bytes and of nested values, from a seed: what a disk, a network or a person may do to a file."""

from __future__ import annotations

import random
from pathlib import Path

ODD = [
    None,
    True,
    -1,
    0,
    2**70,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "=1+1",
    "$x$",
    "[red]",
    "../..",
    "\x00",
    "神",
    [],
    {},
]
"""Values that stand where another one is expected."""
ODD_NAMES = [
    "$x$",
    "[red]",
    "a b",
    "-x",
    "=1+1",
    "神",
    "%s",
    "{x}",
    "'",
    '"',
    "n" * 150,
    "\n",
    "\udcff",
    "\x1b[31m",
    "CON",
]
"""Pieces of odd file names."""


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return the content with one to three changes: bits flipped, a part cut, zeroed, doubled or replaced."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        size = len(changed)
        start = rng.randrange(size + 1)
        end = min(size, start + rng.choice([1, 2, 4, 16, size]))
        change = rng.randrange(6)
        if change == 0 and size:
            changed[start % size] ^= 1 << rng.randrange(8)
        elif change == 1:
            del changed[start:]
        elif change == 2:
            changed[start:end] = bytes(end - start)
        elif change == 3:
            changed[start:start] = changed[start:end]
        elif change == 4:
            changed[start:end] = rng.randbytes(end - start)
        else:
            changed[start:start] = rng.choice([b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\n", b'"', b","])
    return bytes(changed)


def mutate_value(value: object, rng: random.Random) -> object:
    """Return nested dicts and lists with one value replaced by an odd one, left out, renamed, doubled or wrapped."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        if (change := rng.random()) < 0.1:
            del changed[key]
        elif change < 0.2:
            changed[rng.choice(["x", "__proto__", ""])] = changed.pop(key)
        else:
            changed[key] = mutate_value(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        middle = rng.choice(
            [[], [value[place]] * 2, [mutate_value(value[place], rng)], [mutate_value(value[place], rng)]]
        )
        return value[:place] + middle + value[place + 1 :]
    return rng.choice([*ODD, [value], {"x": value}, str(value)])


def odd_name(name: str, rng: random.Random) -> str:
    """Return the name of a file, odd in one of three cases."""
    if rng.random() < 2 / 3:
        return name
    stem, dot, ending = name.partition(".")
    piece = rng.choice(ODD_NAMES)
    return rng.choice(
        [f"{piece}{name}", f"{stem}{piece}{dot}{ending}", f"{stem}{dot}{ending.upper()}", f"{name}{piece}"]
    )


def write_odd(folder: Path, name: str, content: bytes) -> Path:
    """Write a file under a name that may be odd; an unused one if there is such a file."""
    path = folder / name
    while path.exists():
        path = path.with_name(f"_{path.name}")
    path.write_bytes(content)
    return path
