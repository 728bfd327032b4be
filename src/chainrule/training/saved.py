"""The part of the Trainer that saves, loads and copies it and its last run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any, BinaryIO, Self

from chainrule.engines import EngineName, resolve_engine
from chainrule.engines.spread import Axes, Devices
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer
from chainrule.training import checkpoint, saving
from chainrule.training.loop import Loop
from chainrule.training.state import Plan, RunMixin, RunState
from chainrule.util.keywords import strict
from chainrule.util.validation import place


@strict
class SavedTrainer(RunMixin):
    """Base class of the Trainer: its run's plan, checkpoints and copies."""

    engine: str
    optimizer: RuleOptimizer
    _loop: Loop | None

    def _recover(self) -> None:
        """Make the Trainer's weights and position agree after an interrupted run."""
        if self._loop is not None and not self._loop.running:
            self._loop.recover()
            self._loop = None

    def _begin(self) -> None:
        """Reset the Trainer's programs, known checkpoint files and current run."""
        raise NotImplementedError

    @property
    def plan(self) -> Plan | None:
        """The settings (plan) of the Trainer's last run, or None before the first."""
        return self.state.plan

    @property
    def notes(self) -> dict[str, Any]:
        """A dictionary of the user's JSON data, saved in the Trainer's checkpoints."""
        return self.state.notes

    @notes.setter
    def notes(self, notes: dict[str, Any]) -> None:
        self.state.notes = notes

    @property
    def class_names(self) -> tuple[str, ...] | Any:
        """The names of the classes in the Trainer's training data."""
        return self.plan and self.plan.class_names

    @property
    def feature_names(self) -> tuple[str, ...] | Any:
        """The names of the feature columns in the Trainer's training data."""
        return self.plan and self.plan.feature_names

    @property
    def format(self) -> dict[str, Any] | Any:
        """The file format of the Trainer's training data, for ``data.read``."""
        return self.plan and self.plan.format

    @property
    def scales(self) -> dict[str, float] | None:
        """The factors by which the Trainer's training data are scaled to features.

        By the names of the inputs that have one: ``"x"``, of several ``"x.image"``.
        """
        return self.plan and self.plan.scales

    @property
    def finished(self) -> bool:
        """A flag of the Trainer: its last run has reached its end."""
        return self.plan is not None and self.epoch >= self.plan.end

    # -- saving ----------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a checkpoint of the Trainer: weights, optimiser, position, history.

        The file is a safetensors file with a JSON document and a SHA-256 in its header;
        it holds no code.

        Raises:
            SaveError: no space, no permission, no such directory. What was at ``path``
                is unharmed.

        Args:
            path: of the file; or a file that is open for bytes, at its position.
        """
        target = place("path", path)
        self._recover()
        if self._loop is not None:
            self._loop.remember()
        document, tensors = saving.pack(self)
        checkpoint.write(target, document, tensors, self.files.add)
        self.files.note(target)

    def set_position(self, state: RunState, steps: int, path: checkpoint.Place) -> None:
        """Set the Trainer's position in its run, from a loaded checkpoint.

        Args:
            state: where the run stands.
            steps: the updates of the optimiser.
            path: of the checkpoint.
        """
        self.state = state
        self.optimizer.steps = steps
        self.files.note(path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | BinaryIO,
        *,
        model: Module | None = None,
        loss: Any = None,
        loss_weights: Any = None,
        optimizer: RuleOptimizer | None = None,
        metrics: Any = None,
        batch_transform: Any = None,
        probes: str | Iterable[str] | None = None,
        engine: EngineName | None = None,
        threads: int | None = None,
        devices: Devices | None = None,
        mesh: Mapping[str, int] | None = None,
        sharding: Mapping[str, Axes] | None = None,
    ) -> Self:
        """Load a Trainer from its checkpoint, at the saved position of its run.

        Args:
            path: a file that ``save`` wrote, open or not, or the directory of a run.
            model: needed where the network is not made of ``chainrule.nn`` modules
                alone; it takes over the weights.
            loss: needed for a loss of your own; of several outputs all of them.
            loss_weights: other weights than the saved ones, which also count for
                losses of the same outputs that are passed.
            optimizer: needed for an optimiser of your own.
            metrics: needed for metrics of your own.
            batch_transform: needed for one of your own.
            probes: other probes than the saved ones.
            engine: another engine than the saved one; its results may differ in the
                last bits.
            threads, devices, mesh, sharding: see :class:`Trainer`. A checkpoint is
                the same whatever it was written on, and runs on any number of devices.

        Raises:
            CheckpointError: no checkpoint, truncated, altered, of another version or
                of another architecture; nothing is changed then.
        """
        where = place("path", path)
        arguments = {"model": model, "loss": loss, "loss_weights": loss_weights}
        arguments |= {"optimizer": optimizer, "metrics": metrics, "probes": probes}
        arguments["batch_transform"] = batch_transform
        resources = {"threads": threads, "devices": devices, "mesh": mesh}
        make = partial(cls, **resources, sharding=sharding)
        return saving.load(checkpoint.locate(where), make, arguments, engine)

    def __getstate__(self) -> dict[str, Any]:
        """Return the Trainer's pickled state, for copies that continue bit for bit.

        ``copy.deepcopy`` and ``pickle`` take it. A copy has its own model, optimiser
        and position, and knows no checkpoint of this one.
        """
        self._recover()
        if self._loop is not None:
            self._loop.remember()
        left_out = ("_programs", "files", "_loop")
        return {k: v for k, v in self.__dict__.items() if k not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        resolve_engine(self.engine)  # which may not run here
        self._begin()

    def __reduce_ex__(self, protocol: Any) -> Any:
        saving.check_pickles(self)
        return super().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copy = memo[id(self)] = object.__new__(type(self))
        copy.__setstate__(deepcopy(self.__getstate__(), memo))
        return copy
