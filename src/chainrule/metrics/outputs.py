"""Metrics of one of several outputs, and what picks an output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.metrics.base import Batches, Metric
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.pytree import leaves


def picked(tree: Any, key: str | int, what: str) -> Any:
    """Return one of several outputs or targets.

    Args:
        tree: all of them.
        key: the name, or the place, of one.
        what: ``"output"`` or ``"target"``, for messages.

    Raises:
        ArgumentError: there is none of that name.
    """
    if isinstance(tree, Mapping) and key in tree:
        return tree[key]
    if isinstance(tree, tuple) and isinstance(key, int) and key < len(tree):
        return tree[key]
    raise ArgumentError(
        _("There is no target {key!r}.", key=key)
        if what == "target"
        else _("There is no output {key!r}.", key=key),
        expected=_("one of that name or place for each loss and metric of outputs"),
        got=", ".join(leaves(tree, what)),
        fix=_("a model, targets, losses and metrics with the same names"),
    )


class OutputMetric(Metric):
    """A metric of one of several outputs and its target.

    Args:
        metric: the metric.
        output: the name or the place of the output and of the target.

    >>> import chainrule as cr
    >>> from chainrule.metrics import Accuracy
    >>> OutputMetric(Accuracy(), "label").name
    'label_accuracy'
    """

    def __init__(self, metric: Metric, output: str | int) -> None:
        self.metric, self.output = metric, output
        self.name, self.mode = f"{output}_{metric.name}", metric.mode
        self.scalar = metric.scalar

    def for_loss(self, loss: Any) -> Metric:
        """Return the metric, adapted to the loss of its output."""
        key: Any = self.output
        own = loss[key] if isinstance(loss, dict | tuple | list) else loss
        return OutputMetric(self.metric.for_loss(own), key)

    def batch(self, prediction: Any, target: Any) -> dict[str, Tensor]:
        """Compute the statistics of a batch's output, for its metric."""
        return self.metric.batch(
            picked(prediction, self.output, "output"),
            picked(target, self.output, "target"),
        )

    def value(self, batches: Batches, counts: Array) -> Any:
        """Compute the metric of the output."""
        return self.metric.value(batches, counts)

    def __repr__(self) -> str:
        return f"{self.metric!r} of {self.output!r}"
