"""Metrics by name, as a Trainer's argument and in a checkpoint."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, nearest
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, Shape
from chainrule.metrics.base import FunctionMetric, Metric
from chainrule.metrics.classes import (
    F1,
    Accuracy,
    BalancedAccuracy,
    ClassMetric,
    ConfusionMatrix,
    Precision,
    Recall,
    TopK,
)
from chainrule.metrics.outputs import OutputMetric
from chainrule.metrics.probabilities import BrierScore, LogLoss
from chainrule.metrics.quantities import MAE, MSE, R2, RMSE
from chainrule.metrics.ranking import ROCAUC, AveragePrecision
from chainrule.nn import output_semantics as semantics
from chainrule.nn.losses.classes import ClassLoss
from chainrule.tensor import as_tensor
from chainrule.text import _
from chainrule.util import validation

_NAMED: dict[str, type[Metric]] = {
    kind.name: kind
    for kind in (
        *(Accuracy, BalancedAccuracy, Precision, Recall, F1, ROCAUC),
        *(AveragePrecision, LogLoss, BrierScore, ConfusionMatrix),
        *(R2, MAE, MSE, RMSE),
    )
}
_CLASSES = {kind.__name__: kind for kind in (*_NAMED.values(), TopK)}
#: The metrics of this library, each of one output.
LIBRARY = frozenset(_CLASSES.values())


def metric(metric_or_name: Any) -> Metric:
    """Return a metric: the object itself, or by name (``"top3"``: ``TopK(3)``).

    Raises:
        ArgumentError: a name that no metric has, or something else.
    """
    if isinstance(metric_or_name, Metric):
        return metric_or_name
    if callable(metric_or_name) and not isinstance(metric_or_name, type):
        return FunctionMetric(metric_or_name)
    if isinstance(metric_or_name, str):
        if metric_or_name in _NAMED:
            return _NAMED[metric_or_name]()
        if re.fullmatch(r"top[1-9]\d{0,6}", metric_or_name):
            return TopK(int(metric_or_name[3:]))
        near = nearest(metric_or_name, [*_NAMED, "top5"])
        raise ArgumentError(
            _("No metric is called {given!r}.", given=metric_or_name),
            expected=_(
                "{NAMED}, top5 (or another number), or a Metric",
                NAMED=", ".join(_NAMED),
            ),
            got=repr(metric_or_name),
            fix=_("did you mean {near!r}?", near=near)
            if near
            else "metrics=['accuracy']",
        )
    return validation.instance("metrics", metric_or_name, Metric, "['accuracy']")


def as_metrics(metrics: Any, outputs: Any = None) -> tuple[Metric, ...] | None:
    """Return the metrics requested from a Trainer; None for the default choice.

    Args:
        metrics: names, metrics and functions, one or several; in a dictionary by the
            names that they shall have.
        outputs: the losses by outputs, where there are several: then metrics in a
            dictionary are those of outputs, and so is a tuple of as many as a tuple of
            losses has.

    Raises:
        ArgumentError: what is no metric, or two of one name.
    """
    if metrics is None:
        return None
    in_order = not isinstance(outputs, dict) and isinstance(metrics, tuple)
    if outputs is None or not (
        isinstance(metrics, dict) or (in_order and len(metrics) == len(outputs))
    ):
        resolved = _several(metrics)
    else:
        resolved, known = (), [key for key, __ in _items(outputs)]
        for key, items in _items(metrics):
            if key not in known:
                raise ArgumentError(
                    _("There is no loss of the output {key!r}.", key=key),
                    expected=_(
                        "metrics by the names of {known}",
                        known=", ".join(map(str, known)),
                    ),
                    got=repr(key),
                    fix='metrics={"…": ["accuracy"]}',
                )
            resolved += tuple(OutputMetric(m, key) for m in _several(items))
    check_names(resolved, outputs)
    return resolved


def _items(tree: Any) -> Iterable[tuple[Any, Any]]:
    return tree.items() if isinstance(tree, dict) else enumerate(tree)


def _several(metrics: Any) -> tuple[Metric, ...]:
    """Return one or several metrics, by name or not, as a tuple."""
    if isinstance(metrics, dict):
        return tuple(_called(name, item) for name, item in metrics.items())
    one = isinstance(metrics, str | type) or not isinstance(metrics, Iterable)
    items: Any = [metrics] if one else metrics
    return tuple(map(metric, items))


def _called(name: Any, item: Any) -> Metric:
    """Return a function as a metric, or a metric, under a name of the caller's."""
    if not isinstance(item, Metric | str):
        return FunctionMetric(item, name)
    named = copy.copy(metric(item))
    named.name = validation.text("name", name)
    return named


def check_names(measured: Iterable[Metric], outputs: Any = None) -> None:
    """Refuse metrics of one name, or of that of a loss, or of an unknown mode."""
    losses = [] if outputs is None else [f"{key}_loss" for key, __ in _items(outputs)]
    names = ["loss", *losses, *(m.name for m in measured)]
    for m in measured:
        if m.mode is not None:
            validation.choice("min", "max")(f"{type(m).__name__}.mode", m.mode)
    for name in names:
        if not name or names.count(name) > 1:
            raise ArgumentError(
                _("Every metric has a name of its own."),
                expected=_("different names, none of them empty or 'loss'"),
                got=", ".join(map(repr, names[1 + len(losses) :])),
                fix=_("give the class another name = '…'"),
            )


def defaults(loss: Any, prediction: Shape, target: ArrayType) -> tuple[Metric, ...]:
    """Return a Trainer's default metrics for a loss, a prediction and a target.

    Accuracy where the loss or the targets speak of classes; R² and MAE for quantities:
    with a regression loss, or a loss of the user's own on floating-point targets of the
    outputs' shape. Nothing else, and nothing for one of C classes at each of several
    positions, which no metric counts.
    """
    if isinstance(loss, ClassLoss) and len(prediction) > 2:
        return ()
    if semantics.is_classification(loss) or semantics.labels(prediction, target):
        return (Accuracy(),)
    own = not type(loss).__module__.startswith("chainrule.")
    alike = target.dtype.is_float and prediction[1:] == target.shape
    return (R2(), MAE()) if semantics.is_regression(loss) or (own and alike) else ()


def check_quantities(measured: Iterable[Metric], loss: Any, y: Array) -> None:
    """Refuse classification metrics for regression targets.

    Under a regression loss classes are 0 and 1, −1 and 1, or rows of shares.

    Raises:
        ArgumentError: naming the metrics of a regression.
    """
    counting = [m for m in measured if isinstance(m, ClassMetric)]
    if not counting or not semantics.is_regression(loss):
        return
    shares = y.ndim > 1 and y.shape[1] > 1 and y.min() >= 0 and y.max() <= 1
    if shares or np.isin(y, (0, 1)).all() or np.isin(y, (-1, 1)).all():
        return
    raise ArgumentError(
        _(
            "{name} counts decisions, and these targets are quantities.",
            name=type(counting[0]).__name__,
        ),
        expected=_("for a regression the metrics r2, mae, mse or rmse"),
        got=_(
            "{name!r}, and targets from {min:g} to {max:g}",
            name=counting[0].name,
            min=y.min(),
            max=y.max(),
        ),
        fix="metrics=['r2', 'mae', 'rmse']",
    )


def spec(metric: Metric) -> dict[str, Any] | None:
    """Return a metric's description for a checkpoint; None for a user's own metric."""
    if isinstance(metric, OutputMetric):
        inner = spec(metric.metric)
        return None if inner is None else inner | {"output": metric.output}
    kind = type(metric).__name__
    if _CLASSES.get(kind) is not type(metric):
        return None
    described = {"class": kind, "arguments": metric.settings()}
    same = build(described).name == metric.name
    return described if same else described | {"name": metric.name}


def build(description: Mapping[str, Any]) -> Metric:
    """Build a metric from its description in a checkpoint.

    Raises:
        KeyError, TypeError: a description of something else.
    """
    made = _CLASSES[description["class"]](**description["arguments"])
    made.name = description.get("name", made.name)
    output = description.get("output")
    return made if output is None else OutputMetric(made, output)


def measure(metric_or_name: Any, prediction: Any, target: Any) -> Any:
    """Compute a metric of one batch of predictions and targets.

    Args:
        metric_or_name: a :class:`Metric` or a name.
        prediction: a network's outputs.
        target: the truth.

    Raises:
        NonFiniteError: NaN or infinity among the outputs, with the rows.

    >>> import chainrule as cr
    >>> measure("rmse", cr.tensor([1.0, 2.0]), cr.tensor([1.0, 2.0]))
    0.0
    """
    measured, outputs, truth = (
        metric(metric_or_name),
        as_tensor(prediction),
        as_tensor(target),
    )
    semantics.refuse_rows(semantics.finite_rows(outputs.numpy()))
    batch = {k: t.numpy() for k, t in measured.batch(outputs, truth).items()}
    return measured.value([batch], np.array([len(outputs)], np.float64))
