"""Cost against size: a larger image, more images, more jobs. Time should grow in step, memory with what is held."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from histobridge.config import SegmenterSettings, SynDiffSettings
from histobridge.io.files import write_json, write_table
from histobridge.segmenter import Segmenter
from histobridge.training.crops import random_crops
from histobridge.translators.syndiff import SynDiff
from histobridge_study.bench.clock import seconds
from histobridge_study.report.collect import TABLES, collect

SIDES = (256, 512, 1024, 2048, 4096, 8192, 16384)
COUNTS = (10, 100, 1000, 10_000)


def image_side(side: int) -> float:
    """Translate and segment one image of `side` x `side` px; return the seconds."""
    image = np.random.default_rng(0).random((side, side), dtype=np.float32)
    translator, segmenter = SynDiff(SynDiffSettings(), sign=1), Segmenter(SegmenterSettings())
    segmenter.predict(translator.translate(image[:64, :64], "U"))
    return seconds(lambda: segmenter.predict(translator.translate(image, "U")), repeats=1, warm_up=0)


def images(count: int) -> float:
    """Draw the crops of a training step from a domain of so many images; return the seconds."""
    s, rng = SynDiffSettings(), torch.Generator().manual_seed(0)
    domain = [torch.rand(1, 128, 128) for _ in range(count)]
    return seconds(lambda: random_crops(domain, s.crop, s.batch, rng), repeats=20)


def jobs(count: int) -> float:
    """Join the tables of so many finished runs; return the seconds."""
    with TemporaryDirectory() as folder:
        for fold in range(count):
            here = Path(folder, "pair", "transductive", "development", f"fold{fold}")
            write_table(here / "dice.csv", pd.DataFrame({"fold": [fold] * 20, "dice": 0.5}))
            write_json(here / f"{TABLES['dice']}.json", {})
        return seconds(lambda: collect(Path(folder), "dice"), repeats=1, warm_up=0)
