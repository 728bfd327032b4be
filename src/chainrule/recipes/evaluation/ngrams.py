"""N-gram language models: counts, smoothing, cross-entropy.

    p(s | the n − 1 symbols before) = (count + α) / Σ (count + α)

Sequences are lists of numbers below ``size``. Where they have a beginning and an end,
the caller writes symbols for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np


def counts(
    sequences: Iterable[Sequence[int] | np.ndarray], n: int, size: int
) -> np.ndarray:
    """Count the n-grams of sequences.

    Args:
        sequences: numbers below ``size``. Those that are shorter than n count nothing.
        n: the length of a window.
        size: of the alphabet.

    Returns:
        A table (size, …, size) with n axes, the last one for the last symbol.

    >>> counts([[0, 1, 1], [1, 0]], 2, 2)
    array([[0, 1],
           [1, 1]])
    """
    powers = size ** np.arange(n)[::-1]
    codes = [
        np.lib.stride_tricks.sliding_window_view(np.asarray(sequence, int), n) @ powers
        for sequence in sequences
        if len(sequence) >= n
    ]
    flat = np.concatenate([np.zeros(0, int), *codes])
    return np.bincount(flat, minlength=size**n).reshape((size,) * n)


def smoothed(table: np.ndarray, alpha: float) -> np.ndarray:
    """Return an n-gram model's p(last symbol | symbols before), smoothed by α.

    >>> smoothed(np.array([[0, 3], [1, 1]]), 1.0)
    array([[0.2, 0.8],
           [0.5, 0.5]])
    """
    return (table + alpha) / (table + alpha).sum(-1, keepdims=True)


def cross_entropy(p: np.ndarray, table: np.ndarray) -> float:
    """Return an n-gram model's cross-entropy on counted n-grams, in nats a symbol.

    >>> round(cross_entropy(np.array([0.5, 0.5]), np.array([3, 1])), 4)
    0.6931
    """
    return float(-(table * np.log(p)).sum() / table.sum())


def evaluate(
    parts: Mapping[str, Iterable[Sequence[int] | np.ndarray]],
    n: int,
    size: int,
    alphas: Sequence[float],
) -> dict[str, float]:
    """Fit an n-gram model, and return its cross-entropy on each part of the data.

    Args:
        parts: sequences by part. The model counts ``"train"``; ``"validation"`` chooses
            the α with the least cross-entropy.
        n, size: as for :func:`counts`.
        alphas: to choose from.

    Returns:
        ``"alpha"``, and the nats a symbol of each part.

    >>> parts = {"train": [[1, 1, 1, 1]], "validation": [[0, 1, 1, 1]]}
    >>> {key: round(value, 3) for key, value in evaluate(parts, 1, 2, [0.1, 2]).items()}
    {'alpha': 2, 'train': 0.288, 'validation': 0.562}
    """
    tables = {name: counts(sequences, n, size) for name, sequences in parts.items()}
    models = {alpha: smoothed(tables["train"], alpha) for alpha in alphas}
    alpha = min(alphas, key=lambda a: cross_entropy(models[a], tables["validation"]))
    costs = {name: cross_entropy(models[alpha], t) for name, t in tables.items()}
    return {"alpha": alpha, **costs}
