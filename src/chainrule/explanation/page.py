"""The page of a training step's explanation: its parts, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chainrule.diagrams.svg import contents
from chainrule.explanation.content import Explained
from chainrule.explanation.equations import Equation
from chainrule.explanation.loops import Loop
from chainrule.explanation.parts import (
    Details,
    Formula,
    Heading,
    Numbers,
    Part,
    Picture,
    Sentence,
    paper,
)
from chainrule.explanation.pictures import network
from chainrule.explanation.updates import scalars_of
from chainrule.explanation.worked import Section
from chainrule.notation.arithmetic import Quantity
from chainrule.notation.expressions import Array, Expr
from chainrule.notation.within import holds
from chainrule.primitives import creation
from chainrule.text import tr


def parts_of(e: Explained, digits: int = 4) -> list[Part]:
    """Return an explanation's parts, with numbers of so many digits."""
    return list(PartsOf(e, digits).all())


class PartsOf:
    """An explanation's parts, section by section.

    Attributes:
        chosen: the sections that are shown.
        known: the numbers of each symbol, as they stand on paper.
    """

    def __init__(self, e: Explained, digits: int = 4) -> None:
        self.e, self.digits = e, digits
        self.chosen = [s for s in e.sections if not e.only or s.l in e.only]
        self.known = {name: paper(q) for name, q in e.numbers.items()}
        self.said: set[Expr | str] = set()

    def all(self) -> Iterator[Part]:
        """Yield an explanation's parts: inputs, forward, backward, update, check."""
        e = self.e
        yield Heading(title(e))
        yield from self.notes()
        if not e.only:
            yield Picture(lambda: contents(network(e)))
        yield from self.inputs()
        for section in self.chosen:
            yield from self._titled(section, "forward")
        for section in reversed(self.chosen):
            yield from self._titled(section, "backward")
        for section in self.chosen:
            yield from self._titled(section, "update")
        yield self.check()

    def notes(self) -> Iterator[Part]:
        """Yield an explanation's first sentences, and what is odd about the step."""
        for text in _introduction(self.e):
            yield Sentence(text, "note")
        for note in self.e.notes:
            yield Sentence(note, "wrong")

    def check(self) -> Part:
        """Return what an explanation's check says."""
        check = self.e.check()
        return Sentence(str(check), "check" if check.ok else "wrong")

    def inputs(self) -> Iterator[Part]:
        """Yield what a step is given: x, y and constant arrays."""
        names = self.e.names
        first = names.layers[0].input if names.layers else None
        for value in self.e.run.x:
            name = names.of[value]
            label = f"a⁽⁰⁾ = {name}" if value is first else ""
            yield self._quantity(name, label)
        yield self._quantity(names.of[self.e.run.y], "y")
        for name in _constants(self.e, self.chosen):
            yield self._quantity(name)

    def _titled(self, section: Section, direction: str) -> Iterator[Part]:
        parts = list(self.section(section, direction))
        if parts:
            yield Heading(_heading(self.e, section, direction), 2)
            yield from parts

    def section(self, section: Section, direction: str) -> Iterator[Part]:
        """Yield the parts of a section in one direction, without its heading.

        Args:
            section: of the explanation.
            direction: ``"forward"``, ``"backward"`` or ``"update"``.
        """
        equations: Sequence[Equation] = getattr(section, direction)
        if not equations:
            return
        formulas = [self._formula(equation) for equation in equations]
        if direction == "forward":
            for name in section.tensors:
                yield self._quantity(name, formulas=formulas)
        if direction == "update":
            for name in _hyper_parameters(self.e, equations):
                if self._is_new(name):
                    yield self._quantity(name)
        yield from formulas
        for loop in section.loops if direction != "update" else ():
            if loop.backward == (direction == "backward"):
                yield Details(_of_loop(loop), list(self._loop(loop)))
        for note in section.notes if direction == "backward" else ():
            if self._is_new(note):
                yield Sentence(note, "note")

    def _is_new(self, said: Expr | str) -> bool:
        new = said not in self.said
        self.said.add(said)
        return new

    def _formula(self, equation: Equation) -> Formula:
        name = equation.name
        if name not in self.known or equation.sides[-1] in self.known:
            return Formula(equation)
        wrong = off(self.e, name)
        return Formula(equation, self.known[name], self.known, wrong, self.digits)

    def _quantity(
        self, name: Expr, label: str = "", formulas: Sequence[Formula] = ()
    ) -> Numbers:
        return Numbers(name, self.known[name], self.digits, label, formulas)

    def _loop(self, loop: Loop) -> Iterator[Part]:
        """Yield an explained loop's equations, and numbers of first and last step."""
        yield from map(Formula, loop.equations)
        for step in sorted({0, loop.length - 1}):
            t = loop.length - step if loop.backward else step + 1
            yield Sentence(f"t = {t}")
            for each in loop.equations:
                array = paper(loop.steps[step][each.name])
                yield Numbers(each.name, array, self.digits)


def off(e: Explained, name: Expr) -> Array | None:
    """Return the rounding errors of a symbol's shown numbers, samples as columns."""
    departure = e.departures.get(name)
    return (
        None if departure is None else paper(Quantity(departure, e.numbers[name].kind))
    )


def _introduction(e: Explained) -> Iterator[str]:
    """Yield an explanation's first sentences: the counts of layers and samples."""
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


def _heading(e: Explained, section: Section, direction: str) -> str:
    """Return the heading of an explanation's section: direction, layer, parameters."""
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
    names = ", ".join(section.tensors.values())
    layer = tr("layer {k} of {depth}", k=section.l, depth=depth)
    place = tr("{part}, {where}", part=where, where=layer)
    return f"{place} · {names}"


def _hyper_parameters(e: Explained, equations: Iterable[Equation]) -> Iterator[Expr]:
    """Yield the symbols of an optimiser update's hyper-parameters: η, β₁."""
    scalars = {*scalars_of(e.run).values()}
    for name in e.numbers:
        if name in scalars and any(holds(q.sides[-1], name) for q in equations):
            yield name


def _constants(e: Explained, chosen: Iterable[Section]) -> Iterator[Expr]:
    """Yield the symbols of constant arrays that shown formulas use: c₁, i₂."""
    equations = [
        equation
        for section in chosen
        for equations in (section.equations(), *(k.equations for k in section.loops))
        for equation in equations
    ]
    for name in e.constants:
        if any(holds(side, name) for each in equations for side in each.sides[1:]):
            yield name


def _of_loop(loop: Loop) -> str:
    """Return the caption of an explained loop: the steps t that it runs."""
    if loop.backward:
        return tr("Opened: one step, for t = {last} … 1", last=loop.length)
    return tr("Opened: one step, for t = 1 … {last}", last=loop.length)
