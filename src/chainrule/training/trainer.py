"""The Trainer, the interface for supervised learning: fit, evaluate, predict.

A run is checked here and handed to a :class:`~chainrule.training.supervised.Supervised`
loop, which moves the Trainer's state on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from chainrule.data import Dataset, Stream
from chainrule.data.checks import checked_batch_size
from chainrule.engines import EngineName, resolve_engine, spread_of
from chainrule.errors import ArgumentError
from chainrule.metrics.named import as_metrics
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer
from chainrule.random import Generator
from chainrule.text import _
from chainrule.training import checks
from chainrule.training.accumulation import Accumulator
from chainrule.training.asked import AskedTrainer
from chainrule.training.averaging import WeightAverage
from chainrule.training.callbacks import Callback
from chainrule.training.class_weights import as_class_weights
from chainrule.training.data_adapter import DataAdapter, adapter_of, as_weights
from chainrule.training.entries import Entries
from chainrule.training.history import History
from chainrule.training.lock import Files
from chainrule.training.loop import CHUNK, Loop
from chainrule.training.objective import Objective
from chainrule.training.probes import Probes
from chainrule.training.programs import Programs
from chainrule.training.state import Plan, RunState, copied
from chainrule.training.supervised import Supervised, watched
from chainrule.util.keywords import strict
from chainrule.util.validation import instance, maybe, number, refused, truth, whole

if TYPE_CHECKING:
    from chainrule.engines.schedule.profile import Profile
    from chainrule.engines.spread import Axes, Devices

Checkpoints = str | os.PathLike[str] | None


@strict
class Trainer(AskedTrainer):
    """The trainer of a model: each training step is one graph, run by an engine.

    Args:
        model: the network; the Trainer changes its parameters.
        loss: a loss module or any function of (prediction, target) that returns the
            mean over the batch, a scalar tensor. A network of several outputs has a
            dictionary (or a tuple, as its outputs) of losses by output, or one function
            of all outputs and all targets, as they come.
        loss_weights: the factors λₖ of several losses, in the same form: the loss is
            Σ λₖ ℒₖ. 1 each by default.
        optimizer: without parameters (``optim.Adam(lr=1e-3)``), then it gets all of the
            model's; or with some of the model's own.
        metrics: what :meth:`evaluate` measures besides the loss: names
            (``"accuracy"``, ``"balanced_accuracy"``, ``"f1"``, ``"roc_auc"``,
            ``"top5"``, ``"precision"``, ``"recall"``, ``"average_precision"``,
            ``"log_loss"``, ``"brier_score"``, ``"confusion_matrix"``; ``"r2"``,
            ``"mae"``, ``"mse"``, ``"rmse"``), instances of
            :class:`~chainrule.metrics.Metric`, or functions (output, target) → tensor
            whose mean is meant (:class:`~chainrule.metrics.FunctionMetric`);
            ``{"name": …}`` names any of these. With losses by output a dictionary is
            ``{"output": metrics}``. None: the accuracy for classes, R² and the mean
            absolute error for quantities; ``()``: nothing.
        probes: numbers from within the step to record in ``history.steps``, by name or
            pattern (``"activation_mean/*"``): see :mod:`chainrule.training.probes`. The
            norms of the gradients of weight matrices are always recorded.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``: native where it can run.
        seed: of shuffles and dropout, 0 … 2⁶⁴ − 1. (Initial weights come from
            ``cr.manual_seed``.)
        threads: how many threads the native engine uses; None: what measures best.
            The results do not depend on it.
        devices: how many devices the engine ``"xla"`` spreads each batch over, or
            ``"all"``. A run means the same on any number: gradients, batch statistics
            and metrics are those of the whole batch. None: one, or all of the processes
            that ``chainrule launch`` or a cluster's scheduler has started. A batch that
            the number does not divide is computed whole on each device.
        mesh: the devices as a grid with named axes, ``{"data": 2, "model": 2}``;
            batches are divided along ``data``.
        sharding: what else is divided, by patterns of names: ``{"*.weight": ("model",
            None)}`` divides the rows of weights along the mesh's axis ``model``, with
            the moments of the optimiser, for models that are larger than a device.
        batch_transform: changes the batches of training steps, (inputs, targets) →
            (inputs, targets): :class:`nn.MixUp`, :class:`nn.CutMix`, or a function of
            tensors. It is part of the compiled step and draws from its random bits.
        ema_decay: β of a running mean of the weights, θ̄ ← βθ̄ + (1 − β)θ after each
            update (θ after the first), such as 0.999. :meth:`evaluate`,
            :meth:`predict` and validation then use θ̄; ``model`` has θ, from which
            training goes on, and :attr:`averaged_model` θ̄. As PyTorch's
            ``get_ema_multi_avg_fn(β)`` and Keras' ``use_ema``.
        precision: ``"bf16-mixed"`` computes the model's products and convolutions as
            of bfloat16, in training, :meth:`evaluate` and :meth:`predict`, see
            :class:`chainrule.autocast`; weights, gradients, the optimiser's state and
            the loss stay float32. None: everything in the dtype that the model has.

    Attributes:
        state: where it stands, a :class:`RunState`.
        objective: the losses and their weights.
        average: the :class:`~chainrule.training.WeightAverage`, or None.
        engine: the engine that runs: ``"native"``, ``"numpy"`` or ``"xla"``.
        precision: ``"bf16-mixed"`` or None.
        resources: threads, devices, mesh and sharding by name, as given.
        findings: what ``fit(…, doctor=True)`` has seen in the last run.

    A run is a function of the data, the initial weights, the seed and the settings: the
    same on every run, for any number of threads, and across interruptions.

    **Several inputs and outputs.** Data are ``(inputs, targets)``, each an array or a
    dictionary or a tuple of arrays. A dictionary's inputs are passed by name, as
    ``model(image=…, meta=…)``, a tuple's in order, as ``model(image, meta)``; a list is
    one array. What the model returns, a dictionary or a tuple, is what the losses,
    the metrics and :meth:`predict` speak of.

    Raises:
        ArgumentError: a class where an instance is needed, an optimiser that belongs to
            another model, a metric or probe that does not exist, another precision.
        DTypeError: mixed precision for a model whose parameters are not float32.
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

    >>> class Rating(nn.Module):
    ...     def __init__(self):
    ...         self.users, self.items = nn.Embedding(3, 2), nn.Embedding(4, 2)
    ...     def forward(self, user, item):
    ...         score = (self.users(user) * self.items(item)).sum(1)
    ...         return {"stars": score, "seen": score}
    >>> losses = {"stars": nn.MSELoss(), "seen": nn.BCEWithLogitsLoss()}
    >>> trainer = cr.Trainer(Rating(), loss=losses, loss_weights={"seen": 0.5},
    ...                      optimizer=optim.Adam(lr=0.01), engine="numpy")
    >>> inputs = {"user": [0, 1, 2], "item": [3, 3, 0]}
    >>> targets = {"stars": [5.0, 1.0, 2.0], "seen": [1.0, 0.0, 1.0]}
    >>> _ = trainer.fit((inputs, targets), epochs=2, batch_size=2, progress=False)
    >>> [*trainer.evaluate((inputs, targets))][:3]
    ['loss', 'stars_loss', 'seen_loss']
    >>> trainer.predict(inputs)["stars"].shape
    (3,)
    """

    def __init__(
        self,
        model: Module,
        *,
        loss: Any,
        loss_weights: Any = None,
        optimizer: RuleOptimizer,
        metrics: Any = None,
        probes: str | Iterable[str] = (),
        engine: EngineName = "auto",
        seed: int = 0,
        threads: int | None = None,
        devices: Devices | None = None,
        mesh: Mapping[str, int] | None = None,
        sharding: Mapping[str, Axes] | None = None,
        batch_transform: Any = None,
        ema_decay: float | None = None,
        precision: Literal["bf16-mixed"] | None = None,
    ) -> None:
        instance("model", model, Module, "nn.Sequential(nn.Linear(…), …)")
        instance("optimizer", optimizer, RuleOptimizer, "optim.Adam(lr=1e-3)")
        objective = Objective(loss, loss_weights)
        self.precision = checks.mixed_precision(precision, model)
        self.engine = resolve_engine(engine)
        self.threads = maybe(whole)("threads", threads)
        over = {"devices": devices, "mesh": mesh, "sharding": sharding}
        spread_of(self.engine, **over)
        self.resources = {"threads": self.threads, **over}
        key, self.seed = Generator(seed).key, int(seed)
        self.metrics = as_metrics(metrics, None if objective.one else loss)
        self.probes = Probes(probes, model)
        decay = maybe(partial(number, least=0, below=1))("ema_decay", ema_decay)
        optimizer.attach_parameters(dict(model.named_parameters()))
        average = None if decay is None else WeightAverage(model, decay)
        parts = model, objective, optimizer, self.probes, key
        if batch_transform is not None and not callable(batch_transform):
            raise refused(
                "batch_transform",
                batch_transform,
                _("A batch is transformed by a module or a function."),
                _("(inputs, targets) → (inputs, targets)"),
                "nn.MixUp(num_classes=10)",
            )
        more = Accumulator(model), precision is not None, batch_transform
        self._entries = Entries(*parts, average, *more)
        self.state = RunState(updates=optimizer.steps)
        self.findings: list[Any] = []
        self._begin()

    def _begin(self) -> None:
        """Reset the Trainer's programs, known checkpoint files and current run."""
        self._programs = Programs(
            self._entries, self.metrics, self.engine, **self.resources
        )
        self.files = Files()
        self._loop: Loop | None = None  # that runs, or was cut short

    # -- training ------------------------------------------------------------------

    def fit(
        self,
        train: Any,
        *others: Any,
        epochs: int,
        batch_size: int | None = 32,
        drop_last: bool = False,
        accumulate_grad_batches: int = 1,
        sample_weight: Any = None,
        class_weight: Any = None,
        validation: Any = None,
        validation_name: str = "validation",
        callbacks: Callback | Iterable[Callback] = (),
        progress: bool | None = None,
        checkpoint: Checkpoints = None,
        checkpoint_every: float = 60.0,
        doctor: bool = False,
    ) -> History:
        """Train the Trainer's model for ``epochs`` further epochs.

        Each epoch visits every sample once, in an order drawn from (seed, epoch), in
        batches; the last one takes what is left.

        Args:
            train: a ``Dataset``, a pair (inputs, targets), or a ``Stream``, which may
                be longer than memory: it is shuffled in blocks of at most 16,384 rows
                and 32 MB; or a ``DataLoader`` of pairs, of this library or of PyTorch,
                whose batch size is taken, or a ``utils.data.Dataset`` of them. Of a
                mapped file (``np.memmap``) as many rows are read at a time, in the
                order of the whole.
            others: none.
            epochs: how many.
            batch_size: samples a step, 1 … len(train); None takes all of them (batch
                gradient descent).
            drop_last: leave out the last update of an epoch where it is smaller.
            accumulate_grad_batches: how many batches make up an update: the step is
                that of a batch so many times as large (but for batch normalisation and
                the draws of dropout), in the memory of a small one. The last update of
                an epoch takes what is left. Lightning's name, as the batches are those
                of this call. A loss of your own is taken as a mean over rows.
            sample_weight: how much each row of ``train`` counts, one number ≥ 0 a row:
                the loss of a batch is Σ w ℓ / Σ w, of several losses each.
            class_weight: how much the rows of each class count, by label or by the name
                of a class, as ``{0: 1.0, 1: 5.0}``; others count 1. ``"balanced"``:
                n/(C nᵢ) for class i of C with nᵢ of n rows. It is a factor of
                ``sample_weight`` and of weights in the loss; the mean is Σ w ℓ / Σ w,
                where Keras divides by the number of rows. Validation is without it.
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
            doctor: watch the run, and say on standard error what goes wrong, once, as
                it happens: see :class:`chainrule.doctor.Watch`. ``findings`` keeps it.
                No number of the training depends on it.

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
        if hasattr(train, "drop_last"):  # a loader
            batch_size = checks.batch_size_of(train, batch_size)
            drop_last = drop_last or train.drop_last
        size = checked_batch_size(batch_size, rows)
        drop_last = truth("drop_last", drop_last)
        turns = checks.accumulation(accumulate_grad_batches, size, rows, drop_last)
        adapter = self._adapter(data, size, sample_weight, class_weight, turns)
        before = self.plan
        plan = Plan(
            first=self.epoch + (self.step > 0),  # what was interrupted is left behind
            epochs=epochs,
            batch_size=size,
            rows=rows,
            checksum=adapter.checksum,
            drop_last=drop_last,
            block=adapter.block_rows,
            class_names=None if data.class_names is None else tuple(data.class_names),
            feature_names=data.feature_names or (before and before.feature_names),
            target_names=data.target_names or (before and before.target_names),
            format=data.format,
            scales=adapter.kinds.scales,
            accumulate=turns,
        )
        state = replace(self.state, plan=plan, callbacks={})
        if plan.first != self.epoch:
            starts = dict(state.history.snapshot()[1])
            state = replace(state, epoch=plan.first, step=0, seconds=0.0, starts=starts)

        def begin() -> None:
            done, total = self.optimizer.steps, plan.total_updates
            total = None if total is None else done + total
            self.optimizer.bind_schedules(total, plan.updates_per_epoch, first=done)
            self.accumulator.clear()
            state.history.validation_name = str(validation_name)

        called, self.findings = watched(doctor, data, callbacks)
        loop = self._prepare(adapter, state, begin, validation, called, progress)
        checks.schedule(self.optimizer, plan)
        checks.suitable(data, self.model, self.loss, size)
        return self._run(loop, checkpoint, checkpoint_every)

    def resume(
        self,
        train: Any,
        *,
        epochs: int | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        validation: Any = None,
        callbacks: Callback | Iterable[Callback] = (),
        progress: bool | None = None,
        checkpoint: Checkpoints = None,
        checkpoint_every: float = 60.0,
        doctor: bool = False,
    ) -> History:
        """Resume an interrupted training run; the result is as without interruption.

        Batch sizes are those of the run; the arguments are as for :meth:`fit`. A
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
        adapter = self._adapter(
            data,
            plan.batch_size,
            sample_weight,
            class_weight,
            plan.accumulate,
            plan.block,
        )
        checks.same_data(plan, data, adapter.checksum)
        adapter.load_state(copied(self.state.source))
        state = replace(self.state, plan=plan)

        def begin() -> None:
            if goes_on:
                for callback in loop.callbacks:
                    callback.on_extend(self)

        called, self.findings = watched(doctor, data, callbacks)
        loop = self._prepare(adapter, state, begin, validation, called, progress)
        return self._run(loop, checkpoint, checkpoint_every)

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
        plan = Plan(0, 1, size, rows, adapter.checksum, block=adapter.block_rows)
        with self.optimizer.rewound():  # at the start of a run that is no run
            self.optimizer.bind_schedules(plan.total_updates, plan.updates_per_epoch)
            checks.schedule(self.optimizer, plan)
            return self._programs.profile(adapter, plan)

    def stop(self) -> None:
        """End the Trainer's run after the current chunk of steps; for callbacks."""
        if self._loop is not None:
            self._loop.stop()

    def pace(self, *, steps: int | None = None, seconds: float = CHUNK) -> None:
        """Set how long the next chunks of the Trainer's run are; for callbacks.

        See :meth:`Loop.pace`.
        """
        if self._loop is not None:
            self._loop.pace(steps=steps, seconds=seconds)

    def _adapter(
        self,
        data: Dataset | Stream,
        size: int,
        sample_weight: Any,
        class_weight: Any,
        turns: int,
        block: int | None = None,
    ) -> DataAdapter:
        """Return the adapter of training data, with checked weights."""
        if self.batch_transform is not None:
            checks.unweighted(sample_weight, class_weight)
        weights = as_weights(sample_weight, data, self.objective)
        classes = as_class_weights(class_weight, data, self.objective)
        return adapter_of(
            data,
            size,
            self.seed,
            block=block,
            weights=weights,
            class_weights=classes,
            accumulate=turns,
        )

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

    def __repr__(self) -> str:
        return (
            f"Trainer({type(self.model).__name__}, {self.optimizer!r}, "
            f"engine={self.engine!r}, seed={self.seed}, epoch {self.epoch}, "
            f"step {self.step})"
        )
