"""The commands of the study, thin: each reads its options, calls the library and prints.

===========  ==========================================
`data`       fetch, data
`verify`     verify
`study`      study, report, and one notebook (for jobs)
`results`    recommend, handoff, publish, notebooks
===========  ==========================================
"""

from histobridge_study.cli import data, results, study, verify

__all__ = ["data", "results", "study", "verify"]
