"""The steps of a back-propagation derivation: title, reason and equations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from chainrule.book.derivation.activations import (
    ACTIVATIONS,
    IDENTITY,
    SOFTMAX,
    partial,
    prime,
)
from chainrule.book.derivation.elements import Elements
from chainrule.book.derivation.formulas import Formulas, X
from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.notation.arithmetic import COLUMNS
from chainrule.notation.expressions import Array, Atom, Call, Computed, Expr, Script
from chainrule.text import tr
from chainrule.text.catalogue import current

#: Up to so many layers are written as one formula, f₂(W₂ f₁(W₁ x + b₁) + b₂).
NESTED = 3
#: Losses whose derivative is that of a square.
_SQUARED = ("half_squared", "mse", "half_mse")


@dataclass(frozen=True)
class Step:
    """A step of a back-propagation derivation: a title, a reason and equations.

    Attributes:
        number: 1, 2, ….
        key: what kind of step it is: ``network``, ``forward``, ``loss``, ``gradient``,
            ``function``, ``error``, ``weights``, ``update``, or ``elements``.
        layer: which layer it is about; None for none.
        title: a few words.
        why: the reason, in a sentence or two.
        equations: what follows, in the order in which it is worked out.
    """

    number: int
    key: str
    layer: int | None
    title: str
    why: str
    equations: tuple[Equation, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a derivation's step as JSON data, with equations as text and LaTeX."""
        return {
            "number": self.number,
            "key": self.key,
            "layer": self.layer,
            "title": self.title,
            "why": self.why,
            "equations": [
                {
                    "key": e.key,
                    "text": e.text(),
                    "latex": e.latex(),
                    "sides": [side.text() for side in e.sides],
                    "remark": e.remark,
                }
                for e in self.equations
            ],
        }


def steps_of(formulas: Formulas, *, elements: bool) -> tuple[Step, ...]:
    """Return all steps of a back-propagation derivation, numbered."""
    steps = list(_Steps(formulas).all())
    if elements:
        steps += _elements(Elements(formulas))
    return tuple([replace(step, number=i) for i, step in enumerate(steps, 1)])


def _step(
    key: str, layer: int | None, title: str, why: str, *equations: Equation
) -> Step:
    return Step(0, key, layer, title, why, equations)


class _Steps:
    def __init__(self, formulas: Formulas) -> None:
        self.formulas, self.network = formulas, formulas.network

    def all(self) -> Iterator[Step]:
        """Yield a derivation's steps: forward pass, loss, errors, gradients, update."""
        layers, last = self.network.layers, self.network.depth
        if last <= NESTED:
            yield self._whole()
        for k in layers:
            yield self._forward(k)
        yield self._loss()
        yield self._gradient()
        yield from self._functions()
        yield self._last_error()
        for k in reversed(layers[:-1]):
            yield self._error(k)
        for k in reversed(layers):
            yield self._weights(k)
        yield self._update()

    def _equation(self, key: str, remark: str = "") -> Equation:
        return replace(self.formulas.all[key], key=key, remark=remark)

    def _layer(self, k: int) -> str:
        return tr("layer {k} of {depth}", k=k, depth=self.network.depth)

    # -- forward -----------------------------------------------------------------------

    def _whole(self) -> Step:
        """Return a derivation's step with the network as one formula f₂(W₂ f₁(x))."""
        shown: Expr = X
        value: Expr = X
        for k in self.network.layers:
            inner, number = symbol("W", k) @ shown, symbol("W", k) @ value
            if self.network.bias(k):
                inner, number = inner + symbol("b", k), number + symbol("b", k)
            shown = Call(self.formulas.f(k), (inner,))
            value = self.formulas.function(k).of(number)
        side = Computed(shown, (value,), _itself, ("composed",), COLUMNS)
        return _step(
            "network",
            None,
            tr("the network"),
            tr(
                "Functions within functions: a layer acts on what the layer before it"
                " gives. The chain rule (3.4.1) takes such a composition apart, from"
                " the outside to the inside. Here {functions}.",
                functions=self._listed(),
            ),
            Equation((PREDICTION, side), key="network"),
        )

    def _listed(self) -> str:
        """Return a network's activation functions as text: f₁ = σ, f₂ = softmax."""
        pairs = [
            f"{self.formulas.f(k)} = {self.formulas.function(k).head}"
            for k in self.network.layers
            if self.network.activation(k) != IDENTITY
        ]
        return ", ".join(pairs) or tr("no f changes anything: a = z")

    def _forward(self, k: int) -> Step:
        why = (
            tr(
                "Each neuron weighs its inputs, adds its bias, and applies its"
                " activation (3.2.1), with a⁽⁰⁾ = x."
            )
            if k == 1
            else tr("The same again, with a⁽{before}⁾ as the input.", before=_raised(k))
        )
        if k == self.network.depth:
            why += _gap() + tr("What the last layer gives is the prediction ŷ.")
        if self.formulas.mixes(k):
            why += _gap() + tr(
                "softmax makes positive numbers of the scores that sum to 1:"
                " aᵢ = e^(zᵢ)/∑ⱼ e^(zⱼ)."
            )
        title = f"{tr('forward')}, {self._layer(k)}"
        equations = self._equation(f"z{k}"), self._equation(f"a{k}")
        return _step("forward", k, title, why, *equations)

    def _loss(self) -> Step:
        o, why = self.formulas.objective, self.formulas.objective.why()
        many = self.network.sizes[-1]
        if self.formulas.batch:
            why += _gap() + tr(
                "∑ goes over all outputs of all n samples; 1/n makes a mean of it."
            )
        elif many > 1 and o.over_outputs:
            why += _gap() + tr("It is the mean over the {many} outputs.", many=many)
        elif many > 1:
            why += _gap() + tr("∑ goes over the {many} outputs.", many=many)
        return _step("loss", None, tr("loss"), why, self._equation("loss"))

    # -- the way back ------------------------------------------------------------------

    def _gradient(self) -> Step:
        name = self.formulas.objective.name
        why = tr("The way back starts at the loss: how does ℒ change with ŷ?") + _gap()
        if name in _SQUARED:
            why += tr("The derivative of u² is 2u, with u = ŷ − y.")
        elif name == "hinge":
            why += tr(
                "Where y ŷ < 1 the slope is −y, elsewhere ℒ is flat; at the corner 0 is"
                " taken."
            )
        else:
            why += tr("The derivative of ln u is 1/u, element by element.")
        title = tr("derivative of the loss")
        return _step("gradient", None, title, why, self._equation("gradient"))

    def _functions(self) -> Iterator[Step]:
        """Yield a derivation step for the derivative f′ of each activation function."""
        z, a = Atom("z"), Atom("a")
        for name in dict.fromkeys(self.network.activations):
            if name == IDENTITY:
                continue
            row = ACTIVATIONS[name]
            head = row.head.text()
            title = tr("derivative of {function}", function=head)
            first = [row.of(z)] if row.meaning is None else [row.of(z), row.meaning(z)]
            value = Equation((a, *first), key=f"{name}")
            written = prime(row.head, z)
            if name == SOFTMAX:
                written = partial(
                    *(Script(e, below=Atom(i)) for e, i in zip((a, z), "ij"))
                )
            slope = Equation((written, *row.derived(z, a)), key=f"{name}′")
            yield _step("function", None, title, row.why(), value, slope)

    def _last_error(self) -> Step:
        k = self.network.depth
        why = tr("δ is the derivative of ℒ by z (3.4.2).") + _gap()
        if self.formulas.mixes(k):
            why += tr(
                "Every zⱼ acts on every ŷᵢ, so the chain rule adds up over them:"
                " ∂ℒ/∂zⱼ = ∑ᵢ ∂ℒ/∂ŷᵢ · ∂ŷᵢ/∂zⱼ. That is Jᵀ ∂ℒ/∂ŷ, and not"
                " ∂ℒ/∂ŷ ⊙ f′."
            )
            if self.formulas.objective.delta is not None:
                why += _gap() + tr("With cross-entropy, as y sums to 1, ŷ − y is left.")
        elif self.network.activation(k) == IDENTITY:
            why += tr("Without an activation ŷ = z, and both derivatives are the same.")
        else:
            why += tr(
                "ŷᵢ depends on zᵢ alone, so by the chain rule (3.4.1) two derivatives"
                " are multiplied, element by element (⊙): Algorithm 1 (3.5), and the"
                " first step of 3.7."
            )
            if self.formulas.objective.delta is not None:
                why += _gap() + tr("The slope ŷ (1 − ŷ) cancels, and ŷ − y is left.")
        title = tr("error of the last layer")
        return _step("error", k, title, why, *self._error_equations(k))

    def _error_equations(self, k: int) -> Iterator[Equation]:
        if self.formulas.mixes(k) or self.network.activation(k) != IDENTITY:
            yield self._equation(f"slope{k}")
        yield self._equation(f"delta{k}")

    def _error(self, k: int) -> Step:
        why = tr(
            "aⱼ acts on every neuron i of layer {behind} through wᵢⱼ, so the chain rule"
            " adds up over them: ∂ℒ/∂aⱼ = ∑ᵢ wᵢⱼ δᵢ. That is Wᵀ δ.",
            behind=k + 1,
        )
        if self.formulas.mixes(k):
            why += _gap() + tr("Then on through softmax, with its Jacobian matrix.")
        elif self.network.activation(k) == IDENTITY:
            why += _gap() + tr("There is no activation to go through.")
        else:
            why += _gap() + tr(
                "Then on through f, element by element: 3.4.2, and the second step of"
                " 3.7, where ⊙ is not written."
            )
        title = tr("error of layer {k}", k=k)
        equations = self._equation(f"back{k}"), *self._error_equations(k)
        return _step("error", k, title, why, *equations)

    def _weights(self, k: int) -> Step:
        why = tr(
            "wᵢⱼ stands in zᵢ alone, and there it is multiplied by aⱼ of the layer"
            " before: ∂ℒ/∂wᵢⱼ = ∂ℒ/∂zᵢ · ∂zᵢ/∂wᵢⱼ = δᵢ aⱼ. That is δ aᵀ."
        )
        equations = [self._equation(f"dW{k}")]
        if self.network.bias(k):
            why += _gap() + tr("bᵢ is added to zᵢ, so ∂zᵢ/∂bᵢ = 1.")
            ours = tr("added to Algorithm 1")
            equations.append(self._equation(f"db{k}", ours))
        if self.formulas.batch:
            why += _gap() + tr(
                "Over a batch the samples' shares are added up (1/n is inside δ): in δ"
                " aᵀ by the matrix product."
            )
        return _step("weights", k, tr("gradients of layer {k}", k=k), why, *equations)

    def _update(self) -> Step:
        why = tr(
            "Gradient descent (3.4.3): a step against the gradient, η long, for all"
            " layers at once, when all gradients are known."
        )
        equations = [self._equation(key) for key in self.formulas.updates]
        return _step("update", None, tr("update"), why, *equations)


def _gap() -> str:
    """Return the separator between sentences: a space, or nothing in Chinese."""
    return " " if current() == "en" else ""


def _raised(k: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(c)] for c in str(k - 1))


def _itself(value: Array) -> Array:
    return value


def _elements(e: Elements) -> Iterator[Step]:
    """Yield the steps of an element-by-element derivation of back-propagation."""
    net = e.formulas.network
    yield _step(
        "elements",
        None,
        tr("element by element: forward"),
        tr("wᵢⱼ is the weight from neuron j of the layer before to neuron i."),
        *e.forward(),
    )
    yield _step(
        "elements",
        None,
        tr("element by element: loss"),
        tr("Every output has its part in ℒ."),
        *e.loss(),
    )
    for k in reversed(net.layers):
        yield _step(
            "elements",
            k,
            tr("element by element: errors of layer {k}", k=k),
            tr("What comes back along every connection is added up."),
            *(*e.slopes(k), *e.errors(k)),
        )
    for k in reversed(net.layers):
        why = tr("A weight acts on ℒ through its own neuron.")
        if k < net.depth:
            why = tr(
                "A weight acts on ℒ along every path from it to an output. Along a path"
                " derivatives are multiplied, and the paths are added up."
            )
        title = tr("element by element: gradients of layer {k}", k=k)
        yield _step("elements", k, title, why, *e.gradients(k))
