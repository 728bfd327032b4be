"""Frequencies and their order are PyTorch's; transforms are refused, with a remedy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.errors import ChainruleError

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies(name: str, n: int) -> None:
    mine = getattr(cr.fft, name)(n, 0.5, dtype="float64").numpy()
    np.testing.assert_allclose(
        mine, getattr(torch.fft, name)(n, 0.5, dtype=torch.float64).numpy(), 1e-15
    )
    assert getattr(cr.fft, name)(n).dtype is cr.float32


@pytest.mark.parametrize("n", range(6))
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1)])
def test_order(name: str, n: int, dim: int | tuple[int, ...] | None) -> None:
    x = np.arange(n * 3).reshape(n, 3)
    theirs = getattr(torch.fft, name)(torch.tensor(x), dim).numpy()
    for engine in (None, "numpy", "native"):
        function = getattr(cr.fft, name)
        mine = function if engine is None else cr.compile(function, engine=engine)
        np.testing.assert_array_equal(mine(cr.tensor(x), dim).numpy(), theirs)


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_a_count_of_samples_is_a_whole_number(n: float) -> None:
    with pytest.raises(ChainruleError):
        cr.fft.fftfreq(n)


def test_transforms_say_how_to_write_them() -> None:
    with pytest.raises(AttributeError, match="no complex numbers"):
        cr.fft.rfft  # noqa: B018
    x = np.random.default_rng(0).normal(size=9)
    angles = 2 * np.pi * cr.outer(cr.fft.rfftfreq(9, dtype="float64"), cr.arange(9))
    found = (
        (angles.cos() @ cr.tensor(x)).numpy(),
        -(angles.sin() @ cr.tensor(x)).numpy(),
    )
    wanted = np.fft.rfft(x)
    np.testing.assert_allclose(found[0], wanted.real, atol=1e-12)
    np.testing.assert_allclose(found[1], wanted.imag, atol=1e-12)
