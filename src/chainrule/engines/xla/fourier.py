"""XLA's Fourier transforms, of pairs of real numbers."""

from __future__ import annotations

import math

from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.engines.xla.elementwise import Lowering
from chainrule.graph.primitive import Primitive
from chainrule.primitives import fourier


def _complex(x: Array) -> Array:
    return lax.complex(x[..., 0], x[..., 1])


def _pairs(z: Array) -> Array:
    return jnp.stack([lax.real(z), lax.imag(z)], -1)


def _scaled(x: Array, n: int, norm: str, *, inverse: bool) -> Array:
    """Return a transform with the factor of its norm; JAX's inverse has 1/n.

    Real numbers are scaled: a complex factor makes NaN of an infinity.
    """
    if norm == "backward":
        return x
    factor = math.sqrt(n) if norm == "ortho" else n
    return x * lax.full_like(x, factor if inverse else 1 / factor)


def _fft(x: Array, *, inverse: bool, norm: str) -> Array:
    if not x.size:
        return x
    made = (jnp.fft.ifft if inverse else jnp.fft.fft)(_complex(x))
    return _scaled(_pairs(made), x.shape[-2], norm, inverse=inverse)


def _rfft(x: Array, *, norm: str) -> Array:
    n = x.shape[-1]
    if not x.size:
        return jnp.zeros((*x.shape[:-1], n // 2 + 1, 2), x.dtype)
    return _scaled(_pairs(jnp.fft.rfft(x)), n, norm, inverse=False)


def _irfft(x: Array, *, n: int, norm: str) -> Array:
    if not x.size:
        return jnp.zeros((*x.shape[:-2], n), x.dtype)
    return _scaled(jnp.fft.irfft(_complex(x), n), n, norm, inverse=True)


FOURIER: dict[Primitive, Lowering] = {
    fourier.fft: _fft,
    fourier.rfft: _rfft,
    fourier.irfft: _irfft,
}
