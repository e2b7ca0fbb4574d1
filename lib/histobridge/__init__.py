"""Label one modality, segment another: unpaired translation and pseudo labels for nerve microscopy.

Arrays in, arrays out: images are float32 [H, W] in 0..1, masks uint8 [H, W] with 0 background, 1 myelin and 2 axon.
"""

from importlib import import_module

__version__ = "0.5.0"

_PUBLIC = {
    "Control": "histobridge.translators",
    "Segmenter": "histobridge.segmenter",
    "SynDiff": "histobridge.translators",
    "Translator": "histobridge.translators",
    "adapt": "histobridge.strategies",
    "dice": "histobridge.metrics",
    "refine": "histobridge.strategies",
    "supervised": "histobridge.strategies",
    "tutor": "histobridge.strategies",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    """Import a public name when it is first used: `import histobridge` waits for no torch."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'histobridge' has no attribute '{name}'")
