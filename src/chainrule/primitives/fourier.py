"""Primitives for discrete Fourier transforms; complex numbers are pairs of real ones.

A complex signal is an array (…, n, 2) of real and imaginary parts, a real one (…, n);
axes before are a batch. The transforms are linear: a derivative is the transform of the
other direction, whose factor is the one of the other ``norm``.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule import notation as write
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.batching import pointwise
from chainrule.graph.declare import declare
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import mul
from chainrule.primitives.movement import broadcast_to, concatenate, full, reshape
from chainrule.primitives.rules import same, show
from chainrule.text import _

Norm = Literal["backward", "ortho", "forward"]
#: The factor of the n-point transform and of its inverse, and the name with which the
#: transform of the other direction has the same one.
ADJOINT: dict[Norm, Norm] = {
    "backward": "forward",
    "forward": "backward",
    "ortho": "ortho",
}


def _length(name: str, x: ArrayType, norm: Norm, *, pairs: bool = True) -> int:
    """Return the length of a primitive's signals; raise an error for other inputs."""
    same(name, 1, "floats")(x)
    core = x.shape[-2:] if pairs else (*x.shape[-1:], 2)
    if len(core) < 2 or core[1] != 2 or not isinstance(core[0], int) or core[0] < 1:
        raise ShapeError(
            _("{name} transforms signals along an axis of fixed length.", name=name),
            expected=_("a shape (…, n, 2), real and imaginary parts, n >= 1")
            if pairs
            else _("a shape (…, n), n >= 1"),
            got=show(x.shape),
        )
    if norm not in ADJOINT:
        raise ArgumentError(
            _("A transform's factor is named by norm."),
            expected=", ".join(map(repr, ADJOINT)),
            got=f"{norm!r:.40}",
        )
    return core[0]


def _complex(x: Array) -> Array:
    """Return pairs of reals as complex numbers, in the same memory if they can be."""
    kind = np.result_type(x.dtype, np.complex64)
    return np.ascontiguousarray(x).view(kind)[..., 0]


def _pairs(z: Array) -> Array:
    return np.ascontiguousarray(z)[..., None].view(z.real.dtype)


def _case(shape: str, **attrs: Any) -> Case:
    return Case((f"f[{shape}]",), attrs)


# -- complex signals -------------------------------------------------------------------


def _fft_rule(x: ArrayType, *, inverse: bool, norm: Norm) -> ArrayType:
    _length("fft", x, norm)
    return x


def _fft_vjp(g: Value, y: Value, x: Value, inverse: bool, norm: Norm) -> Value:
    return fft(g, inverse=not inverse, norm=ADJOINT[norm])


@declare(
    batch=pointwise,
    rule=_fft_rule,
    vjp=(_fft_vjp,),
    shown=lambda x, inverse, norm: write.apply("ifft" if inverse else "fft", x),
    source="Cooley & Tukey 1965; Oppenheim & Schafer, Discrete-Time Signal Processing",
    linear=True,
    cases=(
        _case("4,2", inverse=False, norm="backward"),
        _case("4,6,2", inverse=True, norm="backward"),
        _case("3,7,2", inverse=False, norm="ortho"),
        _case("1,2", inverse=True, norm="forward"),
        _case("0,3,2", inverse=False, norm="forward"),
    ),
)
def fft(x: Array, *, inverse: bool, norm: Norm) -> Array:
    """Σⱼ xⱼ e^(∓2πijk/n), times 1, 1/n or 1/√n."""
    return _pairs((np.fft.ifft if inverse else np.fft.fft)(_complex(x), norm=norm))


# -- real signals ----------------------------------------------------------------------


def _inner(half: Value, n: int, factor: float) -> Value:
    """Multiply all frequencies of a half spectrum that the other half has too."""
    count = half.shape[-2]
    twice = n - count  # frequencies of the other half
    parts = [(1.0, 1), (factor, twice), (1.0, int(n % 2 == 0))]
    weights = [full(w, half.dtype, (k,)) for w, k in parts if k]
    line = weights[0] if len(weights) == 1 else concatenate(*weights, axis=0)
    return mul(half, broadcast_to(reshape(line, shape=(count, 1)), shape=half.shape))


def _rfft_rule(x: ArrayType, *, norm: Norm) -> ArrayType:
    n = _length("rfft", x, norm, pairs=False)
    return ArrayType((*x.shape[:-1], n // 2 + 1, 2), x.dtype)


def _rfft_vjp(g: Value, y: Value, x: Value, norm: Norm) -> Value:
    n: Any = x.shape[-1]
    return irfft(_inner(g, n, 0.5), n=n, norm=ADJOINT[norm])


@declare(
    batch=pointwise,
    rule=_rfft_rule,
    vjp=(_rfft_vjp,),
    shown=lambda x, norm: write.apply("rfft", x),
    source="Oppenheim & Schafer, Discrete-Time Signal Processing, ch. 8",
    linear=True,
    cases=(
        _case("4", norm="backward"),
        _case("2,5", norm="ortho"),
        _case("3,2", norm="forward"),
        _case("2,1", norm="backward"),
        _case("0,6", norm="backward"),
    ),
)
def rfft(x: Array, *, norm: Norm) -> Array:
    """The transform of real numbers at the frequencies 0, 1, …, ⌊n/2⌋."""
    return _pairs(np.fft.rfft(x, norm=norm))


def _irfft_rule(x: ArrayType, *, n: int, norm: Norm) -> ArrayType:
    count = _length("irfft", x, norm)
    if n < 1 or count != n // 2 + 1:
        raise ShapeError(
            _("irfft takes the frequencies 0, 1, …, ⌊n/2⌋."),
            expected=str(n // 2 + 1),
            got=str(count),
        )
    return ArrayType((*x.shape[:-2], n), x.dtype)


def _irfft_vjp(g: Value, y: Value, x: Value, n: int, norm: Norm) -> Value:
    return _inner(rfft(g, norm=ADJOINT[norm]), n, 2.0)


@declare(
    batch=pointwise,
    rule=_irfft_rule,
    vjp=(_irfft_vjp,),
    shown=lambda x, n, norm: write.apply("irfft", x),
    source="Oppenheim & Schafer, Discrete-Time Signal Processing, ch. 8",
    linear=True,
    cases=(
        _case("3,2", n=4, norm="backward"),
        _case("4,3,2", n=5, norm="ortho"),
        _case("2,2,2", n=2, norm="forward"),
        _case("1,2", n=1, norm="backward"),
        _case("0,4,2", n=6, norm="backward"),
    ),
)
def irfft(x: Array, *, n: int, norm: Norm) -> Array:
    """The real signal whose transform begins with x.

    Imaginary parts of the frequencies 0 and n/2, which no real signal has, are unread.
    """
    return np.fft.irfft(_complex(x), n, norm=norm)
