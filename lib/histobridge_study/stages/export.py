"""The refined labels of a finished run as a hand-off for annotators."""

from __future__ import annotations

from collections.abc import Iterator

from histobridge_label.export import Handoff, Labelled, write_handoff
from histobridge_study.record import HANDOFF
from histobridge_study.runs import Run
from histobridge_study.stages.label import read_labels
from histobridge_study.stages.refine import STAGE, labelled_method, read_uncertainty


def hand_off_run(run: Run) -> Handoff:
    """Write the images of U of a finished run with their refined labels, at the pixel size of the pair.

    The hand-off lies in the folder of the stage. One that is there is written anew, unless its files were edited.

    Raises
    ------
    UserError
        If files of an earlier hand-off were edited, or the folder cannot be written.
    """
    stage = run.stage(STAGE)
    provenance = {"strategy": "-".join(labelled_method(run)), **stage.record()["provenance"]}
    return write_handoff(stage.folder / HANDOFF, labelled_images(run), provenance)


def labelled_images(run: Run) -> Iterator[Labelled]:
    """Yield the scored images of U of a finished run with their refined labels and uncertainty."""
    masks, unsure = read_labels(run.stage(STAGE))[labelled_method(run)], read_uncertainty(run)
    for sample in run.data.scored_images:
        image = sample.name, sample.subject, sample.image, masks[sample.name], unsure[sample.name]
        yield Labelled(*image, run.pair.target.um_per_px, modality=run.data.target.modality)
