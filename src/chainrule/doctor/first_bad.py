"""The first operation of a training step whose result is not a finite number.

The step is worked out once more by the NumPy references, and walked back from what is
not finite to the operation whose inputs all are. A composite and the body of a loop are
opened, so that the operation itself is named: of √(√(x − 2)) the inner root. Of a
derivative that is none the operation is named whose derivative it is: of √x at 0 the
root, with its input, and not the division by 0 in its rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.autograd.function import CUSTOM
from chainrule.composites.control import cond, scan
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import attrs_at, evaluate_all, solve_sizes
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.graph.types import Sizes
from chainrule.text import _, joined
from chainrule.text.numbers import number

#: How many operands of an operation are shown.
SHOWN = 3


@dataclass(frozen=True)
class FirstBad:
    """An operation that made the first number that is not finite.

    Attributes:
        operation: the primitive.
        within: the composites and loops that it is a part of, the outermost first.
        scope: the module.
        source: ``file:line`` of the user's code, or None.
        derivative_of: the operation whose derivative it is, with its operands there:
            ``sqrt(0)``; "" for none.
        forward: the name of that operation; "" for none.
        role: ``forward``, ``backward`` or ``update``.
        inputs: its operands at that element, or their ranges, as text.
        result: ``nan``, ``inf`` or ``-inf``.
        count, size: how many of its numbers are not finite, of how many.
        step: of a loop, where it is one.
    """

    operation: str
    within: tuple[str, ...]
    scope: str
    source: str | None
    role: str
    inputs: tuple[str, ...]
    result: str
    count: int
    size: int
    step: int | None = None
    derivative_of: str = ""
    forward: str = ""

    @property
    def call(self) -> str:
        """The operation with its operands: ``sqrt(-1) = nan``."""
        call = f"{self.operation}({', '.join(self.inputs)}) = {self.result}"
        if not self.derivative_of:
            return call
        what = self.derivative_of
        return _("{call}, in the derivative of {what}", call=call, what=what)

    @property
    def where(self) -> str:
        """Module, source line, and what it is a part of."""
        parts = [f"'{self.scope}'"] if self.scope else []
        parts += [self.source] if self.source else []
        if self.within:
            parts.append(_("in {what}", what=" / ".join(self.within)))
        if self.step is not None:
            parts.append(_("step {n}", n=self.step))
        return joined(", ", parts)


def find(graph: Graph, arrays: Sequence[Any]) -> FirstBad | None:
    """Return the first bad operation of a graph on these inputs, or None."""
    with np.errstate(all="ignore"):
        return _find(graph, arrays, None, _Place())


@dataclass(frozen=True)
class _Place:
    """The place of a graph that a node has opened: what that node says of itself.

    ``lines``: whether its operations are of lines of the user's. Those of a composite
    are not: its body is traced once, wherever it is met first.
    """

    within: tuple[str, ...] = ()
    scope: str = ""
    source: str | None = None
    role: str = ""
    derivative_of: str = ""
    forward: str = ""
    step: int | None = None
    lines: bool = True


def _find(
    graph: Graph, arrays: Sequence[Any], sizes: Sizes | None, outer: _Place
) -> FirstBad | None:
    if sizes is None:
        shapes = [(v.shape, np.shape(a)) for v, a in zip(graph.inputs, arrays)]
        sizes = solve_sizes(shapes)
    known = evaluate_all(graph, arrays, sizes)
    bad = next((v for v in graph.outputs if not _finite(known[v])), None)
    node = None if bad is None else _origin(bad, known)
    if node is None:
        return None
    inputs = [known[v] for v in node.inputs]
    results = [known[v] for v in node.outputs if v is not None]
    forward = node.derived
    source = (forward or node).source if outer.lines else None
    place = replace(
        outer,
        scope=node.scope or outer.scope,
        source=source or outer.source,
        role=outer.role or node.role,
    )
    if forward is not None:
        what = _derived(forward, known, *_first_wrong(results))
        name = forward.primitive.name
        place = replace(place, derivative_of=what, forward=name)
    within = (*place.within, node.primitive.name)
    lines = place.lines and node.primitive in (scan, cond, CUSTOM)
    for body, given, t in _opened(node, inputs, sizes):
        step = place.step if t is None else t
        inside = replace(place, within=within, step=step, lines=lines)
        inner = _find(body, given, None, inside)
        if inner is not None:
            return inner
    return _described(node, inputs, results, place)


def _derived(
    forward: Node, known: dict[Value, Array], shape: tuple[int, ...], at: Any
) -> str:
    """Return an operation with its operands where its derivative is no number."""
    name, inputs = forward.primitive.name, forward.inputs[:SHOWN]
    if not all(v in known for v in inputs):
        return name  # it ran in another graph, such as the body of a loop
    return f"{name}({', '.join(_operand(known[v], shape, at) for v in inputs)})"


def _origin(value: Value, known: dict[Value, Array]) -> Node | None:
    """Return the first node of those from which a bad value came.

    The walk goes back through inputs that are bad themselves: those with NaN, or, where
    there are none, those with infinities. So −∞ that masks something, and hurts
    nothing, is not followed.
    """
    origins: list[Node] = []
    waiting, done = [value], set[Node]()
    while waiting:
        node = waiting.pop().node
        if node is None or node in done:
            continue
        done.add(node)
        wrong = [v for v in node.inputs if not _finite(known[v])]
        nans = [v for v in wrong if np.isnan(known[v]).any()]
        if nans or wrong:
            waiting += nans or wrong
        else:
            origins.append(node)
    return min(origins, key=lambda n: n.number, default=None)


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _opened(
    node: Node, inputs: list[Array], sizes: Sizes
) -> Iterator[tuple[Graph, list[Any], int | None]]:
    """Yield the graphs that a node runs, with their inputs, and the steps of a loop."""
    attrs = attrs_at(node, sizes)
    if node.primitive is scan:
        yield from _steps(attrs, inputs)
    elif node.primitive is cond:
        which, *operands = inputs
        yield attrs["true" if bool(which) else "false"], operands, None
    elif node.primitive in BODIES:
        types = [v.type.at(sizes) for v in node.inputs]
        yield BODIES[node.primitive](types, attrs), inputs, None


def _steps(
    attrs: dict[str, Any], inputs: list[Array]
) -> Iterator[tuple[Graph, list[Any], int | None]]:
    """Yield the body of a loop with the inputs of each of its steps, in order."""
    body: Graph = attrs["body"]
    constants, carries = attrs["constants"], attrs["carries"]
    fixed = constants + carries
    carry = inputs[constants:fixed]
    order = range(attrs["length"])
    for t in reversed(order) if attrs["reverse"] else order:
        given = [*inputs[:constants], *carry, *(x[t] for x in inputs[fixed:])]
        yield body, given, t
        known = evaluate_all(body, given)
        carry = [np.asarray(known[v]) for v in body.outputs[:carries]]


def _first_wrong(results: list[Array]) -> tuple[tuple[int, ...], Any]:
    """Return the shape of the first bad result, and where its first bad number is."""
    bad = next(a for a in results if not _finite(a))
    wrong = ~np.isfinite(bad)
    return bad.shape, np.unravel_index(int(wrong.reshape(-1).argmax()), bad.shape)


def _described(
    node: Node, inputs: list[Array], results: list[Array], place: _Place
) -> FirstBad:
    """Return what people are told of a bad operation."""
    bad = next(a for a in results if not _finite(a))
    shape, at = _first_wrong(results)
    return FirstBad(
        node.primitive.name,
        place.within,
        place.scope,
        place.source,
        place.role,
        tuple(_operand(a, shape, at) for a in inputs[:SHOWN]),
        f"{float(bad[at]):g}",
        int((~np.isfinite(bad)).sum()),
        int(bad.size),
        place.step,
        place.derivative_of,
        place.forward,
    )


def _operand(array: Array, shape: tuple[int, ...], at: Any) -> str:
    """Return an operand at the bad element, or its range if it has other elements."""
    if array.shape == shape:
        return number(float(array[at]))
    if array.size == 1:
        return number(float(array.reshape(-1)[0]))
    if not array.size:
        return "[]"
    return f"[{number(float(array.min()))} … {number(float(array.max()))}]"
