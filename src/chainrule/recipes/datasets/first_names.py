"""First names of the US census of 1990, from the package `names`: 5,163 of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.recipes.vocabulary import numbered

#: The point begins and ends a name.
LETTERS = ".abcdefghijklmnopqrstuvwxyz"
LONGEST = 11
_NUMBERS = {letter: i for i, letter in enumerate(LETTERS) if i}


def read(folder: Path) -> dict[str, list[str]]:
    """Read the census's first names, in small letters, into three data sets.

    Args:
        folder: of the package `names`.

    Returns:
        The parts ``"train"`` (8/10), ``"validation"`` and ``"test"`` (1/10 each), drawn
        once and for all.
    """
    files = (folder / f"dist.{sex}.first" for sex in ("female", "male"))
    lines = [line for file in files for line in file.read_text("ascii").splitlines()]
    names = sorted({line.split()[0].lower() for line in lines})
    order = np.random.default_rng(0).permutation(len(names))
    bounds = [len(names) * 8 // 10, len(names) * 9 // 10]
    parts = zip(("train", "validation", "test"), np.split(order, bounds))
    return {part: [names[i] for i in rows] for part, rows in parts}


def encode(name: str, points: int = 1) -> list[int]:
    """Return a first name's letters as numbers, with points in front and at the end.

    Raises:
        ArgumentError: a character that is in no name.

    >>> encode("ada")
    [0, 1, 4, 1, 0]
    """
    return [0] * points + numbered("names", name, _NUMBERS) + [0]


def sequences(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return first names as training rows: letters so far, and the next of each.

    Behind the end of a name the next letter is −100, the index that a loss ignores.

    >>> x, y = sequences(["ada"])
    >>> x[0, :5].tolist(), y[0, :5].tolist()
    ([0, 1, 4, 1, 0], [1, 4, 1, 0, -100])
    """
    shape = len(names), LONGEST + 1
    x, y = np.zeros(shape, int), np.full(shape, -100)
    for i, name in enumerate(names):
        letters = encode(name)
        x[i, : len(letters) - 1], y[i, : len(letters) - 1] = letters[:-1], letters[1:]
    return x, y
