"""Transposed convolution: each input element spreads a kernel over the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import Shape
from chainrule.nn.affine import parameter, same_dtype
from chainrule.nn.arguments import Count, Size, floating, integer, layer_name, per_axis
from chainrule.nn.convolution import (
    Kernels,
    add_bias,
    batch_of,
    check_kernels,
    convolve,
)
from chainrule.operations.autocasting import is_mixed, short
from chainrule.operations.narrow import in_single
from chainrule.primitives.rules import show
from chainrule.primitives.sliding import dilated
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.validation import choice

__all__ = [
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]


class _ConvTranspose(Kernels):
    """Base class of transposed convolutions, the input derivatives of convolutions."""

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count,
        kernel_size: Count | tuple[Count, ...],
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: Literal["zeros"] = "zeros",
        *,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        strides = per_axis(kind, "stride", stride, self.axes)
        dilations = per_axis(kind, "dilation", dilation, self.axes)
        per_axis(kind, "padding", padding, self.axes, least=0)
        _output_padding(kind, output_padding, strides, dilations)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.output_padding = output_padding
        self.padding_mode = choice(
            "zeros", what=_("{kind} knows no such {name}."), kind=kind
        )("padding_mode", padding_mode)
        self._set_parameters(
            in_channels,
            out_channels,
            kernel_size,
            groups,
            bias,
            floating(kind, dtype, device),
            transposed=True,
        )

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        """Compute the transposed convolution of x.

        Args:
            x: the input.
            output_size: the lengths of the result, or its shape, instead of
                ``output_padding``; those that lie within a stride are possible.
        """
        slides = (self.stride, self.padding, self.output_padding, self.dilation)
        inputs = (x, self.weight, self.bias, *slides, self.groups, output_size)
        return _conv_transpose(type(self).__name__, self.axes, *inputs)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of a signal: each element spreads a kernel over a result.

        y[n, o, p·stride + k·dilation − padding] += W[c, o, k] · x[n, c, p],  then + bₒ

    The derivative of :class:`Conv1d` for its input, as a layer (Zeiler et al. 2010,
    "Deconvolutional networks"): a result has the length from which a ``Conv1d`` with
    the same arguments makes that of the input. It undoes no convolution.

    Args:
        in_channels: the number of channels C of the input.
        out_channels: the number of channels O of the output.
        kernel_size: the number of elements that one element is spread over along each
            axis, K.
        stride: from one position to the next, in the result.
        padding: the number of elements cut off before and after each axis.
        output_padding: the number of further elements after each axis, less than stride
            or dilation: with a stride several lengths have the same ``Conv1d``.
        groups: the number of groups of channels, see :class:`Conv1d`.
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


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images: as :class:`ConvTranspose1d`, along both axes.

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


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes: as :class:`ConvTranspose1d`, along three axes.

    Args:
        in_channels: the number of channels C of the input.
        out_channels: the number of channels O of the output.
        kernel_size: the depth, height and width of a kernel; one number for all.
        stride, padding, output_padding, dilation: see :class:`ConvTranspose1d`; one for
            all axes, or three.
        groups, bias, padding_mode, dtype: see :class:`ConvTranspose1d`.

    Shapes:
        ``weight`` (C, O/groups, K, L, M), ``bias`` (O,); input (N, C, D, H, W) or
        (C, D, H, W), output with the lengths of :class:`ConvTranspose1d`.

    >>> import chainrule as cr
    >>> cr.nn.ConvTranspose3d(4, 1, 2, stride=2)(cr.zeros(2, 4, 2, 3, 4)).shape
    (2, 1, 4, 6, 8)
    """

    axes = 3


def transposed(module: Any) -> bool:
    """Return whether a module is a transposed convolution: (in, out, …) its weights."""
    return isinstance(module, _ConvTranspose)


def conv_transpose1d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Compute :class:`ConvTranspose1d` with kernels W (C, O/groups, K) and bias (O,).

    >>> conv_transpose1d([[[1.0, 2.0]]], Tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    slides = (stride, padding, output_padding, dilation, groups)
    return _conv_transpose("ConvTranspose1d", 1, input, weight, bias, *slides)


def conv_transpose2d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Compute :class:`ConvTranspose2d` with kernels W (C, O/groups, K, L), bias (O,).

    >>> conv_transpose2d([[[1.0, 2.0]]], Tensor([[[[1.0, 1.0], [10.0, 10.0]]]]))
    tensor([[[ 1.,  3.,  2.],
             [10., 30., 20.]]])
    """
    slides = (stride, padding, output_padding, dilation, groups)
    return _conv_transpose("ConvTranspose2d", 2, input, weight, bias, *slides)


def conv_transpose3d(
    input: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Compute :class:`ConvTranspose3d`, kernels W (C, O/groups, K, L, M), bias (O,).

    >>> conv_transpose3d([[[[2.0]]]], Tensor([[[[[1.0, 3.0]]]]])).tolist()
    [[[[2.0, 6.0]]]]
    """
    slides = (stride, padding, output_padding, dilation, groups)
    return _conv_transpose("ConvTranspose3d", 3, input, weight, bias, *slides)


@in_single
def _conv_transpose(
    kind: str,
    axes: int,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: Any,
    output_size: Any = None,
) -> Tensor:
    """Compute a transposed convolution, the input derivative of a convolution.

    It is a convolution too: of the input with ``stride − 1`` zeros between its
    elements, with the kernel flipped.

    Raises:
        ShapeError: channels that are not C, groups that do not divide them; a padding
            that leaves nothing; sizes that no input of this one's comes from; a bias
            that is not (O,).
        ArgumentError: settings that no convolution has.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    groups = integer(kind, "groups", groups, least=1)
    check_kernels(kind, axes, weight.shape, groups, _("in, out/groups"))
    channels, outputs, *kernel = (int(d) for d in weight.shape)
    bias = parameter(kind, "bias", bias, (outputs * groups,), weight)
    x = same_dtype(kind, x, weight)
    x, single = batch_of(kind, "convolve", x, axes, channels)
    strides = per_axis(kind, "stride", stride, axes)
    dilations = per_axis(kind, "dilation", dilation, axes)
    extra = _output_padding(kind, output_padding, strides, dilations)
    widths = [dilated(k, d) - 1 for k, d in zip(kernel, dilations)]
    cropped = per_axis(kind, "padding", padding, axes, least=0)
    margins = [w - 2 * n for w, n in zip(widths, cropped)]
    got = show(x.shape[single:])
    smallest = _smallest_sizes(kind, x.shape, got, strides, margins)
    if output_size is not None:
        extra = _extra_for(kind, output_size, got, smallest, strides)
    pads = tuple((w - n, w - n + m) for w, n, m in zip(widths, cropped, extra))
    if any(size + m < 1 for size, m in zip(smallest, extra)):
        raise ShapeError(
            _("{kind}'s padding leaves nothing of its result.", kind=layer_name(kind)),
            expected=_("a result of at least 1 along each axis"),
            got=f"{got}, padding={padding}",
            fix=_("less padding, or a larger input"),
        )
    mixed = is_mixed(x.dtype)
    if mixed:
        x, weight = wrap(short(x.value)), wrap(short(weight.value))
    flipped = weight.flip(*range(2, axes + 2))
    slides = {"strides": (1,) * axes, "padding": pads, "lhs_dilation": strides}
    y = convolve(x, flipped, "co", groups, **slides, rhs_dilation=dilations)
    y = add_bias(y, bias, single)
    return wrap(short(y.value)) if mixed else y


def _output_padding(
    kind: str, output_padding: Any, strides: Any, dilations: Any
) -> tuple[int, ...]:
    """Check a transposed convolution's ``output_padding``; return it per axis."""
    extra = per_axis(kind, "output_padding", output_padding, len(strides), least=0)
    if all(m < max(s, d) for m, s, d in zip(extra, strides, dilations)):
        return extra
    raise ArgumentError(
        _(
            "{kind} says with output_padding which of the sizes within a stride it "
            "gives.",
            kind=kind,
        ),
        expected=_("output_padding smaller than stride or dilation"),
        got=f"output_padding={output_padding}, stride={strides}, dilation={dilations}",
    )


def _smallest_sizes(
    kind: str, shape: Shape, got: str, strides: Any, margins: Sequence[int]
) -> list[int]:
    """Return a transposed convolution's output sizes without ``output_padding``."""
    sizes: list[int] = []
    for length, stride, margin in zip(shape[2:], strides, margins):
        if not isinstance(length, int) or not length:
            raise ShapeError(
                _(
                    "{kind} slides over axes whose lengths are known.",
                    kind=layer_name(kind),
                ),
                expected=_(
                    "a number of samples alone that varies, lengths of at least 1"
                ),
                got=got,
            )
        sizes.append((length - 1) * stride + margin + 1)
    return sizes


def _extra_for(
    kind: str, output_size: Any, got: str, smallest: Sequence[int], strides: Any
) -> tuple[int, ...]:
    """Return the ``output_padding`` that gives a transposed convolution a size."""
    axes, wanted = len(strides), output_size
    if isinstance(wanted, tuple | list) and len(wanted) == axes + 2:
        wanted = wanted[2:]  # as y.shape, samples and channels in front
    sizes = per_axis(kind, "output_size", wanted, axes)
    if all(low <= n < low + s for n, low, s in zip(sizes, smallest, strides)):
        return tuple(n - low for n, low in zip(sizes, smallest))
    ranges = [
        _("{low} to {s}", low=low, s=low + s - 1) for low, s in zip(smallest, strides)
    ]
    raise ShapeError(
        _("{kind} cannot give a result of this output_size.", kind=layer_name(kind)),
        expected=" and ".join(ranges),
        got=_("output_size={wanted} for {given}", wanted=wanted, given=got),
    )
