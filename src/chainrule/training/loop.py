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
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.compilation.program import CompiledProgram
from chainrule.errors import ArgumentError
from chainrule.optim import RuleOptimizer
from chainrule.text import _
from chainrule.training.callbacks import Callback
from chainrule.training.history import History
from chainrule.training.interrupt import Interrupt
from chainrule.training.lock import RunDirectory
from chainrule.training.recovery import RecoverableRun
from chainrule.training.source import BatchSource
from chainrule.training.state import RunState
from chainrule.util import processes
from chainrule.util.keywords import strict
from chainrule.util.validation import count, maybe, number, path, whole

#: Seconds that a chunk should take: short enough for Ctrl-C and a progress bar.
CHUNK = 0.05
#: A snapshot of the state may cost this share of the time since the last one.
SHARE = 0.01


@strict
class Loop(RecoverableRun):
    """A training loop that runs the entry points of a compiled program on batches.

    Args:
        program: the program.
        entry: the entry point that runs where the work names no other.
        source: where the inputs come from, a :class:`BatchSource`.
        state: where the run stands; a new one by default.
        callbacks: what is called between the chunks: see :class:`Callback`, whose
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
    >>> from chainrule.training import BatchSource, Loop, StepInputs
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
    >>> class Ones(BatchSource):
    ...     def take(self, state, most):
    ...         steps = min(most, 20 - state.step)
    ...         x = {"x": np.ones((steps, 1), "f4")}
    ...         return StepInputs(x, steps) if steps else None
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
        source: BatchSource,
        state: RunState | None = None,
        callbacks: Iterable[Any] = (),
        *,
        finite: Iterable[str] = ("loss",),
    ) -> None:
        super().__init__(program, entry, source, state, callbacks, finite)
        self._pace = 1  # steps that make a chunk: measured
        self.signals = Interrupt()
        self.running = self._stopping = False
        self._pending = False  # whether a signal has come to one of the processes
        self._end: list[float] = [math.inf, math.inf]
        self._longest: float = math.inf  # steps of a chunk
        self._seconds = CHUNK
        self._directory: RunDirectory | None = None

    # -- what callbacks see ----------------------------------------------------------

    @property
    def face(self) -> Any:
        """The object that callbacks of the loop get as argument: here the loop."""
        return self

    @property
    def finished(self) -> bool:
        """A flag of the loop: the requested number of epochs or updates is reached."""
        epochs, updates = self._end
        return self.state.epoch >= epochs or self.state.updates >= updates

    def stop(self) -> None:
        """End the loop's run after the current chunk of steps, as callbacks request."""
        self._stopping = True

    def pace(self, *, steps: int | None = None, seconds: float = CHUNK) -> None:
        """Set how long the loop's next chunks are, as callbacks request.

        It decides how often callbacks are called, and no number of the training.

        Args:
            steps: at most so many; None: as many as the time allows.
            seconds: about so long.
        """
        self._longest = math.inf if steps is None else whole("steps", steps)
        self._seconds = number("seconds", seconds, above=0)

    # -- running ---------------------------------------------------------------------

    def run(
        self,
        *,
        epochs: int | None = None,
        updates: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
    ) -> History:
        """Run the training loop up to a total number of epochs or updates.

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

        Whatever else is raised, by a signal handler, an callback or the source, comes
        out as it is; tensors and state are then those of the last snapshot, a few
        chunks ago at most, and ``run`` goes on from there.
        """
        if self.running:
            raise ArgumentError(
                _("A run of this loop is going on."),
                expected=_("run when it has ended"),
                got=_("a call within it, from a callback or the source"),
                fix=_("loop.stop(), and the next run after this one has returned"),
            )
        if epochs is None and updates is None:
            raise ArgumentError(
                _("A loop needs to know when to end."),
                expected=_("epochs=… or updates=…"),
                got=_("neither"),
                fix="loop.run(epochs=10)",
            )
        self.recover()
        ends = ("epochs", epochs), ("updates", updates)
        self._end = [math.inf if n is None else count(name, n) for name, n in ends]
        every = number("checkpoint_every", checkpoint_every, least=0, infinite=True)
        directory = maybe(path)("checkpoint", checkpoint)
        self._stopping = self._pending = False
        with self.signals, ExitStack() as stack:
            try:
                self.running = True
                self._start(stack, directory)
                while not (self.finished or self._stopping or self._pending):
                    self._epoch(every)
                self._snapshot = None
                if self._pending:
                    raise KeyboardInterrupt
            except BaseException:
                self.recover()
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
        self._take_snapshot()
        for callback in self.callbacks:
            callback.on_start(self.face)
            stack.push(partial(_end, callback, self.face))
        self._save()

    def _epoch(self, every: float) -> None:
        """Run the loop's epoch to its end, unless the run is stopped earlier."""
        state, saved, ended = self.state, time.monotonic(), False
        while not ended:
            before = state.updates
            ended = self._chunk()
            if state.updates > before:
                for callback in self.callbacks:
                    callback.on_chunk(self.face)
            due = self._agree(time.monotonic() > saved + every)
            if self._stopping or self._pending or self.finished:
                break
            if not ended and due:
                self._save()
                saved = time.monotonic()
        if ended and not self._pending:
            if any(map(_hears_of_epochs, self.callbacks)):
                # They may change weights, and are not called twice.
                self._take_snapshot()
            self._finish_epoch()
        self._take_snapshot()  # a replay does not cross the end of an epoch
        self._save()

    def _agree(self, due: bool) -> bool:
        """Decide for all processes on a save, a stop and a signal; return the first."""
        told = due, self._stopping, self.signals.pending != 0
        due, self._stopping, self._pending = map(bool, processes.most(*told))
        return due

    def _finish_epoch(self) -> None:
        """Record the epoch's row in the history, and call the loop's callbacks."""
        state, face = self.state, self.face
        row = self.row()
        state.history.epochs.append(row)
        for table in self._mutable.tables:
            if isinstance(table, RuleOptimizer):
                table.observe(row)
        state.starts = dict(state.history.snapshot()[1])
        state.epoch, state.step, state.seconds = state.epoch + 1, 0, 0.0
        for callback in self.callbacks:
            callback.on_epoch(face)
        if self.finished or self._stopping:
            for callback in self.callbacks:
                callback.on_finish(face)

    def _save(self) -> None:
        if self._directory is not None:
            self.save(self._directory.mine())

    # -- for kinds of loops ----------------------------------------------------------

    def begin(self) -> None:
        """Hook of the loop, called just before the first step of a run."""

    def row(self) -> dict[str, Any]:
        """Return an epoch's history row: the mean of each checked output.

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

    # -- chunks ----------------------------------------------------------------------

    def _chunk(self) -> bool:
        """Run a chunk of training steps; return whether the epoch is over."""
        state = self.state
        if self._snapshot is not None and self._cheap(self._snapshot.seconds):
            self._take_snapshot()  # first: callbacks have seen all steps that are in it
            state.seconds += self._snapshot.seconds
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

    def _cheap(self, seconds: float) -> bool:
        """Return whether a snapshot that takes so long is taken, for all processes."""
        return bool(processes.most(seconds <= SHARE * self._since)[0])

    def _steps(self) -> bool:
        state, source, run = self.state, self.source, self.program.run
        end, clock = min(self._end[1], state.updates + self._longest), time.perf_counter
        now = clock()
        until = now + self._seconds / 2
        while True:
            most, left = self._pace, end - state.updates
            work = source.take(state, most if most <= left else int(left))
            if work is None:
                return True
            entry, steps = work.entry or self.entry, work.steps
            if steps == 0:
                raise ArgumentError(
                    _("{kind} gave work of no steps.", kind=type(source).__name__),
                    expected=_("StepInputs with steps of at least 1, or None"),
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
            if work.snapshot:
                self._flush()
                self._take_snapshot()
            if work.last:
                return True
            del work, outputs  # while the source makes the next
            if steps is not None:
                self.program.synchronize()  # the pace is that of the steps themselves
            before, now = now, clock()
            if steps is not None:
                wanted = self._seconds * steps / max(now - before, 1e-9)
                self._pace = int(max(1, min(wanted, 8 * self._pace)))
            over, pace = processes.most(now > until, self._pace)
            self._pace = int(pace)
            if over or state.updates >= end:
                return False

    def _clock(self) -> float:
        """Return the loop's time in seconds, without the time spent compiling."""
        return time.perf_counter() - self.program.seconds_compile


def _hears_of_epochs(callback: Any) -> bool:
    """Return whether a callback does something at the end of an epoch."""
    return any(
        getattr(getattr(callback, name), "__func__", None)
        is not getattr(Callback, name)
        for name in ("on_epoch", "on_finish")
    )


def _end(callback: Any, face: Any, kind: Any, error: Any, trace: Any) -> None:
    """Call a callback's ``on_end``; an error that ended the run takes precedence."""
    try:
        callback.on_end(face)
    except Exception as later:
        if error is None:
            raise
        error.add_note(
            f"{type(callback).__name__}.on_end failed too: "
            f"{type(later).__name__}: {later}"
        )
