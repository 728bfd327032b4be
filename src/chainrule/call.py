"""Results of a compiled function within an eager derivative: the chain rule by graph.

A call is one node. Its derivative is the derivative of the graph that ran, compiled for
the same engine; a derivative of that is taken from the graph's own nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from chainrule.autodiff import inline, vjp
from chainrule.engines import Executable, load_engine
from chainrule.engines.threads import Turn
from chainrule.errors import ShapeError
from chainrule.graph.build import context, trace
from chainrule.graph.declare import declare
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate, solve_sizes
from chainrule.graph.node import Array, Cotangent, Node, Value
from chainrule.graph.primitive import BODIES, Case, of_any
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType
from chainrule.notation.expressions import Expr
from chainrule.notation.functions import apply
from chainrule.primitives.elementwise import add, mul, tanh


def _rule(*types: ArrayType, body: Graph, engine: str) -> tuple[ArrayType, ...]:
    wanted = tuple([v.type for v in body.inputs])
    if types != wanted:
        raise ShapeError(
            "A call takes what its graph takes.",
            expected=", ".join(map(str, wanted)),
            got=", ".join(map(str, types)),
        )
    return tuple([v.type for v in body.outputs])


def _apply(body: Graph) -> Callable[..., tuple[Value, ...]]:
    return lambda *values: inline(body, values, keep_constants=True)


def _vjp(
    gs: tuple[Cotangent, ...],
    ys: tuple[Value | None, ...],
    inputs: tuple[Value, ...],
    needed: tuple[bool, ...],
    *,
    body: Graph,
    engine: str,
) -> Sequence[Cotangent]:
    if context.grad or context.trace is not None:
        return vjp(_apply(body), inputs, gs, needed, {})
    known = _backward.setdefault(body, {})
    key = (needed, tuple([g is None for g in gs]), engine)
    if key not in known:
        known[key] = _compiled(gs, needed, body, engine)
    executable, positions = known[key]
    given = [v for v in (*gs, *inputs) if v is not None]
    arrays: list[Any] = [v.array for v in given]
    shapes = [(v.shape, a.shape) for v, a in zip(body.inputs, arrays[-len(inputs) :])]
    named = {f"x{i}": a for i, a in enumerate(arrays)}
    sizes = solve_sizes(shapes)
    run = partial(executable.run, "vjp", named, steps=1, sizes=sizes)
    made = _turn.take(run)
    back: list[Cotangent] = [None] * len(inputs)
    for i, array in zip(positions, made, strict=True):
        back[i] = Value(array[0, ...])
    return back


_backward: WeakKeyDictionary[Graph, dict[Any, tuple[Executable, list[int]]]]
_backward = WeakKeyDictionary()
_turn = Turn()


def _compiled(
    gs: tuple[Cotangent, ...], needed: tuple[bool, ...], body: Graph, engine: str
) -> tuple[Executable, list[int]]:
    """The derivative of a graph on an engine, and which inputs it belongs to."""
    positions: list[int] = []
    types = [v.type for g, v in zip(gs, body.outputs) if g is not None]

    def function(*values: Value) -> list[Value]:
        rest = iter(values)
        full = tuple([None if g is None else next(rest) for g in gs])
        found = vjp(_apply(body), tuple(rest), full, needed, {})
        positions[:] = [i for i, g in enumerate(found) if g is not None]
        return [g for g in found if g is not None]

    types += [v.type for v in body.inputs]
    graph = trace(function, types, name="vjp", tracked=True)
    names = tuple([v.name or "" for v in graph.inputs])
    entry = Entry("vjp", graph, names, (), (), {}, len(graph.outputs))
    return load_engine(engine, Program({"vjp": entry})), positions


def _cases() -> tuple[Case, ...]:
    def function(x: Value, y: Value) -> tuple[Value, Value]:
        product = mul(x, y)
        return product, add(product, tanh(x))

    cases: list[Case] = []
    for dtype in (DType.float32, DType.float64):
        types = [ArrayType((3,), dtype)] * 2
        body = trace(function, types, name="product", tracked=True)
        attrs = {"body": body, "engine": "numpy"}
        cases.append(Case((f"{dtype.short}[3]",) * 2, attrs))
    return tuple(cases)


def _written(*inputs: Expr, body: Graph, engine: str) -> Expr:
    return apply(body.name, *inputs)


@declare(
    rule=_rule,
    joint_vjp=_vjp,
    shown=of_any(_written),
    source="a compiled function within an eager one",
    cases=_cases,
)
def call(*arrays: Array, body: Graph, engine: str) -> tuple[Array, ...]:
    return evaluate(body, arrays)


BODIES[call] = lambda types, attrs: attrs["body"]


def passed(values: list[Value], statuses: Sequence[bool | dict[str, str]]) -> None:
    """Have values say why no derivative of them can be asked for, where that is so."""
    for value, status in zip(values, statuses):
        if isinstance(status, dict):
            freed = Node(call, (), {})
            freed.free(status)
            freed.set_outputs((value,), weakly=True)
            value.node, value.index, value.tracked = freed, 0, True


def connected(
    entry: Entry,
    values: list[Value],
    derivable: Sequence[bool | dict[str, str]],
    recorded: Sequence[str],
    before: list[Value],
    given: dict[str, Array],
    engine: str,
) -> list[Value]:
    """The outputs of a call as values that derivatives flow through.

    Args:
        entry: the entry point that ran.
        values: its outputs, then the new values of ``recorded`` state.
        derivable: for each whether a derivative can be asked for; where not,
            what is said then.
        recorded: state whose new value carries a derivative.
        before: arguments and state as they were before the run.
        given: what the run was given, the scalars of tables included.
        engine: the engine's name.
    """
    passed(values, derivable)
    given_count = len(before) - len(entry.state)
    scalars = [Value(given[name][0]) for name in entry.inputs[given_count:]]
    inputs = (*before[:given_count], *scalars, *before[given_count:])
    graph = _seen(entry, tuple(recorded))
    node = Node(call, inputs, {"body": graph, "engine": engine})
    for i, (value, status) in enumerate(zip(values, derivable)):
        if status is True:
            value.node, value.index, value.tracked = node, i, True
    node.set_outputs(tuple(values), weakly=True)
    return values


_graphs: WeakKeyDictionary[Graph, dict[Any, Graph]] = WeakKeyDictionary()


def _seen(entry: Entry, recorded: tuple[str, ...]) -> Graph:
    """The graph of an entry point with the outputs that eager code sees."""
    known = _graphs.setdefault(entry.graph, {})
    if recorded not in known:
        outputs = entry.graph.outputs
        outputs = (
            *outputs[: entry.outputs],
            *[outputs[entry.replaces[key]] for key in recorded],
        )
        known[recorded] = Graph(entry.name, entry.graph.inputs, outputs)
    return known[recorded]
