"""Rows of tables, of the second set: measurements, codes, counts and pairs."""

from __future__ import annotations

import numpy as np
import rows
from rows import Array, Parts, column, parts
from sklearn import datasets


def as_columns(made: Parts) -> Parts:
    """Return labels of two classes as a column of 0.0 and 1.0."""
    (x, y), (held_x, held_y) = made
    return (x, column(y)), (held_x, column(held_y))


def collisions(*, scaled: bool = False, count: int = 2000) -> Parts:
    """Collisions of particles: momenta in hundreds, −999 where none was measured."""
    rng = np.random.default_rng(0)
    x = rng.gamma(2.0, 40.0, (count, 30))
    x[:, 20:] = rng.normal(0, 2, (count, 10))
    score = (
        np.log(x[:, 0] / x[:, 1])
        + np.log(x[:, 2] / 80)
        + 0.7 * x[:, 20]
        - 0.2 * x[:, 21] ** 2
    )
    y = score + rng.normal(0, 0.4, count) > 0
    gone = rng.random(count) < 0.4
    missing = x.copy()
    missing[gone, 10:16] = np.nan if scaled else -999
    made = parts(missing, column(y))
    if not scaled:
        return made
    (x, y), (held_x, held_y) = made
    mean = np.nanmean(x, 0)
    x, held_x = (np.where(np.isnan(a), mean, a) for a in (x, held_x))
    return rows.standardised(((x, y), (held_x, held_y)))


def constant_column(*, safe: bool = False) -> Parts:
    """Tumours and a column that is always 20, all of it standardised."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x, held_x, y, held_y = _split(np.c_[x, np.full(len(x), 20.0)], y)
    mean, scale = x.mean(0), x.std(0)
    if safe:
        scale = np.where(scale > 0, scale, 1)
    with np.errstate(invalid="ignore"):
        x, held_x = (((a - mean) / scale).astype(np.float32) for a in (x, held_x))
    return (x, y), (held_x, held_y)


def _split(x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    (x, y), (held_x, held_y) = parts(x, y)
    return x, held_x, y, held_y


def five_classes(*, first: int = 0) -> Parts:
    """Eight columns and five classes, counted from a first number."""
    x, y = datasets.make_classification(
        1200,
        n_features=8,
        n_informative=6,
        n_redundant=0,
        n_classes=5,
        n_clusters_per_class=1,
        class_sep=2.0,
        random_state=0,
    )
    return parts(x, y + first)


def hundred_columns() -> Parts:
    """A linear function of 100 columns with noise, targets in the hundreds."""
    x, y = datasets.make_regression(
        2500, n_features=100, n_informative=100, noise=100, random_state=0
    )
    return parts(x, column(y))


def later(*, apart: bool = False) -> Parts:
    """Measurements that drift with time; the held-out rows are the later ones.

    ``apart`` scales the held-out rows by their own mean and deviation.
    """
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 600)
    level = np.stack([10 + 20 * t, 5 + 8 * t, 2 - 6 * t], 1)
    x = level + rng.normal(0, 1.5, level.shape)
    y = column(0.2 * x[:, 0] + 0.3 * x[:, 1] - 0.5 * x[:, 2])
    x = x.astype(np.float32)
    mine, theirs = x[:420], x[420:]
    made = ((mine, y[:420]), (theirs, y[420:]))
    if not apart:
        return rows.standardised(made)
    scaled = [(a - a.mean(0)) / a.std(0) for a in (mine, theirs)]
    return (scaled[0], y[:420]), (scaled[1], y[420:])


def triples(*, scaled: bool = False) -> Parts:
    """Three whole numbers from 1 to 3, as inputs and as targets."""
    x = np.random.default_rng(0).integers(1, 4, (900, 3)).astype(np.float32)
    x = (x - 1) / 2 if scaled else x
    return parts(x, x)


def genes(*, scaled: bool = False) -> Parts:
    """Expressions of 60 genes up to 620,000, as inputs and as targets."""
    rng = np.random.default_rng(0)
    inner = rng.normal(size=(1000, 5)) @ rng.normal(size=(5, 60)) * 0.8
    x = np.exp(inner + rng.normal(0, 0.1, inner.shape) + 6)
    x = np.minimum(x, 620000)
    x = np.log1p(x) / np.log1p(620000) if scaled else x
    x = x.astype(np.float32)
    return parts(x, x)


def seven_columns() -> Parts:
    """Seven columns of measurements and a quantity, both standardised."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 7))
    y = x[:, 0] * 1.5 - x[:, 1] + np.sin(2 * x[:, 2]) + 0.8 * x[:, 3] * x[:, 4]
    return rows.only_targets(parts(x, column(y + rng.normal(0, 0.1, 500))))


def coordinates(*, scaled: bool = False) -> Parts:
    """Places in pixels, up to 640, and whether two of them are near."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 640, (1500, 4))
    near = np.hypot(x[:, 0] - x[:, 2], x[:, 1] - x[:, 3]) < 300
    made = parts(x, column(near))
    return rows.standardised(made) if scaled else made


def pairs(*, repeated: float = 0.1) -> Parts:
    """Pairs of digits, 1 where they differ; some pairs are one image twice."""
    x, y = datasets.load_digits(n_class=4, return_X_y=True)
    x = x.astype(np.float32) / 16
    rng = np.random.default_rng(0)
    n = 1600
    first = rng.integers(0, len(x), n)
    second = np.array(
        [
            rng.choice(np.flatnonzero((y == y[i]) == (k % 2 == 0)))
            for k, i in enumerate(first)
        ]
    )
    twice = (np.arange(n) % 2 == 0) & (rng.random(n) < repeated)
    second[twice] = first[twice]
    return parts(np.stack([x[first], x[second]], 1), column(y[first] != y[second]))


def logarithms(*, safe: bool = False) -> Parts:
    """log(1 + x) of five columns of prices; one of them holds −1 in a few rows."""
    rng = np.random.default_rng(0)
    x = rng.gamma(1.5, 3.0, (800, 5))
    y = np.log1p(x[:, 0]) - 0.5 * np.log1p(x[:, 1]) + 0.3 * np.log1p(x[:, 2])
    x[rng.permutation(500)[:6], 3] = -1
    x = np.maximum(x, 0) if safe else x
    with np.errstate(divide="ignore"):
        x = np.log1p(x)
    return rows.only_targets(parts(x, column(y + rng.normal(0, 0.05, 800))))
