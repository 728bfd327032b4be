"""Normalisation of samples: layer, group and RMS normalisation, vectors of length 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.composites import normalization
from chainrule.errors import ArgumentError, DTypeError, ShapeError, warn
from chainrule.functions import maximum
from chainrule.graph.apply import constant
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, DType, Shape, SymbolicDim, size_of
from chainrule.nn.affine import floats, parameter
from chainrule.nn.arguments import (
    Count,
    flag,
    floating,
    integer,
    layer_name,
    normalized_sizes,
    number,
    positive_integers,
)
from chainrule.nn.function import as_function
from chainrule.nn.module import Module, Parameter
from chainrule.operations.arguments import axis_of
from chainrule.operations.narrow import in_single
from chainrule.primitives.movement import broadcast_to
from chainrule.primitives.rules import show
from chainrule.primitives.windows import window_sum
from chainrule.tensor import Tensor, as_tensor, wrap
from chainrule.text import _, ngettext

__all__ = [
    "GroupNorm",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
    "group_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]


class Normalization(Module):
    """Base class of normalisation layers: ε, scale γ, shift β and dtype."""

    #: None where the layer has none.
    weight: Parameter | Any
    bias: Parameter | Any
    dtype: DType
    eps: Any  # a number, or None where a layer has a use for that

    def _set(
        self, shape: tuple[int, ...], eps: Any, dtype: DType, affine: bool, bias: bool
    ) -> None:
        """Set a normalisation layer's ε, dtype, scale γ = 1 and shift β = 0."""
        kind = type(self).__name__
        self.eps = number(kind, "eps", eps, least=0)
        self.dtype = dtype
        ones, bias = np.ones(shape, self.dtype.numpy), flag(kind, "bias", bias)
        self.weight = Parameter(ones) if affine else None
        self.bias = Parameter(0 * ones) if affine and bias else None

    def settings(self) -> dict[str, Any]:
        """Return a normalisation layer's constructor arguments, as JSON."""
        settings = super().settings()
        if self.weight is None and "bias" in settings:
            settings["bias"] = self._arguments["bias"]
        return settings

    def _floats(self, x: Any) -> Tensor:
        """Convert a normalisation's integer input to its dtype; refuse other floats."""
        x, wanted, kind = as_tensor(x), self.dtype.name, type(self).__name__
        if x.dtype.is_float and x.dtype.name != wanted:
            raise DTypeError(
                _("{kind} and its input have different dtypes.", kind=layer_name(kind)),
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

    def _refusal(self, x: Tensor, expected: str, fix: str | None) -> ShapeError:
        """Return the error for an input that a normalisation layer does not take."""
        kind = type(self).__name__
        return ShapeError(
            _("{name} cannot normalise its input.", name=layer_name(kind)),
            expected=expected,
            got=show(x.shape),
            fix=fix,
        )


class LayerNorm(Normalization):
    """y = γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² over the features of each sample.

    Ba, Kiros & Hinton 2016. It depends on no other sample, so training and prediction
    are the same. δ = Jᵀ∇ℒ: every feature of a sample moves its μ and σ².

    Args:
        normalized_shape: the size of the last axis, or of the last axes.
        eps: ε.
        elementwise_affine: whether there are γ (``weight``, starts at 1) and β
            (``bias``, starts at 0).
        bias: whether there is a β in addition to γ.
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
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = normalized_sizes(normalized_shape)
        affine = flag("LayerNorm", "elementwise_affine", elementwise_affine)
        self.elementwise_affine = affine
        self._set(
            self.normalized_shape,
            eps,
            floating("LayerNorm", dtype, device),
            affine,
            bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply layer normalisation to the features of each sample."""
        shape, weight, bias = self.normalized_shape, self.weight, self.bias
        return layer_norm(self._floats(x), shape, weight, bias, self.eps)


def layer_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Apply :class:`LayerNorm` with a given scale γ and shift β, or 1 and 0.

    Raises:
        ShapeError: other last axes; a γ or a β of another shape than these.

    >>> layer_norm([[1.0, 3.0]], 2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    input = floats(input)
    shape = normalized_sizes(normalized_shape)
    _check_last_axes(input, shape, "LayerNorm")
    axes = tuple(range(input.ndim - len(shape), input.ndim))
    eps = number("LayerNorm", "eps", eps, least=0)
    scales = check_scales("LayerNorm", input, shape, weight, bias)
    return apply_composite(
        normalization.layer_norm, input, shape, *scales, axes=axes, eps=eps
    )


class RMSNorm(Normalization):
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
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = normalized_sizes(normalized_shape)
        affine = flag("RMSNorm", "elementwise_affine", elementwise_affine)
        self.elementwise_affine = affine
        self._set(
            self.normalized_shape,
            0.0 if eps is None else eps,
            floating("RMSNorm", dtype, device),
            affine,
            False,
        )
        self.eps = eps if eps is None else self.eps

    def forward(self, x: Tensor) -> Tensor:
        """Apply RMS normalisation to the features of each sample."""
        return rms_norm(self._floats(x), self.normalized_shape, self.weight, self.eps)


@in_single
def rms_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Apply :class:`RMSNorm` with a given scale γ, or 1.

    >>> rms_norm([[3.0, 4.0]], 2, eps=0.0)  # divided by √12.5
    tensor([[0.84852815, 1.1313709 ]])
    """
    input = floats(input)
    shape = normalized_sizes(normalized_shape)
    _check_last_axes(input, shape, "RMSNorm")
    if eps is None:
        eps = float(input.dtype.limits.eps)
    eps = number("RMSNorm", "eps", eps, least=0)
    axes = tuple(range(input.ndim - len(shape), input.ndim))
    y = input / without_overflow((input * input).mean(axes, keepdim=True) + eps).sqrt()
    weight = parameter("RMSNorm", "weight", weight, shape, input)
    return y if weight is None else y * weight


class GroupNorm(Normalization):
    """y = γ ⊙ (x − μ)/√(σ² + ε) + β, with μ and σ² over groups of channels of a sample.

    Wu & He 2018, "Group normalization".

    Args:
        num_groups: the number of groups of channels.
        num_channels: the number of channels C, a multiple of it.
        eps: ε.
        affine: whether there are γ (``weight``, starts at 1) and β (``bias``, 0).
        bias: whether there is a β in addition to γ.
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
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.num_groups, self.num_channels = positive_integers(
            "GroupNorm", num_groups=num_groups, num_channels=num_channels
        )
        if self.num_channels % self.num_groups:
            raise ArgumentError(
                _("GroupNorm cuts the channels into groups of one size."),
                expected=_("num_channels a multiple of num_groups"),
                got=_(
                    "{channels}, {groups}",
                    channels=ngettext("{n} channel", "{n} channels", n=num_channels),
                    groups=ngettext("{n} group", "{n} groups", n=num_groups),
                ),
            )
        self.affine = flag("GroupNorm", "affine", affine)
        self._set(
            (self.num_channels,),
            eps,
            floating("GroupNorm", dtype, device),
            self.affine,
            bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply group normalisation to the channels of each sample."""
        x = self._floats(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            fix = None
            if x.ndim > 1:
                fix = _("build nn.GroupNorm(…, {shape})", shape=x.shape[1])
            raise self._refusal(x, f"(N, {self.num_channels}, …)", fix)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def group_norm(
    input: Any,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Apply :class:`GroupNorm` with a given scale γ and shift β, or 1 and 0.

    Raises:
        ShapeError: no channels, or a number of them that groups do not divide; a γ or
            a β that is not (C,).
    """
    input, eps = floats(input), number("GroupNorm", "eps", eps, least=0)
    num_groups = integer("GroupNorm", "num_groups", num_groups, least=1)
    channels = input.shape[1] if input.ndim > 1 else None
    if not isinstance(channels, int) or channels % num_groups:
        raise ShapeError(
            ngettext(
                "{place} cuts the channels into {n} group.",
                "{place} cuts the channels into {n} groups.",
                n=num_groups,
                place=layer_name("GroupNorm"),
            ),
            expected=_("shape (N, C, …), C a multiple of the number of groups"),
            got=show(input.shape),
        )
    n = size_of((channels // num_groups, *input.shape[2:]))
    fix = _("a smaller num_groups")
    has_variance("GroupNorm", n, input, _("group of a sample"), fix)
    return normalize_groups("GroupNorm", input, num_groups, weight, bias, eps)


def normalize_groups(
    kind: str, x: Tensor, groups: int, weight: Any, bias: Any, eps: float
) -> Tensor:
    """Normalise groups of channels per sample, then scale and shift each channel."""
    weight, bias = check_scales(kind, x, x.shape[1:2], weight, bias)
    flat = x.unflatten(1, (groups, -1)).flatten(2)
    y = layer_norm(flat, int(flat.shape[2]), eps=eps).reshape(*x.shape)
    return scale_channels(y, weight, bias)


def apply_composite(
    composite: Callable[..., Any],
    x: Tensor,
    shape: Shape,
    weight: Tensor | None,
    bias: Tensor | None,
    **attrs: Any,
) -> Tensor:
    """Apply a normalisation's composite, with default scale γ = 1 and shift β = 0."""

    def value(scale: Tensor | None, default: float) -> Value:
        if scale is not None:
            return scale.value
        return broadcast_to(constant(default, x.dtype), shape=shape)

    return wrap(composite(x.value, value(weight, 1.0), value(bias, 0.0), **attrs))


def check_scales(
    kind: str, x: Tensor, shape: Shape, weight: Any, bias: Any
) -> tuple[Tensor | None, Tensor | None]:
    """Check a normalisation's scale γ and shift β, each of a shape or None."""
    return (
        parameter(kind, "weight", weight, shape, x),
        parameter(kind, "bias", bias, shape, x),
    )


def scale_channels(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Scale and shift each channel of a normalised (N, C, …): γ x + β."""
    column = (-1, *[1] * (x.ndim - 2))
    x = x if weight is None else weight.reshape(*column) * x
    return x if bias is None else x + bias.reshape(*column)


def has_variance(kind: str, n: Dim, x: Tensor, each: str, fix: str) -> bool:
    """Return whether a normalisation has more than one number; warn of a single one.

    A symbolic size may be any number: the computation provides for 0 and 1.

    Raises:
        ArgumentError: no number at all.
    """
    if isinstance(n, SymbolicDim):
        return True
    if n == 0:
        raise ArgumentError(
            _("{kind} takes means; an empty input has none.", kind=layer_name(kind)),
            expected=_("at least one number for each {each}", each=each),
            got=_("shape {shape}", shape=show(x.shape)),
            fix=fix,
        )
    if n == 1:
        warn(
            _(
                "{kind} got one number for each {each}: there is no variance, so "
                "its output is β whatever the input.",
                kind=layer_name(kind),
                each=each,
            ),
            expected=_("at least two numbers for each {each}", each=each),
            got=_("shape {shape}", shape=show(x.shape)),
            fix=fix,
        )
    return n != 1


def without_overflow(x: Tensor) -> Tensor:
    """Return a norm x, with NaN in place of ∞, so that its overflow is not hidden."""
    return wrap(normalization.without_overflow(x.value))


def _check_last_axes(x: Tensor, shape: Shape, kind: str) -> None:
    last = x.shape[-len(shape) :]
    if last != shape:
        sizes = show(last) if last[1:] else "".join(map(str, last))
        raise ShapeError(
            _("{kind} cannot normalise its input.", kind=layer_name(kind)),
            expected=_("last axes of {shape}", shape=show(shape)),
            got=show(x.shape),
            fix=_("build nn.{kind}({sizes})", kind=kind, sizes=sizes) if last else None,
        )


@in_single
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Normalise vectors along ``dim`` to length 1, x/max(‖x‖ₚ, ε).

    >>> normalize([[3.0, 4.0]])
    tensor([[0.6, 0.8]])
    """
    input, eps = as_tensor(input), number("normalize", "eps", eps, least=0)
    if not input.ndim:
        return normalize(input.reshape(1), p, axis_of((1,), dim), eps).reshape(())
    return input / maximum(without_overflow(input.norm(p, dim, keepdim=True)), eps)


class LocalResponseNorm(Module):
    """y = x/(k + α/n Σ x²)^β, with the sum over n neighbouring channels.

    Krizhevsky, Sutskever & Hinton 2012.

    Args:
        size: n; ⌊n/2⌋ of the channels are in front of each.
        alpha, beta, k: α, β and k.

    Shapes:
        (N, C, …).

    >>> import chainrule as cr
    >>> cr.nn.LocalResponseNorm(1, alpha=1.0, beta=1.0)(cr.tensor([[[2.0]]]))
    tensor([[[0.4]]])
    """

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        kind = "LocalResponseNorm"
        self.size = integer(kind, "size", size, least=1)
        self.alpha = number(kind, "alpha", alpha)
        self.beta, self.k = number(kind, "beta", beta), number(kind, "k", k)

    def forward(self, x: Tensor) -> Tensor:
        """Divide each number by a mean over neighbouring channels."""
        x, n = as_tensor(x), self.size
        if x.ndim < 3:
            raise ShapeError(
                _("LocalResponseNorm compares channels."),
                expected=_("(N, C, L, …)"),
                got=show(x.shape),
            )
        if not x.size:
            return x
        x, one, low = floats(x), (1,), n // 2
        window = {"axes": one, "window": (n,), "strides": one, "dilation": one}
        pads = ((low, n - 1 - low),)
        squares = window_sum((x * x).value, **window, padding=pads, base_dilation=one)
        return x / (wrap(squares) * (self.alpha / n) + self.k) ** self.beta


local_response_norm = as_function(LocalResponseNorm, "local_response_norm")
