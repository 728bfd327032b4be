"""Resumable stages of a recipe's run: training loops, networks, results.

A stage that is over is read from the run's directory. One that was cut short goes on
from its last checkpoint, bit for bit: a checkpoint is written between two steps of a
loop, never within one, and holds all that the steps change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias

from chainrule.recipes.experiment.directory import Directory, as_json, read_json
from chainrule.recipes.experiment.report import Report
from chainrule.text import numbers
from chainrule.training import Trainer, checkpoint, resumable
from chainrule.util.processes import is_there

Steps: TypeAlias = Generator[int, None, None]


class Observer(Protocol):
    """The interface to what looks at the stages of a study as they run."""

    def trainer(
        self, name: str, trainer: Trainer, train: Any, fit: Mapping[str, Any]
    ) -> None:
        """Look at a Trainer that is about to be trained on data."""

    def loop(
        self, name: str, count: int, state: Mapping[str, Any], steps: Steps
    ) -> Steps:
        """Return the steps of a loop, looked at in between."""
        ...


class Stages:
    """The resumable stages of a recipe's run.

    Args:
        directory: where they are stored.
        report: whose printed text a resumed loop prints again.
        every: seconds between two checkpoints.
    """

    def __init__(self, directory: Directory, report: Report, every: float) -> None:
        self.directory, self.report, self.every = directory, report, every
        self.observer: Observer | None = None
        self._loops: list[Steps] = []

    def steps(self, name: str, count: int, state: Mapping[str, Any]) -> Steps:
        """Return a resumable training loop's steps; see :meth:`Experiment.steps`."""
        before = len(self.report.printed)
        loop = resumable.steps(
            self.directory.stage(name),
            count,
            state,
            every=self.every,
            printed=lambda: "".join(self.report.printed[before:]),
        )
        if self.observer is not None:
            loop = self.observer.loop(name, count, state, loop)
        self._loops.append(loop)
        return loop

    def close(self) -> None:
        """Release directories and signal handlers of training loops that have ended."""
        while self._loops:
            self._loops.pop().close()

    def fit(
        self,
        name: str,
        trainer: Trainer,
        train: Any,
        resources: Mapping[str, Any],
        **fit: Any,
    ) -> Trainer:
        """Train a network as a resumable stage; see :meth:`Experiment.fit`."""
        if self.observer is not None:
            self.observer.trainer(name, trainer, train, fit)
        path = self.directory.stage(name)
        if path is None:
            trainer.fit(train, **fit)
            return trainer
        fit |= {"checkpoint": path, "checkpoint_every": self.every}
        if not is_there((path / checkpoint.FILE).exists()):
            trainer.fit(train, **fit)
            return trainer
        parts = {"model": trainer.model, "loss": trainer.loss, **resources}
        trainer = Trainer.load(path, metrics=trainer.metrics, **parts)
        if not trainer.finished:
            fixed = {"epochs", "batch_size", "drop_last", "validation_name"}
            trainer.resume(train, **{k: v for k, v in fit.items() if k not in fixed})
        return trainer

    def cached(self, name: str, compute: Callable[[], Any]) -> Any:
        """Compute a stage's result once and store it; see :meth:`Experiment.cached`."""
        path = self.directory.stage(name)
        file = None if path is None else path.with_suffix(".json")
        if file is not None and is_there(file.exists()):
            return read_json(file)
        text = as_json(numbers.plain(compute()))
        if file is not None:
            self.directory.write(file.name, text.encode())
        return json.loads(text)
