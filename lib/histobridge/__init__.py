"""histobridge: label one modality, segment another."""

__version__ = "0.1.0"
