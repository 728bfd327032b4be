"""PyTorch's tensor types, such as ``FloatTensor``: a dtype, and tensors of it."""

from __future__ import annotations

from typing import Any

from chainrule.graph.types import DType
from chainrule.methods.conversion import TYPE_NAMES
from chainrule.tensor import Tensor

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "Size",
    "is_tensor",
]


class TensorType:
    """The type of the tensors of one dtype; it is called as :class:`Tensor` is.

    Attributes:
        dtype: of the elements.

    >>> import chainrule as cr
    >>> x = cr.LongTensor([1, 2])
    >>> x, isinstance(x, cr.LongTensor), isinstance(x, cr.FloatTensor)
    (tensor([1, 2]), True, False)
    """

    __slots__ = ("dtype",)

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype

    def __call__(self, *data: Any, device: Any = None) -> Tensor:
        """Return a tensor of sizes, or of numbers in a list or an array."""
        return Tensor(*data, dtype=self.dtype, device=device)

    def __instancecheck__(self, item: object) -> bool:
        return isinstance(item, Tensor) and item.dtype is self.dtype

    def __repr__(self) -> str:
        return f"chainrule.{TYPE_NAMES[self.dtype]}"


BoolTensor, ByteTensor = TensorType(DType.bool), TensorType(DType.uint8)
CharTensor, ShortTensor = TensorType(DType.int8), TensorType(DType.int16)
IntTensor, LongTensor = TensorType(DType.int32), TensorType(DType.int64)
BFloat16Tensor = TensorType(DType.bfloat16)
FloatTensor, DoubleTensor = TensorType(DType.float32), TensorType(DType.float64)

#: A shape: PyTorch's name of the type of ``x.shape``.
Size = tuple


def is_tensor(obj: Any) -> bool:
    """Return whether an object is a tensor.

    >>> import chainrule as cr
    >>> cr.is_tensor(cr.ones(1)), is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)
