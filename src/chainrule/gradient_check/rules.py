"""Checks of each graph node's derivative rule against difference quotients.

An error of the whole derivative does not say where it arises; of a single node it does.
For y = f(x) with a random cotangent u and a random direction v of each input,

    ⟨VJP(u), v⟩  =  d/dt ⟨u, f(x + t v)⟩  at t = 0.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.composites.composite import Composite
from chainrule.gradient_check.cause import Cause
from chainrule.gradient_check.quotients import Judgement, Question, along
from chainrule.gradient_check.subject import Subject
from chainrule.gradient_check.walk import Numbers, applied, derived, inside, opened
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import DERIVATIVES

#: The ε at which the elements of a node are looked at one by one.
CLOSE = 2.0**-18

Arrays = Sequence[Array]


def ruled(subject: Subject) -> list[tuple[Node, tuple[bool, ...]]]:
    """Return the differentiated graph nodes, and flags of inputs with gradients."""
    pairs: list[tuple[Node, tuple[bool, ...]]] = []
    for node in subject.nodes:
        passed = any(v is not None and v.tracked for v in node.outputs)
        moved = any(subject.reached.get(v, 0) for v in node.inputs)
        needed = tuple(v.tracked and v.dtype.is_float for v in node.inputs)
        if passed and moved and any(needed):
            pairs.append((node, needed))
    return pairs


def wrong_rules(
    subject: Subject, numbers: Numbers, tolerance: float, seed: int
) -> list[tuple[Node, Cause]]:
    """Return the graph nodes with a wrong derivative rule, each with the cause."""
    rng = np.random.default_rng((seed, 1))
    wrong: list[tuple[Node, Cause]] = []
    for node, needed in ruled(subject):
        arrays = [numbers[v] for v in node.inputs]
        cause = Alone(node, arrays, needed, tolerance).cause(rng)
        if cause is not None:
            wrong.append((node, cause))
    return wrong


@dataclass(frozen=True)
class Alone:
    """A single graph node, to check its derivative rule.

    Attributes:
        node: the node.
        arrays: the numbers of its inputs.
        needed: which of them have derivatives.
        tolerance: the largest relative error allowed.
    """

    node: Node
    arrays: Arrays
    needed: tuple[bool, ...]
    tolerance: float

    def cause(self, rng: np.random.Generator) -> Cause | None:
        """Return the cause if a graph node's derivative rule is wrong, else None."""
        with np.errstate(all="ignore"):
            ys = applied(self.node, self.arrays)
            us = [_random(y, rng) for y in ys]
            try:
                gs = derived(self.node, self.arrays, us, self.needed)
            except Exception as error:  # noqa: BLE001 - a rule may do anything
                cause = Cause.of("rule", self.node, detail=f"{error}".split("\n")[0])
                return self._deeper(rng) or cause
            for i, need in enumerate(self.needed):
                if not need or not self.arrays[i].size:
                    continue
                cause = self._input(i, ys, us, gs[i], rng)
                if cause is not None:
                    return self._deeper(rng) or cause
        return None

    def _input(
        self,
        i: int,
        ys: Arrays,
        us: Sequence[Array | None],
        g: Array | None,
        rng: np.random.Generator,
    ) -> Cause | None:
        x = self.arrays[i]
        if g is not None and g.shape != x.shape:
            detail = f"{g.shape} ≠ {x.shape}"
            return Cause.of("rule", self.node, input=i, detail=detail)
        g = np.zeros_like(x) if g is None else g
        v = np.asarray(rng.standard_normal(x.shape), x.dtype)
        judgement = self._judged(i, ys, us, g, v)
        if judgement.kind != "differs" and self.node.primitive.elementwise:
            smooth = ~self._bent(i, ys, us, v)
            if judgement.kind != "agrees" and smooth.any():
                judgement = self._judged(i, ys, us, g, np.where(smooth, v, 0))
        elif judgement.kind in ("kink", "jump") and self._is_outside(i, ys, us, g, v):
            judgement = replace(judgement, kind="differs")
        if judgement.kind != "differs":
            return None
        numbers = {"derivative": judgement.derivative, "quotient": judgement.quotient}
        return Cause.of("rule", self.node, input=i, **numbers)

    def _terms(
        self, i: int, us: Sequence[Array | None], array: Array
    ) -> tuple[Array, ...]:
        moved = [array if k == i else a for k, a in enumerate(self.arrays)]
        results = applied(self.node, moved)
        return tuple(u * y for u, y in zip(us, results) if u is not None)

    def _judged(
        self, i: int, ys: Arrays, us: Sequence[Array | None], g: Array, v: Array
    ) -> Judgement:
        x = self.arrays[i]

        def line(t: float) -> Array:
            terms = self._terms(i, us, np.asarray(x + t * v, x.dtype))
            return np.concatenate([a.ravel() for a in terms]).astype(np.float64)

        moves = [(u, y) for u, y in zip(us, ys) if u is not None] + [(g, x)]
        units = [float(np.finfo(y.dtype).eps) for _, y in moves]
        sizes = [float(np.linalg.norm(np.nan_to_num(u * y))) for u, y in moves]
        return Question(
            derivative=along(g, v),
            line=line,
            noise=sum(e * s for e, s in zip(units, sizes)),
            reach=max(1.0, float(np.sqrt(np.mean(np.square(x))))),
            scale=float("inf"),
            tolerance=max(self.tolerance, 1e-6),
        ).answer()

    def _bent(self, i: int, ys: Arrays, us: Sequence[Array | None], v: Array) -> Array:
        """Return the mask of elements at which a graph node has a kink in input i."""
        x = self.arrays[i]
        gaps: list[Array] = []
        for step in (CLOSE, CLOSE / 16):
            up, here, down = (
                self._terms(i, us, np.asarray(x + t * v, x.dtype))[0]
                for t in (step, 0.0, -step)
            )
            gaps.append(np.abs(up - 2 * here + down) / step)
        floor = 1e-6 * (1 + np.abs(ys[0])) * np.abs(v)
        return ~(gaps[1] <= np.maximum(0.5 * gaps[0], floor))

    def _is_outside(
        self, i: int, ys: Arrays, us: Sequence[Array | None], g: Array, v: Array
    ) -> bool:
        """Return whether a derivative at a kink is outside both one-sided slopes."""
        x = self.arrays[i]
        up, here, down = (
            np.concatenate([a.ravel() for a in self._terms(i, us, x + t * CLOSE * v)])
            for t in (1, 0, -1)
        )
        right, left = (up - here) / CLOSE, (here - down) / CLOSE
        middle, room = (right + left).sum() / 2, np.abs(right - left).sum() / 2
        off = abs(along(g, v) - float(middle))
        return bool(off > 1.01 * room + 1e-3 * (abs(middle) + 1e-6))

    def _deeper(self, rng: np.random.Generator) -> Cause | None:
        """Return a wrong rule's cause within a composite's or loop's body, or None."""
        primitive = self.node.primitive
        if isinstance(primitive, Composite) and primitive.own_vjp:
            return None
        for graph, arrays in opened(self.node, self.arrays):
            numbers = inside(graph, arrays)
            for node, needed in differentiated(graph):
                inputs = [numbers[v] for v in node.inputs]
                cause_within = Alone(node, inputs, needed, self.tolerance).cause(rng)
                if cause_within is not None:
                    return cause_within.inside(self.node)
        return None


def differentiated(graph: Graph) -> list[tuple[Node, tuple[bool, ...]]]:
    """Return a body graph's differentiated nodes, and flags of their inputs."""
    live: set[Value] = {v for v in graph.inputs if v.dtype.is_float}
    pairs: list[tuple[Node, tuple[bool, ...]]] = []
    for node in graph.nodes:
        needed = tuple(v in live for v in node.inputs)
        if any(needed) and node.primitive in DERIVATIVES:
            pairs.append((node, needed))
            live |= {v for v in node.outputs if v is not None and v.dtype.is_float}
    return pairs


def cuts(subject: Subject) -> list[tuple[Cause, Collection[Node]]]:
    """Return the graph nodes that stop differentiation, with the nodes after."""
    causes: list[tuple[Cause, Collection[Node]]] = []
    for node in subject.nodes:
        outputs = [v for v in node.outputs if v is not None and v.dtype.is_float]
        ends = outputs and not any(v.tracked for v in outputs)
        if ends and any(v.tracked and v.dtype.is_float for v in node.inputs):
            known = node.primitive in DERIVATIVES
            cause = Cause.of("cut", node, detail="" if known else "no rule")
            causes.append((cause, _behind(subject, node) if known else ()))
    return causes


def _behind(subject: Subject, start: Node) -> set[Node]:
    """Return a graph node and all nodes that depend on it."""
    live, nodes = {v for v in start.outputs if v is not None}, {start}
    for node in subject.nodes:
        if any(v in live for v in node.inputs):
            nodes.add(node)
            live |= {v for v in node.outputs if v is not None}
    return nodes


def non_finite(subject: Subject, numbers: Numbers, cotangents: Numbers) -> Cause | None:
    """Return the node that turns finite gradients into NaN or infinity, or None."""
    for node in reversed(subject.nodes):
        gs = [None if v is None else cotangents.get(v) for v in node.outputs]
        present = [g for g in gs if g is not None]
        if not present or not all(np.isfinite(g).all() for g in present):
            continue
        needed = tuple(v.tracked and v.dtype.is_float for v in node.inputs)
        if any(needed) and node.primitive in DERIVATIVES:
            gradients = derived(node, [numbers[v] for v in node.inputs], gs, needed)
            if not all(g is None or np.isfinite(g).all() for g in gradients):
                return Cause.of("nonfinite", node)
    return None


def _random(y: Array, rng: np.random.Generator) -> Array | None:
    """Return a random gradient for a node's output, or None for integers."""
    if y.dtype.kind != "f":
        return None
    return np.asarray(rng.standard_normal(y.shape), y.dtype)
