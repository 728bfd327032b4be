"""Seeds and draws. Every random number comes from the primitive ``random_bits``.

A draw is a function of the seed, the name of the stream (module path and ordinal) and a
counter: it can be repeated alone, and the same seed gives the same bits on every engine
and platform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.build import context
from chainrule.graph.node import Array
from chainrule.graph.primitive import REFERENCES
from chainrule.graph.types import Dim, Shape, Size, as_dtype
from chainrule.primitives.elementwise import convert
from chainrule.primitives.integers import shift_right
from chainrule.primitives.movement import full_like
from chainrule.primitives.random import random_bits, seed_key
from chainrule.tensor import Tensor, wrap
from chainrule.tensor_rules import numbers_of


def _check(seed: int) -> int:
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
        raise ArgumentError(
            "A seed is an integer of 64 bits.",
            expected="0 … 2⁶⁴ − 1",
            got=repr(seed),
        )
    return int(seed)


class Generator:
    """A source of random bits: a key and a counter, both state like any other.

    Args:
        seed: any integer from 0 to 2⁶⁴ − 1.
    """

    def __init__(self, seed: int = 0) -> None:
        self.key = Tensor(seed_key(_check(seed)))
        self.counter = Tensor(np.uint32(0))
        self.key.name, self.counter.name = "random.key", "random.counter"

    def bits(self, shape: Shape) -> Tensor:
        """Fresh uint32 bits; the counter moves on."""
        made = random_bits(
            self.key.value, self.counter.value, shape=shape, stream=context.scope
        )
        self.counter.copy_(self.counter + 1)
        return wrap(made)


class StepStream:
    """Random bits within one training step: named by scope, ordinal and step.

    Args:
        key: uint32[2].
        step: uint32 scalar, the number of the step.
    """

    def __init__(self, key: Tensor, step: Tensor) -> None:
        self.key, self.step = key, step
        self.ordinals: dict[str, int] = {}

    def bits(self, shape: Shape) -> Tensor:
        """The next draw of the module that asks."""
        ordinal = self.ordinals.get(context.scope, 0)
        self.ordinals[context.scope] = ordinal + 1
        return wrap(
            random_bits(
                self.key.value,
                self.step.value,
                shape=shape,
                stream=f"{context.scope}#{ordinal}",
            )
        )


_current: list[Generator | StepStream] = [Generator(0)]


def manual_seed(seed: int) -> None:
    """Start the global stream (initial weights, eager dropout) anew from ``seed``.

    >>> manual_seed(1); a = uniform(2); manual_seed(1); b = uniform(2)
    >>> bool((a == b).numpy().all())
    True
    """
    _current[0] = Generator(seed)


@contextmanager
def stream(source: Generator | StepStream) -> Iterator[None]:
    """Draws within the block come from ``source``."""
    _current.append(source)
    try:
        yield
    finally:
        _current.pop()


def bits(shape: Shape) -> Tensor:
    """Fresh random bits, uint32."""
    return _current[-1].bits(shape)


def _sizes(shape: tuple[Any, ...]) -> Shape:
    """Sizes that came as ``uniform(2, 3)`` or as ``uniform((2, 3))``."""
    made: list[Dim] = []
    for d in numbers_of(shape):
        whole = isinstance(d, int | np.integer) and d >= 0
        if not whole and not isinstance(d, Size):
            raise ShapeError(
                "Random numbers are drawn in a shape.",
                expected="integers ≥ 0, such as (2, 3)",
                got=f"{shape!r:.80}",
            )
        made.append(d if isinstance(d, Size) else int(d))
    return tuple(made)


def uniform(
    *shape: Dim | Sequence[Dim],
    low: float = 0.0,
    high: float = 1.0,
    dtype: Any = "float32",
) -> Tensor:
    """Numbers from the uniform distribution on [low, high).

    u = (bits >> 8)·2⁻²⁴ has 24 random bits, which float32 holds exactly. Rounding of
    low + u·(high − low) can reach ``high`` itself, where low is not 0.

    Args:
        shape: sizes, ``uniform(2, 3)`` or ``uniform((2, 3))``; none for one number.
        low, high: the ends.
        dtype: of the result.

    Raises:
        ShapeError: sizes that are no integers ≥ 0.

    >>> manual_seed(0)
    >>> bool((uniform(1000).numpy() < 1).all())
    True
    """
    wanted = as_dtype(dtype)
    raw = bits(_sizes(shape)).value
    high_bits = shift_right(raw, full_like(raw, 8))
    unit = wrap(convert(high_bits, dtype=wanted)) * 2.0**-24
    return unit * (high - low) + low


def normal(
    *shape: Dim | Sequence[Dim],
    mean: float = 0.0,
    std: float = 1.0,
    dtype: Any = "float32",
) -> Tensor:
    """Numbers from the normal distribution N(mean, std²), for eager code.

    Box & Muller 1958: with u and v uniform, r = √(−2 ln u) gives the two numbers
    r cos 2πv and r sin 2πv. u = (bits + ½)·2⁻³² reaches 6.8 standard deviations. The
    bits are the same on every platform; logarithm and cosine are NumPy's, in float64.

    Args:
        shape: sizes, ``normal(2, 3)`` or ``normal((2, 3))``; none for one number.
        mean, std: of the distribution.
        dtype: of the result.

    Raises:
        ShapeError: sizes that are no integers ≥ 0.
        ArgumentError: while a function is traced: the numbers are drawn by NumPy.

    >>> manual_seed(0); a = normal(1000).numpy()
    >>> bool(abs(a.mean()) < 0.1), bool(abs(a.std() - 1) < 0.1)
    (True, True)
    """
    sizes = _sizes(shape)
    if context.trace is not None:
        raise ArgumentError(
            "Normal numbers are drawn by NumPy, and this function is being traced.",
            expected="random.normal outside of compiled functions",
            fix="draw them before and pass them in, or take random.uniform",
        )
    count = math.prod(map(int, sizes))
    drawn = bits((2, -(-count // 2))).numpy()
    u, v = (drawn.astype(np.float64) + 0.5) * 2.0**-32
    radius, angle = np.sqrt(-2 * np.log(u)), 2 * np.pi * v
    unit = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    made = unit[:count].reshape(sizes) * std + mean
    return Tensor(made, dtype=dtype)


def permutation(n: int, seed: int, epoch: int) -> Array:
    """The order in which epoch ``epoch`` visits n samples (int32).

    Sorting by fresh random bits gives every order the same chance, but for ties, which
    keep their place.
    """
    drawn = REFERENCES[random_bits](
        seed_key(_check(seed)), np.uint32(epoch), shape=(n,), stream="shuffle"
    )
    assert isinstance(drawn, np.ndarray)
    return np.argsort(drawn, kind="stable").astype(np.int32)
