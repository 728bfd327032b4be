"""From a traced step to layers with formulas: values get names, formulas follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from chainrule.explanation.checking import is_elementwise
from chainrule.explanation.explanation import Explanation
from chainrule.explanation.formulas import (
    COUNT,
    LABEL,
    ONE_HOT,
    TOO_LONG,
    VIEWS,
    Formulas,
    behind_views,
    on_paper,
)
from chainrule.explanation.layers import Equation, LayerExplanation
from chainrule.explanation.naming import LOSS, PREDICTION, Names, X, symbol, views
from chainrule.explanation.network import LayerValues, Network, kernels
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.node import Node, Value
from chainrule.notation.expressions import (
    Array,
    Atom,
    Call,
    Expr,
    Number,
    Prefix,
    Product,
    Quotient,
    Script,
)
from chainrule.notation.functions import symbol as letter_of
from chainrule.notation.tidy import tidy, without
from chainrule.primitives import elementwise
from chainrule.primitives.rules import show
from chainrule.regions import activations, losses, normalization

GRADIENT = Atom(r"\nabla_{\hat{y}} \mathcal{L}", "∇_ŷ ℒ")
JACOBIAN = Atom("J").T
GRAPH_REMARK = "read off the graph"
BIAS_REMARK = "added to Algorithm 1"
BY_SCORES_REMARK = "from the scores, where nothing underflows"
SOFTMAX_NOTE = (
    "softmax mixes the scores of a sample, so δ is Jᵀ ∇_ŷ ℒ and not ∇_ŷ ℒ ⊙ f′. For one"
    " sample J = diag(ŷ) − ŷ ŷᵀ and ∇_ŷ ℒ = −y/ŷ, and Jᵀ ∇_ŷ ℒ comes to ŷ − y."
)
NORMALISED_NOTE = (
    "{kind} normalisation mixes {what}, so the error comes back through a matrix and"
    " not through a slope. With x̂ for the numbers before γ and β act on them, J_x̂ᵀ g is"
    " (g − mean g − x̂ ⊙ mean(g ⊙ x̂))/√(σ² + ε), where the means are over {what}."
)
BIAS_IN_VAIN = (
    "The mean that batch normalisation subtracts takes b along: ∂ℒ/∂b is 0 but for"
    " rounding, and nn.Linear(…, bias=False) does as well."
)
DROPOUT_NOTE = (
    "The model is in training mode: m are the elements that dropout kept this time."
    " model.eval() explains the network as it predicts."
)


def slope_of(value: Expr) -> Expr:
    """∂ℒ/∂value."""
    d = letter_of("∂")
    return Quotient(Prefix(d, LOSS, "tight"), Prefix(d, value, "tight"), bar=True)


def derive(network: Network) -> Explanation:
    """The explanation of a network that was run."""
    return _Derivation(network).explanation()


class _Derivation:
    """One explanation in the making."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.steps = network.steps
        self.depth = len(self.steps)
        self.named = Names(network)
        self.names = self.named.of
        integer = network.y.dtype.is_integer and len(network.y.shape) == 1
        self.write = Formulas(
            self.names,
            network.scalars,
            labels=network.y if integer else None,
            n=network.n,
            distributions=self.named.distributions,
        )

    # -- numbers ---------------------------------------------------------------------

    def paper(self, value: Value | None, like: Value) -> Array:
        """The numbers of ``value`` on paper; zeros where ℒ does not depend on it."""
        if value is None:
            array = np.zeros_like(self.network.arrays[like])
            return on_paper(array, like)
        return on_paper(self.network.arrays[value], value)

    def _numbers(self) -> dict[Expr, Array]:
        found: dict[Expr, Array] = {COUNT: np.asarray(self.network.n)}
        if self.named.inputs[0] == X:
            found[X] = self.paper(self.steps[0].input, self.steps[0].input)
        for value, name in self.names.items():
            base = behind_views(value) if name in (X, LABEL) else value
            if base in self.network.arrays and name not in found:
                found[name] = on_paper(self.network.arrays[base], base)
        for node in self.network.graph.nodes:
            out = node.outputs[0]
            if out is None or node.primitive is not elementwise.equal:
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
            numbers[symbol("δ", k)] = layer.delta
            numbers[slope_of(symbol("W", k))] = layer.dW
            if layer.db is not None:
                numbers[slope_of(symbol("b", k))] = layer.db
            shown = self._activations(k, step)
            if k in self.named.normalised:
                z_hat = self.named.normalised[k]
                shown.append((self.names[z_hat], z_hat))
            for name, value in shown:
                if value in self.named.passed:
                    continue
                arrived = self.paper(network.cotangents.get(value), value)
                numbers[slope_of(name)] = arrived
                if name == PREDICTION:
                    numbers[GRADIENT] = arrived
        remark = BY_SCORES_REMARK if self.named.passed else ""
        equations = {"loss": Equation((LOSS, self._formula(network.loss)), remark)}
        first = self.steps[0].input
        if self.named.inputs[0] != X:
            name = self.named.inputs[0]
            equations["input"] = Equation((name, self._formula(behind_views(first))))
        predicted = self.named.scores[0] if self.named.scores else network.prediction
        return Explanation(
            layers=layers,
            loss=float(network.arrays[network.loss]),
            predictions=self.paper(predicted, predicted),
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

    def _activations(self, k: int, step: LayerValues) -> list[tuple[Expr, Value]]:
        """a⁽ˡ⁾ and its views in the graph, each with the name that it has."""
        value = self.named.output(k)
        return [(self.names[v], v) for v in views(value) if v is not step.z]

    def _layer(self, k: int, step: LayerValues) -> LayerExplanation:
        network, grads = self.network, self.network.cotangents
        W, b, output = step.weight, step.bias, self.named.output(k)
        weight_name = network.parameters[W]
        equations, notes = dict(self._forward(k, step)), []
        equations.update(self._backward(k, step))
        if k == self.depth and self._ends_in_softmax():
            notes.append(SOFTMAX_NOTE)
        notes += self._remarks(k, step)
        symbols = {part: symbol(part, k) for part in ("W", "b", "z")}
        symbols |= {"a": self._a(k), "delta": symbol("δ", k)}
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

    def _remarks(self, k: int, step: LayerValues) -> Iterator[str]:
        """What a reader should know of the layer's other modules."""
        if k in self.named.norms:
            norm = self.named.norms[k]
            batch = norm.primitive is normalization.batch_norm
            kind = ("Batch", "the samples") if batch else ("Layer", "the features")
            yield NORMALISED_NOTE.format(kind=kind[0], what=kind[1])
            if batch and step.bias and behind_views(norm.inputs[0]) is step.z:
                yield BIAS_IN_VAIN
        if k in self.named.dropped:
            yield DROPOUT_NOTE

    def _ends_in_softmax(self) -> bool:
        """Whether ŷ is a softmax whose derivative is one with that of the loss."""
        ends = (*self.named.scores, *self.named.passed)
        return any(v.node and v.node.primitive is activations.softmax for v in ends)

    def _read(self, k: int, step: LayerValues) -> dict[Value, Expr]:
        """What layer l reads is a⁽ˡ⁻¹⁾, also where that is z⁽ˡ⁻¹⁾ itself."""
        plain = k > 1 and behind_views(step.input) is self.steps[k - 2].z
        return {v: symbol("a", k - 1) for v in views(step.input)} if plain else {}

    def _a(self, k: int) -> Expr:
        """How a⁽ˡ⁾ is written: ŷ at the end, z⁽ˡ⁾ where nothing acts on it."""
        name = self.names[self.named.output(k)]
        return symbol("a", k) if name == symbol("z", k) else name

    def _forward(self, k: int, step: LayerValues) -> Iterator[tuple[str, Equation]]:
        z, output = symbol("z", k), self.named.output(k)
        yield "z", Equation((z, self._formula(step.z, self._read(k, step))))
        a = symbol("a", k)
        if k in self.named.normalised:
            z_hat = self.named.normalised[k]
            name = self.names[z_hat]
            yield "normalised", Equation((name, self._formula(z_hat, {step.z: z})))
        if behind_views(output) is step.z:
            f, remark = z, "no activation here"
        else:
            f, remark = self._formula(behind_views(output), {step.z: z}), ""
            f = Call(symbol("f", k), (z,)) if _dots(f) else f
        if k < self.depth:
            yield "a", Equation((a, f), remark)
        elif self.named.scores:
            yield "a", Equation((a, z), "the network ends in scores")
            softmax = self._formula(self.named.scores[0])
            remark = "softmax is part of the loss"
            yield "prediction", Equation((PREDICTION, softmax), remark)
        else:
            yield "a", Equation((PREDICTION, a, f), remark)

    def _backward(self, k: int, step: LayerValues) -> Iterator[tuple[str, Equation]]:
        grads = self.network.cotangents
        delta = symbol("δ", k)
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

    def _delta(
        self, k: int, step: LayerValues, g: Value
    ) -> Iterator[tuple[str, Equation]]:
        grads, delta = self.network.cotangents, symbol("δ", k)
        if self.named.scores and k == self.depth:
            yield "recursion", _chain(delta, GRADIENT)
            yield "delta", Equation((delta, self._formula(g)), GRAPH_REMARK)
            return
        if k not in self.named.normalised:
            yield from self._through(k, step.z, g, delta)
            return
        z_hat = self.named.normalised[k]
        arrived = slope_of(self.names[z_hat])
        carried = {}
        if z_hat in grads:
            carried = {grads[z_hat]: arrived}
            renamed = {"recursion": "normalised_recursion"}
            renamed |= {"delta": "normalised_gradient"}
            for part, each in self._through(k, z_hat, grads[z_hat], arrived):
                yield renamed.get(part, part), each
        yield "recursion", _chain(delta, arrived)
        yield "delta", Equation((delta, self._formula(g, carried)), GRAPH_REMARK)

    def _through(
        self, k: int, value: Value, g: Value, name: Expr
    ) -> Iterator[tuple[str, Equation]]:
        """How the error gets from a⁽ˡ⁾ to ``value``, z⁽ˡ⁾ or ẑ⁽ˡ⁾, through f."""
        grads, output = self.network.cotangents, self.named.output(k)
        last, base = k == self.depth, behind_views(output)
        if last and self.named.passed:
            yield "recursion", self._recursion(k, value, name, GRADIENT)
            yield "delta", Equation((name, self._formula(g)), GRAPH_REMARK)
            return
        if base is value or base not in grads:
            sides = (GRADIENT,) if last and base is value else ()
            yield "delta", Equation((name, *sides, self._formula(g)))
            return
        a = self.names[base]
        arriving = GRADIENT if last else slope_of(a)
        carried = {grads[v]: arriving for v in views(output) if v in grads}
        by_chain = self._formula(g, carried)
        comes = self._formula(grads[base])
        slope = without(by_chain, arriving)
        slope = by_chain if by_chain == Number(0) else slope
        if last or slope is None:
            yield "gradient", Equation((arriving, comes))
        if slope is not None:
            yield "slope", Equation((_slope(self.names[value]), slope))
        shown = GRADIENT if last else comes
        yield "recursion", self._recursion(k, value, name, shown, slope is not None)
        whole = by_chain if slope is None else tidy(Product("odot", (comes, slope)))
        yield "delta", Equation((name, whole), GRAPH_REMARK)

    def _recursion(
        self, k: int, value: Value, name: Expr, arriving: Expr, has_slope: bool = False
    ) -> Equation:
        """The error as the book writes it: ∇ ⊙ f′, or Jᵀ∇ where f mixes elements."""
        base = behind_views(self.named.output(k))
        graph = Graph("f", self.network.graph.inputs, [base])
        if not has_slope and not is_elementwise(graph, value, base):
            return _chain(name, arriving)
        book = "the book's Algorithm 1" if k == self.depth else "the book's 3.4.2"
        product = Product("odot", (arriving, _slope(self.names[value])))
        return Equation((name, tidy(product)), book)

    def _path(self, k: int, step: LayerValues) -> str:
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
                if node.primitive not in VIEWS:
                    nodes.append(node)
        if not nodes:
            return ""
        sources = {v for node in nodes for v in node.inputs if v in above}
        origin = ", ".join(dict.fromkeys(self.names[v].text() for v in sources))
        steps = " → ".join(map(self._label, nodes))
        return " → ".join([origin, steps, symbol("δ", k).text()])

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
        if found := kernels(self.network):
            yield (
                f"Convolutions (∗, with {', '.join(found)}) are no layers W a + b:"
                " they are part of the formulas, and have no number and no δ of their"
                " own. In a derivative the kernel slides turned round."
            )
        if turned := [name for name, back in found.items() if back]:
            yield (
                f"In transposed convolutions ({', '.join(turned)}) it does so at once,"
                " over an input with zeros between its elements."
            )
        for node in self.network.graph.nodes:
            if node.primitive is losses.cross_entropy:
                scores = behind_views(node.inputs[0]).node
                if scores is not None and scores.primitive is activations.softmax:
                    yield (
                        "This is a mistake: a Softmax stands in front of a"
                        " cross-entropy that applies softmax itself. Remove the"
                        " Softmax layer from the model; the loss takes scores."
                    )


def _chain(delta: Expr, gradient: Expr) -> Equation:
    """δ = Jᵀ ∇ℒ: the chain rule where f is not elementwise."""
    return Equation((delta, Product("dot", (JACOBIAN, gradient))), "chain rule")


def _slope(z: Expr) -> Expr:
    """f′(z)."""
    return Call(Script(Atom("f"), above=Atom(r"\prime", "′")), (z,))


def _dots(e: Expr) -> bool:
    return TOO_LONG.text() in e.text()
