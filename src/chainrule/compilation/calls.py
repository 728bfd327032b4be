"""Derivatives of compiled functions within eager code: the chain rule by graph.

A call is one node. Its derivative is the derivative of the graph that ran, compiled for
the same engine; a derivative of that is taken from the graph's own nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.autodiff import inline, vjp
from chainrule.engines import Executable, load_engine
from chainrule.engines.threads import RunLock
from chainrule.errors import ShapeError
from chainrule.graph.batching import Samples, graph_of_samples, repeated
from chainrule.graph.context import context
from chainrule.graph.declare import declare
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate, solve_sizes
from chainrule.graph.node import (
    Array,
    Cotangent,
    Node,
    Value,
    result,
    stored_or_array,
    untracked,
)
from chainrule.graph.primitive import BODIES, Case, of_any
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType
from chainrule.notation.expressions import Expr
from chainrule.notation.functions import apply
from chainrule.primitives.elementwise import add, mul, tanh
from chainrule.tensor import Tensor, wrap
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.compilation.tracing import Slot, Traced


def _rule(*types: ArrayType, body: Graph, engine: str) -> tuple[ArrayType, ...]:
    wanted = tuple([v.type for v in body.inputs])
    if types != wanted:
        raise ShapeError(
            _("A call takes what its graph takes."),
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
    present = [v for v in (*gs, *inputs) if v is not None]
    arrays: list[Any] = [stored_or_array(v, engine) for v in present]
    shapes = [(v.shape, a.shape) for v, a in zip(body.inputs, arrays[-len(inputs) :])]
    named = {f"x{i}": a for i, a in enumerate(arrays)}
    sizes = solve_sizes(shapes)
    run = partial(executable.run, "vjp", named, steps=None, sizes=sizes)
    results = _run_lock.run(run)
    back: list[Cotangent] = [None] * len(inputs)
    for i, numbers in zip(positions, results, strict=True):
        back[i] = result(numbers, ArrayType(numbers.shape, body.inputs[i].dtype))
    return back


_backward: WeakKeyDictionary[Graph, dict[Any, tuple[Executable, list[int]]]]
_backward = WeakKeyDictionary()
_run_lock = RunLock()


def _compiled(
    gs: tuple[Cotangent, ...], needed: tuple[bool, ...], body: Graph, engine: str
) -> tuple[Executable, list[int]]:
    """Return the compiled derivative of a graph, and the indices of its inputs."""
    positions: list[int] = []
    types = [v.type for g, v in zip(gs, body.outputs) if g is not None]

    def function(*values: Value) -> list[Value]:
        rest = iter(values)
        full = tuple([None if g is None else next(rest) for g in gs])
        cotangents = vjp(_apply(body), tuple(rest), full, needed, {})
        positions[:] = [i for i, g in enumerate(cotangents) if g is not None]
        return [g for g in cotangents if g is not None]

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


def _batch(samples: Samples) -> list[Value]:
    """Return a call's results for many samples: its graph's, computed for them."""
    body, size = samples.attrs["body"], samples.size
    results = graph_of_samples(body, samples.inputs, samples.batched, size, body=True)
    return [value if many else repeated(value, size) for value, many in results]


@declare(
    rule=_rule,
    joint_vjp=_vjp,
    batch=_batch,
    shown=of_any(_written),
    source="a compiled function within an eager one",
    cases=_cases,
)
def call(*arrays: Array, body: Graph, engine: str) -> tuple[Array, ...]:
    return evaluate(body, arrays)


BODIES[call] = lambda types, attrs: attrs["body"]


def passed(values: Sequence[Value], statuses: Sequence[bool | dict[str, str]]) -> None:
    """Mark a compiled call's values that have no derivative, with an error's reason."""
    for value, status in zip(values, statuses):
        if isinstance(status, dict):
            freed = Node(call, (), {"freed": status})
            freed.set_outputs((value,), weakly=True)
            value.node, value.index, value.tracked = freed, 0, True


class Connection:
    """The eager graph's connection from a compiled call's results to its inputs.

    Args:
        traced: the entry point.
        engine: the name of the engine that computes the derivatives.
    """

    __slots__ = (
        "_attrs",
        "_passed",
        "_recorded",
        "_state",
        "_statuses",
        "_tables",
        "_tensors",
    )

    def __init__(self, traced: Traced, engine: str) -> None:
        entry, recorded = traced.entry, traced.recorded
        outputs = entry.graph.outputs
        # What eager code sees: the results, and state whose value has a derivative.
        seen = [outputs[entry.replaces[key]] for key in recorded]
        seen = (*outputs[: entry.outputs], *seen)
        graph = Graph(entry.name, entry.graph.inputs, seen)
        self._attrs = {"body": graph, "engine": engine}
        self._statuses = (*traced.derivable, *recorded.values())
        self._passed = any(isinstance(s, dict) for s in self._statuses)
        self._recorded = [traced.slots[key].tensor for key in recorded]
        self._tables = tuple(traced.tables)
        state = entry.graph.inputs[len(entry.inputs) :]
        self._state = list(zip(traced.slots.values(), state))
        self._tensors = [slot.tensor for slot, __ in self._state if not slot.gradient]
        if len(self._tensors) < len(self._state):  # gradients are other tensors later
            self._tensors.clear()

    def before(self, leaves: Sequence[Any]) -> list[Value] | None:
        """Return the values of a compiled call's arguments and state before it runs.

        None where no derivative can be asked for. Arrays are the caller's, who may
        change them: they are copied.
        """
        values: list[Value] = []
        tracked = False
        state = self._tensors or [_state_tensor(*state) for state in self._state]
        for item in (*leaves, *state):
            if not isinstance(item, Tensor):
                value = Value(np.array(item))
            elif item._base is None and item._pending is None:
                value = item._value  # most are plain: this is a part of every call
            else:
                value = item.value
            values.append(value)
            tracked = tracked or value.tracked
        return values if tracked else None

    def connect(
        self, results: list[Value], before: list[Value], inputs: Mapping[str, Array]
    ) -> None:
        """Connect a compiled call's results and written state to its inputs by a node.

        Args:
            results: the results.
            before: arguments and state as they were before the run.
            inputs: what the run was given, the scalars of tables included.
        """
        if self._tables:
            at = len(before) - len(self._state)
            before[at:at] = [Value(inputs[name]) for name in self._tables]
        state = [untracked(t.value) for t in self._recorded]
        values = (*results, *state)
        node = Node(call, tuple(before), self._attrs)
        for i, (value, status) in enumerate(zip(values, self._statuses)):
            if status is True:
                value.node, value.index, value.tracked = node, i, True
        node.set_outputs(values, weakly=True)
        if self._passed:
            passed(values, self._statuses)
        for t, value in zip(self._recorded, state):
            t._value = value


def _state_tensor(slot: Slot, like: Value) -> Tensor:
    """Return the tensor of a program state's current values; zeros if it has none."""
    tensor = slot.current()
    if tensor is None:
        tensor = wrap(Value(np.zeros(like.shape, like.dtype.numpy)))
    return tensor
