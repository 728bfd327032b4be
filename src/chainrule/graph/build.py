"""Construction of graphs: :func:`apply` applies a primitive, eagerly or traced.

There is one code path. With numbers at hand ``apply`` computes by the primitive's NumPy
reference and, when a derivative may be asked for, remembers the node. With types alone
(inside :func:`trace`) it records the same node without numbers.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ContextDecorator, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy import ndarray

from chainrule.errors import ArgumentError, GraphError, warn_of_line
from chainrule.graph.graph import Graph
from chainrule.graph.layout import order_of
from chainrule.graph.node import Array, Node, Value, computed
from chainrule.graph.primitive import (
    DERIVATIVES,
    REFERENCES,
    Primitive,
    as_tuple,
    lookup,
)
from chainrule.graph.room import check_room
from chainrule.graph.types import ArrayType, DType, as_dtype
from chainrule.text import _
from chainrule.util.bounded import Bounded
from chainrule.util.source_location import caller

#: Constants of up to this many elements are written into the graph itself; larger ones
#: become named inputs.
INLINE_CONSTANT = 16

#: The types of the results of applications that the rule has accepted already.
_checked: Bounded[Any, tuple[ArrayType, ...]] = Bounded(2048)

#: Numbers that code has used as constants before.
_constants: Bounded[Any, Value] = Bounded(512)


class Trace:
    """A trace in progress, which records operations as nodes of a graph.

    Tensors, modules and optimisers report their changes to the trace. The trace of a
    whole program (:mod:`chainrule.compilation.tracing`) turns them into state; this
    class does not.
    """

    def __init__(self) -> None:
        self.constants: dict[int, tuple[Value, Value]] = {}
        self.views: dict[int, tuple[Any, Value, Value]] = {}
        self._new: dict[int, Any] = {}

    def note_new(self, item: Any) -> None:
        """Note an object that the traced function created and may therefore change."""
        self._new[id(item)] = item

    def is_new(self, item: Any) -> bool:
        """Return whether the traced function created an object."""
        return id(item) in self._new

    def constant(self, value: Value) -> Value:
        """Return a graph value for the numbers that an eager value carries."""
        array = value.array
        assert array is not None
        known = self.constants.get(id(value))
        if known is None:
            if array.size <= INLINE_CONSTANT:
                numbers = tuple(array.ravel().tolist())
                attrs = {"value": numbers, "shape": array.shape, "dtype": value.dtype}
                (made,) = emit(lookup("constant"), (), attrs)
            else:
                name = value.name or f"constant{len(self.constants)}"
                made = Value(None, array.shape, value.dtype, name=name)
            known = self.constants[id(value)] = (made, value)
        return known[0]

    def given(self, value: Value) -> Value:
        """Return the value that stands for a node's input in this trace."""
        return value if value.array is None else self.constant(value)

    def made(self, outputs: tuple[Value, ...]) -> None:
        """Note that a node with these outputs was recorded."""

    def captured(self) -> list[tuple[Value, Value]]:
        """Return pairs (graph input, eager value) of the large constants found."""
        return [pair for pair in self.constants.values() if pair[0].node is None]

    # A trace with state overrides these: see chainrule.compilation.tracing.

    def lift(self, tensor: Any, value: Value) -> Value:
        """Return the current graph value of a tensor from outside the trace."""
        return value

    def leaf(self, tensor: Any, value: Value) -> Value:
        """Return ``value`` as that of a leaf tensor, without history."""
        made = emit(lookup("reshape"), (value,), {"shape": value.shape})[0]
        made.tracked, made.owner = True, tensor._value.owner
        return made

    def assign(self, tensor: Any, value: Value) -> bool:
        """Set a tensor's value from here on; return whether the trace records it."""
        return False

    def note_change(self, tensor: Any) -> None:
        """Note that a tensor is about to be changed in place."""

    def gradient(self, tensor: Any, held: Any) -> Any:
        """Return the current gradient of a tensor from outside the trace."""
        return held

    def set_gradient(self, tensor: Any, gradient: Any) -> bool:
        """Set a tensor's gradient from here on; return whether the trace records it."""
        return False

    def note_mode(self, module: Any) -> None:
        """Note that a module is called or changes between training and evaluation."""

    def note_freed(self, nodes: Iterable[Node]) -> None:
        """Note that a derivative has passed these nodes and releases their inputs."""

    def note_reached(self, values: Iterable[Value]) -> None:
        """Note that ``backward()`` has reached these values."""

    def note_read(self, get: Callable[[], Any]) -> None:
        """Note that the trace depends on the current value of ``get()``."""

    def note_step(self, table: Any) -> int:
        """Count an optimiser step of ``table``; return its index in the function."""
        raise GraphError(
            _("An optimiser's step is traced in a function without state."),
            expected=_("cr.compile, whose programs change tensors from outside"),
            got=_("a trace of values alone"),
            fix=_("call optimizer.step() outside of the function, or compile that"),
        )

    def tabulated(
        self, table: Any, name: str, dtype: DType, step: int | None = None
    ) -> Value | None:
        """Return the scalar input that ``table`` supplies for an optimiser step.

        ``step`` is an index of a step in the function; by default it is the next one.
        The result is None in a trace without state, where nothing is supplied.
        """
        return None


class Changes:
    """A counter of changes that may invalidate a trace, such as frozen tensors."""

    count: int = 0


changes = Changes()


class Context(threading.local):
    """The per-thread state of graph building: trace, scope, role, gradient mode.

    All fields of a thread are in ``context.__dict__``: code that needs several of them
    on every operation reads that once.

    Attributes:
        trace: the tracing in progress.
        grad: whether derivatives are remembered.
        scope, role: of the nodes that are recorded.
        stream: where random bits come from; None for the process's own generator.
        apart: where NumPy computes, and tells ``exceptions`` instead of warning of
            lines that are not the user's.
        exceptions: those of IEEE 754 that the reference met that ran last.
        outer: what blocks have set aside, the innermost block's last.
    """

    trace: Trace | None
    grad: bool
    scope: str
    role: str
    stream: Any
    apart: contextvars.Context
    exceptions: list[str]
    outer: list[Any]

    def __init__(self) -> None:
        self.trace, self.stream = None, None
        self.grad, self.scope, self.role = True, "", "forward"
        self.exceptions, self.outer = [], []
        with np.errstate(all="call", call=self._note):
            self.apart = contextvars.copy_context()

    def _note(self, name: str, __: int) -> None:
        self.exceptions.append(name)


context = Context()


class within(ContextDecorator):  # noqa: N801 - used like a function
    """A context manager that sets one field of the :class:`Context` for a block.

    It may be used by several threads, and be nested in itself.
    """

    __slots__ = ("field", "value")

    def __init__(self, field: str, value: Any) -> None:
        self.field, self.value = field, value

    def __enter__(self) -> None:
        here = context.__dict__
        here["outer"].append(here[self.field])
        here[self.field] = self.value

    def __exit__(self, *__: object) -> None:
        here = context.__dict__
        here[self.field] = here["outer"].pop()


_unrecorded, _recorded = within("grad", False), within("grad", True)


class absolute_scope:  # noqa: N801 - used like a function; every node of a derivative
    """A context manager that gives all nodes recorded within it a scope and a role."""

    __slots__ = ("role", "saved", "scope")

    def __init__(self, scope: str, role: str) -> None:
        self.scope, self.role = scope, role

    def __enter__(self) -> None:
        self.saved = context.scope, context.role
        context.scope, context.role = self.scope, self.role

    def __exit__(self, *__: object) -> None:
        context.scope, context.role = self.saved


def scope(name: str) -> absolute_scope:
    """Return a context manager that assigns recorded nodes to the module ``name``."""
    outer = context.scope
    path = f"{outer}.{name}" if outer and name else outer or name
    return absolute_scope(path, context.role)


def role(name: str) -> within:
    """Return a context manager that sets nodes' role: forward, backward or update."""
    return within("role", name)


def no_grad() -> within:
    """Return a context manager within which no operation is recorded for derivatives.

    Values computed there count as constants for any derivative taken later.
    """
    return _unrecorded


def recording() -> within:
    """Return a context manager within which operations are recorded for derivatives."""
    return _recorded


def apply(
    primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
) -> Any:
    """Apply ``primitive`` to ``inputs``: compute on numbers, or record while tracing.

    The result is a Value, or a tuple of them.
    """
    here = context.__dict__
    if here["trace"] is not None:
        outputs = emit(primitive, inputs, attrs)
        return outputs[0] if len(outputs) == 1 else outputs
    # One and two operands are spelt out: this is what every eager operation costs.
    if len(inputs) == 2:
        v, w = inputs
        arrays: tuple[Any, ...] = (v.array, w.array)
        signature: tuple[Any, ...] = (primitive, v.shape, v.dtype, w.shape, w.dtype)
        tracked = v.tracked or w.tracked
        ordered = v.order or w.order
        known = arrays[0] is not None and arrays[1] is not None
    elif len(inputs) == 1:
        (v,) = inputs
        arrays = (v.array,)
        signature = (primitive, v.shape, v.dtype)
        tracked = v.tracked
        ordered = v.order
        known = arrays[0] is not None
    else:
        arrays = tuple([v.array for v in inputs])
        types_in = [item for v in inputs for item in (v.shape, v.dtype)]
        signature = (primitive, *types_in)
        tracked = _any_tracked(inputs)
        ordered = sum([v.order for v in inputs])
        known = not any(array is None for array in arrays)
    if not known:
        raise _already_traced(primitive, inputs)
    if attrs:
        signature = (*signature, *attrs.values())
    types = _checked.get(signature)
    if types is None:
        types = primitive.output_types([v.type for v in inputs], attrs)
        for made in types:
            check_room(made.shape, made.dtype.itemsize)
        _checked[signature] = types
    reference = REFERENCES[primitive]
    if primitive.view:  # no arithmetic, so no exception of it
        results = reference(*arrays, **attrs)
    else:
        run = here["apart"].run
        try:
            if attrs or len(arrays) != 2:
                results = run(reference, *arrays, **attrs)
            else:  # twice as fast as unpacking
                results = run(reference, arrays[0], arrays[1])
        except RuntimeError:  # within a signal's handler that interrupted another one
            results = reference(*arrays, **attrs)
        if here["exceptions"]:
            _report_exceptions(primitive)
    node = None
    if tracked and here["grad"] and primitive in DERIVATIVES:
        node = Node(primitive, inputs, attrs, here["scope"], here["role"])
    if type(results) is ndarray:
        value = computed(results, types[0], node)
        if ordered:
            value.order = order_of(primitive, inputs, results)
        return value
    if type(results) is not tuple:
        return computed(np.asarray(results), types[0], node)
    several = cast("tuple[Any, ...]", results)
    made = zip(several, types, strict=True)
    outputs = tuple([computed(np.asarray(a), t) for a, t in made])
    if node is not None:
        node.set_outputs(outputs, weakly=True)
        for i, value in enumerate(outputs):
            value.node, value.index, value.tracked = node, i, True
    return outputs[0] if len(outputs) == 1 else outputs


def _already_traced(primitive: Primitive, inputs: tuple[Value, ...]) -> GraphError:
    return GraphError(
        _("{name} was given a value of a graph already traced.", name=primitive.name),
        expected=_("numbers, or values of the trace in progress"),
        got=", ".join(map(repr, inputs)),
        fix=_("return what you need from the traced function"),
    )


@dataclass(frozen=True)
class View:
    """A view operation with its attributes and result type, for repeated application.

    Attributes:
        primitive, attrs: what is applied.
        type: that of its result.
    """

    primitive: Primitive
    attrs: dict[str, Any]
    type: ArrayType


def apply_views(value: Value, views: Sequence[View]) -> Value:
    """Apply views one after another to a value, without inferring their types."""
    here = context.__dict__
    if here["trace"] is not None:
        for view in views:
            types = (view.type,)
            (value,) = emit(view.primitive, (value,), view.attrs, types=types)
        return value
    recorded = value.tracked and here["grad"]
    for view in views:
        primitive, attrs = view.primitive, view.attrs
        if value.array is None:
            raise _already_traced(primitive, (value,))
        array = REFERENCES[primitive](value.array, **attrs)
        node = None
        if recorded:
            node = Node(primitive, (value,), attrs, here["scope"], here["role"])
        order = value.order
        value = computed(array, view.type, node)
        value.order = order
    return value


def emit(
    primitive: Primitive,
    inputs: tuple[Value, ...],
    attrs: dict[str, Any],
    origin: Node | None = None,
    types: Sequence[ArrayType | Value] | None = None,
) -> tuple[Value, ...]:
    """Record a node without numbers; return its outputs, which have types alone.

    Scope, role and source are those of the surroundings, or of ``origin``. ``types``
    are those of the outputs, or values like them, where they are known.
    """
    trace = context.trace
    if trace is not None:
        inputs = tuple(map(trace.given, inputs))
    if types is None:
        types = primitive.output_types([v.type for v in inputs], attrs)
        if not primitive.view:
            for made in types:
                check_room(made.shape, made.dtype.itemsize)
    tracked = context.grad and primitive in DERIVATIVES and _any_tracked(inputs)
    if origin is None:
        place = (context.scope, context.role, caller())
    else:
        place = (origin.scope, origin.role, origin.source)
    node = Node(primitive, inputs, attrs, *place)
    made = [
        Value(None, t.shape, t.dtype, node=node, index=i, tracked=tracked)
        for i, t in enumerate(types)
    ]
    outputs = tuple(made)
    node.set_outputs(outputs)
    if trace is not None:
        trace.made(outputs)
    return outputs


def clone(
    node: Node, inputs: Sequence[Value], *, origin: Node | None = None
) -> tuple[Value, ...]:
    """Record a node again with other inputs, the basic step of every pass.

    Scope, role and source are kept, or taken from ``origin``.
    """
    types: list[Value] | None = [v for v in node.outputs if v is not None]
    if len(types) != len(node.outputs) or not _same_types(node.inputs, inputs):
        types = None
    return emit(node.primitive, tuple(inputs), node.attrs, origin or node, types)


def _same_types(old: Sequence[Value], new: Sequence[Value]) -> bool:
    for v, w in zip(old, new, strict=True):  # see _any_tracked
        if v is not w and (v.shape != w.shape or v.dtype is not w.dtype):
            return False
    return True


def _report_exceptions(primitive: Primitive) -> None:
    """Warn of floating-point exceptions of NumPy, at the line of the user's code."""
    found = dict.fromkeys(context.exceptions)
    context.exceptions.clear()
    wanted: Any = np.geterr()
    names = {"divide by zero": "divide", "invalid value": "invalid"}
    for name in found:
        way = wanted[names.get(name, name[: -len("flow")])]
        message = _(
            "{name} encountered in {primitive_name}",
            name=name,
            primitive_name=primitive.name,
        )
        if way == "raise":
            raise FloatingPointError(message)
        if way != "ignore":
            warn_of_line(RuntimeWarning(message))


def _any_tracked(inputs: tuple[Value, ...]) -> bool:
    for value in inputs:  # noqa: SIM110 - twice as fast as any() of a generator
        if value.tracked:
            return True
    return False


def constant(number: Any, dtype: DType | str) -> Value:
    """Return a scalar (or small array) value with the given numbers.

    While tracing it is a node: numbers in the code are part of the graph.

    Raises:
        ArgumentError: a number that the dtype cannot hold (1e300 in float32).

    >>> constant(0.5, "float32")
    <value: f32[]>
    """
    plain = isinstance(number, int | float)
    # Zero has two signs, which compare equal.
    key = (number or repr(number), dtype) if plain else None
    value = _constants.get(key)
    if value is None:
        value = Value(held(number, as_dtype(dtype)))
        if plain:
            _constants[key] = value
    return value if context.trace is None else context.trace.constant(value)


def held(number: Any, dtype: DType) -> Array:
    """Return a number as an array; raise an error if the dtype cannot represent it."""
    try:
        with np.errstate(over="raise"):
            return np.asarray(number, dtype.numpy)
    except (FloatingPointError, OverflowError):
        limits = (np.finfo if dtype.is_float else np.iinfo)(dtype.numpy)
        huge = isinstance(number, int) and abs(number) >= 2**64
        wide = DType.int64 if isinstance(number, int) and not huge else DType.float64
        fix = _("a number of this range")
        if dtype is not wide:
            wider = f"x.astype('{wide.name}')"
            fix = _("a number of this range, or {wider}", wider=wider)
        raise ArgumentError(
            _("A number does not fit {name}.", name=dtype.name),
            expected=_("from {min:.6g} to {max:.6g}", min=limits.min, max=limits.max)
            if dtype.is_float
            else _("from {min} to {max}", min=limits.min, max=limits.max),
            got=_("an integer of {bit_length} bits", bit_length=number.bit_length())
            if huge
            else f"{number!r:.80}",
            fix=fix,
        ) from None


@contextmanager
def tracing(trace: Trace | None = None) -> Generator[Trace]:
    """Return a context manager that records operations instead of computing them."""
    trace = trace or Trace()
    with within("trace", trace), absolute_scope("", "forward"):
        yield trace


def trace(
    function: Callable[..., Any],
    types: Sequence[ArrayType],
    *,
    name: str = "graph",
    names: Sequence[str] = (),
    attrs: dict[str, Any] | None = None,
    tracked: bool = False,
) -> Graph:
    """Return the graph of ``function``, a function of values, for these input types."""
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
