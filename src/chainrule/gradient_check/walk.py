"""A forward and backward pass over graph nodes, keeping all numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.autograd.function import CUSTOM
from chainrule.composites import control
from chainrule.errors import GradientError
from chainrule.gradient_check.subject import Subject
from chainrule.graph.apply import apply
from chainrule.graph.context import no_grad, recording
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate, evaluate_all
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, DERIVATIVES, REFERENCES, as_tuple
from chainrule.graph.types import DType, type_of
from chainrule.primitives.rules import show
from chainrule.text import _

#: Steps of a loop that are looked into.
STEPS = 3

Numbers = dict[Value, Array]


@dataclass(frozen=True)
class Walk:
    """The result of a forward and backward pass: all values' numbers and gradients.

    Attributes:
        numbers: of every value.
        cotangents: of the values that the derivative comes to.
    """

    numbers: Numbers
    cotangents: Numbers

    def gradient(self, value: Value) -> Array:
        """Return the gradient by a graph value; 0 if nothing depends on it."""
        cotangent = self.cotangents.get(value)
        return np.zeros_like(self.numbers[value]) if cotangent is None else cotangent


def forward(subject: Subject) -> Numbers:
    """Return the numbers of every graph value at the checked point."""
    return replay(subject, [p.array for p in subject.parts])


def replay(subject: Subject, arrays: Sequence[Array]) -> Numbers:
    """Return the numbers of every graph value for other checked arrays."""
    numbers = dict(subject.known)
    numbers |= {p.value: a for p, a in zip(subject.parts, arrays, strict=True)}
    for node in subject.nodes:
        results = applied(node, [numbers[v] for v in node.inputs])
        numbers |= {v: a for v, a in zip(node.outputs, results) if v is not None}
    return numbers


def walk(
    subject: Subject,
    numbers: Numbers,
    weights: Sequence[Array],
    through: Collection[Node] = (),
) -> Walk:
    """Run forward and backward pass over graph nodes by their derivative rules.

    Args:
        subject: the function.
        numbers: of every value.
        weights: the cotangents of the outputs.
        through: nodes that a derivative passes although it was told not to.
    """
    now = {v: Value(a) for v, a in subject.known.items()}
    now |= {p.value: Value(p.array, tracked=True) for p in subject.parts}
    with np.errstate(all="ignore"), recording():
        for node in subject.nodes:
            inputs = tuple([now[v] for v in node.inputs])
            results: tuple[Value, ...] = as_tuple(
                apply(node.primitive, inputs, node.attrs)
            )
            for old, new in zip(node.outputs, results):
                if old is not None:
                    new.tracked &= old.tracked or node in through
                    now[old] = new
    roots: dict[Value, Value] = {}
    with np.errstate(all="ignore"), no_grad():
        for output, weight in zip(subject.outputs, weights, strict=True):
            root, seed = now[output], np.asarray(weight, output.dtype.numpy)
            if root.tracked:
                sum_so_far = roots.get(root)
                total = seed if sum_so_far is None else seed + _array(sum_so_far)
                roots[root] = Value(np.asarray(total))
        reached = cotangents(roots, stop=[now[p.value] for p in subject.parts])
    known = {v: _array(reached[w]) for v, w in now.items() if w in reached}
    for v, g in known.items():
        if g.shape != numbers[v].shape:
            raise GradientError(
                _("A derivative has another shape than its value."),
                expected=show(numbers[v].shape),
                got=show(g.shape),
            )
    return Walk(numbers, known)


def weighted(weights: Sequence[Array], outputs: Sequence[Array]) -> Array:
    """Return the terms of a random-weighted sum of all outputs as one array."""
    terms = [(w * y).ravel() for w, y in zip(weights, outputs, strict=True)]
    return np.concatenate(terms).astype(np.float64)


def applied(node: Node, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return a graph node's outputs for arrays, by the reference implementation."""
    with np.errstate(all="ignore"):
        if node.primitive is CUSTOM:  # whose reference does not compute anything
            return node.attrs["call"].computed(arrays)
        results: Any = REFERENCES[node.primitive](*arrays, **node.attrs)
    return tuple(np.asarray(a) for a in as_tuple(results))


def derived(
    node: Node,
    arrays: Sequence[Array],
    gs: Sequence[Array | None],
    needed: tuple[bool, ...],
) -> list[Array | None]:
    """Return the gradients of a graph node's inputs, by its derivative rule alone."""
    inputs = tuple([Value(a, tracked=t) for a, t in zip(arrays, needed)])
    ys = tuple([Value(a) for a in applied(node, arrays)])
    seeds = tuple([None if g is None else Value(g) for g in gs])
    rule = DERIVATIVES[node.primitive]
    with np.errstate(all="ignore"), no_grad():
        gradients = rule(seeds, ys, inputs, needed, **node.attrs)
    return [None if v is None else _array(v) for v in gradients]


def opened(
    node: Node, arrays: Sequence[Array]
) -> Iterator[tuple[Graph, Sequence[Array]]]:
    """Yield the body graphs of a composite, loop or branch node, with inputs."""
    if node.primitive in BODIES:
        types = [type_of(a) for a in arrays]
        yield BODIES[node.primitive](types, node.attrs), arrays
    elif node.primitive is control.cond:
        yield node.attrs["true" if arrays[0] else "false"], arrays[1:]
    elif node.primitive is control.scan:
        body, attrs = node.attrs["body"], node.attrs
        fixed = attrs["constants"] + attrs["carries"]
        consts, carry = arrays[: attrs["constants"]], arrays[attrs["constants"] : fixed]
        times = range(attrs["length"])[:: -1 if attrs["reverse"] else 1]
        for t in times[:STEPS]:
            inputs = (*consts, *carry, *(np.asarray(x[t]) for x in arrays[fixed:]))
            yield body, inputs
            carry = evaluate(body, inputs)[: attrs["carries"]]


def inside(graph: Graph, arrays: Sequence[Array]) -> Numbers:
    """Return the numbers of every graph value of a body graph."""
    with np.errstate(all="ignore"):
        return evaluate_all(graph, arrays)


# -- rounding -------------------------------------------------------------------------


@dataclass(frozen=True)
class Rounding:
    """The effect of each graph value's rounding error on the function's result.

    A value v that is rounded by ε|v| moves the result by ε|v ∂ℒ/∂v|: what the chain
    rule says of any change. Of many values the squares add up.

    Attributes:
        noise: for each part, by how much values that depend on it move the result.
        shares: for each node its own part of that, by its bits; largest first.
    """

    noise: list[float]
    shares: list[tuple[float, int, Node, DType]]


def rounding(subject: Subject, reverse: Walk) -> Rounding:
    """Return the effect of rounding errors on the result, for each checked array."""
    shares: list[tuple[float, int, Node, DType]] = []
    for node in subject.nodes:
        if node.primitive.view:
            continue
        for v in node.outputs:
            if v is not None and v in reverse.cotangents:
                size = _norm(reverse.cotangents[v], reverse.numbers[v])
                unit = float(np.finfo(v.dtype.numpy).eps) / 2
                shares.append((unit * size, subject.reached[v], node, v.dtype))
    squares = np.array([share**2 for share, *__ in shares] or [0.0])
    bits = [b for __, b, *__ in shares] or [0]
    noise: list[float] = []
    for k, part in enumerate(subject.parts):
        mine = np.array([b >> k & 1 for b in bits], bool)
        own = 2.0**-53 * _norm(reverse.gradient(part.value), part.array)
        noise.append(2 * float(np.sqrt(squares[mine].sum())) + own)
    return Rounding(noise, sorted(shares, key=lambda s: -s[0]))


def _norm(g: Array, v: Array) -> float:
    """Return the norm √Σ (g v)² of two arrays' finite products."""
    with np.errstate(all="ignore"):
        product = np.asarray(g * v, np.float64)
        return float(np.linalg.norm(product[np.isfinite(product)]))


def _array(value: Value) -> Array:
    assert value.array is not None
    return value.array
