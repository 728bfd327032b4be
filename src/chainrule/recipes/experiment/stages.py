"""Resumable stages of a recipe's run: training loops, networks, results.

A stage that is over is read from the run's directory. One that was cut short goes on
from its last checkpoint, bit for bit: a checkpoint is written between two steps of a
loop, never within one, and holds all that the steps change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import random
from chainrule.errors import CheckpointError, NonFiniteError
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer
from chainrule.recipes.experiment.directory import Directory, as_json, read_json
from chainrule.recipes.experiment.report import Report
from chainrule.tensor import Tensor
from chainrule.text import _, numbers
from chainrule.training import Trainer, checkpoint
from chainrule.training.interrupt import Interrupt
from chainrule.training.lock import Files, RunDirectory
from chainrule.training.nonfinite import all_finite
from chainrule.training.state import copied, with_arrays, without_arrays

#: The name of the default generator of random numbers in a checkpoint.
_RANDOM = "random"


class Stages:
    """The resumable stages of a recipe's run.

    Args:
        directory: where they are stored.
        report: whose printed text a resumed loop prints again.
        every: seconds between two checkpoints.
    """

    def __init__(self, directory: Directory, report: Report, every: float) -> None:
        self.directory, self.report, self.every = directory, report, every
        self._loops: list[Generator[int, None, None]] = []

    def steps(
        self, name: str, count: int, state: Mapping[str, Any]
    ) -> Generator[int, None, None]:
        """Return a resumable training loop's steps; see :meth:`Experiment.steps`."""
        path = self.directory.stage(name)
        loop = (
            _counted(count, state) if path is None else self._saved(path, count, state)
        )
        self._loops.append(loop)
        return loop

    def close(self) -> None:
        """Release directories and signal handlers of training loops that have ended."""
        while self._loops:
            self._loops.pop().close()

    def _saved(
        self, path: Path, count: int, state: Mapping[str, Any]
    ) -> Generator[int, None, None]:
        files, place = Files(), path / checkpoint.FILE
        first, printed = 0, len(self.report.printed)
        if place.exists():
            first, text = _restore(place, state)
            files.note(place)
            print(text, end="")
        with RunDirectory(path, files) as directory, Interrupt() as signals:
            saved = time.monotonic()
            for step in range(first, count):
                yield step
                done = step + 1
                due = done == count or time.monotonic() - saved >= self.every
                if due or signals.pending:
                    text = "".join(self.report.printed[printed:])
                    _save(directory.mine(), done, text, state, files)
                    saved = time.monotonic()
                if signals.pending:
                    raise KeyboardInterrupt

    def fit(
        self, name: str, trainer: Trainer, train: Any, threads: int | None, **fit: Any
    ) -> Trainer:
        """Train a network as a resumable stage; see :meth:`Experiment.fit`."""
        path = self.directory.stage(name)
        if path is None:
            trainer.fit(train, **fit)
            return trainer
        fit |= {"checkpoint": path, "checkpoint_every": self.every}
        if not (path / checkpoint.FILE).exists():
            trainer.fit(train, **fit)
            return trainer
        parts = {"model": trainer.model, "loss": trainer.loss, "threads": threads}
        trainer = Trainer.load(path, metrics=trainer.metrics, **parts)
        if not trainer.finished:
            fixed = {"epochs", "batch_size", "drop_last", "validation_name"}
            trainer.resume(train, **{k: v for k, v in fit.items() if k not in fixed})
        return trainer

    def cached(self, name: str, compute: Callable[[], Any]) -> Any:
        """Compute a stage's result once and store it; see :meth:`Experiment.cached`."""
        path = self.directory.stage(name)
        file = None if path is None else path.with_suffix(".json")
        if file is not None and file.exists():
            return read_json(file)
        text = as_json(numbers.plain(compute()))
        if file is not None:
            self.directory.write(file.name, text.encode())
        return json.loads(text)


def _counted(count: int, state: Mapping[str, Any]) -> Generator[int, None, None]:
    yield from range(count)
    _check_finite(count, {name: _state_of(item) for name, item in state.items()})


# -- the state of a loop ---------------------------------------------------------------


def _state_of(item: Any) -> Any:
    """Return an object's state as JSON values and arrays, for a checkpoint."""
    if isinstance(item, Module | RuleOptimizer):
        return item.state_dict()
    if isinstance(item, np.random.Generator):
        return item.bit_generator.state
    if isinstance(item, Tensor):
        return item.numpy()
    return item if isinstance(item, list | dict | np.ndarray) else item.state()


def _set_state(item: Any, state: Any) -> None:
    """Restore an object's state from a checkpoint, in place."""
    if isinstance(item, Module | RuleOptimizer):
        item.load_state_dict(state)
    elif isinstance(item, np.random.Generator):
        item.bit_generator.state = state
    elif isinstance(item, Tensor):
        item.copy_(state)
    elif isinstance(item, list | dict | np.ndarray):
        shapes = [getattr(x, "shape", type(x).__name__) for x in (item, state)]
        if shapes[0] != shapes[1]:
            raise ValueError("{} ≠ {}".format(*shapes))
        if isinstance(item, dict):  # in the order of the keys that it has already
            restored = {key: state[key] for key in (*item, *state) if key in state}
            item.clear()
            item.update(restored)
        else:
            item[:] = state
    else:
        item.load_state(state)


def _save(
    place: Path, step: int, text: str, state: Mapping[str, Any], files: Files
) -> None:
    """Write a checkpoint of a training loop after ``step`` steps."""
    states = {name: _state_of(item) for name, item in state.items()}
    states[_RANDOM] = random.default_generator.state()
    _check_finite(step, states)
    arrays: dict[str, np.ndarray] = {}
    document = {"step": step, "printed": text}
    document["state"] = without_arrays(states, "state", arrays)
    checkpoint.write(place, document, arrays, files.add)
    files.note(place)


def _restore(place: Path, state: Mapping[str, Any]) -> tuple[int, str]:
    """Restore a training loop's checkpoint; return its step and printed text.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another loop.
    """
    document, arrays = checkpoint.read(place)
    try:
        states = with_arrays(place, document["state"], "state", arrays)
        items = {**state, _RANDOM: random.default_generator}
        if states.keys() != items.keys():
            raise ValueError(", ".join(states))
        for name, item in items.items():
            _set_state(item, copied(states[name]))
        return int(document["step"]), str(document["printed"])
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            _("{where} does not fit this loop.", where=place),
            expected=_("a checkpoint of the same program, source and observers"),
            got=f"{type(error).__name__}: {error}"[:300],
            fix=_("build them as they were when it was written"),
        ) from error


def _check_finite(step: int, states: Mapping[str, Any]) -> None:
    """Refuse to checkpoint a training state with numbers that are not finite.

    Raises:
        NonFiniteError: naming the first object that holds one.
    """
    for name, state in states.items():
        if not all_finite(*_floats(state)):
            raise NonFiniteError(
                _("A number stopped being finite before step {updates}.", updates=step),
                expected=_("finite numbers"),
                got=_("NaN or infinity in {name!r}", name=name),
                fix=_("a smaller learning rate, or clip_norm= of the optimiser"),
            )


def _floats(state: Any) -> list[np.ndarray]:
    """Return the arrays of a training state, and its lists of floats as arrays."""
    if isinstance(state, np.ndarray):
        return [state]
    if isinstance(state, Mapping):
        return [array for part in state.values() for array in _floats(part)]
    if isinstance(state, list):
        plain = [value for value in state if isinstance(value, float)]
        parts = [a for p in state if not isinstance(p, float | int) for a in _floats(p)]
        return [np.array(plain), *parts]
    return []
