"""Convolutional layers: the same kernels at each position of a signal or image."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from chainrule.errors import ArgumentError
from chainrule.nn.arguments import Count, counts, flag, floating, spread
from chainrule.nn.functional.convolution import (
    EDGES,
    conv,
    conv_transpose,
    further,
    paddings,
)
from chainrule.nn.module import Module, Parameter
from chainrule.random import uniform
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.validation import choice

Edges = Literal["zeros", "reflect", "replicate", "circular"]


class _Conv(Module):
    """Base class of convolutional layers: kernels over ``axes`` axes."""

    axes: ClassVar[int]
    modes: ClassVar[tuple[str, ...]] = tuple(EDGES)
    bias: Parameter | None

    def _set(
        self,
        in_channels: Any,
        out_channels: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: Any,
        bias: Any,
        padding_mode: Any,
        dtype: Any,
    ) -> None:
        kind = type(self).__name__
        made = counts(
            kind, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        self.in_channels, self.out_channels, self.groups = made
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ArgumentError(
                _("{kind} cuts its channels into groups of one size.", kind=kind),
                expected=_("in_channels and out_channels that are multiples of groups"),
                got=f"in_channels={in_channels}, out_channels={out_channels}, "
                f"groups={groups}",
            )
        window = spread(kind, "kernel_size", kernel_size, self.axes)
        steps = spread(kind, "stride", stride, self.axes)
        reach = spread(kind, "dilation", dilation, self.axes)
        self._check(padding, window, steps, reach)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation = dilation
        edges = choice(
            "zeros", *self.modes, what=_("{kind} knows no such {name}."), kind=kind
        )
        self.padding_mode = edges("padding_mode", padding_mode)
        shape = (*self._channels(), *window)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        draw = {"low": -bound, "high": bound, "dtype": floating(kind, dtype)}
        self.weight = Parameter(uniform(*shape, **draw))
        biased = flag(kind, "bias", bias)
        self.bias = Parameter(uniform(self.out_channels, **draw)) if biased else None

    def _check(self, padding: Any, window: Any, steps: Any, reach: Any) -> None:
        paddings(type(self).__name__, padding, window, steps, reach)

    def _channels(self) -> tuple[int, int]:
        """Return the lengths of the weight's two channel axes."""
        return self.out_channels, self.in_channels // self.groups

    def forward(self, x: Tensor) -> Tensor:
        """Compute the convolution of x with the kernels, plus the bias."""
        slides = (self.stride, self.padding, self.dilation, self.groups)
        kind, mode = type(self).__name__, self.padding_mode
        return conv(kind, self.axes, x, self.weight, self.bias, *slides, mode)


class Conv1d(_Conv):
    """Kernels that slide over a signal, the same at each place.

        y[n, o, p] = bₒ + Σ_c Σ_k W[o, c, k] · x[n, c, p·stride + k·dilation − padding]

    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition". As
    everywhere in the field it is a cross-correlation: the kernel is not turned round.

    Args:
        in_channels: the number of channels C of the input.
        out_channels: the number of kernels O, one channel of the output each.
        kernel_size: how many elements a kernel sees along each axis, K.
        stride: from one place to the next.
        padding: how many elements are put before and behind each axis; ``"valid"`` for
            none, ``"same"`` for as many as keep its length (with a stride of 1).
        dilation: from one element that a kernel sees to the next.
        groups: into so many groups channels are cut; a kernel sees those of one group.
            ``groups=in_channels`` is a depthwise convolution.
        bias: whether there is a b.
        padding_mode: what padding consists of: ``"zeros"``, or the input itself,
            ``"reflect"``, ``"replicate"`` (its last element) or ``"circular"``.
        dtype: of the parameters.

    Shapes:
        ``weight`` (O, C/groups, K), ``bias`` (O,), both from U(−1/√n, 1/√n) as
        PyTorch's, with n = C/groups · K; input (N, C, L) or (C, L), output (N, O, L′)
        or (O, L′) with L′ = ⌊(L + 2·padding − dilation·(K − 1) − 1)/stride⌋ + 1.

    >>> import chainrule as cr
    >>> cr.nn.Conv1d(2, 8, kernel_size=3, padding="same")(cr.zeros(5, 2, 10)).shape
    (5, 8, 10)
    """

    axes = 1

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count,
        kernel_size: Count | tuple[Count],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Edges = "zeros",
        *,
        dtype: str = "float32",
    ) -> None:
        slides = (kernel_size, stride, padding, dilation, groups)
        self._set(in_channels, out_channels, *slides, bias, padding_mode, dtype)


class Conv2d(_Conv):
    """Kernels that slide over images: :class:`Conv1d` along height and width.

    Args:
        in_channels: the number of channels C of the images: 1 for grey, 3 for colour.
        out_channels: the number of kernels O, one channel of the output each.
        kernel_size: the height and width of a kernel, K and L.
        stride, padding, dilation: see :class:`Conv1d`; one for both axes, or a pair.
        groups, bias, padding_mode, dtype: see :class:`Conv1d`.

    Shapes:
        ``weight`` (O, C/groups, K, L), ``bias`` (O,); input (N, C, H, W) or (C, H, W),
        output (N, O, H′, W′) or (O, H′, W′), H′ and W′ as L′ of :class:`Conv1d`.

    >>> import chainrule as cr
    >>> cr.nn.Conv2d(1, 8, kernel_size=5, stride=2)(cr.zeros(3, 1, 28, 28)).shape
    (3, 8, 12, 12)
    >>> cr.nn.Conv2d(3, 8, (3, 1), padding="same")
    Conv2d(in_channels=3, out_channels=8, kernel_size=[3, 1], padding='same')
    """

    axes = 2

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count,
        kernel_size: Count | tuple[Count, Count],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Edges = "zeros",
        *,
        dtype: str = "float32",
    ) -> None:
        slides = (kernel_size, stride, padding, dilation, groups)
        self._set(in_channels, out_channels, *slides, bias, padding_mode, dtype)


class _ConvTranspose(_Conv):
    """Base class of transposed convolutions, the input derivatives of convolutions."""

    modes = ()
    output_padding: Any

    def _check(self, padding: Any, window: Any, steps: Any, reach: Any) -> None:
        kind = type(self).__name__
        spread(kind, "padding", padding, self.axes, least=0)
        further(kind, self.output_padding, steps, reach)

    def _channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        """Compute the transposed convolution of x.

        Args:
            x: the input.
            output_size: the lengths of the result, or its shape, instead of
                ``output_padding``; those that lie within a stride are possible.
        """
        slides = (self.stride, self.padding, self.output_padding, self.dilation)
        given = (x, self.weight, self.bias, *slides, self.groups, output_size)
        return conv_transpose(type(self).__name__, self.axes, *given)


class ConvTranspose1d(_ConvTranspose):
    """Each element spreads a kernel out over the result: a signal becomes longer.

        y[n, o, p·stride + k·dilation − padding] += W[c, o, k] · x[n, c, p],  then + bₒ

    The derivative of :class:`Conv1d` for its input, as a layer (Zeiler et al. 2010,
    "Deconvolutional networks"): a result has the length from which a ``Conv1d`` with
    the same arguments makes that of the input. It undoes no convolution.

    Args:
        in_channels: the number of channels C of the input.
        out_channels: the number of channels O of the output.
        kernel_size: over how many elements one is spread along each axis, K.
        stride: from one place to the next, in the result.
        padding: how many elements are cut off before and behind each axis.
        output_padding: how many more are kept behind, less than stride or dilation:
            with a stride several lengths have the same ``Conv1d``.
        groups: into so many groups channels are cut, see :class:`Conv1d`.
        bias: whether there is a b.
        dilation: from one element of a kernel to the next.
        padding_mode: ``"zeros"`` alone.
        dtype: of the parameters.

    Shapes:
        ``weight`` (C, O/groups, K), ``bias`` (O,), both from U(−1/√n, 1/√n) as
        PyTorch's, with n = O/groups · K; input (N, C, L) or (C, L), output (N, O, L′)
        or (O, L′) with L′ = (L − 1)·stride − 2·padding + dilation·(K − 1) +
        output_padding + 1.

    >>> import chainrule as cr
    >>> longer = cr.nn.ConvTranspose1d(8, 2, kernel_size=3, stride=2, padding=1)
    >>> longer(cr.zeros(5, 8, 10)).shape, longer(cr.zeros(5, 8, 10), 20).shape
    ((5, 2, 19), (5, 2, 20))
    """

    axes = 1

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count,
        kernel_size: Count | tuple[Count],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] = 0,
        output_padding: int | tuple[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int] = 1,
        padding_mode: Literal["zeros"] = "zeros",
        *,
        dtype: str = "float32",
    ) -> None:
        self.output_padding = output_padding
        slides = (kernel_size, stride, padding, dilation, groups)
        self._set(in_channels, out_channels, *slides, bias, padding_mode, dtype)


class ConvTranspose2d(_ConvTranspose):
    """Images that become larger: :class:`ConvTranspose1d` along height and width.

    Args:
        in_channels: the number of channels C of the input.
        out_channels: the number of channels O of the output.
        kernel_size: the height and width of a kernel, K and L.
        stride, padding, output_padding, dilation: see :class:`ConvTranspose1d`; one for
            both axes, or a pair.
        groups, bias, padding_mode, dtype: see :class:`ConvTranspose1d`.

    Shapes:
        ``weight`` (C, O/groups, K, L), ``bias`` (O,); input (N, C, H, W) or (C, H, W),
        output (N, O, H′, W′) or (O, H′, W′), as L′ of :class:`ConvTranspose1d`.

    >>> import chainrule as cr
    >>> larger = cr.nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1)
    >>> larger(cr.zeros(3, 64, 7, 7)).shape
    (3, 32, 14, 14)
    """

    axes = 2

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count,
        kernel_size: Count | tuple[Count, Count],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: Literal["zeros"] = "zeros",
        *,
        dtype: str = "float32",
    ) -> None:
        self.output_padding = output_padding
        slides = (kernel_size, stride, padding, dilation, groups)
        self._set(in_channels, out_channels, *slides, bias, padding_mode, dtype)
