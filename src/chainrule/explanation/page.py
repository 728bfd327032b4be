"""An explanation as a page of text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

from chainrule.explanation.checking import check_layers
from chainrule.explanation.layers import Equation, LayerExplanation, Layers
from chainrule.explanation.typeset import Lines, beside, equation, is_small, shown
from chainrule.notation.expressions import Array, Expr
from chainrule.primitives import creation

#: A line with what kind of line it is: title, rule, formula, number, note, check.
Line = tuple[str, str]

INDENT = "  "
#: The column at which remarks on formulas stand.
REMARKS = 46
BIAS_NOTE = "Note to the book: Algorithm 1 (3.5) leaves out the bias; ∂ℒ/∂b is ours."
WIDEST = 100
_COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
_STYLES = {
    "title": "bold",
    "rule": "bold cyan",
    "formula": "bold",
    "note": "italic dim",
    "path": "dim",
    "check": "green",
    "wrong": "bold red",
}


def page(e: Layers, width: int | None = None, digits: int = 4) -> list[Line]:
    """The lines of an explanation."""
    if width is None:
        width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    lines: list[Line] = []
    for line in _Page(e, max(width, 40), digits).lines():
        if line[1] or (lines and lines[-1][1]):  # no two empty lines together
            lines.append(line)
    return lines


def show(e: Layers) -> None:
    """Print it, with colours on a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        print(*(line for _, line in page(e)), sep="\n")
        return
    for kind, line in page(e):
        console.print(Text(line, style=_STYLES.get(kind, "")), soft_wrap=True)


class _Page:
    def __init__(self, e: Layers, width: int, digits: int) -> None:
        self.e, self.width, self.digits = e, width, digits
        self.chosen = [k for k in e.layers if not e.only or k.l in e.only]
        self.noted: set[str] = set()

    def lines(self) -> Iterator[Line]:
        e = self.e
        yield from self._head()
        for layer in self.chosen:
            yield from self._forward(layer)
        if not e.only:
            yield from self._loss()
        for layer in reversed(self.chosen):
            yield from self._backward(layer)
        yield "", ""
        check = check_layers(e.network, e.layers)
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
        yield "rule", f"── {text} ".ljust(self.width, "─")

    # -- the parts of the page -------------------------------------------------------

    def _head(self) -> Iterator[Line]:
        e = self.e
        first = e.layers[0].input.shape[0]
        sizes = " → ".join(str(s) for s in (first, *(k.z.shape[0] for k in e.layers)))
        yield "title", f"Network {sizes}"
        many = len(e.layers)
        yield from self._wrapped(
            "note",
            f"“{_word(many).capitalize()}-layer” as the book counts in 3.7,"
            f" “{_word(many + 1)}-layer” with the input (3.2.1).",
        )
        yield from self._wrapped("note", self._samples())
        for note in e.notes:
            yield from self._wrapped("wrong", note)
        yield "", ""
        yield from self._quantity("x" if "input" in e.equations else "a⁽⁰⁾ = x", e.x)
        if "input" in e.equations:
            yield from self._equation(e.equations["input"])
        yield from self._quantity("y", e.y)

    def _samples(self) -> str:
        n = self.e.n
        if n == 1:
            return "One sample, a column, as the book writes it (in memory: a row)."
        inside = ""
        nodes = self.e.network.graph.nodes
        if any(k.primitive is creation.size and k.role == "forward" for k in nodes):
            inside = " The 1/n of the mean is inside δ, so sums over s give the mean."
        return (
            f"{n} samples, a column each, where the book writes one (in memory they"
            f" are rows); s = 1 … {n} counts them.{inside}"
        )

    def _forward(self, layer: LayerExplanation) -> Iterator[Line]:
        yield from self._rule(f"forward, {self._title(layer)}")
        if self._worked(layer.equations["z"].sides[-1]) is None:
            yield from self._quantity(layer.symbols["W"], layer.W)
            if layer.b is not None:
                yield from self._quantity(layer.symbols["b"], layer.b)
        for part in ("z", "normalised", "a", "prediction"):
            if part in layer.equations:
                yield from self._equation(layer.equations[part], again=part != "a")

    def _loss(self) -> Iterator[Line]:
        yield from self._rule("loss")
        yield from self._equation(self.e.equations["loss"])

    def _backward(self, layer: LayerExplanation) -> Iterator[Line]:
        yield from self._rule(f"backward, {self._title(layer)}")
        parts = layer.equations
        if "gradient" in parts:
            yield from self._equation(parts["gradient"])
        chain = map(parts.get, ("normalised_recursion", "normalised_gradient"))
        if "normalised_gradient" in parts:
            yield from self._equation(*filter(None, chain))
        yield from self._equation(*filter(None, map(parts.get, ("recursion", "delta"))))
        if layer.path:
            yield from self._wrapped("path", f"in the graph: {layer.path}")
        for note in layer.notes:
            if note not in self.noted:
                self.noted.add(note)
                yield from self._wrapped("note", note)
        for part in ("dW", "db"):
            if part in parts:
                yield from self._equation(parts[part])
        if layer.l == self.chosen[-1].l and layer.b is not None:
            yield from self._wrapped("note", BIAS_NOTE)

    def _title(self, layer: LayerExplanation) -> str:
        names = layer.weight_name + (f", {layer.bias_name}" if layer.bias_name else "")
        return f"layer {layer.l} of {len(self.e.layers)} · {names}"

    # -- equations and arrays --------------------------------------------------------

    def _equation(self, *equations: Equation, again: bool = True) -> Iterator[Line]:
        """Formulas for one name, a line each, then the last one with its numbers.

        Without ``again``, numbers that are those of another symbol are not repeated.
        """
        formula = equations[-1]
        margin = " " * len(formula.name.text())
        for i, each in enumerate(equations):
            start = INDENT + (each.name.text() if i == 0 else margin)
            line = " = ".join([start, *(side.text() for side in each.sides[1:])])
            remark = f"({each.remark})" if each.remark else ""
            beside_it = f"{line.ljust(REMARKS - 1)} {remark}"
            if len(beside_it) <= self.width:
                yield "formula", beside_it.rstrip()
                continue
            yield from self._wrapped("formula", line.strip(), line[: _lead(line)])
            if remark:
                yield "formula", f"{INDENT}{margin}   {remark}"
        result = self.e.numbers.get(formula.name)
        if result is None or (not again and formula.sides[-1] in self.e.numbers):
            return
        start, worked = [f"{INDENT}{margin} = "], self._worked(formula.sides[-1])
        found = self._array(result, start[0])
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
        """An expression with its numbers in place, where they are small enough."""
        pieces = side.pieces(self.e.numbers)
        arrays = [p for p in pieces if not isinstance(p, str)]
        if not arrays or side in self.e.numbers or not all(map(is_small, arrays)):
            return None
        block = equation(pieces, self.digits)
        return block if _wide(block) <= self.width - 13 else None  # "  ∂ℒ/∂W⁽¹⁾ = "

    def _array(self, array: Array, margin: str) -> Lines:
        return shown(array, self.width - len(margin), self.digits)

    def _quantity(self, name: str, array: Array) -> Iterator[Line]:
        start = f"{INDENT}{name} = "
        block = beside([[start], self._array(array, start)])
        for line in block:
            yield "number", line
        if len(block) > 1:
            yield "", ""


def _word(count: int) -> str:
    return _COUNTS[count] if count < len(_COUNTS) else str(count)


def _wide(block: Lines) -> int:
    return max(map(len, block))


def _lead(line: str) -> int:
    return len(line) - len(line.lstrip())
