"""Toy sets: their formulas, worked out point by point; balance, order and errors."""

import math
from typing import Any

import numpy as np
import pytest

from chainrule import data
from chainrule.data import Dataset
from chainrule.errors import ArgumentError
from tests.data.saying import says

MAKERS = [data.circles, data.moons, data.spiral, data.blobs]


def points(made: Dataset, label: int) -> list[tuple[float, float]]:
    """The points of a class, sorted."""
    return sorted(map(tuple, made.x[made.y == label].round(5).tolist()))


def expected(*made: tuple[float, float]) -> list[tuple[float, float]]:
    rounded = np.array(made, np.float32).round(5)
    return sorted(map(tuple, rounded.tolist()))


def test_xor() -> None:
    made = data.xor(copies=2)
    assert made.x[:].tolist() == 2 * [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert made.y.tolist() == 2 * [0, 1, 1, 0]
    assert (made.name, made.classes) == ("xor", 2)
    assert made.feature_names == ("x1", "x2")
    noisy = data.xor(copies=500, noise=0.1)
    residue = noisy.x[:] - data.xor(copies=500).x[:]
    assert abs(residue.std() - 0.1) < 0.005
    assert abs(residue.mean()) < 0.01


TURN, MOON = 2 * math.pi, [math.pi * i / 4 for i in range(5)]


def around(radius: float, turns: float) -> tuple[float, float]:
    return radius * math.cos(TURN * turns), radius * math.sin(TURN * turns)


@pytest.mark.parametrize(
    ("made", "first", "second"),
    [
        (
            data.circles(9, noise=0.0, factor=0.5),
            [around(1, i / 5) for i in range(5)],
            [around(0.5, i / 4) for i in range(4)],
        ),
        (
            data.moons(10, noise=0.0),
            [(math.cos(t), math.sin(t)) for t in MOON],
            [(1 - math.cos(t), 0.5 - math.sin(t)) for t in MOON],
        ),
        (
            data.spiral(8, classes=2, noise=0.0, turns=0.5),
            [around(i / 4, 0.5 * i / 4) for i in range(1, 5)],
            [around(i / 4, 0.5 * i / 4 + 1 / 2) for i in range(1, 5)],
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_points(made: Dataset, first: Any, second: Any) -> None:
    for label, wanted in enumerate((first, second)):
        np.testing.assert_allclose(points(made, label), expected(*wanted), atol=2e-5)


@pytest.mark.parametrize(("classes", "features"), [(2, 1), (3, 2), (10, 2), (5, 30)])
def test_blobs(classes: int, features: int) -> None:
    made = data.blobs(classes * 400, classes=classes, features=features, spread=0.5)
    assert made.x.shape == (classes * 400, features)
    centres = np.stack([made.x[made.y == c].mean(axis=0) for c in range(classes)])
    side = 12 * classes ** (1 / features)
    assert np.abs(centres).max() < side / 2 + 0.1
    for i in range(classes):
        for j in range(i):
            assert np.linalg.norm(centres[i] - centres[j]) > 4 - 0.2
        spread = made.x[made.y == i].std(axis=0)
        assert np.abs(spread - 0.5).max() < 0.1
    exact = data.blobs(classes, classes=classes, features=features, spread=0.0)
    assert len(np.unique(exact.x[:], axis=0)) == classes


def test_noise_is_normal() -> None:
    residue = (data.xor(5000, noise=1.0).x[:] - data.xor(5000).x[:]).ravel()
    # Moments of N(0, 1) to three standard errors of 40,000 draws.
    n = len(residue)
    assert abs(residue.mean()) < 3 / math.sqrt(n)
    assert abs(residue.var() - 1) < 3 * math.sqrt(2 / n)
    assert abs((residue**3).mean()) < 3 * math.sqrt(15 / n)
    assert abs((residue**4).mean() - 3) < 3 * math.sqrt(96 / n)
    for limit, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        error = math.sqrt(share * (1 - share) / n)
        assert abs((np.abs(residue) < limit).mean() - share) < 3 * error


@pytest.mark.parametrize("make", [data.xor, *MAKERS])
def test_a_set_is_a_function_of_its_seed(make: Any) -> None:
    noisy = {"noise": 0.1} if make is data.xor else {}
    first, again, other = make(**noisy), make(**noisy, seed=0), make(**noisy, seed=1)
    assert first.x[:].tobytes() == again.x[:].tobytes()
    assert first.y.tolist() == again.y.tolist()
    assert first.x[:].tobytes() != other.x[:].tobytes()
    assert first.x.stored.dtype == np.float32
    assert first.y.dtype == np.int32


def test_pinned() -> None:
    """The same on every machine and in every version of NumPy."""
    assert data.moons(6, noise=0.0, seed=3).y.tolist() == PINNED_ORDER
    np.testing.assert_allclose(data.xor(noise=1.0).x[:], PINNED_NOISE, rtol=1e-6)


PINNED_ORDER = [0, 0, 1, 1, 0, 1]
PINNED_NOISE = [
    [-0.4228571355342865, -0.3922344446182251],
    [0.9232902526855469, -0.5506646037101746],
    [1.4487353563308716, -0.03506866842508316],
    [0.09998088330030441, -0.03238814324140549],
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("n", [11, 12, 200])
def test_classes_are_balanced_and_mixed(make: Any, n: int) -> None:
    made = make(n)
    sizes = np.bincount(made.y)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.sum() == n == len(made)
    assert len(sizes) == made.classes
    if n == 200:
        assert made.y.tolist() != sorted(made.y.tolist())
        assert np.bincount(made.y[:100]).min() > 20


def test_quantities_over_the_plane() -> None:
    """A plane, and hills, point by point; noise has the size that is asked for."""
    for make in (data.plane, data.hills):
        made, noisy = make(800, seed=3), make(800, noise=0.2, seed=3)
        assert (made.x.shape, made.y.shape) == ((800, 2), (800, 1))
        assert (made.classes, made.feature_names) == (None, ("x1", "x2"))
        assert np.abs(made.x[:]).max() < 1
        assert np.abs(made.x[:].mean(0)).max() < 0.1
        residue = noisy.y - made.y
        assert abs(residue.std() - 0.2) < 0.015
        assert np.array_equal(make(800, seed=3).y, made.y)
        assert not np.array_equal(make(800, seed=4).y, made.y)
    for (a, b), y in zip(data.plane(20).x[:].tolist(), data.plane(20).y[:, 0]):
        assert y == pytest.approx((a + b) / 2, abs=1e-6)
    for (a, b), y in zip(data.hills(20).x[:].tolist(), data.hills(20).y[:, 0]):
        wanted = 0.0
        for c in (-0.5, 0.5):
            for d in (-0.5, 0.5):
                sign = 1 if c == d else -1
                wanted += sign * math.exp(-8 * ((a - c) ** 2 + (b - d) ** 2))
        assert y == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "name", "expected"),
    [
        (lambda: data.xor(0), "copies", "≥ 1"),
        (lambda: data.xor(noise=-1), "noise", "0 ≤"),
        (lambda: data.xor(noise=math.nan), "noise", "0 ≤"),
        (lambda: data.xor(noise="a"), "noise", "0 ≤"),
        (lambda: data.circles(1), "n", "≥ 2"),
        (lambda: data.circles(factor=2), "factor", "≤ 1"),
        (lambda: data.moons(2.5), "n", "≥ 2"),
        (lambda: data.moons(seed=-1), "seed", "from 0"),
        (lambda: data.moons(seed=2**64), "seed", str(2**64 - 1)),
        (lambda: data.spiral(2), "n", "≥ 3"),
        (lambda: data.spiral(classes=1), "classes", "≥ 2"),
        (lambda: data.spiral(turns=-1), "turns", "0 ≤"),
        (lambda: data.blobs(features=0), "features", "≥ 1"),
        (lambda: data.blobs(spread=True), "spread", "0 ≤"),
        (lambda: data.plane(0), "n", "≥ 1"),
        (lambda: data.hills(noise=-1), "noise", "0 ≤"),
    ],
)
def test_refused(call: Any, name: str, expected: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    says(caught.value, name, expected, f"{name}=")
