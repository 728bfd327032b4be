"""Recording of graph nodes without numbers: :func:`emit`, and traces of graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.errors import GraphError
from chainrule.graph.context import Trace, context
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import DERIVATIVES, Primitive, as_tuple, lookup
from chainrule.graph.room import check_room
from chainrule.graph.types import ArrayType
from chainrule.text import _
from chainrule.util.blocks import Block
from chainrule.util.source_location import caller

#: Constants of up to this many elements are written into the graph itself; larger ones
#: become named inputs.
INLINE_CONSTANT = 16


class GraphTrace(Trace):
    """A trace of a function into a graph; constants become nodes or graph inputs."""

    def constant(self, value: Value) -> Value:
        """Return a graph value for an eager array: a constant node or an input."""
        array = value.array
        assert array is not None
        known = self.constants.get(id(value))
        if known is None:
            if array.size <= INLINE_CONSTANT:
                numbers = tuple(array.ravel().tolist())
                attrs = {"value": numbers, "shape": array.shape, "dtype": value.dtype}
                (node_value,) = emit(lookup("constant"), (), attrs)
            else:
                name = value.name or f"constant{len(self.constants)}"
                node_value = Value(None, array.shape, value.dtype, name=name)
            known = self.constants[id(value)] = (node_value, value)
        return known[0]

    def leaf(self, tensor: Any, value: Value) -> Value:
        """Return a tensor's value as a leaf of the traced graph, without history."""
        copy = emit(lookup("reshape"), (value,), {"shape": value.shape})[0]
        copy.tracked, copy.owner = True, tensor._value.owner
        return copy


def emit(
    primitive: Primitive,
    inputs: tuple[Value, ...],
    attrs: dict[str, Any],
    origin: Node | None = None,
    types: Sequence[ArrayType | Value] | None = None,
) -> tuple[Value, ...]:
    """Record a graph node without computing; return its outputs, of known types.

    Scope, role, source and what it is derived of are those of the surroundings, or of
    ``origin``. ``types`` are those of the outputs, or values like them, where they are
    known.
    """
    trace = context.trace
    if trace is not None:
        inputs = tuple(map(trace.operand, inputs))
    if types is None:
        types = primitive.output_types([v.type for v in inputs], attrs)
        if not primitive.view:
            for result_type in types:
                check_room(result_type.shape, result_type.dtype.itemsize)
    tracked = context.grad and primitive in DERIVATIVES and any_tracked(inputs)
    if origin is None:
        place = (context.scope, context.role, caller())
    else:
        place = (origin.scope, origin.role, origin.source)
    node = Node(primitive, inputs, attrs, *place)
    derived = (context if origin is None else origin).derived
    if derived is not None:
        node.derive(derived)
    values = [
        Value(None, t.shape, t.dtype, node=node, index=i, tracked=tracked)
        for i, t in enumerate(types)
    ]
    outputs = tuple(values)
    node.set_outputs(outputs)
    if trace is not None:
        trace.note_emitted(outputs)
    return outputs


def clone(
    node: Node, inputs: Sequence[Value], *, origin: Node | None = None
) -> tuple[Value, ...]:
    """Record a graph node again with other inputs, the basic step of every pass.

    Scope, role and source are kept, or taken from ``origin``.
    """
    types: list[Value] | None = [v for v in node.outputs if v is not None]
    if len(types) != len(node.outputs) or not _same_types(node.inputs, inputs):
        types = None
    return emit(node.primitive, tuple(inputs), node.attrs, origin or node, types)


def _same_types(old: Sequence[Value], new: Sequence[Value]) -> bool:
    for v, w in zip(old, new, strict=True):  # see any_tracked
        if v is not w and (v.shape != w.shape or v.dtype is not w.dtype):
            return False
    return True


def any_tracked(inputs: tuple[Value, ...]) -> bool:
    for value in inputs:  # noqa: SIM110 - twice as fast as any() of a generator
        if value.tracked:
            return True
    return False


class tracing(Block):  # noqa: N801 - used like a function
    """A context manager that records operations without computing them."""

    __slots__ = ("trace",)

    def __init__(self, trace: Trace | None = None) -> None:
        self.trace = trace

    def saved(self) -> tuple[Trace | None, str, str, Node | None]:
        return context.trace, context.scope, context.role, context.derived

    def change(self) -> Trace:
        trace = context.trace = self.trace or GraphTrace()
        context.scope, context.role, context.derived = "", "forward", None
        return trace

    def undo(self, saved: tuple[Trace | None, str, str, Node | None]) -> None:
        context.trace, context.scope, context.role, context.derived = saved


def trace(
    function: Callable[..., Any],
    types: Sequence[ArrayType],
    *,
    name: str = "graph",
    names: Sequence[str] = (),
    attrs: dict[str, Any] | None = None,
    tracked: bool = False,
) -> Graph:
    """Trace a function of values for these input types, and return its graph."""
    names = names or [f"x{i}" for i in range(len(types))]
    inputs = [
        Value(None, t.shape, t.dtype, name=n, tracked=tracked and t.dtype.is_float)
        for n, t in zip(names, types, strict=True)
    ]
    with tracing() as record_in:
        values: tuple[Value, ...] = as_tuple(function(*inputs, **(attrs or {})))
        outputs = [v if v.array is None else record_in.constant(v) for v in values]
    if record_in.captured():
        captured = record_in.captured()[0][1]
        raise GraphError(
            _(
                "The function of graph {name!r} uses {type} from outside.",
                name=name,
                type=captured.type,
            ),
            expected=_(
                "constants of at most {INLINE_CONSTANT} elements",
                INLINE_CONSTANT=INLINE_CONSTANT,
            ),
            got=str(captured.type),
            fix=_("pass it as an argument"),
        )
    return Graph(name, inputs, outputs)
