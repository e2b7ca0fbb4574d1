"""What the files of a hand-off are called: BIDS in front, AxonDeepSeg behind.

BIDS names a microscopy image sub-LABEL[_ses-LABEL]_sample-LABEL[...]_MODALITY, labels being letters and digits; it has
no names yet for segmentations of one, so that what is appended to that name is what AxonDeepSeg appends, and
`.bidsignore` lists it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

MODALITIES = ["TEM", "SEM", "uCT", "BF", "DF", "PC", "DIC", "FLUO", "CONF", "PLI", "CARS", "2PE", "MPE", "SR", "NLO"]
MODALITIES += ["OCT", "SPIM"]
"""The suffixes of BIDS for microscopy."""

BIDS_IMAGE = re.compile(
    r"(?P<sub>sub-[A-Za-z0-9]+)(_(?P<ses>ses-[A-Za-z0-9]+))?_(?P<sample>sample-[A-Za-z0-9]+)(_acq-[A-Za-z0-9]+)?"
    rf"(_stain-[A-Za-z0-9]+)?(_run-[0-9]+)?(_chunk-[0-9]+)?(_({'|'.join(MODALITIES)}))"
)

COMBINED, AXON, MYELIN = "_seg-axonmyelin.png", "_seg-axon.png", "_seg-myelin.png"
"""What AxonDeepSeg appends to the name of an image: levels 0 / 127 / 255, and 0 / 255 for one class."""

INSTANCES, FIBRES, UNCERTAINTY = "_instances.tif", "_fibres.geojson", "_uncertainty.png"
ENDINGS = (COMBINED, AXON, MYELIN, INSTANCES, FIBRES, UNCERTAINTY)


class Place(NamedTuple):
    """Where the files of one image go.

    Attributes
    ----------
    image : str
        Its name, to which endings are appended; unique in a hand-off.
    folder : str
        Relative to the hand-off, with forward slashes.
    participant, sample : str
        As BIDS has them in its tables: sub-LABEL and sample-LABEL.
    """

    image: str
    folder: str
    participant: str
    sample: str


def bids_label(text: str) -> str:
    """Return the letters and digits of a text, accents taken off; `x` if there are none.

    >>> bids_label("rat-3 (gauche, été)"), bids_label("µ_?")
    ('rat3gaucheete', 'u')
    """
    plain = unicodedata.normalize("NFKD", text.replace("µ", "u").replace("μ", "u")).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]", "", plain) or "x"


class Names:
    """Gives each image its place; no two share one, not even where a file system ignores case.

    The same images in the same order get the same names.

    >>> names = Names()
    >>> names.place("image_1", "rat 1", "SEM").image, names.place("image-1", "rat 1", "SEM").image
    ('sub-rat1_sample-image1_SEM', 'sub-rat1_sample-image1x2_SEM')
    """

    def __init__(self):
        self._subjects: dict[str, str] = {}
        self._taken: set[str] = set()

    def place(self, name: str, subject: str, modality: str | None) -> Place:
        """Return the place of an image: its own name if that is BIDS already, else one made of name and subject."""
        known = BIDS_IMAGE.fullmatch(name)
        if known and name.casefold() not in self._taken:
            self._taken |= {name.casefold(), known["sub"].casefold()}
            self._subjects.setdefault(subject, known["sub"])
            folder = "/".join(filter(None, (known["sub"], known["ses"], "micr")))
            return Place(name, folder, known["sub"], known["sample"])
        participant = self._participant(subject)
        ending = f"_{modality}" if modality else ""
        sample = self._free(f"{participant}_sample-{bids_label(name)}", ending).removeprefix(f"{participant}_")
        return Place(f"{participant}_{sample}{ending}", f"{participant}/micr", participant, sample)

    def _participant(self, subject: str) -> str:
        if subject not in self._subjects:
            self._subjects[subject] = self._free(f"sub-{bids_label(subject.removeprefix('sub-'))}", "")
        return self._subjects[subject]

    def _free(self, wanted: str, ending: str) -> str:
        """Return what is wanted, or the first of its numbered variants that nothing else is called."""
        number, found = 1, wanted
        while f"{found}{ending}".casefold() in self._taken:
            number += 1
            found = f"{wanted}x{number}"
        self._taken.add(f"{found}{ending}".casefold())
        return found
