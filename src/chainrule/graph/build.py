"""How graphs come into being: :func:`bind` applies a primitive, everywhere.

There is one code path. With numbers at hand ``bind`` computes by the primitive's NumPy
reference and, when a derivative may be asked for, remembers the node. With types alone
(inside :func:`trace`) it records the same node without numbers.
"""

from __future__ import annotations

import contextvars
import inspect
import os
import sysconfig
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from chainrule.errors import ArgumentError, GraphError, warn_of_line
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Cotangent, Node, Value, computed
from chainrule.graph.primitive import (
    DERIVATIVES,
    REFERENCES,
    Primitive,
    TypeRule,
    as_tuple,
    lookup,
)
from chainrule.graph.types import ArrayType, DType, as_dtype

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

#: The types of the results of applications that the rule has accepted already.
_checked: dict[Any, tuple[ArrayType, ...]] = {}
_CHECKED_AT_MOST = 10_000

#: Numbers that code has used as constants before.
_constants: dict[Any, Value] = {}
_CONSTANTS_AT_MOST = 1000


class Trace:
    """One tracing in progress: it turns numbers met on the way into graph values.

    Tensors, modules and optimisers tell it what they do; a trace of a whole program
    (:mod:`chainrule.compiled`) makes state of that, this one takes no notice.
    """

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

    def given(self, value: Value) -> Value:
        """What stands for the input of a node in this trace."""
        return value if value.array is None else self.constant(value)

    def made(self, outputs: tuple[Value, ...]) -> None:
        """A node was recorded."""

    def captured(self) -> list[tuple[Value, Value]]:
        """Pairs (graph input, numbers) of the large constants met."""
        return [pair for pair in self.constants.values() if pair[0].node is None]

    # What a trace with state makes of what it is told, see chainrule.tracing.

    def lift(self, tensor: Any, value: Value) -> Value:
        """The graph value that stands for a tensor from outside at this point."""
        return value

    def assign(self, tensor: Any, value: Value) -> bool:
        """From here on ``tensor`` is ``value``; whether that is taken note of."""
        return False

    def gradient(self, tensor: Any, held: Any) -> Any:
        """The gradient of a tensor from outside at this point."""
        return held

    def set_gradient(self, tensor: Any, gradient: Any) -> bool:
        """From here on that is the gradient; whether that is taken note of."""
        return False

    def note_mode(self, module: Any) -> None:
        """A module is called or switched."""

    def note_freed(self, nodes: Iterable[Node]) -> None:
        """A derivative has walked over these nodes, and lets them go."""

    def tabulated(self, table: Any, name: str, dtype: DType) -> Value | None:
        """A scalar input that ``table`` supplies anew for each step."""
        return None


class Changes:
    """Counts what may invalidate a trace: a module's attributes, frozen tensors."""

    count: int = 0


changes = Changes()


class Context(threading.local):
    """What surrounds an application of a primitive, one a thread.

    Attributes:
        trace: the tracing in progress.
        grad: whether derivatives are remembered.
        scope, role: of the nodes that are recorded.
        stream: where random bits come from; None for the process's own generator.
        apart: where NumPy computes, and tells ``exceptions`` instead of warning of
            lines that are not the user's.
        exceptions: those of IEEE 754 that the reference met that ran last.
    """

    trace: Trace | None = None
    grad: bool = True
    scope: str = ""
    role: str = "forward"
    stream: Any = None
    apart: contextvars.Context
    exceptions: list[str]

    def __init__(self) -> None:
        self.exceptions = []
        with np.errstate(all="call", call=self._note):
            self.apart = contextvars.copy_context()

    def _note(self, name: str, _: int) -> None:
        self.exceptions.append(name)


context = Context()


class Operation(Primitive):
    """A primitive that is applied to values by calling it."""

    def __call__(self, *inputs: Value, **attrs: Any) -> Any:
        """Apply it: compute at once on numbers, record a node while tracing."""
        if context.trace is None:
            outputs = _compute(self, inputs, attrs)
        else:
            outputs = record(self, inputs, attrs)
        return outputs[0] if len(outputs) == 1 else outputs


#: A derivative rule (g, y, inputs…, attributes…). The first four lines are the last one
#: spelt out: from them a type checker knows what the parameters of a lambda are.
DerivativeRule = (
    Callable[[Value, Value, Any], Value]
    | Callable[[Value, Value, Any, Any], Value]
    | Callable[[Value, Value, Any, Any, Any], Value]
    | Callable[[Value, Value, Any, Any, Any, Any], Value]
    | Callable[..., Value]
)


def declare(
    name: str,
    *,
    rule: TypeRule,
    reference: Callable[..., Array | tuple[Array, ...]],
    vjp: tuple[DerivativeRule | None, ...] = (),
    joint_vjp: Callable[..., Sequence[Cotangent]] | None = None,
    **traits: Any,
) -> Operation:
    """Declare a primitive: its row in each table that is not an engine's.

    Args:
        name: how the text form calls it.
        rule: gives the types of the result; see :class:`Primitive`.
        reference: computes it with NumPy.
        vjp: the derivative rule, one function for each input: ``vjp[i](g, y, *inputs,
            **attrs)`` is the cotangent of input i when the result y has cotangent g. It
            is written in primitives, so derivatives are graphs. None for an input
            without a derivative (an index); one rule alone stands for all inputs.
        joint_vjp: instead of ``vjp`` where the inputs' derivatives share their work:
            ``joint_vjp(gs, ys, inputs, needed, **attrs)``, all in tuples.
        traits: the other attributes of a :class:`Primitive`.
    """
    made = Operation(name=name, rule=rule, **traits)
    REFERENCES[made] = reference
    if joint_vjp is not None:
        DERIVATIVES[made] = joint_vjp
    elif any(vjp):
        DERIVATIVES[made] = by_input(vjp)
    return made


def by_input(
    rules: tuple[DerivativeRule | None, ...],
) -> Callable[..., Sequence[Cotangent]]:
    """A derivative made of one rule for each input."""

    def derivative(
        gs: tuple[Value],
        ys: tuple[Value],
        inputs: tuple[Value, ...],
        needed: Sequence[bool],
        **attrs: Any,
    ) -> Sequence[Cotangent]:
        mine = rules * len(inputs) if len(rules) == 1 else rules
        return [
            rule(gs[0], ys[0], *inputs, **attrs) if rule is not None and need else None
            for rule, need in zip(mine, needed, strict=True)
        ]

    return derivative


def bind(primitive: Primitive, inputs: Sequence[Value], attrs: dict[str, Any]) -> Any:
    """Apply ``primitive`` to ``inputs``; the result is a Value, or a tuple of them.

    Numbers in, numbers out; while tracing, a node is recorded instead.
    """
    apply = _compute if context.trace is None else record
    outputs = apply(primitive, tuple(inputs), attrs)
    return outputs[0] if len(outputs) == 1 else outputs


def record(
    primitive: Primitive,
    inputs: tuple[Value, ...],
    attrs: dict[str, Any],
    origin: Node | None = None,
) -> tuple[Value, ...]:
    """Record a node without numbers; its outputs have types alone.

    Scope, role and source are those of the surroundings, or of ``origin``.
    """
    trace = context.trace
    if trace is not None:
        inputs = tuple(map(trace.given, inputs))
    types = primitive.output_types([v.type for v in inputs], attrs)
    tracked = context.grad and primitive in DERIVATIVES and _any_tracked(inputs)
    return _node(primitive, inputs, attrs, types, tracked, origin)


def _node(
    primitive: Primitive,
    inputs: tuple[Value, ...],
    attrs: dict[str, Any],
    types: Sequence[ArrayType],
    tracked: bool,
    origin: Node | None,
) -> tuple[Value, ...]:
    if origin is None:
        place = (context.scope, context.role, _caller())
    else:
        place = (origin.scope, origin.role, origin.source)
    node = Node(primitive, inputs, attrs, *place)
    outputs = tuple(
        [
            Value(None, t.shape, t.dtype, node=node, index=i, tracked=tracked)
            for i, t in enumerate(types)
        ]
    )
    node.set_outputs(outputs)
    if context.trace is not None:
        context.trace.made(outputs)
    return outputs


def replay(
    node: Node, inputs: Sequence[Value], *, origin: Node | None = None
) -> tuple[Value, ...]:
    """The same application on other inputs, the step that every pass is made of.

    Scope, role and source are kept, or taken from ``origin``.
    """
    inputs = tuple(inputs)
    trace = context.trace
    if trace is not None:
        inputs = tuple(map(trace.given, inputs))
    for old, new in zip(node.inputs, inputs, strict=True):
        if old is not new and (old.shape != new.shape or old.dtype is not new.dtype):
            return record(node.primitive, inputs, node.attrs, origin or node)
    types = [v.type for v in node.outputs if v is not None]
    if len(types) != len(node.outputs):
        return record(node.primitive, inputs, node.attrs, origin or node)
    tracked = context.grad and node.primitive in DERIVATIVES and _any_tracked(inputs)
    return _node(node.primitive, inputs, node.attrs, types, tracked, origin or node)


def _compute(
    primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
) -> tuple[Value, ...]:
    # One and two operands are spelt out: this is what every eager operation costs.
    if len(inputs) == 2:
        v, w = inputs
        arrays: tuple[Any, ...] = (v.array, w.array)
        signature = (primitive, *attrs.values(), v.shape, v.dtype, w.shape, w.dtype)
        tracked = v.tracked or w.tracked
        known = arrays[0] is not None and arrays[1] is not None
    elif len(inputs) == 1:
        (v,) = inputs
        arrays = (v.array,)
        signature = (primitive, *attrs.values(), v.shape, v.dtype)
        tracked = v.tracked
        known = arrays[0] is not None
    else:
        arrays = tuple([v.array for v in inputs])
        types_in = [item for v in inputs for item in (v.shape, v.dtype)]
        signature = (primitive, *attrs.values(), *types_in)
        tracked = _any_tracked(inputs)
        known = not any(array is None for array in arrays)
    if not known:
        raise GraphError(
            f"{primitive.name} was given a value of a graph already traced.",
            expected="numbers, or values of the trace in progress",
            got=", ".join(map(repr, inputs)),
            fix="return what you need from the traced function",
        )
    types = _checked.get(signature)
    if types is None:
        types = primitive.output_types([v.type for v in inputs], attrs)
        if len(_checked) > _CHECKED_AT_MOST:
            _checked.clear()
        _checked[signature] = types
    reference = REFERENCES[primitive]
    try:
        results = context.apart.run(reference, *arrays, **attrs)
    except RuntimeError:  # within a signal's handler that interrupted another one
        results = reference(*arrays, **attrs)
    if context.exceptions:
        _report_exceptions(primitive)
    if type(results) is np.ndarray:
        outputs: tuple[Value, ...] = (computed(results, types[0]),)
    elif type(results) is tuple:
        several = cast("tuple[Any, ...]", results)
        made = zip(several, types, strict=True)
        outputs = tuple([computed(np.asarray(a), t) for a, t in made])
    else:
        outputs = (computed(np.asarray(results), types[0]),)
    if tracked and context.grad and primitive in DERIVATIVES:
        node = Node(primitive, inputs, attrs, context.scope, context.role)
        node.set_outputs(outputs, weakly=True)
        if len(outputs) == 1:
            outputs[0].node, outputs[0].tracked = node, True
        else:
            for i, value in enumerate(outputs):
                value.node, value.index, value.tracked = node, i, True
    return outputs


def _report_exceptions(primitive: Primitive) -> None:
    """Warn of what NumPy met, as NumPy is told to, and of the user's line."""
    found = dict.fromkeys(context.exceptions)
    context.exceptions.clear()
    wanted: Any = np.geterr()
    names = {"divide by zero": "divide", "invalid value": "invalid"}
    for name in found:
        way = wanted[names.get(name, name[: -len("flow")])]
        message = f"{name} encountered in {primitive.name}"
        if way == "raise":
            raise FloatingPointError(message)
        if way != "ignore":
            warn_of_line(message, RuntimeWarning)


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
        code = frame.f_code
        users = _is_users.get(code.co_filename)
        if users is None:
            users = _is_users[code.co_filename] = of_user(code.co_filename)
        if users:
            return f"{os.path.basename(code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None


#: Whether a file's lines are the user's, for the files met so far.
_is_users: dict[str, bool] = {}


def of_user(filename: str) -> bool:
    installed = any(part in filename for part in _INSTALLED)
    return not installed and not filename.startswith(_NOT_THE_USERS)


def constant(number: Any, dtype: DType | str) -> Value:
    """A scalar (or small array) value with the given numbers.

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
        value = Value(_held(number, as_dtype(dtype)))
        if plain and len(_constants) < _CONSTANTS_AT_MOST:
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


class BodyTrace(Trace):
    """The trace of a loop's body: what it finds outside becomes an input of it.

    Args:
        outer: the trace that the body is part of, or None in eager code.
        inputs: the body's own inputs.
    """

    def __init__(self, outer: Trace | None, inputs: Sequence[Value]) -> None:
        super().__init__()
        self.outer = outer
        self.own = {id(v): v for v in inputs}
        self.found: dict[int, tuple[Value, Value]] = {}

    def given(self, value: Value) -> Value:
        if id(value) in self.own:
            return value
        small = value.array is not None and value.array.size <= INLINE_CONSTANT
        if small and not value.tracked:
            return self.constant(value)
        if id(value) not in self.found:
            made = Value(None, value.shape, value.dtype, name=value.name)
            made.tracked = value.tracked
            self.found[id(value)] = value, made
            self.own[id(made)] = made
        return self.found[id(value)][1]

    def made(self, outputs: tuple[Value, ...]) -> None:
        self.own.update((id(v), v) for v in outputs)

    def lift(self, tensor: Any, value: Value) -> Value:
        return value if self.outer is None else self.outer.lift(tensor, value)

    def note_mode(self, module: Any) -> None:
        if self.outer is not None:
            self.outer.note_mode(module)

    def gradient(self, tensor: Any, held: Any) -> Any:
        return held if self.outer is None else self.outer.gradient(tensor, held)

    def assign(self, tensor: Any, value: Value) -> bool:
        raise self._state("changes a tensor from outside", "carry it")

    def set_gradient(self, tensor: Any, gradient: Any) -> bool:
        raise self._state("sets a gradient", "take derivatives outside, or by cr.grad")

    def _state(self, does: str, instead: str) -> GraphError:
        return GraphError(
            f"The body of a loop or of a branch {does}.",
            expected="a function of its arguments that returns what is new",
            got="copy_, a random number, an optimiser's step or backward() within it",
            fix=f"{instead}; draw random numbers before the loop and pass them in",
        )


def trace_body(
    function: Callable[..., Any], types: Sequence[ArrayType], name: str
) -> tuple[Graph, list[Value]]:
    """The graph of a loop's body, and the values from outside that it needs.

    Its inputs are those values, then one for each of ``types``.
    """
    inputs = [Value(None, t.shape, t.dtype, tracked=t.dtype.is_float) for t in types]
    inner = BodyTrace(context.trace, inputs)
    saved = (context.trace, context.scope, context.role)
    context.trace, context.scope = inner, ""
    try:
        values = as_tuple(function(*inputs))
        outputs = [inner.given(v) for v in values]
    finally:
        context.trace, context.scope, context.role = saved
    captured = list(inner.found.values())
    graph = Graph(name, [*(v for _, v in captured), *inputs], outputs)
    return graph, [v for v, _ in captured]


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
