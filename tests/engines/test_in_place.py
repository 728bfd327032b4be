"""A state that its own update reads element by element, and in another way too.

It may lie in another layout than the other way wants, and be written over in place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from tests.ways import ENGINES

Update = Callable[[cr.Tensor, cr.Tensor], cr.Tensor]
UPDATES: dict[str, Update] = {
    "transposed": lambda w, a: 0.5 * (w + w.mT),
    "times a matrix": lambda w, a: w - 0.01 * (w @ a),
    "a matrix times it": lambda w, a: w - 0.01 * (a @ w),
    "transposed, times a matrix": lambda w, a: w - 0.01 * (w.mT @ a),
    "a matrix times it, transposed": lambda w, a: w - 0.01 * (a @ w.mT),
    "squared": lambda w, a: w - 0.01 * (w @ w),
    "times its transpose": lambda w, a: w - 0.01 * (w @ w.mT),
    "its norm": lambda w, a: w / (w * w).sum().sqrt(),
    "reversed": lambda w, a: w - 0.5 * cr.flip(w, axis=(0,)),
    "rolled": lambda w, a: w - 0.5 * cr.concat([w[1:], w[:1]]),
    "its first row": lambda w, a: w * w[:1],
    "its first column": lambda w, a: w + w[:, :1],
    "its column sums": lambda w, a: w - 0.01 * w.sum(0),
    "its row sums": lambda w, a: w - 0.01 * w.sum(1, keepdim=True),
    "its largest": lambda w, a: w / w.abs().max(),
    "sorted": lambda w, a: w - 0.5 * cr.sort(w, axis=0).values,
    "by index": lambda w, a: w - 0.5 * cr.take(w, cr.arange(0, w.shape[0]), axis=0),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [16, 48, 64, 96])
@pytest.mark.parametrize("name", UPDATES)
def test_the_old_state_is_there_until_nobody_needs_it(
    name: str, size: int, engine: str, rng: np.random.Generator
) -> None:
    update = UPDATES[name]
    first, a = rng.uniform(0.1, 1, (2, size, size))
    w, factor = cr.tensor(first.astype("f4")), cr.tensor(a.astype("f4"))

    @cr.compile(engine=engine, threads=2)
    def step(factor: cr.Tensor) -> None:
        w.copy_(update(w, factor))

    wanted = cr.tensor(first)
    for _ in range(3):
        step(factor)
        wanted = update(wanted, cr.tensor(a))
    np.testing.assert_allclose(w.numpy(), wanted.numpy(), rtol=1e-3, atol=1e-4)
