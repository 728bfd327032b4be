"""The formula of a value, read off the graph that computes it.

Every node contributes the formula that its primitive declares, and the walk ends at
values that have a name (z⁽¹⁾, W⁽¹⁾, δ⁽²⁾ …). Whatever is written comes to the numbers
of the value, in its shape (:func:`chainrule.notation.arithmetic.computed`). A few nodes
are written as the book would write them rather than as they are stored:

- samples lie in rows and are columns on paper, so X Wᵀ is written W x, and a product
  that is none of columns has letters for its axes;
- a product with a scalar has no sign, one of arrays has ⊙;
- a sum over all elements, divided by their number, is a mean;
- a selection "g where m, else 0" is g ⊙ [m], and a guard "∞ where v = 0, else v" is v;
- ∑ᵢ of rows that sum to 1 is 1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from chainrule.graph.interpret import attrs_at
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import REFERENCES, Primitive
from chainrule.graph.types import Dim, Shape, SymbolicDim, resolve
from chainrule.notation.arithmetic import ALL_COLUMNS, COLUMNS, MATRIX, Quantity
from chainrule.notation.expressions import (
    Atom,
    Computed,
    Contracted,
    Expr,
    Number,
    Prefix,
    Product,
    Quotient,
    Reduced,
    Script,
    Spread,
    Transposed,
)
from chainrule.notation.functions import symbol
from chainrule.notation.places import shaped
from chainrule.notation.tidy import tidy
from chainrule.primitives import creation, elementwise, matmul, movement
from chainrule.primitives.checks import require
from chainrule.primitives.matmul import parse_dims
from chainrule.regions import normalization

LOSS = Atom(r"\mathcal{L}", "ℒ")
PARTIAL = Atom(r"\partial", "∂")
COUNT = Atom("n")
LABEL = Atom("y")
ONE_HOT = Atom("y", tag="one-hot")
#: Nodes that change how numbers lie in memory, not what they mean.
VIEWS = (movement.broadcast_to, elementwise.convert, movement.reshape, movement.copy)
#: Letters of axes: behind that of the samples, by the number of axes; and of others.
SAMPLED = {1: "s", 2: "si", 3: "sti", 4: "scpq", 5: "scrpq"}
OTHERS = "ijklmno"


def slope_of(name: Expr) -> Expr:
    """∂ℒ/∂name."""
    top = Prefix(PARTIAL, LOSS, "tight")
    return Quotient(top, Prefix(PARTIAL, name, "tight"), bar=True)


def behind_views(value: Value) -> Value:
    """The value that ``value`` is a view of: through reshape, convert, broadcast."""
    while value.node is not None and value.node.primitive in (*VIEWS, require):
        value = value.node.inputs[0]
    return value


def is_sampled(value: Value) -> bool:
    """Whether the first axis of ``value`` is that of the samples."""
    return bool(value.shape) and isinstance(value.shape[0], SymbolicDim)


def letters(value: Value, *, matrix: bool = False) -> str:
    """A letter for each axis of a value; ``matrix``: its last two are rows, columns."""
    rank = len(value.shape)
    if not is_sampled(value):
        return OTHERS[:rank]
    return ("sh"[: rank - 2] + "ij") if matrix else SAMPLED.get(rank, OTHERS[:rank])


class Writer:
    """Writes values of one graph.

    Args:
        names: what is written by its name; read again for each formula.
        numbers: scalars that are written as numbers, such as ½.
        arrays: the numbers of values.
        n: the number of samples; with one sample, ∑ over samples and 1/n vanish.
        labels: the graph input that holds class labels, where there is one.
        distributions: values whose rows sum to 1.
        matrices: values of samples whose last two axes are a matrix.

    Attributes:
        constants: arrays in the graph, with the symbols given to them.
    """

    def __init__(
        self,
        names: dict[Value, Expr],
        numbers: Mapping[Value, float],
        arrays: Mapping[Value, Array],
        n: int,
        labels: Value | None = None,
        distributions: Collection[Value] = (),
        matrices: Collection[Value] = (),
    ) -> None:
        self.names, self.numbers, self.arrays = names, numbers, arrays
        self.n, self.labels = n, labels
        self.distributions, self.matrices = distributions, matrices
        self.constants: dict[Expr, Value] = {}
        self._known: dict[Value, Expr] = {}

    def of(self, value: Value) -> Expr:
        """The tidied formula of ``value``, in the names of others."""
        name, known = self.names.pop(value, None), self._known
        self._known = {}
        try:
            return tidy(self._write(value))
        finally:
            self._known = known
            if name is not None:
                self.names[value] = name

    def draft(self, value: Value) -> Expr:
        """How a value would be written within others."""
        return tidy(self._write(value))

    def quantity(self, value: Value) -> Quantity:
        """The numbers of a value, and how they stand on paper."""
        return Quantity(self.arrays[value], self.kind(value))

    def kind(self, value: Value) -> str:
        """Whether a value is columns or a matrix."""
        columns = is_sampled(value) and value not in self.matrices
        return COLUMNS if columns else MATRIX

    def of_loop(self, node: Node, index: int) -> Expr | None:
        """How a result of a loop is written; what opens loops replaces this."""
        del node, index

    def forget(self) -> None:
        """Formulas may look otherwise from here on: there is one more name."""
        self._known.clear()

    # -- the walk --------------------------------------------------------------------

    def _write(self, value: Value) -> Expr:
        if value in self.names:
            return self.names[value]
        if value not in self._known:
            self._known[value] = self._formula(value)
        return self._known[value]

    def _formula(self, value: Value) -> Expr:
        node = value.node
        if value in self.numbers:
            return Number(self.numbers[value])
        if node is None:
            return named_atom(value.name or "?")
        special = _SPECIAL.get(node.primitive)
        made = special(self, node) if special else None
        if made is not None:
            return made
        plain = node.primitive.elementwise
        inputs = [self._write(v) if plain else self._exact(v) for v in node.inputs]
        if len(node.outputs) > 1:
            return self._part(node, value.index, inputs)
        return declared(node, inputs, self.n, self.kind(value))

    def _part(self, node: Node, index: int, inputs: list[Expr]) -> Expr:
        """One of several results."""
        shown = self.of_loop(node, index)
        if shown is None:
            shown = Script(declared(node, inputs, self.n), below=Number(index + 1))
        reference, attrs = REFERENCES[node.primitive], self._attrs(node)

        def how(*arrays: Array) -> Array:
            return reference(*arrays, **attrs)[index]

        return Computed(shown, tuple(inputs), how, (node.primitive.name, id(node)))

    def _attrs(self, node: Node) -> dict[str, Any]:
        return attrs_at(node, {"N": self.n})

    def _shape(self, shape: Shape) -> tuple[int, ...]:
        return resolve(shape, {"N": self.n})

    def _length(self, dim: Dim) -> int:
        return self._shape((dim,))[0]

    # -- what is written in the book's way -------------------------------------------

    def _uniform(self, value: Value) -> bool:
        """Whether all elements are one number."""
        base = behind_views(value)
        if base not in self.names and base.node is not None:
            node = base.node
            if node.primitive is creation.constant:
                return len(set(node.attrs["value"])) == 1
            moves = node.primitive in (movement.transpose, movement.flip)
            if moves or node.primitive.elementwise:
                return all(map(self._uniform, node.inputs)) and bool(node.inputs)
        return math.prod(self._shape(base.shape)) == 1 and not is_sampled(base)

    def _zero(self, value: Value) -> bool:
        return self._uniform(value) and self._write(value) == Number(0)

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
        if _guards(condition, other):
            return self._write(other)
        if not self._zero(other):
            return None
        return Product("odot", (self._write(g), self._write(condition)))

    def _constant(self, node: Node) -> Expr:
        values = set(node.attrs["value"])
        if len(values) == 1:
            return Number(float(values.pop()))
        (out,) = node.outputs
        assert out is not None
        return self._symbol(out, "c")

    def _iota(self, node: Node) -> Expr:
        (out,) = node.outputs
        assert out is not None
        return self._symbol(out, "i")

    def _symbol(self, value: Value, letter: str) -> Expr:
        """A name for numbers that stand in the graph."""
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
        """∑ u / (how many) is the mean of u."""
        total, count = node.inputs[0], behind_views(node.inputs[1])
        while total.node is not None and total.node.primitive is elementwise.convert:
            total = total.node.inputs[0]
        if total.node is None or total.node.primitive is not movement.reduce_sum:
            return None
        (summed,), axes = total.node.inputs, tuple(total.node.attrs["axes"])
        if total in self.names or count.node is None:
            return None
        if count.node.primitive is creation.size:
            found = self._length(count.node.attrs["dim"])
        elif count.node.primitive is creation.constant:
            found = count.node.attrs["value"][0]
        else:
            return None
        shape = self._shape(summed.shape)
        if found != math.prod(shape[a] for a in axes):
            return None
        if found == 1:
            return self._write(total)
        mean = Atom(r"\operatorname{mean}", "mean")
        return self._reduced(mean, "call", summed, axes)

    def _sum(self, node: Node) -> Expr:
        """∑ over everything, or over axes by their letters."""
        (x,) = node.inputs
        shape, axes = self._shape(x.shape), tuple(node.attrs["axes"])
        if axes == (len(shape) - 1,) and behind_views(x) in self.distributions:
            return Number(1)
        if all(shape[a] == 1 for a in axes):
            return self._write(x)
        return self._reduced(Atom(r"\sum", "∑"), "wide", x, axes)

    def _reduced(self, head: Expr, reach: str, x: Value, axes: tuple[int, ...]) -> Expr:
        """A reduction over some axes, with their letters, or over everything."""
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

    def _exact(self, value: Value) -> Expr:
        """A value in its own shape, where what is written may have another one."""
        if value.shape and (self._uniform(value) or _repeats(value)):
            return self._filled(value)
        made = self._write(value)
        if self._laid(value) == self._shape(value.shape):
            return made
        return self._reshaped(made, value)

    def _filled(self, value: Value) -> Expr:
        """What is repeated along axes, in every place of a value."""
        made, shape = self._write(value), self._shape(value.shape)

        def how(number: Array) -> Array:
            return np.broadcast_to(number, shape)

        return Computed(made, (made,), how, ("filled", shape), self.kind(value))

    def _laid(self, value: Value) -> tuple[int, ...]:
        """The shape to which what is written of a value comes."""
        own, node = self._shape(value.shape), value.node
        if value in self.names or node is None or self.kind(value) != COLUMNS:
            return own
        if node.primitive in (movement.reshape, elementwise.convert):
            (x,) = node.inputs
            if node.primitive is not movement.reshape or self._same_columns(x, value):
                return self._laid(x)
        if node.primitive.elementwise:
            found = {self._laid(v) for v in node.inputs if v.shape == value.shape}
            return max(found, key=len, default=own)
        if node.primitive is matmul.dot_general:
            for v in node.inputs:
                if self.kind(v) == COLUMNS and len(v.shape) == len(own):
                    return (*self._laid(v)[:-1], own[-1])
        return own

    def _same_columns(self, x: Value, out: Value) -> bool:
        """Whether a reshape leaves the columns what they are."""
        if x.shape[-1:] != out.shape[-1:] or min(len(x.shape), len(out.shape)) != 2:
            return False
        return self.kind(x) == self.kind(out) == COLUMNS

    def _equal(self, node: Node) -> Expr | None:
        """[y = i] for i = 0, 1, … is the one-hot column of the label y."""
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
        """Another precision is not written; what cuts decimals off is."""
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
        """What ``x`` is, without axes of length 1 that were put in, and its axes."""
        places = tuple(range(len(x.shape)))
        while (
            x not in self.names
            and x.node is not None
            and x.node.primitive in (movement.reshape, elementwise.convert)
        ):
            inner = x.node.inputs[0]
            kept = _kept_axes(inner.shape, x.shape)
            if kept is None:
                break
            x, places = inner, tuple([places[k] for k in kept])
        return x, places

    def _spread(self, base: Value, places: tuple[int, ...], out: Value) -> Expr:
        """``base`` with its axes at some places of ``out``, repeated along others."""
        inner, rank = self._write(base), len(out.shape)
        if isinstance(inner, Number):
            return inner
        wide = [p for p, d in zip(places, base.shape) if d != 1]
        trailing = tuple(range(rank - len(places), rank))
        if places == trailing or not wide:
            return inner
        plain = base in self.names or isinstance(inner, Atom | Script)
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
        if not _repeats(x):
            return self._write(x)
        inner, shape = self._exact(x), self._shape(out.shape)
        how: Callable[[Array], Array] = lambda a: a.reshape(shape)  # noqa: E731
        return Computed(inner, (inner,), how, ("columns", shape), COLUMNS)

    def _reshaped(self, inner: Expr, out: Value) -> Expr:
        """A value in another shape."""
        shape = self._shape(out.shape)

        def how(a: Array) -> Array:
            return np.asarray(a).reshape(shape)

        shown, key = shaped("reshape", inner, out.shape), ("reshape", shape)
        return Computed(shown, (inner,), how, key, self.kind(out))

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
        """The product as matrices on paper, with letters where it is none."""
        d = parse_dims(node.attrs["dims"])
        (a, b), (out,) = node.inputs, node.outputs
        assert out is not None
        for x, y, one, other in ((a, b, d.lhs, d.rhs), (b, a, d.rhs, d.lhs)):
            made = self._matrices(x, y, one, other, d.out)
            if made is not None:
                return made
        first, last = ((a, d.lhs), (b, d.rhs))
        if is_sampled(a) and not is_sampled(b):
            first, last = last, first
        factors = self._exact(first[0]), self._exact(last[0])
        return Contracted(factors, (first[1], last[1]), d.out)

    def _matrices(
        self, x: Value, y: Value, one: str, other: str, out: str
    ) -> Expr | None:
        """x times y on paper, where the letters are those of such a product."""
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
        """δ xᵀ: a sum of outer products over the columns."""
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
        """What is multiplied as a matrix or as columns: its axes must be there."""
        whole = self._uniform(value) or _repeats(value)
        return self._exact(value) if whole else self._write(value)

    def _product(self, node: Node) -> Expr:
        return self._outer(node) or self._dot(node)

    def _pullback(self, node: Node) -> Expr:
        """J_x̂ᵀ g, where J is the Jacobian of x̂; what it comes to says a note."""
        hat = Script(Atom("J"), below=symbol("x\u0302"))
        inputs = [self._exact(v) for v in node.inputs]
        shown = Transposed(hat) @ inputs[0]
        attrs = self._attrs(node)
        how = functools.partial(REFERENCES[node.primitive], **attrs)
        key = (node.primitive.name, *sorted(attrs.items()))
        (out,) = node.outputs
        assert out is not None
        return Computed(shown, tuple(inputs), how, key, self.kind(out))


def named_atom(name: str) -> Atom:
    """A word as a symbol."""
    return Atom(r"\text{" + name.replace("_", r"\_") + "}", name)


def declared(node: Node, inputs: list[Expr], n: int, kind: str = COLUMNS) -> Expr:
    """The formula that a primitive declares, with these inputs.

    Args:
        node: whose formula.
        inputs: what its inputs are written like.
        n: the number of samples.
        kind: how the numbers of the result stand on paper.
    """
    formula = node.primitive.formula
    assert formula is not None, node.primitive
    indexed = [e.with_index(letters(v)) for e, v in zip(inputs, node.inputs)]
    made = formula(*indexed, **node.attrs)
    if not isinstance(made, Computed):
        return made
    reference, attrs = REFERENCES[node.primitive], attrs_at(node, {"N": n})
    how = functools.partial(reference, **attrs)  # those of the node may name N
    key = (node.primitive.name, *sorted(attrs.items()))
    return dataclasses.replace(made, how=how, key=key, kind=kind)


def parts(e: Expr) -> list[Expr]:
    """The expressions that an expression is made of."""
    found: list[Expr] = []
    if isinstance(e, Computed):
        return list(e.arguments)
    for field in dataclasses.fields(e):  # pyright: ignore
        item = getattr(e, field.name)
        found += [item] if isinstance(item, Expr) else []
        if isinstance(item, tuple):
            for inner in item:
                pair = inner if isinstance(inner, tuple) else (inner,)
                found += [i for i in pair if isinstance(i, Expr)]
    return found


def holds(e: Expr, part: Expr) -> bool:
    """Whether an expression has another one in it."""
    return e == part or any(holds(inner, part) for inner in parts(e))


def weight(e: Expr) -> int:
    """How much there is to read in an expression."""
    if type(e) in (Script, Atom, Number):
        return 1
    return 1 + sum(map(weight, parts(e)))


def _kept_axes(inner: Shape, outer: Shape) -> tuple[int, ...] | None:
    """Where the axes of ``inner`` stand in ``outer``, if only axes of 1 were put in."""
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


def _repeats(value: Value) -> bool:
    """Whether a value is one of fewer elements, repeated."""
    while value.node is not None and value.node.primitive is elementwise.convert:
        value = value.node.inputs[0]
    return value.node is not None and value.node.primitive is movement.broadcast_to


def _guards(condition: Value, v: Value) -> bool:
    """Whether the condition is v = number: so v is kept from dividing by zero."""
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
}
