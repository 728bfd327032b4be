"""How graphs come into being: :func:`bind` applies a primitive, everywhere.

There is one code path. With numbers at hand ``bind`` computes by the primitive's NumPy
reference and, when a derivative may be asked for, remembers the node. With types alone
(inside :func:`trace`) it records the same node without numbers.
"""

from __future__ import annotations

import inspect
import os
import sysconfig
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, GraphError
from chainrule.graph import primitive as primitives
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import Primitive, as_tuple, lookup
from chainrule.graph.types import ArrayType, DType, as_dtype, is_symbolic

#: Constants of up to this many elements are written into the graph itself; larger ones
#: become named inputs.
INLINE_CONSTANT = 16

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Where no line is the user's: this package, Python's library, installed commands.
_NOT_THE_USERS = (
    _PACKAGE,
    os.path.dirname(os.__file__) + os.sep,
    sysconfig.get_path("scripts") + os.sep,
    "<",
)
_INSTALLED = tuple(f"{os.sep}{name}-packages{os.sep}" for name in ("site", "dist"))

#: Applications whose types the rule has accepted already.
_checked: set[Any] = set()
_CHECKED_AT_MOST = 10_000

#: Numbers that code has used as constants before.
_constants: dict[Any, Value] = {}
_CONSTANTS_AT_MOST = 1000


class Trace:
    """One tracing in progress: it turns numbers met on the way into graph values."""

    def __init__(self) -> None:
        self.constants: dict[int, tuple[Value, Value]] = {}

    def constant(self, value: Value) -> Value:
        """A graph value for the numbers that ``value`` carries."""
        array = value.array
        assert array is not None
        known = self.constants.get(id(value))
        if known is None:
            if array.size <= INLINE_CONSTANT:
                made = record(
                    lookup("constant"),
                    (),
                    {
                        "value": tuple(array.ravel().tolist()),
                        "shape": array.shape,
                        "dtype": value.dtype,
                    },
                )[0]
            else:
                name = value.name or f"constant{len(self.constants)}"
                made = Value(None, array.shape, value.dtype, name=name)
            known = self.constants[id(value)] = (made, value)
        return known[0]

    def captured(self) -> list[tuple[Value, Value]]:
        """Pairs (graph input, numbers) of the large constants met."""
        return [pair for pair in self.constants.values() if pair[0].node is None]


class _Context(threading.local):
    """What surrounds an application of a primitive, one a thread."""

    trace: Trace | None = None
    grad: bool = True
    scope: str = ""
    role: str = "forward"


context = _Context()


def bind(primitive: Primitive, inputs: Sequence[Value], attrs: dict[str, Any]) -> Any:
    """Apply ``primitive`` to ``inputs``; the result is a Value, or a tuple of them.

    Numbers in, numbers out; while tracing, a node is recorded instead.
    """
    apply = _compute if context.trace is None else record
    outputs = apply(primitive, tuple(inputs), attrs)
    return outputs[0] if len(outputs) == 1 else outputs


primitives.install(bind)


def record(
    primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
) -> tuple[Value, ...]:
    """Record a node without numbers; its outputs have types alone."""
    trace = context.trace
    if trace is not None:
        inputs = tuple(v if v.array is None else trace.constant(v) for v in inputs)
    types = primitive.output_types([v.type for v in inputs], attrs)
    node = Node(
        primitive,
        inputs,
        attrs,
        scope=context.scope,
        role=context.role,
        source=_caller(),
    )
    tracked = context.grad and primitive.differentiable and _any_tracked(inputs)
    outputs = tuple(
        Value(None, t.shape, t.dtype, node=node, index=i, tracked=tracked)
        for i, t in enumerate(types)
    )
    node.set_outputs(outputs)
    return outputs


def _compute(
    primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
) -> tuple[Value, ...]:
    arrays: list[Any] = [v.array for v in inputs]
    try:
        key = (primitive, *attrs.values(), *[(a.shape, a.dtype.num) for a in arrays])
    except AttributeError:
        raise GraphError(
            f"{primitive.name} was given a value of a graph that is already traced.",
            expected="numbers, or values of the trace in progress",
            got=", ".join(map(repr, inputs)),
            fix="return what you need from the traced function",
        ) from None
    if key not in _checked:
        primitive.output_types([v.type for v in inputs], attrs)
        if len(_checked) > _CHECKED_AT_MOST:
            _checked.clear()
        _checked.add(key)
    results = primitive.reference(*arrays, **attrs)
    if type(results) is not tuple:
        results = (results,)
    results = [a if type(a) is np.ndarray else np.asarray(a) for a in results]
    if not (context.grad and primitive.differentiable and _any_tracked(inputs)):
        return tuple(map(Value, results))
    node = Node(primitive, inputs, attrs, scope=context.scope, role=context.role)
    outputs = tuple(map(Value, results))
    for i, value in enumerate(outputs):
        value.node, value.index, value.tracked = node, i, True
    node.set_outputs(outputs, weakly=True)
    return outputs


def _any_tracked(inputs: tuple[Value, ...]) -> bool:
    for value in inputs:  # noqa: SIM110 - twice as fast as any() of a generator
        if value.tracked:
            return True
    return False


def _caller() -> str | None:
    """``file:line`` of the nearest frame that is the user's, or None.

    Installed packages are not: on the command line nothing is.
    """
    frame = inspect.currentframe()
    while frame is not None:
        filename = frame.f_code.co_filename
        installed = any(part in filename for part in _INSTALLED)
        if not installed and not filename.startswith(_NOT_THE_USERS):
            return f"{os.path.basename(filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def constant(number: Any, dtype: DType | str) -> Value:
    """A scalar (or small array) value with the given numbers.

    While tracing it is a node: numbers in the code are part of the graph.

    Raises:
        ArgumentError: a number that the dtype cannot hold (1e300 in float32).

    >>> constant(0.5, "float32")
    <value: f32[]>
    """
    # Python refuses to write out thousands of decimal digits, but not hexadecimal ones.
    key = (hex(number) if isinstance(number, int) else repr(number), dtype)
    value = _constants.get(key)
    if value is None:
        value = Value(_held(number, as_dtype(dtype)))
        if len(_constants) < _CONSTANTS_AT_MOST and isinstance(number, int | float):
            _constants[key] = value
    return value if context.trace is None else context.trace.constant(value)


def _held(number: Any, dtype: DType) -> Array:
    """The number as an array; one that becomes infinite on the way is refused."""
    try:
        with np.errstate(over="raise"):
            return np.asarray(number, dtype.numpy)
    except (FloatingPointError, OverflowError):
        if dtype.is_float:
            largest = float(np.finfo(dtype.numpy).max)
            expected = f"from {-largest:g} to {largest:g}"
        else:
            limits = np.iinfo(dtype.numpy)
            expected = f"from {limits.min} to {limits.max}"
        if isinstance(number, int) and abs(number) >= 2**64:
            got = f"an integer of {number.bit_length()} bits"
        else:
            got = f"{number!r:.80}"
        raise ArgumentError(
            f"A number does not fit {dtype.name}.",
            expected=expected,
            got=got,
            fix="a number of this range"
            + ("" if dtype is DType.float64 else ", or x.astype('float64')"),
        ) from None


@contextmanager
def tracing(trace: Trace | None = None) -> Generator[Trace]:
    """Record instead of computing, within the block."""
    trace = trace or Trace()
    saved = (context.trace, context.scope, context.role)
    context.trace, context.scope, context.role = trace, "", "forward"
    try:
        yield trace
    finally:
        context.trace, context.scope, context.role = saved


def trace(
    function: Callable[..., Any],
    types: Sequence[ArrayType],
    *,
    name: str = "graph",
    names: Sequence[str] = (),
    attrs: dict[str, Any] | None = None,
    tracked: bool = False,
) -> Graph:
    """The graph of ``function``, a function of values, for inputs of these types."""
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
            f"The function of graph {name!r} uses {captured.type} from outside.",
            expected=f"constants of at most {INLINE_CONSTANT} elements",
            got=f"{captured.type}",
            fix="pass it as an argument",
        )
    return Graph(name, inputs, outputs)


class scope:  # noqa: N801 - used like a function
    """Nodes recorded within the block belong to module ``name``."""

    __slots__ = ("name", "saved")

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.saved = saved = context.scope
        context.scope = (
            f"{saved}.{self.name}" if saved and self.name else (saved or self.name)
        )

    def __exit__(self, *_: object) -> None:
        context.scope = self.saved


class absolute_scope:  # noqa: N801 - used like a function
    """Nodes recorded within the block have exactly this scope and role."""

    __slots__ = ("role", "saved", "scope")

    def __init__(self, scope: str, role: str) -> None:
        self.scope, self.role = scope, role

    def __enter__(self) -> None:
        self.saved = context.scope, context.role
        context.scope, context.role = self.scope, self.role

    def __exit__(self, *_: object) -> None:
        context.scope, context.role = self.saved


@contextmanager
def role(name: str) -> Generator[None]:
    """Nodes recorded within the block play this role: forward, backward, update."""
    saved = context.role
    context.role = name
    try:
        yield
    finally:
        context.role = saved


@contextmanager
def no_grad() -> Generator[None]:
    """Within the block nothing is remembered for derivatives.

    Values computed there count as constants for any derivative taken later.
    """
    saved = context.grad
    context.grad = False
    try:
        yield
    finally:
        context.grad = saved


def replay(
    node: Node, inputs: Sequence[Value], *, origin: Node | None = None
) -> tuple[Value, ...]:
    """The same application on other inputs, the step that every pass is made of.

    Scope, role and source are kept, or taken from ``origin``.
    """
    place = origin or node
    with absolute_scope(place.scope, place.role):
        outputs = record(node.primitive, tuple(inputs), node.attrs)
    made = outputs[0].node
    assert made is not None
    made.source = place.source
    return outputs


def symbolic_attrs(node: Node) -> bool:
    """Whether an attribute of the node contains N."""
    return any(is_symbolic(a) for a in node.attrs.values())
