"""Which value has which name on paper: z⁽ˡ⁾, a⁽ˡ⁾, δ⁽ˡ⁾, ŷ, and what a layer adds.

A value is named by what it does in the graph, so formulas that are read off the graph
end where the book's would: at a⁽ˡ⁻¹⁾ and not at the input.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.explanation.formulas import LABEL, VIEWS, behind_views
from chainrule.explanation.network import Network
from chainrule.graph.node import Node, Value
from chainrule.notation.expressions import Atom, Expr, Script
from chainrule.notation.functions import symbol as letter_of
from chainrule.primitives import elementwise, random
from chainrule.regions import activations, normalization

X, LOSS = letter_of("x"), letter_of("ℒ")
PREDICTION = letter_of("ŷ")
NORMALISATIONS = (normalization.batch_norm, normalization.layer_norm)


def symbol(letter: str, k: int) -> Expr:
    """A letter with the number of its layer: W⁽²⁾."""
    return Script(letter_of(letter), above=Atom(f"({k})"))


def views(value: Value) -> Iterator[Value]:
    """``value`` and what it is a view of, down to the value that holds the numbers."""
    yield value
    while value.node is not None and value.node.primitive in VIEWS:
        value = value.node.inputs[0]
        yield value


class Names:
    """The names of a network's values, and what was found on the way to them.

    Attributes:
        of: the name of each value that has one.
        inputs: the name of what each layer reads.
        scores: softmax(z⁽ᴸ⁾) where it belongs to the loss and not to the network.
        norms: the first normalisation of a layer, by l.
        normalised: ẑ⁽ˡ⁾ where a normalisation acts on z⁽ˡ⁾, by l.
        dropped: the layers that dropout acts on.
        passed: ŷ, wherever it is computed, if the loss passes it by: it is computed
            from what the last activation acts on, and so is its derivative.
        distributions: y, and what the loss makes of y alone, where it is a row for
            each sample and each row sums to 1.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.steps = network, network.steps
        self.last = self.steps[-1].z
        self.of: dict[Value, Expr] = {}
        self.inputs: list[Expr] = []
        self.norms: dict[int, Node] = {}
        self.normalised: dict[int, Value] = {}
        self.dropped: set[int] = set()
        self.scores = self._probabilities()
        self._name_values()
        self._name_parts()
        self.passed = self._passed_by()
        self.of.update(dict.fromkeys(self.passed, PREDICTION))
        self._name_errors()
        self.distributions = self._rows_of_sum_1()

    def output(self, k: int) -> Value:
        """a⁽ˡ⁾: what the next layer reads, or the prediction."""
        last = k == len(self.steps)
        return self.network.prediction if last else self.steps[k].input

    def _probabilities(self) -> list[Value]:
        """softmax(z⁽ᴸ⁾) where it belongs to the loss and not to the network."""
        if behind_views(self.network.prediction) is not self.last:
            return []
        return [
            v
            for node in self.network.graph.nodes
            if node.primitive is activations.softmax
            and behind_views(node.inputs[0]) is self.last
            for v in node.outputs
            if v is not None
        ]

    def _name(self, value: Value, name: Expr) -> Expr:
        """Name a value and its views; one that has a name keeps it."""
        chain = list(views(value))
        name = next((self.of[v] for v in chain if v in self.of), name)
        for v in chain:
            self.of.setdefault(v, name)
        return name

    def _name_values(self) -> None:
        network = self.network
        self.of |= {network.x: X, network.y: LABEL, network.loss: LOSS}
        for k, step in enumerate(self.steps, 1):
            self._name(step.weight, symbol("W", k))
            if step.bias is not None:
                self._name(step.bias, symbol("b", k))
        output = behind_views(network.prediction)
        if output is not self.last or not self.scores:
            self.of[output] = PREDICTION
        for v in self.scores:
            self.of[v] = PREDICTION
        for k, step in enumerate(self.steps, 1):
            self.of.setdefault(step.z, symbol("z", k))
        for k, step in enumerate(self.steps):
            self.inputs.append(self._name(step.input, symbol("a", k)))
        self._name(network.prediction, PREDICTION)

    def _name_parts(self) -> None:
        """ẑ, γ and β of normalisations and the masks of dropout, by layer."""
        zs = {step.z: k for k, step in enumerate(self.steps, 1)}
        k, used = 0, set(self.of.values())

        def give(value: Value, letter: str) -> bool:
            name = symbol(letter, k)
            if name in used or any(v in self.of for v in views(value)):
                return False
            used.add(self._name(value, name))
            return True

        for node in self.network.graph.nodes:
            (out, *_) = node.outputs
            if out is None or node.role != "forward":
                continue
            k = zs.get(out, k)
            source = behind_views(node.inputs[0]) if node.inputs else out
            if node.primitive in NORMALISATIONS:
                for value, letter in zip(node.inputs[1:], ("γ", "β")):
                    if behind_views(value) in self.network.parameters:
                        give(value, letter)
                self.norms.setdefault(k, node)
                if source in zs and give(out, "ẑ"):
                    self.normalised[k] = out
            made_by = source.node.primitive if source.node else None
            if node.primitive is elementwise.less and made_by is random.random_bits:
                give(out, "m")
                self.dropped.add(k)

    def _passed_by(self) -> list[Value]:
        output = behind_views(self.network.prediction)
        grads, made = self.network.cotangents, output.node
        acted = self.normalised.get(len(self.steps), self.last)
        if made is None or output in grads or acted not in grads:
            return []
        if [behind_views(v) for v in made.inputs] != [acted]:
            return []
        return [  # the derivative rule computes it once more
            v
            for node in self.network.graph.nodes
            if node.primitive is made.primitive
            and node.attrs == made.attrs
            and node.inputs == made.inputs
            for v in node.outputs[output.index : output.index + 1]
            if v is not None
        ]

    def _name_errors(self) -> None:
        for k, step in enumerate(self.steps, 1):
            g = self.network.cotangents.get(step.z)
            if g is not None:
                self.of.setdefault(g, symbol("δ", k))

    def _rows_of_sum_1(self) -> frozenset[Value]:
        network = self.network
        known = {network.y, *network.scalars}
        for node in network.graph.nodes:
            if known.issuperset(node.inputs):
                known.update(v for v in node.outputs if v is not None)
        arrays = {v: network.arrays[v] for v in known if len(v.shape) == 2}
        return frozenset(
            v
            for v, a in arrays.items()
            if np.allclose(a.sum(axis=1), 1, rtol=0, atol=1e-6)
        )
