"""The mean loss of a language model over a whole text, and text that it generates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def windows(text: np.ndarray, starts: np.ndarray, block: int) -> np.ndarray:
    """Return the text windows of block + 1 symbols from each start.

    >>> windows(np.arange(9), np.array([0, 4]), 2)
    array([[0, 1, 2],
           [4, 5, 6]])
    """
    return text[starts[..., None] + np.arange(block + 1)]


def nats(
    loss: Callable[[np.ndarray], Any],
    text: np.ndarray,
    block: int,
    most: int | None = None,
) -> float:
    """Return a language model's mean loss on a text, in windows without overlap.

    Args:
        loss: from windows (n, block + 1) to the mean −ln p of all symbols behind their
            first ones.
        text: numbers of symbols.
        block: the symbols of a window that are predicted.
        most: the largest number of windows, evenly spaced; None for all.
    """
    starts = np.arange(0, len(text) - block, block)
    if most is not None:
        starts = starts[:: max(1, len(starts) // most)][:most]
    parts = np.array_split(starts, math.ceil(len(starts) / 48))
    total = sum(len(p) * loss(windows(text, p, block)).item() for p in parts)
    return total / len(starts)


def generate(
    scores: Any,
    block: int,
    rng: np.random.Generator,
    start: np.ndarray,
    count: int,
    *,
    temperature: float = 1.0,
    end: int | None = None,
) -> list[int]:
    """Generate text by a language model: draw characters, each given those before.

    The scores at a position do not depend on what is behind it: rows are filled up to
    one length, so that one compiled program serves every character.

    Args:
        scores: of the next character at each place of a row, (1, block, characters).
        block: characters that are seen at once, the last ones.
        rng: draws them.
        start: the numbers of the characters to go on from.
        count: characters to draw.
        temperature: scores are divided by it: below 1 the likely ones are drawn more
            often, above 1 the others.
        end: the number of a character behind which nothing is drawn; None: none.
    """
    text = [int(i) for i in start]
    while len(text) < len(start) + count and text[len(start) :][-1:] != [end]:
        context = text[-block:]
        row = np.zeros((1, block), start.dtype)
        row[0, : len(context)] = context
        z = scores(row).numpy()[0, len(context) - 1].astype(float) / temperature
        p = np.exp(z - z.max())
        text.append(int((p.cumsum() > rng.random() * p.sum()).argmax()))
    return text[len(start) :]
