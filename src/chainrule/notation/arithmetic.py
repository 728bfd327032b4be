"""Numerical evaluation of mathematical expressions, part by part.

Numbers lie in memory with samples first; on paper a sample is a column. So of two
arrays it must be known which consists of *columns* (one for each sample, and position)
and which is a matrix as it stands:

- W x is a column for each column of x;  δ xᵀ is the sum of outer products over columns;
- a vector of biases is added to each column;
- a sum over some axes may keep them, with length 1: what is left is spread again.

>>> from chainrule.notation.functions import symbol
>>> x, b = symbol("x"), symbol("b")
>>> numbers = {x: Quantity(np.array([[1.0, 2.0]])), b: Quantity(np.array([0.5, 1.0]))}
>>> computed(x * (1 - b) + 2 * b, numbers)
array([[1.5, 2. ]])
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
    Listing,
    Number,
    Part,
    Picked,
    Power,
    Prefix,
    Product,
    Quotient,
    Reduced,
    Relation,
    Spread,
    Sum,
    Transposed,
    is_step,
)
from chainrule.notation.values import (
    ALONG,
    COMPARISONS,
    FENCES,
    FUNCTIONS,
    OPERATED,
    PLACES,
    REDUCTIONS,
    log_softmax,
)
from chainrule.text import _, ngettext

MATRIX, COLUMNS, ROWS = "matrix", "columns", "rows"
#: Over the columns, however many axes count them: all axes but the last.
ALL_COLUMNS: tuple[int, ...] = (-2,)


@dataclass(frozen=True)
class Quantity:
    """An array with the orientation of its samples: columns, rows or a plain matrix.

    Attributes:
        array: as they lie in memory.
        kind: ``"matrix"`` (as it stands; one axis is a column), ``"columns"`` (the
            last axis is the column), or ``"rows"`` (such columns turned).
    """

    array: Array
    kind: str = MATRIX


def computed(e: Expr, numbers: Mapping[Expr, Quantity]) -> Array:
    """Return the numerical value of a mathematical expression.

    Floating-point numbers are taken as float64, whatever they lie in memory as. A
    listing comes to its last item.

    Args:
        e: the expression.
        numbers: the numbers of its symbols; a symbol may be any expression.

    Raises:
        ArithmeticError: for a symbol without a number, an unknown function, a product
            that has no meaning.
    """
    return steps(e, numbers)[-1]


def evaluated(e: Expr, numbers: Mapping[Expr, Quantity]) -> Quantity:
    """Return the value of a mathematical expression with its orientation.

    Raises:
        ArithmeticError: as :func:`computed`.
    """
    with np.errstate(all="ignore"):
        return _Reader(numbers).of(e)


def steps(e: Expr, numbers: Mapping[Expr, Quantity]) -> list[Array]:
    """Return the values of a list of formulas; later ones use earlier ones."""
    with np.errstate(all="ignore"):
        if not isinstance(e, Listing):
            return [_Reader(numbers).of(e).array]
        known, arrays = dict(numbers), list[Array]()
        for item in e.items:
            if is_step(item):
                name, value = item.items
                known[name] = quantity = _Reader(known).of(value)
            else:
                quantity = _Reader(known).of(item)
            arrays.append(quantity.array)
    return arrays


def results(e: Expr, numbers: Mapping[Expr, Quantity]) -> tuple[Array, ...]:
    """Return all numerical results of a mathematical expression, one or several.

    Raises:
        ArithmeticError: as :func:`computed`.
    """
    if isinstance(e, Computed):
        outcome = _Reader(numbers).call_back(e)
        return outcome if isinstance(outcome, tuple) else (np.asarray(outcome),)
    return (computed(e, numbers),)


def _wide(array: Array) -> Array:
    """Return an array in float64, or as it is for 64-bit integers."""
    long = array.dtype.kind in "iu" and array.dtype.itemsize == 8
    return array if array.dtype == np.float64 or long else array.astype(np.float64)


class _Reader:
    def __init__(self, numbers: Mapping[Expr, Quantity]) -> None:
        self.numbers = numbers

    def of(self, e: Expr) -> Quantity:
        quantity = self.numbers.get(e)
        if quantity is not None:
            narrow = (
                quantity.array.dtype.kind == "f" and quantity.array.dtype != np.float64
            )
            return (
                replace(quantity, array=_wide(quantity.array)) if narrow else quantity
            )
        read = _READERS.get(type(e))
        if read is not None:
            return read(self, e)
        for kind, read in _READERS.items():
            if isinstance(e, kind):
                return read(self, e)
        raise ArithmeticError(
            _("{e} ({kind}) says no number", e=e, kind=type(e).__name__)
        )

    def _all(self, function: Callable[..., Any], *parts: Expr) -> Quantity:
        """Return the value of a function of expressions, applied element by element."""
        quantities = [self.of(part) for part in parts]
        kinds = [q.kind for q in quantities if q.array.ndim]
        kind = next((k for k in (COLUMNS, ROWS) if k in kinds), MATRIX)
        arrays = [_wide(q.array) for q in quantities]
        if kind == COLUMNS:
            arrays = _side_by_side(arrays)
        return Quantity(np.asarray(function(*arrays)), kind)

    def number(self, e: Number) -> Quantity:
        return Quantity(np.asarray(e.value, np.float64))

    def sum(self, e: Sum) -> Quantity:
        signs = [sign for sign, __ in e.terms]

        def added(*arrays: Array) -> Any:
            terms = [a if s > 0 else np.negative(a) for s, a in zip(signs, arrays)]
            return functools.reduce(np.add, terms)

        return self._all(added, *[term for __, term in e.terms])

    def product(self, e: Product) -> Quantity:
        if e.kind == "dot":
            return functools.reduce(_dot, map(self.of, e.factors))
        if e.kind not in ("scale", "odot", *OPERATED):
            raise ArithmeticError(_("{e} says no number", e=e))
        times = OPERATED.get(e.kind, np.multiply)
        return self._all(lambda *a: functools.reduce(times, a), *e.factors)

    def quotient(self, e: Quotient) -> Quantity:
        return self._all(np.divide, e.top, e.bottom)

    def power(self, e: Power) -> Quantity:
        assert e.above is not None
        if e.base in (Number(math.e), Atom("e")) and e.base not in self.numbers:
            return self._all(np.exp, e.above)
        return self._all(np.float_power, e.base, e.above)

    def transposed(self, e: Transposed) -> Quantity:
        q = self.of(e.base)
        if q.kind == MATRIX:
            lying = q.array[None] if q.array.ndim == 1 else q.array
            column = q.array.ndim < 2
            return Quantity(lying if column else lying.swapaxes(-1, -2))
        return Quantity(q.array, ROWS if q.kind == COLUMNS else COLUMNS)

    def picked(self, e: Picked) -> Quantity:
        assert e.below is not None
        values, labels = self.of(e.base).array, self.of(e.below).array
        return Quantity(_of_labels(values, labels), COLUMNS)

    def spread(self, e: Spread) -> Quantity:
        q = self.of(e.base)
        shape = [1] * e.rank
        for axis, size in zip(e.axes, q.array.shape, strict=True):
            shape[axis] = size
        return Quantity(q.array.reshape(shape), COLUMNS)

    def part(self, e: Part) -> Quantity:
        number = int(e.below.value) if isinstance(e.below, Number) else 0
        outcomes = results(e.base, self.numbers)
        if not 1 <= number <= len(outcomes):
            raise ArithmeticError(
                ngettext(
                    "{base} has {n} result",
                    "{base} has {n} results",
                    n=len(outcomes),
                    base=e.base,
                )
            )
        return Quantity(np.asarray(outcomes[number - 1]), COLUMNS)

    def reduced(self, e: Reduced) -> Quantity:
        q = self.of(e.argument)
        axes = e.axes
        if axes == ALL_COLUMNS:
            axes = tuple(range(q.array.ndim - 1))
        if e.name in PLACES:
            axis = None if axes is None else axes[0]
            reduced = PLACES[e.name](q.array, axis=axis, keepdims=e.keep)
        elif e.name in REDUCTIONS:
            of_truths = e.name == "∏" and q.array.dtype == bool
            array = q.array if of_truths else _wide(q.array)
            reduced = REDUCTIONS[e.name](array, axis=axes, keepdims=e.keep)
        else:
            raise ArithmeticError(_("{name} says no number", name=e.name))
        return Quantity(np.asarray(reduced), q.kind)

    def prefix(self, e: Prefix) -> Quantity:
        if e.head.text() == "ln":
            stable = self._log_softmax(e.argument)
            if stable is not None:
                return stable
        return self._all(_function(e.head), e.argument)

    def _log_softmax(self, e: Expr) -> Quantity | None:
        """Return ln softmax(z) or ln softmax(z)_y without underflow, or None."""
        whole = e.base if isinstance(e, Picked) else e
        known = e in self.numbers or whole in self.numbers
        if known or not isinstance(whole, Along) or whole.name != "softmax":
            return None
        z = self.of(whole.arguments[0])
        log_shares = replace(z, array=log_softmax(_wide(z.array), whole.axis))
        if isinstance(e, Picked) and e.below is not None:
            labels = self.of(e.below).array
            return Quantity(_of_labels(log_shares.array, labels), COLUMNS)
        return log_shares

    def along(self, e: Along) -> Quantity:
        q = self.of(e.arguments[0])
        if e.name not in ALONG:
            raise ArithmeticError(_("{name} says no number", name=e.name))
        return replace(q, array=ALONG[e.name](_wide(q.array), e.axis))

    def call(self, e: Call) -> Quantity:
        if e.fence == "()":
            return self._all(_function(e.head), *e.arguments)
        raise ArithmeticError(_("{e} says no number", e=e))

    def fence(self, e: Fence) -> Quantity:
        left = e.left.text()
        if left == "[":
            return self.of(e.inner)
        if left not in FENCES:
            raise ArithmeticError(_("{e} says no number", e=e))
        return self._all(FENCES[left], e.inner)

    def relation(self, e: Relation) -> Quantity:
        (sign,) = e.signs
        if sign.text() not in COMPARISONS:
            raise ArithmeticError(_("{e} says no number", e=e))
        return self._all(COMPARISONS[sign.text()], *e.items)

    def choice(self, e: Choice) -> Quantity:
        first, condition, other = e.items
        return self._all(
            lambda c, a, b: np.where(c != 0, a, b), condition, first, other
        )

    def contracted(self, e: Contracted) -> Quantity:
        a, b = (_wide(self.of(f).array) for f in e.factors)
        spec = f"{','.join(e.letters)}->{e.out}"
        return Quantity(np.einsum(spec, a, b), COLUMNS)

    def call_back(self, e: Computed) -> Any:
        return e.how(*[self.of(a).array for a in e.arguments])

    def special(self, e: Computed) -> Quantity:
        outcome = self.call_back(e)
        if isinstance(outcome, tuple):
            raise ArithmeticError(
                _(
                    "{e} has {made} results; say which, with Part",
                    e=e,
                    made=len(outcome),
                )
            )
        return Quantity(np.asarray(outcome), e.kind)


def _side_by_side(arrays: list[Array]) -> list[Array]:
    """Return arrays with one column a sample, reshaped so that they broadcast."""
    most = max((a.shape for a in arrays), key=lambda s: (len(s), math.prod(s)))

    def counted(a: Array) -> Array:
        alike = a.ndim > 1 and a.shape[-1] == most[-1] and a.size == math.prod(most)
        return a.reshape(most) if alike else a

    return [counted(a) for a in arrays] if len(most) > 1 else arrays


def _of_labels(values: Array, labels: Array) -> Array:
    """Return the element of each row that the row's class label names.

    NaN where it names none: such a row is left out by a choice around it.
    """
    labels = labels.astype(np.int64)
    known = (labels >= 0) & (labels < values.shape[-1])
    labels = np.where(known, labels, 0)
    if values.ndim == 1:
        return np.where(known, values[labels], np.nan)
    labels, known = (a.reshape(values.shape[:-1]) for a in (labels, known))
    picked = np.take_along_axis(values, labels[..., None], -1)[..., 0]
    return np.where(known, picked, np.nan)


def _function(head: Expr) -> Callable[..., Any]:
    name = head.text()
    if name not in FUNCTIONS:
        raise ArithmeticError(_("{name} says no number", name=name))
    return FUNCTIONS[name]


def _dot(a: Quantity, b: Quantity) -> Quantity:
    x, y = _wide(a.array), _wide(b.array)
    pair = a.kind, b.kind
    if pair == (MATRIX, COLUMNS):
        return Quantity(y @ x.swapaxes(-1, -2) if x.ndim > 1 else y @ x, COLUMNS)
    if pair == (COLUMNS, ROWS):
        flat = [v.reshape(-1, v.shape[-1]) for v in (x, y)]
        return Quantity(flat[0].T @ flat[1])
    if pair == (MATRIX, MATRIX):
        product = _standing(x) @ _standing(y)
        return Quantity(product[..., 0] if y.ndim == 1 else product)
    if pair == (ROWS, MATRIX):
        return Quantity(x @ y, ROWS)
    if pair == (ROWS, COLUMNS):
        return Quantity(np.sum(x * y, axis=-1, keepdims=True), COLUMNS)
    raise ArithmeticError(
        _("{kind} times {b_kind} says no number", kind=a.kind, b_kind=b.kind)
    )


def _standing(x: Array) -> Array:
    """Return an array of one axis as a column."""
    return x[:, None] if x.ndim == 1 else x


#: Special kinds stand before the kinds that they are kinds of.
_READERS: dict[type[Expr], Callable[[_Reader, Any], Quantity]] = {
    Number: _Reader.number,
    Sum: _Reader.sum,
    Product: _Reader.product,
    Quotient: _Reader.quotient,
    Spread: _Reader.spread,
    Picked: _Reader.picked,
    Power: _Reader.power,
    Transposed: _Reader.transposed,
    Part: _Reader.part,
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
