"""Recovery of a training loop: its records, and the way back to a snapshot.

A snapshot holds the program's tensors and the state of the run. After an exception the
loop restores the last one; where a number is not finite it replays the steps since then
one by one, to find the faulty one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.engines import Buffer
from chainrule.errors import ArgumentError, CheckpointError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.graph.types import has_floats, numeric
from chainrule.text import _
from chainrule.training import checkpoint
from chainrule.training.checkpoint import strange
from chainrule.training.lock import Files
from chainrule.training.nonfinite import all_finite, describe
from chainrule.training.snapshots import MutableState, Snapshot
from chainrule.training.source import BatchSource
from chainrule.training.state import RunMixin, RunState, copied
from chainrule.util.atomic_files import called
from chainrule.util.validation import place

#: Attempts to restore a snapshot where exceptions interrupt that.
ATTEMPTS = 100


class RecoverableRun(RunMixin):
    """Base class of training loops: records, snapshots, replays and checkpoints.

    Args:
        program, entry, source, state, callbacks, finite: see :class:`Loop`.
    """

    def __init__(
        self,
        program: CompiledProgram,
        entry: str,
        source: BatchSource,
        state: RunState | None,
        callbacks: Iterable[Any],
        finite: Iterable[str],
    ) -> None:
        if entry not in program.traced:
            raise ArgumentError(
                _("The program has no entry point {entry!r}.", entry=entry),
                expected=", ".join(program.traced),
                got=repr(entry),
            )
        self.program, self.entry, self.source = program, entry, source
        self.state = state or RunState()
        self.state.history.entry = entry
        self.callbacks, self.finite = list(callbacks), tuple(finite)
        self.files = Files()
        self._mutable = MutableState(program)
        self._snapshot: Snapshot | None = None
        self._since = 0.0  # seconds, since the last snapshot
        #: By entry, what is recorded of single steps: names, and a row for each.
        self._single: dict[str, tuple[list[str], list[list[Array]]]] = {}

    # -- recording -------------------------------------------------------------------

    def columns(self, entry: str, outputs: Any, steps: int) -> dict[str, Array]:
        """Return the outputs to record: those with one number per training step."""
        columns: dict[str, Array] = {}
        for name, array in _named(outputs).items():
            if array.size == steps and array.ndim <= 1 and numeric(array):
                kind = array.dtype if has_floats(array) else np.float64
                columns[name] = array.reshape(-1).astype(kind, copy=False)
        return columns

    def record(self, entry: str) -> str:
        """Return the name under which the history has an entry point's steps."""
        return entry

    def _gather(self, entry: str, outputs: Any) -> None:
        """Collect a single step's outputs, recorded at the end of the chunk."""
        named = outputs if type(outputs) is dict else _named(outputs)
        if entry not in self._single:
            plain = [k for k, v in named.items() if v.size == 1 and v.ndim <= 1]
            self._single[entry] = plain, []
        plain, rows = self._single[entry]
        rows.append([named[key] for key in plain])

    def _flush(self) -> None:
        """Record the collected outputs of single steps in the history."""
        gathered, self._single = self._single, {}
        for entry, (plain, rows) in gathered.items():
            columns = [
                np.array([np.asarray(number) for number in column]).reshape(-1)
                for column in zip(*rows)
            ]
            self._record(entry, dict(zip(plain, columns)), len(rows))

    def _record(self, entry: str, outputs: Any, steps: int) -> None:
        """Record training steps; if a value is not finite, find the faulty step."""
        columns = self.columns(entry, outputs, steps)
        columns = {name: np.asarray(column) for name, column in columns.items()}
        self.history.extend(columns, self.record(entry))
        if not self._right(columns):
            self._replay()

    def _right(self, columns: Mapping[str, Array]) -> bool:
        return all_finite(*(columns[name] for name in self.finite if name in columns))

    # -- snapshots ---------------------------------------------------------------------

    @property
    def consistent(self) -> bool:
        """A flag of a loop: the program's tensors and the run's state agree."""
        return self._snapshot is None

    def recover(self) -> None:
        """Make a loop's tensors and run state agree again after an interruption.

        A run does it by itself. Where exceptions come so thick that they interrupt
        this too, it is done when the loop is next used.
        """
        for attempt in range(ATTEMPTS):
            try:
                if self._snapshot is not None:
                    self._restore(self._snapshot)
                    self._snapshot = None
                return
            except BaseException:  # of a signal handler, on the way
                if attempt == ATTEMPTS - 1:
                    raise

    def _take_snapshot(self) -> None:
        """Take a snapshot of a loop's tensors and state, checked for NaN."""
        started = time.perf_counter()
        tensors = self._mutable.tensors()
        if self._snapshot is not None and not all_finite(*tensors.values()):
            self._replay()
        self.remember()
        tables, run = self._mutable.attributes(), self.state.snapshot()
        seconds = time.perf_counter() - started
        self._snapshot = Snapshot(tensors, tables, run, seconds)
        self._since = 0.0

    def remember(self) -> None:
        """Put the source's position and the callbacks' states into the run state."""
        self.state.source = self.source.state()
        self.state.save_callbacks(self.callbacks)

    def _restore(self, to: Snapshot) -> None:
        """Restore a loop's snapshot; safe to repeat after an interruption."""
        self._single = {}
        self._mutable.restore(to)
        self.state.restore(to.run)
        self.source.close()
        self.source.load_state(copied(self.state.source))
        self.state.load_callbacks(self.callbacks)

    def _replay(self) -> None:
        """Repeat a loop's steps since its snapshot, to report the faulty step."""
        assert self._snapshot is not None
        state, end = self.state, self.state.updates
        self._restore(self._snapshot)
        while state.updates < end:
            work = self.source.take(state, 1)
            if work is None:
                break
            entry, steps = work.entry or self.entry, work.steps or 1
            outputs = self.program.run(entry, work.inputs, steps=work.steps)
            columns = self.columns(entry, outputs, steps)
            tensors = self._mutable.tensors().values()
            if self._right(columns) and all_finite(*tensors):
                state.step, state.updates = state.step + steps, state.updates + steps
                self.history.extend(columns, self.record(entry))
                self.source.see(work, outputs)
                self._take_snapshot()
                continue
            self._restore(self._snapshot)
            error = describe(
                self.program,
                entry,
                work,
                {k: float(columns[k][-1]) for k in self.finite if k in columns},
                step=_(
                    "step {updates} (epoch {epoch})",
                    updates=state.updates + 1,
                    epoch=state.epoch + 1,
                ),
                checkpoint=self.last_checkpoint,
            )
            raise error
        raise NonFiniteError(
            _(
                "A number stopped being finite before step {updates}.",
                updates=state.updates + 1,
            ),
            expected=_("a run that repeats exactly"),
            got=_("finite numbers when it was repeated from the last snapshot"),
            fix=_("do not change weights in on_chunk; else please report this"),
        )

    # -- as a file -------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a checkpoint of the loop: the program's tensors and the run state.

        Raises:
            SaveError: as for :meth:`Trainer.save`; states that JSON does not have.
        """
        target = place("path", path)
        self.remember()
        self.state.tables = self._mutable.table_states()
        document, arrays = self.state.pack()
        document["entries"] = sorted(self.program.traced)
        arrays |= self._mutable.arrays()  # which all processes fetch together
        checkpoint.write(target, document, arrays, self.files.add)
        self.files.note(target)

    def load(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Restore the loop's tensors and run state from a checkpoint.

        Raises:
            CheckpointError: no checkpoint, truncated, altered, or of another program;
                nothing is changed then.
        """
        where = checkpoint.locate(place("path", path))
        document, arrays = checkpoint.read(where)
        if document.get("entries") != sorted(self.program.traced):
            expected = _(
                "a loop over the entry points {traced}",
                traced=sorted(self.program.traced),
            )
            raise strange(where, expected, repr(document.get("entries")))
        tensors = self._mutable.read(where, arrays)
        state = RunState.unpack(where, document, arrays)
        self._take_snapshot()
        try:
            self._mutable.put(tensors)
            self._mutable.load_tables(state.tables)
            self.source.load_state(copied(state.source))
            state.load_callbacks(self.callbacks)
            state.history.entry = self.entry
            self.state.__dict__.update(vars(state))
        except Exception as e:
            self.recover()
            raise CheckpointError(
                _("{where} does not fit this loop.", where=called(where)),
                expected=_("a checkpoint of the same program, source and callbacks"),
                got=f"{type(e).__name__}: {e}"[:300],
                fix=_("build them as they were when it was written"),
            ) from e
        self._snapshot = None
        self.files.note(where)


def _named(outputs: Any) -> dict[str, Any]:
    """Return an entry point's outputs by name; a single output is the loss."""
    if not isinstance(outputs, Mapping):
        outputs = {} if isinstance(outputs, list | tuple) else {"loss": outputs}
    return {
        name: output if isinstance(output, Buffer) else np.asarray(output)
        for name, output in outputs.items()
    }
