"""Convolution: the same kernels at each position of a signal or image."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, get_args

from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import pad
from chainrule.graph.types import DType, Shape
from chainrule.nn.affine import parameter, same_dtype
from chainrule.nn.arguments import (
    LENGTHS,
    Count,
    Size,
    flag,
    floating,
    integer,
    layer_name,
    per_axis,
    positive_integers,
)
from chainrule.nn.module import Module, Parameter
from chainrule.nn.parameter import drawn
from chainrule.operations.autocasting import is_mixed, short
from chainrule.operations.narrow import in_single
from chainrule.primitives import conv as convolution
from chainrule.primitives.rules import show
from chainrule.primitives.sliding import dilated
from chainrule.random import uniform
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _, ngettext
from chainrule.util.validation import choice

__all__ = ["Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d"]

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Kernels(Module):
    """Base class of convolution layers: kernels over ``axes`` axes, and a bias."""

    axes: ClassVar[int]
    weight: Parameter
    #: None where the layer has none.
    bias: Parameter | Any

    def _set_parameters(
        self,
        in_channels: Any,
        out_channels: Any,
        kernel_size: Any,
        groups: Any,
        bias: Any,
        dtype: DType,
        transposed: bool = False,
    ) -> None:
        """Check a convolution layer's sizes, and create its ``weight`` and ``bias``."""
        kind = type(self).__name__
        self.in_channels, self.out_channels, self.groups = positive_integers(
            kind, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ArgumentError(
                _("{kind} cuts its channels into groups of one size.", kind=kind),
                expected=_("in_channels and out_channels that are multiples of groups"),
                got=f"in_channels={in_channels}, out_channels={out_channels}, "
                f"groups={groups}",
            )
        kernel = per_axis(kind, "kernel_size", kernel_size, self.axes)
        self.kernel_size = kernel_size
        channels = self.out_channels, self.in_channels // self.groups
        if transposed:
            channels = self.in_channels, self.out_channels // self.groups
        shape = (*channels, *kernel)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        draw = {"low": -bound, "high": bound, "dtype": dtype}
        self.weight = drawn(uniform, *shape, **draw)
        biased = flag(kind, "bias", bias)
        self.bias = drawn(uniform, self.out_channels, **draw) if biased else None


class _Conv(Kernels):
    """Base class of convolution layers over ``axes`` axes."""

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count,
        kernel_size: Count | tuple[Count, ...],
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        kernel = per_axis(kind, "kernel_size", kernel_size, self.axes)
        strides = per_axis(kind, "stride", stride, self.axes)
        dilations = per_axis(kind, "dilation", dilation, self.axes)
        paddings(kind, padding, kernel, strides, dilations)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.padding_mode = choice(
            *get_args(PaddingMode), what=_("{kind} knows no such {name}."), kind=kind
        )("padding_mode", padding_mode)
        self._set_parameters(
            in_channels,
            out_channels,
            kernel_size,
            groups,
            bias,
            floating(kind, dtype, device),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the convolution of x with the kernels, plus the bias."""
        slides = (self.stride, self.padding, self.dilation, self.groups)
        kind, mode = type(self).__name__, self.padding_mode
        return _conv(kind, self.axes, x, self.weight, self.bias, *slides, mode)


class Conv1d(_Conv):
    """Kernels that slide over a signal, the same at each position.

        y[n, o, p] = bₒ + Σ_c Σ_k W[o, c, k] · x[n, c, p·stride + k·dilation − padding]

    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition". As
    everywhere in the field it is a cross-correlation: the kernel is not flipped.

    Args:
        in_channels: the number of channels C of the input.
        out_channels: the number of kernels O, one channel of the output each.
        kernel_size: the number of elements under a kernel along each axis, K.
        stride: from one position to the next.
        padding: the number of elements added before and after each axis; ``"valid"``
            for none, ``"same"`` for as many as keep its length (with a stride of 1).
        dilation: from one element under a kernel to the next.
        groups: the number of groups of channels; a kernel sees the channels of one.
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


class Conv3d(_Conv):
    """Kernels that slide over volumes: :class:`Conv1d` along depth, height and width.

    Args:
        in_channels: the number of channels C of the volumes.
        out_channels: the number of kernels O.
        kernel_size: the depth, height and width of a kernel; one number for all.
        stride, padding, dilation: see :class:`Conv1d`; one for all axes, or three.
        groups, bias, padding_mode, dtype: see :class:`Conv1d`.

    Shapes:
        ``weight`` (O, C/groups, K, L, M), ``bias`` (O,); input (N, C, D, H, W) or
        (C, D, H, W), output (N, O, D′, H′, W′) or (O, D′, H′, W′).

    >>> import chainrule as cr
    >>> cr.nn.Conv3d(1, 4, 3, padding=1)(cr.zeros(2, 1, 5, 6, 7)).shape
    (2, 4, 5, 6, 7)
    """

    axes = 3


def conv1d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Compute :class:`Conv1d` with the kernels W (O, C/groups, K) and the bias (O,).

    >>> conv1d([[[1.0, 2.0, 4.0, 8.0]]], Tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2., 4.]]])
    """
    return _conv("Conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Compute :class:`Conv2d` with the kernels W (O, C/groups, K, L) and the bias (O,).

    >>> conv2d([[[1.0, 2.0], [3.0, 4.0]]], Tensor([[[[1.0, 1.0]]]]), padding="valid")
    tensor([[[3.],
             [7.]]])
    """
    return _conv("Conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Compute :class:`Conv3d` with kernels W (O, C/groups, K, L, M) and bias (O,).

    >>> conv3d([[[[1.0, 2.0]]]], Tensor([[[[[1.0, 1.0]]]]])).tolist()
    [[[[3.0]]]]
    """
    return _conv("Conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@in_single
def _conv(
    kind: str,
    axes: int,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    padding_mode: PaddingMode = "zeros",
) -> Tensor:
    """Compute a convolution over ``axes`` axes.

    Raises:
        ShapeError: channels that are not there, or are not C; groups that do not
            divide them; a kernel larger than the padded input; a bias that is not (O,).
        ArgumentError: settings that no convolution has.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    groups = integer(kind, "groups", groups, least=1)
    check_kernels(kind, axes, weight.shape, groups, _("out, in/groups"))
    channels, *kernel = (int(d) for d in weight.shape[1:])
    bias = parameter(kind, "bias", bias, weight.shape[:1], weight)
    x = same_dtype(kind, x, weight)
    x, single = batch_of(kind, "convolve", x, axes, channels * groups)
    strides = per_axis(kind, "stride", stride, axes)
    dilations = per_axis(kind, "dilation", dilation, axes)
    pads = paddings(kind, padding, kernel, strides, dilations)
    check_fit(kind, x.shape, kernel, pads, dilations, single)
    if padding_mode != "zeros":
        _check_padding_mode(kind, x.shape, pads, padding_mode, single)
        x = pad(x, [n for sides in reversed(pads) for n in sides], padding_mode)
        pads = ((0, 0),) * axes
    slides = {"strides": strides, "padding": pads, "lhs_dilation": (1,) * axes}
    mixed = is_mixed(x.dtype)
    if mixed:
        x, weight = wrap(short(x.value)), wrap(short(weight.value))
    y = convolve(x, weight, "oc", groups, **slides, rhs_dilation=dilations)
    y = add_bias(y, bias, single)
    return wrap(short(y.value)) if mixed else y


def convolve(
    x: Tensor, weight: Tensor, channel_axes: str, groups: int, **slides: Any
) -> Tensor:
    """Convolve each group of channels; ``channel_axes`` names the kernels' channels."""
    positions = "".join(map(str, range(x.ndim - 2)))
    dims = f"nc{positions},{channel_axes}{positions}->no{positions}"
    if groups > 1:
        dims = f"ngc{positions},g{channel_axes}{positions}->ngo{positions}"
        x = x.unflatten(1, (groups, -1))
        weight = weight.unflatten(0, (groups, -1))
    values = (x.value, weight.value)
    y = wrap(convolution.conv(*values, dims=dims, accumulate=x.dtype, **slides))
    return y.flatten(1, 2) if groups > 1 else y


def add_bias(y: Tensor, bias: Tensor | None, single: bool) -> Tensor:
    """Add a convolution's bias per channel; remove a single sample's batch axis."""
    if bias is not None:
        y = y + bias.reshape(-1, *[1] * (y.ndim - 2))
    return y.squeeze(0) if single else y


def check_kernels(
    kind: str, axes: int, shape: Shape, groups: int, channels: str
) -> None:
    """Refuse convolution kernels whose shape does not suit the number of groups."""
    if len(shape) == axes + 2 and not int(shape[0]) % groups:
        return
    name = layer_name(kind)
    raise ShapeError(
        ngettext(
            "{kind} has no kernels for {n} group.",
            "{kind} has no kernels for {n} groups.",
            n=groups,
            kind=name,
        )
        if groups > 1
        else _("{kind} has no kernels.", kind=name),
        expected=_(
            "a weight of shape ({channels}, {axes}), {partition} a multiple of groups",
            channels=channels,
            axes=", ".join(["kernel"] * axes),
            partition=channels.partition(",")[0],
        ),
        got=show(shape),
    )


def batch_of(
    kind: str, doing: str, x: Tensor, axes: int, channels: int | None = None
) -> tuple[Tensor, bool]:
    """Return a layer's input as a batch (N, C, …), and whether it was a single sample.

    Raises:
        ShapeError: other axes, or other channels than these.
    """
    lengths = LENGTHS[axes - 1]
    named = "C" if channels is None else str(channels)
    axis = x.ndim - axes - 1  # of the channels
    if axis in (0, 1) and (channels is None or x.shape[axis] == channels):
        return (x, False) if axis else (x.unsqueeze(0), True)
    fix = _(
        "x.reshape(-1, {named}, {lengths}), or nn.Unflatten(1, ({named}, {lengths}))",
        named=named,
        lengths=lengths,
    )
    if axis == 0:
        fix = _("x.unsqueeze(1) gives a batch of grey images its axis of channels")
        if channels != 1:
            fix = _("{fix}, for nn.{kind}(1, …)", fix=fix, kind=kind)
    elif axis == 1 and x.shape[-1] == channels:
        fix = _("x.movedim(-1, 1): channels come before {lengths}", lengths=lengths)
    elif axis == 1:
        fix = _("build nn.{kind}({shape}, …)", kind=kind, shape=x.shape[axis])
    raise ShapeError(
        _("{kind} cannot {doing} its input.", kind=layer_name(kind), doing=doing),
        expected=_(
            "(N, {named}, {lengths}), or ({named}, {lengths}) for one sample",
            named=named,
            lengths=lengths,
        ),
        got=show(x.shape),
        fix=fix,
    )


def paddings(
    kind: str, padding: Any, window: Any, strides: Any, dilations: Any
) -> tuple[tuple[int, int], ...]:
    """Return a window's padding before and after each axis, from ``padding``."""
    axes = len(window)
    if not isinstance(padding, str):
        return tuple((n, n) for n in per_axis(kind, "padding", padding, axes, least=0))
    words = _("{name} is a number, or a word that {kind} knows.")
    if choice("same", "valid", what=words, kind=kind)("padding", padding) == "valid":
        return ((0, 0),) * axes
    if any(stride != 1 for stride in strides):
        raise ArgumentError(
            _(
                "{kind} gives as many places as it takes in steps of one alone.",
                kind=kind,
            ),
            expected=_("padding='same' with stride=1"),
            got=f"padding='same', stride={strides}",
            fix=_("padding=(kernel_size − 1) // 2 divides the places by the stride"),
        )
    extra = [dilated(k, d) - 1 for k, d in zip(window, dilations)]
    return tuple((n // 2, n - n // 2) for n in extra)


def check_fit(
    kind: str, shape: Shape, window: Any, pads: Any, dilations: Any, single: bool
) -> None:
    """Refuse a convolution or pooling window that is larger than the padded input.

    Args:
        kind: the layer.
        shape: of the input, with an axis of samples.
        window, pads, dilations: of the window.
        single: whether the user gave one sample, without that axis.
    """
    for axis, (k, (low, high), d) in enumerate(zip(window, pads, dilations), start=2):
        length, needed = shape[axis], dilated(k, d) - low - high
        if not isinstance(length, int):
            raise ShapeError(
                _(
                    "{kind} slides over axes whose lengths are known.",
                    kind=layer_name(kind),
                ),
                expected=_("a number of samples alone that varies"),
                got=show(shape[single:]),
            )
        if length < max(needed, 1):
            raise ShapeError(
                _(
                    "{kind}'s window is larger than its padded input.",
                    kind=layer_name(kind),
                ),
                expected=_(
                    "at least {needed} along axis {single}",
                    needed=max(needed, 1),
                    single=axis - single,
                ),
                got=show(shape[single:]),
                fix=_("a smaller kernel or dilation, or more padding"),
            )


def _check_padding_mode(
    kind: str, shape: Shape, pads: Any, mode: str, single: bool
) -> None:
    """Refuse a convolution's padding mode if the input has too few elements for it."""
    for axis, sides in enumerate(pads, start=2):
        length, side = shape[axis], max(sides)
        needed = {"reflect": side + 1, "replicate": 1, "circular": side}[mode]
        if side and (not isinstance(length, int) or length < needed):
            raise ShapeError(
                _(
                    "{kind} continues its input by elements that it has not.",
                    kind=layer_name(kind),
                ),
                expected=_(
                    "at least {needed} along axis {single}",
                    needed=needed,
                    single=axis - single,
                ),
                got=show(shape[single:]),
                fix=_("less padding, or padding_mode='zeros'"),
            )
