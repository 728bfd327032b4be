"""Tensor functions of ``cr.fft``: discrete Fourier transforms as pairs of numbers.

There are no complex numbers. A complex signal is a tensor whose last axis holds real
and imaginary parts, as PyTorch's ``view_as_real`` gives it: (…, n, 2). Real signals are
(…, n). The name says which of them a function takes and gives: ``rfft`` goes from real
numbers to pairs, ``irfft`` from pairs to real numbers, all others from pairs to pairs.
``dim`` counts the axes of the signal, without that of the pairs, as in PyTorch.

With ω = e^(−2πi/n), yₖ = Σⱼ xⱼ ωʲᵏ, and back xⱼ = Σₖ yₖ ω⁻ʲᵏ / n. ``norm`` says where
the factor is: at the inverse (``"backward"``, the default), at the transform
(``"forward"``), or 1/√n at both (``"ortho"``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.batching import moved
from chainrule.graph.node import Value
from chainrule.operations.arguments import axes_of, axis_of, whole
from chainrule.operations.op import op
from chainrule.operations.shapes import cut
from chainrule.primitives import fourier, movement
from chainrule.primitives.fourier import Norm
from chainrule.primitives.rules import show
from chainrule.text import _


def _signals(x: Value) -> tuple[Any, ...]:
    """Return the shape of complex signals; refuse what is no tensor of pairs."""
    if len(x.shape) < 2 or x.shape[-1] != 2:
        raise ShapeError(
            _("A complex signal is a tensor of pairs, real and imaginary parts."),
            expected=_("a shape (…, n, 2)"),
            got=show(x.shape),
            fix=_(
                "cr.fft.rfft(x) of real numbers; cr.stack([x, cr.zeros_like(x)], -1)"
            ),
        )
    return x.shape[:-1]


def _resized(x: Value, axis: int, n: int) -> Value:
    """Return signals cut off after n elements, or with zeros up to n."""
    given = int(x.shape[axis])  # a size with a name is traced as a number
    if n <= given:
        return cut(x, axis, 0, n)
    zeros = (0,) * len(x.shape)
    high = (*zeros[:axis], n - given, *zeros[axis + 1 :])
    return movement.pad(x, low=zeros, high=high, interior=zeros)


def _points(n: int | None, default: Any) -> int:
    """Return the length of a transform."""
    return whole("n", int(default) if n is None else n, least=1)


def _named(norm: Norm | None) -> Norm:
    """Return the norm of a Fourier transform; "backward" by default."""
    return "backward" if norm is None else norm


def _complex(x: Value, n: int | None, dim: int, norm: Any, inverse: bool) -> Value:
    shape = _signals(x)
    axis = axis_of(shape, dim)
    x = _resized(x, axis, _points(n, shape[axis]))
    last = len(shape) - 1
    y = fourier.fft(moved(x, axis, last), inverse=inverse, norm=_named(norm))
    return moved(y, last, axis)


@op(module="fft", floats=True)
def fft(
    x: Value, n: int | None = None, dim: int = -1, norm: Norm | None = None
) -> Value:
    """Return the discrete Fourier transform of complex signals (…, n, 2).

    Args:
        x: real and imaginary parts along the last axis.
        n: the signal is cut off there, or zeros follow up to there.
        dim: the axis of the signal, counted without that of the pairs.
        norm: where the factor 1/n is: see :mod:`chainrule.fft`.

    >>> import chainrule as cr
    >>> cr.fft.fft(cr.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[ 1.,  1.],
            [ 1., -1.]])
    """
    return _complex(x, n, dim, norm, False)


@op(module="fft", floats=True)
def ifft(
    x: Value, n: int | None = None, dim: int = -1, norm: Norm | None = None
) -> Value:
    """Return the inverse of ``fft``, complex signals (…, n, 2)."""
    return _complex(x, n, dim, norm, True)


@op(module="fft", floats=True)
def rfft(
    x: Value, n: int | None = None, dim: int = -1, norm: Norm | None = None
) -> Value:
    """Return the transform of real signals (…, n) at the frequencies 0 … ⌊n/2⌋.

    The others are conjugates of these. The result is pairs, (…, ⌊n/2⌋ + 1, 2).

    >>> import chainrule as cr
    >>> cr.fft.rfft(cr.tensor([1.0, 2.0, 4.0, 3.0]))
    tensor([[10.,  0.],
            [-3.,  1.],
            [ 0.,  0.]])
    """
    axis = axis_of(x.shape, dim)
    x = _resized(x, axis, _points(n, x.shape[axis]))
    last = len(x.shape) - 1
    y = fourier.rfft(moved(x, axis, last), norm=_named(norm))
    return moved(y, last, axis)


@op(module="fft", floats=True)
def irfft(
    x: Value, n: int | None = None, dim: int = -1, norm: Norm | None = None
) -> Value:
    """Return the real signals (…, n) whose transform begins with x; undoes ``rfft``.

    Args:
        x: pairs at the frequencies 0, 1, …, ⌊n/2⌋.
        n: the length of the signals, 2 (m − 1) of m frequencies by default: an odd one
            must be said.
        dim, norm: as for ``fft``.
    """
    shape = _signals(x)
    axis = axis_of(shape, dim)
    n = _points(n, 2 * (int(shape[axis]) - 1))
    x = _resized(x, axis, n // 2 + 1)
    last = len(shape) - 1
    y = fourier.irfft(moved(x, axis, last), n=n, norm=_named(norm))
    return moved(y, last, axis)


# -- along several axes ----------------------------------------------------------------

Sizes = Sequence[int] | None


def _several(shape: Any, s: Any, dim: Any) -> list[tuple[int | None, int]]:
    """Return the lengths and axes of a transform along several axes."""
    sizes = None if s is None else [s] if isinstance(s, int) else list(s)
    if dim is None:
        count = len(shape) if sizes is None else len(sizes)
        axes = list(range(len(shape)))[len(shape) - count :]
        fits = count <= len(shape)
    else:
        axes = [axis_of(shape, d) for d in ([dim] if isinstance(dim, int) else dim)]
        axes_of(shape, axes)  # each once
        fits = sizes is None or len(sizes) == len(axes)
    if not fits:
        raise ArgumentError(
            _("A transform has a length for each of its axes."),
            expected=_("as many in s as axes"),
            got=_(
                "s={s}, dim={dim}, a signal {shape}", s=s, dim=dim, shape=show(shape)
            ),
        )
    lengths = sizes or [None] * len(axes)
    return [(None if n == -1 else n, a) for n, a in zip(lengths, axes)]


def _last(shape: Any, s: Any, dim: Any) -> tuple[list[Any], tuple[int | None, int]]:
    """Return lengths and axes but the last one, and that one, which is halved."""
    *others, last = _several(shape, s, dim) or [None]
    if last is None:
        raise ArgumentError(
            _("A transform of real numbers runs along an axis at least."),
            expected=_("one or more"),
            got=f"dim={dim}",
        )
    return others, last


@op(module="fft", floats=True)
def fftn(
    x: Value, s: Sizes = None, dim: Sizes = None, norm: Norm | None = None
) -> Value:
    """Return the transform of complex signals along several axes.

    Args:
        x: real and imaginary parts along the last axis.
        s: the length for each axis; −1 for what it is.
        dim: the axes, counted without that of the pairs; all of them by default, or
            the last ones that ``s`` has lengths for.
        norm: as for ``fft``.
    """
    for n, axis in _several(_signals(x), s, dim):
        x = _complex(x, n, axis, norm, False)
    return x


@op(module="fft", floats=True)
def ifftn(
    x: Value, s: Sizes = None, dim: Sizes = None, norm: Norm | None = None
) -> Value:
    """Return the inverse of ``fftn``."""
    for n, axis in _several(_signals(x), s, dim):
        x = _complex(x, n, axis, norm, True)
    return x


@op(module="fft", floats=True)
def rfftn(
    x: Value, s: Sizes = None, dim: Sizes = None, norm: Norm | None = None
) -> Value:
    """Return the transform of real signals along several axes, half of the last one."""
    others, (n, axis) = _last(x.shape, s, dim)
    y = rfft(x, n, axis, norm)
    for n, axis in others:
        y = _complex(y, n, axis, norm, False)
    return y


@op(module="fft", floats=True)
def irfftn(
    x: Value, s: Sizes = None, dim: Sizes = None, norm: Norm | None = None
) -> Value:
    """Return the real signals whose transform ``rfftn`` gives."""
    others, (n, axis) = _last(_signals(x), s, dim)
    for size, other in others:
        x = _complex(x, size, other, norm, True)
    return irfft(x, n, axis, norm)


@op(module="fft", floats=True)
def fft2(
    x: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm | None = None
) -> Value:
    """Return the transform of complex images (…, rows, columns, 2)."""
    return fftn(x, s, dim, norm)


@op(module="fft", floats=True)
def ifft2(
    x: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm | None = None
) -> Value:
    """Return the inverse of ``fft2``."""
    return ifftn(x, s, dim, norm)


@op(module="fft", floats=True)
def rfft2(
    x: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm | None = None
) -> Value:
    """Return the transform of real images, half of its columns: ``rfftn`` of two."""
    return rfftn(x, s, dim, norm)


@op(module="fft", floats=True)
def irfft2(
    x: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm | None = None
) -> Value:
    """Return the real images whose transform ``rfft2`` gives."""
    return irfftn(x, s, dim, norm)
