"""The hand-off: labels in the formats of annotation tools, from which each mask can be read back exactly.

===========  ==========================================================================================================
`names`      file names: BIDS in front, AxonDeepSeg behind
`geojson`    polygons for QuPath, which `qupath/qupath.groovy` imports and exports
`rois`       ROIs for Fiji
`instances`  numbered fibres for napari, Cellpose and Fiji
`bids`       the files that a BIDS derivative dataset needs at its top
`write`      write a hand-off: all of the above for every image
`earlier`    an earlier hand-off in the same folder makes room
`read`       read a hand-off, and find the files that were edited since
===========  ==========================================================================================================
"""

from histobridge_label.export.read import Handoff, edited_files, is_handoff, read_handoff, read_provenance
from histobridge_label.export.write import Labelled, complete_handoff, write_handoff

__all__ = [
    "Handoff",
    "Labelled",
    "complete_handoff",
    "edited_files",
    "is_handoff",
    "read_handoff",
    "read_provenance",
    "write_handoff",
]
