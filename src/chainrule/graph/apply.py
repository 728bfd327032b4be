"""Application of primitives (graph operations): compute at once, or record in a trace.

There is one code path. With numbers at hand ``apply`` computes by the primitive's NumPy
reference and, when a derivative may be asked for, remembers the node. With types alone
(inside :func:`~chainrule.graph.emit.trace`) it records the same node without numbers.

bfloat16 is a dtype to store values in. What computes with it is applied to float32,
which holds every bfloat16, and its results are rounded once, to nearest even: three
nodes of the graph, of which the last says where digits are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy import ndarray

from chainrule.errors import ArgumentError, GraphError, warn_of_line
from chainrule.graph.context import context
from chainrule.graph.emit import any_tracked, emit
from chainrule.graph.graph import Graph
from chainrule.graph.layout import order_of
from chainrule.graph.node import Array, Node, Value, computed
from chainrule.graph.primitive import (
    DERIVATIVES,
    EAGER,
    REFERENCES,
    Primitive,
    lookup,
)
from chainrule.graph.room import check_room
from chainrule.graph.types import ArrayType, DType, as_dtype
from chainrule.text import _
from chainrule.util.bounded import Bounded

#: The types of the results of applications that the rule has accepted already.
_checked: Bounded[Any, tuple[ArrayType, ...]] = Bounded(2048)

#: Numbers that code has used as constants before.
_constants: Bounded[Any, Value] = Bounded(512)


def apply(
    primitive: Primitive, inputs: tuple[Value, ...], attrs: dict[str, Any]
) -> Any:
    """Apply a primitive to values: compute on numbers, or record a node while tracing.

    The result is a Value, or a tuple of them.
    """
    here = context.__dict__
    if here["trace"] is not None:
        if not primitive.moves and _any_narrow(inputs):
            types = primitive.output_types([v.type for v in inputs], attrs)
            return _in_single(primitive, inputs, attrs, types)
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
        tracked = any_tracked(inputs)
        ordered = sum([v.order for v in inputs])
        known = not any(array is None for array in arrays)
    if not known:
        raise _already_traced(primitive, inputs)
    if attrs:
        signature = (*signature, *attrs.values())
    types = _checked.get(signature)
    if types is None:
        types = primitive.output_types([v.type for v in inputs], attrs)
        if not primitive.moves and _any_narrow(inputs):
            return _in_single(primitive, inputs, attrs, types)
        for result_type in types:
            check_room(result_type.shape, result_type.dtype.itemsize)
        if not any(_held(item) for item in attrs.values()):
            _checked[signature] = types
    reference = REFERENCES[primitive]
    if primitive.view:  # no arithmetic, so no exception of it
        results = reference(*arrays, **attrs)
    elif (
        primitive.name in EAGER
        and (results := EAGER[primitive.name].forward(arrays, attrs)) is not None
    ):
        pass
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
    pairs = zip(several, types, strict=True)
    outputs = tuple([computed(np.asarray(a), t) for a, t in pairs])
    if node is not None:
        node.set_outputs(outputs, weakly=True)
        for i, value in enumerate(outputs):
            value.node, value.index, value.tracked = node, i, True
    return outputs[0] if len(outputs) == 1 else outputs


def _held(item: Any) -> bool:
    """Return whether an attribute is a body, not shared, that would stay in memory."""
    return isinstance(item, Graph) and item.retrace is None


def _any_narrow(inputs: tuple[Value, ...]) -> bool:
    for value in inputs:  # noqa: SIM110 - see any_tracked
        if value.dtype is DType.bfloat16:
            return True
    return False


def _in_single(
    primitive: Primitive,
    inputs: tuple[Value, ...],
    attrs: dict[str, Any],
    types: Sequence[ArrayType],
) -> Any:
    """Apply a primitive to bfloat16 in float32; round what its rule says is bfloat16.

    Args:
        primitive, inputs, attrs: as of :func:`apply`.
        types: what the rule gives for these inputs.
    """
    wide = {k: single(a) if isinstance(a, DType) else a for k, a in attrs.items()}
    results = apply(primitive, tuple(map(widened, inputs)), wide)
    if len(types) == 1:
        return rounded(results, types[0].dtype)
    return tuple([rounded(v, t.dtype) for v, t in zip(results, types, strict=True)])


def single(dtype: DType) -> DType:
    """Return float32 for bfloat16, and any other dtype itself."""
    return DType.float32 if dtype is DType.bfloat16 else dtype


def widened(value: Value) -> Value:
    """Return a value that is stored as bfloat16 in float32, and any other itself."""
    return rounded(value, single(value.dtype))


def rounded(value: Value, dtype: DType) -> Value:
    """Return a value in a dtype, or itself if it has that dtype."""
    if value.dtype is dtype:
        return value
    return apply(lookup("convert"), (value,), {"dtype": dtype})


def _already_traced(primitive: Primitive, inputs: tuple[Value, ...]) -> GraphError:
    return GraphError(
        _("{name} was given a value of a graph already traced.", name=primitive.name),
        expected=_("numbers, or values of the trace in progress"),
        got=", ".join(map(repr, inputs)),
        fix=_("return what you need from the traced function"),
    )


class View:
    """A view operation (such as a transpose) with its attributes and result type.

    Attributes:
        primitive, attrs: what is applied.
        type: that of its result.
    """

    __slots__ = ("attrs", "primitive", "type")

    def __init__(
        self, primitive: Primitive, attrs: dict[str, Any], type: ArrayType
    ) -> None:
        self.primitive, self.attrs, self.type = primitive, attrs, type


def apply_views(value: Value, views: Sequence[View]) -> Value:
    """Apply view operations one after another, without inferring their types again."""
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


def _report_exceptions(primitive: Primitive) -> None:
    """Show a warning for NumPy's floating-point exceptions at the user's line."""
    raised = dict.fromkeys(context.exceptions)
    context.exceptions.clear()
    wanted: Any = np.geterr()
    names = {"divide by zero": "divide", "invalid value": "invalid"}
    for name in raised:
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


def constant(number: Any, dtype: DType | str) -> Value:
    """Return a graph value for constant numbers: a scalar or a small array.

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
        value = Value(checked_constant(number, as_dtype(dtype)))
        if plain:
            _constants[key] = value
    return value if context.trace is None else context.trace.constant(value)


def checked_constant(number: Any, dtype: DType) -> Array:
    """Return a number as an array; raise an error if the dtype cannot represent it."""
    try:
        with np.errstate(over="raise"):
            array = np.asarray(number, single(dtype).numpy)
            if dtype is not DType.bfloat16:
                return array
            narrow = array.astype(dtype.numpy)
        if np.isinf(narrow.astype(array.dtype)).sum() > np.isinf(array).sum():
            raise OverflowError
        return narrow
    except (FloatingPointError, OverflowError):
        limits = dtype.limits
        huge = isinstance(number, int) and abs(number) >= 2**64
        wide = DType.int64 if isinstance(number, int) and not huge else DType.float64
        fix = _("a number of this range")
        if dtype is not wide:
            wider = f"x.astype('{wide.name}')"
            fix = _("a number of this range, or {wider}", wider=wider)
        raise ArgumentError(
            _("A number does not fit {name}.", name=dtype.name),
            expected=_(
                "from {min:.6g} to {max:.6g}",
                min=float(limits.min),
                max=float(limits.max),
            )
            if dtype.is_float
            else _("from {min} to {max}", min=limits.min, max=limits.max),
            got=_("an integer of {bit_length} bits", bit_length=number.bit_length())
            if huge
            else f"{number!r:.80}",
            fix=fix,
        ) from None
