"""Toy data sets: XOR, circles, moons, spirals, blobs; of quantities a plane and hills.

Each is a function of its arguments alone. The random numbers are the framework's own
(Threefry), the arithmetic is float64, and the points are rounded to float32 at the
end: the same on every machine and in every version of NumPy, but for a last digit
where the mathematics libraries of two machines differ in it.

Classes have equally many points, the first ones one more where n does not divide, and
the rows come in random order.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.data.dataset import Dataset
from chainrule.graph.node import Array
from chainrule.graph.primitive import REFERENCES
from chainrule.primitives.random import random_bits, seed_key
from chainrule.util.keywords import strict
from chainrule.util.validation import number, whole
from chainrule.util.validation import seed as seed_of

#: The least distance between the centres of blobs.
MIN_DISTANCE = 4.0
#: Where hills and hollows are, and how wide.
HILLS, WIDTH = 0.5, 0.25


@strict
def xor(copies: int = 1, noise: float = 0.0, *, seed: int = 0) -> Dataset:
    """Generate the XOR problem (exclusive or), which no single layer can learn.

    Formula:
        y = x₁ ⊕ x₂ for x ∈ {0, 1}², each corner ``copies`` times, plus
        noise·ε with ε ~ N(0, 1) on both coordinates.

    Args:
        copies: the number of copies of each of the four corners.
        noise: the standard deviation of the noise.
        seed: the seed of the noise.

    Shapes:
        x: (4·copies, 2) float32; without noise in the order 00, 01, 10, 11, repeated.
        y: (4·copies,) int32, 0 or 1.

    Raises:
        ArgumentError: an argument out of range.

    Source:
        Marvin Minsky and Seymour Papert: Perceptrons. 1969.

    Example:
        >>> data = xor()
        >>> data.x[:].tolist(), data.y.tolist()
        ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    copies = whole("copies", copies)
    draws = _Draws("xor", seed)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    x = np.tile(corners, (copies, 1))
    y = np.tile([0, 1, 1, 0], copies)
    return _dataset("xor", x + draws.noise(noise, x.shape), y, 2)


@strict
def circles(
    n: int = 200, noise: float = 0.05, *, factor: float = 0.5, seed: int = 0
) -> Dataset:
    """Generate two concentric circles, a toy data set that no line separates.

    Formula:
        x = r·(cos t, sin t) + noise·ε with r = 1 for class 0 and r = factor for
        class 1; t goes once around in equal steps, ε ~ N(0, 1).

    Args:
        n: the number of points, at least 2.
        noise: the standard deviation of the noise.
        factor: the radius of the inner circle, between 0 and 1.
        seed: the seed of the noise and the order.

    Shapes:
        x: (n, 2) float32. y: (n,) int32, 0 outside and 1 inside.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> data = circles(100, noise=0.0, factor=0.25)
        >>> radii = np.hypot(*data.x[:].T)
        >>> print(radii[data.y == 0].round(6).max(), radii[data.y == 1].round(6).max())
        1.0 0.25
    """
    sizes = _sizes(n, 2)
    number("factor", factor, least=0, most=1)
    draws = _Draws("circles", seed)
    turns = [np.arange(size) / size for size in sizes]
    rings = [_polar(r, t) for r, t in zip((1.0, factor), turns, strict=True)]
    return _noisy("circles", rings, noise, draws)


@strict
def moons(n: int = 200, noise: float = 0.05, *, seed: int = 0) -> Dataset:
    """Generate two interleaving half circles, a toy data set of two classes.

    Formula:
        class 0: (cos t, sin t); class 1: (1 − cos t, ½ − sin t); t from 0 to π in
        equal steps, both ends included; plus noise·ε with ε ~ N(0, 1).

    Args:
        n: the number of points, at least 2.
        noise: the standard deviation of the noise.
        seed: the seed of the noise and the order.

    Shapes:
        x: (n, 2) float32. y: (n,) int32, 0 for the upper and 1 for the lower one.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> data = moons(4, noise=0.0)
        >>> sorted(zip(data.y.tolist(), data.x[:].round(3).tolist()))
        [(0, [-1.0, 0.0]), (0, [1.0, 0.0]), (1, [0.0, 0.5]), (1, [2.0, 0.5])]
    """
    sizes = _sizes(n, 2)
    draws = _Draws("moons", seed)
    upper, lower = (_polar(1.0, np.linspace(0, 0.5, size)) for size in sizes)
    return _noisy("moons", [upper, np.array([1.0, 0.5]) - lower], noise, draws)


@strict
def spiral(
    n: int = 300,
    classes: int = 3,
    noise: float = 0.02,
    *,
    turns: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Generate a toy data set of spiral arms, one for each class.

    Formula:
        x = r·(cos t, sin t) + noise·ε with t = 2π·(turns·r + class/classes); r goes
        from 0 to 1 in equal steps, without 0 itself; ε ~ N(0, 1).

    Args:
        n: the number of points, at least one a class.
        classes: the number of arms, at least 2.
        noise: the standard deviation of the noise.
        turns: the number of turns of an arm; more is harder.
        seed: the seed of the noise and the order.

    Shapes:
        x: (n, 2) float32. y: (n,) int32, 0 … classes − 1.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> data = spiral(9, classes=3)
        >>> np.bincount(data.y).tolist()
        [3, 3, 3]
    """
    classes = whole("classes", classes, least=2)
    sizes = _sizes(n, classes)
    number("turns", turns, least=0, most=100)
    draws = _Draws("spiral", seed)
    radii = [np.arange(1, size + 1) / size for size in sizes]
    arms = [_polar(r, turns * r + c / classes) for c, r in enumerate(radii)]
    return _noisy("spiral", arms, noise, draws)


@strict
def blobs(
    n: int = 300,
    classes: int = 3,
    *,
    features: int = 2,
    spread: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Generate a toy data set of normally distributed clusters, one for each class.

    Formula:
        x = c + spread·ε with ε ~ N(0, 1) in each coordinate; the centres c are
        uniform in a cube of side 12·classes^(1/features), each at least 4 away from
        the others.

    Args:
        n: the number of points, at least one a class.
        classes: the number of clusters, at least 2.
        features: the number of coordinates.
        spread: the standard deviation of a cluster; from 2 on they overlap much.
        seed: the seed of the centres, the points and the order.

    Shapes:
        x: (n, features) float32. y: (n,) int32, 0 … classes − 1.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> data = blobs(90, classes=3, features=4)
        >>> data.x.shape, np.bincount(data.y).tolist()
        ((90, 4), [30, 30, 30])
    """
    classes = whole("classes", classes, least=2)
    features = whole("features", features)
    sizes = _sizes(n, classes)
    draws = _Draws("blobs", seed)
    centres = _centres(draws, classes, features)
    x = np.repeat(centres, sizes, axis=0)
    x = x + draws.noise(spread, x.shape, "spread")
    return _shuffled("blobs", x, sizes, draws)


@strict
def plane(n: int = 300, noise: float = 0.0, *, seed: int = 0) -> Dataset:
    """Generate an inclined plane, a toy data set that a single neuron fits.

    Formula:
        y = (x₁ + x₂)/2 + noise·ε, with x uniform in [−1, 1]² and ε ~ N(0, 1).

    Args:
        n: the number of points.
        noise: the standard deviation of the noise.
        seed: the seed of the points and the noise.

    Shapes:
        x: (n, 2) float32. y: (n, 1) float32, a quantity.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> data = plane(50)
        >>> bool(np.allclose(data.y[:, 0], data.x[:].mean(1), atol=1e-6))
        True
    """
    return _quantity("plane", n, noise, seed, lambda x: x.mean(axis=1))


@strict
def hills(n: int = 300, noise: float = 0.0, *, seed: int = 0) -> Dataset:
    """Generate two hills and two hollows, a toy data set that no plane fits.

    Formula:
        y = Σ sₖ exp(−‖x − cₖ‖²/2σ²) + noise·ε, with x uniform in [−1, 1]², the four
        centres c = (±½, ±½), s = 1 where both have one sign and −1 where not, σ = ¼,
        and ε ~ N(0, 1).

    Args:
        n: the number of points.
        noise: the standard deviation of the noise.
        seed: the seed of the points and the noise.

    Shapes:
        x: (n, 2) float32. y: (n, 1) float32, a quantity.

    Raises:
        ArgumentError: an argument out of range.

    Example:
        >>> data = hills(1000)
        >>> x, y = data.x[:], data.y[:, 0]
        >>> bool((np.sign(y) == np.sign(x[:, 0] * x[:, 1])).all())
        True
    """

    def height(x: Array) -> Array:
        total = np.zeros(len(x))
        for a, b in itertools.product((-HILLS, HILLS), repeat=2):
            far = ((x - np.array([a, b])) ** 2).sum(axis=1)
            total += math.copysign(1.0, a * b) * np.exp(-far / (2 * WIDTH**2))
        return total

    return _quantity("hills", n, noise, seed, height)


def _quantity(
    name: str, n: int, noise: float, seed: int, height: Callable[[Array], Array]
) -> Dataset:
    """Return a toy data set of a function of two numbers, with noise."""
    n = whole("n", n)
    draws = _Draws(name, seed)
    x = 2 * draws.uniform([n, 2]) - 1
    y = height(x) + draws.noise(noise, [n])
    return Dataset(
        x.astype(np.float32),
        y.astype(np.float32)[:, None],
        name=name,
        feature_names=["x1", "x2"],
    )


class _Draws:
    """The random numbers of one toy data set, reproducible by its seed.

    Args:
        name: the name of the set.
        seed: the seed, 0 … 2⁶⁴ − 1.
    """

    def __init__(self, name: str, seed: int) -> None:
        key = seed_key(seed_of("seed", seed))
        self.name, self.key, self.count = name, key, 0

    def _bits(self, count: int) -> Array:
        self.count += 1
        step = np.uint32(self.count)
        stream = f"data.{self.name}"
        return np.asarray(
            REFERENCES[random_bits](self.key, step, shape=(count,), stream=stream)
        )

    def uniform(self, shape: Sequence[int]) -> Array:
        """Draw a toy data set's numbers, strictly between 0 and 1."""
        bits = self._bits(math.prod(shape)).astype(np.float64)
        return ((bits + 0.5) * 2.0**-32).reshape(shape)

    def normal(self, shape: Sequence[int]) -> Array:
        """Draw a toy data set's numbers from N(0, 1), by Box and Muller."""
        u, v = self.uniform(shape), self.uniform(shape)
        return np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * math.pi * v)

    def noise(self, size: float, shape: Sequence[int], name: str = "noise") -> Array:
        """Draw a toy data set's noise size·ε, with ε from N(0, 1)."""
        number(name, size, least=0, most=1e6)
        return size * self.normal(shape)

    def order(self, n: int) -> Array:
        """Draw a random order of a toy data set's n points."""
        return np.argsort(self._bits(n), kind="stable")


def _polar(radius: Any, turns: Array) -> Array:
    """Return points (n, 2) of toy data from radii and angles in whole turns."""
    angle = 2.0 * math.pi * turns
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _centres(draws: _Draws, classes: int, features: int) -> Array:
    """Draw the centres of a toy data set's clusters, at a minimum distance."""
    side = 3 * MIN_DISTANCE * classes ** (1 / features)
    centres = np.empty((0, features))
    while len(centres) < classes:
        point = side * (draws.uniform([features]) - 0.5)
        if np.all(np.sum((centres - point) ** 2, axis=1) >= MIN_DISTANCE**2):
            centres = np.concatenate([centres, point[None]])
    return centres


def _noisy(name: str, classes: list[Array], noise: float, draws: _Draws) -> Dataset:
    """Return a toy data set of all classes' points, with noise, in random order."""
    x = np.concatenate(classes)
    x = x + draws.noise(noise, x.shape)
    return _shuffled(name, x, [len(points) for points in classes], draws)


def _shuffled(name: str, x: Array, sizes: list[int], draws: _Draws) -> Dataset:
    """Return a toy data set of points sorted by class, in random order."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    order = draws.order(len(x))
    return _dataset(name, x[order], y[order], len(sizes))


def _dataset(name: str, x: Array, y: Array, classes: int) -> Dataset:
    return Dataset(
        x.astype(np.float32),
        y.astype(np.int32),
        name=name,
        classes=classes,
        feature_names=[f"x{i + 1}" for i in range(x.shape[1])],
    )


def _sizes(n: int, classes: int) -> list[int]:
    """Return the number of a toy data set's points in each class, nearly equal."""
    n = whole("n", n, least=classes)
    return [n // classes + (c < n % classes) for c in range(classes)]
