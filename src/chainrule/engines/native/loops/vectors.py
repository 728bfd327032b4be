"""Generation of LLVM code on vectors of elements, some of whose lanes are masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native.math.scalar import I1, I32, I64, POINTER, memory_type
from chainrule.graph.types import DType


def iota(lanes: int, kind: Any = I64) -> Any:
    """Return the numbers of a vector's lanes, 0, 1, …, as an LLVM constant."""
    return ir.Constant(ir.VectorType(kind, lanes), [kind(i) for i in range(lanes)])


def in_all(constant: Any, lanes: int) -> Any:
    """Return an LLVM constant in all lanes of a vector."""
    return ir.Constant(ir.VectorType(constant.type, lanes), [constant] * lanes)


def spread(b: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """Emit a vector of a number in all lanes."""
    if isinstance(value, ir.Constant):
        return in_all(value, lanes)
    undef = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = b.insert_element(undef, value, I32(0))
    return b.shuffle_vector(first, undef, in_all(I32(0), lanes))


def chosen(b: ir.IRBuilder, pair: Sequence[Any], places: Sequence[int]) -> Any:
    """Emit the vector of some lanes of two vectors, counted through both."""
    x, y = pair
    mask = ir.Constant(ir.VectorType(I32, len(places)), [I32(i) for i in places])
    return b.shuffle_vector(x, y, mask)


def some(
    b: ir.IRBuilder, at: Any, dtype: DType, mask: Any, other: Any, places: Any = None
) -> Any:
    """Emit the load of neighbours at an address, those of a mask; others have a number.

    Args:
        b: where the code goes.
        at: the address.
        dtype: what is there.
        mask: a vector of truth values.
        other: the vector of what the other lanes have; these are not read.
        places: a vector of distances from the address, for elements that lie apart.
    """
    kind = other.type
    arguments, what, where = [at], "load", "p0"
    if places is not None:
        arguments, what = [_addresses(b, at, places, kind.element)], "gather"
        where = f"v{kind.count}p0"
    name = f"llvm.masked.{what}.{_suffix(kind)}.{where}"
    arguments += [I32(dtype.itemsize), mask, other]
    return b.call(_intrinsic(b, name, kind, arguments), arguments)


def put(
    b: ir.IRBuilder, value: Any, at: Any, dtype: DType, mask: Any, places: Any = None
) -> None:
    """Emit the store of the lanes of a mask; see :func:`some`."""
    kind = value.type
    where, what, end = at, "store", "p0"
    if places is not None:
        where, what = _addresses(b, at, places, kind.element), "scatter"
        end = f"v{kind.count}p0"
    name = f"llvm.masked.{what}.{_suffix(kind)}.{end}"
    arguments = [value, where, I32(dtype.itemsize), mask]
    b.call(_intrinsic(b, name, ir.VoidType(), arguments), arguments)


def whole(b: ir.IRBuilder, at: Any, dtype: DType, lanes: int) -> Any:
    """Emit the load of a vector of neighbours."""
    kind = ir.VectorType(memory_type(dtype), lanes)
    return b.load(at, typ=kind, align=dtype.itemsize)


def every(lanes: int) -> Any:
    """Return the mask of all lanes."""
    return in_all(I1(1), lanes)


def between(b: ir.IRBuilder, low: Any, high: Any, lanes: int) -> Any:
    """Emit the mask of the lanes from ``low`` to before ``high``, two i64."""
    most = I64(lanes)
    low = b.select(b.icmp_signed("<", low, I64(0)), I64(0), low)
    low = b.select(b.icmp_signed(">", low, most), most, low)
    high = b.select(b.icmp_signed("<", high, I64(0)), I64(0), high)
    high = b.select(b.icmp_signed(">", high, most), most, high)
    number = iota(lanes, I32)
    low, high = (spread(b, b.trunc(end, I32), lanes) for end in (low, high))
    return b.and_(b.icmp_signed(">=", number, low), b.icmp_signed("<", number, high))


def _suffix(kind: Any) -> str:
    element = kind.element
    names = {"float": "f32", "double": "f64"}
    return f"v{kind.count}{names.get(str(element), str(element))}"


def _intrinsic(b: ir.IRBuilder, name: str, result: Any, arguments: Any) -> Any:
    known = b.module.globals.get(name)
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return known or ir.Function(b.module, kind, name)


def _addresses(b: ir.IRBuilder, at: Any, places: Any, element: Any) -> Any:
    pointers = b.gep(at, [places], source_etype=element)
    pointers.type = ir.VectorType(POINTER, places.type.count)
    return pointers
