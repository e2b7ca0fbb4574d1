"""How fast is this machine, and how near does the code come to what it could do? `make bench` measures both in one run.

Seconds differ from machine to machine, so that every stage is told as a share of the arithmetic that the same machine
reaches on one large convolution, and as a multiple of the same network without bfloat16, channels last and fused
optimisers. Each stage runs in a process of its own: its peak memory is its own.

=========  ==============================================================================
`clock`    what is timed how
`peaks`    what the machine can do: matrix products and convolutions, bfloat16 and float32
`stages`   training, translation, prediction, data, metrics
`growth`   the same against the size of an image, the number of images and of jobs
=========  ==============================================================================
"""

from histobridge_study.bench.run import benchmark

__all__ = ["benchmark"]
