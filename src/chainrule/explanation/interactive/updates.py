"""Numbers beside the chain rule in a page: updates of parameters, slopes f′(z).

An update is written as the optimiser's formula writes it: θ′ from θ, the new moments
and the hyper-parameters, new moments from the old ones and ∂ℒ/∂θ. Each of these numbers
has the derivatives by those that it is computed from, in float64; ℒ reads none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.explanation.content import Explained
from chainrule.explanation.interactive.links import Each, Linked, opened
from chainrule.explanation.interactive.packing import packed, places
from chainrule.explanation.signs import PRIME, slope_of
from chainrule.explanation.updates import scalars_of
from chainrule.graph.context import recording
from chainrule.graph.node import Array, Node, Value
from chainrule.notation import functions as f
from chainrule.notation.expressions import Script
from chainrule.optim.rule import letters_of

#: Characters of the numbers of all updates in a page.
MOST = 120_000


@dataclass(eq=False)
class Beside:
    """Values and links behind those of the chain rule, as JSON data.

    Attributes:
        first: the number of values before them.
        values, links: the data.
        symbols: the place of each value that is shown, by its symbol.
        left_out: the symbols of new parameters whose updates are left out.
    """

    first: int
    values: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    links: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    symbols: dict[str, int] = field(default_factory=dict[str, int])
    left_out: list[str] = field(default_factory=list[str])

    def add(self, symbol: str, array: Array, **more: Any) -> int:
        """Add a value with its numbers; return its place."""
        made = {"shape": list(array.shape), "data": packed(array), "symbol": symbol}
        self.values.append(made | {"beside": True} | more)
        self.symbols.setdefault(symbol, self.first + len(self.values) - 1)
        return self.first + len(self.values) - 1

    def link(self, parent: int, child: int, one: bool, derivative: Array) -> None:
        """Add the derivatives of a value by another, element by element, or by one."""
        shape = derivative.shape
        index = np.zeros(derivative.size, int) if one else np.arange(derivative.size)
        pack = {"index": places(index, shape), "d": packed(derivative)}
        self.links.append({"from": parent, "to": child, "kind": "each", **pack})

    def undo(self, values: int, links: int, symbols: Mapping[str, int]) -> None:
        """Remove what was added since."""
        del self.values[values:], self.links[links:]
        self.symbols = dict(symbols)


def beside(e: Explained, ids: Mapping[Value, int], first: int, room: int) -> Beside:
    """Return the updates and slopes of a step, for the data of a page.

    Args:
        e: the step, in float64.
        ids: the places of the values of the chain rule.
        first: the place of the next value.
        room: characters that are left in the page.
    """
    made, room = Beside(first), min(room, MOST)
    for section in e.sections:
        for equation in section.forward + section.backward:
            if equation.key == "slope" and section.l:
                _slope(e, section.l, equation.text(), equation.name, ids, made)
    known: dict[Value, int] = {}
    formulas = {q.name.text(): q.text() for q in e.equations()}
    # The smallest first: of a page that is full most numbers can still be clicked.
    order = sorted(e.run.updates, key=lambda v: e.run.arrays[v].size)
    for value in order:
        new = e.run.updates[value]
        if value not in ids or value not in e.run.parameters or new.node is None:
            continue
        before = len(made.values), len(made.links), dict(made.symbols)
        shared = dict(known)
        fits = _update(e, value, new.node, ids, made, shared, formulas)
        cost = sum(len(str(x)) for x in made.values[before[0] :])
        cost += sum(len(str(x)) for x in made.links[before[1] :])
        if not fits or cost > room:
            made.undo(*before)
            made.left_out.append(Script(e.names.of[value], PRIME).text())
            continue
        room, known = room - cost, shared
    return made


def _update(
    e: Explained,
    value: Value,
    node: Node,
    ids: Mapping[Value, int],
    made: Beside,
    known: dict[Value, int],
    formulas: Mapping[str, str],
) -> bool:
    """Add the update of a parameter; return whether its derivatives are known."""
    run, symbol = e.run, e.names.of[value]
    linked = opened(node, run.arrays, run.sizes, node.inputs)
    letters, scalars = letters_of(node.primitive, node.attrs), scalars_of(run)
    own = {value: ids[value]}
    for i, v in enumerate(node.inputs):
        if v in own or v in known:
            continue
        array = linked.arrays[v]
        if v in run.slots:
            name = Script(f.symbol(letters[i]), below=symbol).text()
            own[v] = made.add(name, array)
        elif v in scalars and any(scalars[v] == 1 - s for s in scalars.values()):
            known[v] = -1  # it is written by the other number
        elif v in scalars:
            known[v] = made.add(scalars[v].text(), array)
        elif array.shape == run.arrays[value].shape:
            name = slope_of(symbol).text()
            own[v] = made.add(name, array, slopeOf=ids[value])
        else:  # a factor that is worked out, as of clipping
            name = e.names.writer.draft(v).text()
            known[v] = made.add(name, array, formula=name)
    new = [v for v in node.outputs if v is not None]
    names = [Script(symbol, PRIME).text()]
    moments = str(node.attrs.get("moments", "")).split()
    names += [
        Script(f.symbol(letter), PRIME, symbol).text()
        for letter in letters[2 : 2 + len(moments)]
    ]
    for v, name in reversed([*zip(new, names)]):
        own[v] = made.add(name, linked.arrays[v], formula=formulas.get(name, name))
    every = known | own
    # A number 1 − β that the step is given is written by β: ∂/∂β = −∂/∂(1 − β).
    rests = {
        v: w
        for v in node.inputs
        for w in node.inputs
        if v in scalars and w in scalars and scalars[v] == 1 - scalars[w]
    }
    for child in new:
        found = dict(_derivatives(linked, child, every))
        for rest, share in rests.items():
            slope = found.pop(rest, None)
            if slope is not None:
                found[share] = found.get(share, 0.0) - slope
        for parent, derivative in found.items():
            if derivative is None:
                return False
            one = linked.arrays[parent].size == 1 and derivative.size > 1
            made.link(every[parent], own[child], one, derivative)
    return True


def _derivatives(
    linked: Linked, child: Value, stops: Mapping[Value, int]
) -> Iterator[tuple[Value, Array | None]]:
    """Yield the next values with a symbol, and ∂child/∂them, element by element."""
    shape = linked.arrays[child].shape
    sums: dict[Value, Array] = {child: np.ones(shape)}
    for value in reversed(list(dict.fromkeys(linked.values))):
        if value not in sums:
            continue
        if value in stops and value is not child:
            yield value, sums[value]
            continue
        for link in linked.links:
            if link.child is not value:
                continue
            size = linked.arrays[link.parent].size
            if not isinstance(link, Each) or size not in (1, sums[value].size):
                yield link.parent, None
                return
            d = link.derivative
            part = sums[value] * (d.reshape(shape) if d.size > 1 else d.reshape(()))
            sums[link.parent] = sums.get(link.parent, np.zeros(shape)) + part


def _slope(
    e: Explained,
    layer: int,
    formula: str,
    name: Any,
    ids: Mapping[Value, int],
    made: Beside,
) -> None:
    """Add f′(z) of a layer, which is ∂a/∂z, with its derivative by z."""
    z, a = e.names.layers[layer - 1].z, e.names.output(layer)
    shown = e.numbers[name].array
    if z not in ids or shown.shape != e.run.arrays[z].shape:
        return
    start = Value(e.run.arrays[z], tracked=True)
    ones = Value(np.ones(e.run.arrays[a].shape))
    new = {z: start}
    with recording(), np.errstate(all="ignore"):
        nodes = [n for n in e.run.graph.nodes if n.role == "forward"]
        e.trace.replay(nodes, new, {a})
        if a not in new:
            return
        first = cotangents({new[a]: ones}).get(start)
        seed = Value(np.ones(shown.shape))
        second = None if first is None else cotangents({first: seed}).get(start)
    slope = None if first is None else first.array
    if slope is None or not np.allclose(slope, shown, rtol=1e-9, equal_nan=True):
        return
    curve = None if second is None else second.array
    place = made.add(name.text(), np.asarray(shown), formula=formula)
    made.link(ids[z], place, False, np.zeros(shown.shape) if curve is None else curve)
