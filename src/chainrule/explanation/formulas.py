"""The formula of a value, read off the graph that computes it.

Every node contributes the formula that its primitive declares, with its inputs in the
placeholders. The walk ends at values that have a name (z⁽¹⁾, W⁽¹⁾, δ⁽²⁾ …). A few
nodes are written as the book would write them rather than as they are stored:

- samples are rows in memory and columns on paper, so X Wᵀ is written W x;
- a product with a scalar has no sign, one of arrays has ⊙;
- a sum over all elements, divided by their number, is a mean;
- a selection "g where m, else 0" is g ⊙ [m], and a guard "∞ where v = 0, else v" is v;
- ∑ᵢ of rows that sum to 1 is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import Dim, SymbolicDim
from chainrule.notation.expressions import (
    Atom,
    Call,
    Expr,
    Number,
    Part,
    Prefix,
    Product,
    Script,
    axis_letters,
)
from chainrule.notation.functions import named
from chainrule.notation.tidy import tidy
from chainrule.primitives import creation, elementwise, matmul, movement
from chainrule.primitives.matmul import parse_dims
from chainrule.regions import normalization

#: A formula of more characters than this tells nobody anything.
LONGEST = 400
TOO_LONG = Atom(r"\ldots", "…")
COUNT = Atom("n")
MEAN = Atom(r"\operatorname{mean}", "mean")
LABEL = Atom("y")
ONE_HOT = Atom("y", tag="one-hot")
#: Nodes that change how numbers lie in memory, not what they mean.
VIEWS = (movement.broadcast_to, elementwise.convert, movement.reshape)


def behind_views(value: Value) -> Value:
    """The value that ``value`` is a view of: through reshape, convert, broadcast."""
    while value.node is not None and value.node.primitive in VIEWS:
        value = value.node.inputs[0]
    return value


class Formulas:
    """Writes values of one graph.

    Args:
        names: what is written by its name.
        numbers: scalars that are written as numbers, such as a learning rate.
        labels: the graph input that holds class labels, where there is one.
        n: the number of samples; with one sample, ∑ over samples and 1/n vanish.
        distributions: values whose rows sum to 1.
    """

    def __init__(
        self,
        names: Mapping[Value, Expr],
        numbers: Mapping[Value, float],
        labels: Value | None,
        n: int,
        distributions: Collection[Value] = (),
    ) -> None:
        self.names, self.numbers = dict(names), numbers
        self.labels, self.n, self.distributions = labels, n, distributions
        self._known: dict[Value, Expr] = {}

    def of(self, value: Value, also: Mapping[Value, Expr] | None = None) -> Expr:
        """The tidied formula of ``value``: its name is not used, those of others are.

        Args:
            value: what to write.
            also: further names, for this formula alone.
        """
        saved, self._known = (self.names, self._known), {}
        self.names = {**self.names, **(also or {})}
        self.names.pop(value, None)
        try:
            return tidy(self._write(value))
        finally:
            self.names, self._known = saved

    def _write(self, value: Value) -> Expr:
        if value in self.names:
            return self.names[value]
        if value not in self._known:
            made = self._formula(value)
            long = len(made.text()) > LONGEST
            self._known[value] = TOO_LONG if long else made
        return self._known[value]

    def _formula(self, value: Value) -> Expr:
        node = value.node
        if value in self.numbers:
            return Number(self.numbers[value])
        if node is None:
            name = value.name or "?"
            return Atom(r"\text{" + name.replace("_", r"\_") + "}", name)
        special = _SPECIAL.get(node.primitive)
        made = special(self, node) if special else None
        if made is None:
            made = self._declared(node)
        if len(node.outputs) > 1:
            made = Part(made, value.index + 1)
        return made

    def _declared(self, node: Node) -> Expr:
        formula = node.primitive.formula
        if formula is None:
            return Call(
                named(node.primitive.name), tuple(map(self._write, node.inputs))
            )
        inputs = [self._write(v).with_index(axes_of(v)) for v in node.inputs]
        return formula(*inputs, **node.attrs)

    # -- what is written in the book's way -----------------------------------------

    def _viewed(self, node: Node) -> Expr:
        return self._write(node.inputs[0])

    def _pullback(self, node: Node) -> Expr:
        """J_x̂ᵀ g, where J is the Jacobian of x̂; its formula stands in a note."""
        jacobian = Script(Atom("J"), below=Atom(r"\hat{x}", "x\u0302"))
        return jacobian.T @ self._write(node.inputs[0])

    def _uniform(self, value: Value) -> bool:
        """Whether all elements are one number."""
        return behind_views(value).shape == ()

    def _zero(self, value: Value) -> bool:
        return self._uniform(value) and self._write(value) == Number(0)

    def _mul(self, node: Node) -> Expr | None:
        a, b = node.inputs
        if node.outputs[0] is not None and node.outputs[0].shape == ():
            pair = (b, a) if isinstance(self._write(b), Number) else (a, b)
        elif self._uniform(a) != self._uniform(b):
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

    def _constant(self, node: Node) -> Expr | None:
        values = set(node.attrs["value"])
        return Number(float(values.pop())) if len(values) == 1 else None

    def _size(self, node: Node) -> Expr:
        return self._count(node.attrs["dim"])

    def _count(self, dim: Dim) -> Expr:
        if not isinstance(dim, SymbolicDim):
            return Number(dim)
        if self.n == 1:
            return Number(dim.factor)
        many = Product("scale", (Number(dim.factor), COUNT))
        return COUNT if dim.factor == 1 else many

    def _length(self, dim: Dim) -> int:
        return dim.at({"N": self.n}) if isinstance(dim, SymbolicDim) else dim

    def _div(self, node: Node) -> Expr | None:
        """∑ u / (how many) is the mean of u."""
        total, count = (behind_views(v) for v in node.inputs)
        if total.node is None or total.node.primitive is not movement.reduce_sum:
            return None
        (summed,) = total.node.inputs
        if total in self.names or total.shape != () or count.node is None:
            return None
        if count.node.primitive is creation.size:
            found = self._length(count.node.attrs["dim"])
        elif count.node.primitive is creation.constant:
            found = count.node.attrs["value"][0]
        else:
            return None
        if found != math.prod(map(self._length, summed.shape)):
            return None
        inner = self._write(summed)
        return Call(MEAN, (inner,)) if found > 1 else inner

    def _sum(self, node: Node) -> Expr:
        """∑ over everything, ∑ₛ over the samples alone, ∑ᵢ over what a sample has."""
        (x,) = node.inputs
        shape, axes = x.shape, node.attrs["axes"]
        if axes == (1,) and behind_views(x) in self.distributions:
            return Number(1)
        long = [a for a in range(len(shape)) if self._length(shape[a]) != 1]
        summed = [a for a in axes if a in long]
        if not summed:
            return self._write(x)
        head: Expr = Atom(r"\sum", "∑")
        if len(axes) < len(shape):
            over_samples = all(isinstance(shape[a], SymbolicDim) for a in summed)
            head = Script(head, below=Atom("s" if over_samples else "i"))
        return Prefix(head, self._write(x), "wide")

    def _equal(self, node: Node) -> Expr | None:
        """[y = i] for i = 0, 1, … is the one-hot column of the label y."""
        a, b = node.inputs
        counts = b.node is not None and b.node.primitive is creation.iota
        if counts and self.labels is not None and behind_views(a) is self.labels:
            return ONE_HOT
        return None

    def _dot(self, node: Node) -> Expr | None:
        """The product as matrices on paper, transposed where the letters ask for it."""
        d = parse_dims(node.attrs["dims"])
        (a, b), out = node.inputs, node.outputs[0]
        if out is None or d.batch or len(d.contracted) != 1:
            return None
        shown = {
            letters: letters[::-1] if _sampled(value) else letters
            for letters, value in ((d.lhs, a), (d.rhs, b), (d.out, out))
        }
        if any(len(letters) > 2 for letters in shown):
            return None
        rows = shown[d.out][:1]
        left, right = ((a, d.lhs), (b, d.rhs))
        if rows and rows in d.rhs:
            left, right = right, left
        first = self._turned(left[0], shown[left[1]][-1:] != d.contracted)
        last = self._turned(right[0], shown[right[1]][:1] != d.contracted)
        return Product("dot", (first, last))

    def _turned(self, value: Value, transposed: bool) -> Expr:
        made = self._write(value)
        return made.T if transposed else made


def axes_of(value: Value) -> str:
    """A letter for each axis of a value: s for the samples, then i, or t and i, …"""
    samples = bool(value.shape) and isinstance(value.shape[0], SymbolicDim)
    return axis_letters(len(value.shape), samples)


def _guards(condition: Value, v: Value) -> bool:
    """Whether the condition is v = number: so v is kept from dividing by zero."""
    node = condition.node
    if node is None or node.primitive is not elementwise.equal:
        return False
    a, b = map(behind_views, node.inputs)
    number = b.node is not None and b.node.primitive is creation.constant
    return number and a is behind_views(v)


def _sampled(value: Value) -> bool:
    """Whether the rows of ``value`` are samples, which are columns on paper."""
    return len(value.shape) == 2 and isinstance(value.shape[0], SymbolicDim)


def on_paper(array: np.ndarray, value: Value) -> np.ndarray:
    """The numbers of ``value`` as they are shown: a column for each sample.

    Rows of samples become columns; so do vectors without a sample axis (a bias).
    """
    if len(value.shape) == 1:
        return (
            array[None, :]
            if isinstance(value.shape[0], SymbolicDim)
            else array[:, None]
        )
    if value.shape and isinstance(value.shape[0], SymbolicDim):
        return array.reshape(-1, array.shape[-1]).T
    return array


_SPECIAL: dict[Primitive, Callable[[Formulas, Node], Expr | None]] = {
    elementwise.mul: Formulas._mul,
    elementwise.where: Formulas._where,
    creation.constant: Formulas._constant,
    creation.size: Formulas._size,
    elementwise.div: Formulas._div,
    movement.broadcast_to: Formulas._viewed,
    movement.reshape: Formulas._viewed,
    movement.copy: Formulas._viewed,
    elementwise.convert: Formulas._viewed,
    normalization.normalised_pullback: Formulas._pullback,
    movement.reduce_sum: Formulas._sum,
    elementwise.equal: Formulas._equal,
    matmul.dot_general: Formulas._dot,
}
