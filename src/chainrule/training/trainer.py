"""The Trainer, the interface for supervised learning: fit, evaluate, predict.

A run is checked here and handed to a :class:`~chainrule.training.supervised.Supervised`
loop, which moves the Trainer's state on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chainrule.compilation.program import CompiledProgram
from chainrule.data import Dataset, Stream
from chainrule.data.adapter import as_column, as_data, stored_as
from chainrule.data.checks import checked_batch_size
from chainrule.engines import EngineName, resolve_engine
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.metrics import Metric
from chainrule.metrics.named import as_metrics
from chainrule.nn import Module, output_semantics
from chainrule.optim import RuleOptimizer
from chainrule.random import Generator
from chainrule.text import _
from chainrule.training import checks
from chainrule.training.callbacks import Callback
from chainrule.training.data_adapter import DataAdapter, adapter_of, as_weights
from chainrule.training.entries import Entries
from chainrule.training.history import History
from chainrule.training.lock import Files
from chainrule.training.loop import Loop
from chainrule.training.probes import Probes
from chainrule.training.programs import EVALUATION_BATCH, Programs
from chainrule.training.saved import SavedTrainer
from chainrule.training.state import Plan, RunState
from chainrule.training.supervised import Supervised
from chainrule.util.keywords import strict
from chainrule.util.validation import instance, maybe, truth, whole

if TYPE_CHECKING:
    from chainrule.engines.schedule.profile import Profile

Checkpoints = str | os.PathLike[str] | None


@strict
class Trainer(SavedTrainer):
    """The trainer of a model: each training step is one graph, run by an engine.

    Args:
        model: the network; the Trainer changes its parameters.
        loss: a loss module or any function of (prediction, target) that returns the
            mean over the batch, a scalar tensor.
        optimizer: without parameters (``optim.Adam(lr=1e-3)``), then it gets all of the
            model's; or with some of the model's own.
        metrics: what :meth:`evaluate` measures besides the loss: names
            (``"accuracy"``, ``"balanced_accuracy"``, ``"f1"``, ``"roc_auc"``,
            ``"top5"``, ``"confusion_matrix"``; ``"r2"``, ``"mae"``, ``"mse"``,
            ``"rmse"``) or instances of
            :class:`~chainrule.metrics.Metric`. None: the accuracy for
            classes, R² and the mean absolute error for quantities; ``()``: nothing.
        probes: numbers from within the step to record in ``history.steps``, by name or
            pattern (``"activation_mean/*"``): see :mod:`chainrule.training.probes`. The
            norms of the gradients of weight matrices are always recorded.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``: native where it can run.
        seed: of shuffles and dropout, 0 … 2⁶⁴ − 1. (Initial weights come from
            ``cr.manual_seed``.)
        threads: how many threads the native engine uses; None: what measures best.
            The results do not depend on it.

    Attributes:
        state: where it stands, a :class:`RunState`.
        engine: the engine that runs: ``"native"`` or ``"numpy"``.

    A run is a function of the data, the initial weights, the seed and the settings: the
    same on every run, for any number of threads, and across interruptions.

    Raises:
        ArgumentError: a class where an instance is needed, an optimiser that belongs to
            another model, a metric or probe that does not exist.
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
        optimizer: RuleOptimizer,
        metrics: str | Metric | Iterable[str | Metric] | None = None,
        probes: str | Iterable[str] = (),
        engine: EngineName = "auto",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        instance("model", model, Module, "nn.Sequential(nn.Linear(…), …)")
        instance("optimizer", optimizer, RuleOptimizer, "optim.Adam(lr=1e-3)")
        instance("loss", loss, Callable, "nn.CrossEntropyLoss()")
        self.engine = resolve_engine(engine)
        self.threads = maybe(whole)("threads", threads)
        key, self.seed = Generator(seed).key, int(seed)
        self.metrics, self.probes = as_metrics(metrics), Probes(probes, model)
        optimizer.attach_parameters(dict(model.named_parameters()))
        self._entries = Entries(model, loss, optimizer, self.probes, key)
        self.state = RunState(updates=optimizer.steps)
        self._begin()

    def _begin(self) -> None:
        """Reset the Trainer's programs, known checkpoint files and current run."""
        self._programs = Programs(
            self._entries, self.metrics, self.engine, self.threads
        )
        self.files = Files()
        self._loop: Loop | None = None  # that runs, or was cut short

    @property
    def model(self) -> Module:
        """The Trainer's network; another network needs a new Trainer."""
        return self._entries.model

    @property
    def loss(self) -> Callable[[Any, Any], Any]:
        """The Trainer's loss function; another loss needs a new Trainer."""
        return self._entries.loss

    @property
    def optimizer(self) -> RuleOptimizer:
        """The Trainer's optimiser; another one needs a new Trainer."""
        return self._entries.optimizer

    # -- training ------------------------------------------------------------------

    def fit(
        self,
        train: Any,
        *others: Any,
        epochs: int,
        batch_size: int | None = 32,
        drop_last: bool = False,
        sample_weight: Any = None,
        validation: Any = None,
        validation_name: str = "validation",
        callbacks: Callback | Iterable[Callback] = (),
        progress: bool | None = None,
        checkpoint: Checkpoints = None,
        checkpoint_every: float = 60.0,
    ) -> History:
        """Train the Trainer's model for ``epochs`` further epochs.

        Each epoch visits every sample once, in an order drawn from (seed, epoch), in
        batches; the last one takes what is left.

        Args:
            train: a ``Dataset``, a pair (x, y) of arrays, or a ``Stream``, which may be
                longer than memory: it is shuffled in blocks of at most 16,384 rows and
                32 MB; or a ``DataLoader`` of pairs, whose batch size is taken.
            others: none.
            epochs: how many.
            batch_size: samples a step, 1 … len(train); None takes all of them (batch
                gradient descent).
            drop_last: leave out the last batch of an epoch where it is smaller.
            sample_weight: how much each row of ``train`` counts, one number ≥ 0 a row:
                the loss of a batch is Σ w ℓ / Σ w.
            validation: data to evaluate after each epoch.
            validation_name: what to call them where they are shown, such as "test".
            callbacks: called between chunks of steps; see :class:`Callback`.
            progress: a progress display on standard error: a bar in a terminal, else
                one line an epoch. False: nothing.
            checkpoint: a directory that always holds the run's last checkpoint,
                ``last.ckpt``: written at the start, after each epoch, every
                ``checkpoint_every`` seconds and at Ctrl-C, SIGTERM and SIGHUP.
                ``Trainer.load(directory)`` and :meth:`resume` go on from it, bit for
                bit. One run at a time has the directory.
            checkpoint_every: seconds between checkpoints within an epoch.

        Returns:
            The history, which is also ``trainer.history``.

        Raises:
            ArgumentError: a batch size, target, data set, callback or directory that
                cannot be; a schedule that needs to know a stream's length.
            ShapeError: data that do not fit the model.
            NonFiniteError: the loss stopped being a number; the model keeps its last
                good weights.
            SaveError: a checkpoint that cannot be written.
            KeyboardInterrupt: Ctrl-C, once the step is finished and saved.

        Whatever else comes (of a callback, a stream, a signal handler of your own)
        leaves weights and position together, at most a few chunks ago; ``resume`` goes
        on from there as if nothing had happened.

        Warns:
            ChainruleWarning: images, features or targets whose large numbers nothing
                scales; targets that the last layer cannot reach; a Standardize that was
                never measured; validation data without the scale of the training data;
                batch normalisation over batches of one sample; methods of a callback
                that nothing calls.
        """
        self._recover()
        checks.one_source(others)
        epochs = whole("epochs", epochs)
        data = self.like(train)
        rows = None if isinstance(data, Stream) else len(data)
        if hasattr(train, "to_data"):
            batch_size = checks.batch_size_of(train, batch_size)
            drop_last = drop_last or train.drop_last
        size = checked_batch_size(batch_size, rows)
        weights = as_weights(sample_weight, data, self.loss)
        adapter = adapter_of(data, size, self.seed, weights=weights)
        before = self.plan
        plan = Plan(
            first=self.epoch + (self.step > 0),  # what was interrupted is left behind
            epochs=epochs,
            batch_size=size,
            rows=rows,
            checksum=adapter.checksum,
            drop_last=truth("drop_last", drop_last),
            block=int(adapter.x.shape[0]) if rows is None else None,
            class_names=None if data.class_names is None else tuple(data.class_names),
            feature_names=data.feature_names or (before and before.feature_names),
            target_names=data.target_names or (before and before.target_names),
            format=data.format,
            scale=stored_as(data)[1],
        )
        state = replace(self.state, plan=plan, callbacks={})
        if plan.first != self.epoch:
            starts = dict(state.history.snapshot()[1])
            state = replace(state, epoch=plan.first, step=0, seconds=0.0, starts=starts)

        def begin() -> None:
            done, total = self.optimizer.steps, plan.total_steps
            total = None if total is None else done + total
            self.optimizer.bind_schedules(total, plan.steps_per_epoch, first=done)
            state.history.validation_name = str(validation_name)

        loop = self._prepare(adapter, state, begin, validation, callbacks, progress)
        checks.schedule(self.optimizer, plan)
        checks.suitable(data, self.model, self.loss, size)
        return self._run(loop, checkpoint, checkpoint_every)

    def resume(
        self,
        train: Any,
        *,
        epochs: int | None = None,
        sample_weight: Any = None,
        validation: Any = None,
        callbacks: Callback | Iterable[Callback] = (),
        progress: bool | None = None,
        checkpoint: Checkpoints = None,
        checkpoint_every: float = 60.0,
    ) -> History:
        """Resume an interrupted training run; the result is as without interruption.

        The batch size is that of the run; the arguments are as for :meth:`fit`. A
        finished run is left as it is, and so is one that was stopped early.

        Callbacks take over what those of the same class remembered.

        Args:
            train: the data that the run was begun with.
            epochs: how many the run shall have altogether; None: as planned. A run goes
                on bit for bit as if it had been begun with so many, one that is
                finished or was stopped early too.

        Raises:
            ArgumentError: there is no run to resume, or the data are not those that
                it was trained on; fewer epochs than the run has begun; other epochs
                under a learning rate that was planned for the length of the run.

        >>> import chainrule as cr
        >>> trainer = cr.Trainer(cr.nn.Linear(1, 1), loss=cr.nn.MSELoss(),
        ...                      optimizer=cr.optim.SGD(lr=0.1), engine="numpy")
        >>> data = [[1.0], [2.0]], [[2.0], [4.0]]
        >>> history = trainer.fit(data, epochs=2, batch_size=2, progress=False)
        >>> len(trainer.resume(data, epochs=5, progress=False).epochs)
        5
        """
        self._recover()
        if self.plan is None:
            raise ArgumentError(
                _("There is no run to resume."),
                expected=_(
                    "a Trainer that was interrupted, or loaded from a checkpoint"
                ),
                got=_("one that has not been trained"),
                fix="trainer.fit(train, epochs=…)",
            )
        plan, data = self.plan, self.like(train)
        if epochs is not None:
            plan = checks.extended(plan, epochs, self.state, self.optimizer)
        goes_on = epochs is not None and plan.end > self.epoch
        weights = as_weights(sample_weight, data, self.loss)
        adapter = adapter_of(
            data, plan.batch_size, self.seed, block=plan.block, weights=weights
        )
        checks.same_data(plan, data, adapter.checksum)
        state = replace(self.state, plan=plan)

        def begin() -> None:
            if goes_on:
                for callback in loop.callbacks:
                    callback.on_extend(self)

        loop = self._prepare(adapter, state, begin, validation, callbacks, progress)
        return self._run(loop, checkpoint, checkpoint_every)

    @property
    def program(self) -> CompiledProgram:
        """The Trainer's compiled program: ``print(trainer.program.schedule)``.

        Raises:
            ArgumentError: nothing has been trained yet, so nothing is compiled.
        """
        if self._programs.training is None:
            raise ArgumentError(
                _("This Trainer has no program yet: it is traced for the data."),
                expected=_("trainer.program after fit"),
                got=_("a Trainer that has not seen data"),
                fix=_("trainer.fit(train, epochs=1), or trainer.profile(train)"),
            )
        return self._programs.training.program

    def profile(self, train: Any, *, batch_size: int | None = 32) -> Profile:
        """Profile a training step of the Trainer: the time of each part.

        ``print(trainer.profile(train))`` shows loops and products, the longest first:
        what is fused into each and which threads do it, FLOPs and bytes, predicted and
        measured µs, and the share of what the machine reaches at most. Weights,
        optimiser and position stay as they are. It takes a few seconds.

        Args:
            train: as for :meth:`fit`; its first batches are what is measured.
            batch_size: samples a step.

        Raises:
            EngineError: of an engine that makes no schedule.
            ArgumentError, ShapeError: as for :meth:`fit`.
        """
        self._recover()
        data = self.like(train)
        rows = None if isinstance(data, Stream) else len(data)
        size = checked_batch_size(batch_size, rows)
        adapter = adapter_of(data, size, self.seed)
        checks.suitable(data, self.model, self.loss, size)
        block = int(adapter.x.shape[0]) if rows is None else None
        plan = Plan(0, 1, size, rows, adapter.checksum, block=block)
        with self.optimizer.rewound():  # at the start of a run that is no run
            self.optimizer.bind_schedules(plan.total_steps, plan.steps_per_epoch)
            checks.schedule(self.optimizer, plan)
            return self._programs.profile(adapter, plan)

    def like(self, data: Any) -> Dataset | Stream:
        """Convert data to the columns and classes of the Trainer's training data.

        Columns of frames and of data sets are found by their names, and so are the
        labels of named classes; those of arrays count by their places. All methods do
        so with what they are given.

        Raises:
            DataError: a column of the training data is missing, or a class is new.
        """
        return as_data(data, self.plan)

    def stop(self) -> None:
        """End the Trainer's run after the current chunk of steps; for callbacks."""
        if self._loop is not None:
            self._loop.stop()

    def _prepare(
        self,
        adapter: DataAdapter,
        state: RunState,
        begin: Callable[[], None],
        *options: Any,
    ) -> Supervised:
        """Return a run's checked and compiled loop; refuse a second run at a time."""
        if self._loop is not None:
            raise ArgumentError(
                _("A run of this Trainer is going on."),
                expected=_("fit or resume when it has ended"),
                got=_("a call within it, from a callback or a source"),
                fix=_("trainer.stop(), and the next fit after this one has returned"),
            )

        def start(loop: Loop) -> None:
            self._loop, self.state = loop, state
            state.load_callbacks(loop.callbacks)
            begin()

        return Supervised(self, self._programs, adapter, state, start, *options)

    def _run(self, loop: Supervised, checkpoint: Checkpoints, every: float) -> History:
        try:
            end = loop.plan.end
            return loop.run(epochs=end, checkpoint=checkpoint, checkpoint_every=every)
        finally:
            if loop.consistent:
                self._loop = None

    # -- using -----------------------------------------------------------------------

    def evaluate(
        self,
        data: Any,
        batch_size: int = EVALUATION_BATCH,
        *,
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        """Compute the model's loss and metrics over a whole data set.

        Args:
            data: a ``Dataset``, a pair (x, y) of arrays, or a ``Stream``.
            batch_size: samples a batch; it changes the results by rounding at most.
            sample_weight: how much the loss of each row counts, one number ≥ 0 a row:
                Σ w ℓ / Σ w. Metrics count every row once.

        Returns:
            ``loss``, then each metric under its name. The loss is the mean over the
            samples: for a loss with weights Σ w ℓ / Σ w over all of them, whatever the
            batches, and also for a loss whose ``reduction`` is ``"sum"``.

        Raises:
            NonFiniteError: the model gives NaN or infinity, with the rows.
        """
        self._recover()
        fix = _("evaluate((x, y), batch_size=1000)")
        size = whole("batch_size", batch_size, fix=fix)
        dataset = self.like(data)
        checks.same_scale(self.scale, dataset)
        weights = as_weights(sample_weight, dataset, self.loss)
        return self._programs.evaluate(dataset, size, weights)

    def predict(
        self, x: Any, output: str | None = None, *, batch_size: int = EVALUATION_BATCH
    ) -> Array:
        """Compute the Trainer's predictions: the model's output for each row of x.

        Args:
            x: features of shape (n, …): an array, a ``Dataset`` (its ``x``) or a
                ``Stream``.
            output: None gives what the network gives; ``"probabilities"`` and
                ``"logits"`` (scores before softmax or sigmoid; the logarithms of the
                probabilities where the network ends in these) what that means under the
                loss; ``"classes"`` the decided classes: their names where the training
                data had names, −1 and 1 under a hinge loss, else numbers from 0.
            batch_size: samples a batch.

        Raises:
            ArgumentError: an output that does not exist, or not for this network.
            NonFiniteError: NaN or infinity in x, or in what the model gives.
        """
        self._recover()
        size = whole("batch_size", batch_size)
        if output is not None:
            output_semantics.check_output(output, self.loss)
        column = as_column(x, self.plan)
        checks.same_scale(self.scale, column)
        outputs = self._programs.predict(column, size)
        if output is None:
            return outputs
        names = self.class_names
        return output_semantics.translate(
            outputs, output, model=self.model, loss=self.loss, class_names=names
        )

    @property
    def seconds_compile(self) -> float:
        """The seconds that the Trainer has spent on tracing and compiling."""
        return self._programs.seconds

    @property
    def seconds_training(self) -> float:
        """The seconds that the Trainer has spent inside the training loop.

        The steps and the shuffling count, and waiting for a stream; compiling,
        evaluation, checkpoints, display and callbacks do not. A resumed run counts all
        of its parts.
        """
        earlier = sum(row["seconds"] for row in self.history.epochs)
        return self.state.seconds + earlier

    def __repr__(self) -> str:
        return (
            f"Trainer({type(self.model).__name__}, {self.optimizer!r}, "
            f"engine={self.engine!r}, seed={self.seed}, epoch {self.epoch}, "
            f"step {self.step})"
        )
