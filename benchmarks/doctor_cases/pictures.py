"""Images of the second set: masks, textures, and rows that were prepared apart."""

from __future__ import annotations

import numpy as np
import rows
from rows import Parts, parts
from sklearn import datasets


def masks(count: int = 700, size: int = 12) -> Parts:
    """A bright disk on a dark ground, and the pixels that it covers."""
    rng = np.random.default_rng(0)
    at = np.arange(size)
    middle = rng.uniform(3, size - 3, (count, 2, 1, 1))
    radius = rng.uniform(3.5, 5.5, (count, 1, 1))
    inside = np.hypot(at[:, None] - middle[:, 0], at - middle[:, 1]) < radius
    x = 0.6 * inside + rng.normal(0.2, 0.25, inside.shape)
    y = inside.reshape(count, -1).astype(np.float32)
    return parts(x[:, None], y)


def textures(*, as_bytes: bool = False, count: int = 900) -> Parts:
    """Stripes in three directions, divided by 255; cast to bytes after it, or not."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 3
    down, across = np.mgrid[:12, :12]
    along = np.stack([down, across, down + across])[y]
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    waves = 125 + 60 * np.sin(along * 1.3 + phase) + rng.normal(0, 20, along.shape)
    x = np.clip(waves, 5, 250) / 255
    x = x.astype(np.uint8) if as_bytes else x
    return parts(x[:, None], y)


def last_class(*, shuffled: bool = False) -> Parts:
    """Five digits sorted by class; the last fifth of the rows is held out."""
    x, y = datasets.load_digits(n_class=5, return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.argsort(y, kind="stable")
    if shuffled:
        order = np.random.default_rng(0).permutation(len(x))
    cut = round(len(x) * 0.8)
    x, y = x[order], y[order]
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def prepared_apart(count: int = 1500) -> Parts:
    """MNIST, from −1 to 1 where it is trained on, from 0 to 1 where it is held out."""
    (x, y), held = rows.mnist(count, image=True)
    return (x * 2 - 1, y), held


def from_minus_one(count: int = 1500) -> Parts:
    """MNIST, from −1 to 1."""
    (x, y), (held_x, held_y) = rows.mnist(count, image=True)
    return (x * 2 - 1, y), (held_x * 2 - 1, held_y)


def few(count: int = 64) -> Parts:
    """A few images of two kinds to train on, pixels up to 255, and 200 others."""
    x, y = datasets.load_digits(n_class=2, return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: count + 200]
    x = (x[order] / 16 * 255).astype(np.float32).reshape(-1, 1, 8, 8)
    y = rows.column(y[order])
    return (x[:count], y[:count]), (x[count:], y[count:])


def lives(count: int = 800, size: int = 8) -> Parts:
    """Fields of a game of life with the cells around them, and their next states."""
    field = np.random.default_rng(0).random((count, size, size)) < 0.5
    around = np.pad(field, ((0, 0), (1, 1), (1, 1)), mode="wrap").astype(np.float32)
    near = sum(
        around[:, down : down + size, across : across + size]
        for down in range(3)
        for across in range(3)
        if (down, across) != (1, 1)
    )
    after = (near == 3) | (field & (near == 2))
    return parts(around[:, None], after.reshape(count, -1).astype(np.float32))
