"""Functions of dtypes: limits, promotion, kinds, conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, DType, as_dtype, size_of
from chainrule.operations.device import check_device
from chainrule.operations.op import Viewed, op
from chainrule.operations.operands import (
    TensorBase,
    astype,
    is_number,
    number_dtype,
    promote,
    value_of,
)
from chainrule.primitives.movement import copy as copied
from chainrule.text import _


@dataclass(frozen=True)
class FloatInfo:
    """The limits of a floating dtype; the result of :func:`finfo`."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    tiny: float
    dtype: DType


@dataclass(frozen=True)
class IntegerInfo:
    """The limits of an integer dtype; the result of :func:`iinfo`."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(type: Any) -> DType:
    return type.dtype if isinstance(type, TensorBase) else as_dtype(type)


@op(method=False)
def finfo(type: Any) -> FloatInfo:
    """Return the limits of a floating dtype, or of a tensor's dtype.

    >>> import chainrule as cr
    >>> cr.finfo("float32").eps
    1.1920928955078125e-07
    """
    dtype = _dtype_of(type)
    if not dtype.is_float:
        raise DTypeError(
            _("finfo is of floats."),
            expected=_("float32, float64 or bfloat16"),
            got=dtype.name,
            fix="iinfo",
        )
    limits = dtype.limits
    names = ("eps", "max", "min", "smallest_normal", "tiny")
    return FloatInfo(
        bits=limits.bits, dtype=dtype, **{n: float(getattr(limits, n)) for n in names}
    )


@op(method=False)
def iinfo(type: Any) -> IntegerInfo:
    """Return the limits of an integer dtype, or of a tensor's dtype.

    >>> import chainrule as cr
    >>> cr.iinfo("uint8").max
    255
    """
    dtype = _dtype_of(type)
    if not dtype.is_integer:
        raise DTypeError(
            _("iinfo is of integers."),
            expected=_("an integer dtype"),
            got=dtype.name,
            fix="finfo",
        )
    limits = dtype.limits
    return IntegerInfo(
        bits=limits.bits, max=int(limits.max), min=int(limits.min), dtype=dtype
    )


_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int",),
    "unsigned integer": ("uint",),
    "integral": ("int", "uint"),
    "real floating": ("float",),
    "complex floating": (),
    "numeric": ("int", "uint", "float"),
}


@op(method=False)
def isdtype(dtype: Any, kind: Any) -> bool:
    """Return whether a dtype equals another, or is of one or several kinds.

    The kinds are ``"bool"``, ``"signed integer"``, ``"unsigned integer"``,
    ``"integral"``, ``"real floating"``, ``"complex floating"`` (none is) and
    ``"numeric"``.

    >>> import chainrule as cr
    >>> cr.isdtype("int32", "integral"), cr.isdtype("int32", ("bool", "float32"))
    (True, False)
    """
    own = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(own, one) for one in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return own.kind in _KINDS[kind]
    try:
        return own is as_dtype(kind)
    except DTypeError:
        raise ArgumentError(
            _("isdtype compares with a dtype or a kind of them."),
            expected=", ".join(map(repr, _KINDS)),
            got=f"{kind!r:.60}",
        ) from None


@op(method=False)
def result_type(*arrays_and_dtypes: Any) -> DType:
    """Return the common dtype of tensors, dtypes and Python numbers.

    Numbers follow tensors. Integers and floats together are the float.

    >>> import chainrule as cr
    >>> cr.result_type("int32", "float32"), cr.result_type(cr.tensor([1.0]), 2.5)
    (chainrule.float32, chainrule.float32)
    """
    numbers = [x for x in arrays_and_dtypes if is_number(x)]
    dtypes = [_dtype_of(x) for x in arrays_and_dtypes if not is_number(x)]
    if not dtypes:
        if not numbers:
            raise ArgumentError(
                _("result_type takes dtypes."), expected=_("1 or more"), got="0"
            )
        dtypes = [value_of(numbers[0]).dtype]
    common = dtypes[0]
    for dtype in dtypes[1:]:
        common = promote(common, dtype)
    for number in numbers:
        common = number_dtype(number, common)
    return common


@op(method=False)
def promote_types(type1: Any, type2: Any) -> DType:
    """Return the dtype to which two dtypes are promoted.

    >>> import chainrule as cr
    >>> cr.promote_types(cr.int32, cr.uint8)
    chainrule.int32
    """
    return promote(as_dtype(type1), as_dtype(type2))


@op(method=False)
def is_floating_point(x: Value) -> bool:
    """Return whether a tensor's dtype is floating."""
    return x.dtype.is_float


@op(method=False)
def numel(x: Value) -> Dim:
    """Return a tensor's number of elements; a product of names for symbolic sizes."""
    return size_of(x.shape)


@op(method=False)
def can_cast(from_: Any, to: Any, /) -> bool:
    """Return whether dtype promotion converts one dtype into another.

    >>> import chainrule as cr
    >>> cr.can_cast("int32", "int64"), cr.can_cast("int64", "int32")
    (True, False)
    """
    source, wanted = _dtype_of(from_), as_dtype(to)
    if source is wanted:
        return True
    try:
        return promote(source, wanted) is wanted
    except DTypeError:
        return False


@op(method=False)
def astype_(
    x: Value, dtype: Any, *, copy: bool = True, device: Any = None
) -> Viewed | Value:
    """Return x converted to another dtype; see :meth:`Tensor.astype`.

    >>> import chainrule as cr
    >>> cr.astype(cr.tensor([1.7, -1.7]), "int32")
    tensor([ 1, -1], dtype=int32)
    """
    check_device(device)
    converted = astype(x, as_dtype(dtype))
    return copied(x) if converted is x and copy else converted
