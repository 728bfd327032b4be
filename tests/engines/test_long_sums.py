"""Sums of many terms: their roundings do not add up, on any engine and eagerly.

One after the other, n terms of one sign in float32 have an error of about √n units in
the last place, and of n where the sum no longer takes the next bit. Sums of sums have
a few. The truth is NumPy's sum in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from tests.ways import WAYS

#: Units in the last place of the largest result. One chain of all terms has 30 to 300;
#: BLAS and XLA have long ones themselves for matrices by vectors.
ULPS = {"by a vector": 64, "products": 24, "batches": 24}
ROWS = 120_000


def image_gradient(x: cr.Tensor) -> cr.Tensor:
    """The gradients of a convolution's kernel and bias: sums over all places."""
    images = x[: 64 * 26 * 26].reshape(64, 26, 26, -1).permute(0, 3, 1, 2)
    kernel, bias = cr.ones(4, 8, 3, 3).to(x.dtype), cr.ones(4).to(x.dtype)

    def total(kernel: cr.Tensor, bias: cr.Tensor) -> cr.Tensor:
        return (
            nn.functional.conv2d(images, kernel, bias) * images[:, :4, 1:-1, 1:-1]
        ).sum()

    over_kernel, over_bias = cr.grad(total, argnums=(0, 1))(kernel, bias)
    return cr.cat([over_kernel.reshape(-1), over_bias])


SUMS: dict[str, Callable[[cr.Tensor], Any]] = {
    "columns": lambda x: x.sum(0),
    "rows": lambda x: x.T.sum(1),
    "all": lambda x: x.sum(),
    "with gaps": lambda x: x[:, :3].sum(),
    "two axes": lambda x: x.reshape(-1, 2, 4).sum((0, 2)),
    "short axes": lambda x: x.reshape(60, 50, 40, 8).sum((0, 1, 2)),
    "pairs": lambda x: x.reshape(-1, 4, 2).sum((0, 2)),
    "variance": lambda x: x.var(0),
    "exponentials": lambda x: x.exp().sum(0),
    "products": lambda x: x.T @ x,
    "by a vector": lambda x: x.T @ x[:, 0],
    "squares": lambda x: x[:, 0] @ x[:, 0],
    "batches": lambda x: cr.einsum(
        "nti,ntj->ij", x.reshape(-1, 30, 8), x.reshape(-1, 30, 8)
    ),
    "convolution": image_gradient,
}


def check(way: str, name: str, rng: np.random.Generator) -> None:
    x = rng.uniform(0.5, 1.5, (ROWS, 8))
    f = SUMS[name] if way == "eager" else cr.compile(SUMS[name], engine=way)
    found = f(cr.tensor(x.astype(np.float32))).numpy()
    wanted = SUMS[name](cr.tensor(x.astype(np.float32).astype(np.float64))).numpy()
    assert found.dtype == np.float32
    error = np.abs(found - wanted).max() / np.spacing(np.float32(np.abs(wanted).max()))
    assert error < ULPS.get(name, 8), f"{error:.0f} units in the last place"


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("way", WAYS)
def test_roundings_do_not_add_up(way: str, name: str, rng: np.random.Generator) -> None:
    check(way, name, rng)
