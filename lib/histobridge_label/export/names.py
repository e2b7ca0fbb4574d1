"""Names of the files of a hand-off: BIDS in front, AxonDeepSeg behind.

BIDS names a microscopy image sub-LABEL[_ses-LABEL]_sample-LABEL[...]_MODALITY, where labels are letters and digits. It
has no names for segmentations of such an image yet. Their names therefore consist of the image's name and the ending
that AxonDeepSeg uses, and `.bidsignore` lists them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from histobridge.cache import digest
from histobridge.io.limits import LONGEST_NAME

HANDOFF = "handoff"
"""The folder of a hand-off in what `histobridge label` and `apply` write."""
DESCRIPTION, IMAGES, PROVENANCE = "dataset_description.json", "images.tsv", "provenance.json"
REVIEW_ORDER, QUPATH = "review_order.csv", "qupath.groovy"

COMBINED, AXON, MYELIN = "_seg-axonmyelin.png", "_seg-axon.png", "_seg-myelin.png"
"""Endings of AxonDeepSeg: grey levels 0 / 127 / 255 for both classes, and 0 / 255 for one class."""

INSTANCES, FIBRES, ROIS, UNCERTAINTY = "_instances.tif", "_fibres.geojson", "_rois.zip", "_uncertainty.png"
ENDINGS = (COMBINED, AXON, MYELIN, INSTANCES, FIBRES, ROIS, UNCERTAINTY)

MODALITIES = ["TEM", "SEM", "uCT", "BF", "DF", "PC", "DIC", "FLUO", "CONF", "PLI", "CARS", "2PE", "MPE", "SR", "NLO"]
MODALITIES += ["OCT", "SPIM"]
"""The suffixes of BIDS for microscopy."""

BIDS_IMAGE = re.compile(
    r"(?P<sub>sub-[A-Za-z0-9]+)(_(?P<ses>ses-[A-Za-z0-9]+))?_(?P<sample>sample-[A-Za-z0-9]+)(_acq-[A-Za-z0-9]+)?"
    rf"(_stain-[A-Za-z0-9]+)?(_run-[0-9]+)?(_chunk-[0-9]+)?(_({'|'.join(MODALITIES)}))"
)


LONGEST_LABEL = 60
"""Letters of a label, so that a name with its ending stays below the 255 bytes that file systems allow."""


class ImageName(NamedTuple):
    """The name of an image in a hand-off, and the folder of its files.

    Attributes
    ----------
    image : str
        Unique in a hand-off; endings are appended to it.
    folder : str
        Relative to the hand-off, with forward slashes.
    participant, sample : str
        sub-LABEL and sample-LABEL, as in the tables of BIDS.
    """

    image: str
    folder: str
    participant: str
    sample: str


def bids_label(text: str) -> str:
    """Return the letters and digits of a text without accents; `x` if it has none.

    A hash of the text stands at the end of a label that is cut to `LONGEST_LABEL`.

    >>> bids_label("rat-3 (gauche, été)"), bids_label("µ_?"), len(bids_label("rat" * 50))
    ('rat3gaucheete', 'u', 60)
    """
    plain = unicodedata.normalize("NFKD", text.replace("µ", "u").replace("μ", "u")).encode("ascii", "ignore").decode()
    label = re.sub(r"[^A-Za-z0-9]", "", plain) or "x"
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 16]}{digest(text)}"


class Names:
    """Gives each image a unique name, also where a file system ignores case.

    The same images in the same order get the same names.

    >>> names = Names()
    >>> names.add("image_1", "rat 1", "SEM").image, names.add("image-1", "rat 1", "SEM").image
    ('sub-rat1_sample-image1_SEM', 'sub-rat1_sample-image1x2_SEM')
    """

    def __init__(self):
        self._participants: dict[str, str] = {}
        self._used: set[str] = set()
        self._numbers: dict[str, int] = {}  # where to go on for names that many images would have

    def add(self, name: str, subject: str, modality: str | None) -> ImageName:
        """Return the name of an image: its own if that follows BIDS, else one made from its name and subject."""
        bids = BIDS_IMAGE.fullmatch(name)
        if bids and len(name) <= LONGEST_NAME and name.casefold() not in self._used:
            self._used |= {name.casefold(), bids["sub"].casefold()}
            self._participants.setdefault(subject, bids["sub"])
            folder = "/".join(filter(None, (bids["sub"], bids["ses"], "micr")))
            return ImageName(name, folder, bids["sub"], bids["sample"])
        participant = self._participant(subject)
        suffix = f"_{modality}" if modality else ""
        sample = self._unused(f"{participant}_sample-{bids_label(name)}", suffix).removeprefix(f"{participant}_")
        return ImageName(f"{participant}_{sample}{suffix}", f"{participant}/micr", participant, sample)

    def _participant(self, subject: str) -> str:
        if subject not in self._participants:
            self._participants[subject] = self._unused(f"sub-{bids_label(subject.removeprefix('sub-'))}", "")
        return self._participants[subject]

    def _unused(self, stem: str, suffix: str) -> str:
        """Return the stem, with a number if the name is in use."""
        wanted = f"{stem}{suffix}".casefold()
        number, unused = self._numbers.get(wanted, 1), stem
        while f"{unused}{suffix}".casefold() in self._used:
            number += 1
            unused = f"{stem}x{number}"
        self._numbers[wanted] = number
        self._used.add(f"{unused}{suffix}".casefold())
        return unused
