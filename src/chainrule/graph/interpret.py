"""The reference interpreter: run a graph node by node with NumPy.

It defines the semantics of a graph, slow and obvious. Engines are tested against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.emit import emit, tracing
from chainrule.graph.graph import Graph, size_names
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES
from chainrule.graph.types import (
    NO_SIZES,
    Shape,
    Sizes,
    SymbolicDim,
    is_symbolic,
    resolve,
)
from chainrule.text import _
from chainrule.util.bounded import Bounded

# -- named sizes ----------------------------------------------------------------------


def solve_sizes(shapes: Sequence[tuple[Shape, tuple[int, ...]]]) -> dict[str, int]:
    """Solve for the symbolic sizes, from declared and actual array shapes.

    Raises:
        ShapeError: shapes that disagree, or that no whole number fits.
    """
    pairs = [
        (want, got)
        for shape, came in shapes
        for want, got in zip(shape, came)
        if isinstance(want, SymbolicDim)
    ]
    known: dict[str, int] = {}
    while pairs:
        later: list[tuple[SymbolicDim, int]] = []
        for want, got in pairs:
            open_names = [name for name in want.names if name not in known]
            if len(open_names) > 1:
                later.append((want, got))
                continue
            rest = list(want.names)
            if open_names:
                rest.remove(open_names[0])
            share = SymbolicDim(*rest, factor=want.factor).at(known)
            if open_names and share and got % share == 0:
                known[open_names[0]] = got // share
            elif open_names and not share and not got:
                later.append((want, got))
            elif open_names or share != got:
                raise ShapeError(
                    _("The inputs disagree about the size {want}.", want=want),
                    expected=", ".join(f"{n} = {v}" for n, v in known.items())
                    or _("a multiple: {want}", want=want),
                    got=str(got),
                    fix=_("give all of them the same number of rows")
                    if want.names == ("N",)
                    else None,
                )
        if len(later) == len(pairs):
            break
        pairs = later
    return known


def at_sizes(graph: Graph, sizes: Sizes) -> Graph:
    """Return the graph with symbolic sizes replaced by numbers, also in loop bodies."""
    if not graph.symbolic:
        return graph
    key = tuple(sizes[name] for name in graph.size_names if name in sizes)
    copies = _at_sizes.setdefault(graph, Bounded(_AT_MOST))
    copy = copies.get(key)
    if copy is None:
        copy = copies[key] = _with_numbers(graph, sizes)
    return copy


#: The number of copies of a graph with concrete sizes that are kept.
_AT_MOST = 64

_at_sizes: WeakKeyDictionary[Graph, Bounded[tuple[int, ...], Graph]]
_at_sizes = WeakKeyDictionary()


def _with_numbers(graph: Graph, sizes: Sizes) -> Graph:
    new: dict[Value, Value] = {}
    for v in graph.inputs:
        new[v] = Value(None, resolve(v.shape, sizes), v.dtype, name=v.name)
    with tracing():
        for node in graph.nodes:
            inputs = tuple(new[v] for v in node.inputs)
            outputs = [v for v in node.outputs if v is not None]
            types = [v.type.at(sizes) for v in outputs]
            results = emit(node.primitive, inputs, attrs_at(node, sizes), node, types)
            new.update(zip(outputs, results, strict=True))
    for old, value in new.items():
        value.tracked = old.tracked  # a body can be differentiated
    return Graph(
        graph.name, [new[v] for v in graph.inputs], [new[v] for v in graph.outputs]
    )


def attrs_at(node: Node, sizes: Sizes) -> dict[str, Any]:
    """Return a node's attributes with symbolic sizes replaced by numbers."""
    return {
        k: at_sizes(a, sizes) if isinstance(a, Graph) else resolve(a, sizes)
        for k, a in node.attrs.items()
    }


# -- node by node ---------------------------------------------------------------------


def run_nodes(
    graph: Graph, arrays: Sequence[Any], sizes: Sizes | None = None
) -> Iterator[tuple[Node, dict[Value, Array]]]:
    """Run a graph with NumPy; yield each node with the arrays computed so far."""
    known = {v: np.asarray(a) for v, a in zip(graph.inputs, arrays, strict=True)}
    if sizes is None:
        sizes = solve_sizes([(v.shape, known[v].shape) for v in graph.inputs])
    for node in graph.nodes:
        reference = REFERENCES[node.primitive]
        result: Any = reference(
            *(known[v] for v in node.inputs), **attrs_at(node, sizes)
        )
        results = (
            (result,) if type(result) is not tuple else cast("tuple[Any, ...]", result)
        )
        for value, array in zip(node.outputs, results, strict=True):
            if value is not None:
                known[value] = np.asarray(array)
        yield node, known


def evaluate_all(
    graph: Graph, arrays: Sequence[Any], sizes: Sizes | None = None
) -> dict[Value, Array]:
    """Run a graph with NumPy; return the arrays of all its values, for checks."""
    known = {v: np.asarray(a) for v, a in zip(graph.inputs, arrays, strict=True)}
    for step in run_nodes(graph, arrays, sizes):
        known = step[1]
    return known


# -- as a tape ------------------------------------------------------------------------


@dataclass
class _Tape:
    """A graph as a list of steps, for repeated evaluation with NumPy.

    Composites are opened, and what depends on no input is worked out already.

    Attributes:
        slots: how many values there are; the inputs come first.
        steps: (reference, node, whether an attribute has a named size, inputs,
            outputs).
        outputs: the slots of the graph's outputs.
        takers: for each step what takes its inputs out of the slots.
        spent: for each step the slots that nothing reads after it.
        constants: what is known already, by slot.
    """

    slots: int
    steps: list[tuple[Callable[..., Any], Node, bool, list[int], list[int]]] = field(
        default_factory=list[Any]
    )
    outputs: list[int] = field(default_factory=list[int])
    takers: list[Callable[[list[Any]], Any]] = field(default_factory=list[Any])
    spent: list[list[int]] = field(default_factory=list[Any])
    constants: dict[int, Array] = field(default_factory=dict[int, Array])


_tapes: WeakKeyDictionary[Graph, _Tape] = WeakKeyDictionary()


def _tape(graph: Graph) -> _Tape:
    tape = _tapes.get(graph)
    if tape is None:
        tape = _Tape(len(graph.inputs))
        tape.outputs = _write(tape, graph, {v: i for i, v in enumerate(graph.inputs)})
        tape.takers = [_taken(ins) for *__, ins, __ in tape.steps]
        tape.spent = _spent(tape)
        _tapes[graph] = tape
    return tape


def _write(tape: _Tape, graph: Graph, slot: dict[Value, int]) -> list[int]:
    """Append a graph's nodes to a list of steps; return its outputs' indices."""
    known = tape.constants
    for node in graph.nodes:
        inputs = [slot[v] for v in node.inputs]
        outputs = [v for v in node.outputs if v is not None]
        symbolic = any(size_names(a) for a in node.attrs.values())
        fixed = not symbolic and not any(is_symbolic(v.shape) for v in node.inputs)
        if node.primitive in BODIES and fixed:
            body = BODIES[node.primitive]([v.type for v in node.inputs], node.attrs)
            inner = dict(zip(body.inputs, inputs, strict=True))
            slot.update(zip(outputs, _write(tape, body, inner), strict=True))
            continue
        places = list(range(tape.slots, tape.slots + len(outputs)))
        tape.slots += len(outputs)
        slot.update(zip(outputs, places, strict=True))
        reference = REFERENCES[node.primitive]
        if fixed and len(places) == 1 and all(i in known for i in inputs):
            result = reference(*(known[i] for i in inputs), **node.attrs)
            known[places[0]] = np.asarray(result)
        else:
            tape.steps.append((reference, node, symbolic, inputs, places))
    return [slot[v] for v in graph.outputs]


def _taken(slots: list[int]) -> Callable[[list[Any]], Any]:
    """Return a fast function that selects a list's items at these indices."""
    if len(slots) > 1:
        return itemgetter(*slots)
    return itemgetter(slice(slots[0], slots[0] + 1) if slots else slice(0))


def _spent(tape: _Tape) -> list[list[int]]:
    """Return, for each step of a graph's evaluation, the values no longer needed."""
    needed, spent = set(tape.outputs), list[list[int]]()
    for *__, ins, outs in reversed(tape.steps):
        last = {*ins, *outs} - needed
        spent.append([*last])
        needed |= last
    return spent[::-1]


def evaluate(
    graph: Graph, arrays: Sequence[Any], sizes: Sizes | None = None
) -> tuple[Array, ...]:
    """Return the outputs of a graph for these input arrays, computed with NumPy."""
    tape = _tape(graph)
    known: list[Any] = [None] * tape.slots
    known[: len(arrays)] = map(np.asarray, arrays)
    for i, array in tape.constants.items():
        known[i] = array
    if sizes is None:
        sizes = NO_SIZES
        if graph.symbolic:
            shapes = [(v.shape, a.shape) for v, a in zip(graph.inputs, known)]
            sizes = solve_sizes(shapes)
    for step, take, spent in zip(tape.steps, tape.takers, tape.spent):
        reference, node, symbolic, __, outs = step
        attrs = attrs_at(node, sizes) if symbolic else node.attrs
        results: Any = reference(*take(known), **attrs)
        if type(results) is not tuple:
            known[outs[0]] = results
        else:
            for i, result in zip(outs, cast("tuple[Any, ...]", results)):
                known[i] = result
        del results  # else the numbers stay until the next step has made its own
        for i in spent:
            known[i] = None
    return tuple([np.asarray(known[i]) for i in tape.outputs])
