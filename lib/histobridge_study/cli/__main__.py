"""`python -m histobridge_study.cli`, which jobs of the study use: it needs no script on the path."""

from histobridge_study.cli import main

main()
