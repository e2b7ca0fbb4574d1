"""Labels handed to the people who use and correct them, in the formats of their tools; each can be read back exactly.

===========  ==========================================================================================================
`names`      what files are called: BIDS in front, AxonDeepSeg behind
`polygons`   label maps to polygons along pixel edges, and back
`geojson`    polygons for QuPath
`instances`  numbered fibres for napari, Cellpose and Fiji
`dataset`    all of it together, as a BIDS derivative dataset
`of_run`     the refined labels of a finished run, handed off
===========  ==========================================================================================================
"""

from histobridge_label.export.dataset import Handoff, Labelled, edited, read_handoff, write_handoff

__all__ = ["Handoff", "Labelled", "edited", "read_handoff", "write_handoff"]
