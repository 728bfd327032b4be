"""A graph pass that assigns memory layouts, with copies where kernels need others.

Kernels read their operands through strides, so most movements cost nothing. Where one
does need contiguous rows (the vectors of a product, the rows of ``take``), an explicit
``copy`` node is put in front of it; the memory planner then treats it like any node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.composites.control import cond, scan
from chainrule.engines.schedule.convolution import Convolution, as_convolution
from chainrule.engines.schedule.layout import (
    StridedView,
    blocked_values,
    in_order,
    view_of,
)
from chainrule.engines.schedule.libraries import BY_NUMPY
from chainrule.engines.schedule.maps import domain_of, is_elementwise
from chainrule.graph.context import absolute_scope
from chainrule.graph.emit import clone, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.program import Entry
from chainrule.passes.rewrite import rewrite
from chainrule.primitives import windows
from chainrule.primitives.indexing import (
    put_rows,
    scatter_add,
    scatter_add_along,
    take,
)
from chainrule.primitives.matmul import Dims, dot_general, parse_dims
from chainrule.primitives.movement import copy, reduce_sum, transpose
from chainrule.primitives.random import random_bits

#: Primitives whose results lie best like their first, or their second, operand.
LIKE_FIRST = (
    windows.window_sum,
    windows.window_max,
    windows.window_argmax,
    windows.window_best,
)
LIKE_SECOND = (scatter_add_along, windows.window_max_pullback)

#: Primitives whose kernels, or whose bodies, read operands row by row, without gaps.
ROW_MAJOR = frozenset((take, scatter_add, put_rows, random_bits, scan, cond, *BY_NUMPY))


@dataclass(frozen=True)
class Product:
    """A node as a matrix product C[u, v] = Σₖ A[u, k] B[k, v], for the tile kernel.

    v is the axis along which C is contiguous, so A is read element by element and B
    and C by vectors.

    Attributes:
        a, b: which operand (0 or 1) plays A and B.
        u, v, k: the letters of the axes.
    """

    a: int
    b: int
    u: str
    v: str
    k: str


def as_product(node: Node, blocked: bool) -> Product | None:
    """Return a tensor product node as one matrix product, or None if it is not one."""
    d: Dims = parse_dims(node.attrs["dims"])
    dtype = node.inputs[0].dtype
    if (
        d.batch
        or not len(d.left) == len(d.right) == len(d.contracted) == 1
        or not dtype.is_float
        or node.attrs["accumulate"].itemsize > dtype.itemsize
    ):
        return None
    v = d.out[0] if blocked else d.out[1]
    if v in d.right:
        return Product(0, 1, d.left, v, d.contracted)
    return Product(1, 0, d.right, v, d.contracted)


@dataclass(frozen=True)
class Nest:
    """A node as nested matrix products: C[…, u, v] = Σ A[…, u, …, k] B[…, …, k, v].

    Attributes:
        a, b: which operand plays A and B.
        u, v, k: the letters of one product, of which some may be missing.
        outer: the other letters of the result, over which products are repeated.
        inner: the other contracted letters, over which products are added up.
        copied: whether B has to be laid out anew, with v last.
    """

    a: int
    b: int
    u: str
    v: str
    k: str
    outer: str
    inner: str
    copied: bool


def as_nest(node: Node, layouts: Sequence[StridedView]) -> Nest | None:
    """Return a tensor product node as many matrix products, or None for plain loops."""
    d: Dims = parse_dims(node.attrs["dims"])
    dtype = node.inputs[0].dtype
    if (
        not dtype.is_float
        or node.attrs["accumulate"].itemsize > dtype.itemsize
        or d.out[-1:] in d.batch
        or any(size == 0 for v in node.inputs for size in v.shape)
    ):
        return None
    v = d.out[-1]
    a, b = (0, 1) if v in d.right else (1, 0)
    letters = (d.lhs, d.rhs)
    free = [c for c in d.out if c in letters[a] and c not in letters[b]]
    u, k = "".join(free[-1:]), d.contracted[-1:]
    inner = d.contracted[:-1]
    sizes = dict(zip(letters[0] + letters[1], (*layouts[0].shape, *layouts[1].shape)))
    named = any(not isinstance(sizes[c], int) for c in inner)
    copied = layouts[b].strides[letters[b].index(v)] != 1 and sizes[v] != 1
    if named:
        return None
    if copied and not u:  # a matrix by a vector: a copy would be all of the work
        a, b, u, v, copied = b, a, v, "", False
    outer = "".join(c for c in d.out if c not in (u, v))
    return Nest(a, b, u, v, k, outer, inner, copied)


def sums_lines(node: Node, layouts: Sequence[StridedView]) -> bool:
    """Return whether a tensor product is sums over lines: of vectors with vectors.

    One operand has no axis of its own, as in a matrix by a vector, and both lie in one
    piece along the last of the contracted axes. Then a sum's terms are neighbours, and
    it is a reduction like any other.
    """
    d: Dims = parse_dims(node.attrs["dims"])
    dtype = node.inputs[0].dtype
    if (
        (d.left and d.right)
        or not dtype.is_float
        or node.attrs["accumulate"].itemsize > dtype.itemsize
        or any(view.blocking for view in layouts)
    ):
        return False
    lhs, rhs = (
        [
            (view.strides[letters.index(c)])
            for c in d.contracted
            if view.shape[letters.index(c)] != 1
        ]
        for letters, view in zip((d.lhs, d.rhs), layouts)
    )
    return lhs[-1:] == rhs[-1:] == [1]


class Layouts:
    """The memory layouts of a graph's values, determined node by node."""

    def __init__(self, blocked: dict[Value, int]) -> None:
        self.blocked = blocked
        self.known: dict[Value, StridedView] = {}

    def own(self, value: Value, axes: Sequence[int] = ()) -> StridedView:
        """Return a new memory layout of a graph value: in blocks, or axes in order."""
        blocking = self.blocked.get(value, 0)
        if len(axes) != len(value.shape) or blocking:
            axes = range(len(value.shape))
        strides = in_order(value.shape, axes)
        return StridedView(value, value.shape, strides, blocking=blocking)

    def add_inputs(self, graph: Graph) -> None:
        """Assign memory layouts to the inputs of a graph."""
        for value in graph.inputs:
            self.known.setdefault(value, self.own(value))

    def add(self, node: Node) -> None:
        """Assign memory layouts to the outputs of a node: views where possible."""
        view = None
        if node.primitive.view:
            view = view_of(node, self.known[node.inputs[0]])
        axes = () if view else self._axes(node)
        for value in node.outputs:
            assert value is not None
            self.known[value] = view or self.own(value, axes)

    def _axes(self, node: Node) -> Sequence[int]:
        """Return the best memory order of a node's result axes; () for any order."""
        convolution = as_convolution(node)
        if convolution is not None:
            letters = parse_dims(node.attrs["dims"]).out
            return [letters.index(c) for c in convolution.out]
        like = list(node.inputs)
        if node.primitive in LIKE_FIRST:
            like = like[:1]
        elif node.primitive in LIKE_SECOND:
            like = like[1:2]
        elif not is_elementwise(node):
            return ()
        rank = len(domain_of(node))
        views = [self.known[v] for v in like if len(v.shape) == rank > 2]
        dense = [(view, view.axes) for view in views if view.dense]
        if any(view.root.node is None for view, _ in dense):
            return ()  # what meets state lies like it
        turned = [axes for _, axes in dense if list(axes) != list(range(rank))]
        return turned[0] if turned else ()


def laid_out(graph: Graph, blocked: dict[Value, int]) -> Layouts:
    """Return the memory layouts of all values of a graph."""
    layouts = Layouts(blocked)
    layouts.add_inputs(graph)
    for node in graph.nodes:
        layouts.add(node)
    return layouts


def assign_layouts(graph: Graph, entry: Entry, blocked: dict[str, int]) -> Graph:
    """Return the graph with copies inserted where kernels need other memory layouts."""
    width = blocked_values(entry, blocked)
    layouts = Layouts(dict(width))
    layouts.add_inputs(graph)

    def placed(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        outputs = clone(node, inputs)
        placed_node = outputs[0].node
        assert placed_node is not None
        for old, new in zip(node.outputs, outputs):
            assert old is not None
            if old in width:
                layouts.blocked[new] = width[old]
        layouts.add(placed_node)
        return outputs

    def copied(value: Value, node: Node) -> Value:
        with absolute_scope(node.scope, node.role):
            duplicate = copy(value)
        layouts.known[duplicate] = layouts.own(duplicate)
        return duplicate

    def transposed_copy(value: Value, axes: tuple[int, ...], node: Node) -> Value:
        transposed = transpose(value, axes=axes)
        assert transposed.node is not None
        view = view_of(transposed.node, layouts.known[value])
        assert view is not None
        layouts.known[transposed] = view
        return copied(transposed, node)

    def renamed(
        node: Node, letters: Sequence[str], operands: Sequence[Value]
    ) -> tuple[Value, ...]:
        dims = f"{letters[0]},{letters[1]}->{parse_dims(node.attrs['dims']).out}"
        renamed_node = Node(node.primitive, node.inputs, node.attrs | {"dims": dims})
        renamed_node.scope, renamed_node.role, renamed_node.source = (
            node.scope,
            node.role,
            node.source,
        )
        renamed_node.set_outputs(tuple(v for v in node.outputs if v is not None))
        return placed(renamed_node, tuple(operands))

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        primitive = node.primitive
        if primitive in ROW_MAJOR:
            inputs = tuple(
                v if layouts.known[v].contiguous else copied(v, node) for v in inputs
            )
        elif primitive.view and view_of(node, layouts.known[inputs[0]]) is None:
            inputs = (copied(inputs[0], node), *inputs[1:])
        elif primitive is dot_general:
            return _product(node, inputs)
        elif (convolution := as_convolution(node)) is not None:
            return _convolution(node, inputs, convolution)
        elif not (
            primitive.view or primitive in (copy, reduce_sum) or is_elementwise(node)
        ):
            inputs = tuple(
                copied(v, node) if layouts.known[v].blocking else v for v in inputs
            )
        return placed(node, inputs)

    def _convolution(
        node: Node, inputs: tuple[Value, ...], convolution: Convolution
    ) -> tuple[Value, ...]:
        """Record a convolution node; copy its kernel to another layout if needed."""
        x, kernel = inputs
        d = parse_dims(node.attrs["dims"])
        axes = tuple(d.rhs.index(c) for c in convolution.rhs)
        view = layouts.known[kernel]
        strides = in_order(kernel.shape, axes)
        rhs = d.rhs
        if any(
            have != want
            for have, want, size in zip(view.strides, strides, kernel.shape)
            if size != 1
        ):
            kernel, rhs = transposed_copy(kernel, axes, node), convolution.rhs
        if layouts.known[x].blocking:
            x = copied(x, node)
        return renamed(node, [d.lhs, rhs], [x, kernel])

    def _product(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        product = as_product(node, node.outputs[0] in width)
        d = parse_dims(node.attrs["dims"])
        operands, letters = list(inputs), [d.lhs, d.rhs]
        if product is None:
            operands = [
                copied(v, node) if layouts.known[v].blocking else v for v in inputs
            ]
            nest = as_nest(node, [layouts.known[v] for v in operands])
            if nest is not None and nest.copied:
                mine = letters[nest.b]
                letters[nest.b] = mine.replace(nest.v, "") + nest.v
                axes = tuple(mine.index(c) for c in letters[nest.b])
                operands[nest.b] = transposed_copy(operands[nest.b], axes, node)
            return renamed(node, letters, operands)
        a, b = product.a, product.b
        if layouts.known[operands[a]].blocking:
            operands[a] = copied(operands[a], node)
        view = layouts.known[operands[b]]
        axis = letters[b].index(product.v)
        if view.blocking:
            if axis != 0:
                operands[b] = copied(operands[b], node)
        elif view.strides[axis] != 1 and view.shape[axis] != 1:
            if axis == 0:
                operands[b] = transposed_copy(operands[b], (1, 0), node)
                letters[b] = letters[b][::-1]
            else:
                operands[b] = copied(operands[b], node)
        return renamed(node, letters, operands)

    with tracing():
        return rewrite(graph, rule)
