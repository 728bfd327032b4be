"""Tracing of the body of a loop or branch, which may use values from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chainrule.errors import GraphError
from chainrule.graph.context import absolute_scope, context, within
from chainrule.graph.emit import INLINE_CONSTANT, GraphTrace
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.primitive import as_tuple
from chainrule.graph.types import ArrayType, DType
from chainrule.text import _


class BodyTrace(GraphTrace):
    """The trace of a loop body or branch, which turns outside values into inputs."""

    def __init__(self, inputs: Sequence[Value]) -> None:
        super().__init__()
        self.outer = context.trace or GraphTrace()
        self.own = {id(v): v for v in inputs}
        self.outside: dict[int, tuple[Value, Value]] = {}

    def operand(self, value: Value) -> Value:
        if id(value) in self.own:
            return value
        return self._outside(value) if value.array is None else self.constant(value)

    def constant(self, value: Value) -> Value:
        assert value.array is not None
        if value.array.size <= INLINE_CONSTANT and not value.tracked:
            return super().constant(value)
        return self._outside(value)

    def _outside(self, value: Value) -> Value:
        if id(value) not in self.outside:
            argument = Value(None, value.shape, value.dtype, name=value.name)
            argument.tracked = value.tracked
            self.outside[id(value)] = value, argument
            self.own[id(argument)] = argument
        return self.outside[id(value)][1]

    def note_emitted(self, outputs: tuple[Value, ...]) -> None:
        self.own.update((id(v), v) for v in outputs)

    def lift(self, tensor: Any, value: Value) -> Value:
        return self.outer.lift(tensor, value)

    def note_mode(self, module: Any) -> None:
        self.outer.note_mode(module)

    def note_read(self, get: Callable[[], Any]) -> None:
        self.outer.note_read(get)

    def note_step(self, table: Any) -> int:
        raise self._state(
            _("makes an optimiser's step"),
            _(
                "make it behind the loop, or in a Python loop, for i in range(n), "
                "which is gone through while the function is traced"
            ),
        )

    def tabulated(
        self, table: Any, name: str, dtype: DType, step: int | None = None
    ) -> Value | None:
        if self.outer.is_new(table):
            return None
        return self.outer.tabulated(table, name, dtype, step)

    def gradient(self, tensor: Any, current: Any) -> Any:
        return self.outer.gradient(tensor, current)

    def assign(self, tensor: Any, value: Value) -> bool:
        raise self._state(_("changes a tensor from outside"), _("carry it"))

    def note_reached(self, values: Iterable[Value]) -> None:
        raise self._state(
            _("calls backward()"), _("take derivatives outside, or by cr.grad")
        )

    def set_gradient(self, tensor: Any, gradient: Any) -> bool:
        raise self._state(
            _("sets a gradient"), _("take derivatives outside, or by cr.grad")
        )

    def _state(self, does: str, instead: str) -> GraphError:
        return GraphError(
            _("The body of a loop or of a branch {does}.", does=does),
            expected=_("a function of its arguments that returns what is new"),
            got=_(
                "copy_, a random number, an optimiser's step or backward() within it"
            ),
            fix=_(
                "{instead}; draw random numbers before the loop and pass them in",
                instead=instead,
            ),
        )


def trace_body(
    function: Callable[..., Any], types: Sequence[ArrayType], name: str
) -> tuple[Graph, list[Value]]:
    """Trace a loop body or branch; return its graph, and the outside values it reads.

    Its inputs are those values, then one for each of ``types``.
    """
    inputs = [Value(None, t.shape, t.dtype, tracked=t.dtype.is_float) for t in types]
    inner = BodyTrace(inputs)
    with within("trace", inner), absolute_scope("", context.role):
        outputs = [inner.operand(v) for v in as_tuple(function(*inputs))]
    captured = list(inner.outside.values())
    graph = Graph(name, [*(v for __, v in captured), *inputs], outputs)
    refuse_escaped(graph)
    return graph, [v for v, __ in captured]


def refuse_escaped(graph: Graph) -> None:
    """Raise an error if a graph uses a value of another graph (a loop body's)."""
    known = set(graph.inputs)
    for values in (graph.outputs, *(node.inputs for node in graph.nodes)):
        for value in values:
            if value.node is None and value not in known:
                raise GraphError(
                    _(
                        "{name} uses a value from within a loop or a branch.",
                        name=graph.name,
                    ),
                    expected=_("what the function of scan, cond or while_loop returns"),
                    got=_(
                        "{type} that was kept in a list or a variable there",
                        type=value.type,
                    ),
                    fix=_("return it: scan stacks it along a new axis"),
                )
