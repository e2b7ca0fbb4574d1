"""The refined labels of a finished run, as a hand-off."""

from __future__ import annotations

import json
from collections.abc import Iterator

from histobridge.data.manifest import describe_dataset
from histobridge.io.images import read_image
from histobridge_label.export import Handoff, Labelled, write_handoff
from histobridge_study.runs import Run
from histobridge_study.stages.measure import kept_masks
from histobridge_study.stages.refine import METHOD, STAGE

FOLDER = "handoff"


def hand_off(run: Run) -> Handoff:
    """Write the images of U of a finished run with their refined labels, at the pixel size of the pair.

    It lies in the run's folder; one that is there is written anew, unless its files were edited.

    Raises
    ------
    UserError
        If files of an earlier hand-off were edited, or the folder cannot be written.
    """
    told = json.loads(run.mark(STAGE).read_text())["provenance"]
    return write_handoff(run.results / FOLDER, labelled(run), {"strategy": "-".join(METHOD), **told})


def labelled(run: Run) -> Iterator[Labelled]:
    """Yield the scored images of U of a finished run with their refined labels and uncertainty."""
    side, masks = run.pair.target, kept_masks(run, METHOD)
    modality, unsure = describe_dataset(side.dataset).modality, run.results / "uncertainty" / "-".join(METHOD)
    for sample in run.scored_images():
        doubt = read_image(unsure / f"{sample.name}.png")
        yield Labelled(
            sample.name, sample.subject, sample.image, masks[sample.name], doubt, side.um_per_px, modality=modality
        )
