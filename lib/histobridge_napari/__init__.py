"""The napari plugin: walk through the doubtful places of a hand-off, correct them, and let the model learn.

==============  =====================================================================================================
`napari.yaml`   the manifest of the plugin
`reader`        a hand-off, or a single mask, as layers (`layers`)
`writer`        the layer of classes as a mask file
`review`        which tiles of a hand-off were looked at, kept beside the corrections
`corrections`   corrected masks, where `histobridge import` finds them
`session`       a viewer that shows the tiles one after another
`jobs`          `histobridge import --finetune` and `histobridge apply` in the background
`review_panel`  the upper part of the dock widget: tiles, keys, progress
`jobs_panel`    the lower part: learn and apply
`dock`          the dock widget of both
`display`       whether windows can be shown here
`cli`           the command `histobridge review`
==============  =====================================================================================================

`review` and `corrections` know neither napari nor Qt.
"""
