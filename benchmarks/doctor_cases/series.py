"""Sequences of the second set: signals, time series, codes and words."""

from __future__ import annotations

import numpy as np
import rows
from rows import HELD_OUT, Array, Parts, column


def ordered(x: Array, y: Array) -> Parts:
    """Split at random, and keep the inputs' dtype."""
    order = np.random.default_rng(0).permutation(len(x))
    cut = round(len(x) * (1 - HELD_OUT))
    x, y = x[order], y[order]
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def switches(*, signs: bool = False) -> Parts:
    """128 switches as 16 steps of 8, and a class that is −1 or 1, or 0 or 1."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (6000, 16, 8)).astype(np.float32)
    weights = rng.normal(size=(16, 8)) * (np.arange(16)[:, None] > 9)
    score = ((x - 0.5) * weights).sum((1, 2))
    y = column(np.where(score > 0, 1, -1 if signs else 0))
    return ordered(x, y)


def saw(*, scaled: bool = False, steps: int = 12) -> Parts:
    """Two saws from 1 to 10, and their next values."""
    t = np.arange(1400)
    two = np.stack([t % 10 + 1, (t // 2) % 10 + 1], 1).astype(np.float32)
    two = two / 10 if scaled else two
    x = np.stack([two[i : i + steps] for i in range(len(two) - steps)])
    return ordered(x, two[steps:])


def visits() -> Parts:
    """Three covariates over 12 weeks, and a count of visits."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 12, 3)).astype(np.float32)
    rate = np.exp(1.0 + 1.2 * x[:, -4:, 0].mean(1) - 0.8 * x[:, -1, 1])
    return ordered(x, column(rng.poisson(rate)))


def frames(*, steps: int = 8, columns: int = 6) -> Parts:
    """Vectors of frames, and which of four movements they show."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 1600)
    t = np.linspace(0, 1, steps)
    paths = np.stack([t, t[::-1], abs(2 * t - 1), 1 - abs(2 * t - 1)])
    lines = rng.normal(size=(4, columns))
    x = paths[y][:, :, None] * lines[y][:, None] + rng.normal(
        0, 0.3, (len(y), steps, columns)
    )
    return ordered(x.astype(np.float32), y)


def rows_of_digits(count: int = 2000) -> Parts:
    """MNIST, each image as 28 steps of 28."""
    (x, y), (held_x, held_y) = rows.mnist(count)
    return (x.reshape(-1, 28, 28), y), (held_x.reshape(-1, 28, 28), held_y)


def wave(*, history: bool = False, steps: int = 20) -> Parts:
    """20 sin t; the window holds the times, or the values before."""
    t = np.arange(0, 600, 0.4)
    y = np.sin(t) if history else 20 * np.sin(t)
    source = y if history else t
    x = np.stack([source[i : i + steps] for i in range(len(t) - steps)])
    y = y[steps:] if history else y[steps - 1 : -1]
    return ordered(x[..., None].astype(np.float32), column(y))


# -- words -----------------------------------------------------------------------------


def texts(
    classes: int = 4, *, share: float = 0.3, vocabulary: int = 200, count: int = 1600
) -> Parts:
    """Texts of 20 words, a share of them of their subject."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, count)
    x = rng.integers(0, vocabulary, (count, 20))
    subject = y[:, None] * 8 + rng.integers(0, 8, x.shape)
    x = np.where(rng.random(x.shape) < share, subject, x)
    return ordered(x, y)


def short_texts(*, before: bool = False, length: int = 60) -> Parts:
    """Texts of four to eight words in 60 places; nothing (0) behind them, or before."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 1600)
    x = np.zeros((len(y), length), np.int64)
    for row, subject in zip(x, y, strict=True):
        words = rng.integers(1, 60, rng.integers(4, 9))
        words[rng.integers(len(words))] = 1 + subject * 4 + rng.integers(4)
        words[words < 17] = 1 + subject * 4 + (words[words < 17] - 1) % 4
        row[slice(-len(words), None) if before else slice(len(words))] = words
    return ordered(x, y)


def next_words(
    *, aligned: bool = True, vocabulary: int = 30, count: int = 3000
) -> Parts:
    """Eight words, and the word after them, which the last two decide.

    Not ``aligned``, the last of the eight stands where the next should.
    """
    rng = np.random.default_rng(0)
    table = rng.integers(0, vocabulary, (vocabulary, 3))
    text = [0, 1]
    for _ in range(count + 8):
        likely = table[text[-1], text[-2] % 3]
        text.append(int(likely if rng.random() < 0.9 else rng.integers(vocabulary)))
    words = np.array(text)
    x = np.stack([words[i : i + 8] for i in range(count)])
    return ordered(x, words[8 : count + 8] if aligned else x[:, -1])


def peptides() -> Parts:
    """Chains of 12 amino acids, and a standardised quantity that they add up to."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 20, (1600, 12))
    y = rng.normal(size=20)[x].sum(1)
    return ordered(x, column((y - y.mean()) / y.std()))


def peptide_steps() -> Parts:
    """The same chains as steps of 20 zeros and ones."""
    letters = np.eye(20, dtype=np.float32)
    (x, y), (held_x, held_y) = peptides()
    return (letters[x], y), (letters[held_x], held_y)
