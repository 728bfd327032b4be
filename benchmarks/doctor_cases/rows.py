"""Rows of the kinds that the questioners had, drawn by small generators.

Each returns training and held-out rows: (x, y), (x, y). Numbers are those of the
question (lengths, ranges, units) where it gives them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets

import chainrule as cr

Array = np.ndarray[Any, Any]
Parts = tuple[tuple[Array, Array], tuple[Array, Array]]
#: Share of the rows that is held out.
HELD_OUT = 0.25


def parts(x: Array, y: Array, seed: int = 0, held_out: float = HELD_OUT) -> Parts:
    """Split rows at random."""
    order = np.random.default_rng(seed).permutation(len(x))
    cut = round(len(x) * (1 - held_out))
    x, y = np.asarray(x, np.float32)[order], np.asarray(y)[order]
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def column(y: Array) -> Array:
    """Return numbers as a column of float32, for losses of quantities."""
    return np.asarray(y, np.float32).reshape(-1, 1)


def standardised(made: Parts, *, targets: bool = False) -> Parts:
    """Standardise features, and targets where asked, by the training rows."""
    (x, y), (held_x, held_y) = made
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 0, scale, 1)
    x, held_x = (((a - mean) / scale).astype(np.float32) for a in (x, held_x))
    if targets:
        mean, scale = y.mean(0), y.std(0)
        y, held_y = (((a - mean) / scale).astype(np.float32) for a in (y, held_y))
    return (x, y), (held_x, held_y)


def whole(made: Parts) -> Parts:
    """Return the rows with targets as whole numbers, as a cast gives them."""
    (x, y), (held_x, held_y) = made
    return (x, y.astype(np.int64)), (held_x, held_y.astype(np.int64))


# -- logic and small tables ------------------------------------------------------------


def xor(rows: int = 4, repeats: int = 1) -> Parts:
    """Exclusive or: the four rows themselves, or many draws of them."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    if rows > 4:
        x = x[np.random.default_rng(0).integers(0, 4, rows)]
        return parts(x, column(x[:, 0] != x[:, 1]))
    x = np.repeat(x, repeats, axis=0)
    y = column(x[:, 0] != x[:, 1])
    return (x, y), (x, y)


def two_ranges() -> Parts:
    """Two classes of points from two ranges of uniform numbers."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.uniform(0.2, 0.4, (100, 2)), rng.uniform(0.5, 0.7, (100, 2))]
    return parts(x, np.repeat([0, 1], 100))


def all_ones_or_zeros(rows: int = 1200, columns: int = 128) -> Parts:
    """Rows of ones, of class 1, and rows of zeros."""
    y = np.arange(rows) % 2
    return parts(np.repeat(y[:, None], columns, 1), column(y))


def threshold(rows: int, high: float, *, scale: float = 1.0) -> Parts:
    """One number, and whether it is above the middle."""
    x = np.random.default_rng(0).uniform(0, high, (rows, 1))
    return parts(x * scale, column(x[:, 0] >= high / 2))


def letters(*, scaled: bool = False) -> Parts:
    """Codes of three letters A to F, and whether the last is one of E and F."""
    x = np.random.default_rng(0).integers(65, 71, (240, 3))
    made = parts(x, column(x[:, 2] >= 69))
    return standardised(made) if scaled else made


def packets(*, scaled: bool = False) -> Parts:
    """Headers of network packets: addresses near 3e9, ports, sizes; is it odd?"""
    rng = np.random.default_rng(0)
    n = 400
    odd = rng.integers(0, 2, n)
    address = 3232235773 + rng.integers(0, 7, (n, 2))
    fixed = np.tile([6, 128], (n, 1))
    size = 524032 + 64 * rng.integers(0, 9, n)
    port = rng.integers(502, 60000, n)
    load = np.where(odd[:, None], rng.integers(40, 90, (n, 3)), [12, 61, 6])
    tail = rng.integers(0, 2, (n, 2)) * 206
    x = np.c_[address, fixed, size, port, load, tail].astype(np.float64)
    if scaled:
        x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    return parts(x, column(odd))


def adults(*, scaled: bool = False, rows: int = 1600) -> Parts:
    """A census: ages, weights of people near 2e5, gains; is the income high?"""
    rng = np.random.default_rng(0)
    age = rng.integers(17, 80, rows)
    weight = rng.lognormal(12, 0.6, rows)
    years = rng.integers(3, 17, rows)
    gain = np.where(rng.random(rows) < 0.1, rng.uniform(2e3, 2e4, rows), 0)
    hours = np.clip(rng.normal(40, 12, rows), 5, 90)
    codes = rng.integers(0, 15, (rows, 3))
    score = 0.06 * (age - 40) + 0.55 * (years - 10) + 0.08 * (hours - 40) + gain / 3e3
    y = (score + rng.normal(0, 0.7, rows) > 0.3).astype(np.int64)
    made = parts(np.c_[age, weight, years, gain, hours, codes], y)
    return standardised(made) if scaled else made


def iris(*, scaled: bool = False) -> Parts:
    """Fisher's irises."""
    x, y = datasets.load_iris(return_X_y=True)
    made = parts(x, y)
    return standardised(made) if scaled else made


def many_labels() -> Parts:
    """Rows with up to three labels each."""
    x, y = datasets.make_multilabel_classification(
        2400, n_features=20, n_classes=3, random_state=0
    )
    return parts(x, y.astype(np.float32))


def tumours(*, missing: int = 0, shuffled: bool = False, scaled: bool = True) -> Parts:
    """Tumours; with cells that are missing, or features shuffled and labels not."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    made = parts(x, y)
    (x, y), held = standardised(made) if scaled else made
    rng = np.random.default_rng(0)
    if missing:
        x[rng.integers(0, len(x), missing), rng.integers(0, x.shape[1], missing)] = (
            np.nan
        )
    if shuffled:
        x = x[rng.permutation(len(x))]
    return (x, y), held


# -- curves and quantities -------------------------------------------------------------


#: Functions of one number.
CURVES: dict[str, Callable[[Array], Array]] = {
    "sine": np.sin,
    "square": lambda x: 5 * x**2,
    "parabola": lambda x: x**2 + 3,
    "fourth power": lambda x: x**4,
    "quartic": lambda x: x**4 + x**3 - x,
    "line": lambda x: 10 * x,
    "wave": lambda x: np.sin(x * 30 / 256) + 0.5 * np.sin(x * 9 / 256),
}


def curve(
    kind: str,
    low: float,
    high: float,
    rows: int,
    *,
    noise: float = 0.0,
    scaled: bool = False,
    targets: bool = False,
) -> Parts:
    """One number, and a function of it, with noise or without."""
    rng = np.random.default_rng(0)
    x = np.linspace(low, high, rows)
    y = CURVES[kind](x) + noise * rng.normal(size=rows) ** 3
    made = parts(x[:, None], column(y))
    if scaled:
        return standardised(made, targets=targets)
    return only_targets(made) if targets else made


def only_targets(made: Parts) -> Parts:
    """Standardise targets alone."""
    (x, y), (held_x, held_y) = made
    mean, scale = y.mean(0), y.std(0)
    return (x, (y - mean) / scale), (held_x, (held_y - mean) / scale)


def plane(
    columns: int, rows: int, bounds: float, *, scaled: bool = False, flat: bool = False
) -> Parts:
    """A linear function of a few columns of uniform numbers."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, bounds, (rows, columns))
    weights = np.array([2.0, 1.0, 0.5, 9.0, -2.0])[:columns]
    y = column(x @ weights + 2.2)
    made = parts(x, y[:, 0] if flat else y)
    return standardised(made, targets=True) if scaled else made


def television(*, scaled: bool = False) -> Parts:
    """Spending on advertisements in hundreds, and sales."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 300, (200, 1))
    y = 7 + 0.05 * x[:, 0] + rng.normal(0, 1, 200)
    made = parts(x, column(y))
    return standardised(made, targets=True) if scaled else made


def two_columns() -> Parts:
    """Two columns, and a target on both sides of zero."""
    x = np.random.default_rng(0).normal(0.5, 1.0, (160, 2))
    return parts(x, column(0.8 * x[:, 0] - 0.9 * x[:, 1] - 0.4))


def shares() -> Parts:
    """Five uniform numbers, and a share between 0 and 1 that rises with them."""
    x = np.random.default_rng(0).uniform(0, 1, (1000, 5))
    return parts(x, column(1 / (1 + np.exp(-4 * (x[:, 0] + x[:, 1] - x[:, 2] - 0.5)))))


def bits(*, scaled: bool = False) -> Parts:
    """Binary vectors, and a number in thousands."""
    x = np.random.default_rng(0).integers(0, 2, (1600, 16))
    weights = np.random.default_rng(1).normal(size=16)
    y = 2000 + 600 * (x @ weights) + 300 * (x[:, 0] ^ x[:, 1])
    made = parts(x, column(y))
    return standardised(made, targets=True) if scaled else made


# -- images ----------------------------------------------------------------------------


@functools.cache
def _mnist() -> Any:
    train, test = cr.data.mnist()
    rng = np.random.default_rng(0)
    made = []
    for data, rows in ((train, 3000), (test, 1000)):
        chosen = np.sort(rng.permutation(len(data))[:rows])
        x = np.asarray(data.x[chosen], np.float32).reshape(rows, -1)
        made.append((x / x.max() * 255, np.asarray(data.y[chosen], np.int64)))
    return tuple(made)


def mnist(
    rows: int = 3000,
    *,
    divided: float = 255.0,
    labels_divided: float = 1.0,
    image: bool = False,
    one_hot: bool = False,
    as_column: bool = False,
) -> Parts:
    """MNIST: pixels as they are or divided, labels as they are, divided, or one-hot."""
    made = []
    for (x, y), n in zip(_mnist(), (rows, 1000), strict=True):
        x, y = (x[:n] / divided).astype(np.float32), y[:n]
        if image:
            x = x.reshape(-1, 1, 28, 28)
        if labels_divided != 1:
            y = (y / labels_divided).astype(np.float32)
        if one_hot:
            y = np.eye(10, dtype=np.float32)[y]
        made.append((x, column(y) if as_column else y))
    return tuple(made)  # type: ignore[return-value]


def digits(
    classes: int = 10,
    *,
    scale: float = 1 / 16,
    image: bool = False,
    as_column: bool = False,
    one_hot: bool = False,
) -> Parts:
    """The digits of scikit-learn, 8 × 8."""
    x, y = datasets.load_digits(n_class=classes, return_X_y=True)
    made = []
    for a, b in parts(x * scale, y):
        a = a.reshape(-1, 1, 8, 8) if image else a
        b = np.eye(classes, dtype=np.float32)[b] if one_hot else b
        made.append((a, column(b) if as_column else b))
    return tuple(made)  # type: ignore[return-value]


def places() -> Parts:
    """Places of things in images: of MNIST, the middle and the spread of the ink."""
    made = []
    for x, _ in _mnist():
        ink = x.reshape(-1, 28, 28) + 1e-6
        total, at = ink.sum((1, 2)), np.linspace(-1, 1, 28)
        rows, columns = ink.sum(2), ink.sum(1)
        y = [rows @ at, columns @ at, rows @ at**2, columns @ at**2]
        made.append((x / 255, (np.stack(y, 1) / total[:, None]).astype(np.float32)))
    return only_targets(tuple(made))  # type: ignore[arg-type]


def images_of_themselves(*, divided: float = 255.0) -> Parts:
    """MNIST as inputs and as targets."""
    made = [(x / divided).astype(np.float32) for x, _ in _mnist()]
    return tuple((x[:1500], x[:1500]) for x in made)  # type: ignore[return-value]


def sequences(rows: int = 900, length: int = 24, classes: int = 4) -> Parts:
    """Waves of a few frequencies, (N, 1, T)."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, rows)
    t = np.arange(length) / length
    phase = rng.uniform(0, 2 * np.pi, (rows, 1))
    x = np.sin(2 * np.pi * (y[:, None] + 1) * t + phase) + rng.normal(
        0, 0.2, (rows, length)
    )
    return parts(x[:, None, :], y)
