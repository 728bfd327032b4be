"""Normalisation functions: to mean 0 and variance 1, or to vectors of length 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError, warn
from chainrule.functions import broadcast_arrays, maximum
from chainrule.graph.build import constant, no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, Shape, SymbolicDim, size_of
from chainrule.nn.arguments import flag, integer, number, option, place, sizes
from chainrule.nn.functional.layers import floats, parameter
from chainrule.primitives.movement import broadcast_to
from chainrule.primitives.rules import show
from chainrule.regions import normalization
from chainrule.tensor import Tensor, as_tensor, count_of, wrap
from chainrule.text import _
from chainrule.util.validation import instance


def _affine(
    region: Callable[..., Any],
    x: Tensor,
    shape: Shape,
    weight: Tensor | None,
    bias: Tensor | None,
    **attrs: Any,
) -> Tensor:
    """Apply a normalising region, with default scale γ = 1 and shift β = 0."""

    def given(held: Tensor | None, otherwise: float) -> Value:
        if held is not None:
            return held.value
        return broadcast_to(constant(otherwise, x.dtype), shape=shape)

    return wrap(region(x.value, given(weight, 1.0), given(bias, 0.0), **attrs))


def _scales(
    kind: str, x: Tensor, shape: Shape, weight: Any, bias: Any
) -> tuple[Tensor | None, Tensor | None]:
    """Check scale γ and shift β, each of a shape or None, and return both."""
    return (
        parameter(kind, "weight", weight, shape, x),
        parameter(kind, "bias", bias, shape, x),
    )


def _need_spread(kind: str, n: Dim, x: Tensor, each: str, fix: str) -> bool:
    """Return whether ``n`` numbers have a variance; warn of a single number.

    A number that has only a name may be any, and what uses it provides for that.

    Raises:
        ArgumentError: no number at all.
    """
    if isinstance(n, SymbolicDim):
        return True
    if n == 0:
        raise ArgumentError(
            _("{kind} takes means; an empty input has none.", kind=place(kind)),
            expected=_("at least one number for each {each}", each=each),
            got=_("shape {shape}", shape=show(x.shape)),
            fix=fix,
        )
    if n == 1:
        warn(
            _(
                "{kind} got one number for each {each}: there is no variance, so "
                "its output is β whatever the input.",
                kind=place(kind),
                each=each,
            ),
            expected=_("at least two numbers for each {each}", each=each),
            got=_("shape {shape}", shape=show(x.shape)),
            fix=fix,
        )
    return n != 1


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise the last axes of each sample: see :class:`chainrule.nn.LayerNorm`.

    Raises:
        ShapeError: other last axes; a γ or a β of another shape than these.

    >>> layer_norm([[1.0, 3.0]], 2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    x = floats(x)
    shape = sizes(normalized_shape)
    _need_last(x, shape, "LayerNorm")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    attrs = {"axes": axes, "eps": option("layer_norm", "eps", eps)}
    scales = _scales("LayerNorm", x, shape, weight, bias)
    return _affine(normalization.layer_norm, x, shape, *scales, **attrs)


def batch_norm(
    x: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each feature over the batch: see :class:`chainrule.nn.BatchNorm1d`.

    Args:
        x: (N, C) or (N, C, L), a feature for each of the C.
        running_mean, running_var: (C,), changed in place; or both None.
        weight, bias: γ and β, (C,); None for 1 and 0.
        training: whether the batch's own statistics are used, and followed. Without
            running ones there are no others.
        momentum: how far the running statistics move, from 0 to 1.
        eps: ε.

    Raises:
        ShapeError: γ, β or statistics of another shape than (C,); no samples' axis.
        ArgumentError: one of the running statistics alone; none, and no training.

    >>> batch_norm([[1.0], [3.0]], None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    x = floats(x)
    if x.ndim < 2:
        raise ShapeError(
            _("{place} normalises features over samples.", place=place("BatchNorm")),
            expected=_("shape (N, C) or (N, C, L)"),
            got=show(x.shape),
            fix=_("give the samples an axis: x.reshape(-1, C)"),
        )
    axes = (0, *range(2, x.ndim))
    shape, eps = x.shape[1:2], option("batch_norm", "eps", eps)
    if not (isinstance(momentum, Tensor) and not momentum.requires_grad):
        momentum = option("batch_norm", "momentum", momentum)
    weight, bias = _scales("BatchNorm", x, shape, weight, bias)
    running = _running("BatchNorm", x, running_mean, running_var)
    if flag("BatchNorm", "training", training):
        n = size_of(tuple(x.shape[a] for a in axes))
        fix = _("larger batches, model.eval() for prediction, or nn.LayerNorm")
        fix = fix if running else _("larger batches, or nn.LayerNorm")
        if _need_spread("BatchNorm", n, x, _("feature of the batch"), fix) and running:
            _follow(x, axes, *running, momentum)
        attrs = {"axes": axes, "eps": eps}
        return _affine(normalization.batch_norm, x, shape, weight, bias, **attrs)
    if running is None:
        raise _no_statistics("BatchNorm", "training=True")
    column = (*shape, *[1] * (x.ndim - 2))
    mean, deviation = running[0], _without_overflow(running[1] + eps).sqrt()
    y = (x - mean.reshape(column)) / deviation.reshape(column)
    return _channelwise(y, weight, bias)


def _without_overflow(x: Tensor) -> Tensor:
    return wrap(normalization.without_overflow(x.value))


def _running(kind: str, x: Tensor, mean: Any, var: Any) -> tuple[Tensor, Tensor] | None:
    """Check the running statistics, (C,) each, and return them, or None."""
    if (mean is None) != (var is None):
        raise ArgumentError(
            _("{kind} keeps a mean and a variance, or neither.", kind=place(kind)),
            expected=_("running_mean and running_var, or both None"),
            got="running_mean=None" if mean is None else "running_var=None",
        )
    if mean is None:
        return None
    for name, given in (("running_mean", mean), ("running_var", var)):
        instance(name, given, Tensor, "cr.zeros(3)")  # else a copy would be changed
        parameter(kind, name, given, x.shape[1:2], x)
    return mean, var


def _no_statistics(kind: str, fix: str) -> ArgumentError:
    return ArgumentError(
        _(
            "{kind} needs statistics: running ones, or those of its input.",
            kind=place(kind),
        ),
        expected=_("running_mean and running_var"),
        got="running_mean=None, running_var=None",
        fix=_("{fix} takes those of the input", fix=fix),
    )


def _follow(
    x: Tensor,
    axes: tuple[int, ...],
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float | Tensor,
) -> None:
    """Update the running statistics with those of the batch."""
    n = size_of(tuple(x.shape[a] for a in axes))
    many = count_of(n, x.dtype)
    with no_grad():
        mean, __, squares = normalization.moments(x.value, axes)
        variance = wrap(squares) / maximum(many - 1, 1.0)
        rate = (many > 1).astype(x.dtype) * momentum
        for running, new in ((running_mean, wrap(mean)), (running_var, variance)):
            running.copy_(running + (new - running) * rate)


def rms_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Compute γ ⊙ x/√(mean x² + ε) over the last axes: :class:`chainrule.nn.RMSNorm`.

    >>> rms_norm([[3.0, 4.0]], 2, eps=0.0)  # divided by √12.5
    tensor([[0.84852815, 1.1313709 ]])
    """
    x = floats(x)
    shape = sizes(normalized_shape)
    _need_last(x, shape, "RMSNorm")
    if eps is None:
        eps = float(np.finfo(x.dtype.numpy).eps)
    eps = option("rms_norm", "eps", eps)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    made = x / _without_overflow((x * x).mean(axes, keepdim=True) + eps).sqrt()
    weight = parameter("RMSNorm", "weight", weight, shape, x)
    return made if weight is None else made * weight


def group_norm(
    x: Any,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise groups of channels per sample: see :class:`chainrule.nn.GroupNorm`.

    Raises:
        ShapeError: no channels, or a number of them that groups do not divide; a γ or
            a β that is not (C,).
    """
    x, eps = floats(x), option("group_norm", "eps", eps)
    num_groups = integer("GroupNorm", "num_groups", num_groups, least=1)
    channels = x.shape[1] if x.ndim > 1 else None
    if not isinstance(channels, int) or channels % num_groups:
        raise ShapeError(
            _(
                "{place} cuts the channels into {num_groups} groups.",
                place=place("GroupNorm"),
                num_groups=num_groups,
            ),
            expected=_("shape (N, C, …), C a multiple of the number of groups"),
            got=show(x.shape),
        )
    n = size_of((channels // num_groups, *x.shape[2:]))
    _need_spread("GroupNorm", n, x, _("group of a sample"), _("a smaller num_groups"))
    return _grouped("GroupNorm", x, num_groups, weight, bias, eps)


def _grouped(
    kind: str, x: Tensor, groups: int, weight: Any, bias: Any, eps: float
) -> Tensor:
    """Normalise groups of channels per sample, then scale and shift each channel."""
    weight, bias = _scales(kind, x, x.shape[1:2], weight, bias)
    flat = x.unflatten(1, (groups, -1)).flatten(2)
    made = layer_norm(flat, int(flat.shape[2]), eps=eps).reshape(*x.shape)
    return _channelwise(made, weight, bias)


def instance_norm(
    x: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel per sample: :class:`chainrule.nn.InstanceNorm1d`.

    Args:
        x: (N, C, L, …).
        running_mean, running_var: (C,), which follow the means over the samples of μ
            and of the unbiased σ²; or both None.
        weight, bias: γ and β, (C,); None for 1 and 0.
        use_input_stats: whether μ and σ² are the input's; else the running ones.
        momentum: how far the running statistics move, from 0 to 1.
        eps: ε.

    A channel of one number has no variance. Then y = β, the running statistics stay as
    they are, and there is a warning.

    Raises:
        ShapeError: γ, β or statistics of another shape than (C,); no axis behind the
            channels.
        ArgumentError: a channel of no numbers; one of the running statistics alone;
            none where they are to be used.
    """
    x = floats(x)
    if x.ndim < 3:
        raise ShapeError(
            _(
                "{place} normalises over the axes behind the channels.",
                place=place("InstanceNorm"),
            ),
            expected=_("shape (N, C, L)"),
            got=show(x.shape),
        )
    eps = option("instance_norm", "eps", eps)
    momentum = option("instance_norm", "momentum", momentum)
    running = _running("InstanceNorm", x, running_mean, running_var)
    if not flag("InstanceNorm", "use_input_stats", use_input_stats):
        if running is None:
            raise _no_statistics("InstanceNorm", "use_input_stats=True")
        return batch_norm(x, *running, weight, bias, eps=eps)
    axes, many = tuple(range(2, x.ndim)), size_of(x.shape[2:])
    fix = _("longer signals or larger images, or nn.BatchNorm1d or nn.BatchNorm2d")
    varies = _need_spread("InstanceNorm", many, x, _("channel of a sample"), fix)
    if varies and running and x.shape[0] != 0:
        with no_grad():
            mean, __, squares = normalization.moments(x.value, axes)
            variance = wrap(squares) / maximum(count_of(many, x.dtype) - 1, 1.0)
            for held, new in zip(running, (wrap(mean), variance)):
                held.copy_(held + (new.mean(0) - held) * momentum)
    return _grouped("InstanceNorm", x, int(x.shape[1]), weight, bias, eps)


def _channelwise(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Compute γ x + β with one γ and one β per channel of (N, C, …)."""
    column = (-1, *[1] * (x.ndim - 2))
    x = x if weight is None else weight.reshape(*column) * x
    return x if bias is None else x + bias.reshape(*column)


def _need_last(x: Tensor, shape: Shape, kind: str) -> None:
    last = x.shape[-len(shape) :]
    if last != shape:
        sizes = show(last) if last[1:] else "".join(map(str, last))
        raise ShapeError(
            _("{kind} cannot normalise its input.", kind=place(kind)),
            expected=_("last axes of {shape}", shape=show(shape)),
            got=show(x.shape),
            fix=_("build nn.{kind}({sizes})", kind=kind, sizes=sizes) if last else None,
        )


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Scale vectors along ``dim`` to length 1: x/max(‖x‖ₚ, ε); NaN if ‖x‖ₚ overflows.

    >>> normalize([[3.0, 4.0]])
    tensor([[0.6, 0.8]])
    """
    x, eps = as_tensor(x), option("normalize", "eps", eps)
    return x / maximum(_without_overflow(x.norm(p, dim, keepdim=True)), eps)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Compute x₁ · x₂/(max(‖x₁‖, ε) max(‖x₂‖, ε)) along ``dim``.

    >>> cosine_similarity([[1.0, 0.0]], [[1.0, 1.0]])
    tensor([0.70710677])
    """
    a, b = broadcast_arrays(x1, x2)
    return (normalize(a, 2.0, dim, eps) * normalize(b, 2.0, dim, eps)).sum(dim)


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Compute the distance ‖x₁ − x₂ + ε‖ₚ along the last axis."""
    eps = number("pairwise_distance", "eps", eps)
    return (as_tensor(x1) - x2 + eps).norm(p, -1, keepdim)
