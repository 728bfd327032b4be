"""Arrays and equations as blocks of text lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.html.arrays import spelled, summary
from chainrule.notation.expressions import Array, Piece

#: Lines of equal length.
Lines = list[str]

#: An array of up to so many rows and columns is shown whole.
WHOLE = 6
CORNER = 3, 4
#: Exponents that stand at the top right of a matrix.
RAISED = "²³⁴"


def is_small(array: Array) -> bool:
    """Return whether an array is small enough to be printed whole."""
    return array.ndim <= 2 and max(array.shape, default=1) <= WHOLE


def matrix(array: Array, digits: int = 4, off: Array | None = None) -> Lines:
    """Return the text lines of a matrix in brackets; of a number without.

    >>> print("\\n".join(matrix(np.array([[0.5, 2.0], [-1.0, 0.25]]))))
    ⎡ 0.50  2.00⎤
    ⎣-1.00  0.25⎦
    """
    cells = spelled(array, digits, off)
    if len(cells) == 1 and len(cells[0]) == 1:
        return [cells[0][0]]
    return bracketed(cells)


def bracketed(cells: Sequence[Sequence[str]]) -> Lines:
    """Return the text lines of aligned cells in brackets that span all rows."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in cells]
    return fenced(lines, "[]")


_FENCES = {"[": "⎡⎢⎣", "]": "⎤⎥⎦", "(": "⎛⎜⎝", ")": "⎞⎟⎠"}


def _tall(sign: str, height: int) -> Lines:
    """Return the text lines of a bracket or parenthesis of a given height."""
    if height == 1:
        return [sign]
    top, middle, bottom = _FENCES[sign]
    return [top, *[middle] * (height - 2), bottom]


def fenced(lines: Lines, fence: str) -> Lines:
    """Return text lines between two brackets as high as all lines together."""
    left, right = (_tall(sign, len(lines)) for sign in fence)
    return [a + line + b for a, line, b in zip(left, lines, right)]


def corner(
    array: Array, digits: int = 4, across: int = CORNER[1], off: Array | None = None
) -> Lines:
    """Return the text lines of a matrix's first rows and columns, with dots.

    >>> print("\\n".join(corner(np.eye(8))))
    ⎡1  0  0  0  …⎤
    ⎢0  1  0  0  …⎥
    ⎢0  0  1  0  …⎥
    ⎣⋮  ⋮  ⋮  ⋮  ⋱⎦
    """
    rows, columns = array.shape
    # Where one more would be all, there is no need for dots.
    high = rows if rows <= CORNER[0] + 1 else CORNER[0]
    wide = columns if columns <= across + 1 else across
    wrong = None if off is None else off[:high, :wide]
    cells = spelled(array[:high, :wide], digits, wrong)
    if wide < columns:
        cells = [[*row, "…"] for row in cells]
    if high < rows:
        widths = [max(map(len, column)) for column in zip(*cells)]
        dots = ["⋮".center(w) for w in widths]
        if wide < columns:
            dots[-1] = "⋱"
        cells = [*cells, dots]
    return bracketed(cells)


def shown(array: Array, room: int, digits: int = 4, off: Array | None = None) -> Lines:
    """Return the text lines of a small array, or of a large one's corner and summary.

    ``off``: how far each number may be from what it should be.
    """
    array, off = np.atleast_2d(array), None if off is None else np.atleast_2d(off)
    if not array.size:
        return summary(array)
    if is_small(array):
        whole = matrix(array, digits, off)
        if len(whole[0]) <= room:
            return whole
    whole_numbers = array.dtype.kind in "biu"
    notes = summary(array)[: 1 if whole_numbers else None]
    if array.ndim > 2:
        return [", ".join(notes)] if len(", ".join(notes)) <= room else notes
    for across in range(CORNER[1], 0, -1):
        block = beside([corner(array, digits, across, off), ["   "], notes])
        if max(map(len, block)) <= room:
            return block
    return notes


def beside(blocks: Sequence[Lines]) -> Lines:
    """Return blocks of text lines side by side, each centred vertically."""
    height = max(map(len, blocks))
    lines = [""] * height
    for block in blocks:
        width = max(map(len, block))
        above = (height - len(block)) // 2
        for i in range(height):
            line = block[i - above] if above <= i < above + len(block) else ""
            lines[i] += line.ljust(width)
    return [line.rstrip() for line in lines]


def equation(pieces: Sequence[Piece], digits: int = 4) -> Lines:
    """Return the text lines of an equation with matrices and tall parentheses.

    >>> v = np.array([[1.0], [2.0]])
    >>> print("\\n".join(equation(["(", "1 − ", v, ")", " ⊙ ", v])))
    ⎛1 − ⎡1⎤⎞ ⊙ ⎡1⎤
    ⎝    ⎣2⎦⎠   ⎣2⎦
    """
    blocks: list[Lines] = []
    opened: list[tuple[int, str]] = []
    for i, piece in enumerate(pieces):
        if not isinstance(piece, str):
            block = matrix(piece, digits)
            inner = i > 0 and piece.size == 1 and block[0].startswith("-")
            blocks.append([f"({block[0]})"] if inner else block)
        elif piece in ("(", "["):
            opened.append((len(blocks), piece))
            blocks.append([piece])
        elif piece in (")", "]") and opened:
            start, sign = opened.pop()
            inside = blocks[start + 1 :]
            if len(inside) == 1 and inside[0][0][:1] in tuple("(⎡["):
                blocks[start] = [""]  # σ⎡…⎤ needs no parentheses
                continue
            height = max(map(len, inside), default=1)
            blocks[start] = _tall(sign, height)
            blocks.append(_tall(piece, height))
        elif piece in RAISED and blocks:
            blocks.append([piece, *[" "] * (len(blocks[-1]) - 1)])
        else:
            blocks.append([piece])
    return beside(blocks)
