"""Values and the nodes that compute them: the graph in single static assignment.

A :class:`Value` is one array. In eager mode it carries its numbers; while a function
is traced it carries its type alone. Either way it knows the :class:`Node` that made it,
and a node knows its inputs: following those links from a loss back to the parameters
*is* back-propagation.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, Protocol
from weakref import ref as reference

import numpy as np

from chainrule.graph.primitive import Array, Primitive
from chainrule.graph.types import ArrayType, DType, Shape, dtype_of
from chainrule.text import _

__all__ = [
    "Array",
    "Cotangent",
    "Node",
    "Stored",
    "StoredValue",
    "Value",
    "computed",
    "result",
    "stored_or_array",
    "untracked",
]

_numbers = itertools.count()


class Value:
    """A value of a computation graph: with numbers (eager) or a type only (traced).

    Attributes:
        array: the numbers, or None while tracing.
        shape, dtype: the type; a shape may contain N.
        node: the node that computed it; None for inputs and untracked eager values.
        index: which output of ``node`` it is.
        tracked: whether a derivative with respect to it can be asked for.
        name: the name of an input, such as ``0.weight``; None otherwise.
        order: how its elements lie in memory, see :mod:`chainrule.graph.layout`.
        owner: a weak reference to the tensor whose gradient this value's is.
    """

    __slots__ = (
        "__weakref__",
        "_hooks",
        "array",
        "dtype",
        "index",
        "name",
        "node",
        "order",
        "owner",
        "shape",
        "tracked",
    )

    array: Array | None
    node: Node | None
    index: int
    tracked: bool
    name: str | None
    order: int

    def __init__(
        self,
        array: Array | None,
        shape: Shape | None = None,
        dtype: DType | None = None,
        *,
        node: Node | None = None,
        index: int = 0,
        tracked: bool = False,
        name: str | None = None,
    ) -> None:
        self.array = array
        self.shape: Shape = array.shape if array is not None else shape or ()
        if dtype is None:
            assert array is not None
            dtype = dtype_of(array)
        self.dtype: DType = dtype
        self.node, self.index, self.tracked, self.name = node, index, tracked, name
        self.owner: Any = None
        self.order = 0

    @property
    def known(self) -> bool:
        """A flag: the value has numbers; it was not made while tracing."""
        return self.array is not None

    @property
    def type(self) -> ArrayType:
        """The type of a graph value: shape and element type, as one object."""
        return ArrayType(self.shape, self.dtype)

    def joined(self, other: Value) -> Value | None:
        """Return the sum with another gradient as rows of a table; None: no such ones.

        See :class:`chainrule.composites.embedding.RowGradient`.
        """
        return None

    def __repr__(self) -> str:
        origin = self.node.primitive.name if self.node else (self.name or "value")
        return f"<{origin}: {self.type}>"


#: A value without its attributes, faster than ``Value.__new__(Value)``.
_bare = functools.partial(object.__new__, Value)


def computed(array: Array, type: ArrayType, node: Node | None = None) -> Value:
    """Return an eager value for an array of known type, without checks.

    ``node``: the node whose only output the value is, if that node is recorded.
    """
    value = _bare()
    value.array, value.shape, value.dtype = array, type.shape, type.dtype
    value.name = value.owner = None
    value.order = value.index = 0
    value.node = node
    if node is None:
        value.tracked = False
    else:
        value.tracked = True
        node._outputs = (reference(value),)  # pyright: ignore[reportPrivateUsage]
    return value


class Stored(Protocol):
    """The interface of an array in an engine's memory, outside of NumPy's.

    Attributes:
        engine: the name of the engine.
        shape, dtype: those of the array.
    """

    @property
    def engine(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...

    def numpy(self) -> Array:
        """Fetch a stored array from the engine's memory."""
        ...


class StoredValue(Value):
    """An eager value whose numbers stay in an engine's memory until they are read.

    Attributes:
        stored: the array in the engine's memory.
    """

    __slots__ = ("_fetched", "stored")

    def __init__(self, stored: Stored) -> None:
        shape = stored.shape
        super().__init__(None, shape, dtype_of(np.empty(0, stored.dtype)))
        self.stored = stored

    @property
    def array(self) -> Array | None:  # pyright: ignore
        """The numbers, fetched from the engine at the first read; not to be written."""
        if self._fetched is None:
            # A view: what writes into arrays in place takes only those that own memory.
            fetched = self.stored.numpy().view()
            fetched.flags.writeable = False
            self._fetched = fetched
        return self._fetched

    @array.setter
    def array(self, array: Array | None) -> None:  # pyright: ignore
        self._fetched = array

    @property
    def known(self) -> bool:
        """A flag: the value has numbers, which an engine stores."""
        return True


def result(numbers: Array | Stored, type: ArrayType) -> Value:
    """Return an eager value of an engine's result: an array, or one that it stores."""
    if isinstance(numbers, np.ndarray):
        return computed(numbers, type)
    return StoredValue(numbers)


def untracked(value: Value) -> Value:
    """Return an eager value's numbers, wherever they lie, as a value without a node."""
    if isinstance(value, StoredValue):
        return StoredValue(value.stored)
    return Value(value.array, value.shape, value.dtype)


def stored_or_array(value: Value, engine: str) -> Any:
    """Return an eager value's numbers in the form that an engine takes without a copy.

    ``engine``: its name. Its own stored arrays are returned as they are; those of
    another engine are fetched.
    """
    if isinstance(value, StoredValue) and value.stored.engine == engine:
        return value.stored
    return value.array


class Node:
    """A graph node: an application of a primitive (or composite) to values.

    Attributes:
        primitive: what is computed.
        inputs: the values it reads.
        attrs: what else it needs to know (axes, shapes, dimension numbers).
        scope: the module path it came from, such as ``1`` or ``encoder.0``.
        role: ``forward``, ``backward`` or ``update``.
        source: ``file:line`` of the user's code, where it is known.
        number: counts nodes up in the order of their creation, which is an order
            in which they can run.
    """

    __slots__ = (
        "_derived",
        "_outputs",
        "attrs",
        "inputs",
        "number",
        "primitive",
        "role",
        "scope",
        "source",
    )

    primitive: Primitive
    inputs: tuple[Value, ...]
    attrs: dict[str, Any]
    scope: str
    role: str
    source: str | None
    number: int

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Value, ...],
        attrs: dict[str, Any],
        scope: str = "",
        role: str = "forward",
        source: str | None = None,
    ) -> None:
        self.primitive, self.inputs, self.attrs = primitive, inputs, attrs
        self.scope, self.role, self.source = scope, role, source
        self.number = next(_numbers)
        self._outputs: tuple[Any, ...] = ()

    def set_outputs(self, outputs: tuple[Value, ...], *, weakly: bool = False) -> None:
        """Set the values that a graph node computes.

        Eager values point at their node, so the node points back ``weakly``: a
        forgotten result frees its whole history at once, without the collector.
        """
        self._outputs = tuple(map(reference, outputs)) if weakly else outputs

    @property
    def outputs(self) -> tuple[Value | None, ...]:
        """The values that a graph node computes (None for one no longer in use)."""
        if self._outputs and isinstance(self._outputs[0], reference):
            return tuple([ref() for ref in self._outputs])
        return self._outputs

    @property
    def derived(self) -> Node | None:
        """The node that it is of the derivative of, while tracing; else None."""
        return getattr(self, "_derived", None)

    def derive(self, node: Node) -> None:
        """Say of which node's derivative it is a part."""
        self._derived = node  # eager nodes have none: they do not take the time

    def free(self, why: dict[str, str] | None = None) -> None:
        """Release a graph node's inputs, so that no derivative can pass through it."""
        self.inputs, self.attrs = (), {"freed": why or PASSED}

    def __repr__(self) -> str:
        where = _(" in {scope!r}", scope=self.scope) if self.scope else ""
        return f"<node {self.primitive.name}{where}>"


#: What is said of a derivative that was taken before.
PASSED = {
    "what": _("backward() was called a second time on the same graph."),
    "expected": _("one call; the first frees what it walked over"),
    "fix": _("pass retain_graph=True to the first backward()"),
}

#: ∂ℒ/∂ of an output; None where the loss does not depend on it.
Cotangent = Value | None
