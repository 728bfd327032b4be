"""The training loop: chunks of steps in the engine, checks between them.

It takes blocks of rows from :mod:`.feed` and pauses after each chunk; what happens in
the pauses and between epochs is up to :mod:`.run`.

Everything is a function of the seed, the epoch and the step, so a run that is cut
anywhere goes on bit for bit: how long the chunks are changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compiled import CompiledProgram
from chainrule.errors import NonFiniteError
from chainrule.graph.node import Array
from chainrule.tensor import Tensor
from chainrule.training.feed import Block, Feed
from chainrule.training.nonfinite import all_finite, describe
from chainrule.training.plan import Plan

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer

#: Seconds that a chunk should take: short enough for Ctrl-C and a progress bar.
CHUNK = 0.05
#: A snapshot of the state may cost this share of the time since the last one.
SHARE = 0.02


class Pace:
    """How many steps make a chunk: measured, and never growing eightfold at once."""

    def __init__(self) -> None:
        self.steps = 1

    def update(self, steps: int, seconds: float) -> None:
        """Learn from a chunk of ``steps`` steps that took ``seconds``."""
        wanted = CHUNK * steps / max(seconds, 1e-9)
        self.steps = int(max(1, min(wanted, 8 * self.steps)))


@dataclass(frozen=True)
class Snapshot:
    """The state before some step, and which step."""

    state: dict[str, Array]
    step: int
    updates: int
    recorded: int
    seconds: float


class Loop:
    """The epochs of one training run.

    Args:
        trainer: whose position, history and optimiser move on.
        program: with the entry point ``train``.
        feed: the training data.
        plan: batch size and length.

    Attributes:
        ended: whether the epoch that it went through last has come to its end.
    """

    def __init__(
        self, trainer: Trainer, program: CompiledProgram, feed: Feed, plan: Plan
    ) -> None:
        self.trainer, self.program, self.feed, self.plan = trainer, program, feed, plan
        self.pace = Pace()
        self.block: Block | None = None
        self.ended = False
        self.snapshot: Snapshot | None = None
        self.since = 0.0

    def epoch(self) -> Generator[None]:
        """The rest of the epoch that the trainer stands in; a pause after each chunk.

        Raises:
            NonFiniteError: a loss or a weight is no longer a finite number. The state
                is then the one before the step at fault.
        """
        trainer = self.trainer
        position = (self.plan, trainer.seed, trainer.epoch, trainer.step)
        self.ended = False
        with closing(self.feed.blocks(*position)) as blocks:
            while True:
                started = time.perf_counter()
                self.block = next(blocks, None)
                if self.block is None:
                    break
                self.snapshot = None
                self._keep(force=True)
                trainer.seconds += time.perf_counter() - started
                while trainer.step < self.block.end:
                    self._timed_chunk(self.block)
                    # Of a stream only the next block tells that this was the last.
                    last = trainer.step == self.block.end
                    self.ended = last and self.plan.block is None
                    yield
        self.ended = True

    def _timed_chunk(self, block: Block) -> None:
        """A chunk of steps and, where it is due, a snapshot."""
        started, compiled = time.perf_counter(), self._compile_time()
        try:
            steps = self._chunk(block)
            self.since += time.perf_counter() - started
            # A replay needs the rows again: it never goes back behind a block.
            self._keep(force=self.trainer.step == block.end)
        except KeyboardInterrupt:  # a second Ctrl-C comes anywhere, also half-way
            assert self.snapshot is not None
            self._go_back(self.snapshot)
            raise
        seconds = time.perf_counter() - started
        seconds -= self._compile_time() - compiled
        self.pace.update(steps, seconds)
        self.trainer.seconds += seconds

    def _compile_time(self) -> float:
        return self.program.executable.seconds_compile

    def _chunk(self, block: Block) -> int:
        """Run some steps; returns how many."""
        trainer = self.trainer
        first = trainer.step
        whole = block.first + block.whole
        steps = min(self.pace.steps, whole - first) if first < whole else 1
        outputs = self._run(first, steps)
        finite = all_finite(outputs["loss"])
        trainer.step += steps
        trainer.history.extend(outputs)
        if not finite:
            self._replay()
        return steps

    def _run(self, first: int, steps: int) -> dict[str, Array]:
        optimizer = self.trainer.optimizer
        before = optimizer.steps
        outputs = self.program.run("train", self._inputs(first, steps), steps=steps)
        if self.trainer.probes.wants("lr"):
            updates = range(before, before + steps)
            outputs["lr"] = np.array([optimizer.schedule(t) for t in updates])
        return outputs

    def _inputs(self, first: int, steps: int) -> dict[str, Any]:
        assert self.block is not None
        return self.block.inputs(first, steps)

    # -- going back --------------------------------------------------------------

    def _state(self) -> dict[str, Array]:
        replaced = self.program.traced["train"].entry.replaces
        return {key: self.program.tensors[key].numpy() for key in replaced}

    def _keep(self, *, force: bool) -> None:
        """Take a snapshot where it is due; the state in it is always finite."""
        cost = self.snapshot.seconds if self.snapshot else 0.0
        if not force and cost > SHARE * self.since:
            return
        started = time.perf_counter()
        trainer, state = self.trainer, self._state()
        if not all_finite(*state.values()) and self.snapshot is not None:
            self._replay()
        self.snapshot = Snapshot(
            state,
            trainer.step,
            trainer.optimizer.steps,
            len(trainer.history),
            time.perf_counter() - started,
        )
        self.since = 0.0

    def _go_back(self, to: Snapshot) -> None:
        trainer = self.trainer
        for key, array in to.state.items():
            self.program.tensors[key].copy_(Tensor(array))
        trainer.step = to.step
        trainer.set_updates(to.updates)
        trainer.history.truncate(to.recorded)

    def _replay(self) -> None:
        """Repeat from the snapshot, step by step, up to the one at fault; say why."""
        assert self.snapshot is not None
        trainer = self.trainer
        end = trainer.step
        self._go_back(self.snapshot)
        while trainer.step < end:
            before = Snapshot(
                self._state(),
                trainer.step,
                trainer.optimizer.steps,
                len(trainer.history),
                0.0,
            )
            outputs = self._run(trainer.step, 1)
            if all_finite(outputs["loss"], *self._state().values()):
                trainer.step += 1
                trainer.history.extend(outputs)
                continue
            self._go_back(before)
            inputs = self._inputs(trainer.step, 1)
            inputs["index"] = inputs["index"][0]
            lr = trainer.optimizer.lr
            error = describe(self.program, inputs, float(outputs["loss"][0]))
            trainer.set_updates(before.updates)  # describe() has asked for scalars
            raise error(
                step=f"step {before.updates + 1} (epoch {trainer.epoch + 1})",
                lr=lr,
                checkpoint=trainer.last_checkpoint,
            )
        raise NonFiniteError(
            f"The loss stopped being finite before step {trainer.optimizer.steps + 1}.",
            expected="a run that repeats exactly",
            got="finite numbers when it was repeated from the last snapshot",
            fix="do not change weights in on_chunk; else please report this",
        )
