"""Construction of an explanation from a traced step: equations, by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.composites import activations, losses, normalization
from chainrule.explanation.equations import Equation
from chainrule.explanation.explanation import Explanation
from chainrule.explanation.loops import Loop, is_loop, opened
from chainrule.explanation.naming import (
    GRADIENT,
    NORMALISATIONS,
    PREDICTION,
    Names,
    symbol,
)
from chainrule.explanation.plain import behind_views
from chainrule.explanation.run import Run
from chainrule.explanation.signs import COUNT, LOSS, ONE_HOT, named_atom
from chainrule.explanation.updates import updated
from chainrule.explanation.worked import Section
from chainrule.explanation.writer import is_constant
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.notation.arithmetic import COLUMNS, Quantity, computed
from chainrule.notation.expressions import (
    Atom,
    Call,
    Computed,
    Expr,
    Number,
    Product,
    Script,
    Transposed,
)
from chainrule.notation.tidy import tidy, without
from chainrule.notation.within import holds, weight
from chainrule.primitives import movement, windows
from chainrule.primitives.rules import show
from chainrule.text import tr

JACOBIAN = Transposed(Atom("J"))
#: What comes to δ is put in its place in the recursion, if it is no longer than this.
SHORT = 10


def explained(run: Run) -> Explanation:
    """Return the explanation of a traced training step."""
    return _Sections(run, Names(run)).explanation()


class _Sections:
    def __init__(self, run: Run, names: Names) -> None:
        self.run, self.names, self.writer = run, names, names.writer
        self.order = {v: i for i, v in enumerate(run.graph.values())}
        self.numbers: dict[Expr, Quantity] = {}
        self.zs = {layer.z: k for k, layer in enumerate(names.layers, 1)}

    def explanation(self) -> Explanation:
        """Return a step's explanation: sections, and the numbers of each symbol."""
        names, run = self.names, self.run
        self._collect_numbers()
        depth = len(names.layers)
        forward, backward = self._forward(), self._backward()
        update = self._update()
        every = [k for k in range(depth + 1) if k or forward[0] or backward[0]]
        sections = [
            Section(
                k,
                self._modules(k),
                self._tensors_of(k, (*forward[k], *backward[k])),
                tuple(forward[k]),
                tuple(backward[k]),
                tuple(update[k]),
                tuple(self._remarks(k)),
                tuple(self._loops(k)),
            )
            for k in every
        ]
        sections.append(Section(None, (), {}, tuple(self._loss()), ()))
        self._collect_constants()
        constants = tuple(name for name in self.writer.constants if name != ONE_HOT)
        notes = tuple(self._notes())
        step = run, names, tuple(sections), self.numbers
        return Explanation(*step, explained, notes, constants)

    # -- numbers -----------------------------------------------------------------------

    def _collect_numbers(self) -> None:
        run, names = self.run, self.names
        self.numbers[COUNT] = Quantity(np.asarray(run.n))
        for value, name in names.of.items():
            self.numbers.setdefault(name, self.writer.quantity(value))
        for value in run.graph.inputs:
            if is_constant(value):
                continue
            quantity = self.writer.quantity(value)
            self.numbers.setdefault(named_atom(value.name or "?"), quantity)
        for _, g, name in names.errors:
            self.numbers.setdefault(name, self.writer.quantity(g))

    def _collect_constants(self) -> None:
        for name, value in self.writer.constants.items():
            self.numbers.setdefault(name, self.writer.quantity(value))

    # -- forward -----------------------------------------------------------------------

    def _forward(self) -> dict[int, list[Equation]]:
        names = self.names
        equations: dict[int, list[Equation]] = defaultdict(list)
        depth = len(names.layers)
        for value in names.forward:
            if value is self.run.loss:
                continue
            name, k = names.of[value], names.section[value]
            equations[k].append(self._equation(value, k, name))
            output = names.output(k) if k else None
            if value is output and name == PREDICTION and k == depth:
                first = equations[k][-1]
                a = symbol("a", k)
                equations[k][-1] = Equation((name, a, *first.sides[1:]), key="a")
                self.numbers.setdefault(a, self.numbers[name])
        if depth and names.output(depth) is names.layers[-1].z:
            self._ends_in_scores(equations[depth], depth)
        return equations

    def _equation(self, value: Value, k: int, name: Expr) -> Equation:
        keys = {"z": symbol("z", k), "a": symbol("a", k)}
        key = next((k for k, wanted in keys.items() if wanted == name), "")
        if value.node is not None and value.node.primitive in NORMALISATIONS:
            key = "normalised"
        if k == 0 and key == "a":
            key = "input"
        return Equation((name, self.writer.of(value)), key=key)

    def _ends_in_scores(self, equations: list[Equation], k: int) -> None:
        a, z = symbol("a", k), symbol("z", k)
        self.numbers.setdefault(a, self.numbers[z])
        if self.names.scores is None:
            self.numbers.setdefault(PREDICTION, self.numbers[z])
            equations.append(
                Equation((PREDICTION, a, z), tr("no activation here"), key="a")
            )
            return
        equations.append(Equation((a, z), tr("the network ends in scores"), key="a"))
        equations.append(
            Equation(
                (PREDICTION, self.writer.of(self.names.scores)),
                tr("softmax is part of the loss"),
                key="prediction",
            )
        )

    def _loss(self) -> Iterator[Equation]:
        remark = ""
        if self._passed_by():
            remark = tr("from the scores, where nothing underflows")
        yield Equation((LOSS, self.writer.of(self.run.loss)), remark, key="loss")

    def _passed_by(self) -> bool:
        """Return whether a step's loss is computed from scores, not from ŷ."""
        output = behind_views(self.run.predictions[0])
        names = self.names
        return (
            output in names.of
            and names.of[output] == PREDICTION
            and output not in self.run.cotangents
        )

    # -- backward ----------------------------------------------------------------------

    def _backward(self) -> dict[int, list[Equation]]:
        names, run = self.names, self.run
        entries: dict[int, list[tuple[int, Equation]]] = defaultdict(list)
        for value, g, name in names.errors:
            k = names.section[value]
            if value in run.parameters:
                equation = self._of_parameter(value, g, name, k)
                place = len(self.order) + (0 if equation.key == "dW" else 1)
            elif value in self.zs:
                for slope in self._slope(value, name, g):
                    entries[k].append((self.order[g], slope))
                equation, place = self._delta(value, g, name), self.order[g]
            else:
                key = "gradient" if value is names.output(k) else ""
                if value.node is not None and value.node.primitive in NORMALISATIONS:
                    key = "normalised_gradient"
                equation = Equation((name, self._cotangent(g, name)), key=key)
                place = self.order[g]
            entries[k].append((place, equation))
        for value in names.temporaries:
            equation = Equation((names.of[value], self.writer.of(value)))
            entries[names.section[value]].append((self.order[value], equation))
        for k, layer in enumerate(names.layers, 1):
            if layer.z not in run.cotangents:
                entries[k].append((0, self._no_error(k)))
        return defaultdict(
            list,
            {
                k: [e for _, e in sorted(pairs, key=lambda p: p[0])]
                for k, pairs in entries.items()
            },
        )

    def _cotangent(self, g: Value, name: Expr) -> Expr:
        """Return a derivative's formula, or its other symbol if it has one."""
        known = self.names.of.get(g)
        return self.writer.of(g) if known is None or known == name else known

    def _no_error(self, k: int) -> Equation:
        delta = symbol(r"\delta", k)
        z = self.names.layers[k - 1].z
        zero = np.zeros_like(self.run.arrays[z])
        self.numbers[delta] = Quantity(zero, self.writer.kind(z))
        remark = tr("ℒ does not depend on this layer")
        return Equation((delta, Number(0)), remark, key="delta")

    def _of_parameter(self, value: Value, g: Value, name: Expr, k: int) -> Equation:
        layer = self.names.layers[k - 1] if k else None
        key, remark = "", ""
        if layer is not None and value is layer.weight:
            key = "dW"
        elif layer is not None and value is layer.bias:
            key, remark = "db", tr("added to Algorithm 1")
        return Equation((name, self._cotangent(g, name)), remark, key=key)

    # -- δ -----------------------------------------------------------------------------

    def _slope(self, z: Value, delta: Expr, g: Value) -> Iterator[Equation]:
        """Yield the equation of an activation's f′(z) if the error passes through f."""
        factors = self._through(z, g)
        if factors is None:
            return
        _, slope = factors
        prime = self._prime(z)
        self._collect_constants()
        result = computed(slope, self.numbers)
        like = self.run.arrays[z]
        result = result.reshape(like.shape) if result.size == like.size else result
        result = np.broadcast_to(result, like.shape)
        self.numbers[prime] = Quantity(np.asarray(result), self.writer.kind(z))
        yield Equation((prime, slope), key="slope")

    def _prime(self, z: Value) -> Expr:
        return Call(Script(Atom("f"), above=Atom(r"\prime", "′")), (self.names.of[z],))

    def _through(self, z: Value, g: Value) -> tuple[Value, Expr] | None:
        """Return an activation f(z) and f′(z) through which an error is propagated."""
        whole = self._cotangent(g, symbol(r"\delta", self.zs[z]))
        for value in self.names.forward:
            arriving = self.run.cotangents.get(value)
            if arriving is None or arriving is g or value is self.run.loss:
                continue
            name = self.names.of.get(arriving)
            if name is None or not holds(whole, name):
                continue
            if not is_elementwise(self.run.graph, z, value):
                continue
            slope = without(whole, name)
            if slope is not None:
                return value, slope
        return None

    def _delta(self, z: Value, g: Value, delta: Expr) -> Equation:
        """Return the equation of a layer's error δ: chain rule, computed formula."""
        whole = self._cotangent(g, delta)
        sides: list[Expr] = [delta]
        remark, factors = "", self._through(z, g)
        k, depth = self.zs[z], len(self.names.layers)
        if factors is not None:
            value, _ = factors
            arriving = self.run.cotangents[value]
            comes = self.names.of[arriving]
            formula = self._cotangent(arriving, comes)
            if weight(formula) <= SHORT and k < depth:
                sides.append(tidy(Product("odot", (formula, self._prime(z)))))
            else:
                sides.append(Product("odot", (comes, self._prime(z))))
            book = tr("the book's Algorithm 1"), tr("the book's 3.4.2")
            remark = book[0] if k == depth else book[1]
        elif k == depth and self._softmax_in_loss():
            turned = self._by_jacobian(g)
            if turned is not None:
                sides.append(turned)
                remark = tr("chain rule")
        sides.append(whole)
        return Equation(tuple(sides), remark, key="delta")

    def _softmax_in_loss(self) -> bool:
        """Return whether ŷ is a softmax whose derivative is merged with the loss's."""
        value = self.names.scores
        if value is None and self._passed_by():
            value = behind_views(self.run.predictions[0])
        node = value.node if value is not None else None
        return node is not None and node.primitive is activations.softmax

    def _by_jacobian(self, delta: Value) -> Expr | None:
        """Return Jᵀ ∇_ŷ ℒ for the δ of softmax with cross-entropy, or None."""
        value = self.names.scores or behind_views(self.run.predictions[0])
        shown = self.run.arrays[delta]
        p = self.run.arrays[value].reshape(shown.shape).astype(np.float64)
        gradient = self._gradient(p)
        if gradient is None or (p == 0).any():
            return None
        digits = max(1e-6, 100 * float(np.finfo(shown.dtype).eps))
        if not np.allclose(_by_softmax(p, gradient), shown, rtol=digits, atol=1e-12):
            return None  # something else stands between them
        self.numbers[GRADIENT] = Quantity(gradient, COLUMNS)
        self.numbers.setdefault(PREDICTION, Quantity(p, COLUMNS))
        arguments = PREDICTION, GRADIENT
        return Computed(JACOBIAN @ GRADIENT, arguments, _by_softmax, "softmax")

    def _gradient(self, p: Array) -> Array | None:
        """Return the gradient ∇_ŷ ℒ of the cross-entropy in a step's loss, or None."""
        run = self.run
        for node in run.graph.nodes:
            (out, *_) = node.outputs
            if out is None or out not in run.cotangents or node.role != "forward":
                continue
            truth = run.arrays.get(node.inputs[1]) if len(node.inputs) > 1 else None
            if node.primitive is losses.cross_entropy and truth is not None:
                truth = np.eye(p.shape[-1])[truth.astype(int).reshape(-1)]
            elif node.primitive is not losses.soft_cross_entropy or truth is None:
                continue
            share = run.arrays[run.cotangents[out]].astype(np.float64)
            with np.errstate(all="ignore"):
                return -truth.reshape(p.shape) / p * share.reshape(*p.shape[:-1], 1)
        return None

    # -- update ------------------------------------------------------------------------

    def _update(self) -> dict[int, list[Equation]]:
        """Return an optimiser's update equations by layer: moments, new parameters."""
        names, run = self.names, self.run
        sections: dict[int, list[Equation]] = defaultdict(list)
        for value, new in run.updates.items():
            if value in run.parameters and value in names.of and new.node is not None:
                equations = updated(new.node, value, names, self.numbers)
                sections[names.section.get(value, 0)] += equations
        return sections

    # -- loops -------------------------------------------------------------------------

    def _loops(self, k: int) -> Iterator[Loop]:
        """Yield the loops whose results belong to layer k, with their equations."""
        names, run = self.names, self.run
        for node in run.graph.nodes:
            places = {names.section[v] for v in node.outputs if v in names.section}
            again = is_loop(node) and node.attrs["body"].name.endswith("_history")
            if is_loop(node) and places and min(places) == k and not again:
                yield opened(node, names.outer, run.arrays, run.n)

    # -- words -------------------------------------------------------------------------

    def _modules(self, k: int) -> tuple[str, ...]:
        names = self.names
        paths = [
            v.node.scope
            for v in names.forward
            if names.section[v] == k and v.node is not None and v.node.scope
        ]
        return tuple(dict.fromkeys(paths))

    def _tensors_of(self, k: int, equations: Sequence[Equation]) -> dict[Expr, str]:
        """Return the model's tensors that a section's formulas use, by symbol."""
        names = self.names
        return {
            names.of[value]: name
            for value, name in self.run.tensors.items()
            if names.section.get(value) == k
            and any(holds(side, names.of[value]) for q in equations for side in q.sides)
        }

    def _remarks(self, k: int) -> Iterator[str]:
        """Yield remarks about a layer's other modules, such as dropout."""
        names = self.names
        layer = names.layers[k - 1] if k else None
        kinds: set[bool] = set()
        pools = False
        for value in names.forward:
            node = value.node
            if names.section[value] != k or node is None:
                continue
            pools |= node.primitive is windows.window_max
            if node.primitive not in NORMALISATIONS:
                continue
            batch = node.primitive is normalization.batch_norm
            if batch not in kinds:
                kinds.add(batch)
                yield (
                    tr(
                        "Batch normalisation mixes the samples, so the error comes back"
                        " through a matrix and not through a slope."
                    )
                    if batch
                    else tr(
                        "Layer normalisation mixes the features, so the error comes"
                        " back through a matrix and not through a slope."
                    )
                )
            source = behind_views(node.inputs[0])
            if batch and layer is not None and layer.bias and source is layer.z:
                yield tr(
                    "The mean that batch normalisation subtracts takes b along: ∂ℒ/∂b"
                    " is 0 but for rounding, and nn.Linear(…, bias=False) does as well."
                )
        if pools:
            yield tr(
                "The derivative of a maximum, J_maxᵀ, hands each error back to the"
                " place where the largest number stood; all other places get 0."
            )
        if k == len(names.layers) and self._softmax_in_loss():
            yield tr(
                "softmax mixes the scores of a sample, so δ is Jᵀ ∇_ŷ ℒ and not"
                " ∇_ŷ ℒ ⊙ f′. For one sample J = diag(ŷ) − ŷ ŷᵀ and ∇_ŷ ℒ = −y/ŷ, and"
                " Jᵀ ∇_ŷ ℒ comes to ŷ − y."
            )
        if k in names.dropped:
            yield tr(
                "The model is in training mode: m are the elements that dropout kept"
                " this time. model.eval() explains the network as it predicts."
            )
        if k == 1 and layer is not None and layer.bias is not None:
            yield tr(
                "Note to the book: Algorithm 1 (3.5) leaves out the bias; ∂ℒ/∂b is"
                " ours."
            )
        if layer is not None and layer.slides:
            yield (
                tr(
                    "W slides over its input turned round, over an input with zeros"
                    " between its elements (a transposed convolution)."
                )
                if layer.turned
                else tr(
                    "W slides over its input (∗); in the derivative by the input it"
                    " slides turned round."
                )
            )

    def _notes(self) -> Iterator[str]:
        y, p = self.run.y, self.run.predictions[0]
        if y.dtype.is_float and y.shape != p.shape and self.run.n > 1:
            shapes = [show(self.run.arrays[v].shape) for v in (p, y)]
            yield tr(
                "Careful: the prediction has shape {p} and y {y}. The loss broadcasts"
                " one against the other; y.reshape(-1, 1) may be meant.",
                p=shapes[0],
                y=shapes[1],
            )
        for node in self.run.graph.nodes:
            if node.primitive is losses.cross_entropy:
                scores = behind_views(node.inputs[0]).node
                if scores is not None and scores.primitive is activations.softmax:
                    yield tr(
                        "This is a mistake: a Softmax stands in front of a"
                        " cross-entropy that applies softmax itself. Remove the Softmax"
                        " layer from the model; the loss takes scores."
                    )


def _by_softmax(p: Array, g: Array) -> Array:
    p = p.reshape(g.shape)
    return p * (g - np.sum(p * g, axis=-1, keepdims=True))


# -- element by element ----------------------------------------------------------------


def is_elementwise(graph: Graph, source: Value, result: Value) -> bool:
    """Return whether element i of a result depends on element i of a source alone."""
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
    """Return whether a composite node's body is elementwise in given inputs."""
    if node.primitive not in BODIES:
        return False
    body = BODIES[node.primitive]([v.type for v in node.inputs], node.attrs)
    pairs = [(body.inputs[i], out) for i in touched for out in body.outputs]
    return all(is_elementwise(body, source, out) for source, out in pairs)


def _leads(graph: Graph, node: Node, result: Value) -> bool:
    return node in ancestors([result], stop=graph.inputs)
