"""``chainrule doctor STUDY``: its Trainers and loops, looked at as they run."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from contextlib import redirect_stdout
from typing import Any

from chainrule import recipes
from chainrule.doctor import diagnose
from chainrule.doctor.loops import LoopWatch
from chainrule.doctor.study import StudyDiagnosis
from chainrule.errors import NonFiniteError
from chainrule.recipes import Experiment
from chainrule.text import _, ngettext
from chainrule.text.safe_stderr import Outlet
from chainrule.training import Trainer

#: Stages of a study that are examined, where nobody says.
STAGES = 3
#: What of the options of ``fit`` is the plan of the run.
_PLAN = ("validation", "epochs", "batch_size", "drop_last", "callbacks")


def diagnosed_study(
    name: str,
    *,
    full: bool = False,
    stages: int = STAGES,
    seconds: float | None = None,
    threads: int | None = None,
) -> StudyDiagnosis:
    """Run a study, and examine its first stages as they come.

    A Trainer is diagnosed before it is trained; a loop is looked at between its steps,
    see :mod:`chainrule.doctor.loops`. Nothing is written, and nothing is printed but
    the names of stages, to standard error.

    Args:
        name: of the recipe.
        full: at full settings instead of those of ``--quick``.
        stages: how many are examined. The last of them ends the study: a Trainer before
            it is trained, a loop where the next stage begins.
        seconds: the budget of a Trainer, see :func:`chainrule.diagnose`.
        threads: of the native engine.

    Raises:
        ArgumentError: what the recipe itself refuses, such as a missing package.
    """
    experiment = Experiment(name, quick=not full, threads=threads)
    found = StudyDiagnosis(name, quick=not full)
    experiment.observe(_Examiner(found, stages, seconds, experiment.seed))
    try:
        with redirect_stdout(io.StringIO()):
            recipes.perform(experiment)
    except _Examined:
        found.left = ngettext(
            "The study was ended behind its first stage; --stages examines more.",
            "The study was ended behind its first {n} stages; --stages examines more.",
            n=stages,
        )
    except NonFiniteError as error:
        if not found.stages or found.healthy:
            raise
        found.left = _("The study ended there: {what}", what=error.what)
    except KeyboardInterrupt:
        found.interrupted = True
    return found


class _Examined(BaseException):
    """A signal: as many stages were examined as were asked for."""


class _Examiner:
    """A look at the stages of a study, as they run."""

    def __init__(
        self, found: StudyDiagnosis, stages: int, seconds: float | None, seed: int
    ) -> None:
        self.found, self.stages, self.seconds = found, stages, seconds
        self.seed = seed

    def trainer(
        self, name: str, trainer: Trainer, train: Any, fit: Mapping[str, Any]
    ) -> None:
        """Diagnose a Trainer that is about to be trained."""
        self._begin(name)
        plan = {key: fit[key] for key in _PLAN if key in fit}
        self.found.stages[name] = stage = diagnose(
            trainer, train, seconds=self.seconds, **plan
        )
        if stage.interrupted:
            raise KeyboardInterrupt
        if len(self.found.stages) == self.stages:
            raise _Examined

    def loop(
        self,
        name: str,
        count: int,
        state: Mapping[str, Any],
        steps: Generator[int, None, None],
    ) -> Generator[int, None, None]:
        """Yield the steps of a loop, and look at its state behind each."""
        self._begin(name)
        watch = LoopWatch(state, count, self.seed)
        try:
            for step in steps:
                yield step
                watch.after(step)
        finally:
            steps.close()
            self.found.stages[name] = watch.diagnosis()

    def _begin(self, name: str) -> None:
        if len(self.found.stages) >= self.stages:
            raise _Examined
        Outlet().write(_("examining {name} …", name=name) + "\n")
