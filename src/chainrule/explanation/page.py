"""Explanations as plain text for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from functools import cached_property

from chainrule.explanation.content import Explained
from chainrule.explanation.equations import Equation
from chainrule.explanation.loops import Loop
from chainrule.explanation.typeset import Lines, beside, equation, is_small, shown
from chainrule.explanation.updates import scalars_of
from chainrule.explanation.worked import Section
from chainrule.notation.arithmetic import COLUMNS, Quantity
from chainrule.notation.expressions import Array, Expr
from chainrule.notation.within import holds
from chainrule.primitives import creation
from chainrule.text import tr
from chainrule.text.numbers import padded

#: A line with what kind of line it is: title, rule, formula, number, note, check.
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


def page(e: Explained, width: int | None = None, digits: int = 4) -> list[Line]:
    """Return the lines of an explanation's text, each with its style."""
    if width is None:
        width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    lines: list[Line] = []
    for line in _Page(e, max(width, 40), digits).lines():
        if line[1] or (lines and lines[-1][1]):  # no two empty lines together
            lines.append(line)
    return lines


def show(e: Explained) -> None:
    """Print an explanation, with colours if standard output is a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        print(*(line for _, line in page(e)), sep="\n")
        return
    for kind, line in page(e):
        console.print(Text(line, style=STYLES.get(kind, "")), soft_wrap=True)


def paper(q: Quantity) -> Array:
    """Return a quantity as the textbook writes it: samples and biases as columns."""
    array = q.array
    if array.ndim == 1:
        return array[None, :] if q.kind == COLUMNS else array[:, None]
    return array.T if array.ndim == 2 and q.kind == COLUMNS else array


def off(e: Explained, name: Expr) -> Array | None:
    """Return the errors of a symbol's numbers, with samples as columns."""
    found = e.departures.get(name)
    return None if found is None else paper(Quantity(found, e.numbers[name].kind))


def introduction(e: Explained) -> Iterator[str]:
    """Yield the introductory sentences: the count of layers, and of samples."""
    many = len(e.names.layers)
    yield tr(
        "Layers counted as the book does in 3.7: {many}; with the input, as in 3.2.1:"
        " {more}.",
        many=many,
        more=many + 1,
    )
    if e.n == 1:
        yield tr("One sample, a column, as the book writes it (in memory: a row).")
        return
    nodes = e.run.graph.nodes
    mean = any(k.primitive is creation.size and k.role == "forward" for k in nodes)
    inside = tr(" The 1/n of the mean is inside δ, so sums over s give the mean.")
    yield tr(
        "{n} samples, a column each, where the book writes one (in memory they are"
        " rows); s = 1 … {n} counts them.",
        n=e.n,
    ) + (inside if mean else "")


def title(e: Explained) -> str:
    """Return the title of an explanation: the network's layer sizes."""
    layers = e.layers
    if not layers:
        return tr("Network")
    sizes = [layers[0].input.shape, *(k.z.shape for k in layers)]
    flat = [str(s[0]) if len(s) <= 2 else "×".join(map(str, s[1:])) for s in sizes]
    return tr("Network {sizes}", sizes=" → ".join(flat))


def heading(e: Explained, section: Section, direction: str) -> str:
    """Return the heading of a section: direction, layer and parameters."""
    depth = len(e.names.layers)
    if section.l is None:
        return tr("loss")
    where = {
        "forward": tr("forward"),
        "backward": tr("backward"),
        "update": tr("update"),
    }[direction]
    if not section.l:
        return tr("{part}, {where}", part=where, where=tr("before layer 1"))
    names = ", ".join(section.given.values())
    layer = tr("layer {k} of {depth}", k=section.l, depth=depth)
    place = tr("{part}, {where}", part=where, where=layer)
    return f"{place} · {names}"


def hyper_parameters(e: Explained, equations: Iterable[Equation]) -> Iterator[Expr]:
    """Yield the symbols of an update's hyper-parameters: η, β₁."""
    scalars = {*scalars_of(e.run).values()}
    for name in e.numbers:
        if name in scalars and any(holds(q.sides[-1], name) for q in equations):
            yield name


def constants(e: Explained) -> Iterator[Expr]:
    """Yield the symbols of constant arrays that the shown formulas use: c₁, i₂."""
    chosen = [s for s in e.sections if not e.only or s.l in e.only]
    shown = [
        equation
        for section in chosen
        for equation in (
            *section.equations(),
            *(each for loop in section.loops for each in loop.equations),
        )
    ]
    for name in e.constants:
        if any(holds(side, name) for each in shown for side in each.sides[1:]):
            yield name


def of_loop(loop: Loop) -> str:
    """Return the caption of a loop: which steps t it runs."""
    if loop.backward:
        return tr("Opened: one step, for t = {last} … 1", last=loop.length)
    return tr("Opened: one step, for t = 1 … {last}", last=loop.length)


def steps_shown(loop: Loop) -> list[int]:
    """Return the steps of a loop whose numbers are shown: the first and the last."""
    return sorted({0, loop.length - 1})


def number_of(loop: Loop, step: int) -> int:
    """Return the number t of a loop's step in running order."""
    return loop.length - step if loop.backward else step + 1


class _Page:
    def __init__(self, e: Explained, width: int, digits: int) -> None:
        self.e, self.width, self.digits = e, width, digits
        self.chosen = [s for s in e.sections if not e.only or s.l in e.only]
        self.noted: set[str] = set()
        self.told: set[Expr] = set()

    @cached_property
    def numbers(self) -> dict[Expr, Array]:
        """The arrays of all symbols, with samples as columns."""
        return {name: paper(q) for name, q in self.e.numbers.items()}

    def lines(self) -> Iterator[Line]:
        yield from self._head()
        for section in self.chosen:
            yield from self._part(section, "forward", section.forward)
        for section in reversed(self.chosen):
            yield from self._part(section, "backward", section.backward)
        for section in self.chosen:
            yield from self._part(section, "update", section.update)
        yield "", ""
        check = self.e.check()
        yield from self._wrapped("check" if check.ok else "wrong", str(check), "")

    def _wrapped(self, kind: str, text: str, indent: str = INDENT) -> Iterator[Line]:
        for line in textwrap.wrap(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        ):
            yield kind, line

    def _rule(self, text: str) -> Iterator[Line]:
        yield "", ""
        yield "rule", padded(f"── {text} ", self.width, "─")

    # -- the parts of the page -------------------------------------------------------

    def _head(self) -> Iterator[Line]:
        e = self.e
        yield "title", title(e)
        for text in introduction(e):
            yield from self._wrapped("note", text)
        for note in e.notes:
            yield from self._wrapped("wrong", note)
        yield "", ""
        for value in e.run.x:
            name = e.names.of[value]
            first = e.names.layers and e.names.layers[0].input is value
            yield from self._quantity(f"a⁽⁰⁾ = {name}" if first else str(name), name)
        yield from self._quantity("y", e.names.of[e.run.y])
        for name in constants(e):
            yield from self._quantity(name.text(), name)

    def _part(
        self, section: Section, direction: str, equations: tuple[Equation, ...]
    ) -> Iterator[Line]:
        if not equations:
            return
        yield from self._rule(heading(self.e, section, direction))
        if direction == "forward":
            for name in section.given:
                if not self._seen_in(name, equations):
                    yield from self._quantity(name.text(), name)
        if direction == "update":
            for name in hyper_parameters(self.e, equations):
                if name not in self.told:
                    self.told.add(name)
                    yield from self._quantity(name.text(), name)
        for each in equations:
            yield from self._equation(each)
        for loop in section.loops if direction != "update" else ():
            if loop.backward == (direction == "backward"):
                yield from self._loop(loop)
        if direction == "backward":
            for note in section.notes:
                if note not in self.noted:
                    self.noted.add(note)
                    yield from self._wrapped("note", note)

    def _loop(self, loop: Loop) -> Iterator[Line]:
        """Yield the lines of a loop: its equations, and the first and last numbers."""
        yield "", ""
        yield from self._wrapped("note", of_loop(loop))
        for each in loop.equations:
            yield from self._wrapped("formula", each.text(), INDENT * 2)
        for step in steps_shown(loop):
            yield "note", f"{INDENT}t = {number_of(loop, step)}"
            for each in loop.equations:
                start = f"{INDENT * 2}{each.name.text()} = "
                array = paper(loop.steps[step][each.name])
                for line in beside([[start], self._array(array, start)]):
                    yield "number", line

    def _seen_in(self, name: Expr, equations: tuple[Equation, ...]) -> bool:
        """Return whether an equation written with numbers contains a parameter."""
        return any(
            self._worked(e.sides[-1]) is not None and name.text() in e.text()
            for e in equations
        )

    # -- equations and arrays --------------------------------------------------------

    def _equation(self, formula: Equation) -> Iterator[Line]:
        """Yield the lines of an equation: its sides, then the last with numbers."""
        margin = " " * len(formula.name.text())
        line = INDENT + formula.text()
        remark = f"({formula.remark})" if formula.remark else ""
        beside_it = f"{line.ljust(REMARKS - 1)} {remark}".rstrip()
        if len(beside_it) <= self.width:
            yield "formula", beside_it
        else:
            for i, side in enumerate(formula.sides[1:]):
                start = INDENT + (formula.name.text() if i == 0 else margin)
                text = f"{start} = {side.text()}"
                yield from self._wrapped("formula", text.strip(), text[: _lead(text)])
            if remark:
                yield "formula", f"{INDENT}{margin}   {remark}"
        result = self.numbers.get(formula.name)
        if result is None or formula.sides[-1] in self.numbers:
            return
        start, worked = [f"{INDENT}{margin} = "], self._worked(formula.sides[-1])
        found = self._array(result, start[0], off(self.e, formula.name))
        blocks = [beside([start, found])]
        if worked:
            one_line = beside([start, worked, [" = "], found])
            if _wide(one_line) <= self.width:
                blocks = [one_line]
            else:
                blocks.insert(0, beside([start, worked]))
        for block in blocks:
            for line in block:
                yield "number", line
        if any(len(block) > 1 for block in blocks):
            yield "", ""

    def _worked(self, side: Expr) -> Lines | None:
        """Return an expression with numbers in place, or None if they are too large."""
        pieces = side.pieces(self.numbers)
        arrays = [p for p in pieces if not isinstance(p, str)]
        if not arrays or side in self.numbers or not all(map(is_small, arrays)):
            return None
        block = equation(pieces, self.digits)
        return block if _wide(block) <= self.width - 13 else None  # "  ∂ℒ/∂W⁽¹⁾ = "

    def _array(self, array: Array, margin: str, off: Array | None = None) -> Lines:
        return shown(array, self.width - len(margin), self.digits, off)

    def _quantity(self, label: str, name: Expr) -> Iterator[Line]:
        start = f"{INDENT}{label} = "
        block = beside([[start], self._array(self.numbers[name], start)])
        for line in block:
            yield "number", line
        if len(block) > 1:
            yield "", ""


def _wide(block: Lines) -> int:
    return max(map(len, block))


def _lead(line: str) -> int:
    return len(line) - len(line.lstrip())
