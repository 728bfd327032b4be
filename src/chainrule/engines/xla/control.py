"""XLA's loops and branches: ``scan`` and ``cond``, with the records of their bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.composites.control import cond, scan
from chainrule.engines.xla.backend import Array, lax
from chainrule.engines.xla.checks import Checks, first_of, may_refuse, nothing_failed
from chainrule.engines.xla.sums import inner_sums
from chainrule.graph.emit import tracing
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node
from chainrule.graph.primitive import Primitive
from chainrule.passes import prepare, simplify
from chainrule.passes.scans import share_scans
from chainrule.passes.windows import share_windows

#: Lowers a body: its graph, inputs and checks give its outputs.
Lower = Callable[[Graph, Sequence[Array], Checks], list[Array]]


def opened(graph: Graph) -> Graph:
    """Return a graph after the passes: composites opened, repeated nodes merged.

    Bodies of loops and branches are opened where they are lowered.
    """
    graph = prepare(share_scans(graph))
    with tracing():
        return inner_sums(simplify(share_windows(graph)))


def _scan(
    node: Node, inputs: Sequence[Array], checks: Checks, lower: Lower
) -> list[Array]:
    body = opened(node.attrs["body"])
    constants, carries = node.attrs["constants"], node.attrs["carries"]
    length, reverse = node.attrs["length"], node.attrs["reverse"]
    fixed = constants + carries
    refuses = may_refuse(body)
    if length == 1:
        # XLA would open the loop and merge it with what it computes again. This is for
        # what keeps nothing for the way back.
        inputs = list(lax.optimization_barrier(tuple(inputs)))
        rows = [x[0] for x in inputs[fixed:]]
        made = lower(body, [*inputs[:fixed], *rows], checks)
        return [*made[:carries], *(y[None] for y in made[carries:])]

    def step(held: Any, rows: Any) -> tuple[Any, Any]:
        carry, record = held
        inner = checks.within()
        made = lower(body, [*inputs[:constants], *carry, *rows], inner)
        if refuses:
            record = first_of([record, inner.record()])
        return (tuple(made[:carries]), record), tuple(made[carries:])

    first = (tuple(inputs[constants:fixed]), nothing_failed() if refuses else None)
    (last, record), stacked = lax.scan(
        step, first, tuple(inputs[fixed:]), length=length, reverse=reverse
    )
    if refuses:
        checks.records.append(record)
    return [*last, *stacked]


def _cond(
    node: Node, inputs: Sequence[Array], checks: Checks, lower: Lower
) -> list[Array]:
    which, *operands = inputs
    branches = [opened(node.attrs[name]) for name in ("true", "false")]

    def branch(graph: Graph) -> Callable[..., Any]:
        def run(*operands: Array) -> Any:
            inner = checks.within()
            made = lower(graph, operands, inner)
            return tuple(made), inner.record()

        return run

    made, record = lax.cond(which, *map(branch, branches), *operands)
    if any(map(may_refuse, branches)):
        checks.records.append(record)
    return list(made)


#: How nodes with bodies are lowered.
NESTED: dict[
    Primitive, Callable[[Node, Sequence[Array], Checks, Lower], list[Array]]
] = {scan: _scan, cond: _cond}
#: The attributes that are bodies.
NESTED_BODIES: dict[Primitive, tuple[str, ...]] = {
    scan: ("body",),
    cond: ("true", "false"),
}
