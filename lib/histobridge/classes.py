"""What is special to axons and myelin: the classes of a mask and the grey levels that encode them in a file.

Another tissue, such as nuclei or mitochondria, brings its own classes and levels.
"""

from __future__ import annotations

BACKGROUND, MYELIN, AXON = 0, 1, 2
"""The classes of a mask."""

MASK_LEVELS = (0, 127, 255)
"""The grey levels that encode background, myelin and axon in a mask file."""

KNOWN_MASK_LEVELS = (0, 127, 128, 254, 255)
"""All levels that are read without doubt: half of 255 is rounded down or up, and some files double the lower value."""
