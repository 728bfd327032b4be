"""Training runs from a TOML file or a recipe: checked, trained, evaluated, used.

    run = runs.load("houses.toml")      # checked: all of its problems
    session = runs.Session.begin(run)   # data, network, Trainer
    session.train()

``chainrule train``, ``new``, ``evaluate`` and ``predict`` call this package.

- The format of a file: ``schema``, whose sections are pydantic models (``section``),
  with ``data_section`` and ``layers``. ``classes`` derives the sections of layers,
  losses, optimisers … from their constructors. ``template`` and ``reference`` are
  generated from the same models.
- From a text to settings: ``toml`` parses it and finds the lines of keys, ``file``
  checks it, ``messages`` words what is refused as ``problems``.
- From settings to a run: ``source`` (data), ``building`` and ``network``. A file is the
  origin of a run, and so is a recipe (``recipe``). A ``session`` trains and resumes
  either; ``results`` writes its files and its summary.
- Afterwards: ``trained`` loads a run for ``evaluating``, ``predicting`` and
  ``explaining``; ``diagnosing`` examines what a file, a recipe or a run describes.

Nothing here reads the command line; ``chainrule.cli`` does.
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
