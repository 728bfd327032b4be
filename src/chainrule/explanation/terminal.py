"""Explanations and other documents as plain text for a terminal.

>>> from chainrule.notation.expressions import Atom
>>> u = Equation((Atom("u"), Atom("v") + 1))
>>> parts = [Heading("A sum"), Sentence("It is short."), Formula(u)]
>>> print(text(parts, 60))
A sum
  It is short.
  u = v + 1
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from chainrule.explanation.equations import Equation
from chainrule.explanation.parts import (
    BLANK,
    Details,
    Formula,
    Heading,
    Numbers,
    Part,
    Picture,
    Room,
    Rows,
    Sentence,
)
from chainrule.explanation.typeset import (
    Lines,
    beside,
    bracketed,
    equation,
    is_small,
    shown,
)
from chainrule.notation.expressions import Expr
from chainrule.text.numbers import padded, width
from chainrule.text.tables import text_table, wrapped

#: A line with its style: title, rule, formula, number, note, check, wrong.
Line = tuple[str, str]

INDENT = "  "
#: The column at which remarks on formulas stand.
REMARKS = 46
WIDEST = 100
STYLES = {
    "title": "bold",
    "rule": "bold cyan",
    "formula": "bold",
    "note": "italic dim",
    "check": "green",
    "wrong": "bold red",
}


def text(parts: Sequence[Part], columns: int | None = None) -> str:
    """Return a document as plain text for a terminal, at most ``columns`` wide."""
    return "\n".join(line for _, line in lines(parts, columns))


def show(parts: Sequence[Part]) -> None:
    """Print a document, with colours if standard output is a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        print(text(parts))
        return
    for kind, line in lines(parts):
        console.print(Text(line, style=STYLES.get(kind, "")), soft_wrap=True)


def lines(parts: Sequence[Part], columns: int | None = None) -> list[Line]:
    """Return a document's lines for a terminal, each with its style."""
    if columns is None:
        columns = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    result: list[Line] = []
    for i, part in enumerate(parts):
        part_lines = list(_LINES[type(part)](part, max(columns, 40)))
        if isinstance(part, Numbers) and i and _is_note(parts[i - 1]):
            part_lines.insert(0, ("", ""))
        for line in part_lines:
            if line[1] or (result and result[-1][1]):  # no two empty lines together
                result.append(line)
    return result


def _is_note(part: Part) -> bool:
    return isinstance(part, Sentence) and part.kind == "note"


def _heading(part: Heading, columns: int) -> Iterator[Line]:
    yield "", ""
    if part.level == 1:
        yield "title", part.text
    else:
        yield "rule", padded(f"── {part.text} ", columns, "─")


def _sentence(part: Sentence, columns: int) -> Iterator[Line]:
    if part.kind in ("check", "wrong"):
        yield "", ""
    for line in wrapped(part.text, columns - len(INDENT)):
        yield part.kind, INDENT + line


def _rows(part: Rows, columns: int) -> Iterator[Line]:
    del columns
    for i, line in enumerate(text_table(part.rows, left=len(part.rows[0]))):
        yield ("rule" if i == 0 else "number"), (INDENT + line).rstrip()


def _nothing(part: Picture | Room, columns: int) -> Iterator[Line]:
    del part, columns
    yield from ()


def _details(part: Details, columns: int) -> Iterator[Line]:
    yield "", ""
    yield from _sentence(Sentence(part.title, "note"), columns)
    for kind, line in lines(part.parts, columns - len(INDENT)):
        yield kind, (INDENT + line if line else "")


# -- formulas and numbers --------------------------------------------------------------


def _formula(part: Formula, columns: int) -> Iterator[Line]:
    """Yield an equation's text lines: its sides, then the last with numbers."""
    yield from _sides(part.equation, columns)
    if part.array is None:
        return
    start = [f"{INDENT}{' ' * width(part.equation.name.text())} = "]
    worked = _worked(part, columns)
    numbers = shown(part.array, columns - len(start[0]), part.digits, part.off)
    blocks = [beside([start, numbers])]
    if worked:
        one_line = beside([start, worked, [" = "], numbers])
        if _wide(one_line) <= columns:
            blocks = [one_line]
        else:
            blocks.insert(0, beside([start, worked]))
    for block in blocks:
        for line in block:
            yield "number", line
    if any(len(block) > 1 for block in blocks):
        yield "", ""


def _sides(e: Equation, columns: int) -> Iterator[Line]:
    """Yield an equation's text lines: one line, or more for long sides."""
    remark = f"({e.remark})" if e.remark else ""
    whole = f"{padded(INDENT + e.text(), REMARKS - 1)} {remark}".rstrip()
    if len(e.sides) < 4 and width(whole) <= columns:
        yield "formula", whole
        return
    name = e.name.text()
    margin = " " * width(name)
    for i, side in enumerate(e.sides[1:]):
        start = f"{INDENT}{name} {e.sign} " if i == 0 else f"{INDENT}{margin} = "
        room = columns - width(start)
        for j, line in enumerate(wrapped(side.text(), max(room, 20))):
            yield "formula", (" " * width(start) if j else start) + line
    if remark:
        yield "formula", f"{INDENT}{margin}   {remark}"


def _worked(part: Formula, columns: int) -> Lines | None:
    """Return a formula with numbers in place of symbols, or None if too large."""
    side = part.equation.sides[-1]
    pieces = side.pieces(part.known)
    arrays = [p for p in pieces if not isinstance(p, str)]
    if not arrays or side in part.known or not all(map(is_small, arrays)):
        return None
    block = equation(pieces, part.digits)
    return block if _wide(block) <= columns - 13 else None  # "  ∂ℒ/∂W⁽¹⁾ = "


def _wide(block: Lines) -> int:
    return max(map(len, block))


def _numbers(part: Numbers, columns: int) -> Iterator[Line]:
    if any(_is_seen(part.name, formula, columns) for formula in part.formulas):
        return
    start = f"{INDENT}{part.label or part.name.text()} = "
    if part.array is None:
        rows, wide = part.blank
        cells = [[BLANK if rows * wide == 1 else BLANK[::2]] * wide] * rows
        blanks = cells[0] if rows * wide == 1 else bracketed(cells)
        for line in beside([[start], blanks]):
            yield "number", line
        if rows > 1:
            yield "", ""
        return
    block = shown(part.array, columns - width(start), part.digits)
    for line in beside([[start], block]):
        yield "number", line
    if len(block) > 1:
        yield "", ""


def _is_seen(name: Expr, formula: Formula, columns: int) -> bool:
    """Return whether a formula is printed with numbers in place of a symbol."""
    inside = name.text() in formula.equation.text()
    return inside and _worked(formula, columns) is not None


_LINES = {
    Heading: _heading,
    Sentence: _sentence,
    Formula: _formula,
    Numbers: _numbers,
    Rows: _rows,
    Picture: _nothing,
    Room: _nothing,
    Details: _details,
}
