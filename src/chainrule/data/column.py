"""The features of a data set as a stored array with a scale factor.

Data stay in the dtype that they came in. 60,000 images of MNIST are 47 MB as
bytes and would be 188 MB as float32, so an engine converts only the rows of the
batch that it is about to use. The conversion is the same everywhere:

    x = float32(stored) · float32(scale)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.graph.types import DType, as_dtype
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.keywords import strict


@strict
class Column:
    """The features of a data set: a stored array, and a scale factor.

    Formula:
        x = float32(stored) · float32(scale), rounded once after each of the two
        steps. Without a scale, x = float32(stored); float64 stays float64, and
        integers that float32 has not (2²⁴ + 1 is the first) become float64.

    Args:
        stored: the array as it came, of shape (n, …): booleans, integers or
            floating-point numbers.
        scale: a factor (1/255 takes grey values from 0…255 to 0…1), or None.

    Attributes:
        stored: the array as it came; an engine gathers rows of it.
        scale: the factor, or None.
        shape: the shape of the stored array.
        dtype: the dtype of the features: float64 where float64 is stored, or
            integers that need it, and there is no scale, float32 otherwise.

    Indexing gives plain NumPy arrays of features. As in NumPy, a slice of floats
    that need no conversion is a view of what is stored; all else is a new array.

    Raises:
        ArgumentError: a scale that is zero, infinite or not a number.

    Example:
        >>> pixels = Column(np.array([[0, 51], [255, 102]], np.uint8), scale=1 / 255)
        >>> pixels.shape, pixels.dtype, pixels.stored.dtype
        ((2, 2), dtype('float32'), dtype('uint8'))
        >>> pixels[1]
        array([1.        , 0.40000004], dtype=float32)
    """

    def __init__(self, stored: np.ndarray, scale: float | None = None) -> None:
        self.stored = stored
        self.scale = None if scale is None else _checked_scale(scale)

    @cached_property
    def dtype(self) -> np.dtype:
        """The dtype of the features after scaling."""
        narrow = np.dtype(np.float32)
        if self.scale is not None or self.stored.dtype == np.float16:
            return narrow
        if self.stored.dtype.kind == "f":
            return self.stored.dtype
        wide = unrepresentable(self.stored, narrow) is not None
        return np.dtype(np.float64) if wide else narrow

    def part(self, rows: Any) -> Column:
        """Return some rows of the features, in the dtype of the whole column."""
        column = Column(self.stored[rows], self.scale)
        if "dtype" in self.__dict__ or self.stored.dtype.kind in "iu":
            column.dtype = self.dtype
        return column

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the stored array of features: (n, …)."""
        return self.stored.shape

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, key: Any) -> np.ndarray:
        values = self.stored[key]
        if self.scale is None:
            return values.astype(self.dtype, copy=False)
        return values.astype(np.float32) * np.float32(self.scale)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        target = self.dtype if dtype is None else np.dtype(dtype)
        as_stored = self.scale is None and self.stored.dtype == target == self.dtype
        if copy is False and not as_stored:
            raise ValueError(
                _(
                    "{self!r} cannot become an array of {wanted} without a copy.",
                    self=self,
                    wanted=target,
                )
            )
        return self[...].astype(target, copy=bool(copy) and as_stored)

    def __repr__(self) -> str:
        factor = "" if self.scale is None else f", scale={self.scale:.6g}"
        return f"Column(shape={self.shape}, stored={self.stored.dtype}{factor})"


#: Numbers that are looked at together.
LOOKED_AT = 1 << 20


def unrepresentable(stored: np.ndarray, dtype: np.dtype) -> Any:
    """Return the first integer of stored features that a dtype cannot represent.

    >>> unrepresentable(np.array([1, 2**24, 2**24 + 1]), np.dtype(np.float32))
    np.int64(16777217)
    """
    kind = stored.dtype.kind
    if kind == "b" or (kind == "f" and stored.dtype.itemsize <= dtype.itemsize):
        return None
    if kind == "f" and as_dtype(dtype) is DType.bfloat16:  # which rounds all numbers
        return None
    limit = 1 << as_dtype(dtype).limits.nmant + 1
    if not stored.size:
        return None
    if kind != "f" and np.iinfo(stored.dtype).max <= limit:
        return None
    rows = max(1, LOOKED_AT * len(stored) // stored.size) if stored.ndim else 1
    if stored.ndim and len(stored) > rows:  # in pieces: it may be larger than memory
        pieces = (stored[i : i + rows] for i in range(0, len(stored), rows))
        found = (unrepresentable(piece, dtype) for piece in pieces)
        return next((number for number in found if number is not None), None)
    far = stored[(stored > limit) | (stored < -limit)] if kind != "u" else None
    far = stored[stored > limit] if far is None else far
    if kind == "f":  # beyond, all numbers are whole, and none is a number of something
        far = far[np.abs(far) <= 2**53]
    if not far.size:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        near = far.astype(dtype)
        if kind == "f":
            lost = (near.astype(far.dtype) != far) & (far % 1 == 0)
        else:  # the largest may be rounded to what its own dtype has not
            end = float(np.iinfo(far.dtype).max)
            lost = (near >= end) | (near.astype(far.dtype) != far)
    return far[lost][0] if lost.any() else None


def _checked_scale(scale: Any) -> float:
    limit = np.finfo(np.float32)
    factor = validation.real(scale)
    if not float(limit.tiny) <= abs(factor) <= float(limit.max):
        what = _("{name} is not a usable factor.")
        fix = _("scale=1/255 for bytes, or None")
        expected = _("a finite number other than 0 that fits float32")
        raise validation.refused("scale", scale, what, expected, fix)
    return factor
