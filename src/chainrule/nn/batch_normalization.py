"""Normalisation with running statistics: batch and instance normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.composites import normalization
from chainrule.errors import ArgumentError, ShapeError
from chainrule.functions import maximum
from chainrule.graph.context import no_grad
from chainrule.graph.types import SymbolicDim, size_of
from chainrule.nn.affine import floats, parameter
from chainrule.nn.arguments import (
    LENGTHS,
    Count,
    flag,
    floating,
    layer_name,
    number,
    positive_integers,
)
from chainrule.nn.normalization import (
    Normalization,
    apply_composite,
    check_scales,
    has_variance,
    normalize_groups,
    scale_channels,
    without_overflow,
)
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, count_of, wrap
from chainrule.text import _
from chainrule.util.validation import instance

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "batch_norm",
    "instance_norm",
]

#: The limits of a momentum.
UNIT = {"least": 0, "most": 1}


class _RunningStatistics(Normalization):
    """Base class of normalisation layers with optional running mean and variance."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: Count,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        kind = type(self).__name__
        (self.num_features,) = positive_integers(kind, num_features=num_features)
        if momentum is not None:  # else the average of all batches
            momentum = number(kind, "momentum", momentum, **UNIT)
        self.momentum, self.affine = momentum, flag(kind, "affine", affine)
        self._set(
            (self.num_features,), eps, floating(kind, dtype, device), self.affine, bias
        )
        wanted = flag(kind, "track_running_stats", track_running_stats)
        zeros = np.zeros(self.num_features, self.dtype.numpy)
        self.track_running_stats = wanted
        count = np.zeros((), np.int64)
        self.register_buffer("running_mean", zeros if wanted else None)
        self.register_buffer("running_var", zeros + 1 if wanted else None)
        self.register_buffer("num_batches_tracked", count if wanted else None)


class _BatchNorm(_RunningStatistics):
    """Base class of batch normalisation layers, for inputs of given ranks."""

    ranks: ClassVar[tuple[int, ...]]

    def forward(self, x: Tensor) -> Tensor:
        """Apply batch normalisation, by running statistics in prediction."""
        x, n = self._floats(x), self.num_features
        if x.ndim not in self.ranks or x.shape[1] != n:
            layouts = (
                "",
                "",
                f"(N, {n})",
                f"(N, {n}, L)",
                f"(N, {n}, H, W)",
                f"(N, {n}, D, H, W)",
            )
            wanted = " or ".join(layouts[rank] for rank in self.ranks)
            raise self._refusal(x, wanted, self._suggestion(x))
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self._momentum(x),
            self.eps,
        )

    def _suggestion(self, x: Tensor) -> str | None:
        """Suggest a fix for an input that does not suit a batch normalisation layer."""
        if x.ndim in self.ranks:
            return _(
                "build nn.{kind}({shape})", kind=type(self).__name__, shape=x.shape[1]
            )
        if x.ndim == 1:
            return _("x.unsqueeze(0) for one sample")
        if x.ndim == 3:
            return _("x.unsqueeze(0) for one image, nn.BatchNorm1d for (N, C, L)")
        if x.ndim not in (2, 4, 5):
            return None
        return _(
            "nn.BatchNorm{ndim}d for inputs of {x_ndim} axes",
            ndim=max(x.ndim - 2, 1),
            x_ndim=x.ndim,
        )

    def _momentum(self, x: Tensor) -> float | Tensor:
        """Return the momentum of the running statistics, and count the batch."""
        counter = self.num_batches_tracked
        if not self.training or counter is None:
            return 0.0
        values = size_of((x.shape[0], *x.shape[2:]))
        if isinstance(values, SymbolicDim):
            counter.copy_(counter + (count_of(values, x.dtype) > 1).astype("int64"))
        elif values > 1:
            counter.copy_(counter + 1)
        if self.momentum is not None:
            return self.momentum
        return 1.0 / maximum(counter.astype(x.dtype), 1.0)


class BatchNorm1d(_BatchNorm):
    """y = γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² of each feature over the batch.

    Ioffe & Szegedy 2015. In training μ and σ² are those of the batch, and running
    statistics follow them: r ← r + momentum · (batch's − r), with the unbiased variance
    n/(n−1) σ². In prediction (``eval()``) the running statistics are used. δ = Jᵀ∇ℒ:
    every sample of the batch moves μ and σ².

    A batch of one sample (and L = 1) has no variance. Then y = β, no gradient reaches
    x, and the running statistics stay as they are; so the last batch of an epoch may
    have one row. Where the shape is known beforehand there is a warning.

    μ takes a bias of the layer in front along, so leave that out:
    ``nn.Linear(…, bias=False)``. Its gradient is 0 but for rounding, which Adam
    magnifies to whole steps; the running mean then lags behind a bias that drifts.

    Args:
        num_features: the number of features C.
        eps: ε.
        momentum: how far running statistics move a batch; None averages all batches.
        affine: whether there are γ (``weight``, starts at 1) and β (``bias``, 0).
        track_running_stats: whether there are running statistics; without them the
            batch's are used in prediction too.
        bias: whether there is a β in addition to γ.
        dtype: of parameters and statistics.

    Shapes:
        (N, C), or (N, C, L); parameters and statistics (C,).

    Buffers ``running_mean``, ``running_var`` and ``num_batches_tracked`` are in the
    ``state_dict`` under PyTorch's names.

    >>> import chainrule as cr
    >>> norm = cr.nn.BatchNorm1d(1, eps=0.0, affine=False)
    >>> norm(cr.tensor([[1.0], [3.0]])), norm.running_mean
    (tensor([[-1.],
            [ 1.]]), tensor([0.2]))
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """:class:`BatchNorm1d` of images: each channel over samples, height and width.

    Args:
        num_features: the number of channels C.
        eps, momentum, affine, track_running_stats, bias, dtype: see
            :class:`BatchNorm1d`.

    Shapes:
        (N, C, H, W); parameters and statistics (C,).

    >>> import chainrule as cr
    >>> norm = cr.nn.BatchNorm2d(1, eps=0.0)
    >>> norm(cr.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[-1.0, 1.0]]]]
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """:class:`BatchNorm1d` of volumes: each channel over samples and all positions.

    Args:
        num_features: the number of channels C.
        eps, momentum, affine, track_running_stats, bias, dtype: see
            :class:`BatchNorm1d`.

    Shapes:
        (N, C, D, H, W); parameters and statistics (C,).
    """

    ranks = (5,)


class _InstanceNorm(_RunningStatistics):
    """Base class of instance normalisation layers with ``axes`` axes after channels."""

    axes: ClassVar[int]

    def __init__(
        self,
        num_features: Count,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        momentum = number(type(self).__name__, "momentum", momentum, **UNIT)
        more = {"bias": bias, "device": device, "dtype": dtype}
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, **more
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply instance normalisation to each channel of each sample."""
        x, n, axes = self._floats(x), self.num_features, self.axes
        single = x.ndim == axes + 1
        if x.ndim not in (axes + 1, axes + 2) or x.shape[-1 - axes] != n:
            lengths = LENGTHS[axes - 1]
            wanted = _("(N, {n}, {lengths}) or ({n}, {lengths})", n=n, lengths=lengths)
            raise self._refusal(x, wanted, self._suggestion(x))
        assert self.momentum is not None
        result = instance_norm(
            x.unsqueeze(0) if single else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
        )
        return result.squeeze(0) if single else result

    def _suggestion(self, x: Tensor) -> str | None:
        """Suggest a fix for an input that instance normalisation does not take."""
        if x.ndim in (self.axes + 1, self.axes + 2):
            return _(
                "build nn.{kind}({shape})",
                kind=type(self).__name__,
                shape=x.shape[-1 - self.axes],
            )
        axes = 1 if x.ndim == 2 else x.ndim - 2
        if axes not in (1, 2, 3):
            return None
        return _(
            "nn.InstanceNorm{axes}d for inputs of {ndim} axes", axes=axes, ndim=x.ndim
        )


class InstanceNorm1d(_InstanceNorm):
    """y = γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² of each channel of each sample.

    Ulyanov, Vedaldi & Lempitsky 2016.

    Args:
        num_features: the number of channels C.
        eps: ε.
        momentum: how far running statistics move a batch.
        affine: whether there are γ (``weight``, starts at 1) and β (``bias``, 0).
        track_running_stats: whether there are running statistics, which then are used
            in prediction.
        bias: whether there is a β in addition to γ.
        dtype: of parameters and statistics.

    Shapes:
        (N, C, L), or (C, L).
    """

    axes = 1


class InstanceNorm2d(_InstanceNorm):
    """:class:`InstanceNorm1d` of images: over height and width.

    Args:
        num_features: the number of channels C.
        eps, momentum, affine, track_running_stats, bias, dtype: see
            :class:`InstanceNorm1d`.

    Shapes:
        (N, C, H, W), or (C, H, W).

    >>> import chainrule as cr
    >>> cr.nn.InstanceNorm2d(1, eps=0.0)(cr.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[-1.0, 1.0]]]]
    """

    axes = 2


class InstanceNorm3d(_InstanceNorm):
    """:class:`InstanceNorm1d` of volumes: over depth, height and width.

    Args:
        num_features: the number of channels C.
        eps, momentum, affine, track_running_stats, bias, dtype: see
            :class:`InstanceNorm1d`.

    Shapes:
        (N, C, D, H, W), or (C, D, H, W).
    """

    axes = 3


def batch_norm(
    input: Any,
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
        input: (N, C) or (N, C, L), a feature for each of the C.
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
    input = floats(input)
    if input.ndim < 2:
        raise ShapeError(
            _(
                "{place} normalises features over samples.",
                place=layer_name("BatchNorm"),
            ),
            expected=_("shape (N, C) or (N, C, L)"),
            got=show(input.shape),
            fix=_("give the samples an axis: x.reshape(-1, C)"),
        )
    axes = (0, *range(2, input.ndim))
    shape, eps = input.shape[1:2], number("BatchNorm", "eps", eps, least=0)
    if not (isinstance(momentum, Tensor) and not momentum.requires_grad):
        momentum = number("BatchNorm", "momentum", momentum, **UNIT)
    weight, bias = check_scales("BatchNorm", input, shape, weight, bias)
    running = _check_running("BatchNorm", input, running_mean, running_var)
    if flag("BatchNorm", "training", training):
        n = size_of(tuple(input.shape[a] for a in axes))
        fix = _("larger batches, model.eval() for prediction, or nn.LayerNorm")
        fix = fix if running else _("larger batches, or nn.LayerNorm")
        if (
            has_variance("BatchNorm", n, input, _("feature of the batch"), fix)
            and running
        ):
            _update(input, axes, *running, momentum)
        attrs = {"axes": axes, "eps": eps}
        return apply_composite(
            normalization.batch_norm, input, shape, weight, bias, **attrs
        )
    if running is None:
        raise _no_statistics("BatchNorm", "training=True")
    column = (*shape, *[1] * (input.ndim - 2))
    mean, deviation = running[0], without_overflow(running[1] + eps).sqrt()
    y = (input - mean.reshape(column)) / deviation.reshape(column)
    return scale_channels(y, weight, bias)


def _check_running(
    kind: str, x: Tensor, mean: Any, var: Any
) -> tuple[Tensor, Tensor] | None:
    """Check the running mean and variance of a normalisation; return both, or None."""
    if (mean is None) != (var is None):
        raise ArgumentError(
            _("{kind} keeps a mean and a variance, or neither.", kind=layer_name(kind)),
            expected=_("running_mean and running_var, or both None"),
            got="running_mean=None" if mean is None else "running_var=None",
        )
    if mean is None:
        return None
    for name, value in (("running_mean", mean), ("running_var", var)):
        instance(name, value, Tensor, "cr.zeros(3)")  # else a copy would be changed
        parameter(kind, name, value, x.shape[1:2], x)
    return mean, var


def _no_statistics(kind: str, fix: str) -> ArgumentError:
    return ArgumentError(
        _(
            "{kind} needs statistics: running ones, or those of its input.",
            kind=layer_name(kind),
        ),
        expected=_("running_mean and running_var"),
        got="running_mean=None, running_var=None",
        fix=_("{fix} takes those of the input", fix=fix),
    )


def _update(
    x: Tensor,
    axes: tuple[int, ...],
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float | Tensor,
) -> None:
    """Update batch normalisation's running mean and variance by those of the batch."""
    n = size_of(tuple(x.shape[a] for a in axes))
    many = count_of(n, x.dtype)
    with no_grad():
        mean, __, squares = normalization.moments(x.value, axes)
        variance = wrap(squares) / maximum(many - 1, 1.0)
        rate = (many > 1).astype(x.dtype) * momentum
        for running, new in ((running_mean, wrap(mean)), (running_var, variance)):
            running.copy_(running + (new - running) * rate)


def instance_norm(
    input: Any,
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
        input: (N, C, L, …).
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
    input = floats(input)
    if input.ndim < 3:
        raise ShapeError(
            _(
                "{place} normalises over the axes behind the channels.",
                place=layer_name("InstanceNorm"),
            ),
            expected=_("shape (N, C, L)"),
            got=show(input.shape),
        )
    eps = number("InstanceNorm", "eps", eps, least=0)
    momentum = number("InstanceNorm", "momentum", momentum, **UNIT)
    running = _check_running("InstanceNorm", input, running_mean, running_var)
    if not flag("InstanceNorm", "use_input_stats", use_input_stats):
        if running is None:
            raise _no_statistics("InstanceNorm", "use_input_stats=True")
        return batch_norm(input, *running, weight, bias, eps=eps)
    axes, many = tuple(range(2, input.ndim)), size_of(input.shape[2:])
    fix = _("longer signals or larger images, or nn.BatchNorm1d or nn.BatchNorm2d")
    varies = has_variance("InstanceNorm", many, input, _("channel of a sample"), fix)
    if varies and running and input.shape[0] != 0:
        with no_grad():
            mean, __, squares = normalization.moments(input.value, axes)
            variance = wrap(squares) / maximum(count_of(many, input.dtype) - 1, 1.0)
            for statistic, new in zip(running, (wrap(mean), variance)):
                statistic.copy_(statistic + (new.mean(0) - statistic) * momentum)
    return normalize_groups(
        "InstanceNorm", input, int(input.shape[1]), weight, bias, eps
    )
