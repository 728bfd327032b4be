"""The infrastructure of a recipe's run: directory, stages, report, references.

experiment    the object that a lesson is called with
stages        training loops, networks and results that outlive a kill
directory     the files of a run, and who may write them
report        printed text and pictures, as they become a page
packages      optional packages, and the data that they carry
references    figures of the literature
settings      the check of a run's stored settings
"""

from chainrule.recipes.experiment.directory import RESULTS, SETTINGS
from chainrule.recipes.experiment.experiment import Experiment, quick_note, report_note
from chainrule.recipes.experiment.references import Reference, compared, worded

__all__ = [
    "RESULTS",
    "SETTINGS",
    "Experiment",
    "Reference",
    "compared",
    "quick_note",
    "report_note",
    "worded",
]
