"""What an expression comes to, worked out from its parts as a reader would.

Numbers lie in memory with samples first; on paper a sample is a column. So of two
arrays it must be known which consists of *columns* (one for each sample, and position)
and which is a matrix as it stands:

- W x is a column for each column of x;  δ xᵀ is the sum of outer products over columns;
- a vector of biases is added to each column;
- sums over some axes keep them, with length 1, so that what is left is spread again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.notation.expressions import (
    Along,
    Array,
    Atom,
    Call,
    Choice,
    Computed,
    Contracted,
    Expr,
    Fence,
    Number,
    Picked,
    Power,
    Prefix,
    Product,
    Quotient,
    Reduced,
    Relation,
    Script,
    Spread,
    Sum,
    Transposed,
)

MATRIX, COLUMNS, ROWS = "matrix", "columns", "rows"
#: Over the columns, however many axes count them: all axes but the last.
ALL_COLUMNS: tuple[int, ...] = (-2,)


@dataclass(frozen=True)
class Quantity:
    """Numbers, and how they stand on paper.

    Attributes:
        array: as they lie in memory.
        kind: ``"matrix"`` (as it stands), ``"columns"`` (the last axis is the column),
            or ``"rows"`` (such columns turned).
    """

    array: Array
    kind: str = MATRIX


def computed(e: Expr, numbers: Mapping[Expr, Quantity]) -> Array:
    """The value of an expression, with axes of length 1 where it was summed over.

    Args:
        e: the expression.
        numbers: the numbers of its symbols; a symbol may be any expression.

    Raises:
        ArithmeticError: for what is written for the eye alone.
    """
    with np.errstate(all="ignore"):
        return _Reader(numbers).of(e).array


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _erfc(x: Array) -> Array:
    return np.vectorize(math.erfc, otypes=[np.float64])(x)


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


#: Functions by the way they are written.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ln": np.log,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sign": np.sign,
    "round": np.rint,
    "erf": _erf,
    "erfc": _erfc,
    "σ": lambda z: 1 / (1 + np.exp(-z)),
    "Φ": lambda z: 0.5 * _erfc(-z / math.sqrt(2)),
    "φ": lambda z: np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    "max": np.maximum,
    "min": np.minimum,
    "atan2": np.arctan2,
    "copysign": np.copysign,
    "remainder": np.remainder,
    "isnan": np.isnan,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.bitwise_not,
    "nextafter": np.nextafter,
}
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "∑": np.sum,
    "∏": np.prod,
    "mean": np.mean,
    "max": np.max,
    "var": np.var,
}
#: Functions along an axis.
_ALONG: dict[str, Callable[..., Any]] = {"softmax": _softmax}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "≥": np.greater_equal,
    "=": np.equal,
}
_FENCES: dict[str, Callable[..., Any]] = {
    "|": np.abs,
    "⌊": np.floor,
    "√(": np.sqrt,
    "(": np.asarray,
}


class _Reader:
    def __init__(self, numbers: Mapping[Expr, Quantity]) -> None:
        self.numbers = numbers

    def of(self, e: Expr) -> Quantity:
        if e in self.numbers:
            held = self.numbers[e]
            floats = held.array.dtype.kind == "f"
            return (
                replace(held, array=held.array.astype(np.float64)) if floats else held
            )
        if isinstance(e, Atom) and e.text() == "π":
            return Quantity(np.asarray(math.pi))
        for kind, read in _READERS.items():
            if isinstance(e, kind):
                return read(self, e)
        raise ArithmeticError(f"{e} ({type(e).__name__}) says no number")

    def _all(self, function: Callable[..., Any], *parts: Expr) -> Quantity:
        """A function of arrays, element by element."""
        found = [self.of(part) for part in parts]
        kinds = [q.kind for q in found if q.array.ndim]
        kind = next((k for k in (COLUMNS, ROWS) if k in kinds), MATRIX)
        arrays = [q.array for q in found]
        if kind == COLUMNS:
            arrays = _side_by_side(arrays)
        return Quantity(np.asarray(function(*arrays)), kind)

    def number(self, e: Number) -> Quantity:
        return Quantity(np.asarray(e.value, np.float64))

    def sum(self, e: Sum) -> Quantity:
        signs = [sign for sign, _ in e.terms]

        def added(*arrays: Array) -> Any:
            return sum(s * a for s, a in zip(signs, arrays))

        return self._all(added, *[term for _, term in e.terms])

    def product(self, e: Product) -> Quantity:
        if e.kind != "dot":
            return self._all(lambda *a: functools.reduce(np.multiply, a), *e.factors)
        return functools.reduce(_dot, map(self.of, e.factors))

    def quotient(self, e: Quotient) -> Quantity:
        return self._all(np.divide, e.top, e.bottom)

    def power(self, e: Power) -> Quantity:
        assert e.above is not None
        if e.base == Atom("e"):
            return self._all(np.exp, e.above)
        return self._all(np.power, e.base, e.above)

    def transposed(self, e: Transposed) -> Quantity:
        q = self.of(e.base)
        if q.kind == MATRIX:
            turned = q.array.swapaxes(-1, -2) if q.array.ndim > 1 else q.array
            return Quantity(turned)
        return Quantity(q.array, ROWS if q.kind == COLUMNS else COLUMNS)

    def picked(self, e: Picked) -> Quantity:
        assert e.below is not None
        values, labels = self.of(e.base).array, self.of(e.below).array
        labels = labels.astype(np.int64)
        if values.ndim == 1:
            return Quantity(values[labels], COLUMNS)
        labels = labels.reshape(values.shape[:-1])
        picked = np.take_along_axis(values, labels[..., None], -1)
        return Quantity(picked[..., 0], COLUMNS)

    def spread(self, e: Spread) -> Quantity:
        inner = replace(e, axes=(), rank=0)
        bare = type(e.base) is not type(e) and e.above is None
        q = self.of(e.base if bare else inner)
        shape = [1] * e.rank
        for axis, size in zip(e.axes, q.array.shape):
            shape[axis] = size
        return Quantity(q.array.reshape(shape), COLUMNS)

    def reduced(self, e: Reduced) -> Quantity:
        q = self.of(e.argument)
        sign = e.head.text() if isinstance(e.head, Atom) else ""
        head = e.head
        while hasattr(head, "base"):
            head = head.base  # pyright: ignore
        reduce = _REDUCTIONS[sign or head.text()]
        axes = e.axes
        if axes == ALL_COLUMNS:
            axes = tuple(range(q.array.ndim - 1))
        made = reduce(q.array, axis=axes, keepdims=e.keep)
        return Quantity(np.asarray(made), q.kind)

    def prefix(self, e: Prefix) -> Quantity:
        return self._all(_function(e.head), e.argument)

    def call(self, e: Call) -> Quantity:
        if e.fence == "()":
            return self._all(_function(e.head), *e.arguments)
        raise ArithmeticError(f"{e} says no number")

    def along(self, e: Along) -> Quantity:
        (x,) = e.arguments
        q = self.of(x)
        head = e.head.base if isinstance(e.head, Script) else e.head
        return replace(q, array=_ALONG[head.text()](q.array, e.axis))

    def fence(self, e: Fence) -> Quantity:
        left = e.left.text()
        if left == "[":
            return self.of(e.inner)
        return self._all(_FENCES[left], e.inner)

    def relation(self, e: Relation) -> Quantity:
        (sign,) = e.signs
        return self._all(_COMPARISONS[sign.text()], *e.items)

    def choice(self, e: Choice) -> Quantity:
        first, condition, other = e.items
        return self._all(lambda c, a, b: np.where(c, a, b), condition, first, other)

    def contracted(self, e: Contracted) -> Quantity:
        a, b = (self.of(f).array for f in e.factors)
        spec = f"{','.join(e.letters)}->{e.out}"
        return Quantity(np.einsum(spec, a, b), COLUMNS)

    def special(self, e: Computed) -> Quantity:
        if e.how is None:
            raise ArithmeticError(f"{e} says no number")
        made = e.how(*[self.of(a).array for a in e.arguments])
        return Quantity(np.asarray(made), e.kind)


def _side_by_side(arrays: list[Array]) -> list[Array]:
    """The same columns counted alike, where others have more axes for them."""
    most = max((a.shape for a in arrays), key=lambda s: (len(s), math.prod(s)))

    def counted(a: Array) -> Array:
        alike = a.ndim > 1 and a.shape[-1] == most[-1] and a.size == math.prod(most)
        return a.reshape(most) if alike else a

    return [counted(a) for a in arrays] if len(most) > 1 else arrays


def _function(head: Expr) -> Callable[..., Any]:
    name = head.text()
    if name not in FUNCTIONS:
        raise ArithmeticError(f"{name} says no number")
    return FUNCTIONS[name]


def _dot(a: Quantity, b: Quantity) -> Quantity:
    x, y = a.array, b.array
    pair = a.kind, b.kind
    if pair == (MATRIX, COLUMNS):
        return Quantity(y @ x.swapaxes(-1, -2) if x.ndim > 1 else y @ x, COLUMNS)
    if pair == (COLUMNS, ROWS):
        flat = [v.reshape(-1, v.shape[-1]) for v in (x, y)]
        return Quantity(flat[0].T @ flat[1])
    if pair == (MATRIX, MATRIX):
        return Quantity(np.matmul(x, y))
    if pair == (ROWS, MATRIX):
        return Quantity(x @ y, ROWS)
    if pair == (ROWS, COLUMNS):
        return Quantity(np.sum(x * y, axis=-1, keepdims=True), COLUMNS)
    raise ArithmeticError(f"{a.kind} times {b.kind} says no number")


_READERS: dict[type[Expr], Callable[[_Reader, Any], Quantity]] = {
    Number: _Reader.number,
    Sum: _Reader.sum,
    Product: _Reader.product,
    Quotient: _Reader.quotient,
    Spread: _Reader.spread,
    Picked: _Reader.picked,
    Power: _Reader.power,
    Transposed: _Reader.transposed,
    Reduced: _Reader.reduced,
    Prefix: _Reader.prefix,
    Along: _Reader.along,
    Call: _Reader.call,
    Fence: _Reader.fence,
    Choice: _Reader.choice,
    Relation: _Reader.relation,
    Contracted: _Reader.contracted,
    Computed: _Reader.special,
}
