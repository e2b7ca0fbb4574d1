"""The classes of a mask: background, myelin and axon."""

from __future__ import annotations

BACKGROUND, MYELIN, AXON = 0, 1, 2
"""The classes of a mask."""
