"""XLA's Fourier transforms, of pairs of real numbers."""

from __future__ import annotations

from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from chainrule.engines.xla.elementwise import Lowering
from chainrule.graph.primitive import Primitive
from chainrule.primitives import fourier

Array = jax.Array


def _complex(x: Array) -> Array:
    return lax.complex(x[..., 0], x[..., 1])


def _pairs(z: Array) -> Array:
    return jnp.stack([lax.real(z), lax.imag(z)], -1)


def _fft(x: Array, *, inverse: bool, norm: Any) -> Array:
    if not x.size:
        return x
    return _pairs((jnp.fft.ifft if inverse else jnp.fft.fft)(_complex(x), norm=norm))


def _rfft(x: Array, *, norm: Any) -> Array:
    if not x.size:
        return jnp.zeros((*x.shape[:-1], x.shape[-1] // 2 + 1, 2), x.dtype)
    return _pairs(jnp.fft.rfft(x, norm=norm))


def _irfft(x: Array, *, n: int, norm: Any) -> Array:
    if not x.size:
        return jnp.zeros((*x.shape[:-2], n), x.dtype)
    return jnp.fft.irfft(_complex(x), n, norm=norm)


FOURIER: dict[Primitive, Lowering] = {
    fourier.fft: _fft,
    fourier.rfft: _rfft,
    fourier.irfft: _irfft,
}
