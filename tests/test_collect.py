"""collect.py: what the study cannot run."""

from histobridge.collect import pairs_without_data
from histobridge.study import load_study


def test_a_pair_without_images_is_named():
    """TEM-MACAQUE lists no image; public and drawn datasets do."""
    assert pairs_without_data(load_study().pairs) == ["tem-macaque"]
