"""Layers that learn the number of their inputs at the first call."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import context
from chainrule.nn import construction
from chainrule.nn.affine import Linear
from chainrule.nn.arguments import layer_name
from chainrule.nn.batch_normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from chainrule.nn.convolution import Conv1d, Conv2d, Conv3d
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter
from chainrule.nn.transposed_convolution import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
    "UninitializedParameter",
]


class UninitializedParameter(Parameter):
    """The parameter of a lazy layer before its first call: any use is refused.

    Raises:
        ArgumentError: whenever it is used, by an optimiser too.
    """

    __slots__ = ()

    def __init__(self) -> None:
        self._base = self._storage = self._twin = self._pending = None
        self._grad, self.name, self.version = None, None, 0

    @property
    def _value(self) -> Any:
        """Raise the error for a parameter that has no numbers yet."""
        raise no_parameters("A lazy layer")

    def __reduce__(self) -> Any:
        return UninitializedParameter, ()


def no_parameters(kind: str) -> ArgumentError:
    """Return the error for a lazy layer that is used before its first call."""
    return ArgumentError(
        _("{kind} has no parameters before its first call.", kind=kind),
        expected=_("one call of the model on a batch, neither compiled nor traced"),
        got=_("an optimiser, a compiled function or a use of its parameters"),
        fix="model(x)",
    )


#: Arguments of lazy layers that are on by default, as PyTorch has them.
_ON = ("affine", "track_running_stats")


class _Lazy(Module):
    """Base class of lazy layers: at their first call they become another class.

    Their arguments are those of that class without the number of inputs.
    """

    _kind: ClassVar[type[Module]]
    _size: ClassVar[str]
    _axis: ClassVar[int]

    def __init_subclass__(cls, axis: int = -1, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._kind, cls._axis = cls.__mro__[2], axis
        own = construction.constructor(cls._kind).signature
        cls._size, *__ = own.parameters

        rest = [
            p.replace(default=True) if name in _ON else p
            for name, p in own.parameters.items()
            if name != cls._size
        ]

        def begin(self: Any, *args: Any, **kwargs: Any) -> None:
            inspect.Signature(rest).bind(*args, **kwargs)
            for name in ("weight", "bias"):
                wanted = self._arguments.get("affine", True)
                wanted = wanted and self._arguments.get(name, True)
                setattr(self, name, UninitializedParameter() if wanted else None)

        self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        begin.__signature__ = inspect.Signature([self_, *rest])  # type: ignore[attr-defined]
        cls.__init__ = begin  # type: ignore[method-assign]

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        """Become the layer for this input, and compute its output."""
        kind, x = type(self)._kind, as_tensor(x)
        if context.trace is not None:
            raise no_parameters(layer_name(type(self).__name__))
        axis = self._axis
        size = x.shape[axis] if -x.ndim <= axis < x.ndim else None
        if not size:
            raise ShapeError(
                _("{kind} finds no inputs to count.", kind=type(self).__name__),
                expected=_("an input with the axis of its features or channels"),
                got=show(x.shape),
            )
        given = {self._size: int(size), **self._arguments}
        built = kind(**given)
        kept = {
            key: self.__dict__[key]
            for key in ("training", "_name")
            if key in self.__dict__
        }
        self.__dict__.clear()
        self.__dict__.update({**built.__dict__, **kept})
        self.__class__ = kind  # type: ignore[assignment]
        return self.forward(x, *args)


class LazyLinear(_Lazy, Linear):
    """:class:`Linear` for as many inputs as its first input has.

    Until then its parameters are an :class:`UninitializedParameter`; an optimiser is
    made, and a function compiled, after the first call.

    >>> import chainrule as cr
    >>> layer = cr.nn.LazyLinear(3)
    >>> layer(cr.zeros(4, 2)).shape, layer
    ((4, 3), Linear(in_features=2, out_features=3))
    """


class LazyConv1d(_Lazy, Conv1d, axis=-2):
    """:class:`Conv1d` for as many channels as its first input has."""


class LazyConv2d(_Lazy, Conv2d, axis=-3):
    """:class:`Conv2d` for as many channels as its first input has."""


class LazyConv3d(_Lazy, Conv3d, axis=-4):
    """:class:`Conv3d` for as many channels as its first input has."""


class LazyConvTranspose1d(_Lazy, ConvTranspose1d, axis=-2):
    """:class:`ConvTranspose1d` for as many channels as its first input has."""


class LazyConvTranspose2d(_Lazy, ConvTranspose2d, axis=-3):
    """:class:`ConvTranspose2d` for as many channels as its first input has."""


class LazyConvTranspose3d(_Lazy, ConvTranspose3d, axis=-4):
    """:class:`ConvTranspose3d` for as many channels as its first input has."""


class LazyBatchNorm1d(_Lazy, BatchNorm1d, axis=1):
    """:class:`BatchNorm1d` for as many features as its first input has."""


class LazyBatchNorm2d(_Lazy, BatchNorm2d, axis=1):
    """:class:`BatchNorm2d` for as many channels as its first input has."""


class LazyBatchNorm3d(_Lazy, BatchNorm3d, axis=1):
    """:class:`BatchNorm3d` for as many channels as its first input has."""


class LazyInstanceNorm1d(_Lazy, InstanceNorm1d, axis=-2):
    """:class:`InstanceNorm1d` for as many channels as its first input has."""


class LazyInstanceNorm2d(_Lazy, InstanceNorm2d, axis=-3):
    """:class:`InstanceNorm2d` for as many channels as its first input has."""


class LazyInstanceNorm3d(_Lazy, InstanceNorm3d, axis=-4):
    """:class:`InstanceNorm3d` for as many channels as its first input has."""
