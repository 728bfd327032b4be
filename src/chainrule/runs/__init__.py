"""Runs from a TOML file: read, checked, trained, evaluated and used.

    run = runs.load("houses.toml")       # checked, or all of its problems at once
    session = runs.begin(run)            # data, network and Trainer, ready to go

``chainrule train``, ``new``, ``evaluate`` and ``predict`` are made of this.

The way of a file, module by module:

- what a file may say: ``schema`` (all sections; ``data_section`` is one of them), made
  of ``section`` (sections and keys), ``values`` (kinds of values) and ``classes``
  (layers, losses … and their options, read off their constructors);
- from its text to settings: ``file`` reads it, ``checking`` holds it against the
  schema, ``consistency`` looks at what keys say together, ``places`` knows the lines,
  ``problems`` is how all of that is told;
- from settings to a run: ``source`` (data), ``making`` and ``network`` (objects),
  ``building`` (all of it together), ``session`` (trains, resumes), ``results`` (the
  files that are left);
- afterwards: ``trained`` reads a run, for ``evaluating`` and ``predicting``;
- made from the schema: ``template`` and ``starting`` (``chainrule new``), and
  ``reference`` (``docs/run-files.md``).

``recipe`` runs the recipes, which need no file.
"""

from chainrule.runs.building import build
from chainrule.runs.file import RunFile, load, parse
from chainrule.runs.problems import Problem, RunFileError
from chainrule.runs.session import Session, begin

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
