"""Types of values: an element type of our own, and sizes with one symbol, N.

The enumeration of element types is ours because NumPy's has no bfloat16. A size is
an integer or a multiple of N, the number of samples in a batch, which only the
engine learns: one graph serves the full batch, the last partial one and a single
sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.errors import DTypeError, ShapeError


class DType(Enum):
    """An element type: its short name (as the text form prints it) and its kind."""

    bool = ("bool", "bool", 1)
    uint8 = ("u8", "uint", 1)
    uint32 = ("u32", "uint", 4)
    int32 = ("i32", "int", 4)
    int64 = ("i64", "int", 8)
    float32 = ("f32", "float", 4)
    float64 = ("f64", "float", 8)

    def __init__(self, short: str, kind: str, itemsize: int) -> None:
        self.short, self.kind, self.itemsize = short, kind, itemsize

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """The same type in NumPy."""
        return np.dtype(self.name)

    @property
    def is_float(self) -> bool:
        """Whether derivatives exist for values of this type."""
        return self.kind == "float"

    @property
    def is_integer(self) -> bool:
        """Whether values of this type can index or label."""
        return self.kind in ("int", "uint")

    def __repr__(self) -> str:
        return f"chainrule.{self.name}"


_FROM_NUMPY = {dtype.numpy: dtype for dtype in DType}
_FROM_SHORT = {dtype.short: dtype for dtype in DType}


def as_dtype(dtype: Any) -> DType:
    """The DType that ``dtype`` means: ours, NumPy's, a name or a Python type.

    >>> as_dtype("float32"), as_dtype(np.int64), as_dtype("u8")
    (chainrule.float32, chainrule.int64, chainrule.uint8)
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str) and dtype in _FROM_SHORT:
        return _FROM_SHORT[dtype]
    try:
        return _FROM_NUMPY[np.dtype(dtype)]
    except (KeyError, TypeError):
        raise DTypeError(
            f"{dtype!r} is not an element type that Chainrule computes with.",
            expected=", ".join(d.name for d in DType),
            got=str(dtype),
            fix="convert first, for example array.astype('float32')",
        ) from None


class Size:
    """A multiple of N, the symbolic number of samples in a batch.

    >>> N = Size(1)
    >>> N * 4, (N * 4) // 2, (N * 4).at(32)
    (4N, 2N, 128)
    """

    __slots__ = ("factor",)

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def at(self, n: int) -> int:
        """The size when N is ``n``."""
        return self.factor * n

    def __mul__(self, other: int | Size) -> Size:
        if isinstance(other, Size):
            raise ShapeError(
                "A size can contain N only once.",
                expected="an integer, or a multiple of N such as 4N",
                got=f"{self} × {other}",
                fix="keep the batch axis out of the product of two batch axes",
            )
        return Size(self.factor * other)

    __rmul__ = __mul__

    def __floordiv__(self, other: int | Size) -> int | Size:
        divisor = other.factor if isinstance(other, Size) else other
        if divisor == 0 or self.factor % divisor:
            raise ShapeError(
                f"{self} does not divide by {other} for every N.",
                expected=f"a divisor of {self.factor}",
                got=str(other),
                fix="give every size of the reshape explicitly",
            )
        quotient = self.factor // divisor
        return quotient if isinstance(other, Size) else Size(quotient)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and other.factor == self.factor

    def __hash__(self) -> int:
        return hash((Size, self.factor))

    def __index__(self) -> int:
        raise ShapeError(
            "The number of samples N is not known while a function is traced.",
            expected="code that works for every N, such as x.mean() or x.reshape",
            got=f"{self} used as a plain integer",
            fix="trace with fixed shapes (leave out batch=…), or avoid int(x.shape[0])",
        )

    def __repr__(self) -> str:
        return "N" if self.factor == 1 else f"{self.factor}N"


Dim = int | Size
Shape = tuple[Dim, ...]


def size_of(shape: Shape) -> Dim:
    """The number of elements of ``shape``."""
    total: Dim = 1
    for dim in shape:
        total = total * dim
    return total


def resolve(item: Any, n: int | None) -> Any:
    """``item`` (a size, shape, attribute or tuple of them) with N replaced by ``n``."""
    if isinstance(item, Size):
        if n is None:
            raise ShapeError(
                "A graph over N samples runs only once N is known.",
                expected="at least one input with a batch axis",
                got=f"the size {item} and no value for N",
            )
        return item.at(n)
    if isinstance(item, tuple):
        parts: list[Any] = [*item]
        return tuple([resolve(part, n) for part in parts])
    return item


def is_symbolic(item: Any) -> bool:
    """Whether ``item`` contains N."""
    if isinstance(item, tuple):
        parts: list[Any] = [*item]
        return any(is_symbolic(part) for part in parts)
    return isinstance(item, Size)


def fixed(shape: Shape) -> tuple[int, ...] | None:
    """A shape (or strides) without N as integers; None for one that contains it."""
    integers = tuple([d for d in shape if isinstance(d, int)])
    return integers if len(integers) == len(shape) else None


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Shape and element type of a value, printed as ``f32[N,784]``."""

    shape: Shape
    dtype: DType

    def __str__(self) -> str:
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]"

    def at(self, n: int | None) -> ArrayType:
        """The same type with N replaced by ``n``."""
        return ArrayType(resolve(self.shape, n), self.dtype)


def type_of(array: np.ndarray[Any, Any]) -> ArrayType:
    """The type of a NumPy array."""
    return ArrayType(array.shape, as_dtype(array.dtype))
