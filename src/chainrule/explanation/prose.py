"""Documents of headings, sentences, formulas and numbers, in four formats.

What derivations, exercises and marks consist of, so that each of them is written once
and shown as text, HTML, Markdown or LaTeX.

>>> from chainrule.notation.expressions import Atom
>>> u = Equation((Atom("u"), Atom("v") + 1))
>>> parts = [Heading("A sum"), Sentence("It is short."), Formula(u)]
>>> print("\\n".join(line for _, line in lines(parts, 60)))
A sum
  It is short.
    u = v + 1
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from chainrule.errors import visible
from chainrule.explanation import documents
from chainrule.explanation.equations import Equation
from chainrule.explanation.html import file_of, part_of
from chainrule.explanation.page import STYLES, WIDEST, Line
from chainrule.explanation.typeset import beside, shown
from chainrule.html.arrays import TABLE, table
from chainrule.notation import mathml
from chainrule.notation.expressions import Array, Expr
from chainrule.text.languages import language
from chainrule.text.numbers import padded, width
from chainrule.text.tables import html_table, text_table, wrapped

INDENT, DEEPER = "  ", "    "


@dataclass(frozen=True)
class Heading:
    """A heading: of the document (level 1), or of a part (level 2)."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Sentence:
    """A sentence of a document; ``kind`` is ``note``, ``wrong``, ``check`` or empty."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Formula:
    """An equation of a document."""

    equation: Equation


@dataclass(frozen=True)
class Numbers:
    """A symbol with its array in a document; None is a blank to fill in."""

    name: Expr
    array: Array | None
    digits: int = 4


@dataclass(frozen=True)
class Rows:
    """A table of a document; the first row is the head."""

    rows: tuple[tuple[str, ...], ...]


Part = Heading | Sentence | Formula | Numbers | Rows
BLANK = "_" * 12
#: A chain of equations that is wider has a line for each side.
LONG = 76


# -- as text ---------------------------------------------------------------------------


class Document:
    """A document of parts, shown as text, HTML, Markdown or LaTeX."""

    lang: str

    def parts(self) -> Sequence[Part]:
        """Return the parts: headings, sentences, formulas, numbers and tables."""
        raise NotImplementedError

    def text(self, width: int | None = None) -> str:
        """Return the document as plain text, at most ``width`` characters wide."""
        with language(self.lang):
            return text(self.parts(), width)

    def __str__(self) -> str:
        return self.text()

    def show(self) -> None:
        """Print the document, with colours if standard output is a terminal."""
        with language(self.lang):
            show(self.parts())

    def to_html(self) -> str:
        """Return the document as a complete HTML page, with formulas in MathML."""
        with language(self.lang):
            return page(self.parts())

    def _repr_html_(self) -> str:
        """Return the document as HTML for a notebook."""
        with language(self.lang):
            return fragment(self.parts())

    def to_markdown(self) -> str:
        """Return the document as Markdown, with formulas between ``$$``."""
        with language(self.lang):
            return markdown(self.parts())

    def to_latex(self) -> str:
        """Return the document as LaTeX (XeLaTeX if it is in Chinese)."""
        with language(self.lang):
            return latex(self.parts())


def lines(parts: Sequence[Part], columns: int | None = None) -> list[Line]:
    """Return a document's lines for a terminal, each with its style."""
    if columns is None:
        columns = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    made: list[Line] = []
    for part in parts:
        for line in _LINES[type(part)](part, max(columns, 40)):
            if line[1] or (made and made[-1][1]):  # no two empty lines together
                made.append(line)
    return made


def text(parts: Sequence[Part], columns: int | None = None) -> str:
    """Return a document as plain text."""
    return "\n".join(line for _, line in lines(parts, columns))


def show(parts: Sequence[Part]) -> None:
    """Print a document, with colours if standard output is a terminal."""
    if not sys.stdout.isatty():
        print(text(parts))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for kind, line in lines(parts):
        console.print(Text(line, style=STYLES.get(kind, "")), soft_wrap=True)


def _heading(part: Heading, columns: int) -> Iterator[Line]:
    if part.level == 1:
        yield "", ""
        yield "title", part.text
        return
    yield "", ""
    yield "rule", padded(f"── {part.text} ", columns, "─")


def _sentence(part: Sentence, columns: int) -> Iterator[Line]:
    for line in wrapped(part.text, columns - len(INDENT)):
        yield part.kind, INDENT + line


def _formula(part: Formula, columns: int) -> Iterator[Line]:
    """Yield the lines of an equation: one, or one for each side."""
    e = part.equation
    whole = f"{DEEPER}{e.text()}"
    remark = f"   ({e.remark})" if e.remark else ""
    if len(e.sides) < 4 and width(whole + remark) <= columns:
        yield "formula", whole + remark
        return
    name = e.name.text()
    for i, side in enumerate(e.sides[1:]):
        start = f"{name} {e.sign}" if i == 0 else " " * width(name) + " ="
        yield from _side(f"{DEEPER}{start} ", side.text(), columns)
    if remark:
        yield "formula", f"{DEEPER}{' ' * width(name)}{remark}"


def _side(start: str, side: str, columns: int) -> Iterator[Line]:
    """Yield the lines of an equation's side, broken before + if it is too long."""
    room = columns - width(start)
    line = start
    for i, term in enumerate(side.replace(" + ", "\n+ ").split("\n")):
        more = term if i == 0 else f" {term}"
        if i and width(line + more) > columns and room > 20:
            yield "formula", line
            line = " " * width(start) + term
        else:
            line += more
    yield "formula", line


def _numbers(part: Numbers, columns: int) -> Iterator[Line]:
    start = f"{DEEPER}{part.name.text()} = "
    if part.array is None:
        yield "number", start + BLANK
        return
    block = shown(part.array, columns - width(start), part.digits)
    for line in beside([[start], block]):
        yield "number", line
    if len(block) > 1:
        yield "", ""


def _rows(part: Rows, columns: int) -> Iterator[Line]:
    del columns
    for i, line in enumerate(text_table(part.rows, left=len(part.rows[0]))):
        yield ("rule" if i == 0 else "number"), (INDENT + line).rstrip()


_LINES = {
    Heading: _heading,
    Sentence: _sentence,
    Formula: _formula,
    Numbers: _numbers,
    Rows: _rows,
}


# -- as HTML ---------------------------------------------------------------------------


def fragment(parts: Sequence[Part]) -> str:
    """Return a document as an HTML fragment for a notebook."""
    return part_of(map(_html, parts))


def page(parts: Sequence[Part]) -> str:
    """Return a document as a complete HTML page."""
    title = next((p.text for p in parts if isinstance(p, Heading)), "")
    return file_of(title, fragment(parts))


def _html(part: Part) -> str:
    if isinstance(part, Heading):
        return f"<h{part.level}>{escape(visible(part.text))}</h{part.level}>"
    if isinstance(part, Sentence):
        kind = {"check": "ok", "": "why"}.get(part.kind, part.kind)
        return f'<p class="{kind}">{escape(visible(part.text))}</p>'
    if isinstance(part, Rows):
        return html_table(part.rows)
    if isinstance(part, Formula):
        return _html_formula(part.equation)
    value = BLANK if part.array is None else _value(part.array)
    return f'<div class="eq given">{mathml.mathml(part.name)} = {value}</div>'


def _html_formula(e: Equation) -> str:
    """Return an equation as HTML, on one line or a line for each side."""
    remark = f'<span class="remark">{escape(e.remark)}</span>' if e.remark else ""
    if not _is_long(e):
        made = mathml.equation(e.sides, sign=e.sign)
        return f'<div class="eq">{made}{remark}</div>'
    rows = ""
    for i, side in enumerate(e.sides[1:]):
        name, sign = (mathml.mathml(e.name), e.sign) if i == 0 else ("", "=")
        cells = f"<td>{name}</td><td>{sign}</td><td>{mathml.mathml(side)}</td>"
        rows += f"<tr>{cells}</tr>".replace("<math>", '<math displaystyle="true">')
    return f'<div class="eq"><table class="sides">{rows}</table>{remark}</div>'


def _is_long(e: Equation) -> bool:
    """Return whether an equation is shown with a line for each side."""
    return len(e.sides) > 3 or (len(e.sides) > 2 and width(e.text()) > LONG)


def _value(array: Array) -> str:
    small = array.ndim <= 2 and max(array.shape, default=1) <= TABLE
    inner = table(array) if small else escape("; ".join(documents.summary(array)))
    return f'<div class="value">{inner}</div>'


# -- as Markdown and LaTeX -------------------------------------------------------------


def markdown(parts: Sequence[Part]) -> str:
    """Return a document as Markdown, with formulas between ``$$``."""
    return "\n".join(line for part in parts for line in _markdown(part))


def _markdown(part: Part) -> Iterator[str]:
    if isinstance(part, Heading):
        yield from (f"{'#' * part.level} {part.text}", "")
    elif isinstance(part, Sentence):
        mark = {"note": "*", "wrong": "**"}.get(part.kind, "")
        yield from (f"{mark}{part.text}{mark}", "")
    elif isinstance(part, Formula):
        yield from ("$$", part.equation.latex(), "$$", "")
        if part.equation.remark:
            yield from (f"({part.equation.remark})", "")
    elif isinstance(part, Numbers):
        yield from ("$$", _latex_numbers(part), "$$", "")
    else:
        head, *rows = part.rows
        yield f"| {' | '.join(head)} |"
        yield "|---" * len(head) + "|"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""


def _latex_numbers(part: Numbers) -> str:
    blank = r"\underline{\hspace{6em}}"
    value = blank if part.array is None else documents.matrix(part.array)
    return f"{part.name.latex()} = {value}"


def latex(parts: Sequence[Part]) -> str:
    """Return a document as LaTeX (XeLaTeX if it is in Chinese)."""
    return documents.latex_file(line for part in parts for line in _latex(part))


def _latex(part: Part) -> Iterator[str]:
    if isinstance(part, Heading):
        kind = "section" if part.level == 1 else "subsection"
        yield rf"\{kind}*{{{documents.in_latex(part.text)}}}"
    elif isinstance(part, Sentence):
        inner = documents.in_latex(part.text)
        yield rf"\emph{{{inner}}}\par" if part.kind == "note" else inner + r"\par"
    elif isinstance(part, Formula):
        yield r"\begin{align*}"
        yield _aligned(part.equation)
        yield r"\end{align*}"
        if part.equation.remark:
            yield documents.in_latex(f"({part.equation.remark})") + r"\par"
    elif isinstance(part, Numbers):
        yield rf"\[ {_latex_numbers(part)} \]"
    else:
        yield rf"\begin{{tabular}}{{{'l' * len(part.rows[0])}}}"
        for row in part.rows:
            yield " & ".join(map(documents.in_latex, row)) + r" \\"
        yield r"\end{tabular}\par"


def _aligned(e: Equation) -> str:
    """Return an equation in LaTeX for ``align*``, a line for each side."""
    first, *rest = [side.latex() for side in e.sides[1:]] or [""]
    sign = r"\leftarrow" if e.sign == "←" else "="
    made = [f"{e.name.latex()} &{sign} {first}", *(f"&= {side}" for side in rest)]
    return r" \\ ".join(made) if first else e.name.latex()
