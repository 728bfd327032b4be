"""Random bits as XLA computes them: the rounds of Threefry-2x32, as the reference.

JAX's own generator encrypts other counters and joins both words of a block, so that
its bits are others.
"""

from __future__ import annotations

import math

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from chainrule.engines.xla.elementwise import Lowering, same
from chainrule.graph.primitive import Primitive
from chainrule.primitives.random import (
    PARITY,
    ROTATIONS,
    ROUNDS,
    encrypted,
    random_bits,
    stream_words,
)

Array = jax.Array


def _threefry(k0: Array, k1: Array, x0: Array, x1: Array) -> tuple[Array, Array]:
    """Return both words of counters encrypted under keys of the same shape."""
    schedule = (k0, k1, k0 ^ k1 ^ same(k0, PARITY))
    x0, x1 = x0 + k0, x1 + k1
    for block in range(ROUNDS // 4):
        for distance in ROTATIONS[block % 2]:
            x0 = x0 + x1
            left = lax.shift_left(x1, same(x1, distance))
            right = lax.shift_right_logical(x1, same(x1, 32 - distance))
            x1 = (left | right) ^ x0
        x0 = x0 + schedule[(block + 1) % 3]
        x1 = x1 + schedule[(block + 2) % 3] + same(x1, block + 1)
    return x0, x1


def _bits(key: Array, step: Array, *, shape: tuple[int, ...], stream: str) -> Array:
    words = [jnp.asarray(word, np.uint32) for word in stream_words(stream)]
    named = _threefry(key[0], key[1], *words)
    counters = lax.iota(np.uint32, math.prod(shape))
    keys = [jnp.broadcast_to(k, counters.shape) for k in named]
    steps = jnp.broadcast_to(step, counters.shape)
    return lax.reshape(_threefry(*keys, counters, steps)[0], shape)


RANDOM: dict[Primitive, Lowering] = {
    encrypted: lambda k0, k1, x0, x1: _threefry(k0, k1, x0, x1)[0],
    random_bits: _bits,
}
