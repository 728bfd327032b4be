"""Runs from a TOML file or a recipe: checked, trained, evaluated and used.

    run = runs.load("houses.toml")      # checked: all of its problems
    session = runs.Session.begin(run)   # data, network, Trainer
    session.train()

``chainrule train``, ``new``, ``evaluate`` and ``predict`` are made of this.

- What a file may say: ``schema``, whose sections are pydantic models (``section``);
  ``data_section`` has those of data, ``classes`` makes those of layers, losses … from
  their constructors. ``template`` and ``reference`` are made from the same models.
- From its text to settings: ``file`` reads it, ``messages`` words what pydantic
  refuses, ``places`` knows the lines, ``problems`` is how all of that is told.
- From settings to a run: ``source`` (data), ``building`` and ``network``. A file is the
  origin of a run, as a recipe is in ``recipe``; a ``session`` trains and resumes
  either, ``results`` are what it leaves and tells.
- Afterwards: ``trained`` reads a run, for ``evaluating`` and ``predicting``.
"""

from chainrule.runs.file import RunFile, load, parse
from chainrule.runs.problems import Problem, RunFileError
from chainrule.runs.recipe import FromRecipe
from chainrule.runs.session import Session

__all__ = [
    "FromRecipe",
    "Problem",
    "RunFile",
    "RunFileError",
    "Session",
    "load",
    "parse",
]
