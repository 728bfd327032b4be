"""Runs from a TOML file: read, checked, trained, evaluated and used.

    run = runs.load("houses.toml")       # checked, or all of its problems at once
    session = runs.begin(run)            # data, network and Trainer, ready to go

``chainrule train``, ``new``, ``evaluate`` and ``predict`` are made of this.
"""

from chainrule.runs.file import RunFile, load, parse
from chainrule.runs.problems import Problem, RunFileError
from chainrule.runs.session import Session, begin, build

__all__ = [
    "Problem",
    "RunFile",
    "RunFileError",
    "Session",
    "begin",
    "build",
    "load",
    "parse",
]
