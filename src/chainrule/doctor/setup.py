"""Copies of a training setup, in which changes are made, and trial runs of them.

Nothing of the user's is touched: a setup is a deep copy of a Trainer's parts, and each
trial run has a deep copy of its own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor.weights import Fan, is_of_library
from chainrule.errors import ArgumentError, ChainruleError, ChainruleWarning
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer
from chainrule.random import Generator, permutation
from chainrule.random.generator import stream
from chainrule.tensor import tensor
from chainrule.text import _
from chainrule.training import Callback, EarlyStopping, Trainer

#: The probes of a trial run: numbers of gradients, weights and activations.
PROBES = (
    *("grad_norm", "grad_norm/*", "weight_norm/*", "update_ratio/*"),
    *("activation_std/*", "activation_max/*", "dead/*"),
)

#: Means and deviations of two draws of some weights differ by less than this share of
#: the deviation; so few numbers have no deviation to speak of.
ALIKE, FEW = 0.4, 20


@dataclass
class Setup:
    """The setup of a training: a Trainer's parts and a plan.

    Attributes:
        model, loss, loss_weights, optimizer, engine, seed, transform, decay, precision:
            as the Trainer was given them.
        resources: its threads, devices, mesh and sharding.
        train: the training rows.
        held_out: rows that are not trained on.
        epochs, batch_size: the plan.
        drop_last, accumulate: further parts of the plan.
        fans: of weights of products that are not of the library's layers, by name.
        other_loss: whether a change has exchanged the loss.
        stopping: what ends the run early; of each run copies take part.
    """

    model: Module
    loss: Any
    loss_weights: Any
    optimizer: RuleOptimizer
    engine: Any
    seed: int
    resources: Mapping[str, Any]
    transform: Any
    decay: float | None
    precision: Any
    train: Dataset
    held_out: Dataset
    epochs: int
    batch_size: int
    drop_last: bool = False
    accumulate: int = 1
    fans: Mapping[str, Fan] = field(default_factory=dict[str, Fan])
    other_loss: bool = False
    stopping: tuple[EarlyStopping, ...] = ()

    def copy(self) -> Setup:
        """Return a copy whose model, loss and optimiser are its own."""
        parts = self.model, self.loss, self.optimizer, self.transform
        model, loss, optimizer, transform = deepcopy(parts)
        return replace(
            self, model=model, loss=loss, optimizer=optimizer, transform=transform
        )

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        n = len(self.train)
        return max(
            1, n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        )

    @property
    def steps(self) -> int:
        """The number of batches in the whole run."""
        return self.epochs * self.steps_per_epoch

    def shortened(self, steps: int, besides: float = 0.0) -> Setup:
        """Return the setup with a run of at most so many batches.

        Whole epochs where one fits, else one epoch of fewer rows, drawn by the seed.

        Args:
            steps: the largest number of batches.
            besides: as how many batches an epoch counts besides its own.
        """
        each = self.steps_per_epoch + besides
        if self.epochs * each <= steps:
            return self
        if steps >= self.steps_per_epoch:
            return replace(self, epochs=min(self.epochs, max(1, int(steps / each))))
        rows = max(1, steps) * self.batch_size
        order = np.sort(permutation(len(self.train), 0, 0)[:rows])
        return replace(self, train=self.train.rows(order), epochs=1)

    def trainer(self, probes: tuple[str, ...] = ()) -> Trainer:
        """Return a Trainer of these very parts, at the start of a run."""
        return Trainer(
            self.model,
            loss=self.loss,
            loss_weights=self.loss_weights,
            optimizer=self.optimizer,
            metrics=(),
            probes=probes,
            engine=self.engine,
            seed=self.seed,
            precision=self.precision,
            **self.resources,
            batch_transform=self.transform,
            ema_decay=self.decay,
        )

    @classmethod
    def of(
        cls, trainer: Trainer, train: Dataset, held_out: Dataset, epochs: int, size: int
    ) -> Setup:
        """Return the setup of a Trainer: a deep copy of its parts.

        Raises:
            ArgumentError: a part that cannot be copied.
        """
        try:
            copy = deepcopy(trainer)
        except Exception as error:
            raise ArgumentError(
                _("The doctor cannot copy the Trainer, and tries nothing on itself."),
                expected=_("a model, a loss and an optimizer that deepcopy copies"),
                got=f"{type(error).__name__}: {error}"[:200],
                fix=_(
                    "keep locks, open files and connections out of the model and the "
                    "loss, or give their class a __deepcopy__"
                ),
            ) from error
        plan = copy.plan
        return cls(
            copy.model,
            copy.loss,
            copy.objective.loss_weights,
            copy.optimizer,
            copy.engine,
            copy.seed,
            trainer.resources,
            copy.batch_transform,
            None if copy.average is None else copy.average.decay,
            copy.precision,
            train,
            held_out,
            epochs,
            size,
            drop_last=plan is not None and plan.drop_last,
            accumulate=1 if plan is None else plan.accumulate,
        )

    def rewind(self) -> None:
        """Set the optimiser back to before its first update."""
        optimizer = self.optimizer
        for group in optimizer.param_groups:
            first = optimizer.initial(group.current())
            for name in group.names:
                for moment in optimizer.state[name].values():
                    zero = np.full(moment.shape, first, moment.dtype.numpy)
                    moment.copy_(tensor(zero))
        optimizer.steps = 0
        for schedule in optimizer.schedules():
            if schedule.learnt:
                schedule.learnt = type(schedule)(**schedule.arguments()).learnt


def redraw(model: Module, seed: int, only: Callable[[str], bool] | None = None) -> bool:
    """Draw the weights of a model's layers anew, by the layers' own rules.

    Args:
        model: is changed, where this can be done.
        seed: of the draws; the generator of all others is not touched.
        only: which modules, by their paths; None: all of them.

    Returns:
        Whether it could be done: each module with parameters is one of the library's.
    """
    fresh: list[tuple[Module, Module]] = []
    with stream(Generator(seed)):
        for path, module in model.named_modules():
            own = [n for n, __ in module.named_parameters() if "." not in n]
            if not own or (only is not None and not only(path)):
                continue
            if not is_of_library(module):
                return False
            try:
                fresh.append((module, type(module)(**module.settings())))
            except (ChainruleError, TypeError, ValueError):
                return False
    for module, new in fresh:
        drawn = dict(new.named_tensors())
        for name, t in module.named_tensors():
            if "." not in name:
                if name not in drawn or drawn[name].shape != t.shape:
                    return False
                t.detach().copy_(drawn[name].detach().astype(t.dtype))
    return True


def as_drawn(
    model: Module, only: Callable[[str], bool] | None = None, *, least: int = 0
) -> frozenset[str]:
    """Return the paths of modules whose weights look as their layers draw them.

    Trained weights, constants and those of another deviation do not.

    Args:
        model: with the weights.
        only: which modules are asked of, by their paths; None: all of them.
        least: parameters of fewer axes are not compared.
    """
    fresh = deepcopy(model)
    if not redraw(fresh, 0, only):
        return frozenset()
    pairs = zip(model.named_parameters(), fresh.named_parameters(), strict=True)
    paths, other = set[str](), set[str]()
    for (name, p), (__, q) in pairs:
        path = name.rpartition(".")[0]
        if only is not None and not only(path):
            continue
        paths.add(path)
        if p.ndim >= least and not _alike(
            p.numpy().astype(np.float64), q.numpy().astype(np.float64)
        ):
            other.add(path)
    return frozenset(paths - other)


def _alike(given: Array, drawn: Array) -> bool:
    """Return whether numbers look like another draw of the same distribution."""
    if given.size < FEW:
        return bool(np.abs(given).max() <= 2 * np.abs(drawn).max())
    spread = max(given.std(), drawn.std())
    near = abs(given.mean() - drawn.mean()) <= ALIKE * spread
    return bool(near and abs(given.std() - drawn.std()) <= ALIKE * spread)


@dataclass
class Record:
    """The results of a trial run.

    Attributes:
        setup: what was run, with the weights at the end.
        steps: losses and probes of each step, by name.
        rows: a row an epoch, with the losses on training and held-out rows.
        error: what ended the run early, or None.
        trainer: the Trainer at the end; None where the run could not begin.
        stopped: whether early stopping has ended it.
    """

    setup: Setup
    steps: dict[str, Array] = field(default_factory=dict[str, Array])
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    error: ChainruleError | None = None
    trainer: Trainer | None = None
    stopped: bool = False

    @property
    def losses(self) -> Array:
        """The loss of each step, float64."""
        return np.asarray(self.steps.get("loss", np.zeros(0)), np.float64)

    def loss_at_end(self) -> float:
        """Return the mean loss of the last tenth of the steps; ∞ where it failed."""
        losses = self.losses
        if self.error is not None or not len(losses):
            return float("inf")
        return float(losses[-max(1, len(losses) // 10) :].mean())

    def loss_at_start(self) -> float:
        """Return the loss of the first step; NaN where there was none."""
        return float(self.losses[0]) if len(self.losses) else float("nan")


def raised(error: Exception) -> ChainruleError:
    """Return an error of the user's own code as one that says whose it is."""
    made = ArgumentError(
        _("The model or the loss raises an error of its own."),
        expected=_("a forward pass and a loss that can be traced"),
        got=f"{type(error).__name__}: {error}"[:200],
        fix=_(
            "call the model and the loss on a batch by hand, and look where it stops"
        ),
    )
    made.__cause__ = error
    return made


class Run:
    """A trial run, which goes on in parts that end with epochs.

    The parts together are bit for bit the run in one.

    Args:
        setup: a copy, whose model and optimiser are changed.
        probes: what to record of each step.
        watch: whether to evaluate on the held-out rows after each epoch.

    Attributes:
        record: what came of it until now.
        over: whether its last epoch is done, or an error has ended it.
    """

    def __init__(
        self, setup: Setup, probes: tuple[str, ...] = (), *, watch: bool = False
    ) -> None:
        self.record = Record(setup)
        self.over = False
        self._stopping = [unused(stop) for stop in setup.stopping]
        held = any(stop.monitor == "validation_loss" for stop in self._stopping)
        self._probes, self._watch = probes, watch or held

    def to(self, share: float) -> Record:
        """Go on until so large a share of the epochs is done; return the record."""
        record, setup = self.record, self.record.setup
        end = max(1, math.ceil(share * setup.epochs))
        given: dict[str, Any] = {
            "validation": setup.held_out if self._watch else None,
            "callbacks": [*self._stopping, _Pause(end)],
            "progress": False,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChainruleWarning)
            try:
                if record.trainer is None:
                    record.trainer = setup.trainer(self._probes)
                    record.trainer.fit(
                        setup.train,
                        epochs=setup.epochs,
                        batch_size=min(setup.batch_size, len(setup.train)),
                        drop_last=setup.drop_last,
                        accumulate_grad_batches=setup.accumulate,
                        **given,
                    )
                elif not self.over and record.trainer.epoch < end:
                    record.trainer.resume(setup.train, **given)
            except ChainruleError as error:
                record.error = error
            except Exception as error:  # noqa: BLE001 - of the user's model or loss
                record.error = raised(error)
        if record.trainer is not None:
            record.steps = record.trainer.history.steps
            record.rows = record.trainer.history.epochs
        record.stopped = any(stop.stopped for stop in self._stopping)
        trained = record.trainer is not None and record.trainer.finished
        self.over = record.error is not None or trained or record.stopped
        return record


def unused(stop: EarlyStopping) -> EarlyStopping:
    """Return early stopping with the same arguments that has watched no run."""
    return EarlyStopping(
        stop.monitor,
        stop.patience,
        min_delta=stop.min_delta,
        mode=stop.mode,
        restore_best=stop.restore_best,
    )


class _Pause(Callback):
    """A callback that ends a part of a run after a number of epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch(self, trainer: Any) -> None:
        if trainer.epoch >= self.epochs:
            trainer.stop()


def run(setup: Setup, probes: tuple[str, ...] = (), *, watch: bool = False) -> Record:
    """Run a setup to its end, see :class:`Run`; return what came of it."""
    return Run(setup, probes, watch=watch).to(1.0)
