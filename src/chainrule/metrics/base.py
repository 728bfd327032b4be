"""The base classes of metrics, such as of means over samples or elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.tensor import Tensor, count_of
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.keywords import strict_function

Batches = Sequence[Mapping[str, Array]]


class Metric:
    """Base class of metrics; a subclass defines ``batch`` and ``value``.

    Attributes:
        name: the key under which ``evaluate`` gives it.
        mode: ``"max"`` where more is better, else ``"min"``; None: unknown.
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
    mode: str | None = "max"
    scalar: bool = True
    arguments: ClassVar[tuple[str, ...]] = ()

    @strict_function
    def __init__(self) -> None:
        pass

    def __init_subclass__(cls, **how: Any) -> None:
        super().__init_subclass__(**how)
        if "__init__" in vars(cls):
            cls.__init__ = strict_function(cls.__init__)

    def for_loss(self, loss: Any) -> Metric:
        """Return the metric, adapted to a network trained with ``loss``."""
        return self

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's statistics for the metric: small tensors by name.

        It is traced into a graph, so it sees shapes and no numbers.
        """
        raise self._lacks("batch", _("(self, prediction, target) → dict of tensors"))

    def value(self, batches: Batches, counts: Array) -> Any:
        """Compute the metric from the statistics of all batches.

        Args:
            batches: what ``batch`` gave, as arrays, batch by batch.
            counts: the samples of each batch, float64.
        """
        raise self._lacks("value", _("(self, batches, counts) → number"))

    def settings(self) -> dict[str, Any]:
        """Return the metric's constructor arguments, for checkpoints."""
        arguments = {name: getattr(self, name) for name in self.arguments}
        return {name: value for name, value in arguments.items() if value is not None}

    def _lacks(self, method: str, form: str) -> ArgumentError:
        return ArgumentError(
            _("{kind} has no {method}().", kind=type(self).__name__, method=method),
            expected=_("a method {method}{form}", method=method, form=form),
            fix=_("define it in the class"),
        )

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.settings().items())
        return f"{type(self).__name__}({arguments})"


class Mean(Metric):
    """Base class of metrics that are a mean over all samples or elements.

    One of your own defines ``items``: the numbers, or truth values, of a batch that the
    mean is over. They are summed in float64.

    >>> import chainrule as cr
    >>> class Within(cr.metrics.Mean):
    ...     name = "within_one"
    ...     def items(self, prediction, target):
    ...         return (prediction - target).abs() <= 1.0
    >>> cr.metrics.measure(Within(), cr.tensor([1.0, 2.0]), cr.tensor([1.5, 4.0]))
    0.5
    """

    def items(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the numbers, or truth values, whose mean is the metric."""
        raise self._lacks("items", _("(self, prediction, target) → tensor"))

    def batch(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compute a batch's sum and number of items, for a metric that is a mean."""
        return _sum_and_count(self.items(prediction, target))

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute a mean metric: the sum of all batches' items over their number."""
        return float(total(batches, "sum") / total(batches, "count"))


def _sum_and_count(items: Tensor) -> dict[str, Tensor]:
    exact = "int32" if items.dtype is DType.bool else "float64"
    total = items.astype(exact).sum()
    return {"sum": total, "count": count_of(items.size, total.dtype)}


class FunctionMetric(Mean):
    """A metric that is a function of the output and the target.

    It gives numbers, or truth values, whose mean is the metric: one a sample, or more,
    over all of which the mean is taken, summed in float64; or one number, the mean of a
    batch, which counts by the batch's rows. All of these are exact for a last batch
    that is smaller. It is traced into the program: it computes with tensors.

    Args:
        function: the function; of several outputs it gets all of them and all targets.
        name: what it is called; None: the function's own name.
        mode: ``"min"`` or ``"max"``, where more is worse or better; None where nobody
            has to know.

    >>> import chainrule as cr
    >>> def within_one(output, target):
    ...     return (output - target).abs() <= 1.0
    >>> cr.metrics.measure(within_one, cr.tensor([1.0, 2.0]), cr.tensor([1.5, 4.0]))
    0.5
    """

    def __init__(
        self, function: Any, name: str | None = None, mode: str | None = None
    ) -> None:
        validation.instance("metrics", function, Callable, "lambda output, target: …")
        own = getattr(function, "__name__", type(function).__name__)
        self.name = own if name is None else validation.text("name", name)
        if not self.name.isidentifier() and name is None:
            raise ArgumentError(
                _("A function without a name needs one as a metric."),
                expected=_("a dictionary of functions by name"),
                got=own,
                fix='metrics={"name": lambda output, target: …}',
            )
        self.mode = validation.maybe(validation.choice("min", "max"))("mode", mode)
        self.function = function

    def batch(self, prediction: Any, target: Any) -> dict[str, Tensor]:
        """Compute a batch's sum and number of what the function gives."""
        items = self.function(prediction, target)
        if not isinstance(items, Tensor):
            raise ArgumentError(
                _("The metric '{name}' gives no tensor.", name=self.name),
                expected=_("numbers of the batch: one a sample, or their mean"),
                got=repr(items)[:80],
                fix=_("compute with tensors: (output - target).abs()"),
            )
        if not items.ndim:
            return {"mean": items.astype("float64")}
        return _sum_and_count(items)

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute the mean over all samples."""
        if "mean" not in batches[0]:
            return super().value(batches, counts)
        means = np.array([b["mean"] for b in batches], np.float64)
        return float(means @ counts / counts.sum())


def number(metric: Metric, value: Any) -> int | float:
    """Convert the result of a metric's ``value`` to a Python number.

    Raises:
        ArgumentError: no single number.
    """
    single = np.ndim(value) == 0 and not np.iscomplexobj(value)
    if single and hasattr(value, "__float__"):
        plain = value.item() if hasattr(value, "item") else value
        return plain if isinstance(plain, int | float) else float(plain)
    raise ArgumentError(
        _("{kind}.value must give one number.", kind=type(metric).__name__),
        expected=_("a number, or scalar = False in the class"),
        got=repr(value)[:80],
        fix=_(
            "return float(…); with scalar = False evaluate gives it as it is, and "
            "History leaves it out"
        ),
    )


def total(batches: Batches, key: str) -> Array:
    """Sum a metric's statistic ``key`` over all batches, in float64."""
    return np.sum([np.asarray(b[key], np.float64) for b in batches], axis=0)
