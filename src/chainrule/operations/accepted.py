"""Types of the arguments and results of functions of tensors, for type checkers."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex

import numpy as np

from chainrule.graph.types import DType


class SupportsArray(Protocol):
    """A protocol for arrays, NumPy's numbers and columns of data frames."""

    def __array__(self) -> np.ndarray[Any, Any]:
        """Return the numbers."""
        ...


class SupportsDLPack(Protocol):
    """An array of another library, read by DLPack."""

    def __dlpack__(self) -> Any:
        """Return a capsule of the memory."""
        ...

    def __dlpack_device__(self) -> tuple[Any, Any]:
        """Return the kind and the number of the device that has the memory."""
        ...


if TYPE_CHECKING:

    class Number(int, float):  # type: ignore[misc]
        """The number of a tensor's element: an int, a float or a bool by its dtype.

        Type checkers do not know the dtype, so it passes for both.
        """

else:
    Number = int | float

#: What makes a tensor: tensors, numbers, arrays, nests of numbers.
TensorLike = (
    SupportsArray
    | SupportsDLPack
    | float
    | list[Any]
    | tuple[Any, ...]
    | Sequence[float]
    | Sequence[Sequence[float]]
)
#: What an index is, or a tuple of them.
Key = (
    SupportsIndex
    | slice
    | EllipsisType
    | SupportsArray
    | list[Any]
    | tuple[Any, ...]
    | None
)
#: What names an element type: ours, NumPy's, Python's, or a text such as "float64".
DTypeLike = DType | str | np.dtype[Any] | type[Any] | None
#: What names the CPU.
DeviceLike = str | int | None
#: A size, or all sizes of a shape.
SizeLike = SupportsIndex | Sequence[SupportsIndex]
