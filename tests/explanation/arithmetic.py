"""What an expression of the notation comes to, for arrays as they stand on paper."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.notation import expressions as notation

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ln": np.log,
    "max": np.maximum,
    "min": np.minimum,
    "mean": np.mean,
    "tanh": np.tanh,
    "σ": lambda z: 1 / (1 + np.exp(-z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(0, keepdims=True),
    "∑": np.sum,
    "∑ₛ": functools.partial(np.sum, axis=1, keepdims=True),
    "∑ᵢ": functools.partial(np.sum, axis=0, keepdims=True),
}
SIGNS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    ">": np.greater,
    "≥": np.greater_equal,
}


def computed(
    e: notation.Expr, numbers: Mapping[notation.Expr, Any], by: Any = np.multiply
) -> Any:
    """The value of an expression, for arrays as they stand on paper.

    Args:
        e: the expression.
        numbers: the arrays of its parts.
        by: what stands side by side is multiplied so.
    """

    def of(part: notation.Expr) -> Any:
        return computed(part, numbers, by)

    if e in numbers:
        array = np.asarray(numbers[e])
        return array.astype(np.float64) if array.dtype.kind in "fb" else array
    if isinstance(e, notation.Number):
        return np.float64(e.value)
    if isinstance(e, notation.Sum):
        return sum(sign * of(term) for sign, term in e.terms)
    if isinstance(e, notation.Product):
        times = by if e.kind == "dot" else np.multiply
        return functools.reduce(times, map(of, e.factors))
    if isinstance(e, notation.Quotient):
        return of(e.top) / of(e.bottom)
    if isinstance(e, notation.Transposed):
        return of(e.base).T
    if isinstance(e, notation.Power):
        return of(e.base) ** of(e.above)
    if isinstance(e, notation.Picked):  # softmax(z)_y: each sample's own class
        scores, labels = of(e.base), of(e.below)[0]
        return scores[labels, np.arange(len(labels))]
    if isinstance(e, notation.Computed):  # w[y]: of each sample's class
        return of(e.arguments[0])[of(e.arguments[1])[0], 0][None]
    if isinstance(e, notation.Prefix):
        return FUNCTIONS[e.head.text()](of(e.argument))
    if isinstance(e, notation.Call):
        return FUNCTIONS[e.head.text()](*map(of, e.arguments))
    if isinstance(e, notation.Fence):
        inner, left = of(e.inner), e.left.text()[:1]
        return {"|": np.abs, "√": np.sqrt}.get(left, np.asarray)(inner)
    if isinstance(e, notation.Choice):
        a, condition, b = map(of, e.items)
        return np.where(condition, a, b)
    if isinstance(e, notation.Relation):
        return SIGNS[e.signs[0].text()](*map(of, e.items))
    raise AssertionError(f"{e!r} is not an expression that these tests need")
