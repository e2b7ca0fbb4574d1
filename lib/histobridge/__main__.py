"""`python -m histobridge`, which jobs of the study use: it needs no script on the path."""

from histobridge.cli import main

main()
