"""Derivatives between single elements of a training step's graph values.

A trace is the graph of a step with all its numbers. Between named values it knows the
derivative of every element by every other: backwards as a cotangent, forwards as the
derivative of cotangents. Both come from the derivative rules that training uses,
applied to a single 1 among zeros, so they hold for products, convolutions, gathers,
reductions, attention, loops and batch statistics alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.errors import ArgumentError, nearest
from chainrule.explanation.naming import Names
from chainrule.explanation.paths import (
    FOLLOWED,
    LOSS,
    ElementPath,
    Index,
    Step,
    Term,
    added_up,
    at,
)
from chainrule.explanation.run import Run
from chainrule.graph.apply import apply
from chainrule.graph.context import recording
from chainrule.graph.graph import ancestors, is_detached
from chainrule.graph.interpret import attrs_at
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import as_tuple
from chainrule.nn.picture.attention import VIEWS
from chainrule.primitives import elementwise
from chainrule.primitives.rules import show
from chainrule.text import _, ngettext, tr

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾₀₁₂₃₄₅₆₇₈₉", "0123456789()0123456789")


@dataclass(frozen=True)
class Edge:
    """The derivatives of one element by the elements of another graph value.

    Attributes:
        parent: the symbol of what it depends on.
        indices: which elements of the parent, (k, axes).
        derivative: ∂element/∂parent[indices], (k,).
        contribution: what ∂ℒ/∂parent[indices] gets from here: ∂ℒ/∂element times the
            derivative, (k,).
    """

    parent: str
    indices: Array
    derivative: Array
    contribution: Array


class Trace:
    """The graph of a training step with all numbers, for derivatives of elements.

    Attributes:
        run: the step.
        names: the names of its values.
    """

    def __init__(self, run: Run, names: Names) -> None:
        self.run, self.names = run, names

    # -- finding -----------------------------------------------------------------------

    @cached_property
    def known(self) -> dict[str, Value]:
        """The graph values by all their names: symbols, modules and tensor names."""
        values: dict[str, Value] = {}
        for value in self.names.forward:
            if value.node is not None and value.node.scope:
                values[value.node.scope] = (
                    value  # the last one is what the module gives
                )
        values |= {name: v for v, name in self.run.tensors.items()}
        for value, symbol in self.names.of.items():
            values.setdefault(symbol.text(), value)
            values.setdefault(_plain(symbol.text()), value)
        return values

    def find(self, name: str) -> Value:
        """Return the graph value that has a symbol (``a⁽¹⁾`` or ``a1``) or name.

        Raises:
            ArgumentError: where there is none.
        """
        known = self.known
        name = name if isinstance(name, str) else repr(name)
        value = known.get(name, known.get(_plain(name)))
        if value is not None:
            return value
        near = nearest(name, known)
        names = [s.text() for s in dict.fromkeys(self.names.of.values())]
        raise ArgumentError(
            _("Nothing here is called {name}.", name=repr(name)),
            expected=_(
                "a name of the state_dict, a module, or one of {names}",
                names=", ".join(names),
            ),
            got=repr(name),
            fix=_("did you mean {near}?", near=repr(near)) if near else None,
        )

    def _index(self, value: Value, index: Any) -> Index:
        shape = self.run.arrays[value].shape
        indices = index if isinstance(index, tuple) else (index,)
        whole = all(isinstance(i, int | np.integer) for i in indices)
        if not whole or len(indices) != len(shape):
            raise ArgumentError(
                _("An element has one index for each axis."),
                expected=ngettext(
                    "{n} number, for shape {shape}",
                    "{n} numbers, for shape {shape}",
                    n=len(shape),
                    shape=show(shape),
                ),
                got=repr(index),
            )
        if any(not -n <= i < n for i, n in zip(indices, shape)):
            raise ArgumentError(
                _("There is no such element."),
                expected=_("indices within shape {shape}", shape=show(shape)),
                got=repr(index),
            )
        return tuple([int(i) % n for i, n in zip(indices, shape)])

    # -- backwards ---------------------------------------------------------------------

    def edges(self, name: str | Value, index: Any) -> list[Edge]:
        """Return the graph values that an element is computed from, with derivatives.

        Args:
            name: of the value.
            index: of the element, one number for each axis.

        >>> from chainrule.explanation import example
        >>> for edge in example().trace.edges("z2", (0, 0)):
        ...     print(edge.parent, edge.derivative)
        W⁽²⁾ [0.59868766 0.46257015]
        b⁽²⁾ [1.]
        a⁽¹⁾ [ 0.5 -0.6]
        """
        value = name if isinstance(name, Value) else self.find(name)
        place = self._index(value, index)
        row = np.zeros(self.run.arrays[value].shape)
        row[place] = 1.0
        g = self.run.cotangents.get(value)
        share = 0.0 if g is None else float(self.run.arrays[g][place])
        if value is self.run.loss:
            share = 1.0
        edges: list[Edge] = []
        parents = self._pulled(value, row)
        for parent in filter(parents.__contains__, self.run.graph.values()):
            d = parents[parent]
            indices = np.argwhere(d != 0)
            picked = d[d != 0]
            symbol = self.names.of[parent].text()
            edges.append(Edge(symbol, indices, picked, share * picked))
        return edges

    def _pulled(self, value: Value, row: Array) -> dict[Value, Array]:
        """Return derivatives of Σ row ⊙ value by the graph values before it."""
        stops = [v for v in self.names.of if v is not value]
        new = {v: self._number(v, tracked=True) for v in stops}
        with recording(), np.errstate(all="ignore"):
            self.replay(ancestors([value], stops), new)
            back = cotangents({new[value]: Value(row)}) if value in new else {}
        return {v: _array(back[new[v]]) for v in stops if new[v] in back}

    # -- forwards ----------------------------------------------------------------------

    def _pushed(self, value: Value, direction: Array) -> dict[Value, Array]:
        """Return the change of the next graph values along a direction of ``value``.

        Jᵀv is linear in v, and its derivative by v along a direction u is J u.
        """
        start = self._number(value, tracked=True)
        new = {value: start}
        stops = {*self.names.of, self.run.loss} - {value}
        with recording(), np.errstate(all="ignore"):
            nodes = [node for node in self.run.graph.nodes if node.role == "forward"]
            self.replay(nodes, new, stops)
            seeds = {v: new[v] for v in stops if v in new}
            gs = {v: Value(np.zeros(y.shape), tracked=True) for v, y in seeds.items()}
            back = cotangents({y: gs[v] for v, y in seeds.items()}).get(start)
            pushed = {} if back is None else cotangents({back: Value(direction)})
        derivatives = {v: _array(pushed[g]) for v, g in gs.items() if g in pushed}
        order = filter(derivatives.__contains__, self.run.graph.values())
        return {v: derivatives[v] for v in order if np.any(derivatives[v])}

    def replay(
        self,
        nodes: Iterable[Node],
        new: dict[Value, Value],
        stops: Container[Value] = (),
    ) -> None:
        """Recompute graph nodes from the tracked values ``new``; add their results.

        Nothing is applied to what is among ``stops``.
        """
        for node in nodes:
            moved = [v for v in node.inputs if v in new and v not in stops]
            if is_detached(node) or not any(new[v].tracked for v in moved):
                continue
            inputs = [new[v] if v in moved else self._number(v) for v in node.inputs]
            attrs = attrs_at(node, self.run.sizes)
            results = as_tuple(apply(node.primitive, tuple(inputs), attrs))
            new |= {v: y for v, y in zip(node.outputs, results) if v and y.tracked}

    def _number(self, value: Value, *, tracked: bool = False) -> Value:
        """Return a new graph value with a traced value's numbers."""
        array = self.run.arrays[value]
        return Value(array, tracked=tracked and array.dtype.kind == "f")

    # -- one number's path -------------------------------------------------------------

    def element(self, name: str, index: Any) -> ElementPath:
        """Return the path of an element of a value through the chain rule to the loss.

        Args:
            name: of the value: ``"2.weight"``, ``"z1"``.
            index: of the element, one number for each axis, as it lies in memory.

        Raises:
            ArgumentError: no such value or element; one on which ℒ does not depend.

        >>> from chainrule.explanation import example
        >>> path = example().element("0.weight", (1, 0))
        >>> print(path.steps[1].symbol, path.steps[1].index)
        z⁽¹⁾ (0, 1)
        """
        value = self.find(name)
        place = self._index(value, index)
        if value is not self.run.loss and value not in self.run.cotangents:
            raise ArgumentError(
                _("ℒ does not depend on {name}.", name=repr(name)),
                expected=_("a value between a parameter and the loss"),
                got=self.names.of[value].text() if value in self.names.of else name,
            )
        steps: list[Step] = []
        waiting: list[tuple[Value, Index]] = [(value, place)]
        done: set[tuple[Value, Index]] = set()
        count: dict[Value, int] = {}
        order = {v: i for i, v in enumerate(self.run.graph.values())}
        while waiting:
            waiting.sort(key=lambda item: order[item[0]])
            here = waiting.pop(0)
            if here in done or count.get(here[0], 0) >= FOLLOWED:
                continue
            done.add(here)
            count[here[0]] = count.get(here[0], 0) + 1
            terms = self._terms(*here)
            steps.append(self._step(*here, [t for __, t in terms]))
            # Where nothing comes back, one way shows where it ends.
            many = FOLLOWED if any(t.product for __, t in terms) else 1
            ahead = [(v, t.index) for v, t in terms[:many]]
            waiting += [item for item in ahead if item[0] is not self.run.loss]
        loss = self.run.loss
        number = float(self.run.arrays[loss])
        return ElementPath(name, added_up(steps), number, self._equation(loss))

    def _terms(self, value: Value, place: Index) -> list[tuple[Value, Term]]:
        """Return an element's chain-rule terms: the non-zero ones, or else all."""
        if value is self.run.loss:
            return [(value, Term(LOSS, (), 1.0, 1.0))]
        direction = np.zeros(self.run.arrays[value].shape)
        direction[place] = 1.0
        terms: list[tuple[Value, Term]] = []
        pushed = self._pushed(value, direction)
        still: dict[Value, Array] = {}
        if not all(np.isfinite(d).all() for d in pushed.values()):
            still = self._pushed(value, np.zeros_like(direction))
        for other, d in pushed.items():
            g = self._gradient(other)
            symbol = self.names.of[other].text()
            # Of others, 0 times an infinite derivative is no number, and no way.
            moved = (d != 0) & ~np.isnan(still.get(other, np.zeros(())))
            for index in map(tuple, np.argwhere(moved)):
                there = tuple(map(int, index))
                term = Term(symbol, there, float(d[index]), float(g[index]))
                terms.append((other, term))
        some = [pair for pair in terms if pair[1].product]
        key = (lambda t: abs(t.product)) if some else (lambda t: abs(t.derivative))
        return sorted(some or terms, key=lambda pair: -key(pair[1]))

    def _gradient(self, value: Value) -> Array:
        if value is self.run.loss:
            return np.ones(())
        g = self.run.cotangents.get(value)
        like = self.run.arrays[value]
        return np.zeros(like.shape) if g is None else self.run.arrays[g]

    def _step(self, value: Value, place: Index, terms: list[Term]) -> Step:
        number = self.run.arrays[value][place].item()
        own, remark = float(self._gradient(value)[place]), ""
        if math.isfinite(own) != math.isfinite(sum(t.product for t in terms)):
            terms = []
            remark = tr("as the step has it: on the way stands 0 times ∞, or NaN")
        elif not terms:
            remark = self._why_nothing(value, place)
        elif all(term.symbol == LOSS for term in terms) and value is not self.run.loss:
            remark = self._equation(self.run.loss)
        return Step(
            self.names.of[value].text(),
            place,
            number,
            own,
            tuple(terms),
            self._equation(value) if value.node is not None else "",
            remark,
        )

    def _equation(self, value: Value) -> str:
        """Return a graph value's equation as text."""
        formula = self.names.writer.of(value).text()
        return f"{self.names.of[value].text()} = {formula}"

    def _why_nothing(self, value: Value, place: Index) -> str:
        """Return the reasons for an element's zero derivatives, as text."""
        name = at(self.names.of[value].text(), place)
        reasons: list[str] = []
        for reader, closed in self._readers(value):
            formula = self._equation(reader)
            if closed and self.run.arrays[value][place] <= 0:
                reasons.append(
                    tr(
                        "{formula} is a closed ReLU here: {name} ≤ 0",
                        formula=formula,
                        name=name,
                    )
                )
            else:
                reasons.append(
                    tr(
                        "every derivative of {formula} by {name} is 0",
                        formula=formula,
                        name=name,
                    )
                )
        return "; ".join(reasons) or tr("nothing on the way to ℒ reads it")

    def _readers(self, value: Value) -> Iterable[tuple[Value, bool]]:
        """Yield a graph value's readers, and whether only a ReLU lies between."""
        moved = {value: True}
        for node in self.run.graph.nodes:
            through = [moved[v] for v in node.inputs if v in moved]
            if node.role != "forward" or not through:
                continue
            views = node.primitive in VIEWS
            closes = node.primitive is elementwise.maximum and any(
                v not in moved and not np.any(self.run.arrays[v]) for v in node.inputs
            )
            for out in node.outputs:
                if out is None or not out.dtype.is_float:
                    continue
                if out in self.names.of:
                    if out in self.run.cotangents or out is self.run.loss:
                        yield out, all(through) and closes
                else:
                    moved[out] = all(through) and views


def _plain(symbol: str) -> str:
    """Return a mathematical symbol in plain characters: z1 for z⁽¹⁾."""
    return re.sub(r"[()\s]", "", symbol.translate(_RAISED))


def _array(value: Value) -> Array:
    assert value.array is not None
    return value.array
