"""``scan`` and ``cond`` on the NumPy engine: each body is a Python function.

A loop is a program that is run ``length`` times: its carries are state, its sequences
are inputs with a row for each step, and what it stacks are its outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from chainrule.composites.control import cond, scan
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node
from chainrule.graph.primitive import Primitive
from chainrule.graph.program import Entry
from chainrule.graph.types import Sizes, resolve


class Body(Protocol):
    """The interface of a compiled loop body or branch of the NumPy engine."""

    def execute(self, inputs: Sequence[Any], outs: Sequence[Array], steps: int) -> None:
        """Run a loop body or branch ``steps`` times; outputs have a row for each."""
        ...


class Host(Protocol):
    """The interface of the NumPy engine's function that contains a loop or branch."""

    sizes: Sizes

    def inner(self, entry: Entry, state: dict[str, Array]) -> Body:
        """Return a loop body or branch, a nested graph, as a Python function."""
        ...


Run = Callable[..., None]


def _scan(host: Host, node: Node, outs: Sequence[Array]) -> Run:
    body: Graph = node.attrs["body"]
    constants, carries = node.attrs["constants"], node.attrs["carries"]
    (length,) = resolve((node.attrs["length"],), host.sizes)
    way = slice(None, None, -1 if node.attrs["reverse"] else 1)
    fixed, inputs = constants + carries, body.inputs
    carries_out = {f"carry{i}": out for i, out in enumerate(outs[:carries])}
    names = tuple([f"in{i}" for i in range(len(inputs) - carries)])
    stacked = body.outputs[carries:]
    entry = Entry(
        name=body.name,
        graph=Graph(
            body.name,
            (*inputs[:constants], *inputs[fixed:], *inputs[constants:fixed]),
            (*stacked, *body.outputs[:carries]),
        ),
        inputs=names,
        each=names[constants:],
        state=tuple(carries_out),
        replaces={name: len(stacked) + i for i, name in enumerate(carries_out)},
        outputs=len(stacked),
    )
    inner, ys = host.inner(entry, carries_out), [out[way] for out in outs[carries:]]

    def run(*operands: Array) -> None:
        for carry, first in zip(carries_out.values(), operands[constants:fixed]):
            np.copyto(carry, first)
        xs = [x[way] for x in operands[fixed:]]
        inner.execute([*operands[:constants], *xs], ys, length)

    return run


def _cond(host: Host, node: Node, outs: Sequence[Array]) -> Run:
    def branch(graph: Graph) -> Body:
        names = tuple([f"in{i}" for i in range(len(graph.inputs))])
        entry = Entry(graph.name, graph, names, (), (), {}, len(graph.outputs))
        return host.inner(entry, {})

    no, yes = branch(node.attrs["false"]), branch(node.attrs["true"])
    targets = [out[None] for out in outs]

    def run(which: Array, *operands: Array) -> None:
        (yes if which else no).execute(operands, targets, 1)

    return run


#: How nodes with bodies run: ``NESTED[p](function, node, outs)`` gives what is called
#: with the node's inputs and stores into ``outs``.
NESTED: dict[Primitive, Callable[[Host, Node, Sequence[Array]], Run]] = {
    scan: _scan,
    cond: _cond,
}
