"""The table from primitives and composites to ONNX: one row, one small function each.

    @row(exp)
    def _(c: Call) -> Ref:
        return c.x.op("Exp")

A row reads its node through :class:`Call`. What has no row is opened, if it is a
composite, and refused otherwise; :data:`REFUSED` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import ArrayType, DType
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.primitives.creation import constant
from chainrule.primitives.movement import broadcast_to, reshape

Function = Callable[["Call"], Ref | Sequence[Ref]]


class Writer(Protocol):
    """The walk over a graph, as rows know it.

    Attributes:
        emitter: of the graph in the file.
    """

    emitter: Emitter

    def ref(self, value: Value) -> Ref:
        """Return the reference to a value in the ONNX file."""
        ...

    def readers(self, value: Value) -> Sequence[Node]:
        """Return the nodes of the graph that read a value."""
        ...

    def inner(self, emitter: Emitter, graph: Graph, inputs: Sequence[Ref]) -> list[Ref]:
        """Write the body of a loop or branch into the emitter of a subgraph."""
        ...


@dataclass(frozen=True)
class Row:
    """A rule that writes a primitive or composite into an ONNX file.

    Attributes:
        function: emits its nodes, and returns what stands for its outputs.
        since: the opset from which on it can.
        dtypes: the types of the first input for which it can; all of them for None.
        broadcasts: whether its inputs may be left unrepeated, as ONNX repeats them.
        accepts: further conditions, of a composite that else is opened.
    """

    function: Function
    since: int = 13
    dtypes: tuple[DType, ...] | None = None
    broadcasts: bool = False
    accepts: Callable[[Sequence[ArrayType], dict[str, Any]], bool] | None = None

    def fits(self, opset: int, node: Node) -> bool:
        """Return whether the row can write a node."""
        types = [v.type for v in node.inputs]
        return (
            opset >= self.since
            and (self.dtypes is None or types[0].dtype in self.dtypes)
            and (self.accepts is None or self.accepts(types, node.attrs))
        )


#: The rows, by primitive or composite.
ROWS: dict[Primitive, Row] = {}
#: Why a primitive is refused.
REFUSED: dict[Primitive, str] = {}


def row(*primitives: Primitive, **options: Any) -> Callable[[Function], Function]:
    """Add a row to the table for the decorated function; see :class:`Row`."""

    def add(function: Function) -> Function:
        for primitive in primitives:
            ROWS[primitive] = Row(function, **options)
        return function

    return add


def number_in(value: Value) -> float | None:
    """Return the number that all elements of a value are, as the graph says; or None.

    >>> from chainrule.graph.emit import tracing
    >>> from chainrule.primitives.movement import full
    >>> with tracing():
    ...     number_in(full(2.5, DType.float32, (3, 4)))
    2.5
    """
    node = value.node
    while node is not None and node.primitive in (broadcast_to, reshape):
        node = node.inputs[0].node
    if node is None or node.primitive is not constant:
        return None
    numbers = node.attrs["value"]
    return numbers[0] if len(numbers) == 1 else None


def operators(names: Mapping[Primitive, str], **options: Any) -> None:
    """Add rows for primitives that are one operator of the same inputs."""

    def emitting(operator: str) -> Function:
        return lambda c: c.op(operator)

    for primitive, operator in names.items():
        ROWS[primitive] = Row(emitting(operator), **options)


class Call:
    """A node that a row writes: its inputs in the file, their types, its attributes.

    Attributes:
        lowering: of the graph that the node is in.
        node: the node.
        inputs: what stands for its inputs.
        attrs: its attributes.
    """

    __slots__ = ("attrs", "inputs", "lowering", "node")

    def __init__(self, lowering: Writer, node: Node, inputs: Sequence[Ref]) -> None:
        self.lowering, self.node, self.inputs = lowering, node, inputs
        self.attrs = node.attrs

    @property
    def e(self) -> Emitter:
        """The emitter of the graph that the node is in."""
        return self.lowering.emitter

    @property
    def x(self) -> Ref:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> Ref:
        """The second input."""
        return self.inputs[1]

    @property
    def values(self) -> tuple[Value, ...]:
        """The node's inputs in our graph, whose shapes are known."""
        return self.node.inputs

    @property
    def out(self) -> ArrayType:
        """The type of the first output."""
        (first, *__) = self.node.outputs
        assert first is not None
        return first.type

    def op(self, operator: str, **attrs: Any) -> Ref:
        """Emit one operator of all inputs."""
        return self.e.op(operator, *self.inputs, **attrs)
