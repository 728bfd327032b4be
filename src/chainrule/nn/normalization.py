"""Normalisation layers: batch, layer, group, instance and RMS normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.functions import maximum
from chainrule.graph.types import DType, SymbolicDim, size_of
from chainrule.nn import functional
from chainrule.nn.arguments import (
    Count,
    counts,
    flag,
    floating,
    option,
    place,
    sizes,
)
from chainrule.nn.module import Module, Parameter
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, count_of
from chainrule.text import _


class _Norm(Module):
    """Base class of normalisation layers: ε, scale γ, shift β and dtype."""

    weight: Parameter | None
    bias: Parameter | None
    dtype: DType
    eps: Any  # a number, or None where a layer has a use for that

    def _set(
        self, shape: tuple[int, ...], eps: Any, dtype: str, scaled: bool, shifted: bool
    ) -> None:
        kind = type(self).__name__
        self.eps = option(kind, "eps", eps)
        self.dtype = floating(kind, dtype)
        ones, shifted = np.ones(shape, self.dtype.numpy), flag(kind, "bias", shifted)
        self.weight = Parameter(ones) if scaled else None
        self.bias = Parameter(0 * ones) if scaled and shifted else None

    def settings(self) -> dict[str, Any]:
        """Return the constructor arguments; without γ, ``bias`` as it was passed."""
        made = super().settings()
        if self.weight is None and "bias" in made:
            made["bias"] = self._arguments["bias"]
        return made

    def _floats(self, x: Any) -> Tensor:
        """Convert integers ``x`` to the layer's dtype; refuse other floating dtypes."""
        x, wanted, kind = as_tensor(x), self.dtype.name, type(self).__name__
        if x.dtype.is_float and x.dtype.name != wanted:
            raise DTypeError(
                _("{kind} and its input have different dtypes.", kind=place(kind)),
                expected=wanted,
                got=x.dtype.name,
                fix=_(
                    "x.astype('{wanted}'), or nn.{kind}(…, dtype='{name}')",
                    wanted=wanted,
                    kind=kind,
                    name=x.dtype.name,
                ),
            )
        return x.astype(wanted)

    def _refuse(self, x: Tensor, expected: str, fix: str | None) -> ShapeError:
        return ShapeError(
            _("{name} cannot normalise its input.", name=place(type(self).__name__)),
            expected=expected,
            got=show(x.shape),
            fix=fix,
        )


class LayerNorm(_Norm):
    """y = γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² over the features of each sample.

    Ba, Kiros & Hinton 2016. It depends on no other sample, so training and prediction
    are the same. δ = Jᵀ∇ℒ: every feature of a sample moves its μ and σ².

    Args:
        normalized_shape: the size of the last axis, or of the last axes.
        eps: ε.
        elementwise_affine: whether there are γ (``weight``, starts at 1) and β
            (``bias``, starts at 0).
        bias: whether there is a β beside γ.
        dtype: of the parameters.

    >>> import chainrule as cr
    >>> cr.nn.LayerNorm(2, eps=0.0)(cr.tensor([[1.0, 3.0], [10.0, 0.0]]))
    tensor([[-1.,  1.],
            [ 1., -1.]], made by layer_norm)
    """

    def __init__(
        self,
        normalized_shape: Count | Sequence[Count],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: str = "float32",
    ) -> None:
        self.normalized_shape = sizes(normalized_shape)
        affine = flag("LayerNorm", "elementwise_affine", elementwise_affine)
        self.elementwise_affine = affine
        self._set(self.normalized_shape, eps, dtype, affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the features of each sample."""
        shape, weight, bias = self.normalized_shape, self.weight, self.bias
        return functional.layer_norm(self._floats(x), shape, weight, bias, self.eps)


class _Running(_Norm):
    """Base class of layers with optional running statistics of the features."""

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
        dtype: str = "float32",
    ) -> None:
        kind = type(self).__name__
        (self.num_features,) = counts(kind, num_features=num_features)
        if momentum is not None:  # else the average of all batches
            momentum = option(kind, "momentum", momentum)
        self.momentum, self.affine = momentum, flag(kind, "affine", affine)
        self._set((self.num_features,), eps, dtype, self.affine, bias)
        wanted = flag(kind, "track_running_stats", track_running_stats)
        zeros = np.zeros(self.num_features, self.dtype.numpy)
        self.track_running_stats = wanted
        count = np.zeros((), np.int64)
        self.register_buffer("running_mean", zeros if wanted else None)
        self.register_buffer("running_var", zeros + 1 if wanted else None)
        self.register_buffer("num_batches_tracked", count if wanted else None)


class _BatchNorm(_Running):
    """Base class of batch normalisation, for inputs of given ranks."""

    ranks: ClassVar[tuple[int, ...]]

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by batch statistics in training, else by running statistics."""
        x, n = self._floats(x), self.num_features
        if x.ndim not in self.ranks or x.shape[1] != n:
            layouts = ("", "", f"(N, {n})", f"(N, {n}, L)", f"(N, {n}, H, W)")
            wanted = " or ".join(layouts[rank] for rank in self.ranks)
            raise self._refuse(x, wanted, self._reading(x))
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self._rate(x),
            self.eps,
        )

    def _reading(self, x: Tensor) -> str | None:
        """Suggest a layer, or a change of the input, for an unsuitable input."""
        if x.ndim in self.ranks:
            return _(
                "build nn.{kind}({shape})", kind=type(self).__name__, shape=x.shape[1]
            )
        if x.ndim == 1:
            return _("x.unsqueeze(0) for one sample")
        if x.ndim == 3:
            return _("x.unsqueeze(0) for one image, nn.BatchNorm1d for (N, C, L)")
        if x.ndim not in (2, 4):
            return None
        return _(
            "nn.BatchNorm{ndim}d for inputs of {x_ndim} axes",
            ndim=x.ndim // 2,
            x_ndim=x.ndim,
        )

    def _rate(self, x: Tensor) -> float | Tensor:
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
        bias: whether there is a β beside γ.
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


class _InstanceNorm(_Running):
    """Base class of instance normalisation, with ``axes`` axes after the channels."""

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
        dtype: str = "float32",
    ) -> None:
        momentum = option(type(self).__name__, "momentum", momentum)
        more = {"bias": bias, "dtype": dtype}
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, **more
        )

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of each sample, or by running statistics."""
        x, n, axes = self._floats(x), self.num_features, self.axes
        single = x.ndim == axes + 1
        if x.ndim not in (axes + 1, axes + 2) or x.shape[-1 - axes] != n:
            lengths = ("L", "H, W")[axes - 1]
            wanted = _("(N, {n}, {lengths}) or ({n}, {lengths})", n=n, lengths=lengths)
            raise self._refuse(x, wanted, self._reading(x))
        assert self.momentum is not None
        made = functional.instance_norm(
            x.unsqueeze(0) if single else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
        )
        return made.squeeze(0) if single else made

    def _reading(self, x: Tensor) -> str | None:
        """Suggest a suitable layer for an unsuitable input."""
        if x.ndim in (self.axes + 1, self.axes + 2):
            return _(
                "build nn.{kind}({shape})",
                kind=type(self).__name__,
                shape=x.shape[-1 - self.axes],
            )
        if x.ndim in (2, 4):
            return _(
                "nn.InstanceNorm{axes}d for inputs of {ndim} axes",
                axes=3 - self.axes,
                ndim=x.ndim,
            )
        return None


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
        bias: whether there is a β beside γ.
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


class GroupNorm(_Norm):
    """y = γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² over groups of channels of a sample.

    Wu & He 2018, "Group normalization".

    Args:
        num_groups: how many groups the channels are cut into.
        num_channels: the number of channels C, a multiple of it.
        eps: ε.
        affine: whether there are γ (``weight``, starts at 1) and β (``bias``, 0).
        bias: whether there is a β beside γ.
        dtype: of the parameters.

    Shapes:
        (N, C, …); parameters (C,).
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: Count,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        self.num_groups, self.num_channels = counts(
            "GroupNorm", num_groups=num_groups, num_channels=num_channels
        )
        if self.num_channels % self.num_groups:
            raise ArgumentError(
                _("GroupNorm cuts the channels into groups of one size."),
                expected=_("num_channels a multiple of num_groups"),
                got=_(
                    "{num_channels} channels, {num_groups} groups",
                    num_channels=num_channels,
                    num_groups=num_groups,
                ),
            )
        self.affine = flag("GroupNorm", "affine", affine)
        self._set((self.num_channels,), eps, dtype, self.affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each group of channels of each sample."""
        x = self._floats(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            fix = (
                _("build nn.GroupNorm(…, {shape})", shape=x.shape[1])
                if x.ndim > 1
                else None
            )
            raise self._refuse(x, f"(N, {self.num_channels}, …)", fix)
        groups, weight, bias = self.num_groups, self.weight, self.bias
        return functional.group_norm(x, groups, weight, bias, self.eps)


class RMSNorm(_Norm):
    """y = γ ⊙ x/√(mean x² + ε) over the features of each sample.

    Zhang & Sennrich 2019, "Root mean square layer normalization".

    Args:
        normalized_shape: the size of the last axis, or of the last axes.
        eps: ε; None for the spacing of numbers at 1 in x's dtype.
        elementwise_affine: whether there is γ (``weight``, starts at 1).
        dtype: of γ.
    """

    def __init__(
        self,
        normalized_shape: Count | Sequence[Count],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: str = "float32",
    ) -> None:
        self.normalized_shape = sizes(normalized_shape)
        affine = flag("RMSNorm", "elementwise_affine", elementwise_affine)
        self.elementwise_affine = affine
        given = 0.0 if eps is None else eps
        self._set(self.normalized_shape, given, dtype, affine, False)
        self.eps = eps if eps is None else self.eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the features of each sample."""
        shape, weight = self.normalized_shape, self.weight
        return functional.rms_norm(self._floats(x), shape, weight, self.eps)
