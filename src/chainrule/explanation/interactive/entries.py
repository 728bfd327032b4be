"""The data of an explanation's page: numbers, links and formulas of a step's elements.

From it the page works out the path of any number that is clicked: forwards, what it was
computed from; backwards, the chain rule from ℒ to it. It holds values, in running
order, and the links between them (:mod:`~chainrule.explanation.interactive.links`).
Values without a symbol are on the way between those that have one.

Its size is bounded: what is nearest to the loss is kept, and the page says of which
values the links are left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.explanation.content import Explained
from chainrule.explanation.interactive.links import (
    Each,
    Into,
    Link,
    Linked,
    Listed,
    Times,
    Unknown,
    linked,
)
from chainrule.explanation.interactive.packing import packed, places
from chainrule.explanation.interactive.updates import beside
from chainrule.explanation.plain import is_sampled
from chainrule.graph.graph import ancestors
from chainrule.graph.node import Array, Value

#: Characters of numbers and links in a page.
MOST = 2_600_000
#: What tells the numbers of a value from those of its derivative.
NUMBERS, SLOPES = "value", "gradient"


@dataclass(frozen=True)
class Entry:
    """The numbers of a symbol in a page: a value's own, or its derivatives.

    Attributes:
        id: the place of the value among those of the page.
        kind: ``"value"`` or ``"gradient"``.
        columns: whether its first axis counts samples, which are columns on paper.
    """

    id: int
    kind: str
    columns: bool


@dataclass(eq=False)
class Entries:
    """The numbers of a step with all links, as JSON data.

    Attributes:
        data: for the page.
        symbols: what is shown by each symbol, as text.
        left_out: the symbols of values whose links are left out.
        updates_left_out: those of new parameters whose updates are.
        whole: the values of which all terms of the chain rule are there.
    """

    data: dict[str, Any]
    symbols: dict[str, Entry] = field(default_factory=dict[str, Entry])
    left_out: list[str] = field(default_factory=list[str])
    updates_left_out: list[str] = field(default_factory=list[str])
    whole: set[int] = field(default_factory=set[int])


def entries_of(e: Explained, most: int = MOST) -> Entries:
    """Return the data of an explanation's page.

    Args:
        e: the explanation.
        most: characters of numbers and links.
    """
    return _Entries(e, most).made()


class _Entries:
    def __init__(self, e: Explained, most: int) -> None:
        self.e, self.most = e.exact, most
        run, names = self.e.run, self.e.names
        roots = [run.loss, *run.predictions, *names.forward]
        roots += [names.scores] if names.scores is not None else []
        given = [*run.x, run.y, *run.tensors]
        self.graph: Linked = linked(ancestors(roots), run.arrays, run.sizes, given)
        self.gradients = {value: name for value, __, name in names.errors}
        self.filled: dict[Value, Any] = {}
        self.slopes: dict[Value, Any] = {}

    def made(self) -> Entries:
        """Return the data, the symbols, and what is left out."""
        graph, names = self.graph, self.e.names
        into: dict[Value, list[Link]] = defaultdict(list)
        for link in graph.links:
            into[link.child].append(link)
        links: list[dict[str, Any]] = []
        ends: set[Value] = set()
        left: set[Value] = set()
        room = self.most
        written: dict[Link, dict[str, Any]] = {}
        for value in reversed(graph.values):
            packs = {link: self._link(link) for link in into.get(value, ())}
            fills, slopes = self._needed(value, into.get(value, ()))
            cost = sum(map(_size, (*packs.values(), *fills.values(), *slopes.values())))
            if cost > room:
                left.add(value)
                continue
            room -= cost
            written |= packs
            self.filled |= fills
            self.slopes |= slopes
        shown = [v for v in graph.values if v in names.of]
        factors = [link.other for link in graph.links if isinstance(link, Times)]
        for link in graph.links:
            ends |= {link.parent, link.child}
        ends |= {*factors, *names.of}
        known = dict.fromkeys([*graph.values, *factors])  # which may be constants
        ids = {v: i for i, v in enumerate(v for v in known if v in ends)}
        for link in graph.links:
            pack = written.get(link, {"kind": "left"})
            if "other" in pack:
                assert isinstance(link, Times)
                pack = pack | {"other": ids[link.other]}
            links.append({"from": ids[link.parent], "to": ids[link.child], **pack})
        data = {
            "loss": ids[self.e.run.loss],
            "values": [self._value(v) for v in ids],
            "links": links,
        }
        if self._wild():
            data["wild"] = True
        made = Entries(data)
        for value in shown:
            symbol, columns = names.of[value].text(), self._columns(value)
            made.symbols.setdefault(symbol, Entry(ids[value], NUMBERS, columns))
            if value in self.gradients:
                name = self.gradients[value].text()
                made.symbols.setdefault(name, Entry(ids[value], SLOPES, columns))
        made.whole = _whole(data)
        with np.errstate(all="ignore"):
            more = beside(self.e, ids, len(ids), room)
        data["values"] += more.values
        data["links"] += more.links
        for symbol, place in more.symbols.items():
            made.symbols.setdefault(
                symbol, Entry(place, NUMBERS, self._on_paper(symbol))
            )
        made.updates_left_out = more.left_out
        unknown = {k.child for k in graph.links if isinstance(k, Unknown)}
        behind = {v for v in left | unknown if v in ids}
        made.left_out = list(dict.fromkeys(self._near(v) for v in ids if v in behind))
        return made

    def _wild(self) -> bool:
        """Return whether a derivative of the step is NaN or infinite."""
        run = self.e.run
        known = (run.arrays.get(g) for g in run.cotangents.values())
        return any(a is not None and not np.isfinite(a).all() for a in known)

    def _on_paper(self, symbol: str) -> bool:
        """Return whether the samples of f′(z) are columns, as those of z are."""
        zs = [layer.z for layer in self.e.names.layers]
        names = self.e.names.of
        return any(f"f′({names[z].text()})" == symbol and self._columns(z) for z in zs)

    def _columns(self, value: Value) -> bool:
        return is_sampled(value) and value not in self.e.names.writer.matrices

    def _near(self, value: Value) -> str:
        """Return the symbol of a value, or of the next one that has a symbol."""
        names = self.e.names.of
        order = self.graph.values
        after = order[order.index(value) :]
        return next(names[v].text() for v in after if v in names)

    def _needed(
        self, value: Value, links: Any
    ) -> tuple[dict[Value, Any], dict[Value, Any]]:
        """Return the numbers and derivatives that a value and its links bring along."""
        run, arrays = self.e.run, self.graph.arrays
        wanted = [value] if value in self.e.names.of else []
        wanted += [link.other for link in links if isinstance(link, Times)]
        fills = {v: packed(arrays[v]) for v in wanted if v not in self.filled}
        slopes: dict[Value, Any] = {}
        if value in self.e.names.of and value not in run.parameters:
            g = run.cotangents.get(value)
            if g is not None:
                slopes[value] = packed(run.arrays[g])
        return fills, slopes

    def _value(self, value: Value) -> dict[str, Any]:
        run, names = self.e.run, self.e.names
        made: dict[str, Any] = {"shape": list(self.graph.arrays[value].shape)}
        if value in self.filled:
            made["data"] = self.filled[value]
        if value in self.slopes:
            made["gradient"] = self.slopes[value]
        if value not in names.of:
            return made
        made["symbol"] = names.of[value].text()
        if self.graph.arrays[value].dtype.kind != "f":
            made["whole"] = True
        if value.node is not None:
            formula = names.writer.of(value).text()
            made["formula"] = f"{made['symbol']} = {formula}"
        if value in run.tensors:
            made["name"] = run.tensors[value]
        if value in self.gradients:
            made["slope"] = self.gradients[value].text()
        if self._columns(value):
            made["columns"] = True
        return made

    def _link(self, link: Link) -> dict[str, Any]:
        shapes = [self.graph.arrays[v].shape for v in (link.parent, link.child)]
        if isinstance(link, Each):
            return _indexed("each", link.index, shapes[1], link.derivative)
        if isinstance(link, Into):
            return _indexed("into", link.index, shapes[0], link.derivative)
        if isinstance(link, Times):
            made: dict[str, Any] = {"kind": "times", "letters": list(link.letters)}
            if link.slides:
                made |= {k: [*v] for k, v in link.slides.items()}
                made["first"] = link.first
            return made | {"other": -1}
        if isinstance(link, Listed):
            return {
                "kind": "listed",
                "children": packed(link.children),
                "parents": packed(link.parents),
                "d": packed(link.derivatives),
            }
        return {"kind": "left"}


def _whole(data: dict[str, Any]) -> set[int]:
    """Return the values from which no link that is left out is met on the way ahead.

    The way ends at the next values that have a symbol.
    """
    ahead: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for link in data["links"]:
        ahead[link["from"]].append(link)
    whole: set[int] = set()
    for v in reversed(range(len(data["values"]))):
        open_ = [k["to"] for k in ahead[v] if "symbol" not in data["values"][k["to"]]]
        left = any(k["kind"] == "left" for k in ahead[v])
        if not left and whole.issuperset(open_):
            whole.add(v)
    return whole


def _indexed(
    kind: str, index: Array, shape: tuple[int, ...], derivative: Array
) -> dict[str, Any]:
    """Return a link of single elements as JSON data.

    Where the derivative is 0 no element is found, and there any will do.
    """
    known = index >= 0
    own = np.arange(index.size)
    if not known.all() and known.any() and np.array_equal(index[known], own[known]):
        index = own
    return {"kind": kind, "index": places(index, shape), "d": packed(derivative)}


def _size(pack: Any) -> int:
    """Return about how many characters data take as JSON."""
    if isinstance(pack, dict):
        return sum(len(k) + 4 + _size(v) for k, v in pack.items())
    if isinstance(pack, list):
        return 2 + sum(map(_size, pack))
    return len(pack) + 3 if isinstance(pack, str) else len(str(pack)) + 1
