"""The base classes of metrics, such as of means over samples or elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.types import DType
from chainrule.tensor import Tensor, count_of
from chainrule.text import _
from chainrule.util.keywords import strict_function

Batches = Sequence[Mapping[str, Array]]


class Metric:
    """Base class of metrics; a subclass defines ``batch`` and ``value``.

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
        items = self.items(prediction, target)
        exact = "int32" if items.dtype is DType.bool else "float64"
        total = items.astype(exact).sum()
        return {"sum": total, "count": count_of(items.size, total.dtype)}

    def value(self, batches: Batches, counts: Array) -> float:
        """Compute a mean metric: the sum of all batches' items over their number."""
        return float(total(batches, "sum") / total(batches, "count"))


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
