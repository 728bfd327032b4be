"""Formulas of a graph's values in the textbook's notation.

A few nodes are written otherwise than their primitives declare it:

- samples lie in rows and are columns on paper, so X Wᵀ is written W x, and a product
  that is none of columns has letters for its axes;
- a product with a scalar has no sign, one of arrays has ⊙;
- a sum over all elements, divided by their number, is a mean;
- a selection "g where m, else 0" is g ⊙ [m], and a guard "∞ where v = 0, else v" is v
  where no v of the step is 0; so is "v where m, else v";
- ∑ᵢ of rows that sum to 1 is 1.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable

import numpy as np

from chainrule.autograd.function import CUSTOM
from chainrule.composites import normalization
from chainrule.explanation.meant import meant
from chainrule.explanation.plain import (
    PlainWriter,
    behind_views,
    declared,
    is_sampled,
    letters,
    repeats,
)
from chainrule.explanation.signs import COUNT, ONE_HOT
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import REFERENCES, Primitive
from chainrule.graph.types import Shape, SymbolicDim
from chainrule.notation.arithmetic import ALL_COLUMNS, COLUMNS, MATRIX
from chainrule.notation.expressions import (
    Atom,
    Computed,
    Contracted,
    Expr,
    Number,
    Product,
    Reduced,
    Script,
    Spread,
    Transposed,
)
from chainrule.notation.functions import named, symbol
from chainrule.primitives import (
    creation,
    elementwise,
    matmul,
    movement,
    windows,
)
from chainrule.primitives.checks import require
from chainrule.primitives.matmul import parse_dims


def is_constant(value: Value) -> bool:
    """Return whether a graph input is a constant array from the model's code."""
    return value.node is None and bool(re.search(r"\.constant\d+$", value.name or ""))


class Writer(PlainWriter):
    """A writer of formulas for a graph's values in the textbook's notation."""

    def _formula(self, value: Value) -> Expr:
        if is_constant(value) and value not in self.numbers:
            return self._symbol(value, "c")
        if value.node is not None and value.node.primitive is CUSTOM:
            return self._write(value.node.inputs[value.index])  # another derivative
        return super()._formula(value)

    def special(self, node: Node) -> Expr | None:
        """Return a graph node's expression in the textbook's notation, or None."""
        write = _SPECIAL.get(node.primitive)
        return write(self, node) if write else None

    def _mul(self, node: Node) -> Expr | None:
        a, b = node.inputs
        if node.outputs[0] is not None and node.outputs[0].shape == ():
            pair = (b, a) if isinstance(self._write(b), Number) else (a, b)
        elif self._uniform(a) or self._uniform(b):
            pair = (a, b) if self._uniform(a) else (b, a)
        else:
            return None
        return Product("scale", tuple(map(self._write, pair)))

    def _where(self, node: Node) -> Expr | None:
        condition, g, other = node.inputs
        if _guards(condition, other) and not self._ever(condition):
            return self._write(other)
        if self._write(g) == self._write(other):  # of one a derivative is cut off
            return self._write(other)
        if not self._zero(other):
            return None
        return Product("odot", (self._write(g), self._write(condition)))

    def _constant(self, node: Node) -> Expr:
        values = set(node.attrs["value"])
        if len(values) == 1:
            return Number(meant(float(values.pop()), node.attrs["dtype"]))
        (out,) = node.outputs
        assert out is not None
        return self._symbol(out, "c")

    def _iota(self, node: Node) -> Expr:
        (out,) = node.outputs
        assert out is not None
        return self._symbol(out, "i")

    def _symbol(self, value: Value, letter: str) -> Expr:
        """Return the symbol of a constant array in formulas: c₁ or i₁."""
        array = self.arrays[value]
        for name, other in self.constants.items():
            if np.array_equal(self.arrays[other], array) and name.text()[0] == letter:
                return name
        name = Script(Atom(letter), below=Number(len(self.constants) + 1))
        self.constants[name] = value
        return name

    def _size(self, node: Node) -> Expr:
        dim = node.attrs["dim"]
        if not isinstance(dim, SymbolicDim):
            return Number(dim)
        if self.n == 1 or dim.names != ("N",):
            return Number(self._length(dim))
        many = Product("scale", (Number(dim.factor), COUNT))
        return COUNT if dim.factor == 1 else many

    def _div(self, node: Node) -> Expr | None:
        """Return the formula of a mean for a sum divided by its count, or None."""
        total, count = node.inputs[0], behind_views(node.inputs[1])
        while total.node is not None and total.node.primitive is elementwise.convert:
            total = total.node.inputs[0]
        if total.node is None or total.node.primitive is not movement.reduce_sum:
            return None
        (summed,), axes = total.node.inputs, tuple(total.node.attrs["axes"])
        if total in self.names or count.node is None:
            return None
        if count.node.primitive is creation.size:
            length = self._length(count.node.attrs["dim"])
        elif count.node.primitive is creation.constant:
            length = count.node.attrs["value"][0]
        else:
            return None
        shape = self._shape(summed.shape)
        if length != math.prod(shape[a] for a in axes):
            return None
        if length == 1:
            return self._write(total)
        mean = Atom(r"\operatorname{mean}", "mean")
        return self._reduced(mean, "call", summed, axes)

    def _sum(self, node: Node) -> Expr:
        """Return the formula of a sum node: ∑ over all elements, or over some axes."""
        (x,) = node.inputs
        shape, axes = self._shape(x.shape), tuple(node.attrs["axes"])
        if axes == (len(shape) - 1,) and behind_views(x) in self.distributions:
            return Number(1)
        if all(shape[a] == 1 for a in axes):
            return self._write(x)
        return self._reduced(Atom(r"\sum", "∑"), "wide", x, axes)

    def _laid(self, value: Value) -> tuple[int, ...]:
        node = value.node
        if value not in self.names and node and node.primitive is movement.reduce_sum:
            (x,), axes = node.inputs, node.attrs["axes"]
            if all(self._shape(x.shape)[a] == 1 for a in axes):
                return self._laid(x)
        return super()._laid(value)

    def _reduced(self, head: Expr, reach: str, x: Value, axes: tuple[int, ...]) -> Expr:
        """Return the formula of a reduction over all elements, or over some axes."""
        rank, over = len(x.shape), None
        columns = self.kind(x) == COLUMNS and axes == tuple(range(rank - 1))
        if len(axes) < rank:
            shape = self._shape(x.shape)
            known = letters(x, matrix=x in self.matrices)
            marks = "".join(known[a] for a in axes if shape[a] > 1)
            head, over = Script(head, below=Atom(marks)), axes
        if columns and rank > 1:
            return Reduced(head, self._write(x), reach, ALL_COLUMNS, keep=False)
        inner = self._write(x) if over is None else self._exact(x)
        return Reduced(head, inner, reach, over, keep=False)

    def _equal(self, node: Node) -> Expr | None:
        """Return the symbol of one-hot y for labels compared with 0, 1, …, or None."""
        (a, b), (out,) = node.inputs, node.outputs
        counts = b.node is not None and b.node.primitive is creation.iota
        if counts and self.labels is not None and behind_views(a) is self.labels:
            assert out is not None
            self.constants.setdefault(ONE_HOT, out)
            if np.array_equal(self.arrays[self.constants[ONE_HOT]], self.arrays[out]):
                return ONE_HOT
        return None

    # -- views -----------------------------------------------------------------------

    def _same(self, node: Node) -> Expr:
        return self._write(node.inputs[0])

    def _convert(self, node: Node) -> Expr | None:
        """Return a dtype conversion's input as formula, or None if it truncates."""
        cuts = node.inputs[0].dtype.is_float and not node.attrs["dtype"].is_float
        return None if cuts else self._write(node.inputs[0])

    def _broadcast(self, node: Node) -> Expr:
        (x,), (out,) = node.inputs, node.outputs
        assert out is not None
        if self._uniform(x):
            return self._write(behind_views(x))
        base, places = self._placed(x)
        lead = len(out.shape) - len(x.shape)
        places = tuple([p + lead for p in places])
        return self._spread(base, places, out)

    def _placed(self, x: Value) -> tuple[Value, tuple[int, ...]]:
        """Return a graph value without inserted axes of length 1, and its axes."""
        places = tuple(range(len(x.shape)))
        while (
            x not in self.names
            and x.node is not None
            and x.node.primitive in (movement.reshape, elementwise.convert)
        ):
            inner = x.node.inputs[0]
            axes = _kept_axes(inner.shape, x.shape)
            if axes is None:
                break
            x, places = inner, tuple([places[k] for k in axes])
        return x, places

    def _spread(self, base: Value, places: tuple[int, ...], out: Value) -> Expr:
        """Return a broadcast's formula: the axes of ``base`` at places in ``out``."""
        inner, rank = self._write(base), len(out.shape)
        if isinstance(inner, Number):
            return inner
        wide = [p for p, d in zip(places, base.shape) if d != 1]
        trailing = tuple(range(rank - len(places), rank))
        if places == trailing or not wide:
            return inner
        plain = base in self.names or isinstance(inner, Atom | Script)
        there = [1] * rank
        for place, length in zip(places, self._shape(base.shape)):
            there[place] = length
        if self._laid(base) == tuple(there):  # as a sum over an axis of one
            return inner
        inner = self._exact(base)  # its axes are counted
        marks = Atom("".join(letters(out)[p] for p in wide)) if plain else None
        return Spread(inner, None, marks, places, rank)

    def _reshape(self, node: Node) -> Expr:
        (x,), (out,) = node.inputs, node.outputs
        assert out is not None
        if self._uniform(out):
            return self._write(behind_views(out))
        if self._shape(x.shape) == self._shape(out.shape):
            return self._write(x)
        base, places = self._placed(out)
        if base is not out:
            return self._spread(base, places, out)
        if not self._same_columns(x, out):
            return self._reshaped(self._exact(x), out)
        if not repeats(x):
            return self._write(x)
        inner, shape = self._exact(x), self._shape(out.shape)
        how: Callable[[Array], Array] = lambda a: a.reshape(shape)  # noqa: E731
        return Computed(inner, (inner,), how, ("columns", shape), COLUMNS)

    def _transpose(self, node: Node) -> Expr:
        (x,), axes = node.inputs, tuple(node.attrs["axes"])
        *lead, a, b = range(len(axes)) if len(axes) > 1 else (0, 0)
        if axes == (*lead, b, a) and a != b and self.kind(x) == MATRIX:
            return Transposed(self._write(x))
        if axes == tuple(range(len(axes))):
            return self._write(x)
        (out,) = node.outputs
        assert out is not None
        return declared(node, [self._exact(x)], self.n, self.kind(out))

    # -- products --------------------------------------------------------------------

    def _dot(self, node: Node) -> Expr:
        """Return a matrix product node's formula: W x, or a sum with index letters."""
        d = parse_dims(node.attrs["dims"])
        (a, b), (out,) = node.inputs, node.outputs
        assert out is not None
        for x, y, one, other in ((a, b, d.lhs, d.rhs), (b, a, d.rhs, d.lhs)):
            expression = self._matrices(x, y, one, other, d.out)
            if expression is not None:
                return expression
        first, last = ((a, d.lhs), (b, d.rhs))
        if is_sampled(a) and not is_sampled(b):
            first, last = last, first
        factors = self._exact(first[0]), self._exact(last[0])
        return Contracted(factors, (first[1], last[1]), d.out)

    def _matrices(
        self, x: Value, y: Value, one: str, other: str, out: str
    ) -> Expr | None:
        """Return a node's formula as matrix product x y, or None if it is not one."""
        kinds = self.kind(x), self.kind(y)
        shared = [c for c in one if c in other and c not in out]
        if len(shared) != 1:
            return None
        (k,) = shared if shared else ("",)
        if kinds == (MATRIX, COLUMNS) and len(one) == 2 and other[-1] == k:
            (row,) = (c for c in one if c != k)
            if out == other[:-1] + row:
                w = self._factor(x)
                return (w if one[-1] == k else Transposed(w)) @ self._factor(y)
        if kinds == (MATRIX, MATRIX):
            lead = one[:-2]
            if len(one) < 2 or len(other) < 2 or other[:-2] != lead:
                return None
            pairs = one[-2:], other[-2:]
            row, column = (next((c for c in p if c != k), "") for p in pairs)
            if not (row and column and out == lead + row + column):
                return None
            left, right = self._factor(x), self._factor(y)
            left = left if pairs[0][1] == k else Transposed(left)
            return left @ (right if pairs[1][0] == k else Transposed(right))
        return None

    def _outer(self, node: Node) -> Expr | None:
        """Return the formula δ xᵀ for a sum of outer products over samples, or None."""
        d = parse_dims(node.attrs["dims"])
        (a, b) = node.inputs
        columns = self.kind(a) == self.kind(b) == COLUMNS
        lead = d.lhs[:-1]
        if not columns or not lead or d.rhs[:-1] != lead or len(d.out) != 2:
            return None
        if d.out == d.lhs[-1] + d.rhs[-1]:
            return self._factor(a) @ Transposed(self._factor(b))
        if d.out == d.rhs[-1] + d.lhs[-1]:
            return self._factor(b) @ Transposed(self._factor(a))
        return None

    def _factor(self, value: Value) -> Expr:
        """Return the formula of a matrix product's factor, in full if broadcast."""
        whole = self._uniform(value) or repeats(value)
        return self._exact(value) if whole else self._write(value)

    def _product(self, node: Node) -> Expr:
        return self._outer(node) or self._dot(node)

    def _pullback(self, node: Node) -> Expr:
        """Return the formula Jᵀ g of a derivative, with J_x̂ of a normalisation x̂."""
        pooled = node.primitive is windows.window_max_pullback
        below = named("max") if pooled else symbol("x\u0302")
        inputs = [self._exact(v) for v in node.inputs]
        shown = Transposed(Script(Atom("J"), below=below)) @ inputs[0]
        attrs = self._attrs(node)
        how = functools.partial(REFERENCES[node.primitive], **attrs)
        key = (node.primitive.name, *sorted(attrs.items()))
        (out,) = node.outputs
        assert out is not None
        return Computed(shown, tuple(inputs), how, key, self.kind(out))


def _kept_axes(inner: Shape, outer: Shape) -> tuple[int, ...] | None:
    """Return the positions of a shape's axes in a longer one, or None."""
    places: list[int] = []
    at = 0
    for size in inner:
        while at < len(outer) and outer[at] != size and outer[at] == 1:
            at += 1
        if at == len(outer) or outer[at] != size:
            return None
        places.append(at)
        at += 1
    rest = [d for i, d in enumerate(outer) if i not in places]
    return tuple(places) if all(d == 1 for d in rest) else None


def _guards(condition: Value, v: Value) -> bool:
    """Return whether a condition compares v with a constant, against division by 0."""
    node = condition.node
    if node is None or node.primitive is not elementwise.equal:
        return False
    a, b = map(behind_views, node.inputs)
    number = b.node is not None and b.node.primitive is creation.constant
    return number and a is behind_views(v)


_SPECIAL: dict[Primitive, Callable[[Writer, Node], Expr | None]] = {
    elementwise.mul: Writer._mul,
    elementwise.where: Writer._where,
    elementwise.equal: Writer._equal,
    elementwise.div: Writer._div,
    elementwise.convert: Writer._convert,
    movement.copy: Writer._same,
    require: Writer._same,
    movement.reshape: Writer._reshape,
    movement.broadcast_to: Writer._broadcast,
    movement.transpose: Writer._transpose,
    movement.reduce_sum: Writer._sum,
    creation.constant: Writer._constant,
    creation.size: Writer._size,
    creation.iota: Writer._iota,
    matmul.dot_general: Writer._product,
    normalization.normalised_pullback: Writer._pullback,
    windows.window_max_pullback: Writer._pullback,
}
