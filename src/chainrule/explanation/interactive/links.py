"""Links: how the elements of one value of a step's graph depend on those of another.

A link holds every derivative ∂child[k]/∂parent[j] between two neighbours of the graph,
in a form from which single ones can be read:

- ``Each``: element k of the child depends on one element of the parent at most
  (functions of single numbers, views, gathers, the maximum of a window);
- ``Into``: element j of the parent goes into one element of the child at most (sums,
  the loss of a sample);
- ``Times``: the child is a product of parent and another value, as of ``einsum``, or a
  convolution; the derivative is an element of the other one;
- ``Listed``: a list of all that are not zero;
- ``Unknown``: there are derivatives, and they are too many for any of these.

Which of the first two it is nobody declares: it is found by derivatives along three
directions, and held against the derivative rules of training along a random one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.graph.apply import apply
from chainrule.graph.context import recording
from chainrule.graph.graph import is_detached
from chainrule.graph.interpret import attrs_at, evaluate_all
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, as_tuple
from chainrule.primitives import conv, matmul
from chainrule.primitives.matmul import parse_dims

#: Of a composite so many derivatives are listed; one that has more is opened.
SMALL = 4096
#: Of what cannot be opened so many rows or columns of derivatives are worked out,
#: with so many derivatives in all.
ROWS, MOST = 160, 1 << 20
#: What rounding may make of a derivative along a direction, relative to its terms.
ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class Link:
    """A link between two values of a step's graph: child is computed from parent.

    Attributes:
        parent, child: the values.
    """

    parent: Value
    child: Value


@dataclass(frozen=True, eq=False)
class Each(Link):
    """A link whose child's elements have one element of the parent each, or none.

    Attributes:
        index: for each element of the child, which of the parent's; −1: none.
        derivative: ∂child/∂parent there.
    """

    index: Array
    derivative: Array


@dataclass(frozen=True, eq=False)
class Into(Link):
    """A link whose parent's elements go into one element of the child each, or none.

    Attributes:
        index: for each element of the parent, which of the child's; −1: none.
        derivative: ∂child/∂parent there.
    """

    index: Array
    derivative: Array


@dataclass(frozen=True, eq=False)
class Times(Link):
    """A link of a product or convolution: derivatives are elements of another value.

    Attributes:
        other: that value.
        letters: of the axes of parent, other and child; digits are those along which a
            window slides.
        first: whether the parent is what the window slides over.
        slides: strides, paddings and dilations of a convolution; empty for a product.
    """

    other: Value
    letters: tuple[str, str, str]
    first: bool = True
    slides: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, eq=False)
class Listed(Link):
    """A link as a list of derivatives that are not zero.

    Attributes:
        children, parents: the elements, by their place in memory.
        derivatives: ∂child/∂parent.
    """

    children: Array
    parents: Array
    derivatives: Array


@dataclass(frozen=True, eq=False)
class Unknown(Link):
    """A link whose derivatives are not known one by one."""


@dataclass(frozen=True, eq=False)
class Linked:
    """All links of a step, in running order.

    Attributes:
        values: the values that are joined by links, in running order.
        arrays: the numbers of all of them.
        links: between them.
    """

    values: list[Value]
    arrays: dict[Value, Array]
    links: list[Link]


def linked(
    nodes: Sequence[Node],
    arrays: Mapping[Value, Array],
    sizes: Mapping[str, int],
    given: Collection[Value],
) -> Linked:
    """Return the links of graph nodes, in float64.

    Args:
        nodes: in running order.
        arrays: the numbers of all their values.
        sizes: what N is.
        given: the values from which derivatives are followed.
    """
    made = _Links(dict(arrays), dict(sizes), {v for v in given if v.dtype.is_float})
    made.values += given
    with np.errstate(all="ignore"):  # the step has said what there is to say
        for node in nodes:
            made.add(node, node.inputs, node.outputs)
    return Linked(list(dict.fromkeys(made.values)), made.arrays, made.links)


def opened(
    node: Node,
    arrays: Mapping[Value, Array],
    sizes: Mapping[str, int],
    given: Collection[Value],
) -> Linked:
    """Return the links within a composite node, whose body is looked at.

    Args:
        node, arrays, sizes, given: as for :func:`linked`.
    """
    made = _Links(dict(arrays), dict(sizes), {v for v in given if v.dtype.is_float})
    made.values += given
    with np.errstate(all="ignore"):
        made.open(node, node.inputs, node.outputs)
    return Linked(list(dict.fromkeys(made.values)), made.arrays, made.links)


@dataclass(eq=False)
class _Links:
    arrays: dict[Value, Array]
    sizes: dict[str, int]
    live: set[Value]
    values: list[Value] = field(default_factory=list[Value])
    links: list[Link] = field(default_factory=list[Link])

    def add(
        self, node: Node, inputs: Sequence[Value], outputs: Sequence[Value | None]
    ) -> None:
        """Add the links of a node, or of the nodes of its body."""
        made = [v for v in outputs if v is not None]
        moved = [v for v in dict.fromkeys(inputs) if v in self.live]
        floats = [v for v in made if v.dtype.is_float]
        if not moved or not floats or is_detached(node):
            self.values += made
            return
        product = node.primitive in (matmul.dot_general, conv.conv)
        if product:
            links: list[Link] | None = list(_products(node, inputs, made[0], self.live))
        else:
            links = self._found(node, inputs, outputs, moved)
        if links is None:
            self.open(node, inputs, outputs)
            return
        self.values += made
        self.links += links
        self.live.update(link.child for link in links)

    def _found(
        self,
        node: Node,
        inputs: Sequence[Value],
        outputs: Sequence[Value | None],
        moved: Sequence[Value],
    ) -> list[Link] | None:
        """Return a node's links; None where its body is looked at instead."""
        here = _Applied(node, inputs, outputs, self.arrays, self.sizes, moved)
        links: list[Link] = []
        for parent, child in here.pairs():
            link = _single(here, parent, child)
            if link is None and node.primitive.elementwise:
                link = _by_definition(here, parent, child)
            many = self.arrays[parent].size * self.arrays[child].size
            if link is None and many > SMALL and node.primitive in BODIES:
                return None
            links.append(link or _listed(here, parent, child))
        return links

    def open(
        self, node: Node, inputs: Sequence[Value], outputs: Sequence[Value | None]
    ) -> None:
        """Add the links of a composite node's body."""
        types = [v.type.at(self.sizes) for v in inputs]
        body = BODIES[node.primitive](types, attrs_at(node, self.sizes))
        known = evaluate_all(body, [self.arrays[v] for v in inputs], self.sizes)
        names: dict[Value, Value] = dict(zip(body.inputs, inputs))
        again: list[tuple[Value, Value]] = []
        for value, out in zip(body.outputs, outputs):
            if out is not None and names.setdefault(value, out) is not out:
                again.append((names[value], out))
        for value, array in known.items():
            self.arrays.setdefault(names.get(value, value), array)
        for inner in body.nodes:
            ways = [names.get(v) or v for v in inner.inputs]
            ends = [None if v is None else names.get(v, v) for v in inner.outputs]
            self.add(inner, ways, ends)
        for parent, child in again:  # what a body hands on, or gives twice
            self.values.append(child)
            if parent in self.live:
                index = np.arange(self.arrays[child].size)
                self.links.append(Each(parent, child, index, np.ones(len(index))))
                self.live.add(child)


class _Applied:
    """A node applied to numbers once more, for derivatives along directions."""

    def __init__(
        self,
        node: Node,
        inputs: Sequence[Value],
        outputs: Sequence[Value | None],
        arrays: Mapping[Value, Array],
        sizes: dict[str, int],
        moved: Sequence[Value],
    ) -> None:
        new = {v: Value(arrays[v], tracked=v in moved) for v in inputs}
        with recording():
            attrs = attrs_at(node, sizes)
            made = apply(node.primitive, tuple([new[v] for v in inputs]), attrs)
            pairs = zip(outputs, as_tuple(made))
            self.results = {v: y for v, y in pairs if v is not None and y.tracked}
            self.seeds = {
                v: Value(np.zeros(y.shape), tracked=True)
                for v, y in self.results.items()
            }
            roots = {y: self.seeds[v] for v, y in self.results.items()}
            back = cotangents(roots)
        self.starts = {v: new[v] for v in moved}
        self.back = {v: back[y] for v, y in self.starts.items() if y in back}
        self.shapes = {v: arrays[v].shape for v in (*moved, *self.results)}
        self.sizes = {v: arrays[v].size for v in self.shapes}
        self._rows: dict[Value, dict[Value, Array]] = {}

    def pairs(self) -> Iterator[tuple[Value, Value]]:
        """Yield the pairs of inputs and results with a derivative between them."""
        for parent in self.back:
            for child in self.results:
                yield parent, child

    def forward(self, parent: Value, child: Value, direction: Array) -> Array:
        """Return Σⱼ ∂child/∂parent[j] direction[j], flat."""
        seed = self.seeds[child]
        along = Value(direction.reshape(self.shapes[parent]))
        with recording():
            pushed = cotangents({self.back[parent]: along}).get(seed)
        if pushed is None:
            return np.zeros(self.sizes[child])
        return _array(pushed).reshape(-1)

    def backward(self, parent: Value, child: Value, direction: Array) -> Array:
        """Return Σₖ direction[k] ∂child[k]/∂parent, flat."""
        return self._pulled(child, direction)[parent]

    def _pulled(self, child: Value, direction: Array) -> dict[Value, Array]:
        along = Value(direction.reshape(self.shapes[child]))
        with recording():
            known = cotangents({self.results[child]: along})
        return {
            parent: _array(known[start]).reshape(-1)
            if start in known
            else np.zeros(self.sizes[parent])
            for parent, start in self.starts.items()
        }

    def rows(self, parent: Value, child: Value) -> Array:
        """Return the matrix ∂child/∂parent by its rows; of all parents at once."""
        if child not in self._rows:
            each = [self._pulled(child, one) for one in np.eye(self.sizes[child])]
            self._rows[child] = {
                v: np.array([row[v] for row in each]).reshape(len(each), self.sizes[v])
                for v in self.starts
            }
        return self._rows[child][parent]


def _array(value: Value) -> Array:
    assert value.array is not None
    return value.array


# -- forms of links --------------------------------------------------------------------


def _products(
    node: Node, inputs: Sequence[Value], child: Value, live: Collection[Value]
) -> Iterator[Times]:
    """Yield the links of a product or convolution with its two operands."""
    dims = parse_dims(node.attrs["dims"])
    names = ("strides", "padding", "lhs_dilation", "rhs_dilation")
    slides = {k: node.attrs[k] for k in names} if dims.window else {}
    a, b = inputs
    if a in live:
        yield Times(a, child, b, (dims.lhs, dims.rhs, dims.out), True, slides)
    if b in live:
        yield Times(b, child, a, (dims.rhs, dims.lhs, dims.out), False, slides)


def _single(here: _Applied, parent: Value, child: Value) -> Each | Into | None:
    """Return a link of single elements; None where it is none."""
    rng = np.random.default_rng(0)
    for kind, along, ends in (
        (Each, here.forward, (parent, child)),
        (Into, here.backward, (child, parent)),
    ):
        read, own = (here.sizes[v] for v in ends)
        derivative = along(parent, child, np.ones(read))
        counted = along(parent, child, np.arange(1.0, read + 1))
        there = derivative != 0
        finite = np.isfinite(derivative).all() and np.isfinite(counted).all()
        if not finite or counted[~there].any():
            continue
        places = np.divide(counted, derivative, out=np.zeros(own), where=there)
        if (
            places[there].max(initial=1) > read + 0.5
            or places[there].min(initial=1) < 0.5
        ):
            continue
        index = np.where(there, np.rint(places).astype(np.int64) - 1, -1)
        probe = rng.uniform(0.5, 1.0, read) * rng.choice([-1.0, 1.0], read)
        wanted, found = along(parent, child, probe), derivative * probe[index]
        if (np.abs(wanted - found) <= ROUNDING * np.abs(found)).all():
            return kind(parent, child, index, derivative)
    return None


def _by_definition(here: _Applied, parent: Value, child: Value) -> Each | None:
    """Return the link of an elementwise function whose derivatives are not finite."""
    size = here.sizes[child]
    if here.sizes[parent] != size:
        return None
    derivative = here.forward(parent, child, np.ones(size))
    return Each(parent, child, np.arange(size), derivative)


def _listed(here: _Applied, parent: Value, child: Value) -> Listed | Unknown:
    """Return a link as a list, by the fewest derivatives along single elements."""
    rows, columns = here.sizes[child], here.sizes[parent]
    if min(rows, columns) > ROWS or rows * columns > MOST:
        return Unknown(parent, child)
    if rows <= columns:
        matrix = here.rows(parent, child)
    else:
        lines = [here.forward(parent, child, one) for one in np.eye(columns)]
        matrix = np.array(lines).reshape(columns, rows).T
    if not np.isfinite(matrix).all():
        return Unknown(parent, child)
    children, parents = np.nonzero(matrix)
    return Listed(parent, child, children, parents, matrix[children, parents])
