"""No strategy depends on a mask of U, and no inductive translator on the images that it is scored on.

The code cells of the notebooks are run in this process, so that masks and images can be replaced by noise.
"""
