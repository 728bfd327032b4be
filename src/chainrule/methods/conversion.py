"""Tensor methods for conversion to dtypes and Python numbers, and their aliases."""

from __future__ import annotations

import builtins
from typing import Any, Self, overload

import numpy as np

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.context import get_default_dtype
from chainrule.graph.node import Value
from chainrule.graph.types import DType, Shape, SymbolicDim, as_dtype, size_of
from chainrule.operations.accepted import (
    DeviceLike,
    DTypeLike,
    Number,
    SizeLike,
    TensorLike,
)
from chainrule.operations.arguments import (
    axis_of,
    shape_of,
)
from chainrule.operations.device import CPU, Device, check_device, is_device
from chainrule.operations.operands import TensorBase, astype, broadcast_to, value_of
from chainrule.primitives import movement
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util.keywords import strict

#: PyTorch's names of the types of tensors, by their dtypes.
TYPE_NAMES = {
    DType.float32: "FloatTensor",
    DType.float64: "DoubleTensor",
    DType.bfloat16: "BFloat16Tensor",
    DType.uint8: "ByteTensor",
    DType.int8: "CharTensor",
    DType.int16: "ShortTensor",
    DType.int32: "IntTensor",
    DType.int64: "LongTensor",
    DType.bool: "BoolTensor",
    DType.uint16: "UInt16Tensor",
    DType.uint32: "UInt32Tensor",
    DType.uint64: "UInt64Tensor",
}
_BY_TYPE_NAME = {name: dtype for dtype, name in TYPE_NAMES.items()}


def tensor_dtype(kind: Any) -> DType:
    """Return the dtype of a tensor type, of its name, or of what ``as_dtype`` takes.

    >>> tensor_dtype("torch.LongTensor"), tensor_dtype("float64")
    (chainrule.int64, chainrule.float64)
    """
    if isinstance(kind, str):
        kind = _BY_TYPE_NAME.get(kind.rpartition(".")[2], kind)
    return as_dtype(getattr(kind, "dtype", kind))


class Count(int):
    """A tensor's number of elements, callable as PyTorch's ``x.size()``."""

    shape: Shape

    @overload
    def __call__(self, dim: None = None) -> tuple[int, ...]: ...
    @overload
    def __call__(self, dim: int) -> int: ...
    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[axis_of(self.shape, dim)]


class NamedCount(SymbolicDim):
    """A tensor's symbolic number of elements, callable as ``x.size()``."""

    __slots__ = ("shape",)

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[axis_of(self.shape, dim)]


class Conversion(TensorBase):
    """Tensor methods for dtypes, Python numbers, sizes and display."""

    __slots__ = ()

    # -- sizes -----------------------------------------------------------------------

    @property
    def size(self) -> Count:
        """The tensor's number of elements; ``x.size()`` is its shape, as in PyTorch."""
        shape: Shape = self.shape
        total = size_of(shape)
        count: Any
        if isinstance(total, builtins.int):
            count = Count(total)
        else:
            count = NamedCount(*total.names, factor=total.factor)
        count.shape = shape
        return count

    def numel(self) -> builtins.int:
        """Return the tensor's number of elements."""
        total: Any = size_of(self.shape)
        return total

    nelement = numel

    def dim(self) -> builtins.int:
        """Return the tensor's number of axes, as ``x.ndim``."""
        return self.ndim

    ndimension = dim

    def element_size(self) -> builtins.int:
        """Return the size of a tensor's element in bytes."""
        return self.dtype.itemsize

    @property
    def itemsize(self) -> builtins.int:
        """The number of bytes of a tensor's element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> builtins.int:
        """The number of bytes of all elements of the tensor."""
        total: Any = size_of(self.shape)
        return total * self.dtype.itemsize

    # -- element types ---------------------------------------------------------------

    def astype(self, dtype: DTypeLike, *, copy: builtins.bool = False) -> Self:
        """Return the tensor converted to another dtype.

        Floats become integers towards zero; what is out of range becomes the nearest
        number in range, and NaN 0. The tensor itself where it has that dtype already,
        unless ``copy`` is asked for.
        """
        wanted = as_dtype(dtype)
        if wanted is self.dtype:
            return self._new(movement.copy(self.value)) if copy else self
        return self._new(astype(self.value, wanted))

    @strict
    def to(
        self,
        *args: DTypeLike | TensorBase | builtins.bool,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
    ) -> Self:
        """Convert the tensor to a dtype, or to that of another tensor.

        Tensors are on the CPU: ``x.to("cpu")`` is x, another device is refused.

        Args:
            args: a dtype, a device, both, or another tensor.
            dtype, device: the same by name.
            non_blocking: without an effect on the CPU.
            copy: whether the result has memory of its own in any case.
        """
        for argument in (*args, device):
            if isinstance(argument, TensorBase):
                dtype = argument.dtype
            elif argument is not None and not isinstance(argument, (int, bool)):
                dtype = dtype if is_device(argument) else argument
        return self.astype(self.dtype if dtype is None else dtype, copy=bool(copy))

    @overload
    def type(self, dtype: None = None) -> str: ...
    @overload
    def type(self, dtype: DTypeLike) -> Self: ...
    def type(self, dtype: Any = None) -> Any:
        """Convert to a dtype; without one, return the name of the tensor's type.

        Args:
            dtype: a dtype, a tensor type such as ``cr.FloatTensor``, or its name.

        >>> import chainrule as cr
        >>> cr.tensor([1.5]).type(), cr.tensor([1.5]).type(cr.LongTensor)
        ('chainrule.FloatTensor', tensor([1]))
        """
        if dtype is None:
            return f"chainrule.{TYPE_NAMES[self.dtype]}"
        return self.astype(tensor_dtype(dtype))

    def type_as(self, other: TensorBase) -> Self:
        """Return the tensor converted to the dtype of ``other``."""
        return self.astype(other.dtype)

    def float(self) -> Self:
        """Convert the tensor to float32."""
        return self.astype(DType.float32)

    def double(self) -> Self:
        """Convert the tensor to float64."""
        return self.astype(DType.float64)

    def bfloat16(self) -> Self:
        """Round the tensor to bfloat16, to nearest even: 8 significant bits.

        >>> import chainrule as cr
        >>> cr.tensor([1.0, 1.003, 3.4e38]).bfloat16().tolist()
        [1.0, 1.0, inf]
        """
        return self.astype(DType.bfloat16)

    def byte(self) -> Self:
        """Convert the tensor to uint8, rounding towards zero."""
        return self.astype(DType.uint8)

    def char(self) -> Self:
        """Convert the tensor to int8, rounding towards zero."""
        return self.astype(DType.int8)

    def short(self) -> Self:
        """Convert to int16, rounding towards zero."""
        return self.astype(DType.int16)

    def int(self) -> Self:
        """Convert the tensor to int32, rounding towards zero."""
        return self.astype(DType.int32)

    def long(self) -> Self:
        """Convert the tensor to int64, rounding towards zero."""
        return self.astype(DType.int64)

    def bool(self) -> Self:
        """Convert the tensor to bool: true where an element differs from 0."""
        return self.astype(DType.bool)

    # -- devices ---------------------------------------------------------------------

    @property
    def device(self) -> Device:
        """The device of the tensor: always the CPU."""
        return CPU

    def cpu(self) -> Self:
        """Return the tensor itself, because it is always on the CPU."""
        return self

    @property
    def is_cuda(self) -> builtins.bool:
        """False: the flag for a tensor on a GPU."""
        return False

    def pin_memory(self, device: DeviceLike = None) -> Self:
        """Return the tensor itself: only copies to a GPU gain from pinned memory."""
        return self

    def cuda(self, *__: Any) -> Self:
        """Raise an error for a move of the tensor to a GPU, which is not supported."""
        is_device("cuda")
        return self

    def to_device(self, device: DeviceLike, /, *, stream: Any = None) -> Self:
        """Return the tensor itself; refuse any device but ``"cpu"``."""
        check_device(device)
        return self

    # -- numbers ---------------------------------------------------------------------

    def item(self) -> Number:
        """Return the only element of the tensor as a Python number."""
        array = self.numpy()
        if array.size != 1:
            raise ShapeError(
                _("Only a tensor of one element is a number."),
                expected=_("one element"),
                got=_("shape {shape}", shape=show(self.shape)),
                fix=_("x.sum(), x.mean() or x[0] first, or x.tolist() for all"),
            )
        return array.item()

    def tolist(self) -> list[Any]:
        """Return the tensor's numbers as nested lists."""
        return self.numpy().tolist()

    def __float__(self) -> builtins.float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __int__(self) -> builtins.int:
        return int(self.item())

    def __index__(self) -> builtins.int:
        if not self.dtype.is_integer:
            raise DTypeError(
                _("Only integer tensors index."), expected="int64", got=self.dtype.name
            )
        return int(self.item())

    def __bool__(self) -> builtins.bool:
        if size_of(self.shape) != 1 and self.numpy() is not None:
            raise ShapeError(
                _("Many numbers are neither true nor false."),
                expected=_("one element"),
                got=_("shape {shape}", shape=show(self.shape)),
                fix=_("x.any() or x.all(); (0 < x) & (x < 1) in place of 0 < x < 1"),
            )
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        """Format a tensor of one element as a number: ``f"{loss:.4f}"``."""
        return format(self.item(), spec) if spec and self.size == 1 else str(self)

    @overload
    def __round__(self, digits: None = None) -> builtins.int: ...
    @overload
    def __round__(self, digits: builtins.int) -> Number: ...
    def __round__(self, digits: builtins.int | None = None) -> Any:
        return round(self.item(), digits)

    def __repr__(self) -> str:
        v = self._now
        if v.array is None and not getattr(self, "_pending", None):
            return f"tensor(<{v.type}>)"
        array = self.numpy()
        if self.dtype is DType.bfloat16:
            array = array.astype(np.float32)
        body = np.array2string(array, separator=", ", prefix="tensor(")
        plain = self.dtype in (get_default_dtype(), DType.int64, DType.bool)
        kind = "" if plain else f", dtype={self.dtype.name}"
        grad = _(", made by {name}", name=v.node.primitive.name) if v.node else ""
        grad = grad or (", requires_grad=True" if v.tracked else "")
        return f"tensor({body}{kind}{grad})"

    def _repr_html_(self) -> str:
        """Return the tensor as HTML for notebooks: a table, or a picture if large."""
        # Which only pages need.
        from chainrule.html.arrays import array_html, escape
        from chainrule.html.views import paragraph, view

        if self._now.array is None and not getattr(self, "_pending", None):
            return f"<pre>{escape(repr(self))}</pre>"
        head = f"{show(self.shape)} {self.dtype.name}"
        return view(paragraph(head), array_html(self.numpy()))

    # -- new tensors of the same dtype -----------------------------------------------

    def new(self, *data: TensorLike) -> Self:
        """Return a tensor of sizes or numbers in this dtype, as ``cr.Tensor`` does."""
        kind: Any = type(self)
        return kind._of_sizes_or_numbers(data, self.dtype)

    def new_tensor(
        self,
        data: TensorLike,
        *,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
    ) -> Self:
        """Return a tensor of the given numbers in the dtype of this tensor."""
        one = value_of(data, as_dtype(dtype or self.dtype))
        return self._fresh(one, device, requires_grad)

    def new_zeros(self, *size: SizeLike, **options: Any) -> Self:
        """Return a tensor of zeros in the given shape; see :meth:`new_full`."""
        return self.new_full(options.pop("size", size), 0, **options)

    def new_ones(self, *size: SizeLike, **options: Any) -> Self:
        """Return a tensor of ones in the given shape; see :meth:`new_full`."""
        return self.new_full(options.pop("size", size), 1, **options)

    def new_empty(self, *size: SizeLike, **options: Any) -> Self:
        """Return a tensor of zeros; PyTorch leaves the numbers undefined."""
        return self.new_full(options.pop("size", size), 0, **options)

    def new_full(
        self,
        size: SizeLike,
        fill_value: TensorLike,
        *,
        dtype: DTypeLike = None,
        device: DeviceLike = None,
        requires_grad: builtins.bool = False,
    ) -> Self:
        """Return a tensor filled with a number, in this dtype.

        Args:
            size: the shape.
            fill_value: the number.
            dtype: another one.
            device: the CPU.
            requires_grad: whether ``backward()`` shall fill ``.grad``.
        """
        one = value_of(fill_value, as_dtype(dtype or self.dtype))
        filled = movement.copy(broadcast_to(one, shape_of(size)))
        return self._fresh(filled, device, requires_grad)

    def _fresh(self, value: Value, device: Any, requires_grad: Any) -> Self:
        check_device(device)
        new: Any = self._new(value)
        return new.requires_grad_() if requires_grad else new

    def is_floating_point(self) -> builtins.bool:
        """Return whether the tensor's dtype is floating."""
        return self.dtype.is_float
