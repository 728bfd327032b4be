"""Padding layers: axes that continue by a constant or by their own elements."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule import functions
from chainrule.errors import ArgumentError
from chainrule.nn.arguments import number
from chainrule.nn.convolution import batch_of
from chainrule.nn.module import Module
from chainrule.operations.joining import PadMode
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.validation import whole

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "pad",
]


def pad(
    input: Any, pad: Any, mode: PadMode = "constant", value: float | None = None
) -> Tensor:
    """Pad a tensor around its elements: :func:`chainrule.pad`.

    >>> pad([1.0, 2.0, 3.0], (1, 1), mode="circular")
    tensor([3., 1., 2., 3., 1.])
    """
    return functions.pad(input, pad, mode, value)


class _Pad(Module):
    """Base class of padding layers over the last ``axes`` axes.

    Args:
        padding: the number of elements added at all edges; or a pair for each axis, the
            last axis first: (left, right, top, bottom, front, back). Negative ones cut.
    """

    axes: ClassVar[int]
    mode: ClassVar[PadMode] = "constant"
    value: float = 0.0

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        several = isinstance(padding, tuple | list)
        self.padding: Any = padding
        sides = tuple(padding) if several else (padding,) * (2 * self.axes)
        if len(sides) != 2 * self.axes:
            raise ArgumentError(
                _("{kind} pads both ends of axes.", kind=type(self).__name__),
                expected=_("one integer, or {n} of them", n=2 * self.axes),
                got=f"padding={padding!r:.60}",
            )
        self._sides = [whole("padding", n, least=None) for n in sides]

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with its last axes padded."""
        x = as_tensor(x)
        if self.mode == "constant":
            return functions.pad(x, self._sides, value=self.value)
        batch_of(type(self).__name__, "pad", x, self.axes)
        return functions.pad(x, self._sides, self.mode)


class ConstantPad1d(_Pad):
    """Padding of signals by a constant.

    Args:
        padding: the number of elements added before and after the last axis, or both
            in a pair; negative ones cut off.
        value: of these elements.

    >>> import chainrule as cr
    >>> cr.nn.ConstantPad1d(1, 9.0)(cr.tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2., 9.]])
    """

    axes = 1

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        numbers = isinstance(value, float)  # ∞ and NaN too
        self.value = value if numbers else number("ConstantPad", "value", value)


class ConstantPad2d(ConstantPad1d):
    """:class:`ConstantPad1d` of images (…, C, H, W), by four numbers."""

    axes = 2


class ConstantPad3d(ConstantPad1d):
    """:class:`ConstantPad1d` of volumes (…, C, D, H, W), by six numbers."""

    axes = 3


class ZeroPad1d(_Pad):
    """Padding of signals by zeros.

    Args:
        padding: the number of elements added before and after the last axis, or both
            in a pair; negative ones cut off.

    >>> import chainrule as cr
    >>> cr.nn.ZeroPad1d((0, 2))(cr.tensor([[1.0, 2.0]]))
    tensor([[1., 2., 0., 0.]])
    """

    axes = 1


class ZeroPad2d(ZeroPad1d):
    """:class:`ZeroPad1d` of images (…, C, H, W), by four numbers."""

    axes = 2


class ZeroPad3d(ZeroPad1d):
    """:class:`ZeroPad1d` of volumes (…, C, D, H, W), by six numbers."""

    axes = 3


class ReflectionPad1d(_Pad):
    """Padding of signals by their own elements, mirrored at the last one.

    Args:
        padding: the number of elements added before and after the last axis, or both
            in a pair; negative ones cut off.

    >>> import chainrule as cr
    >>> cr.nn.ReflectionPad1d(1)(cr.tensor([[1.0, 2.0]]))
    tensor([[2., 1., 2., 1.]])
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """:class:`ReflectionPad1d` of images (…, C, H, W), by four numbers."""

    axes = 2


class ReflectionPad3d(ReflectionPad1d):
    """:class:`ReflectionPad1d` of volumes (…, C, D, H, W), by six numbers."""

    axes = 3


class ReplicationPad1d(_Pad):
    """Padding of signals by their last elements.

    Args:
        padding: the number of elements added before and after the last axis, or both
            in a pair; negative ones cut off.

    >>> import chainrule as cr
    >>> cr.nn.ReplicationPad1d(1)(cr.tensor([[1.0, 2.0]]))
    tensor([[1., 1., 2., 2.]])
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """:class:`ReplicationPad1d` of images (…, C, H, W), by four numbers."""

    axes = 2


class ReplicationPad3d(ReplicationPad1d):
    """:class:`ReplicationPad1d` of volumes (…, C, D, H, W), by six numbers."""

    axes = 3


class CircularPad1d(_Pad):
    """Padding of signals by elements of the other end.

    Args:
        padding: the number of elements added before and after the last axis, or both
            in a pair; negative ones cut off.

    >>> import chainrule as cr
    >>> cr.nn.CircularPad1d(1)(cr.tensor([[1.0, 2.0]]))
    tensor([[2., 1., 2., 1.]])
    """

    axes = 1
    mode = "circular"


class CircularPad2d(CircularPad1d):
    """:class:`CircularPad1d` of images (…, C, H, W), by four numbers."""

    axes = 2


class CircularPad3d(CircularPad1d):
    """:class:`CircularPad1d` of volumes (…, C, D, H, W), by six numbers."""

    axes = 3
