"""Metrics: how well a network does, besides its loss.

A metric is part of the graph that evaluates: for each batch it computes a few small
tensors, in the engine; from those of all batches the host works out its value in
float64. So a metric is exact however the data are cut into batches, and costs no pass
of its own over them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule import checks
from chainrule.errors import ArgumentError, ShapeError, nearest
from chainrule.functions.elementwise import where
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, DType, Shape
from chainrule.nn import output_semantics as semantics
from chainrule.primitives.creation import iota
from chainrule.primitives.indexing import one_hot_mask
from chainrule.primitives.matmul import dot
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, count_of, wrap

__all__ = [
    "MAE",
    "MSE",
    "R2",
    "RMSE",
    "Accuracy",
    "ConfusionMatrix",
    "Mean",
    "Metric",
    "TopK",
    "measure",
    "total",
]

Batches = Sequence[Mapping[str, Array]]


class Metric:
    """Base of the metrics; make your own by defining ``batch`` and ``value``.

    Attributes:
        name: the key under which ``evaluate`` gives it.
        mode: ``"max"`` where more is better, else ``"min"``.
        scalar: whether its value is one number, as ``History`` keeps them.
        arguments: of the constructor, kept as attributes of the same names.

    >>> import chainrule as cr
    >>> from chainrule import metrics
    >>> class Bias(metrics.Metric):
    ...     name, mode = "bias", "min"
    ...     def batch(self, prediction, target):
    ...         return {"sum": (prediction - target).sum()}
    ...     def value(self, batches, counts):
    ...         return metrics.total(batches, "sum") / counts.sum()
    >>> trainer = cr.Trainer(cr.nn.Linear(1, 1), loss=cr.nn.MSELoss(),
    ...                      optimizer=cr.optim.SGD(lr=0.1), metrics=[Bias()],
    ...                      engine="numpy")
    >>> list(trainer.evaluate(([[1.0], [2.0]], [[3.0], [5.0]])))
    ['loss', 'bias']
    """

    name: str = ""
    mode: str = "max"
    scalar: bool = True
    arguments: ClassVar[tuple[str, ...]] = ()

    def for_loss(self, loss: Any) -> Metric:
        """The metric for a network trained with ``loss``: itself, or an adapted one."""
        return self

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the value needs of one batch: small tensors, by names of your own.

        It is traced into a graph, so it sees shapes and no numbers.
        """
        raise self._lacks("batch", "(self, prediction, target) → dict of tensors")

    def value(self, batches: Batches, counts: Array) -> Any:
        """The metric over all batches.

        Args:
            batches: what ``batch`` gave, as arrays, batch by batch.
            counts: the samples of each batch, float64.
        """
        raise self._lacks("value", "(self, batches, counts) → number")

    def settings(self) -> dict[str, Any]:
        """The arguments that make such a metric anew, for checkpoints."""
        given = {name: getattr(self, name) for name in self.arguments}
        return {name: value for name, value in given.items() if value is not None}

    def _lacks(self, method: str, form: str) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__} has no {method}().",
            expected=f"a method {method}{form}",
            fix="define it in the class",
        )

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.settings().items())
        return f"{type(self).__name__}({arguments})"


class Mean(Metric):
    """Base of the metrics that are a mean over all samples or elements.

    One of your own defines ``items``: the numbers, or truth values, of a batch that the
    mean is over. They are summed in float64.

    >>> import chainrule as cr
    >>> class Within(Mean):
    ...     name = "within_one"
    ...     def items(self, prediction, target):
    ...         return (prediction - target).abs() <= 1.0
    >>> measure(Within(), cr.tensor([1.0, 2.0]), cr.tensor([1.5, 4.0]))
    0.5
    """

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What the mean is over."""
        raise self._lacks("items", "(self, prediction, target) → tensor")

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Their sum, and how many there are."""
        items = self.items(prediction, target)
        exact = "int32" if items.dtype is DType.bool else "float64"
        made = items.astype(exact).sum()
        return {"sum": made, "count": count_of(items.size, made.dtype)}

    def value(self, batches: Batches, counts: Array) -> float:
        """Σ items / how many."""
        return float(total(batches, "sum") / total(batches, "count"))


def number(metric: Metric, value: Any) -> int | float:
    """What ``value`` gave, as a number of Python's.

    Raises:
        ArgumentError: no single number.
    """
    single = np.ndim(value) == 0 and not np.iscomplexobj(value)
    if single and hasattr(value, "__float__"):
        plain = value.item() if hasattr(value, "item") else value
        return plain if isinstance(plain, int | float) else float(plain)
    raise ArgumentError(
        f"{type(metric).__name__}.value must give one number.",
        expected="a number, or scalar = False in the class",
        got=repr(value)[:80],
        fix="return float(…); with scalar = False evaluate gives it as it is, and "
        "History leaves it out",
    )


def total(batches: Batches, key: str) -> Array:
    """The sum over the batches of what ``batch`` called ``key``, in float64."""
    return np.sum([np.asarray(b[key], np.float64) for b in batches], axis=0)


class _Decided(Metric):
    """Base of metrics that compare the decided class with the true one."""

    arguments = ("threshold",)

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = checks.maybe(checks.number)("threshold", threshold)

    def for_loss(self, loss: Any) -> Metric:
        """With the loss's threshold, where none was given."""
        cut = semantics.threshold(loss)
        if self.threshold is not None or cut is None:
            return self
        return type(self)(threshold=cut)


class Accuracy(_Decided, Mean):
    """The share of decisions that are right, from 0 to 1.

    With C scores a sample the largest one decides (the first of equals). A binary
    output decides for class 1 from a threshold on: 0 for scores (``BCEWithLogitsLoss``,
    ``HingeLoss``, ``PerceptronLoss``), ½ for probabilities (``BCELoss``) and for a
    single output of any other network. With a binary loss and several outputs each of
    them is a decision.

    Args:
        threshold: from which output on class 1 is meant; None: by the loss.

    Targets may be class numbers, one-hot rows, or for binary outputs {0, 1} or ±1.

    >>> import chainrule as cr
    >>> scores, labels = cr.tensor([[2.0, 1.0], [0.0, 3.0]]), cr.tensor([0, 0])
    >>> cr.metrics.measure("accuracy", scores, labels)
    0.5
    """

    name = "accuracy"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Which decisions are right."""
        pair = semantics.decisions("Accuracy", prediction, target, self.threshold)
        return pair[0] == pair[1]


class TopK(Mean):
    """The share of samples whose true class is among the k largest scores.

    Of equal scores those of the lower classes count as larger, so that ``TopK(1)`` is
    the accuracy.

    Args:
        k: how many classes may be named, at least 1.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    >>> cr.metrics.measure("top2", scores, cr.tensor([1, 2]))
    0.5
    """

    arguments = ("k",)

    def __init__(self, k: int = 5) -> None:
        self.k = checks.whole("k", k)
        self.name = f"top{self.k}"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Which samples have fewer than k classes in front of the true one."""
        if prediction.ndim != 2 or prediction.shape[1] == 1:
            raise ShapeError(
                "TopK needs one score a class.",
                expected="outputs of shape (N, C)",
                got=show(prediction.shape),
                fix="leave the metric out",
            )
        truth = semantics.decisions("TopK", prediction, target, None)[1].reshape(-1, 1)
        label = wrap(iota(shape=prediction.shape, axis=1, dtype=DType.int32))
        own = where(label == truth, prediction, 0.0).sum(1, keepdim=True)
        ties = where(label < truth, prediction == own, False)
        ahead = where(prediction > own, True, ties).astype("int32").sum(1)
        return where(own == own, ahead.reshape(-1, 1) < self.k, False)


class ConfusionMatrix(_Decided):
    """How often each true class (row) was taken for each class (column).

    Decisions are made as for :class:`Accuracy`. The value is an array of shape (C, C)
    of int64; ``History``, whose rows hold single numbers, leaves it out.

    Args:
        threshold: see :class:`Accuracy`.

    >>> import chainrule as cr
    >>> scores = cr.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]])
    >>> labels = cr.tensor([0, 0, 1])
    >>> cr.metrics.measure("confusion_matrix", scores, labels)
    array([[1, 1],
           [0, 1]])
    """

    name = "confusion_matrix"
    scalar = False

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The counts of the batch: one-hot rows of the truth times those decided."""
        pair = semantics.decisions(
            "ConfusionMatrix", prediction, target, self.threshold
        )
        classes = semantics.number_of_classes(prediction.shape, self.threshold)
        decided, truth = (
            wrap(one_hot_mask(labels.value, classes)).astype("float32")
            for labels in pair
        )
        return {"counts": wrap(dot(truth.value, decided.value, "nt,nd->td"))}

    def value(self, batches: Batches, counts: Array) -> Array:
        """The sum of the batches."""
        return total(batches, "counts").astype(np.int64)


class R2(Metric):
    """R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)², the share of the variance that is explained.

    1 is perfect, 0 is what the mean of the targets would give. With several outputs
    the mean over them; an output whose targets are all equal counts as 1 where it is
    predicted exactly, else 0 (as in scikit-learn).

    Each batch is centred on its own mean and the parts are merged as in Chan, Golub &
    LeVeque 1983, "Algorithms for computing the sample variance", so that nothing
    cancels for targets that lie far from 0.

    >>> import chainrule as cr
    >>> cr.metrics.measure("r2", cr.tensor([1.0, 2.0]), cr.tensor([1.0, 3.0]))
    0.5
    """

    name = "r2"

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """For each output the targets' mean, their spread around it, and Σ (y − ŷ)²."""
        y, error = _errors("R2", prediction, target)
        mean = y.mean(0)
        around = y - mean
        return {
            "mean": mean,
            "spread": (around * around).sum(0),
            "residual": (error * error).sum(0),
        }

    def value(self, batches: Batches, counts: Array) -> float:
        """The mean of 1 − residual / spread over the outputs."""
        means = np.array([b["mean"] for b in batches], np.float64)
        away = means - counts @ means / counts.sum()
        spread = total(batches, "spread") + counts @ (away * away)
        residual = total(batches, "residual")
        known = spread > 0
        explained = 1 - residual / np.where(known, spread, 1.0)
        return float(np.where(known, explained, residual == 0).mean())


class MAE(Mean):
    """The mean absolute error, 1/n Σ |y − ŷ| over all elements.

    >>> import chainrule as cr
    >>> cr.metrics.measure("mae", cr.tensor([1.0, 2.0]), cr.tensor([1.0, 5.0]))
    1.5
    """

    name, mode = "mae", "min"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """|y − ŷ|."""
        return _errors("MAE", prediction, target)[1].abs()


class MSE(Mean):
    """The mean squared error, 1/n Σ (y − ŷ)² over all elements."""

    name, mode = "mse", "min"

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(y − ŷ)²."""
        error = _errors(type(self).__name__, prediction, target)[1]
        return error * error


class RMSE(MSE):
    """The root of the mean squared error, in the unit of the targets."""

    name = "rmse"

    def value(self, batches: Batches, counts: Array) -> float:
        """√MSE."""
        return float(np.sqrt(super().value(batches, counts)))


def _errors(who: str, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and y − ŷ in float64, of shape (N, outputs)."""
    if prediction.reshape(-1).shape != target.reshape(-1).shape:
        raise ShapeError(
            f"{who} compares outputs with targets one by one.",
            expected=f"targets of shape {show(prediction.shape)}",
            got=show(target.shape),
            fix="reshape the targets, or leave the metric out",
        )
    n = prediction.shape[0]
    y = target.astype("float64").reshape(n, -1)
    return y, y - prediction.astype("float64").reshape(n, -1)


# -- by name ---------------------------------------------------------------------

_NAMED: dict[str, type[Metric]] = {
    kind.name: kind for kind in (Accuracy, ConfusionMatrix, R2, MAE, MSE, RMSE)
}
_CLASSES = {kind.__name__: kind for kind in (*_NAMED.values(), TopK)}


def metric(given: Any) -> Metric:
    """A metric: ``given`` itself, or the one of that name (``"top3"``: ``TopK(3)``).

    Raises:
        ArgumentError: a name that no metric has, or something else.
    """
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        if given in _NAMED:
            return _NAMED[given]()
        if re.fullmatch(r"top[1-9]\d{0,6}", given):
            return TopK(int(given[3:]))
        near = nearest(given, [*_NAMED, "top5"])
        raise ArgumentError(
            f"No metric is called {given!r}.",
            expected=f"{', '.join(_NAMED)}, top5 (or another number), or a Metric",
            got=repr(given),
            fix=f"did you mean {near!r}?" if near else "metrics=['accuracy']",
        )
    return checks.instance("metrics", given, Metric, "['accuracy']")


def as_metrics(given: Any) -> tuple[Metric, ...] | None:
    """The metrics that a Trainer was asked for; None where it shall choose.

    Raises:
        ArgumentError: what is no metric, or two of one name.
    """
    if given is None:
        return None
    several = isinstance(given, Iterable) and not isinstance(given, str | type)
    items: list[Any] = [*given] if several else [given]
    made = tuple(map(metric, items))
    names = ["loss", *(m.name for m in made)]
    for m in made:
        checks.choice("min", "max")(f"{type(m).__name__}.mode", m.mode)
    for name in names:
        if not name or names.count(name) > 1:
            raise ArgumentError(
                "Every metric has a name of its own.",
                expected="different names, none of them empty or 'loss'",
                got=", ".join(map(repr, names[1:])),
                fix="give the class another name = '…'",
            )
    return made


def defaults(loss: Any, prediction: Shape, target: ArrayType) -> tuple[Metric, ...]:
    """What is measured where nothing was asked for.

    Accuracy where the loss or the targets speak of classes; R² and MAE for quantities:
    with a regression loss, or a loss of the user's own on floating-point targets of the
    outputs' shape. Nothing else.
    """
    if semantics.is_classification(loss) or semantics.labels(prediction, target):
        return (Accuracy(),)
    own = not type(loss).__module__.startswith("chainrule.")
    alike = target.dtype.is_float and prediction[1:] == target.shape
    return (R2(), MAE()) if semantics.is_regression(loss) or (own and alike) else ()


def check_quantities(measured: Iterable[Metric], loss: Any, y: Array) -> None:
    """Refuse to count right decisions where the targets are quantities.

    Under a regression loss classes are 0 and 1, −1 and 1, or rows of shares.

    Raises:
        ArgumentError: naming the metrics of a regression.
    """
    counting = [m for m in measured if isinstance(m, _Decided | TopK)]
    if not counting or not semantics.is_regression(loss):
        return
    shares = y.ndim > 1 and y.shape[1] > 1 and y.min() >= 0 and y.max() <= 1
    if shares or np.isin(y, (0, 1)).all() or np.isin(y, (-1, 1)).all():
        return
    raise ArgumentError(
        f"{type(counting[0]).__name__} counts decisions, and these targets are "
        "quantities.",
        expected="for a regression the metrics r2, mae, mse or rmse",
        got=f"{counting[0].name!r}, and targets from {y.min():g} to {y.max():g}",
        fix="metrics=['r2', 'mae', 'rmse']",
    )


def spec(given: Metric) -> dict[str, Any] | None:
    """The description of a metric for a checkpoint; None for one of the user's own."""
    name = type(given).__name__
    known = _CLASSES.get(name) is type(given)
    return {"class": name, "arguments": given.settings()} if known else None


def build(description: Mapping[str, Any]) -> Metric:
    """The metric that ``spec`` described.

    Raises:
        KeyError, TypeError: a description of something else.
    """
    return _CLASSES[description["class"]](**description["arguments"])


def measure(given: Any, prediction: Any, target: Any) -> Any:
    """A metric of one batch, worked out at once.

    Args:
        given: a :class:`Metric` or a name.
        prediction: a network's outputs.
        target: the truth.

    >>> import chainrule as cr
    >>> measure("rmse", cr.tensor([1.0, 2.0]), cr.tensor([1.0, 2.0]))
    0.0
    """
    made, outputs, truth = metric(given), as_tensor(prediction), as_tensor(target)
    batch = {k: t.numpy() for k, t in made.batch(outputs, truth).items()}
    return made.value([batch], np.array([len(outputs)], np.float64))
