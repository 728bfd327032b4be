"""The subject of a diagnosis: a copied Trainer, its data, its plan and its task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data import Dataset, Stream
from chainrule.data.adapter import as_data, kinds
from chainrule.data.checks import checked_batch_size
from chainrule.doctor import evidence, network
from chainrule.doctor.asked import (
    Asked,
    applies_sigmoid,
    asked,
    asks_sides,
    is_endless,
    is_one_hot,
)
from chainrule.doctor.columns import Columns, table
from chainrule.doctor.evidence import Budget
from chainrule.doctor.features import as_columns, shared_axes
from chainrule.doctor.finding import Change, Comparison
from chainrule.doctor.heard import ENDS, ROWS, Heard, heard
from chainrule.doctor.setup import Setup, redraw
from chainrule.doctor.weights import is_of_library
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.nn import Module, output_semantics
from chainrule.text import _, ngettext
from chainrule.training import Callback, EarlyStopping, Trainer, checks
from chainrule.training.callbacks import as_callbacks
from chainrule.training.entries import Entries
from chainrule.util.pytree import is_nest

#: Epochs and batch size of a run that nobody has planned.
EPOCHS, BATCH = 10, 32
#: Rows of a stream's first block that are looked at; held-out rows of a score.
BLOCK, SCORED = 4096, 2000
#: The share of the rows that is held out where there are no validation data.
HELD_OUT = 0.2
#: What early stopping may watch in trial runs, which measure losses alone.
FOLLOWED = ("train_loss", "validation_loss")
#: So few rows may all be trained on and asked: whether they are fitted is the question.
FITTED = 50


class Subject:
    """The subject of a diagnosis: a copied Trainer, its data, its plan and its task.

    Args:
        trainer: is copied.
        data, validation: as ``fit`` takes them.
        epochs, batch_size: the plan; None: of the Trainer's last run, else 10 and 32.
        drop_last: of the plan; None: of the Trainer's last run, else False.
        seconds: the budget, see :mod:`chainrule.doctor.evidence`.
        callbacks: of the planned run, as ``fit`` takes them. Copies of what ends it
            early take part; nothing else is called.

    Attributes:
        refused: why the data were refused, or None.
        refused_part: ``validation`` where these data were refused.
        examined, not_examined: what was looked at, with numbers; what not, with the
            reason.
        untried: changes that the budget did not reach, in words.
        proposed: the changes of findings until now.
        before: the scores of the run as it is, by seed.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: Any,
        *,
        validation: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        drop_last: bool | None = None,
        seconds: float | None = None,
        callbacks: Callback | Iterable[Callback] = (),
    ) -> None:
        self.budget = Budget(evidence.SECONDS if seconds is None else seconds)
        self.examined: dict[str, str] = {}
        self.not_examined: dict[str, str] = {}
        self.refused: ChainruleError | None = None
        self.refused_part = ""
        self.given, self.given_validation = data, validation
        self.trained = trainer.optimizer.steps > 0
        self.own_weights = [
            (n, p.numpy().copy()) for n, p in trainer.model.named_parameters()
        ]
        self.part: Dataset | None = None
        self._compared: evidence.Compared = {}
        self.before: dict[int, float | None] = {}
        self.untried: list[str] = []
        self.found: set[str] = set()
        self.sick: set[str] = set()
        self.proposed: list[Change] = []
        self.explains: dict[str, tuple[str, ...]] = {}
        try:
            train = self._dataset(trainer, data)
            self.refused_part = "" if validation is None else "validation"
            held_out = self._held_out(trainer, train, validation)
            self.refused_part = ""
            if hasattr(data, "drop_last"):  # a loader says how large a batch is
                batch_size = self._batch_size_of(data, train, batch_size)
                drop_last = data.drop_last if drop_last is None else drop_last
        except ChainruleError as error:
            self.refused = error
            return
        plan = trainer.plan
        epochs = epochs or (plan and plan.epochs) or EPOCHS
        size = batch_size or (plan and plan.batch_size) or BATCH
        self.train = train
        self.setup = Setup.of(
            trainer, train, held_out, int(epochs), min(int(size), len(train))
        )
        if drop_last is not None:
            self.setup.drop_last = drop_last
        self.setup.stopping = self._stopping(callbacks)
        if self.trained:
            self._begin_anew()

    # -- data --------------------------------------------------------------------------

    def _dataset(self, trainer: Trainer, data: Any) -> Dataset:
        read = as_data(data, trainer.plan)
        if isinstance(read, Stream):
            x, y = next(iter(read.blocks(BLOCK)))
            self.not_examined["stream"] = _(
                "rows of the stream behind its first {n:,}", n=len(y)
            )
            return Dataset(x, y, scale=read.scale, classes=read.classes, name=read.name)
        return read

    def _batch_size_of(self, loader: Any, train: Dataset, asked: Any) -> int | None:
        """Return the batch size of a loader; ``fit`` takes it over, or refuses it."""
        own = loader.batch_size
        size = checks.batch_size_of(loader, own if asked is None else asked)
        if own is not None and "stream" not in self.not_examined:
            checked_batch_size(own, len(train))
        return size

    def _held_out(self, trainer: Trainer, train: Dataset, validation: Any) -> Dataset:
        """Return the rows for scores; without validation data a fifth of the rows."""
        if validation is not None:
            return self._dataset(trainer, validation)
        if len(train) < 10:
            self.not_examined["held_out_rows"] = _(
                "no rows to hold out of {n}: scores are those of the training rows",
                n=len(train),
            )
            return train
        part, rest = train.split(1 - HELD_OUT, seed=0)
        self.not_examined["validation"] = ngettext(
            "no validation data were given: scores are those of {n:,} training row "
            "that the trial runs leave out",
            "no validation data were given: scores are those of {n:,} training rows "
            "that the trial runs leave out",
            n=len(rest),
        )
        self.part = part
        return rest

    def _stopping(
        self, callbacks: Callback | Iterable[Callback]
    ) -> tuple[EarlyStopping, ...]:
        """Return what ends the planned run early, where trial runs can follow it."""
        given = as_callbacks(callbacks)
        found = [c for c in given if isinstance(c, EarlyStopping)]
        known = [stop for stop in found if stop.monitor in FOLLOWED]
        if len(known) < len(found):
            self.not_examined["stopping"] = _(
                "early stopping by {names}: trial runs go on to the end",
                names=", ".join(s.monitor for s in found if s not in known),
            )
        return tuple(known)

    def _begin_anew(self) -> None:
        """Set a trained copy back to initial weights, as its layers draw them."""
        self.setup.rewind()

        def drawn(path: str) -> bool:
            weights = [w for n, w in self.own_weights if n.rpartition(".")[0] == path]
            return not any(is_constant(w) for w in weights if w.ndim > 1)

        if not redraw(self.setup.model, 0, drawn):
            self.not_examined["initial_weights"] = _(
                "the model is trained, and its layers cannot be drawn anew: trial runs "
                "begin with its present weights"
            )

    @property
    def single(self) -> bool:
        """A flag: there is one input and one target."""
        return not is_nest(self.train.x) and not is_nest(self.train.y)

    @cached_property
    def columns(self) -> Columns | None:
        """The columns of the features; None of several inputs."""
        if not self.single:
            self.not_examined["columns"] = _("several inputs or targets")
            return None
        found = Columns(table(self.train.x), self.train.feature_names)
        rows, width = found.rows.shape
        self.examined["data"] = ngettext(
            "{rows:,} of {all:,} rows of {n:,} column",
            "{rows:,} of {all:,} rows of {n:,} columns",
            n=width,
            rows=rows,
            all=len(self.train),
        )
        return found

    @cached_property
    def feature_axes(self) -> tuple[int, ...]:
        """The axes of the features along which numbers are of the same one."""
        assert self.columns is not None
        shape = self.train.x.shape[1:]
        windows = None if self.network is None else self.network.windows
        named = self.columns.names is not None
        return shared_axes(self.columns.rows.reshape(-1, *shape), windows, named=named)

    @cached_property
    def features(self) -> Columns | None:
        """The features that have a unit of their own; None of several inputs."""
        if self.columns is None or self.feature_axes == (0,):
            return self.columns
        shape = self.train.x.shape[1:]
        return Columns(as_columns(self.columns.rows, shape, self.feature_axes), None)

    @cached_property
    def labels(self) -> Array | None:
        """The class of each training row; None where targets are no classes."""
        if not self.single or self.task not in ("classes", "binary"):
            return None
        y = self.train.y
        if self.task == "binary":
            y = y.reshape(len(y), -1)
            return (y[:, 0] > 0.5).astype(np.int64) if y.shape[1] == 1 else None
        return self.classes(y)

    @property
    def compared(self) -> list[Comparison]:
        """The comparisons of changes that were made until now."""
        return list(self._compared.values())

    # -- the network -------------------------------------------------------------------

    @cached_property
    def network(self) -> network.Network | None:
        """The network as its graph shows it; None where it cannot be traced."""
        setup = self.setup.copy()
        entries = Entries.of(setup.model, lambda p, t: p.mean(), setup.optimizer)
        of = kinds(setup.train)
        try:
            found = network.read(entries, of, entries.dtypes(of))
        except ChainruleError as error:
            self.not_examined["network"] = _("it cannot be traced: {w}", w=error.what)
            return None
        except Exception as error:  # noqa: BLE001 - of the user's model
            what = f"{type(error).__name__}: {error}"[:200]
            self.not_examined["network"] = _("it cannot be traced: {w}", w=what)
            return None
        self.setup.fans = found.fans
        self.examined["network"] = ngettext(
            "a graph of {nodes} operations, {n} product",
            "a graph of {nodes} operations, {n} products one behind another",
            n=found.products,
            nodes=len(found.graph.nodes),
        )
        return found

    @cached_property
    def evaluation(self) -> tuple[Graph, Mapping[Value, Value]] | None:
        """The graph of an evaluation, and the values that its loss is given.

        The loss does not see what made them. None where it cannot be traced.
        """
        setup = self.setup.copy()
        entries = network.Apart.of(setup.model, setup.loss, setup.optimizer)
        of = kinds(setup.train)
        try:
            traced = entries.evaluate(of, (), None, entries.dtypes(of))
        except Exception:  # noqa: BLE001 - the trial run says it
            return None
        return traced.entry.graph, entries.handed

    @cached_property
    def twice(self) -> tuple[Node, Node] | None:
        """An activation that a loss of one's own applies once more, and the first one.

        None where there is none, or where the loss cannot be traced.
        """
        return None if self.evaluation is None else network.twice(*self.evaluation)

    @cached_property
    def endless(self) -> bool:
        """A flag: a loss of one's own falls without end, and asks for no answers."""
        return self._own_loss(is_endless)

    @cached_property
    def asks_sides(self) -> bool:
        """A flag: a loss of one's own asks for the sides of quantities alone."""
        return not self.endless and self._own_loss(asks_sides)

    @cached_property
    def sigmoid_in_loss(self) -> bool:
        """A flag: a loss of one's own takes a sigmoid of the outputs itself."""
        return self._own_loss(applies_sigmoid)

    def _own_loss(self, is_so: Callable[[Any, Array, tuple[Any, ...]], bool]) -> bool:
        """Return what is asked of a loss of one's own, targets and an output's shape.

        False where there is none, or where it takes several outputs or targets.
        """
        if not is_own(self.setup.loss) or self.network is None or not self.single:
            return False
        if self.network.output is None:
            return False
        loss, shape = self.setup.copy().loss, tuple(self.network.output.shape[1:])
        return is_so(loss, np.asarray(self.train.y), shape)

    @cached_property
    def task(self) -> str:
        """The kind of task: ``classes``, ``binary``, ``quantities``, or ``unknown``."""
        loss = self.setup.loss
        if not self.single or self.network is None or self.network.output is None:
            return "unknown"
        y, shape = self.train.y, self.network.output.shape
        if is_own(loss):
            found, hears = self.asked.task, self.heard
            if found != "unknown":
                return found
            deaf = hears is not None and not hears.pairs
            if deaf or self.endless:
                return task_of_shapes(np.asarray(y), tuple(shape))
            return found
        rows = y.ndim == 2 and len(shape) == 2 and y.shape[1:] == shape[1:]
        binary = output_semantics.threshold(loss) is not None
        if binary or output_semantics.is_regression(loss):
            # Each column is a decision, or a number, but one class alone is right.
            if rows and is_one_hot(y):
                return "classes"
            if binary and _count(y) > 2:
                return "classes"  # which its one output cannot tell apart
            return "binary" if binary else "quantities"
        whole = y.dtype.kind in "iu" and y.ndim == 1
        if whole and len(shape) == 2 and shape[1] != 1:
            return "classes"
        if rows and output_semantics.is_classification(loss):
            return "classes"
        return "unknown"

    @cached_property
    def asked(self) -> Asked:
        """The task that a loss of the user's own sets its outputs."""
        assert self.network is not None
        assert self.network.output is not None
        loss, shape = self.setup.copy().loss, self.network.output.shape
        shares = self.network.end_kind in (network.SIGMOID, network.SOFTMAX)
        y = np.asarray(self.train.y)
        return asked(loss, y, tuple(shape[1:]), shares=shares)

    @cached_property
    def heard(self) -> Heard | None:
        """The parts that the loss depends on; None: it cannot be called by itself."""
        if not self.single or self.network is None or self.network.output is None:
            return None
        shape = tuple(self.network.output.shape[1:])
        loss, end = self.setup.copy().loss, ENDS.get(self.network.end_kind)
        return heard(loss, np.asarray(self.train.y[:ROWS]), shape, end)

    @cached_property
    def fitted(self) -> bool:
        """A flag: the few rows of the scores are the training rows, more than one."""
        parts = self.train, self.setup.held_out
        if not self.single or max(map(len, parts)) > FITTED:
            return False
        first, second = ({*_rows(part)} for part in parts)
        return first == second and len(first) > 1

    @property
    def metric(self) -> str:
        """The name of the score."""
        if self.task in ("classes", "binary"):
            return "accuracy"
        return "r2" if self.task == "quantities" else "share_of_loss_gone"

    @cached_property
    def baseline(self) -> float:
        """The score of the best constant answer."""
        labels = self.labels
        if labels is None and self.task == "binary":
            y, held = (
                np.asarray(part.y).reshape(len(part), -1) > 0.5
                for part in (self.train, self.setup.held_out)
            )
            return float((held == (y.mean(0) >= 0.5)).mean())
        if labels is None:
            return 0.0
        held = self.classes(self.setup.held_out.y)
        values, counts = np.unique(labels, return_counts=True)
        return float((held == values[counts.argmax()]).mean())

    def classes(self, y: Array) -> Array:
        """Return targets as class numbers; of several labels a row, each."""
        if self.task == "binary":
            return (y > 0.5).reshape(-1).astype(np.int64)
        one = y.ndim == 1 or y.shape[1] == 1
        return y.reshape(-1).astype(np.int64) if one else y.argmax(1)

    @cached_property
    def takes_indices(self) -> bool:
        """A flag: the model takes its inputs as whole numbers."""
        assert self.network is not None
        names = kinds(self.train).types_of(kinds(self.train).x)
        return any(
            v.dtype.is_integer for v in self.network.graph.inputs if v.name in names
        )


def is_own(loss: Any) -> bool:
    """Return whether a loss is of the user's own making."""
    return not isinstance(loss, Module) or not is_of_library(loss)


def task_of_shapes(y: Array, shape: tuple[Any, ...]) -> str:
    """Return the task that targets and outputs of their shape set, whatever the loss.

    >>> task_of_shapes(np.array([0, 1, 2]), ("N", 3))
    'classes'
    >>> task_of_shapes(np.array([[0.5], [2.0]]), ("N", 1))
    'quantities'
    """
    if y.dtype.kind in "iu" and y.ndim == 1 and len(shape) == 2:
        classes = shape[1]
        named = isinstance(classes, int) and 0 <= y.min() <= y.max() == classes - 1
        return "classes" if named and classes > 1 else "unknown"
    if y.dtype.kind != "f" or y.shape[1:] != shape[1:]:
        return "unknown"
    if is_one_hot(y):
        return "classes"
    return "binary" if np.isin(y, (0, 1)).all() else "quantities"


def _count(y: Array) -> int:
    """Return how many classes a column of whole numbers from 0 on has; 0: none."""
    if y.size != len(y):
        return 0
    values = np.unique(y)
    return len(values) if (values == np.arange(len(values))).all() else 0


def _rows(data: Dataset) -> list[bytes]:
    """Return the bytes of each row, of features and target."""
    x, y = np.asarray(data.x[:]), np.asarray(data.y)
    return [a.tobytes() + b.tobytes() for a, b in zip(x, y, strict=True)]


def is_constant(weights: Array) -> bool:
    """Return whether all rows of a weight matrix are the same numbers."""
    if weights.ndim < 2 or len(weights) < 2:
        return False
    return bool((weights == weights[:1]).all())


def need_trainer(trainer: Any, what: str) -> None:
    """Refuse what is no Trainer; the error begins with ``what``."""
    if not isinstance(trainer, Trainer):
        raise ArgumentError(
            what,
            expected=_("cr.Trainer(model, loss=…, optimizer=…), trained or not"),
            got=type(trainer).__name__,
            fix=_(
                "a loop of your own, a GAN or an agent has no single supervised loss: "
                "make a Trainer of the network that is to be examined"
            ),
        )
