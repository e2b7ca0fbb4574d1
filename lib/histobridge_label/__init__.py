"""Images of one's own: from a folder of a new microscope to masks that can be corrected.

=============  ================================================================================================
`pixel_size`   what files say about the size of their pixels
`looking`      which images there are, what is odd about them, and which cannot be used
`scale`        the pixel size at which they are like the labelled images
`workspace`    a folder that is a study of one pair, for all the rest of the library
`training`     the models of that study
`model`        what labels further images, in a folder of its own
`labelling`    labels and uncertainty of images, at their own pixel size, handed off and measured
`page`         what was seen and made, on one page that needs nothing else
=============  ================================================================================================
"""
