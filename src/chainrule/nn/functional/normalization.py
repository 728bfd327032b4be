"""Numbers brought to mean 0 and variance 1, or to length 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError, warn
from chainrule.functions.elementwise import maximum
from chainrule.functions.movement import broadcast_arrays
from chainrule.graph.build import constant, no_grad
from chainrule.graph.node import Value
from chainrule.graph.types import Shape, SymbolicDim, size_of
from chainrule.nn.arguments import place, sizes
from chainrule.primitives.movement import broadcast_to
from chainrule.primitives.rules import show
from chainrule.regions import normalization
from chainrule.tensor import Tensor, as_tensor, count_of, wrap


def _affine(
    region: Callable[..., Any],
    x: Tensor,
    shape: Shape,
    weight: Tensor | None,
    bias: Tensor | None,
    **attrs: Any,
) -> Tensor:
    """A normalising region, with γ = 1 and β = 0 where there are none."""

    def given(parameter: Tensor | None, otherwise: float) -> Value:
        if parameter is not None:
            return parameter.value
        return broadcast_to(constant(otherwise, x.dtype), shape=shape)

    return wrap(region(x.value, given(weight, 1.0), given(bias, 0.0), **attrs))


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The last axes of each sample: see :class:`chainrule.nn.LayerNorm`.

    >>> layer_norm([[1.0, 3.0]], 2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    x = as_tensor(x)
    shape = sizes(normalized_shape)
    _need_last(x, shape, "LayerNorm")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    attrs = {"axes": axes, "eps": float(eps)}
    return _affine(normalization.layer_norm, x, shape, weight, bias, **attrs)


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
    """Each feature over the batch: see :class:`chainrule.nn.BatchNorm1d`.

    Args:
        x: (N, C) or (N, C, L), a feature for each of the C.
        running_mean, running_var: (C,), changed in place; or both None.
        weight, bias: γ and β, (C,); None for 1 and 0.
        training: whether the batch's own statistics are used, and followed.
        momentum: how far the running statistics move, from 0 to 1.
        eps: ε.

    >>> batch_norm([[1.0], [3.0]], None, None, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(
            f"{place('BatchNorm')} normalises features over samples.",
            expected="shape (N, C) or (N, C, L)",
            got=show(x.shape),
            fix="give the samples an axis: x.reshape(-1, C)",
        )
    axes = (0, *range(2, x.ndim))
    shape = x.shape[1:2]
    if running_mean is None or running_var is None:
        training = True
    elif training:
        _follow(x, axes, running_mean, running_var, momentum)
    if training:
        attrs = {"axes": axes, "eps": float(eps)}
        return _affine(normalization.batch_norm, x, shape, weight, bias, **attrs)
    assert running_mean is not None
    assert running_var is not None
    column = (*shape, *[1] * (x.ndim - 2))
    deviation = (running_var + eps).sqrt()
    y = (x - running_mean.reshape(column)) / deviation.reshape(column)
    return _channelwise(y, weight, bias)


def _follow(
    x: Tensor,
    axes: tuple[int, ...],
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float | Tensor,
) -> None:
    """Move the running statistics towards those of the batch."""
    n = size_of(tuple(x.shape[a] for a in axes))
    if n == 0:
        raise ArgumentError(
            f"{place('BatchNorm')} takes means over a batch; an empty one has none.",
            expected="at least one sample",
            got=f"shape {show(x.shape)}",
            fix="leave empty batches out, or model.eval() for prediction",
        )
    if not isinstance(n, SymbolicDim) and n < 2:
        warn(
            f"{place('BatchNorm')} got one number for each feature in training: "
            "there is no variance, so its output is β whatever the input.",
            expected="a batch of at least two samples",
            got=f"shape {show(x.shape)}",
            fix="larger batches, model.eval() for prediction, or nn.LayerNorm",
        )
        return
    many = count_of(n, x.dtype)
    with no_grad():
        mean, _, squares = normalization.moments(x.value, axes)
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
    """γ ⊙ x/√(mean x² + ε) over the last axes: see :class:`chainrule.nn.RMSNorm`.

    >>> rms_norm([[3.0, 4.0]], 2, eps=0.0)  # divided by √12.5
    tensor([[0.84852815, 1.1313709 ]])
    """
    x = as_tensor(x)
    shape = sizes(normalized_shape)
    _need_last(x, shape, "RMSNorm")
    if eps is None:
        eps = float(np.finfo(x.dtype.numpy).eps)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    made = x / ((x * x).mean(axes, keepdim=True) + eps).sqrt()
    return made if weight is None else made * weight


def group_norm(
    x: Any,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Groups of channels of each sample: see :class:`chainrule.nn.GroupNorm`.

    Raises:
        ShapeError: no channels, or a number of them that groups do not divide.
    """
    x = as_tensor(x)
    channels = x.shape[1] if x.ndim > 1 else None
    if not isinstance(channels, int) or channels % num_groups:
        raise ShapeError(
            f"{place('GroupNorm')} cuts the channels into {num_groups} groups.",
            expected="shape (N, C, …), C a multiple of the number of groups",
            got=show(x.shape),
        )
    flat = x.unflatten(1, (num_groups, -1)).flatten(2)
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
    """Each channel of each sample: see :class:`chainrule.nn.InstanceNorm1d`.

    Args:
        x: (N, C, L, …).
        running_mean, running_var: (C,), which follow the means over the samples of μ
            and of the unbiased σ²; or both None.
        weight, bias: γ and β, (C,); None for 1 and 0.
        use_input_stats: whether μ and σ² are the input's; else the running ones.
        momentum: how far the running statistics move, from 0 to 1.
        eps: ε.
    """
    x = as_tensor(x)
    if x.ndim < 3:
        raise ShapeError(
            f"{place('InstanceNorm')} normalises over the axes behind the channels.",
            expected="shape (N, C, L)",
            got=show(x.shape),
        )
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    if running_mean is not None and running_var is not None:
        axes = tuple(range(2, x.ndim))
        many = size_of(x.shape[2:])
        with no_grad():
            mean, _, squares = normalization.moments(x.value, axes)
            variance = wrap(squares) / maximum(count_of(many, x.dtype) - 1, 1.0)
            for running, new in ((running_mean, wrap(mean)), (running_var, variance)):
                running.copy_(running + (new.mean(0) - running) * momentum)
    return group_norm(x, int(x.shape[1]), weight, bias, eps)


def _channelwise(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """γ x + β with one number for each channel of (N, C, …)."""
    column = (-1, *[1] * (x.ndim - 2))
    x = x if weight is None else weight.reshape(*column) * x
    return x if bias is None else x + bias.reshape(*column)


def _need_last(x: Tensor, shape: Shape, kind: str) -> None:
    if x.shape[-len(shape) :] != shape:
        raise ShapeError(
            f"{place(kind)} cannot normalise its input.",
            expected=f"last axes of {show(shape)}",
            got=show(x.shape),
            fix=f"build nn.{kind}({x.shape[-1] if x.shape else '…'})",
        )


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x/max(‖x‖ₚ, ε) along ``dim``: vectors of length 1.

    >>> normalize([[3.0, 4.0]])
    tensor([[0.6, 0.8]])
    """
    x = as_tensor(x)
    return x / maximum(x.norm(p, dim, keepdim=True), eps)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x₁ · x₂/(max(‖x₁‖, ε) max(‖x₂‖, ε)) along ``dim``.

    >>> cosine_similarity([[1.0, 0.0]], [[1.0, 1.0]])
    tensor([0.70710677])
    """
    a, b = broadcast_arrays(x1, x2)
    return (normalize(a, 2.0, dim, eps) * normalize(b, 2.0, dim, eps)).sum(dim)


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """‖x₁ − x₂ + ε‖ₚ along the last axis."""
    return (as_tensor(x1) - x2 + eps).norm(p, -1, keepdim)
