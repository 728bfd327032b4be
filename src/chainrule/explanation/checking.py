"""Checking an explanation by hand, as a reader would with pencil and paper.

From the numbers that are shown, in float64: z = W a + b, a = f(z), ∂ℒ/∂W = δ aᵀ,
∂ℒ/∂b = δ, and the book's recursion δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾) (3.4.2). No
derivative rule is used: f′, and ∂ℒ/∂z of the last layer, are difference quotients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.explanation.layers import LayerExplanation
from chainrule.explanation.network import LayerValues, Network
from chainrule.graph.build import record, tracing
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.graph.types import DType
from chainrule.primitives import movement

#: The step of a difference quotient, relative to z where z is large.
STEP = 1e-5
#: Up to so many elements of z are moved one by one; beyond, in random directions.
ONE_BY_ONE = 256
DIRECTIONS = 32


@dataclass(frozen=True)
class Check:
    """What was found when the shown numbers were worked out again.

    Attributes:
        errors: for each quantity the largest difference, relative to its largest
            element (absolute where all of it is zero).
        tolerance: what rounding explains, in the dtype of the network.
        kinks: elements of z so near to a kink of f that no difference quotient
            exists; they are left out.
    """

    errors: Mapping[str, float]
    tolerance: float
    kinks: int = 0

    @property
    def error(self) -> float:
        """The largest error of all."""
        return max(self.errors.values(), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every error is within the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        worst = max(self.errors, key=lambda k: self.errors[k])
        size = f"{self.error:.1e} (relative, at {worst})"
        left_out = ""
        if self.kinks:
            elements = "element" if self.kinks == 1 else "elements"
            left_out = f"; {self.kinks} {elements} of z at a kink of f left out"
        if np.isinf(self.error):
            first = next(k for k, v in self.errors.items() if np.isinf(v))
            return f"not checked: {first} or what follows from it is NaN or infinite"
        if not self.ok:
            return (
                f"checked: THE NUMBERS DISAGREE: largest error {size},"
                f" {self.tolerance:.0e} allowed{left_out}"
            )
        return (
            "checked: z, a, δ by the recursion with f′ as difference quotients,"
            f" ∂ℒ/∂W = δ aᵀ, ∂ℒ/∂b; largest error {size}{left_out}"
        )


def check_layers(network: Network, layers: Sequence[LayerExplanation]) -> Check:
    """Work out again what ``layers`` show."""
    errors: dict[str, float] = {}
    kinks = 0

    def note(
        name: str, shown: Array | None, expected: Array, terms: Array | None = None
    ) -> None:
        # A sum whose terms cancel is as exact as its terms are large.
        shown = np.zeros(()) if shown is None else shown.astype(np.float64)
        size = expected if terms is None else terms
        scale = float(np.max(np.abs(size), initial=0.0)) or 1.0
        gap = float(np.max(np.abs(shown - expected), initial=0.0)) / scale
        errors[name] = gap if np.isfinite(gap) else np.inf

    for step, layer in zip(network.steps, layers):
        number = layer.symbols
        W, b = layer.W.astype(np.float64), layer.b
        z = W @ layer.input.astype(np.float64) + (0.0 if b is None else b)
        note(number["z"], layer.z, z)
        tied = [k for k in layers if k.weight_name == layer.weight_name]
        delta = [k.delta.astype(np.float64) for k in tied]
        outer = [d @ k.input.T for d, k in zip(delta, tied)]
        size = [abs(d) @ abs(k.input.T) for d, k in zip(delta, tied)]
        note(number["dW"], layer.dW, np.sum(outer, axis=0), np.sum(size, axis=0))
        if layer.db is not None:
            rows = [d.sum(1, keepdims=True) for d in delta]
            size = [abs(d).sum(1, keepdims=True) for d in delta]
            note(number["db"], layer.db, np.sum(rows, axis=0), np.sum(size, axis=0))
        segment = _Segment(network, step, layers)
        for name, shown, value in segment.outputs():
            note(name, shown, value)
        found = segment.errors()
        errors[number["delta"]] = found[0] if np.isfinite(found[0]) else np.inf
        kinks += found[1]
    single = any(layer.z.dtype == np.float32 for layer in layers)
    return Check(errors, 1e-4 if single else 1e-6, kinks)


class _Segment:
    """The part of the graph from z⁽ˡ⁾ to what reads it next: later layers, or ℒ."""

    def __init__(
        self, network: Network, step: LayerValues, layers: Sequence[LayerExplanation]
    ) -> None:
        self.network, self.step, self.layers = network, step, layers
        self.here = network.steps.index(step)
        zs = [s.z for s in network.steps]
        self.leaves = list(dict.fromkeys([*zs, *network.graph.inputs]))
        self.next = [
            i
            for i, s in enumerate(network.steps)
            if i > self.here and self._reads(s.input)
        ]
        targets = [network.steps[i].input for i in self.next]
        self.to_loss = self._reads(network.loss)
        self.last = self.here == len(layers) - 1 and self._reads(network.prediction)
        targets += [network.loss] if self.to_loss else []
        targets += [network.prediction] if self.last else []
        self.graph = in_float64(Graph("segment", self.leaves, targets))
        held = {s.z: layer.z for s, layer in zip(network.steps, layers)}
        self.feeds = [
            _rows(held[v], network.arrays[v]) if v in held else network.arrays[v]
            for v in self.leaves
        ]
        self.at = self.leaves.index(step.z)
        self.z = self.feeds[self.at] = self.feeds[self.at].astype(np.float64)

    def _reads(self, value: Value) -> bool:
        z = self.step.z
        found = ancestors([value], stop=self.leaves)
        return value is z or any(z in node.inputs for node in found)

    def run(self, z: Array) -> list[Array]:
        """The inputs of the next layers (and ℒ) when z has other numbers."""
        feeds = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in self.feeds]
        feeds[self.at] = z
        with np.errstate(all="ignore"):
            return list(evaluate(self.graph, feeds, {"N": self.network.n}))

    def outputs(self) -> list[tuple[str, Array, Array]]:
        """What f(z) is, beside what is shown."""
        made = self.run(self.z)
        found = [
            (self.layers[i - 1].symbols["a"], self.layers[i].input, _paper(a))
            for i, a in zip(self.next, made)
        ]
        if self.last:
            layer = self.layers[self.here]
            found.append((layer.symbols["a"], layer.a, _paper(made[-1])))
        return found

    def errors(self) -> tuple[float, int]:
        """The largest relative error of δ, and how many elements are at a kink."""
        shown = _rows(self.layers[self.here].delta, self.z).astype(np.float64)
        # What arrives at each reader: (W⁽ᵏ⁾)ᵀ δ⁽ᵏ⁾.
        arriving = [
            (self.layers[i].W.T.astype(np.float64) @ self.layers[i].delta).T
            for i in self.next
        ]

        def pulled(z: Array) -> float:
            made = self.run(z)
            total = sum(
                float(np.sum(v * a.reshape(v.shape))) for v, a in zip(arriving, made)
            )
            return total + (float(made[len(self.next)]) if self.to_loss else 0.0)

        scale = float(np.max(np.abs(shown), initial=0.0)) or 1.0
        targets = [self.graph.outputs[k] for k in range(len(self.next))]
        z = self.graph.inputs[self.at]
        if not self.to_loss and all(is_elementwise(self.graph, z, t) for t in targets):
            return self._elementwise(shown, arriving, scale)
        return self._directions(shown, pulled, scale)

    def _elementwise(
        self, shown: Array, arriving: list[Array], scale: float
    ) -> tuple[float, int]:
        step = STEP * np.maximum(1.0, np.abs(self.z))
        up, here, down = (self.run(self.z + k * step) for k in (1, 0, -1))
        expected, smooth = np.zeros_like(self.z), np.ones(self.z.shape, bool)
        for v, u, h, d in zip(arriving, up, here, down):
            u, h, d, v = (a.reshape(self.z.shape) for a in (u, h, d, v))
            expected += v * (u - d) / (2 * step)
            smooth &= np.abs((u - h) - (h - d)) <= 1e-2 * step
        gaps = np.abs(shown - expected)[smooth]
        return float(np.max(gaps, initial=0.0)) / scale, int(np.sum(~smooth))

    def _directions(
        self, shown: Array, pulled: Callable[[Array], float], scale: float
    ) -> tuple[float, int]:
        size, shape = self.z.size, self.z.shape
        if size <= ONE_BY_ONE:
            directions = np.eye(size)
        else:
            rng = np.random.default_rng(0)
            directions = rng.choice([-1.0, 1.0], (DIRECTIONS, size))
        here, worst, kinks = pulled(self.z), 0.0, 0
        for d in directions:
            move = STEP * d.reshape(shape)
            up, down = pulled(self.z + move), pulled(self.z - move)
            bend = abs((up - here) - (here - down))
            if bend > 1e-2 * STEP * max(scale, abs(up - down) / STEP):
                kinks += 1
                continue
            expected = (up - down) / (2 * STEP)
            gap = abs(float(np.sum(shown * d.reshape(shape))) - expected)
            worst = max(worst, gap / max(scale, abs(expected)))
        return worst, kinks


def _rows(paper: Array, like: Array) -> Array:
    """Columns of samples as they lie in memory: rows, in the shape of ``like``."""
    return paper.T.reshape(like.shape)


def _paper(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1]).T


def in_float64(graph: Graph) -> Graph:
    """The same computation in float64."""

    def wide(dtype: DType) -> DType:
        return DType.float64 if dtype.is_float else dtype

    inputs = [Value(None, v.shape, wide(v.dtype), name=v.name) for v in graph.inputs]
    known = dict(zip(graph.inputs, inputs))
    with tracing():
        for node in graph.nodes:
            attrs = {
                k: wide(a) if isinstance(a, DType) else a for k, a in node.attrs.items()
            }
            made = record(node.primitive, tuple(known[v] for v in node.inputs), attrs)
            known.update((v, m) for v, m in zip(node.outputs, made) if v is not None)
    return Graph(graph.name, inputs, [known[v] for v in graph.outputs])


def is_elementwise(graph: Graph, source: Value, result: Value) -> bool:
    """Whether element i of ``result`` depends on element i of ``source`` alone."""
    moved = {source}
    for node in graph.nodes:
        touched = [i for i, v in enumerate(node.inputs) if v in moved]
        if not touched:
            continue
        view = node.primitive is movement.reshape  # in row-major order, as it was
        if view or node.primitive.elementwise or _opened(node, touched):
            moved.update(v for v in node.outputs if v is not None)
        elif result in node.outputs or _leads(graph, node, result):
            return False
    return result in moved


def _opened(node: Node, touched: list[int]) -> bool:
    """Whether a region's body is elementwise in these inputs."""
    if node.primitive not in BODIES:
        return False
    body = BODIES[node.primitive]([v.type for v in node.inputs], node.attrs)
    pairs = [(body.inputs[i], out) for i in touched for out in body.outputs]
    return all(is_elementwise(body, source, out) for source, out in pairs)


def _leads(graph: Graph, node: Node, result: Value) -> bool:
    return node in ancestors([result], stop=graph.inputs)
