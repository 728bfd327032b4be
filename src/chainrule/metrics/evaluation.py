"""Evaluation of a network: baseline, importance of columns, worst predictions.

A figure says little alone. Here it stands beside what a constant answer would get; the
columns of a table are ranked by what the network loses without them; and the rows that
it gets most wrong are named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.data.text import shown, texts_of
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, as_dtype
from chainrule.metrics import (
    F1,
    R2,
    ROCAUC,
    Accuracy,
    BalancedAccuracy,
    ConfusionMatrix,
    Metric,
)
from chainrule.metrics.named import defaults
from chainrule.nn import output_semantics as semantics
from chainrule.tensor import tensor
from chainrule.text import _
from chainrule.util.pytree import is_nest, leaves

#: Rows that a network predicts for the importance of all columns, at most about.
ROWS = 2_000_000
#: Of tables with more columns none is ranked.
COLUMNS = 500
#: A share of a class is at least this, so that its logarithm is a number.
_LEAST = 1e-7


# -- figures, and what they are beside -----------------------------------------


def require_one(data: Dataset) -> None:
    """Refuse data of several inputs or targets, of which a report shows none.

    Raises:
        ArgumentError: naming them.
    """
    if is_nest(data.x) or is_nest(data.y):
        names = [*leaves(data.x, "x"), *leaves(data.y, "y")]
        raise ArgumentError(
            _("A report shows networks of one input and one output."),
            expected=_("a data set with an array of features and one of targets"),
            got=", ".join(names),
            fix=_("trainer.evaluate(data) and trainer.predict(data.x) take several"),
        )


def is_classification(trainer: Any, data: Dataset, outputs: Array) -> bool:
    """Return whether a network's outputs are classes, one per row or binary."""
    require_one(data)
    row = ArrayType(data.y.shape[1:], as_dtype(data.y.dtype))
    loss = trainer.loss
    named = semantics.labels(outputs.shape, row) is not None
    return semantics.is_classification(loss) or (
        named and not semantics.is_regression(loss)
    )


def metrics_for(trainer: Any, data: Dataset, outputs: Array) -> list[Metric]:
    """Return the metrics for an evaluation: the Trainer's, and more for classes."""
    row = ArrayType(data.y.shape[1:], as_dtype(data.y.dtype))
    chosen = trainer.metrics
    if chosen is None:
        chosen = defaults(trainer.loss, outputs.shape, row)
    more: tuple[Metric, ...] = ()
    if is_classification(trainer, data, outputs):
        more = Accuracy(), BalancedAccuracy(), F1(), ROCAUC(), ConfusionMatrix()
    names = {metric.name for metric in chosen}
    metrics = (*chosen, *(metric for metric in more if metric.name not in names))
    return [metric.for_loss(trainer.loss) for metric in metrics]


def value_of(metric: Metric, outputs: Array, y: Array) -> Any:
    """Compute a metric from a network's outputs and targets."""
    batch = metric.batch(tensor(outputs), tensor(y))
    numbers = {key: t.numpy() for key, t in batch.items()}
    return metric.value([numbers], np.array([len(y)], np.float64))


def loss_of(loss: Any, outputs: Array, y: Array) -> float:
    """Compute the loss from a network's outputs and targets, as ``evaluate`` does."""
    if not isinstance(loss, nn.Loss):
        return float(loss(tensor(outputs), tensor(y)).item())
    total, weight = (t.item() for t in loss.totals(tensor(outputs), tensor(y)))
    return float(total / (weight or 1.0))


@dataclass(frozen=True)
class Baseline:
    """The best constant prediction as a baseline, and its metrics on the same data.

    Attributes:
        says: the answer: the class that is commonest, by its number; or the mean.
        share: of the commonest class; None for quantities.
        values: by the name of each metric, and ``loss``, what the answer gets.
    """

    says: int | list[float]
    share: float | None
    values: dict[str, float]


def baseline(
    trainer: Any, data: Dataset, outputs: Array, measured: Sequence[Metric]
) -> Baseline | None:
    """Evaluate the best constant prediction, the baseline; None if there is none.

    For classes it is always the commonest one, as sure as it is common; for quantities
    the mean, whose R² is 0; its logarithm where that is what the loss takes.

    Args:
        trainer: whose loss it is.
        data: with targets; the answer is the best for these.
        outputs: of the network for them, whose shape tells what an answer is.
        measured: metrics, of which those that are one number are taken.
    """
    loss, n = trainer.loss, len(data)
    if is_classification(trainer, data, outputs):
        cut = semantics.threshold(loss)
        truth = semantics.decisions(
            _("A baseline"), tensor(outputs), tensor(data.y), cut
        )[1]
        labels, classes = truth.numpy(), semantics.number_of_classes(outputs.shape, cut)
        counts = np.bincount(
            labels[(labels >= 0) & (labels < classes)], minlength=classes
        )
        share = counts / max(counts.sum(), 1)
        says, common = int(counts.argmax()), float(share.max())
        binary = cut is not None or (classes == 2 and outputs.shape[-1] == 1)
        row = _binary(loss, share[1], says) if binary else _shares(loss, share)
    else:
        y = data.y.reshape(n, -1).astype(np.float64)
        if y.size != outputs.size:
            return None
        says, common, row = y.mean(0).tolist(), None, _mean(loss, y)
    width = outputs.size // n
    constant = np.broadcast_to(row, (n, width)).reshape(outputs.shape)
    constant = constant.astype(outputs.dtype)
    values = {
        # Of a mean R² is 0 up to rounding.
        metric.name: round(value, 9) if isinstance(metric, R2) else value
        for metric in measured
        if metric.scalar
        for value in [float(value_of(metric, constant, data.y))]
    }
    if common is None or _of_shares(loss):
        values = {"loss": loss_of(loss, constant, data.y), **values}
    return Baseline(says, common, values)


def _mean(loss: Any, y: Array) -> Array:
    """Return a baseline's outputs, one row, that stand for the mean of targets."""
    log_target = isinstance(loss, nn.KLDivLoss) and loss.log_target
    mean = (np.exp(y) if log_target else y).mean(0)
    takes_logarithms = isinstance(loss, nn.KLDivLoss) or (
        isinstance(loss, nn.PoissonNLLLoss) and loss.log_input
    )
    return np.log(np.maximum(mean, _LEAST)) if takes_logarithms else mean


def _of_shares(loss: Any) -> bool:
    """Return whether class frequencies are a loss's best constant prediction."""
    return isinstance(loss, nn.CrossEntropyLoss | nn.BCELoss | nn.BCEWithLogitsLoss)


def _shares(loss: Any, share: Array) -> Array:
    """Return a baseline's outputs, one row, that give the class frequencies."""
    sure = semantics.from_logits(loss) is False
    return share if sure else np.log(np.maximum(share, _LEAST))


def _binary(loss: Any, share: float, says: int) -> float:
    """Return a baseline's constant output for a binary loss."""
    p = min(max(share, _LEAST), 1 - _LEAST)
    if isinstance(loss, nn.BCELoss):
        return p
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return math.log(p / (1 - p))
    cut = semantics.threshold(loss)
    return (0.5 if cut is None else cut) + (0.5 if says else -0.5)


# -- columns -------------------------------------------------------------------


def columns_of(data: Dataset) -> dict[str, list[int]]:
    """Return a table's columns with the indices of their features; empty if no table.

    A category's 0/1 features are one column, and so are the parts of a date and the
    marker of a gap.

    >>> table = Dataset([[1, 0, 5], [0, 1, 6]], [0, 1], format={"features": ["b", "n"]},
    ...                 feature_names=["b=no", "b=yes", "n"])
    >>> columns_of(table)
    {'b': [0, 1], 'n': [2]}
    """
    names = data.feature_names
    if names is None or len(data.x.shape) != 2:
        return {}
    format = data.format or {}
    listed = [column["name"] for column in format.get("columns", ())]
    known = sorted(listed or format.get("features", ()), key=len, reverse=True)
    columns: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        own = (c for c in known if name == c or name.startswith((f"{c}=", f"{c} ")))
        columns.setdefault(next(own, name), []).append(i)
    return columns


@dataclass(frozen=True)
class Importance:
    """The importance of a data column: how much a metric worsens without it.

    Attributes:
        column: its name.
        mean: of the loss over the repeats; below 0 where the metric got better.
        std: its standard deviation.
    """

    column: str
    mean: float
    std: float


def permutation_importance(
    trainer: Any,
    data: Dataset,
    metric: Metric,
    *,
    repeats: int = 5,
    rows: int = 1000,
    seed: int = 0,
) -> list[Importance]:
    """Compute each column's permutation importance for a metric, largest first.

    A shuffled column has the same values and says nothing about its row; the features
    of one column are shuffled together. Of two columns that say the same neither seems
    important.

    Args:
        trainer: of the network.
        data: a table with names of features; of anything else nothing is ranked.
        metric: that is one number, knowing the loss.
        repeats: shuffles a column.
        rows: at most so many are looked at, and fewer of a wide table.
        seed: of the shuffles and of which rows.

    Source: Breiman 2001, section 10; scikit-learn, ``permutation_importance``.
    """
    require_one(data)
    if not 0 < len(columns_of(data)) <= COLUMNS or len(data) < 2:
        return []
    data = trainer.like(data)
    columns = columns_of(data)
    rng = np.random.default_rng(seed)
    most = max(50, min(rows, ROWS // (repeats * len(columns))))
    taken = np.sort(rng.permutation(len(data))[:most])
    x, y = np.asarray(data.x[taken]), data.y[taken]
    sign = 1.0 if metric.mode == "max" else -1.0
    whole = value_of(metric, trainer.predict(x), y)
    importances: list[Importance] = []
    for column, features in columns.items():
        orders = [rng.permutation(len(x)) for __ in range(repeats)]
        shuffled = np.concatenate([x] * repeats)
        shuffled[:, features] = np.concatenate(
            [x[order][:, features] for order in orders]
        )
        parts = np.split(trainer.predict(shuffled), repeats)
        lost = [sign * (whole - value_of(metric, part, y)) for part in parts]
        importances.append(
            Importance(column, float(np.mean(lost)), float(np.std(lost)))
        )
    return sorted(importances, key=lambda item: -item.mean)


# -- rows ----------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """A row of data with a wrong prediction, in an evaluation.

    Attributes:
        row: its number in the data, from 0.
        truth: the class's number, or the quantities.
        predicted: likewise.
        cost: its loss for a class, NaN where that is not known; for a quantity ŷ − y,
            of the target that is most wrong by its own spread.
        target: the number of that target.
    """

    row: int
    truth: int | list[float]
    predicted: int | list[float]
    cost: float
    target: int = 0


def decisions(
    trainer: Any, data: Dataset, outputs: Array
) -> tuple[Array, Array] | None:
    """Return all rows' predicted and true classes; None without classes."""
    if not is_classification(trainer, data, outputs):
        return None
    cut = semantics.threshold(trainer.loss)
    pair = semantics.decisions("Mistakes", tensor(outputs), tensor(data.y), cut)
    decided, truth = (t.numpy().astype(np.intp) for t in pair)
    return (decided, truth) if len(decided) == len(data) else None


def mistakes(
    trainer: Any, data: Dataset, outputs: Array, most: int = 5
) -> list[Mistake]:
    """Return the rows of data with the worst predictions, the worst first.

    Of classes those decided wrongly, by their loss; of quantities by their error.
    """
    n, y = len(data), data.y
    if is_classification(trainer, data, outputs):
        pair = decisions(trainer, data, outputs)
        if pair is None:
            return []
        decided, truth = pair
        losses = _row_losses(trainer.loss, outputs, y)
        wrong = np.flatnonzero(decided != truth)
        cost = np.nan_to_num(losses[wrong], nan=-np.inf, posinf=np.inf)
        order = wrong[np.argsort(-cost, kind="stable")][:most].tolist()
        return [
            Mistake(i, int(truth[i]), int(decided[i]), float(losses[i])) for i in order
        ]
    true, said = (np.asarray(a, np.float64).reshape(n, -1) for a in (y, outputs))
    if true.shape != said.shape:
        return []
    spread = true.std(0)
    sizes = np.abs(said - true) / np.where(spread > 0, spread, 1.0)
    order = np.argsort(-sizes.max(1), kind="stable")[:most].tolist()
    worst = sizes.argmax(1)
    return [
        Mistake(i, true[i].tolist(), said[i].tolist(), float((said - true)[i, j]), j)
        for i, j in zip(order, worst[order].tolist())
    ]


def _row_losses(loss: Any, outputs: Array, y: Array) -> Array:
    """Compute the loss of each row of data, (n,); NaN if the loss has none per row."""
    if not isinstance(loss, nn.Loss):
        return np.full(len(y), np.nan)
    each = loss.pointwise(*loss.prepare(outputs, y)).numpy().astype(np.float64)
    return each.reshape(len(y), -1).mean(1)


def cells_of(data: Dataset, row: int) -> dict[str, str]:
    """Return the cells of a table's row by column, recovered from its features.

    >>> table = Dataset([[1, 0, 5], [0, 1, 6]], [0, 1], format={"features": ["b", "n"]},
    ...                 feature_names=["b=no", "b=yes", "n"])
    >>> cells_of(table, 1)
    {'b': 'yes', 'n': '6'}
    """
    if texts_of(data) is not None:
        return shown(data, row)
    names, numbers = data.feature_names or (), np.asarray(data.x[row : row + 1])[0]
    cells: dict[str, str] = {}
    for column, features in columns_of(data).items():
        one_hot = [names[i].removeprefix(f"{column}=") for i in features if numbers[i]]
        if names[features[0]] == column:
            cells[column] = f"{numbers[features[0]]:.6g}"
        else:
            cells[column] = ", ".join(one_hot)
    return cells
