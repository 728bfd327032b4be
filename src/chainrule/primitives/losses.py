"""Regions: losses whose derivative is worth more than the sum of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case, Cotangent, region
from chainrule.primitives.activations import log_softmax, softmax
from chainrule.primitives.elementwise import convert, mul, neg, sub, where
from chainrule.primitives.indexing import one_hot_mask
from chainrule.primitives.reduce import expand, reduce_sum
from chainrule.primitives.rules import full_like, need_integer, show


def _classes(logits: Value) -> int:
    classes = logits.shape[-1] if logits.shape else None
    if not isinstance(classes, int) or len(logits.shape) != 2:
        raise ShapeError(
            "cross_entropy takes one row of scores a sample.",
            expected="logits of shape (samples, classes)",
            got=show(logits.shape),
        )
    return classes


def _cross_entropy_vjp(
    gs: tuple[Cotangent, ...],
    ys: tuple[Any, ...],
    inputs: tuple[Value, ...],
    needed: Sequence[bool],
) -> Sequence[Cotangent]:
    """δ = ŷ − y, row by row, times the row's cotangent."""
    (g,), (logits, labels) = gs, inputs
    assert g is not None
    truth = convert(one_hot_mask(labels, _classes(logits)), dtype=logits.dtype)
    delta = sub(softmax(logits, axis=1), truth)
    return (mul(delta, expand(g, logits, (1,))), None)


@region(
    "cross_entropy",
    vjp=_cross_entropy_vjp,
    formula=r"-\ln\operatorname{{softmax}}({0})_{{{1}}}",
    source="textbook 2.5.1 and 3.3 (2), from logits; δ = ŷ − y",
    cases=(
        Case(("f[4,3]", "i32[4]"), ranges=(None, (0, 3))),
        Case(("f[1,10]", "i64[1]"), ranges=(None, (0, 10))),
        Case(("f[7,1]", "i32[7]"), ranges=(None, (0, 1))),
        Case(("f[0,3]", "i32[0]"), ranges=(None, (0, 3))),
    ),
)
def cross_entropy(logits: Value, labels: Value) -> Value:
    """−ln softmax(logits)[label], one loss a row."""
    classes = _classes(logits)
    need_integer("cross_entropy", "labels", labels.dtype)
    if labels.shape != logits.shape[:1]:
        raise ShapeError(
            "cross_entropy takes one label a row of logits.",
            expected=f"labels of shape {show(logits.shape[:1])}",
            got=show(labels.shape),
            fix="give class indices, not one-hot rows: y.argmax(axis=1)",
        )
    logp = log_softmax(logits, axis=1)
    picked = where(one_hot_mask(labels, classes), logp, full_like(logp, 0.0))
    return neg(reduce_sum(picked, axes=(1,)))
