"""A graph pass that merges ``scan`` loops, so that nothing is computed twice.

The derivative of a loop runs it once more forwards, to keep the carry of each step, and
computes in each step of its way back what the forward step computed already. Three
rewrites, in this order, leave each thing computed once:

- two loops over the same carries become one that has the results of both;
- a step that computes, from kept carries, what a forward step has computed reads that:
  the forward loop keeps it;
- a sum that a loop only adds to, such as ∂L/∂W, is one product over all of its steps
  after the loop, instead of one in each.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.autodiff import inline
from chainrule.composites.control import scan
from chainrule.graph.emit import clone, emit, tracing
from chainrule.graph.graph import Graph, users
from chainrule.graph.node import Node, Value
from chainrule.passes.common import attr_key, merge_common
from chainrule.primitives.creation import constant
from chainrule.primitives.elementwise import add
from chainrule.primitives.matmul import dot_general, parse_dims
from chainrule.primitives.movement import broadcast_to, reduce_sum

#: Elements up to which a term of a sum is kept for each step, where it is no product.
KEPT = 4096


def share_scans(graph: Graph) -> Graph:
    """Return the graph without work that its ``scan`` loops repeat."""
    if not any(node.primitive is scan for node in graph.nodes):
        return graph
    with tracing():
        return _without_sums(_without_repetition(_merged(graph)))


# -- one loop and its parts ------------------------------------------------------------


@dataclass
class _Scan:
    """A ``scan`` loop's node with its body and the numbers of constants and carries."""

    node: Node
    body: Graph
    constants: int
    carries: int

    @property
    def fixed(self) -> int:
        """The number of a ``scan`` loop's operands before the sequences."""
        return self.constants + self.carries

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of a ``scan`` loop's node except for its body."""
        return {k: v for k, v in self.node.attrs.items() if k != "body"}


def _scan(node: Node) -> _Scan:
    attrs = node.attrs
    return _Scan(node, attrs["body"], attrs["constants"], attrs["carries"])


class _Numbers:
    """Value numbering, to find repeated work: equal computations get equal numbers."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}

    def number(self, key: Any) -> int:
        """Return the number of a computation, the same for equal keys."""
        return self._known.setdefault(key, len(self._known))

    def of(self, body: Graph, inputs: Sequence[int]) -> dict[Value, int]:
        """Return numbers for a loop body's values, equal for equal computations."""
        numbers = dict(zip(body.inputs, inputs, strict=True))
        for node in body.nodes:
            attrs = tuple(sorted((k, attr_key(v)) for k, v in node.attrs.items()))
            key = (node.primitive, tuple(numbers[v] for v in node.inputs), attrs)
            for i, value in enumerate(node.outputs):
                if value is not None:
                    numbers[value] = self.number((key, i))
        return numbers


def _replaced(graph: Graph, nodes: Mapping[Node, Any]) -> Graph:
    """Return the graph with some of its nodes replaced by what functions record.

    A function gives the new outputs. Functions are called in running order.
    """
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        inputs = [new.get(v, v) for v in node.inputs]
        make = nodes.get(node)
        results = clone(node, inputs) if make is None else make(tuple(inputs))
        for old, value in zip(node.outputs, results, strict=True):
            assert old is not None
            new[old] = value
    return Graph(graph.name, graph.inputs, [new.get(v, v) for v in graph.outputs])


# -- loops over the same carries -------------------------------------------------------


def _merged(graph: Graph) -> Graph:
    groups: dict[Any, list[_Scan]] = {}
    for node in graph.nodes:
        if node.primitive is scan:
            loop = _scan(node)
            key = (node.inputs, tuple(sorted(loop.attrs.items())))
            groups.setdefault(key, []).append(loop)
    make: dict[Node, Any] = {}
    for loops in groups.values():
        first, *others = loops
        numbers = _Numbers()
        inputs = [numbers.number(i) for i in range(len(first.body.inputs))]
        known = numbers.of(first.body, inputs)
        carried = [known[v] for v in first.body.outputs[: first.carries]]
        alike = [first]
        for other in others:
            mine = numbers.of(other.body, inputs)
            if [mine[v] for v in other.body.outputs[: other.carries]] == carried:
                alike.append(other)
        if len(alike) > 1:
            _merge(alike, make)
    return _replaced(graph, make) if make else graph


def _merge(loops: list[_Scan], make: dict[Node, Any]) -> None:
    """Merge ``scan`` loops over equal carries into one loop that has all results."""
    first = loops[0]
    inputs = [Value(None, v.shape, v.dtype, name=v.name) for v in first.body.inputs]
    results: list[Value] = []
    places: list[list[int]] = []
    for loop in loops:
        results_of = inline(loop.body, inputs)
        if not results:
            results += results_of[: loop.carries]
        stacked = results_of[loop.carries :]
        start = len(results)
        places.append([*range(loop.carries), *range(start, start + len(stacked))])
        results += stacked
    body = merge_common(Graph(first.body.name, inputs, results))
    whole: list[tuple[Value, ...]] = []

    def once(node: Node, mine: list[int]) -> Any:
        def results_of(inputs: tuple[Value, ...]) -> tuple[Value, ...]:
            if not whole:
                whole.append(emit(scan, inputs, first.attrs | {"body": body}, node))
            return tuple([whole[0][i] for i in mine])

        return results_of

    for loop, mine in zip(loops, places):
        make[loop.node] = once(loop.node, mine)


# -- steps that compute what was computed ----------------------------------------------


def _without_repetition(graph: Graph) -> Graph:
    """Return the graph whose loops read what earlier loops computed, not repeat it."""
    again = True
    while again:
        again = False
        for node in graph.nodes:
            if node.primitive is not scan:
                continue
            sources = {
                v.node
                for v in node.inputs[_scan(node).fixed :]
                if v.node is not None and v.node.primitive is scan
            }
            for source in sources:
                replacements = _repeated(_scan(source), _scan(node))
                if replacements is not None:
                    graph = _replaced(graph, replacements)
                    again = True
                    break
            if again:
                break
    return graph


def _repeated(source: _Scan, loop: _Scan) -> dict[Node, Any] | None:
    """Return replacements of two loops, the second of which repeats work, or None."""
    numbers = _Numbers()
    theirs = source.node.inputs
    inner = [numbers.number(("source", i)) for i in range(len(source.body.inputs))]
    known = numbers.of(source.body, inner)
    if source.node.attrs["length"] != loop.node.attrs["length"]:
        return None
    stands: dict[Value, int] = {}
    for i in range(source.constants):
        stands[theirs[i]] = inner[i]
    entries = {theirs[i]: inner[i] for i in range(source.fixed, len(theirs))}
    for out, result in zip(
        source.node.outputs[source.carries :], source.body.outputs[source.carries :]
    ):
        if out is not None:
            entries[out] = known[result]
    input_numbers: list[int] = []
    for i, value in enumerate(loop.node.inputs):
        table = stands if i < loop.constants else entries if i >= loop.fixed else {}
        input_numbers.append(table.get(value, numbers.number(("own", i))))
    mine = numbers.of(loop.body, input_numbers)
    computed = {number: v for v, number in known.items()}
    alike = {
        v
        for node in loop.body.nodes
        if node.inputs
        and not (node.primitive is broadcast_to and node.inputs[0].shape == ())
        for v in node.outputs
        if v is not None and mine[v] in computed
    }
    if not alike:
        return None
    needed = set(loop.body.outputs)
    for node in reversed(loop.body.nodes):
        anew = not all(v in alike for v in node.outputs)
        if anew or (node.primitive.view and not needed.isdisjoint(node.outputs)):
            needed.update(node.inputs)
    edge = [
        v
        for v in loop.body.values()
        if v in alike and v in needed and not (v.node and v.node.primitive.view)
    ]
    if not edge:
        return None
    return _stacked_for(source, loop, edge, [computed[mine[v]] for v in edge])


def _stacked_for(
    source: _Scan, loop: _Scan, edge: list[Value], computed: list[Value]
) -> dict[Node, Any]:
    """Return replacements of two loops: the first stores values for the second."""
    old = source.body
    body = Graph(old.name, old.inputs, (*old.outputs, *computed))
    calls: list[tuple[Value, ...]] = []

    def first(inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        calls.append(emit(scan, inputs, source.attrs | {"body": body}, source.node))
        return calls[0][: len(old.outputs)]

    def second(inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        more = calls[0][len(old.outputs) :]
        own_inputs = [
            Value(None, v.shape, v.dtype, name=v.name) for v in loop.body.inputs
        ]
        read = [Value(None, v.shape, v.dtype) for v in edge]
        outputs = _redone(loop.body, own_inputs, dict(zip(edge, read)))
        inner = Graph(loop.body.name, (*own_inputs, *read), outputs)
        return _trimmed(loop, inner, (*inputs, *more))

    return {source.node: first, loop.node: second}


def _redone(
    body: Graph, inputs: Sequence[Value], instead: Mapping[Value, Value]
) -> list[Value]:
    """Return a loop body's outputs for new inputs, with some values replaced."""
    known = dict(zip(body.inputs, inputs, strict=True)) | dict(instead)
    for node in body.nodes:
        if all(v in instead for v in node.outputs):
            continue
        results = clone(node, [known[v] for v in node.inputs])
        for old, value in zip(node.outputs, results):
            if old is not None:
                known.setdefault(old, value)
    return [known[v] for v in body.outputs]


def _trimmed(loop: _Scan, body: Graph, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """Record a ``scan`` loop without the operands that its body does not read."""
    read = {v for node in body.nodes for v in node.inputs} | set(body.outputs)
    keep = [
        i
        for i, v in enumerate(body.inputs)
        if v in read or loop.constants <= i < loop.fixed
    ]
    constants = sum(i < loop.constants for i in keep)
    graph = Graph(body.name, [body.inputs[i] for i in keep], body.outputs)
    attrs = loop.attrs | {"body": graph, "constants": constants}
    return emit(scan, tuple([inputs[i] for i in keep]), attrs, loop.node)


# -- sums that a loop only adds to -----------------------------------------------------


def _without_sums(graph: Graph) -> Graph:
    make: dict[Node, Any] = {}
    for node in graph.nodes:
        if node.primitive is scan:
            sums = _sums(_scan(node))
            if sums:
                make[node] = _summed_after(_scan(node), sums)
    return _replaced(graph, make) if make else graph


def _sums(loop: _Scan) -> dict[int, Value]:
    """Return a loop's carries that are sums, with the terms added in each step."""
    terms: dict[int, Value] = {}
    readers = users(loop.body)
    outputs = loop.body.outputs
    for i in range(loop.carries):
        carry, new = loop.body.inputs[loop.constants + i], outputs[i]
        node = new.node
        if (
            node is None
            or node.primitive is not add
            or node.inputs.count(carry) != 1
            or readers[carry] != [node]
            or readers.get(new)
            or outputs.count(new) != 1
            or carry in outputs
            or not carry.dtype.is_float
        ):
            continue
        term = node.inputs[1 - node.inputs.index(carry)]
        maker, shape = term.node, term.shape
        product = (
            maker is not None
            and maker.primitive is dot_general
            and all(_moves(v, loop) for v in maker.inputs)
        )
        small = (
            all(isinstance(d, int) for d in shape)
            and math.prod(d for d in shape if isinstance(d, int)) <= KEPT
        )
        if product or small:
            terms[i] = term
    return terms


def _moves(value: Value, loop: _Scan) -> bool:
    """Return whether a value in a loop body may differ from step to step."""
    return value not in loop.body.inputs[: loop.constants]


def _summed_after(loop: _Scan, sums: dict[int, Value]) -> Any:
    """Return a function that records a loop without its sums, and these after it."""
    body, constants = loop.body, loop.constants
    outputs = body.outputs
    terms: list[Value] = []
    for term in sums.values():
        node = term.node
        product = node is not None and node.primitive is dot_general
        terms += node.inputs if product and node is not None else (term,)
    sequences = body.inputs[loop.fixed :]
    stacked_outputs = outputs[loop.carries :]
    more = [
        v
        for v in dict.fromkeys(terms)
        if v not in sequences and v not in stacked_outputs
    ]

    def make(inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        carries = [i for i in range(loop.carries) if i not in sums]
        stay = [
            *range(constants),
            *(constants + i for i in carries),
            *range(loop.fixed, len(inputs)),
        ]
        results = (*(outputs[i] for i in carries), *stacked_outputs, *more)
        inner = Graph(body.name, [body.inputs[i] for i in stay], results)
        attrs = loop.attrs | {"body": inner, "carries": len(carries)}
        scan_outputs = emit(scan, tuple([inputs[i] for i in stay]), attrs, loop.node)
        stacked = dict(zip((*stacked_outputs, *more), scan_outputs[len(carries) :]))
        stacked |= dict(zip(sequences, inputs[loop.fixed :]))
        after = dict(zip(carries, scan_outputs))
        for i, term in sums.items():
            total = _total(term, stacked, loop.node)
            start = inputs[constants + i]
            if not _is_zero(start):
                (total,) = emit(add, (start, total), {}, loop.node)
            after[i] = total
        rest = scan_outputs[len(carries) : len(carries) + len(stacked_outputs)]
        return (*(after[i] for i in range(loop.carries)), *rest)

    return make


def _total(term: Value, stacked: Mapping[Value, Value], origin: Node) -> Value:
    """Return the sum of a loop's stored terms over all steps, as one operation."""
    node = term.node
    if node is None or node.primitive is not dot_general:
        return emit(reduce_sum, (stacked[term],), {"axes": (0,)}, origin)[0]
    d = parse_dims(node.attrs["dims"])
    step = next(c for c in string.ascii_lowercase if c not in d.lhs + d.rhs)
    attrs = node.attrs | {"dims": f"{step}{d.lhs},{step}{d.rhs}->{d.out}"}
    operands = tuple([stacked[v] for v in node.inputs])
    return emit(dot_general, operands, attrs, node)[0]


def _is_zero(value: Value) -> bool:
    """Return whether a graph value is a positive zero, broadcast to a shape."""
    node = value.node
    if node is None or node.primitive is not broadcast_to:
        return False
    source = node.inputs[0].node
    return (
        source is not None
        and source.primitive is constant
        and set(source.attrs["value"]) == {0.0}
        and math.copysign(1.0, source.attrs["value"][0]) > 0
    )
