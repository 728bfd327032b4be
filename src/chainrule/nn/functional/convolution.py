"""Convolutions and transposed convolutions over the axes after (N, C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.types import Shape
from chainrule.nn.arguments import integer, place, spread
from chainrule.nn.functional.layers import parameter, same_dtype
from chainrule.primitives import conv as convolution
from chainrule.primitives.rules import show
from chainrule.primitives.sliding import dilated
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _
from chainrule.util.validation import choice

#: What stands beyond the edges, by NumPy's names for it.
EDGES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
Pair = int | tuple[int, int]


def conv1d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] | str = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Compute bₒ + Σ_c Σ_k W[o, c, k] x[n, c, p·stride + k·dilation − padding].

    Args:
        x: (N, C, L), or (C, L).
        weight: W, (O, C/groups, K).
        bias: b, (O,), or None.
        stride, padding, dilation, groups: see :class:`chainrule.nn.Conv1d`.

    Returns:
        (N, O, L′), or (O, L′).

    >>> conv1d([[[1.0, 2.0, 4.0, 8.0]]], Tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2., 4.]]])
    """
    return conv("Conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Compute the convolution b + W ∗ X over height and width, see :func:`conv1d`.

    Args:
        x: (N, C, H, W), or (C, H, W).
        weight: W, (O, C/groups, K, L).
        bias: b, (O,), or None.
        stride, padding, dilation, groups: see :class:`chainrule.nn.Conv2d`.

    Returns:
        (N, O, H′, W′), or (O, H′, W′).

    >>> conv2d([[[1.0, 2.0], [3.0, 4.0]]], Tensor([[[[1.0, 1.0]]]]), padding="valid")
    tensor([[[3.],
             [7.]]])
    """
    return conv("Conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] = 0,
    output_padding: int | tuple[int] = 0,
    groups: int = 1,
    dilation: int | tuple[int] = 1,
) -> Tensor:
    """Compute a transposed convolution: each input element spreads out a kernel.

    Args:
        x: (N, C, L), or (C, L).
        weight: W, (C, O/groups, K).
        bias: b, (O,), or None.
        stride, padding, output_padding, groups, dilation: see
            :class:`chainrule.nn.ConvTranspose1d`.

    Returns:
        (N, O, L′), or (O, L′).

    >>> conv_transpose1d([[[1.0, 2.0]]], Tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    slides = (stride, padding, output_padding, dilation, groups)
    return conv_transpose("ConvTranspose1d", 1, x, weight, bias, *slides)


def conv_transpose2d(
    x: Any,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    """Compute :func:`conv_transpose1d` over height and width.

    Args:
        x: (N, C, H, W), or (C, H, W).
        weight: W, (C, O/groups, K, L).
        bias: b, (O,), or None.
        stride, padding, output_padding, groups, dilation: see
            :class:`chainrule.nn.ConvTranspose2d`.

    Returns:
        (N, O, H′, W′), or (O, H′, W′).

    >>> conv_transpose2d([[[1.0, 2.0]]], Tensor([[[[1.0, 1.0], [10.0, 10.0]]]]))
    tensor([[[ 1.,  3.,  2.],
             [10., 30., 20.]]])
    """
    slides = (stride, padding, output_padding, dilation, groups)
    return conv_transpose("ConvTranspose2d", 2, x, weight, bias, *slides)


def conv(
    kind: str,
    axes: int,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    mode: str = "zeros",
) -> Tensor:
    """Compute a convolution over ``axes`` axes; ``mode`` determines the padding values.

    Raises:
        ShapeError: channels that are not there, or are not C; groups that do not
            divide them; a kernel larger than the padded input; a bias that is not (O,).
        ArgumentError: settings that no convolution has.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    groups = integer(kind, "groups", groups, least=1)
    _check_weight(kind, axes, weight.shape, groups, _("out, in/groups"))
    channels, *window = (int(d) for d in weight.shape[1:])
    bias = parameter(kind, "bias", bias, weight.shape[:1], weight)
    x = same_dtype(kind, x, weight)
    x, single = batch_of(kind, "convolve", x, axes, channels * groups)
    steps = spread(kind, "stride", stride, axes)
    reach = spread(kind, "dilation", dilation, axes)
    pads = paddings(kind, padding, window, steps, reach)
    check_fit(kind, x.shape, window, pads, reach, single)
    if mode != "zeros":
        _check_edges(kind, x.shape, pads, mode, single)
        for axis, (low, high) in enumerate(pads, start=2):
            x = _continued(x, axis, low, high, mode)
        pads = ((0, 0),) * axes
    slides = {"strides": steps, "padding": pads, "lhs_dilation": (1,) * axes}
    y = _slide(x, weight, "oc", groups, **slides, rhs_dilation=reach)
    return _shifted(y, bias, single)


def conv_transpose(
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
    """Compute a transposed convolution, the input derivative of :func:`conv`.

    It is a convolution too: of the input with ``stride − 1`` zeros between its
    elements, with the kernel turned round.

    Raises:
        ShapeError: channels that are not C, groups that do not divide them; a padding
            that leaves nothing; sizes that no input of this one's comes from; a bias
            that is not (O,).
        ArgumentError: settings that no convolution has.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    groups = integer(kind, "groups", groups, least=1)
    _check_weight(kind, axes, weight.shape, groups, _("in, out/groups"))
    channels, outputs, *window = (int(d) for d in weight.shape)
    bias = parameter(kind, "bias", bias, (outputs * groups,), weight)
    x = same_dtype(kind, x, weight)
    x, single = batch_of(kind, "convolve", x, axes, channels)
    steps = spread(kind, "stride", stride, axes)
    reach = spread(kind, "dilation", dilation, axes)
    more = further(kind, output_padding, steps, reach)
    widths = [dilated(k, r) - 1 for k, r in zip(window, reach)]
    lost = spread(kind, "padding", padding, axes, least=0)
    rest = [w - 2 * n for w, n in zip(widths, lost)]
    given = show(x.shape[single:])
    least = _least(kind, x.shape, given, steps, rest)
    if output_size is not None:
        more = _to_size(kind, output_size, given, least, steps)
    pads = tuple((w - n, w - n + m) for w, n, m in zip(widths, lost, more))
    if any(size + m < 1 for size, m in zip(least, more)):
        raise ShapeError(
            _("{kind}'s padding leaves nothing of its result.", kind=place(kind)),
            expected=_("a result of at least 1 along each axis"),
            got=f"{given}, padding={padding}",
            fix=_("less padding, or a larger input"),
        )
    turned = weight.flip(*range(2, axes + 2))
    slides = {"strides": (1,) * axes, "padding": pads, "lhs_dilation": steps}
    y = _slide(x, turned, "co", groups, **slides, rhs_dilation=reach)
    return _shifted(y, bias, single)


def _slide(
    x: Tensor, weight: Tensor, letters: str, groups: int, **slides: Any
) -> Tensor:
    """Convolve each group; ``letters`` are the axes of the kernel's channels."""
    places = "".join(map(str, range(x.ndim - 2)))
    dims = f"nc{places},{letters}{places}->no{places}"
    if groups > 1:
        dims = f"ngc{places},g{letters}{places}->ngo{places}"
        x = x.unflatten(1, (groups, -1))
        weight = weight.unflatten(0, (groups, -1))
    values = (x.value, weight.value)
    y = wrap(convolution.conv(*values, dims=dims, accumulate=x.dtype, **slides))
    return y.flatten(1, 2) if groups > 1 else y


def _shifted(y: Tensor, bias: Tensor | None, single: bool) -> Tensor:
    """Add the bias of each channel, and remove the batch axis of a single sample."""
    if bias is not None:
        y = y + bias.reshape(-1, *[1] * (y.ndim - 2))
    return y.squeeze(0) if single else y


def further(kind: str, output_padding: Any, steps: Any, reach: Any) -> tuple[int, ...]:
    """Check ``output_padding``: less than the stride or dilation along each axis."""
    more = spread(kind, "output_padding", output_padding, len(steps), least=0)
    if all(m < max(s, r) for m, s, r in zip(more, steps, reach)):
        return more
    raise ArgumentError(
        _(
            "{kind} says with output_padding which of the sizes within a stride it "
            "gives.",
            kind=kind,
        ),
        expected=_("output_padding smaller than stride or dilation"),
        got=f"output_padding={output_padding}, stride={steps}, dilation={reach}",
    )


def _least(
    kind: str, shape: Shape, given: str, steps: Any, rest: Sequence[int]
) -> list[int]:
    """Return a transposed convolution's output sizes without ``output_padding``."""
    sizes: list[int] = []
    for length, step, more in zip(shape[2:], steps, rest):
        if not isinstance(length, int) or not length:
            raise ShapeError(
                _("{kind} slides over axes whose lengths are known.", kind=place(kind)),
                expected=_(
                    "a number of samples alone that varies, lengths of at least 1"
                ),
                got=given,
            )
        sizes.append((length - 1) * step + more + 1)
    return sizes


def _to_size(
    kind: str, wanted: Any, given: str, least: Sequence[int], steps: Any
) -> tuple[int, ...]:
    """Return the ``output_padding`` that gives a requested output size."""
    axes = len(steps)
    if isinstance(wanted, tuple | list) and len(wanted) == axes + 2:
        wanted = wanted[2:]  # as y.shape, samples and channels in front
    sizes = spread(kind, "output_size", wanted, axes)
    if all(low <= n < low + s for n, low, s in zip(sizes, least, steps)):
        return tuple(n - low for n, low in zip(sizes, least))
    ranges = [_("{low} to {s}", low=low, s=low + s - 1) for low, s in zip(least, steps)]
    raise ShapeError(
        _("{kind} cannot give a result of this output_size.", kind=place(kind)),
        expected=" and ".join(ranges),
        got=_("output_size={wanted} for {given}", wanted=wanted, given=given),
    )


def _check_weight(
    kind: str, axes: int, shape: Shape, groups: int, channels: str
) -> None:
    if len(shape) == axes + 2 and not int(shape[0]) % groups:
        return
    raise ShapeError(
        _("{kind} has no kernels for {groups} groups.", kind=place(kind), groups=groups)
        if groups > 1
        else _("{kind} has no kernels.", kind=place(kind)),
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
    """Return ``x`` as a batch (N, C, …), and whether it was one sample (C, …).

    Raises:
        ShapeError: other axes, or other channels than these.
    """
    lengths = "L" if axes == 1 else "H, W"
    named = "C" if channels is None else str(channels)
    at = x.ndim - axes - 1
    if at in (0, 1) and (channels is None or x.shape[at] == channels):
        return (x, False) if at else (x.unsqueeze(0), True)
    fix = _(
        "x.reshape(-1, {named}, {lengths}), or nn.Unflatten(1, ({named}, {lengths}))",
        named=named,
        lengths=lengths,
    )
    if at == 0:
        fix = _("x.unsqueeze(1) gives a batch of grey images its axis of channels")
        if channels != 1:
            fix = _("{fix}, for nn.{kind}(1, …)", fix=fix, kind=kind)
    elif at == 1 and x.shape[-1] == channels:
        fix = _("x.movedim(-1, 1): channels come before {lengths}", lengths=lengths)
    elif at == 1:
        fix = _("build nn.{kind}({shape}, …)", kind=kind, shape=x.shape[at])
    raise ShapeError(
        _("{kind} cannot {doing} its input.", kind=place(kind), doing=doing),
        expected=_(
            "(N, {named}, {lengths}), or ({named}, {lengths}) for one sample",
            named=named,
            lengths=lengths,
        ),
        got=show(x.shape),
        fix=fix,
    )


def paddings(
    kind: str, padding: Any, window: Any, steps: Any, reach: Any
) -> tuple[tuple[int, int], ...]:
    """Return the numbers of elements to pad before and after each axis."""
    axes = len(window)
    if not isinstance(padding, str):
        return tuple((n, n) for n in spread(kind, "padding", padding, axes, least=0))
    words = _("{name} is a number, or a word that {kind} knows.")
    if choice("same", "valid", what=words, kind=kind)("padding", padding) == "valid":
        return ((0, 0),) * axes
    if any(step != 1 for step in steps):
        raise ArgumentError(
            _(
                "{kind} gives as many places as it takes in steps of one alone.",
                kind=kind,
            ),
            expected=_("padding='same' with stride=1"),
            got=f"padding='same', stride={steps}",
            fix=_("padding=(kernel_size − 1) // 2 divides the places by the stride"),
        )
    more = [dilated(k, r) - 1 for k, r in zip(window, reach)]
    return tuple((n // 2, n - n // 2) for n in more)


def check_fit(
    kind: str, shape: Shape, window: Any, pads: Any, reach: Any, single: bool
) -> None:
    """Refuse a window that is larger than the padded input.

    Args:
        kind: the layer.
        shape: of the input, with an axis of samples.
        window, pads, reach: of the window.
        single: whether the user gave one sample, without that axis.
    """
    for axis, (k, (low, high), r) in enumerate(zip(window, pads, reach), start=2):
        length, needed = shape[axis], dilated(k, r) - low - high
        if not isinstance(length, int):
            raise ShapeError(
                _("{kind} slides over axes whose lengths are known.", kind=place(kind)),
                expected=_("a number of samples alone that varies"),
                got=show(shape[single:]),
            )
        if length < max(needed, 1):
            raise ShapeError(
                _("{kind}'s window is larger than its padded input.", kind=place(kind)),
                expected=_(
                    "at least {needed} along axis {single}",
                    needed=max(needed, 1),
                    single=axis - single,
                ),
                got=show(shape[single:]),
                fix=_("a smaller kernel or dilation, or more padding"),
            )


def _check_edges(kind: str, shape: Shape, pads: Any, mode: str, single: bool) -> None:
    """Refuse padding by input elements where the input is too short."""
    for axis, sides in enumerate(pads, start=2):
        length, side = shape[axis], max(sides)
        needed = {"reflect": side + 1, "replicate": 1, "circular": side}[mode]
        if side and (not isinstance(length, int) or length < needed):
            raise ShapeError(
                _(
                    "{kind} continues its input by elements that it has not.",
                    kind=place(kind),
                ),
                expected=_(
                    "at least {needed} along axis {single}",
                    needed=needed,
                    single=axis - single,
                ),
                got=show(shape[single:]),
                fix=_("less padding, or padding_mode='zeros'"),
            )


def _continued(x: Tensor, axis: int, low: int, high: int, mode: str) -> Tensor:
    """Pad ``x`` along an axis by its own elements, in a padding mode."""
    if not (low or high):
        return x
    which: Any = EDGES[mode]
    places = np.pad(np.arange(int(x.shape[axis])), (low, high), mode=which)
    return x.index_select(axis, places)
