"""Operands of tensor functions (tensors, numbers, arrays) as graph values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Self

import numpy as np

from chainrule.errors import ArgumentError, ChainruleError, DTypeError, ShapeError
from chainrule.graph.apply import checked_constant, constant
from chainrule.graph.context import context, get_default_dtype
from chainrule.graph.node import Array, Value
from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, as_dtype, size_of
from chainrule.operations.accepted import Number
from chainrule.primitives import creation, elementwise, movement
from chainrule.primitives.movement import full
from chainrule.primitives.rules import show
from chainrule.text import _

#: Numbers, which follow the dtype of a tensor (a tuple is tested faster than a union).
PLAIN = (int, float, np.generic)
NUMBERS = (*PLAIN, SymbolicDim)


class TensorBase:
    """The base class of tensors: value, shape and dtype."""

    __slots__ = ()

    _value: Value
    _base: Any
    _pending: Any
    _new: Callable[[Value], Self]
    _view: Callable[..., Self]
    _in_rows: Callable[[Value, Value], Self]
    _now: Value
    _become: Callable[[Value, str], Self]
    _change: Callable[[Value], None]
    _write: Callable[[Any, Any], bool]
    requires_grad: bool
    item: Callable[[], Number]
    copy_: Callable[[Any], Any]
    #: The float64 value of what stands for a Python float, which follows a tensor.
    _weak: Value | None = None

    @property
    def value(self) -> Value:
        """The graph value of the tensor in the current trace or eager code."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor; a size may be symbolic (N) in a traced function.

        A symbolic size takes part in products and comparisons as an integer does.
        """
        return self._value.shape  # type: ignore[return-value]

    @property
    def dtype(self) -> DType:
        """The dtype of the tensor's elements."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes of the tensor."""
        return len(self._value.shape)

    def numpy(self) -> Array:
        """Return the tensor's numbers as a NumPy array."""
        raise NotImplementedError


def as_array(data: Any, dtype: Any = None) -> Array:
    """Return a new tensor's numbers as an array; Python floats become float32."""
    wanted = None if dtype is None else as_dtype(dtype).numpy
    if isinstance(data, TensorBase):
        return np.array(data.numpy(), dtype=wanted)
    torchs = str(getattr(data, "dtype", "")) == "torch.bfloat16"  # no __array__ then
    if hasattr(data, "__dlpack__") and (torchs or not hasattr(data, "__array__")):
        from chainrule.util.dlpack import from_dlpack

        data = from_dlpack(data)
    try:
        array = np.array(data, dtype=wanted)
    except ChainruleError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(
            _("These data do not make a tensor."),
            expected=_("numbers in nested lists of equal lengths, or an array"),
            got=f"{type(data).__name__}: {error}",
        ) from None
    if array.dtype == object:
        for number in array.flat:
            if type(number) is int:
                checked_constant(number, DType.int64)  # most are too large
    if wanted is None and array.dtype == np.float64 and not _has_dtype(data):
        array = array.astype(get_default_dtype().numpy)
    as_dtype(array.dtype)
    return array


def _has_dtype(data: Any) -> bool:
    """Return whether nested lists contain NumPy numbers or tensors with a dtype."""
    if isinstance(data, list | tuple):
        kinds = set(map(type, data))
        if kinds <= {float, int, bool}:
            return False
        return any(map(_has_dtype, data))
    return hasattr(data, "dtype")


def value_of(x: Any, dtype: DType | None = None) -> Value:
    """Return the graph value of a tensor or of numbers; return a value itself."""
    if isinstance(x, TensorBase):
        value = x.value if dtype is None or x._weak is None else x._weak
    elif isinstance(x, Value):
        value = x
    elif isinstance(x, SymbolicDim):
        value = count_of(x, DType.int64)
    else:
        own = get_default_dtype() if type(x) is float else None
        wanted = (dtype or own) if is_number(x) else None
        value = Value(checked_constant(x, wanted) if wanted else as_array(x, dtype))
        if context.trace is not None:
            value = context.trace.constant(value)
    return value if dtype is None else astype(value, dtype)


def assignable(x: Any, dtype: DType) -> Value:
    """Return a value to assign to a tensor of ``dtype``; refuse floats for integers."""
    if dtype.is_float or is_number(x):
        return value_of(x, dtype)
    value = value_of(x)
    if value.dtype.is_float:
        raise DTypeError(
            _("Floats do not fit between integers."),
            expected=_("an integer dtype, for a tensor of {name}", name=dtype.name),
            got=value.dtype.name,
            fix=_("convert one of them: x.double() or source.long()"),
        )
    return astype(value, dtype)


def is_number(x: Any) -> bool:
    """Return whether an operand is a Python or NumPy number, without a fixed dtype."""
    return isinstance(x, NUMBERS)


# -- dtypes ---------------------------------------------------------------------------


def promote(a: DType, b: DType) -> DType:
    """Return the common dtype of two dtypes: floats first, then the wider one."""
    if a is b:
        return a
    if a.is_float != b.is_float:
        return a if a.is_float else b
    if DType.bfloat16 in (a, b):  # every float holds its numbers
        return b if a is DType.bfloat16 else a
    common = as_dtype(np.promote_types(a.numpy, b.numpy))
    if common.is_float and not a.is_float:
        raise DTypeError(
            _("No integer dtype holds the numbers of both operands."),
            expected=_("uint64 with unsigned, int64 with signed integers"),
            got=_("{name} and {b_name}", name=a.name, b_name=b.name),
            fix=_("convert one of them: x.astype('int64')"),
        )
    return common


def number_dtype(number: Any, dtype: DType) -> DType:
    """Return the common dtype of a Python number and a tensor of ``dtype``."""
    if isinstance(number, float) and not dtype.is_float:
        return get_default_dtype()
    if dtype is DType.bool and not isinstance(number, bool):
        return DType.int64
    return dtype


def astype(v: Value, dtype: DType) -> Value:
    """Return a value converted to a dtype, or itself if it has that dtype."""
    return v if v.dtype is dtype else elementwise.convert(v, dtype=dtype)


def floating(v: Value) -> Value:
    """Return a value itself if its dtype is floating, else converted to float32."""
    if v.dtype.is_float:
        return v
    return elementwise.convert(v, dtype=get_default_dtype())


# -- shapes ---------------------------------------------------------------------------


@lru_cache(maxsize=512)
def broadcast_shapes(a: Shape, b: Shape) -> Shape:
    """Return the common shape of two operands by NumPy's rules; N matches N and 1."""
    if len(a) == len(b) and a == b:  # tuples compare their sizes before their lengths
        return a
    rank = max(len(a), len(b))
    full_a, full_b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(x != y and x != 1 and y != 1 for x, y in zip(full_a, full_b)):
        raise ShapeError(
            _("These shapes do not combine."),
            expected=_("axes that agree, counted from the last, or have length 1"),
            got=_("{a} and {b}", a=show(a), b=show(b)),
            fix=_("reshape one of them, for example b.reshape(-1, 1)"),
        )
    return tuple([y if x == 1 else x for x, y in zip(full_a, full_b)])


def repeats_into(shape: Shape, wanted: Shape) -> bool:
    """Return whether a shape broadcasts to ``wanted`` under NumPy's rules."""
    lead = len(wanted) - len(shape)
    return lead >= 0 and all(a in (1, b) for a, b in zip(shape, wanted[lead:]))


def broadcast_to(v: Value, shape: Shape) -> Value:
    """Return a value broadcast to a shape, or itself if it has that shape."""
    return v if v.shape == shape else movement.broadcast_to(v, shape=shape)


def promoted(v: Value, w: Value) -> tuple[Value, Value]:
    """Return two values in their common dtype and shape."""
    if v.dtype is not w.dtype:
        dtype = promote(v.dtype, w.dtype)
        v, w = astype(v, dtype), astype(w, dtype)
    if v.shape != w.shape:
        shape = broadcast_shapes(v.shape, w.shape)
        v, w = broadcast_to(v, shape), broadcast_to(w, shape)
    return v, w


def operands(a: Any, b: Any) -> tuple[Value, Value]:
    """Return two operands of a tensor function as values of one dtype and shape.

    A number follows the dtype of the other operand. Two numbers are float32 if one of
    them is a float.
    """
    if isinstance(a, TensorBase):
        # Most are plain, and this is a part of every operation: value, spelt out.
        eager = context.trace is None
        plain = eager and a._base is None and a._pending is None
        v = a._value if plain else a.value
        if isinstance(b, TensorBase):
            plain = eager and b._base is None and b._pending is None
            w = b._value if plain else b.value
            if v.shape == w.shape and v.dtype is w.dtype:
                return v, w
            if a._weak is not None:
                v = scalar_for(a, w.dtype)
            elif b._weak is not None:
                w = scalar_for(b, v.dtype)
            return promoted(v, w)
        return _operands_with(v, b)
    if isinstance(b, TensorBase):
        w, v = _operands_with(b.value, a)
        return v, w
    if not is_number(a) or not follows(a, b):
        return _operands_with(value_of(a), b)
    w, v = _operands_with(value_of(b), a)
    return v, w


def follows(number: Any, other: Any) -> bool:
    """Return whether a number operand takes the other operand's dtype."""
    if is_number(other):
        return isinstance(number, int) and isinstance(other, float)
    return True


def _operands_with(v: Value, other: Any) -> tuple[Value, Value]:
    """Return a value and another operand in their common dtype and shape."""
    if type(other) is not float:
        if isinstance(other, SymbolicDim):
            return promoted(v, number_operand(v, other))
        if not isinstance(other, PLAIN):
            return promoted(v, value_of(other))
        if isinstance(other, np.generic):
            other = other.item()
    if not v.dtype.is_float:
        v = astype(v, number_dtype(other, v.dtype))
    return v, full(other, v.dtype, v.shape)


def number_operand(v: Value, other: Any) -> Value:
    """Return an operand as a value; a number gets its common dtype with ``v``."""
    if isinstance(other, SymbolicDim):  # of a traced shape
        return count_of(other, number_dtype(1, v.dtype))
    if isinstance(other, TensorBase) and other._weak is not None:
        return scalar_for(other, v.dtype)
    if not isinstance(other, PLAIN):
        return value_of(other)
    number = other.item() if isinstance(other, np.generic) else other
    return constant(number, number_dtype(number, v.dtype))


def scalar_for(x: TensorBase, dtype: DType) -> Value:
    """Return a scalar operand as a value in its common dtype with a tensor's dtype."""
    assert x._weak is not None
    return astype(x._weak, number_dtype(1 if x.dtype.is_integer else 1.0, dtype))


def float_operands(a: Any, b: Any) -> tuple[Value, Value]:
    """Return two operands of a function as values of one floating dtype and shape.

    As :func:`operands`, with integers as float32.
    """
    if is_number(b) and not isinstance(b, float | SymbolicDim):
        b = _as_float(b)
    elif is_number(a) and not isinstance(a, float | SymbolicDim):
        a = _as_float(a)
    v, w = operands(a, b)
    return floating(v), floating(w)


def _as_float(number: Any) -> Any:
    """Return an integer operand as a float, if it is in a float's range."""
    number = number.item() if isinstance(number, np.generic) else number
    return float(number) if abs(number) < 2**1023 else number


def count_of(size: Dim, dtype: DType) -> Value:
    """Return a number of elements as a scalar value; it may be symbolic (N)."""
    if isinstance(size, int):
        return constant(size, dtype)
    return creation.size(dim=size, dtype=dtype)


def elements(v: Value) -> Dim:
    """Return the number of elements of a graph value."""
    return size_of(v.shape)
