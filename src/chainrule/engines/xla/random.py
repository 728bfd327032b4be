"""Random bits as XLA computes them: the rounds of Threefry-2x32, as the reference.

JAX's own generator encrypts other counters and joins both words of a block, so that
its bits are others.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.engines.xla.backend import Array, jnp, lax
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
    w0, w1 = (jnp.asarray(word, np.uint32) for word in stream_words(stream))
    named = _threefry(key[0], key[1], w0, w1)
    counters = lax.iota(np.uint32, math.prod(shape))
    k0, k1, steps = (jnp.broadcast_to(a, counters.shape) for a in (*named, step))
    return lax.reshape(_threefry(k0, k1, counters, steps)[0], shape)


RANDOM: dict[Primitive, Lowering] = {
    encrypted: lambda k0, k1, x0, x1: _threefry(k0, k1, x0, x1)[0],
    random_bits: _bits,
}
