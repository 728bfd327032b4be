"""Data sources of a training loop: they give inputs to steps and get the outputs.

A data set, a stream, a replay buffer or an environment is a :class:`BatchSource`. It
returns :class:`StepInputs`: inputs for some steps of an entry point of the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.memory import fingerprint
from chainrule.engines import Parts
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.node import Array
from chainrule.text import _, joined, ngettext
from chainrule.util import processes
from chainrule.util.keywords import strict
from chainrule.util.validation import whole

if TYPE_CHECKING:
    from chainrule.compilation.program import CompiledProgram
    from chainrule.training.state import RunState


@dataclass(frozen=True)
class StepInputs:
    """The inputs of one or more steps of a training loop, for one entry point.

    Attributes:
        inputs: an array for each input of the entry point.
        steps: how many steps; inputs that differ from step to step have that many
            rows, and so has every output. None: one step, without the stacking.
        entry: the entry point; None for that of the loop.
        last: whether the epoch ends with these steps.
        snapshot: whether the inputs before these cannot be produced again: the loop
            takes a snapshot after these steps, and never goes back behind it.
    """

    inputs: Mapping[str, Any]
    steps: int | None = None
    entry: str | None = None
    last: bool = False
    snapshot: bool = False


class BatchSource:
    """Base class of a training loop's data sources; a subclass defines ``take``.

    A run that was interrupted goes on bit for bit where the same position and the same
    state of the source always give the same work. What a source has gathered or drawn
    is its state: it is part of snapshots and checkpoints. A source that depends on
    ``state.epoch`` and ``state.step`` alone has none.

    >>> import numpy as np
    >>> class Rows(BatchSource):
    ...     def __init__(self, x):
    ...         self.x = x
    ...     def take(self, state, most):
    ...         left = len(self.x) - state.step
    ...         count = min(most, left)
    ...         rows = self.x[state.step : state.step + count]
    ...         return StepInputs({"x": rows}, steps=count, last=count == left)
    >>> from chainrule.training import RunState
    >>> work = Rows(np.arange(3.0)).take(RunState(step=1), most=5)
    >>> work.inputs, work.steps, work.last
    ({'x': array([1., 2.])}, 2, True)
    """

    def bind(self, program: CompiledProgram) -> None:
        """Prepare the data source for a run of a compiled program."""

    def take(self, state: RunState, most: int) -> StepInputs | None:
        """Return the inputs of the loop's next steps; None at the end of the epoch.

        Args:
            state: ``state.epoch`` and ``state.step`` say where the run stands.
            most: steps that make up about 50 ms.
        """
        raise ArgumentError(
            _("{kind} has no take().", kind=type(self).__name__),
            expected=_(
                "a method take(self, state, most) → StepInputs, or None at the end "
                "of an epoch"
            ),
            fix=_("define it in the class"),
        )

    def see(self, work: StepInputs, outputs: Any) -> None:
        """Receive a step's outputs, such as actions for an environment."""

    def state(self) -> dict[str, Any]:
        """Return the data source's state for a checkpoint: JSON values and arrays."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the data source's state that ``state`` returned; empty: a new run."""

    def close(self) -> None:
        """Release the data source's threads and files, after a run."""


@strict
class Batches(BatchSource):
    """A training loop's source of batches of array rows, shuffled for each epoch.

    The order depends on the seed and the number of the epoch alone, so there is no
    state. Rows that fill no batch are left out of their epoch.

    Args:
        rows: arrays with one row for each sample, by the names of the inputs that get
            them; those are among ``each`` of :func:`compile_program`.
        batch_size: rows a step.
        seed: of the order.

    Raises:
        ShapeError: arrays of different lengths.
        ArgumentError: fewer rows than a batch.

    >>> from chainrule.training import RunState
    >>> source = Batches({"x": np.arange(5.0)}, 2, seed=0)
    >>> work = source.take(RunState(), most=8)
    >>> work.inputs["x"].shape, work.steps, work.last
    ((2, 2), 2, True)
    """

    def __init__(
        self, rows: Mapping[str, np.ndarray], batch_size: int, seed: int = 0
    ) -> None:
        self.rows = {name: np.asarray(array) for name, array in rows.items()}
        self.batch_size, self.seed = whole("batch_size", batch_size), seed
        lengths = {name: len(array) for name, array in self.rows.items()}
        if len(set(lengths.values())) != 1:
            raise ShapeError(
                _("The arrays of Batches go together row by row."),
                expected=_("arrays of one length"),
                got=joined(
                    ", ",
                    [
                        ngettext("{name}: {n} row", "{name}: {n} rows", n=n, name=name)
                        for name, n in lengths.items()
                    ],
                ),
            )
        self.count = next(iter(lengths.values()))
        if self.count < self.batch_size:
            raise ArgumentError(
                _("There are fewer rows than one batch takes."),
                expected=f"batch_size ≤ {self.count}",
                got=f"batch_size={batch_size}",
            )
        self._epoch, self._order = -1, np.arange(0)

    def bind(self, program: CompiledProgram) -> None:
        """Compare the rows with those of the other processes, where there are some."""
        if processes.count() > 1:
            rows = {
                _("the rows of {name!r}", name=name): f"{fingerprint(array):08x}"
                for name, array in self.rows.items()
            }
            processes.require_same(
                rows, _("give Batches the same rows in each process")
            )

    def take(self, state: RunState, most: int) -> StepInputs:
        """Return the next batches of the epoch as inputs of training steps."""
        if state.epoch != self._epoch:
            draw = np.random.default_rng([self.seed, state.epoch])
            self._epoch, self._order = state.epoch, draw.permutation(self.count)
        size, all_steps = self.batch_size, self.count // self.batch_size
        steps = min(most, all_steps - state.step)
        chosen = self._order[state.step * size : (state.step + steps) * size]
        index = chosen.reshape(steps, size)
        note = f"{self.seed} {state.epoch} {state.step}"
        several, inputs = processes.count() > 1, dict[str, Any]()
        for name, array in self.rows.items():
            inputs[name] = gathered(array, index, note) if several else array[index]
        return StepInputs(inputs, steps=steps, last=state.step + steps == all_steps)


def gathered(array: Array, index: Array, note: str) -> Parts:
    """Return the rows of an array for some steps, to be read as they are needed.

    Args:
        array: the rows of this process.
        index: of each step the rows; −1 for those of other processes.
        note: see :class:`~chainrule.engines.contract.Parts`.
    """

    def read(where: tuple[slice, ...]) -> Array:
        steps, rows, *rest = where
        chosen = index[steps, rows]
        if np.any(chosen < 0):
            raise IndexError("rows of another process")
        return array[chosen][(slice(None), slice(None), *rest)]

    shape = (*index.shape, *array.shape[1:])
    return Parts(shape, array.dtype, read, note, bool((index >= 0).all()))
