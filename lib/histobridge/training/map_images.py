"""Apply networks to many images: several at once on a GPU, one after another on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from histobridge.training.device import device

IN_FLIGHT = 3
"""Images that a GPU works on at once."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_images(function: Callable[[Item], Result], images: Iterable[Item]) -> list[Result]:
    """Return what `function` makes of each image, in the order of the images.

    On a GPU threads share the work, so that one image is read, prepared or written while another one is computed. On a
    CPU every single image occupies all cores.

    Parameters
    ----------
    function : callable
        Such as `Segmenter.predict`; it may be called by several threads.
    images : iterable
        Arrays, or whatever the function takes.

    Raises
    ------
    Exception
        The error of the first image, in their order, that has one; images that are not begun are left out.
    """
    if device().type == "cpu":
        return [function(image) for image in images]
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        return list(threads.map(function, images))
