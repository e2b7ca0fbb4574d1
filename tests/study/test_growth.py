"""Large images: memory is bounded by the window, and no window shows."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from histobridge.settings import SynDiffSettings
from histobridge.translator import SynDiff

def peak_gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

image = np.random.default_rng(0).random((int(sys.argv[1]),) * 2, dtype=np.float32)
translator = SynDiff(SynDiffSettings(), sign=-1)
translator.translate(image[:64, :64], "U")
idle = peak_gib()
translator.translate(image, "U")
print(peak_gib() - idle)
"""


@pytest.mark.slow
def test_a_4096_px_image_translates_in_under_2_gib():
    """Peak memory above the idle process, measured in a process of its own."""
    told = subprocess.run([sys.executable, "-c", PROGRAM, "4096"], capture_output=True, text=True, check=True)
    assert float(told.stdout) < 2.0
