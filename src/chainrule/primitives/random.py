"""Random bits from a counter-based generator (Threefry-2x32): ``random_bits``.

Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
Additions, rotations and exclusive ors only, so NumPy and machine code give the same
bits. Nothing is stored between draws: bits are a function of a key (the seed), the name
of the stream and a step counter. Any of them can be replayed on its own.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from chainrule import notation as write
from chainrule.errors import ShapeError
from chainrule.graph.batching import one_by_one
from chainrule.graph.declare import declare
from chainrule.graph.node import Array
from chainrule.graph.primitive import Case
from chainrule.graph.types import ArrayType, Dim, DType, Shape, size_of
from chainrule.primitives.rules import need_dtype, need_type, same
from chainrule.text import _

#: Rotation distances of Threefry-2x32 (Salmon et al., table 2), four rounds each.
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
#: Key schedule constant of the Threefish family, low half.
PARITY = 0x1BD11BDA
ROUNDS = 20
#: Counters that are encrypted at a time: with two more arrays they fit a core's cache.
AT_ONCE = 1 << 15


@lru_cache(maxsize=256)
def stream_words(stream: str) -> tuple[int, int]:
    """Return two 32-bit words that encode the name of a random stream."""
    import hashlib

    digest = hashlib.blake2b(stream.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def threefry(key: tuple[Array, Array], x0: Array, x1: Array) -> None:
    """Encrypt counters under a key in place, to get random bits (Threefry-2x32)."""
    k0, k1 = key
    schedule = (k0, k1, k0 ^ k1 ^ np.uint32(PARITY))
    turned = np.empty_like(x1)
    x0 += k0
    x1 += k1
    for block in range(ROUNDS // 4):
        for distance in ROTATIONS[block % 2]:
            x0 += x1
            np.left_shift(x1, np.uint32(distance), out=turned)
            x1 >>= np.uint32(32 - distance)
            x1 |= turned
            x1 ^= x0
        x0 += schedule[(block + 1) % 3]
        x1 += schedule[(block + 2) % 3] + np.uint32(block + 1)


def _encrypted_rule(*words: ArrayType) -> ArrayType:
    need_dtype("encrypted", DType.uint32, words[0].dtype)
    return same("encrypted", 4)(*words)


@declare(
    rule=_encrypted_rule,
    elementwise=True,
    shown=lambda k0, k1, x0, x1: write.apply("bits", k0, k1, x0, x1),
    source="Salmon, Moraes, Dror & Shaw 2011 (Threefry-2x32, 20 rounds), first word",
    cases=(Case(("u32[7]",) * 4), Case(("u32[3,33]",) * 4), Case(("u32[0]",) * 4)),
)
def encrypted(k0: Array, k1: Array, x0: Array, x1: Array) -> Array:
    words = np.array(x0), np.array(x1)
    threefry((k0, k1), *words)
    return words[0]


@lru_cache(maxsize=256)
def named_key(k0: int, k1: int, stream: str) -> tuple[Array, Array]:
    """Return a named random stream's key: its name encrypted under the seed's key."""
    w0, w1 = (np.full(1, word, np.uint32) for word in stream_words(stream))
    threefry((np.full(1, k0, np.uint32), np.full(1, k1, np.uint32)), w0, w1)
    return w0, w1


def _rule(key: ArrayType, step: ArrayType, *, shape: Shape, stream: str) -> ArrayType:
    need_type(
        "random_bits", _("a key of two words"), ArrayType((2,), DType.uint32), key
    )
    need_type("random_bits", _("one step counter"), ArrayType((), DType.uint32), step)
    need_countable(size_of(shape))
    return ArrayType(shape, DType.uint32)


def need_countable(count: Dim) -> None:
    """Raise an error if more random numbers are drawn than 32-bit counters allow."""
    if isinstance(count, int) and count > 2**32:
        raise ShapeError(
            _("random_bits counts its numbers with 32 bits."),
            expected=_("at most {value} numbers in one draw", value=2**32),
            got=str(count),
            fix=_("draw several times, from streams of other names"),
        )


@declare(
    rule=_rule,
    batch=one_by_one,
    shown=lambda key, step, shape, stream: write.apply("bits", key, step),
    source="Salmon, Moraes, Dror & Shaw 2011 (Threefry-2x32, 20 rounds)",
    cases=(
        Case(("u32[2]", "u32[]"), {"shape": (7,), "stream": "1#0"}),
        Case(("u32[2]", "u32[]"), {"shape": (3, 33), "stream": "shuffle"}),
        Case(("u32[2]", "u32[]"), {"shape": (0,), "stream": ""}),
    ),
)
def random_bits(
    key: Array, step: Array, *, shape: tuple[int, ...], stream: str
) -> Array:
    count = math.prod(shape)
    need_countable(count)
    named = named_key(int(key[0]), int(key[1]), stream)
    bits = np.arange(count, dtype=np.uint32)
    steps = np.empty(min(count, AT_ONCE), np.uint32)
    for start in range(0, count, AT_ONCE):
        x0 = bits[start : start + AT_ONCE]
        x1 = steps[: len(x0)]
        x1[:] = step
        threefry(named, x0, x1)
    return bits.reshape(shape)


def seed_key(seed: int) -> Array:
    """Return the random generator's key for a seed: its low and its high 32 bits."""
    return np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], np.uint32)
