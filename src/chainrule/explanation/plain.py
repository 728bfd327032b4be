"""Formulas of a graph's values, written as their primitives declare.

Every node contributes the formula of its primitive, and the walk ends at values that
have a name (z⁽¹⁾, W⁽¹⁾, δ⁽²⁾ …). Whatever is written comes to the numbers of the value,
in its shape (:func:`chainrule.notation.arithmetic.computed`): a formula is worked out
as soon as it is written. Where it does not, because its parts lie in memory otherwise
than they stand on paper, it is written once more, and each part is held against its
numbers (:class:`chainrule.explanation.held.Held`). The book's own ways of writing are
those of :class:`chainrule.explanation.writer.Writer`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from chainrule.explanation.held import Held
from chainrule.explanation.signs import COUNT, named_atom
from chainrule.graph.interpret import attrs_at
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import REFERENCES
from chainrule.graph.types import Dim, Shape, SymbolicDim, resolve
from chainrule.nn.picture.attention import VIEWS
from chainrule.notation.arithmetic import COLUMNS, MATRIX, Quantity
from chainrule.notation.expressions import (
    Computed,
    Expr,
    Number,
    Script,
)
from chainrule.notation.places import shaped
from chainrule.notation.tidy import tidy
from chainrule.primitives import creation, elementwise, matmul, movement
from chainrule.primitives.checks import require

#: Letters of axes: behind that of the samples, by the number of axes; and of others.
SAMPLED = {1: "s", 2: "si", 3: "sti", 4: "scpq", 5: "scrpq"}
OTHERS = "ijklmno"


def behind_views(value: Value) -> Value:
    """Return the graph value behind reshapes, conversions and broadcasts."""
    while value.node is not None and value.node.primitive in (*VIEWS, require):
        value = value.node.inputs[0]
    return value


def is_sampled(value: Value) -> bool:
    """Return whether the first axis of a graph value is the sample axis."""
    return bool(value.shape) and isinstance(value.shape[0], SymbolicDim)


def letters(value: Value, *, matrix: bool = False) -> str:
    """Return an index letter for each axis of a graph value."""
    rank = len(value.shape)
    if not is_sampled(value):
        return OTHERS[:rank]
    return ("sh"[: rank - 2] + "ij") if matrix else SAMPLED.get(rank, OTHERS[:rank])


class PlainWriter:
    """A writer of formulas for a graph's values, as their primitives declare.

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
        steps: the numbers of values, of each step of a loop.
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
        self.steps: list[Mapping[Value, Array]] = [arrays]
        self.constants: dict[Expr, Value] = {}
        self._known: dict[Value, Expr] = {}
        self._held: Held | None = None

    def of(self, value: Value) -> Expr:
        """Return a graph value's simplified formula, in terms of other symbols."""
        name, known = self.names.pop(value, None), self._known
        self._known = {}
        try:
            expression = tidy(self._write(value))
            held = Held(self.quantities())
            if held.comes_to(expression, self.arrays[value]):
                return expression
            self._known, self._held = {}, held
            return tidy(self._exact(value))
        finally:
            self._known, self._held = known, None
            if name is not None:
                self.names[value] = name

    def quantities(self) -> dict[Expr, Quantity]:
        """Return the numbers of all symbols of a writer."""
        known: dict[Expr, Quantity] = {COUNT: Quantity(np.asarray(self.n))}
        for value in self.arrays:
            if value.node is None and value not in self.numbers:
                known[named_atom(value.name or "?")] = self.quantity(value)
        symbols = {name: value for value, name in self.names.items()}
        for name, value in (symbols | self.constants).items():
            if value in self.arrays:
                known[name] = self.quantity(value)
        return known

    def draft(self, value: Value) -> Expr:
        """Return a graph value's expression for use within other formulas."""
        return tidy(self._write(value))

    def quantity(self, value: Value) -> Quantity:
        """Return a graph value's numbers with their orientation."""
        return Quantity(self.arrays[value], self.kind(value))

    def kind(self, value: Value) -> str:
        """Return a graph value's orientation: samples as columns, or a plain matrix."""
        columns = is_sampled(value) and value not in self.matrices
        return COLUMNS if columns else MATRIX

    def of_loop(self, node: Node, index: int) -> Expr | None:
        """Return the symbol of a loop's result, or None; a hook for subclasses."""
        del node, index

    def special(self, node: Node) -> Expr | None:
        """Return a graph node's special expression, or None; a hook for subclasses."""
        del node

    def forget(self) -> None:
        """Clear the writer's cached formulas after a graph value gets a symbol."""
        self._known.clear()

    # -- the walk --------------------------------------------------------------------

    def _write(self, value: Value) -> Expr:
        if value in self.names:
            return self.names[value]
        if value not in self._known:
            expression = self._formula(value)
            if self._held is not None and value.node is not None:
                expression = self._kept(value, expression)
            self._known[value] = expression
        return self._known[value]

    def _kept(self, value: Value, expression: Expr) -> Expr:
        """Return an expression that comes to a graph value's numbers.

        That is the given one, or what the primitive declares, or how that is written,
        with the numbers worked out by the primitive's reference.
        """
        node, held = value.node, self._held
        assert node is not None
        assert held is not None
        held.numbers |= {n: self.quantity(v) for n, v in self.constants.items()}
        array = self.arrays[value]
        if held.comes_to(expression, array):
            return expression
        inputs = [self._exact(v) for v in node.inputs]
        kind = self.kind(value)
        if len(node.outputs) == 1 and node.primitive.formula is not None:
            expression = declared(node, inputs, self.n, kind)
            if held.comes_to(expression, array):
                return expression
        index, attrs = value.index, self._attrs(node)

        def how(*arrays: Array) -> Array:
            made = _applied(node, attrs, *arrays)
            return made[index] if isinstance(made, tuple) else made

        shown = expression.shown if isinstance(expression, Computed) else expression
        key = ("kept", node.primitive.name, node, index)
        return Computed(shown, tuple(inputs), how, key, kind)

    def _formula(self, value: Value) -> Expr:
        node = value.node
        if value in self.numbers:
            return Number(self.numbers[value])
        if node is None:
            return named_atom(value.name or "?")
        expression = self.special(node)
        if expression is not None:
            return expression
        plain = node.primitive.elementwise
        inputs = [self._write(v) if plain else self._exact(v) for v in node.inputs]
        if len(node.outputs) > 1:
            return self._part(node, value.index, inputs)
        return declared(node, inputs, self.n, self.kind(value))

    def _part(self, node: Node, index: int, inputs: list[Expr]) -> Expr:
        """Return the expression of one output of a graph node with several outputs."""
        shown = self.of_loop(node, index)
        if shown is None:
            shown = Script(declared(node, inputs, self.n), below=Number(index + 1))
        reference, attrs = REFERENCES[node.primitive], self._attrs(node)

        def how(*arrays: Array) -> Array:
            return reference(*arrays, **attrs)[index]

        # The node itself: formulas are kept, and an id would be given again.
        return Computed(shown, tuple(inputs), how, (node.primitive.name, node))

    def _attrs(self, node: Node) -> dict[str, Any]:
        return attrs_at(node, {"N": self.n})

    def _ever(self, condition: Value) -> bool:
        """Return whether a condition holds for an element, in some step."""
        return any(bool(np.any(step[condition])) for step in self.steps)

    def _shape(self, shape: Shape) -> tuple[int, ...]:
        return resolve(shape, {"N": self.n})

    def _length(self, dim: Dim) -> int:
        return self._shape((dim,))[0]

    # -- in its own shape ----------------------------------------------------------

    def _uniform(self, value: Value) -> bool:
        """Return whether all elements of a graph value are the same number."""
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

    def _exact(self, value: Value) -> Expr:
        """Return a graph value's expression, reshaped to its shape if needed."""
        uniform = value.shape and (self._uniform(value) or repeats(value))
        if uniform and self._held is None:
            return self._broadcast_value(value)
        expression = self._write(value)
        if self._held is not None:
            return self._held.whole(
                expression, self._shape(value.shape), self.kind(value)
            )
        if self._laid(value) == self._shape(value.shape):
            return expression
        return self._reshaped(expression, value)

    def _broadcast_value(self, value: Value) -> Expr:
        """Return a broadcast graph value's expression, evaluated in its full shape."""
        expression, shape = self._write(value), self._shape(value.shape)

        def how(number: Array) -> Array:
            return np.broadcast_to(number, shape)

        return Computed(
            expression, (expression,), how, ("broadcast", shape), self.kind(value)
        )

    def _laid(self, value: Value) -> tuple[int, ...]:
        """Return the shape that a graph value's expression evaluates to."""
        own, node = self._shape(value.shape), value.node
        if value in self.names or node is None or self.kind(value) != COLUMNS:
            return own
        if node.primitive in (movement.reshape, elementwise.convert):
            (x,) = node.inputs
            if node.primitive is not movement.reshape or self._same_columns(x, value):
                return self._laid(x)
        if node.primitive.elementwise:
            shapes = {self._laid(v) for v in node.inputs if v.shape == value.shape}
            return max(shapes, key=len, default=own)
        if node.primitive is matmul.dot_general:
            for v in node.inputs:
                if self.kind(v) == COLUMNS and len(v.shape) == len(own):
                    return (*self._laid(v)[:-1], own[-1])
        return own

    def _same_columns(self, x: Value, out: Value) -> bool:
        """Return whether a reshape keeps the sample columns of a graph value."""
        if x.shape[-1:] != out.shape[-1:] or min(len(x.shape), len(out.shape)) != 2:
            return False
        return self.kind(x) == self.kind(out) == COLUMNS

    def _reshaped(self, inner: Expr, out: Value) -> Expr:
        """Return an expression reshaped to the shape of a graph value."""
        shape = self._shape(out.shape)

        def how(a: Array) -> Array:
            return np.asarray(a).reshape(shape)

        shown, key = shaped("reshape", inner, out.shape), ("reshape", shape)
        return Computed(shown, (inner,), how, key, self.kind(out))


def declared(node: Node, inputs: list[Expr], n: int, kind: str = COLUMNS) -> Expr:
    """Return the formula that a graph node's primitive declares, for given inputs.

    Args:
        node: whose formula.
        inputs: what its inputs are written like.
        n: the number of samples.
        kind: how the numbers of the result stand on paper.
    """
    formula = node.primitive.formula
    assert formula is not None, node.primitive
    indexed = [e.with_index(letters(v)) for e, v in zip(inputs, node.inputs)]
    expression = formula(*indexed, **node.attrs)
    if not isinstance(expression, Computed):
        return expression
    attrs = attrs_at(node, {"N": n})  # those of the node may name N
    how = functools.partial(_applied, node, attrs)
    types = (v.dtype.name for v in node.inputs)
    key = (node.primitive.name, *sorted(attrs.items()), *types)
    return dataclasses.replace(expression, how=how, key=key, kind=kind)


def _applied(node: Node, attrs: dict[str, Any], *arrays: Array) -> Any:
    """Return a node's result from numbers of formulas, which may be whole floats."""
    types = [v.dtype for v in node.inputs]
    given = [a.astype(t.numpy) if t.is_integer else a for a, t in zip(arrays, types)]
    return REFERENCES[node.primitive](*given, **attrs)


def repeats(value: Value) -> bool:
    """Return whether a graph value is a broadcast of fewer elements."""
    while value.node is not None and value.node.primitive is elementwise.convert:
        value = value.node.inputs[0]
    return value.node is not None and value.node.primitive is movement.broadcast_to
