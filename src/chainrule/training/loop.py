"""The training loop: steps of any compiled program in chunks, safe to interrupt.

It knows neither models nor losses nor optimisers. What it moves on is a pair: the
program's tensors and a :class:`RunState`. From time to time it keeps a snapshot of
both, and whatever exception comes, at any moment, it goes back to the last one: so
state and position always fit together, and a run that goes on from there is bit for
bit the run that was not interrupted. How long the chunks are changes nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.errors import ArgumentError, CheckpointError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.optim import Optimizer
from chainrule.text import _
from chainrule.training import checkpoint
from chainrule.training.checkpoint import strange
from chainrule.training.history import History
from chainrule.training.interrupt import Interrupt
from chainrule.training.lock import Files, RunDirectory
from chainrule.training.nonfinite import all_finite, describe
from chainrule.training.snapshots import MutableState, Snapshot
from chainrule.training.source import Source
from chainrule.training.state import RunMixin, RunState, copied
from chainrule.util.atomic_files import called
from chainrule.util.keywords import strict
from chainrule.util.validation import count, maybe, number, path, place

#: Seconds that a chunk should take: short enough for Ctrl-C and a progress bar.
CHUNK = 0.05
#: A snapshot of the state may cost this share of the time since the last one.
SHARE = 0.01
#: So often going back is begun again where exceptions interrupt it.
ATTEMPTS = 100


@strict
class Loop(RunMixin):
    """A loop that runs the entry points of a compiled program on a source's work.

    Args:
        program: the program.
        entry: the entry point that runs where the work names no other.
        source: where the inputs come from, a :class:`Source`.
        state: where the run stands; a new one by default.
        observers: what is called between the chunks: see :class:`Callback`, whose
            methods get the loop where they get the Trainer under ``fit``.
        finite: the outputs that must be finite numbers; where one is not, the step is
            found and undone.

    Every output that is one number a step is recorded in ``history``, under its name
    in the dictionary that the entry point returns (``loss`` if it returns nothing
    else).

    Attributes:
        state: the :class:`RunState`.
        running: whether ``run`` is at work.
        signals: notes Ctrl-C, SIGTERM and SIGHUP while it is.

    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> from chainrule.compilation.program import CompiledProgram
    >>> from chainrule.graph.types import ArrayType, DType
    >>> from chainrule.compilation.tracing import Input, trace_entry
    >>> from chainrule.training import Loop, Source, Work
    >>> w = cr.tensor([4.0], requires_grad=True)
    >>> sgd = optim.SGD([w], lr=0.1)
    >>> def step(x):
    ...     loss = ((w - x) ** 2).sum()
    ...     sgd.zero_grad()
    ...     loss.backward()
    ...     sgd.step()
    ...     return {"loss": loss}
    >>> x = Input("x", ArrayType((1,), DType.float32), each=True)
    >>> program = CompiledProgram([trace_entry("train", step, [x])], engine="numpy")
    >>> class Ones(Source):
    ...     def take(self, state, most):
    ...         steps = min(most, 20 - state.step)
    ...         x = {"x": np.ones((steps, 1), "f4")}
    ...         return Work(x, steps) if steps else None
    >>> loop = Loop(program, "train", Ones())
    >>> history = loop.run(epochs=2)
    >>> [round(row["train_loss"], 3) for row in history.epochs]
    [1.25, 0.0]
    >>> loop.state.updates, round(w.item(), 3)
    (40, 1.0)
    """

    def __init__(
        self,
        program: CompiledProgram,
        entry: str,
        source: Source,
        state: RunState | None = None,
        observers: Iterable[Any] = (),
        *,
        finite: Iterable[str] = ("loss",),
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
        self.observers, self.finite = list(observers), tuple(finite)
        self.files = Files()
        self._changing = MutableState(program)
        self._pace = 1  # steps that make a chunk: measured
        self._kept: Snapshot | None = None
        self._since = 0.0  # seconds, since the last snapshot
        #: By entry, what is recorded of single steps: names, and a row for each.
        self._single: dict[str, tuple[list[str], list[list[Array]]]] = {}
        self.signals = Interrupt()
        self.running = self._stopping = False
        self._end: list[float] = [math.inf, math.inf]
        self._directory: RunDirectory | None = None

    # -- what observers see ----------------------------------------------------------

    @property
    def face(self) -> Any:
        """The object that callbacks (observers) get as argument."""
        return self

    @property
    def finished(self) -> bool:
        """A flag: the requested number of epochs or updates is reached."""
        epochs, updates = self._end
        return self.state.epoch >= epochs or self.state.updates >= updates

    def stop(self) -> None:
        """End the run after the current chunk of steps; for callbacks (observers)."""
        self._stopping = True

    # -- running ---------------------------------------------------------------------

    def run(
        self,
        *,
        epochs: int | None = None,
        updates: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
    ) -> History:
        """Run the loop until a total number of epochs or updates is reached.

        Args:
            epochs: over the life of the state, so that a run that was interrupted is
                finished by the same call.
            updates: likewise, steps of all entry points.
            checkpoint, checkpoint_every: as in :meth:`Trainer.fit`.

        Returns:
            The history.

        Raises:
            NonFiniteError: an output or a state stopped being a finite number; the
                state is that of before the step.
            ArgumentError: no length; another run's directory.
            SaveError, KeyboardInterrupt: as in :meth:`Trainer.fit`.

        Whatever else is raised, by a signal handler, an observer or the source, comes
        out as it is; tensors and state are then those of the last snapshot, a few
        chunks ago at most, and ``run`` goes on from there.
        """
        if self.running:
            raise ArgumentError(
                _("A run of this loop is going on."),
                expected=_("run when it has ended"),
                got=_("a call within it, from an observer or the source"),
                fix=_("loop.stop(), and the next run after this one has returned"),
            )
        if epochs is None and updates is None:
            raise ArgumentError(
                _("A loop needs to know when to end."),
                expected=_("epochs=… or updates=…"),
                got=_("neither"),
                fix="loop.run(epochs=10)",
            )
        self.settle()
        ends = ("epochs", epochs), ("updates", updates)
        self._end = [math.inf if n is None else count(name, n) for name, n in ends]
        every = number("checkpoint_every", checkpoint_every, least=0, infinite=True)
        directory = maybe(path)("checkpoint", checkpoint)
        self._stopping = False
        with self.signals, ExitStack() as stack:
            try:
                self.running = True
                self._start(stack, directory)
                while not (self.finished or self._stopping or self.signals.pending):
                    self._epoch(every)
                self._kept = None
                if self.signals.pending:
                    raise KeyboardInterrupt
            except BaseException:
                self.settle()
                raise
            finally:
                self.running = False
        return self.state.history

    def _start(self, stack: ExitStack, directory: Path | None) -> None:
        self._directory = None
        if directory is not None:
            self._directory = RunDirectory(directory, self.files)
            stack.enter_context(self._directory)
        stack.callback(self.source.close)
        self.begin()
        self.source.bind(self.program)
        self._keep()
        for observer in self.observers:
            observer.on_start(self.face)
            stack.push(partial(_end, observer, self.face))
        self._save()

    def _epoch(self, every: float) -> None:
        """Run the rest of an epoch and its end, unless the run is stopped earlier."""
        state, saved, ended = self.state, time.monotonic(), False
        while not ended:
            before = state.updates
            ended = self._chunk()
            if state.updates > before:
                for observer in self.observers:
                    observer.on_chunk(self.face)
            if self._stopping or self.signals.pending or self.finished:
                break
            if not ended and time.monotonic() > saved + every:
                self._save()
                saved = time.monotonic()
        if ended and not self.signals.pending:
            if self.observers:
                self._keep()  # they may change weights, and are not called twice
            self._finish_epoch()
        self._keep()  # a replay does not cross the end of an epoch
        self._save()

    def _finish_epoch(self) -> None:
        """Record the epoch's row, advance to the next epoch, call the observers."""
        state, face = self.state, self.face
        row = self.row()
        state.history.epochs.append(row)
        for table in self._changing.tables:
            if isinstance(table, Optimizer):
                table.observe(row)
        state.starts = dict(state.history.mark()[1])
        state.epoch, state.step, state.seconds = state.epoch + 1, 0, 0.0
        for observer in self.observers:
            observer.on_epoch(face)
        if self.finished or self._stopping:
            for observer in self.observers:
                observer.on_finish(face)

    def _save(self) -> None:
        if self._directory is not None:
            self.save(self._directory.mine())

    # -- for kinds of loops ----------------------------------------------------------

    def begin(self) -> None:
        """Run just before the first step of a run, after all checks."""

    def row(self) -> dict[str, Any]:
        """Return the history row of an epoch: the mean of each output that is checked.

        The means are called ``ENTRY_NAME``, such as ``train_loss``.
        """
        row: dict[str, Any] = {"epoch": self.state.epoch + 1}
        for entry in self.history.entries:
            start = self.state.starts.get(entry, 0)
            for name, column in self.history.steps_of(entry).items():
                if name in self.finite and len(column) > start:
                    mean = column[start:].mean(dtype=np.float64)
                    row[f"{entry}_{name}"] = float(mean)
        return row | {"seconds": self.state.seconds}

    def columns(self, entry: str, outputs: Any, steps: int) -> dict[str, Array]:
        """Return the outputs to record: those with one number per step."""
        found: dict[str, Array] = {}
        for name, array in _named(outputs).items():
            if array.size == steps and array.ndim <= 1 and array.dtype.kind in "fiub":
                kind = array.dtype if array.dtype.kind == "f" else np.float64
                found[name] = array.reshape(-1).astype(kind, copy=False)
        return found

    # -- chunks ----------------------------------------------------------------------

    def _chunk(self) -> bool:
        """Run steps for about CHUNK seconds; return whether the epoch is over."""
        state = self.state
        if self._kept is not None and self._kept.seconds <= SHARE * self._since:
            self._keep()  # first: observers have seen all steps that are in it
            state.seconds += self._kept.seconds
        begun = self._clock()
        try:
            ended = self._steps()
        except Exception:
            self._flush()  # numbers that are not finite may be the cause: then say so
            raise
        self._flush()
        seconds = self._clock() - begun
        state.seconds += seconds
        self._since += seconds
        return ended

    def _steps(self) -> bool:
        state, source, run = self.state, self.source, self.program.run
        end, clock = self._end[1], time.perf_counter
        now = clock()
        until = now + CHUNK / 2
        while True:
            most, left = self._pace, end - state.updates
            work = source.take(state, most if most <= left else int(left))
            if work is None:
                return True
            entry, steps = work.entry or self.entry, work.steps
            if steps == 0:
                raise ArgumentError(
                    _("{kind} gave work of no steps.", kind=type(source).__name__),
                    expected=_("Work with steps of at least 1, or None"),
                    got="steps=0",
                    fix=_("return None where the epoch is over"),
                )
            outputs = run(entry, work.inputs, steps=steps)
            if steps is None:
                state.step, state.updates = state.step + 1, state.updates + 1
                self._gather(entry, outputs)
            else:
                state.step, state.updates = state.step + steps, state.updates + steps
                self._flush()
                self._record(entry, outputs, steps)
            source.see(work, outputs)
            if work.keep:
                self._flush()
                self._keep()
            if work.last:
                return True
            del work, outputs  # while the source makes the next
            before, now = now, clock()
            if steps is not None:
                wanted = CHUNK * steps / max(now - before, 1e-9)
                self._pace = int(max(1, min(wanted, 8 * self._pace)))
            if now > until or state.updates >= end:
                return False

    def _clock(self) -> float:
        """Return the current time in seconds, without the time spent compiling."""
        return time.perf_counter() - self.program.seconds_compile

    def _gather(self, entry: str, outputs: Any) -> None:
        """Collect the outputs of a single step until the end of the chunk."""
        named = outputs if type(outputs) is dict else _named(outputs)
        if entry not in self._single:
            plain = [k for k, v in named.items() if v.size == 1 and v.ndim <= 1]
            self._single[entry] = plain, []
        plain, rows = self._single[entry]
        rows.append([named[key] for key in plain])

    def _flush(self) -> None:
        """Record the collected outputs of single steps."""
        gathered, self._single = self._single, {}
        for entry, (plain, rows) in gathered.items():
            columns = [np.array(column).reshape(-1) for column in zip(*rows)]
            self._record(entry, dict(zip(plain, columns)), len(rows))

    def _record(self, entry: str, outputs: Any, steps: int) -> None:
        """Record steps; if a value is not finite, go back to find the faulty step."""
        columns = self.columns(entry, outputs, steps)
        self.history.extend(columns, entry)
        if not self._right(columns):
            self._replay()

    def _right(self, columns: Mapping[str, Array]) -> bool:
        return all_finite(*(columns[name] for name in self.finite if name in columns))

    @property
    def settled(self) -> bool:
        """A flag: the program's tensors and the run's state agree."""
        return self._kept is None

    # -- going back --------------------------------------------------------------------

    def settle(self) -> None:
        """Make tensors and run state agree again after an interruption.

        A run does it by itself. Where exceptions come so thick that they interrupt
        this too, it is done when the loop is next used.
        """
        for attempt in range(ATTEMPTS):
            try:
                if self._kept is not None:
                    self._go_back(self._kept)
                    self._kept = None
                return
            except BaseException:  # of a signal handler, on the way
                if attempt == ATTEMPTS - 1:
                    raise

    def _keep(self) -> None:
        """Take a snapshot of tensors and state, after a check for NaN and infinity."""
        started = time.perf_counter()
        tensors = self._changing.tensors()
        if self._kept is not None and not all_finite(*tensors.values()):
            self._replay()
        self._remember()
        tables, mark = self._changing.attributes(), self.state.mark()
        seconds = time.perf_counter() - started
        self._kept = Snapshot(tensors, tables, mark, seconds)
        self._since = 0.0

    def _remember(self) -> None:
        self.state.source = self.source.state()
        self.state.remember(self.observers)

    def _go_back(self, to: Snapshot) -> None:
        """Restore a snapshot; safe to repeat after an interruption."""
        self._single = {}
        self._changing.go_back(to)
        self.state.go_back(to.mark)
        self.source.close()
        self.source.load_state(copied(self.state.source))
        self.state.remind(self.observers)

    def _replay(self) -> None:
        """Repeat the steps since the snapshot one by one; report the faulty step."""
        assert self._kept is not None
        state, end = self.state, self.state.updates
        self._go_back(self._kept)
        while state.updates < end:
            work = self.source.take(state, 1)
            if work is None:
                break
            entry, steps = work.entry or self.entry, work.steps or 1
            outputs = self.program.run(entry, work.inputs, steps=work.steps)
            columns = self.columns(entry, outputs, steps)
            tensors = self._changing.tensors().values()
            if self._right(columns) and all_finite(*tensors):
                state.step, state.updates = state.step + steps, state.updates + steps
                self.history.extend(columns, entry)
                self.source.see(work, outputs)
                self._keep()
                continue
            self._go_back(self._kept)
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
        """Write a checkpoint atomically: all tensors of the program, and the run state.

        Raises:
            SaveError: as for :meth:`Trainer.save`; states that JSON does not have.
        """
        target = place("path", path)
        self._remember()
        self.state.tables = self._changing.table_states()
        made, arrays = self.state.pack()
        made["entries"] = sorted(self.program.traced)
        arrays |= self._changing.arrays()
        checkpoint.write(target, made, arrays, self.files.add)
        self.files.note(target)

    def load(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Restore tensors and run state from a checkpoint of the same program.

        Raises:
            CheckpointError: no checkpoint, truncated, altered, or of another program;
                nothing is changed then.
        """
        where = checkpoint.locate(place("path", path))
        made, arrays = checkpoint.read(where)
        if made.get("entries") != sorted(self.program.traced):
            expected = _(
                "a loop over the entry points {traced}",
                traced=sorted(self.program.traced),
            )
            raise strange(where, expected, repr(made.get("entries")))
        tensors = self._changing.read(where, arrays)
        state = RunState.unpack(where, made, arrays)
        self._keep()
        try:
            self._changing.put(tensors)
            self._changing.load_tables(state.tables)
            self.source.load_state(copied(state.source))
            state.remind(self.observers)
            state.history.entry = self.entry
            self.state.__dict__.update(vars(state))
        except Exception as e:
            self.settle()
            raise CheckpointError(
                _("{where} does not fit this loop.", where=called(where)),
                expected=_("a checkpoint of the same program, source and observers"),
                got=f"{type(e).__name__}: {e}"[:300],
                fix=_("build them as they were when it was written"),
            ) from e
        self._kept = None
        self.files.note(where)


def _end(observer: Any, face: Any, kind: Any, error: Any, trace: Any) -> None:
    """Call an observer's ``on_end``; an error that ended the run takes precedence."""
    try:
        observer.on_end(face)
    except Exception as later:
        if error is None:
            raise
        error.add_note(
            f"{type(observer).__name__}.on_end failed too: "
            f"{type(later).__name__}: {later}"
        )


def _named(outputs: Any) -> dict[str, Array]:
    """Return the outputs of an entry point by name; a single output is the loss."""
    if not isinstance(outputs, Mapping):
        outputs = {} if isinstance(outputs, list | tuple) else {"loss": outputs}
    return {name: np.asarray(output) for name, output in outputs.items()}
