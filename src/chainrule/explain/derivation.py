"""From a traced step to layers with formulas: values get names, formulas follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from chainrule.explain.explanation import Equation, Explanation, LayerExplanation
from chainrule.explain.formulas import (
    COUNT,
    LABEL,
    ONE_HOT,
    TOO_LONG,
    VIEWS,
    Formulas,
    behind_views,
    on_paper,
)
from chainrule.explain.network import Network, Step
from chainrule.explain.notation import (
    Array,
    Atom,
    Call,
    Expr,
    Number,
    Product,
    Script,
)
from chainrule.explain.reading import read
from chainrule.explain.tidy import TRANSPOSED, tidy, without
from chainrule.graph.graph import ancestors
from chainrule.graph.node import Node, Value
from chainrule.primitives.rules import show

X, LOSS = read("x"), read(r"\mathcal{L}")
PREDICTION = read(r"\hat{y}")
GRADIENT = Atom(r"\nabla_{\hat{y}} \mathcal{L}", "∇_ŷ ℒ")
JACOBIAN = Script(Atom("J"), above=TRANSPOSED)
GRAPH_REMARK = "read off the graph"
BIAS_REMARK = "added to Algorithm 1"
SOFTMAX_NOTE = (
    "softmax mixes the scores of a sample, so δ is Jᵀ ∇_ŷ ℒ and not ∇_ŷ ℒ ⊙ f′. For one"
    " sample J = diag(ŷ) − ŷ ŷᵀ and ∇_ŷ ℒ = −y/ŷ, and Jᵀ ∇_ŷ ℒ comes to ŷ − y."
)


def symbol(letter: str, k: int) -> Expr:
    """A letter with the number of its layer: W⁽²⁾."""
    return read(f"{letter}^{{({k})}}")


def slope_of(value: Expr) -> Expr:
    """∂ℒ/∂value."""
    return read(rf"\frac{{\partial \mathcal{{L}}}}{{\partial {value.latex()}}}")


def derive(network: Network) -> Explanation:
    """The explanation of a network that was run."""
    return _Derivation(network).explanation()


def _views(value: Value) -> Iterator[Value]:
    """``value`` and what it is a view of, down to the value that holds the numbers."""
    yield value
    while value.node is not None and value.node.primitive.name in VIEWS:
        value = value.node.inputs[0]
        yield value


class _Derivation:
    """One explanation in the making."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.steps = network.steps
        self.depth = len(self.steps)
        self.last = self.steps[-1].z
        self.names: dict[Value, Expr] = {}
        self.inputs: list[Expr] = []
        self.scores = self._probabilities()
        self._name_values()
        integer = network.y.dtype.is_integer and len(network.y.shape) == 1
        labels = network.y if integer else None
        self.write = Formulas(self.names, network.scalars, labels, network.n)

    # -- names -----------------------------------------------------------------------

    def _probabilities(self) -> list[Value]:
        """softmax(z⁽ᴸ⁾) where it belongs to the loss and not to the network."""
        if behind_views(self.network.prediction) is not self.last:
            return []
        return [
            v
            for node in self.network.graph.nodes
            if node.primitive.name == "softmax"
            and behind_views(node.inputs[0]) is self.last
            for v in node.outputs
            if v is not None
        ]

    def _name(self, value: Value, name: Expr) -> Expr:
        """Name a value and its views; one that has a name keeps it."""
        chain = list(_views(value))
        name = next((self.names[v] for v in chain if v in self.names), name)
        for v in chain:
            self.names.setdefault(v, name)
        return name

    def _name_values(self) -> None:
        network = self.network
        self.names |= {network.x: X, network.y: LABEL, network.loss: LOSS}
        for k, step in enumerate(self.steps, 1):
            self._name(step.weight, symbol("W", k))
            if step.bias is not None:
                self._name(step.bias, symbol("b", k))
        output = behind_views(network.prediction)
        if output is not self.last or not self.scores:
            self.names[output] = PREDICTION
        for v in self.scores:
            self.names[v] = PREDICTION
        for k, step in enumerate(self.steps, 1):
            self.names.setdefault(step.z, symbol("z", k))
        for k, step in enumerate(self.steps):
            self.inputs.append(self._name(step.input, symbol("a", k)))
        self._name(network.prediction, PREDICTION)
        for k, step in enumerate(self.steps, 1):
            g = network.cotangents.get(step.z)
            if g is not None:
                self.names.setdefault(g, symbol(r"\delta", k))

    # -- numbers ---------------------------------------------------------------------

    def paper(self, value: Value | None, like: Value) -> Array:
        """The numbers of ``value`` on paper; zeros where ℒ does not depend on it."""
        if value is None:
            array = np.zeros_like(self.network.arrays[like])
            return on_paper(array, like)
        return on_paper(self.network.arrays[value], value)

    def _numbers(self) -> dict[Expr, Array]:
        found: dict[Expr, Array] = {COUNT: np.asarray(self.network.n)}
        if self.inputs[0] == X:
            found[X] = self.paper(self.steps[0].input, self.steps[0].input)
        for value, name in self.names.items():
            base = behind_views(value) if name in (X, LABEL) else value
            if base in self.network.arrays and name not in found:
                found[name] = on_paper(self.network.arrays[base], base)
        for node in self.network.graph.nodes:
            out = node.outputs[0]
            if out is None or node.primitive.name != "equal":
                continue
            if self.write.of(out) == ONE_HOT:
                found[ONE_HOT] = self.paper(out, out).astype(np.int64)
        return found

    # -- formulas --------------------------------------------------------------------

    def explanation(self) -> Explanation:
        network, numbers = self.network, self._numbers()
        layers = tuple(self._layer(k, step) for k, step in enumerate(self.steps, 1))
        for layer, step in zip(layers, self.steps):
            k = layer.l
            numbers[symbol("z", k)] = layer.z
            numbers[symbol("a", k)] = layer.a
            numbers[symbol(r"\delta", k)] = layer.delta
            numbers[slope_of(symbol("W", k))] = layer.dW
            if layer.db is not None:
                numbers[slope_of(symbol("b", k))] = layer.db
            for name, value in self._activations(k, step):
                arrived = self.paper(network.cotangents.get(value), value)
                numbers[slope_of(name)] = arrived
                if name == PREDICTION:
                    numbers[GRADIENT] = arrived
        equations = {"loss": Equation((LOSS, self._formula(network.loss)))}
        first = self.steps[0].input
        if self.inputs[0] != X:
            name = self.inputs[0]
            equations["input"] = Equation((name, self._formula(behind_views(first))))
        shown = self.scores[0] if self.scores else network.prediction
        return Explanation(
            layers=layers,
            loss=float(network.arrays[network.loss]),
            predictions=self.paper(shown, shown),
            x=numbers[X],
            y=numbers[LABEL],
            n=network.n,
            equations=equations,
            notes=tuple(self._notes()),
            numbers=numbers,
            network=network,
        )

    def _formula(self, value: Value, also: Mapping[Value, Expr] | None = None) -> Expr:
        return self.write.of(value, also)

    def _activations(self, k: int, step: Step) -> list[tuple[Expr, Value]]:
        """a⁽ˡ⁾ and its views in the graph, each with the name that it has."""
        value = self._output(k)
        return [(self.names[v], v) for v in _views(value) if v is not step.z]

    def _output(self, k: int) -> Value:
        """a⁽ˡ⁾: what the next layer reads, or the prediction."""
        return self.network.prediction if k == self.depth else self.steps[k].input

    def _layer(self, k: int, step: Step) -> LayerExplanation:
        network, grads = self.network, self.network.cotangents
        W, b, output = step.weight, step.bias, self._output(k)
        weight_name = network.parameters[W]
        equations, notes = dict(self._forward(k, step)), []
        equations.update(self._backward(k, step))
        if k == self.depth and self.scores:
            notes.append(SOFTMAX_NOTE)
        symbols = {part: symbol(part, k) for part in ("W", "b", "z")}
        symbols |= {"a": self._a(k), "delta": symbol(r"\delta", k)}
        symbols |= {f"d{part}": slope_of(symbol(part, k)) for part in ("W", "b")}
        return LayerExplanation(
            l=k,
            name=weight_name.rpartition(".")[0],
            weight_name=weight_name,
            bias_name=None if b is None else network.parameters[b],
            W=network.arrays[W],
            b=None if b is None else self.paper(b, b),
            input=self.paper(step.input, step.input),
            z=self.paper(step.z, step.z),
            a=self.paper(output, output),
            delta=self.paper(grads.get(step.z), step.z),
            dW=self.paper(grads.get(W), W),
            db=None if b is None else self.paper(grads.get(b), b),
            equations=equations,
            path=self._path(k, step),
            notes=tuple(notes),
            symbols={part: s.text() for part, s in symbols.items()},
        )

    def _read(self, k: int, step: Step) -> dict[Value, Expr]:
        """What layer l reads is a⁽ˡ⁻¹⁾, also where that is z⁽ˡ⁻¹⁾ itself."""
        plain = k > 1 and behind_views(step.input) is self.steps[k - 2].z
        return {v: symbol("a", k - 1) for v in _views(step.input)} if plain else {}

    def _a(self, k: int) -> Expr:
        """How a⁽ˡ⁾ is written: ŷ at the end, z⁽ˡ⁾ where nothing acts on it."""
        name = self.names[self._output(k)]
        return symbol("a", k) if name == symbol("z", k) else name

    def _forward(self, k: int, step: Step) -> Iterator[tuple[str, Equation]]:
        z, output = symbol("z", k), self._output(k)
        yield "z", Equation((z, self._formula(step.z, self._read(k, step))))
        a = symbol("a", k)
        if behind_views(output) is step.z:
            f, remark = z, "no activation here"
        else:
            f, remark = self._formula(behind_views(output), {step.z: z}), ""
            f = Call(symbol("f", k), (z,)) if _dots(f) else f
        if k < self.depth:
            yield "a", Equation((a, f), remark)
        elif self.scores:
            yield "a", Equation((a, z), "the network ends in scores")
            softmax = self._formula(self.scores[0])
            remark = "softmax is part of the loss"
            yield "prediction", Equation((PREDICTION, softmax), remark)
        else:
            yield "a", Equation((PREDICTION, a, f), remark)

    def _backward(self, k: int, step: Step) -> Iterator[tuple[str, Equation]]:
        grads = self.network.cotangents
        delta = symbol(r"\delta", k)
        g = grads.get(step.z)
        if g is None:
            remark = "ℒ does not depend on this layer"
            yield "delta", Equation((delta, Number(0)), remark)
        else:
            yield from self._delta(k, step, g)
        dW, db = slope_of(symbol("W", k)), slope_of(symbol("b", k))
        if step.weight in grads:
            outer = self._formula(grads[step.weight], self._read(k, step))
            yield "dW", Equation((dW, outer))
        else:
            yield "dW", Equation((dW, Number(0)))
        if step.bias is not None:
            known = step.bias in grads
            side = self._formula(grads[step.bias]) if known else Number(0)
            yield "db", Equation((db, side), BIAS_REMARK)

    def _delta(self, k: int, step: Step, g: Value) -> Iterator[tuple[str, Equation]]:
        grads, delta, z = self.network.cotangents, symbol(r"\delta", k), symbol("z", k)
        last, output = k == self.depth, self._output(k)
        if self.scores and last:
            yield "recursion", _chain(delta, GRADIENT)
            yield "delta", Equation((delta, self._formula(g)), GRAPH_REMARK)
            return
        base = behind_views(output)
        if base is step.z or base not in grads:
            sides = (GRADIENT,) if last and base is step.z else ()
            yield "delta", Equation((delta, *sides, self._formula(g)))
            return
        a = self.names[base]
        arriving = GRADIENT if last else slope_of(a)
        carried = {grads[v]: arriving for v in _views(output) if v in grads}
        by_chain = self._formula(g, carried)
        comes = self._formula(grads[base])
        slope = without(by_chain, arriving)
        shown = GRADIENT if last else comes
        if slope is None:
            yield "gradient", Equation((arriving, comes))
            yield "recursion", _chain(delta, shown)
            yield "delta", Equation((delta, by_chain), GRAPH_REMARK)
            return
        if last:
            yield "gradient", Equation((arriving, comes))
        f = Call(Script(Atom("f"), above=Atom(r"\prime", "′")), (z,))
        yield "slope", Equation((f, slope))
        book = "the book's Algorithm 1" if last else "the book's 3.4.2"
        yield "recursion", Equation((delta, tidy(Product("odot", (shown, f)))), book)
        whole = tidy(Product("odot", (comes, slope)))
        yield "delta", Equation((delta, whole), GRAPH_REMARK)

    def _path(self, k: int, step: Step) -> str:
        """Through which backward nodes the error came to δ⁽ˡ⁾."""
        grads = self.network.cotangents
        g = grads.get(step.z)
        if g is None or k == self.depth:
            return ""
        above = [grads[s.z] for s in self.steps[k:] if s.z in grads]
        reached, nodes = set(above), []
        for node in ancestors([g], stop=above):
            if any(v in reached for v in node.inputs):
                reached.update(v for v in node.outputs if v is not None)
                if node.primitive.name not in VIEWS:
                    nodes.append(node)
        sources = {v for node in nodes for v in node.inputs if v in above}
        origin = ", ".join(dict.fromkeys(self.names[v].text() for v in sources))
        steps = " → ".join(map(self._label, nodes))
        return " → ".join([origin, steps, symbol(r"\delta", k).text()])

    def _label(self, node: Node) -> str:
        parameters = self.network.parameters
        used = [parameters[v] for v in node.inputs if v in parameters]
        where = f" (module {node.scope})" if node.scope else ""
        return node.primitive.name + (f" ({used[0]})" if used else where)

    def _notes(self) -> Iterator[str]:
        y, p = self.network.y, self.network.prediction
        if y.dtype.is_float and y.shape != p.shape and self.network.n > 1:
            shapes = [show(self.network.arrays[v].shape) for v in (p, y)]
            yield (
                f"Careful: the prediction has shape {shapes[0]} and y {shapes[1]}. The"
                " loss broadcasts one against the other; y.reshape(-1, 1) may be meant."
            )
        for node in self.network.graph.nodes:
            if node.primitive.name == "cross_entropy":
                scores = behind_views(node.inputs[0]).node
                if scores is not None and scores.primitive.name == "softmax":
                    yield (
                        "This is a mistake: a Softmax stands in front of a"
                        " cross-entropy that applies softmax itself. Remove the"
                        " Softmax layer from the model; the loss takes scores."
                    )


def _chain(delta: Expr, gradient: Expr) -> Equation:
    """δ = Jᵀ ∇ℒ: the chain rule where f is not elementwise."""
    return Equation((delta, Product("dot", (JACOBIAN, gradient))), "chain rule")


def _dots(e: Expr) -> bool:
    return TOO_LONG.text() in e.text()
