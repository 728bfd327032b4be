"""The supervised loop of a Trainer: batches, training steps, validation each epoch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from chainrule.data import Column, Dataset, Stream
from chainrule.data.adapter import as_data
from chainrule.graph.node import Array
from chainrule.text import _
from chainrule.training import checks
from chainrule.training import progress as displays
from chainrule.training.callbacks import as_callbacks
from chainrule.training.data_adapter import DataAdapter
from chainrule.training.loop import Loop
from chainrule.training.programs import Programs
from chainrule.training.state import Plan, RunState
from chainrule.util import processes
from chainrule.util.processes import is_writer
from chainrule.util.validation import truth


class Supervised(Loop):
    """The training loop of one call of a Trainer's ``fit`` or ``resume``.

    Args:
        trainer: whose run it is; callbacks get it.
        programs: compile what the run takes.
        adapter: the training data.
        state: where the run stands; its plan says how far it goes.
        begin: what is to be done once nothing is refused any more; nothing has changed
            before.
        validation: data to evaluate after each epoch, or None.
        callbacks: in the order in which they are called.
        progress: False for no display.

    Raises:
        ArgumentError: callbacks, a schedule or validation data that cannot be.
        ShapeError: data that do not fit the model.
    """

    def __init__(
        self,
        trainer: Any,
        programs: Programs,
        adapter: DataAdapter,
        state: RunState,
        begin: Callable[[Loop], None],
        validation: Any,
        callbacks: Any,
        progress: bool | None,
    ) -> None:
        called = [c for c in as_callbacks(callbacks) if c.everywhere or is_writer()]
        checked = None if validation is None else as_data(validation, state.plan)
        if checked is not None:
            checks.same_scale(adapter.kinds.scales, checked)
        program = programs.fit_program(adapter, checked)
        columns = programs.columns(checked)
        checks.monitors(trainer.optimizer, columns)
        if progress is not False and is_writer():
            called.append(displays.display())
        for callback in called:
            callback.check(columns)
        super().__init__(program, "train", adapter, state, called)
        self.trainer, self.adapter, self.validation = trainer, adapter, checked
        self._begin, self.files, self._programs = begin, trainer.files, programs

    @property
    def face(self) -> Any:
        return self.trainer

    @property
    def plan(self) -> Plan:
        """The plan of the training run: its epochs, batches and data."""
        assert self.state.plan is not None
        return self.state.plan

    def begin(self) -> None:
        settings = {**vars(self.plan), "seed": self.trainer.seed}
        data = f"{settings.pop('checksum'):08x}"
        named = {
            _("{name} of the run", name=name): f"{value!r}"
            for name, value in settings.items()
        }
        processes.require_same(
            {_("the training data"): data, **named},
            _("give all processes the same data, and the same settings of the run"),
        )
        self._begin(self)

    def _chunk(self) -> bool:
        self._programs.refuse_changed()
        return super()._chunk()

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        self.trainer.save(path)

    def columns(self, entry: str, outputs: Any, steps: int) -> dict[str, Array]:
        trainer = self.trainer
        if trainer.probes.wants("lr"):
            end, rate = trainer.optimizer.steps, trainer.optimizer.schedule
            made = range(end - steps, end) if entry == "train" else [end] * steps
            return {**outputs, "lr": np.array([rate(t) for t in made])}
        return outputs

    def record(self, entry: str) -> str:
        return "train"  # those that only add up gradients too

    def row(self) -> dict[str, Any]:
        trainer, rows = self.trainer, self.adapter.epoch_rows
        if self.plan.rows != rows:  # a stream's length shows at its end
            self.state.plan = replace(self.plan, rows=rows)
        objective, sizes = trainer.objective, self.plan.sizes(rows)
        steps = self.history.steps
        losses = {p.prefix: p.train_loss(steps, sizes) for p in objective.parts}
        row: dict[str, Any] = {"epoch": self.state.epoch + 1}
        row |= objective.together(losses, "train_loss")
        if self.validation is not None:
            for key, value in trainer.evaluate(self.validation).items():
                if isinstance(value, int | float):
                    row[f"validation_{key}"] = value
        row["lr"] = trainer.optimizer.schedule(trainer.optimizer.steps - 1)
        return row | {"seconds": self.state.seconds}


def watched(
    doctor: Any, data: Dataset | Stream, callbacks: Any
) -> tuple[Any, list[Any]]:
    """Return a run's callbacks, with the doctor's where it watches, and its findings.

    Raises:
        ArgumentError: ``doctor`` is no truth value; callbacks that are none.
    """
    if not truth("doctor", doctor):
        return callbacks, []
    from chainrule.doctor.live import Watch  # which few runs need

    x = data.x if isinstance(data, Dataset) else None
    watch = Watch(rows=x if isinstance(x, Column) else None)
    return [*as_callbacks(callbacks), watch], watch.findings
