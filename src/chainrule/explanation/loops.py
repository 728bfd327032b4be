"""Loops (``scan``) explained: equations of one step t, and all steps' numbers.

The body of a ``scan`` is a graph of its own. Its carries are written hₜ₋₁ and hₜ, what
it goes through uₜ; the loop of the derivative runs the other way and is written with
the derivatives of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.composites import control
from chainrule.explanation.equations import Equation
from chainrule.explanation.plain import behind_views
from chainrule.explanation.signs import slope_of
from chainrule.explanation.writer import Writer
from chainrule.graph.node import Array, Node, Value
from chainrule.nn.picture.attention import VIEWS
from chainrule.nn.picture.numbers import loop_steps
from chainrule.notation.arithmetic import Quantity
from chainrule.notation.expressions import Atom, Expr, Fence, Number, Script
from chainrule.notation.within import weight
from chainrule.primitives import matmul, movement

#: Letters of carries, in their order: the state, and an LSTM's cell.
CARRIES = ("h", "c", "s", "r")
#: More to read than this gets a name within a body.
LONG, AGAIN = 20, 5


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop (``scan``) as equations of one step, with the numbers of every step.

    Attributes:
        name: which loop it is, as its body is called.
        length: how many steps.
        backward: whether it runs from the last step to the first.
        equations: of one step, in the order in which they are worked out.
        steps: the numbers of each step, by symbol, in the order in which they run.
    """

    name: str
    length: int
    backward: bool
    equations: tuple[Equation, ...]
    steps: tuple[Mapping[Expr, Quantity], ...]


def at(symbol: Expr, mark: str = "t") -> Expr:
    """Return a symbol with the index of a loop's step: hₜ."""
    if isinstance(symbol, Script) and symbol.below is None:
        return Script(symbol.base, symbol.above, Atom(mark))
    if isinstance(symbol, Script):
        assert symbol.below is not None
        below = Atom(f"{symbol.below.latex()},{mark}", f"{symbol.below.text()},{mark}")
        return Script(symbol.base, symbol.above, below)
    return Script(symbol, below=Atom(mark))


class LoopNames:
    """The symbols of a loop's (``scan``'s) inputs and outputs within one step.

    Args:
        node: the loop.
        outer: how a value outside is written.
    """

    def __init__(self, node: Node, outer: Any) -> None:
        self.node, a = node, node.attrs
        self.body, self.reverse = a["body"], a["reverse"]
        constants, carries = a["constants"], a["carries"]
        self.before = "t+1" if self.reverse else "t-1"
        fixed = constants + carries
        written = [outer(v) for v in node.inputs]
        self.constants = written[:constants]
        name = self.body.name
        if name.endswith("_vjp"):
            self._derivative(node, written, constants, carries)
            return
        carried = [Atom(CARRIES[min(i, 3)]) for i in range(carries)]
        xs = [at(_symbol(e, "x", i)) for i, e in enumerate(written[fixed:])]
        entering = [at(h, self.before) for h in carried]
        self.inputs: list[Expr] = [*self.constants, *entering, *xs]
        outputs: list[Expr] = [at(h) for h in carried]
        known = dict(zip(self.body.outputs[:carries], outputs))
        known |= zip(self.body.inputs, self.inputs)
        for i, value in enumerate(self.body.outputs[carries:]):
            outputs.append(known.setdefault(value, at(_numbered("y", i))))
        self.outputs = outputs

    def _derivative(
        self, node: Node, written: Sequence[Expr], constants: int, carries: int
    ) -> None:
        """Set the symbols of a backward loop: ∂ℒ/∂hₜ as input, ∂ℒ/∂hₜ₋₁ as output."""
        later, now = self.before, "t"
        forward = "t-1" if self.reverse else "t+1"
        floats = sum(v.dtype.is_float for v in self.body.inputs[:constants])
        carried = [Atom(CARRIES[min(i, 3)]) for i in range(carries - floats)]
        totals = [_numbered("G", i) for i in range(floats)]
        rest = written[constants + carries :]
        entered = [at(h, forward) for h in carried]
        xs = rest[len(entered) :]
        ys = len(xs) // 2 if len(xs) % 2 == 0 else len(xs) - 1
        count = len(self.body.outputs) - carries
        inputs = [at(_symbol(e, "x", i)) for i, e in enumerate(xs[: len(xs) - ys])]
        back = [slope_of(at(_numbered("y", i))) for i in range(ys)]
        self.inputs = [
            *self.constants,
            *(slope_of(at(h)) for h in carried),
            *(at(g, later) for g in totals),
            *entered,
            *inputs,
            *back,
        ]
        self.inputs = self.inputs[: len(self.body.inputs)]
        while len(self.inputs) < len(self.body.inputs):
            self.inputs.append(at(_numbered("v", len(self.inputs))))
        self.outputs = [
            *(slope_of(at(h, forward)) for h in carried),
            *(at(g, now) for g in totals),
            *(slope_of(e) for e in inputs[:count]),
        ]
        while len(self.outputs) < len(self.body.outputs):
            self.outputs.append(at(_numbered("w", len(self.outputs))))

    def result(self, index: int) -> Expr:
        """Return the symbol of a loop's output: last carry, or stacked steps."""
        symbol = self.outputs[index]
        carries = self.node.attrs["carries"]
        if index >= carries:
            return Script(Fence(Atom("("), symbol, Atom(")")), below=Atom("t"))
        last = "1" if self.reverse else str(self.node.attrs["length"])
        if isinstance(symbol, Script) and symbol.below is not None:
            ends = str(symbol.below.text()).replace("t-1", "0").replace("t", last)
            return Script(symbol.base, symbol.above, Atom(ends))
        return Script(Fence(Atom("("), symbol, Atom(")")), below=Atom(f"t={last}"))


def opened(node: Node, outer: Any, arrays: Mapping[Value, Array], n: int) -> Loop:
    """Return a ``scan`` node as a :class:`Loop`, with equations and numbers."""
    named = LoopNames(node, outer)
    runs = list(loop_steps(node, arrays, n))
    body = runs[0][0]
    names: dict[Value, Expr] = {}
    for value, symbol in zip(body.inputs, named.inputs):
        names.setdefault(value, symbol)
    writer = Writer(names, {}, runs[0][1], n, matrices=())
    writer.steps = [known for _graph, known in runs]
    equations: list[Equation] = []
    targets = dict(zip(body.outputs, named.outputs))
    readers: dict[Value, int] = {}
    for inner in body.nodes:
        for value in inner.inputs:
            readers[value] = readers.get(value, 0) + 1
    count = 0
    for inner in body.nodes:
        for value in inner.outputs:
            if value is None or value in names:
                continue
            symbol = targets.get(value)
            if symbol is None and _must_be_seen(inner, value, writer, readers):
                count += 1
                symbol = at(_numbered("v", count - 1))
            if symbol is not None:
                equations.append(Equation((symbol, writer.of(value))))
                names[value] = symbol
                writer.forget()
    done = {e.name for e in equations}
    for value, symbol in targets.items():
        if symbol not in done and names.get(value) not in (None, symbol):
            equations.append(Equation((symbol, names[value])))
    steps = []
    for graph, known in runs:
        del graph
        numbers = {s: Quantity(known[v], writer.kind(v)) for v, s in names.items()}
        for value, symbol in targets.items():
            numbers.setdefault(symbol, Quantity(known[value], writer.kind(value)))
        for symbol, value in writer.constants.items():
            numbers[symbol] = Quantity(known[value], writer.kind(value))
        steps.append(numbers)
    backward = bool(node.attrs["reverse"])
    return Loop(named.body.name, len(steps), backward, tuple(equations), tuple(steps))


def _must_be_seen(
    node: Node, value: Value, writer: Writer, readers: Mapping[Value, int]
) -> bool:
    if node.primitive in (*VIEWS, movement.transpose) or not value.shape:
        return False
    much = weight(writer.draft(value))
    if much > LONG or node.primitive in (control.scan, control.cond):
        return True
    if node.primitive is matmul.dot_general and much > 3:
        return False
    return much >= AGAIN and readers.get(value, 0) > 1


def _symbol(e: Expr, letter: str, i: int) -> Expr:
    """Return the symbol of a loop's input sequence, or a numbered letter."""
    plain = isinstance(e, Atom) or type(e) is Script
    return e if plain else _numbered(letter, i)


def _numbered(letter: str, i: int) -> Expr:
    return Atom(letter) if i == 0 else Script(Atom(letter), below=Number(i + 1))


def is_loop(node: Node | None) -> bool:
    """Return whether a graph node is a loop (``scan``)."""
    return node is not None and node.primitive is control.scan


def outer_writer(writer: Writer) -> Any:
    """Return a function that writes graph values outside of a loop as formulas."""

    def written(value: Value) -> Expr:
        base = behind_views(value)
        while base.node is not None and base.node.primitive is movement.transpose:
            base = behind_views(base.node.inputs[0])
        return writer.names.get(base) or writer.draft(value)

    return written
