"""The Trainer: fit, evaluate, predict, save and load."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.engines import resolve_engine
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.optim import Optimizer
from chainrule.random import Generator
from chainrule.training import architecture, checkpoint, saving
from chainrule.training.callbacks import Callback
from chainrule.training.entries import Step, StepNumbers
from chainrule.training.history import History
from chainrule.training.interrupt import Interrupt
from chainrule.training.loop import Loop
from chainrule.training.plan import Data, Plan, as_column, as_dataset, positive
from chainrule.training.programs import EVALUATION_BATCH, Programs

Checkpoints = str | os.PathLike[str] | None


class Trainer:
    """Trains a model: the whole step is one graph, run by an engine in chunks.

    Args:
        model: the network; the Trainer changes its parameters.
        loss: a loss module or any function of (prediction, target) that returns the
            mean over the batch, a scalar tensor.
        optimizer: without parameters (``optim.Adam(lr=1e-3)``), then it gets all of the
            model's; or with some of the model's own.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``: native where it can run.
        seed: of shuffles and dropout, 0 … 2⁶⁴ − 1. (Initial weights come from
            ``cr.manual_seed``.)
        threads: how many threads the native engine uses; None takes every core.
            The results do not depend on it.

    Attributes:
        history: what happened so far, a :class:`History`.
        epoch: epochs finished, over all calls of ``fit``.
        step: steps done in the current epoch.
        engine: the engine that runs: ``"native"`` or ``"numpy"``.
        notes: a dictionary of your own that travels with checkpoints (JSON).
        last_checkpoint: where the last checkpoint was written, or None.

    A run is a function of the data, the initial weights, the seed and the settings: the
    same on every run, for any number of threads, and across interruptions.

    Raises:
        ArgumentError: a class where an instance is needed, or an optimiser that
            belongs to another model.
        EngineError: an engine that does not exist or cannot run here.

    >>> import chainrule as cr
    >>> from chainrule import nn, optim
    >>> xor = cr.data.Dataset([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], classes=2)
    >>> cr.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(),
    ...                      optimizer=optim.Adam(lr=0.05), engine="numpy")
    >>> history = trainer.fit(xor, epochs=100, batch_size=4, progress=False)
    >>> trainer.evaluate(xor)["accuracy"]
    1.0
    """

    def __init__(
        self,
        model: Module,
        *,
        loss: Callable[[Any, Any], Any],
        optimizer: Optimizer,
        engine: str = "auto",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        _check_kind("model", model, Module, "nn.Sequential(nn.Linear(…), …)")
        _check_kind("optimizer", optimizer, Optimizer, "optim.Adam(lr=1e-3)")
        _check_kind("loss", loss, Callable, "nn.CrossEntropyLoss()")
        self.engine = resolve_engine(engine)
        self.threads = None if threads is None else positive("threads", threads, "2")
        key = Generator(seed).key
        self.model, self.loss, self.optimizer, self.seed = model, loss, optimizer, seed
        _adopt(optimizer, model)
        self._numbers = StepNumbers()
        self._programs = Programs(
            Step(model, loss, optimizer, key, self._numbers), self.engine, self.threads
        )
        self.history = History()
        self.epoch = self.step = 0
        self.seconds = 0.0  # in the training loop, this epoch
        self.plan: Plan | None = None
        self.notes: dict[str, Any] = {}
        self.last_checkpoint: str | None = None
        self._stopping = False
        self.set_updates(optimizer.steps)

    # -- training ------------------------------------------------------------------

    def fit(
        self,
        train: Any,
        *,
        epochs: int,
        batch_size: int = 32,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        checkpoint: Checkpoints = None,
        checkpoint_every: float = 60.0,
    ) -> History:
        """Train for some epochs more.

        Each epoch visits every sample once, in an order drawn from (seed, epoch), in
        batches; the last one takes what is left.

        Args:
            train: a ``Dataset``, or a pair (x, y) of arrays.
            epochs: how many.
            batch_size: samples a step, 1 … len(train).
            validation: data to evaluate after each epoch.
            callbacks: called between chunks of steps; see :class:`Callback`.
            progress: a progress display on standard error: a bar in a terminal, else
                one line an epoch. False: nothing.
            checkpoint: a directory that always holds the run's last checkpoint,
                ``last.ckpt``: written at the start, after each epoch, every
                ``checkpoint_every`` seconds and at Ctrl-C. ``Trainer.load(directory)``
                and :meth:`resume` go on from it, bit for bit.
            checkpoint_every: seconds between checkpoints within an epoch.

        Returns:
            The history, which is also ``trainer.history``.

        Raises:
            ArgumentError: a batch size, label, data set or directory that cannot be.
            ShapeError: data that do not fit the model.
            NonFiniteError: the loss stopped being a number; the model keeps its last
                good weights.
            SaveError: a checkpoint that cannot be written.
            KeyboardInterrupt: Ctrl-C, once the step is finished and saved.
        """
        epochs = positive("epochs", epochs, "fit(train, epochs=10)")
        data, size = as_dataset(train), positive("batch_size", batch_size, "32")
        if size > len(data):
            raise ArgumentError(
                "A batch cannot be larger than the data.",
                expected=f"batch_size from 1 to {len(data)}",
                got=f"batch_size={size}",
                fix=f"batch_size={len(data)} makes every step see all samples",
            )
        held = Data.of(data)
        first = self.epoch + (self.step > 0)  # what was interrupted is left behind
        plan = Plan(first, epochs, size, len(data), held.checksum())
        self._check_schedule(plan)
        directory = self._directory(checkpoint)
        checked = None if validation is None else as_dataset(validation)
        program = self._programs.fit_program(held, checked)
        # Nothing has changed so far; from here on nothing is refused any more.
        self.optimizer.schedule.bind(self._total(plan))
        if first != self.epoch:
            self.epoch, self.step, self.seconds = first, 0, 0.0
        self.plan = plan
        loop = Loop(self, program, held, plan)
        return self._train(
            loop, checked, callbacks, progress, directory, checkpoint_every
        )

    def resume(
        self,
        train: Any,
        *,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        checkpoint: Checkpoints = None,
        checkpoint_every: float = 60.0,
    ) -> History:
        """Finish the run that was interrupted, as if nothing had happened.

        Epochs and batch size are those of the run; the arguments are as for
        :meth:`fit`. A finished run is left as it is.

        Raises:
            ArgumentError: there is no run to resume, or the data are not those that
                it was trained on.
        """
        plan, held = self.plan, Data.of(as_dataset(train))
        if plan is None:
            raise ArgumentError(
                "There is no run to resume.",
                expected="a Trainer that was interrupted, or loaded from a checkpoint",
                got="one that has not been trained",
                fix="trainer.fit(train, epochs=…)",
            )
        if (len(held.y), held.checksum()) != (plan.rows, plan.checksum):
            raise ArgumentError(
                "A run resumes exactly only on the data that it was trained on.",
                expected=f"{plan.rows} rows with the CRC-32 {plan.checksum:08x}",
                got=f"{len(held.y)} rows with {held.checksum():08x}",
                fix="pass the same training data in the same order; for other data "
                "start a new run with fit()",
            )
        directory = self._directory(checkpoint)
        checked = None if validation is None else as_dataset(validation)
        program = self._programs.fit_program(held, checked)
        loop = Loop(self, program, held, plan)
        return self._train(
            loop, checked, callbacks, progress, directory, checkpoint_every
        )

    @property
    def finished(self) -> bool:
        """Whether the last run has come to its end."""
        return self.plan is not None and self.epoch >= self.plan.end

    def stop(self) -> None:
        """End the run after the current chunk; for callbacks."""
        self._stopping = True

    def _train(
        self,
        loop: Loop,
        validation: Dataset | None,
        callbacks: Iterable[Callback],
        progress: bool | None,
        directory: Path | None,
        every: float,
    ) -> History:
        plan, called = loop.plan, [*callbacks]
        if progress is not False:
            from chainrule.training.progress import display

            called.append(display())
        if directory is not None:
            self._save_run(directory)
        self._stopping = False
        with ExitStack() as stack:
            for callback in called:
                callback.on_start(self)
                stack.callback(callback.on_end, self)
            interrupt = stack.enter_context(Interrupt())
            while self.epoch < plan.end and not self._stopping:
                saved = time.monotonic()
                for _ in loop.epoch():
                    for callback in called:
                        callback.on_chunk(self)
                    if self._stopping or interrupt.pending:
                        break
                    if directory is not None and time.monotonic() > saved + every:
                        self._save_run(directory)
                        saved = time.monotonic()
                if self.step == plan.steps_per_epoch and not interrupt.pending:
                    self._finish_epoch(plan, validation)
                    if directory is not None:
                        self._save_run(directory)
                    for callback in called:
                        callback.on_epoch(self)
                if interrupt.pending:
                    break
            if directory is not None and (interrupt.pending or self._stopping):
                self._save_run(directory)
            if interrupt.pending:
                raise KeyboardInterrupt
        return self.history

    def _finish_epoch(self, plan: Plan, validation: Dataset | None) -> None:
        """Write the epoch's row and move on to the next."""
        losses = self.history.steps["loss"][-plan.steps_per_epoch :].astype(np.float64)
        rows = np.full(len(losses), plan.batch_size)
        rows[-1] = plan.rows - plan.batch_size * (len(losses) - 1)
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "train_loss": float(losses @ rows / plan.rows),
        }
        if validation is not None:
            measured = self.evaluate(validation)
            row |= {f"validation_{key}": value for key, value in measured.items()}
        row["lr"] = self.optimizer.schedule(self.optimizer.steps - 1)
        row["seconds"] = self.seconds
        self.history.epochs.append(row)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0

    def _total(self, plan: Plan) -> int:
        """Updates of the optimiser when the run is over."""
        return self.optimizer.steps + plan.epochs * plan.steps_per_epoch

    def _check_schedule(self, plan: Plan) -> None:
        """Refuse a run that its learning-rate schedule does not reach to the end of."""
        reach = getattr(self.optimizer.schedule, "total_steps", None)
        if reach is not None and reach < self._total(plan):
            raise ArgumentError(
                "The learning-rate schedule ends before the run does.",
                expected=f"total_steps ≥ {self._total(plan)}",
                got=f"total_steps={reach}, of which {self.optimizer.steps} are done",
                fix="resume() finishes an interrupted run; for a new run make a new "
                "Trainer whose schedule has total_steps=None or the right number",
            )

    def _directory(self, given: Checkpoints) -> Path | None:
        """The directory for checkpoints; a run of someone else's in it is refused."""
        if given is None:
            return None
        path = Path(given)
        target = path / checkpoint.FILE
        own = self.last_checkpoint
        if target.exists() and (own is None or not os.path.samefile(target, own)):
            raise ArgumentError(
                "The directory already holds a run.",
                expected="an empty or new directory",
                got=str(target),
                fix="choose another directory, or go on with that run: "
                f"Trainer.load({str(path)!r}).resume(train), or --resume {path}",
            )
        return path

    # -- using -----------------------------------------------------------------------

    def evaluate(
        self, data: Any, batch_size: int = EVALUATION_BATCH
    ) -> dict[str, float]:
        """The loss, and for classification the accuracy, over a whole data set.

        Args:
            data: a ``Dataset``, or a pair (x, y) of arrays.
            batch_size: samples a batch; it changes the loss by rounding at most.

        Returns:
            ``loss``, the mean over the samples, and ``accuracy`` from 0 to 1 where the
            targets are labels (one integer a sample, one score a class).
        """
        size = positive("batch_size", batch_size, "evaluate(data, batch_size=1000)")
        return self._programs.evaluate(as_dataset(data), size)

    def predict(self, x: Any, batch_size: int = EVALUATION_BATCH) -> Array:
        """The model's output for each row of x, as a NumPy array.

        Args:
            x: features of shape (n, …): a ``Dataset``, its ``x``, or an array.
            batch_size: samples a batch.
        """
        size = positive("batch_size", batch_size, "predict(x, batch_size=1000)")
        return self._programs.predict(as_column(x), size)

    @property
    def seconds_compile(self) -> float:
        """Seconds spent on tracing and compiling so far."""
        return self._programs.seconds

    @property
    def seconds_training(self) -> float:
        """Seconds inside the training loop so far, and nothing else.

        The steps and the shuffling count; compiling, evaluation, checkpoints, display
        and callbacks do not. A resumed run counts all of its parts.
        """
        return self.seconds + sum(row["seconds"] for row in self.history.epochs)

    def set_updates(self, updates: int) -> None:
        """Have the optimiser stand before update number ``updates``, from 0."""
        self.optimizer.steps = self._numbers.count = updates

    # -- saving ----------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: weights, optimiser, position, history. Atomic.

        The file is a safetensors file with a JSON document and a SHA-256 in its header;
        it holds no code.

        Raises:
            SaveError: no space, no permission, no such directory. What was at ``path``
                is unharmed.
        """
        document, tensors = saving.pack(self)
        checkpoint.write(Path(path), document, tensors)
        self.last_checkpoint = str(path)

    def _save_run(self, directory: Path) -> None:
        checkpoint.make_directory(directory)
        self.save(directory / checkpoint.FILE)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        model: Module | None = None,
        loss: Callable[[Any, Any], Any] | None = None,
        optimizer: Optimizer | None = None,
        engine: str | None = None,
        threads: int | None = None,
    ) -> Trainer:
        """The Trainer that a checkpoint was made of, standing where it stood.

        Args:
            path: a file that ``save`` wrote, or the directory of a run.
            model: needed where the network is not made of ``chainrule.nn`` modules
                alone; it takes over the weights.
            loss: needed for a loss of your own.
            optimizer: needed for an optimiser of your own.
            engine: another engine than the saved one; its results may differ in the
                last bits.
            threads: see :class:`Trainer`.

        Raises:
            CheckpointError: no checkpoint, truncated, altered, of another version or
                of another architecture; nothing is changed then.
        """
        where = checkpoint.locate(path)
        document, tensors = checkpoint.read(where)
        saving.check_whole(where, document)
        if model is None:
            model = architecture.build_module(_known(document, "architecture", "model"))
        if loss is None:
            loss = architecture.build_module(_known(document, "loss", "loss"))
        trainer = cls(
            model,
            loss=loss,
            optimizer=optimizer or architecture.build_optimizer(document["optimizer"]),
            engine=engine or document["engine"],
            seed=document["seed"],
            threads=threads,
        )
        saving.unpack(where, trainer, document, tensors)
        trainer.last_checkpoint = str(where)
        return trainer

    def __repr__(self) -> str:
        return (
            f"Trainer({type(self.model).__name__}, {self.optimizer!r}, "
            f"engine={self.engine!r}, seed={self.seed}, epoch {self.epoch}, "
            f"step {self.step})"
        )


def _known(document: dict[str, Any], key: str, argument: str) -> dict[str, Any]:
    if document.get(key) is None:
        raise CheckpointError(
            f"The checkpoint's {argument} is a class of its author's own.",
            expected="modules of chainrule.nn, which a checkpoint can describe",
            got=document.get("model", "")[:200] if argument == "model" else "another",
            fix=f"make the {argument} in Python: Trainer.load(path, {argument}=…)",
        )
    return document[key]


def _check_kind(name: str, given: Any, kind: Any, example: str) -> None:
    if isinstance(given, type) or not isinstance(given, kind):
        shown = given.__name__ if isinstance(given, type) else repr(given)[:80]
        raise ArgumentError(
            f"{name} is not what a Trainer needs.",
            expected=f"for example {name}={example}",
            got=f"the class {shown}" if isinstance(given, type) else shown,
            fix=f"write {shown}() with parentheses"
            if isinstance(given, type)
            else f"pass {name}={example}",
        )


def _adopt(optimizer: Optimizer, model: Module) -> None:
    """Give the optimiser the model's parameters, under the model's names."""
    named = dict(model.named_parameters())
    if not optimizer.params:
        optimizer.bind(named)
        return
    names = {id(p): name for name, p in named.items()}
    if any(id(p) not in names for p in optimizer.params.values()):
        raise ArgumentError(
            "The optimiser belongs to another model.",
            expected="an optimiser without parameters, or with some of this model's",
            got=f"parameters {', '.join(optimizer.params)}",
            fix="make a new one: optim.Adam(lr=1e-3)",
        )
    renamed = {old: names[id(p)] for old, p in optimizer.params.items()}
    optimizer.params = {renamed[old]: p for old, p in optimizer.params.items()}
    optimizer.state = {renamed[old]: m for old, m in optimizer.state.items()}
    for name, moments in optimizer.state.items():
        for moment, t in moments.items():
            t.name = f"{name}.{moment}"
