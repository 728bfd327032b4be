"""The formulas of back-propagation through a feed-forward network.

One quantity after the other, each from those before it: z⁽ˡ⁾, a⁽ˡ⁾, ℒ, δ⁽ˡ⁾, ∂ℒ/∂W⁽ˡ⁾,
∂ℒ/∂b⁽ˡ⁾, and the updated W⁽ˡ⁾ and b⁽ˡ⁾. They are written out by
:mod:`~chainrule.book.derivation.derivation`, and worked out from numbers here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chainrule.book.derivation import objectives
from chainrule.book.derivation.activations import (
    ACTIVATIONS,
    IDENTITY,
    SOFTMAX,
    Activation,
    by_jacobian,
    jacobian,
    partial,
    prime,
)
from chainrule.book.derivation.network import Network
from chainrule.book.derivation.objectives import Objective
from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.explanation.signs import COUNT, LABEL, LOSS, PRIME
from chainrule.notation import functions as f
from chainrule.notation.arithmetic import (
    ALL_COLUMNS,
    COLUMNS,
    MATRIX,
    Quantity,
    computed,
)
from chainrule.notation.expressions import (
    Array,
    Atom,
    Expr,
    Number,
    Product,
    Quotient,
    Reduced,
    Script,
)
from chainrule.notation.tidy import tidy

X = Atom("x")
GRADIENT = partial(LOSS, PREDICTION)
RATE = f.symbol("η")


def error_name(k: int) -> Script:
    """Return the symbol δ⁽ᵏ⁾ of layer k's back-propagated error."""
    return symbol(r"\delta", k)


def slope_of(name: Expr) -> Expr:
    """Return the derivative ∂ℒ/∂name of the loss as an expression."""
    return partial(LOSS, name)


def updated(name: Expr) -> Expr:
    """Return the symbol W′ of a parameter's value after an update."""
    return Script(name, PRIME)


@dataclass(frozen=True)
class Formulas:
    """All formulas of forward pass, back-propagation and update of a network.

    Attributes:
        network: its layers.
        objective: its loss.
        batch: whether there are n samples, a column each, and ℒ is the mean over them.
        steps: an optimiser's moments and updates by key, in place of θ − η ∂ℒ/∂θ.
    """

    network: Network
    objective: Objective
    batch: bool = False
    steps: Mapping[str, Equation] | None = None

    # -- names -------------------------------------------------------------------------

    def a(self, k: int) -> Expr:
        """Return the symbol of a layer's activation: x, a⁽ᵏ⁾, or ŷ for the last one."""
        if k == 0:
            return X
        return PREDICTION if k == self.network.depth else symbol("a", k)

    def f(self, k: int) -> Expr:
        """Return the symbol fₖ of a layer's activation function."""
        return Script(Atom("f"), below=Number(k))

    def slope_name(self, k: int) -> Expr:
        """Return the symbol of layer k's derivative: fₖ′(z⁽ᵏ⁾), or J⁽ᵏ⁾ for softmax."""
        if self.mixes(k):
            return symbol("J", k)
        return prime(self.f(k), symbol("z", k))

    def mixes(self, k: int) -> bool:
        """Return whether layer k's activation is softmax, which is not elementwise."""
        return self.network.activation(k) == SOFTMAX

    def function(self, k: int) -> Activation:
        """Return the activation function of a network's layer k, as formulas."""
        return ACTIVATIONS[self.network.activation(k)]

    # -- forward -----------------------------------------------------------------------

    def weighted(self, k: int) -> Expr:
        """Return the formula W a + b of layer k's weighted sum."""
        product = symbol("W", k) @ self.a(k - 1)
        return product + symbol("b", k) if self.network.bias(k) else product

    def activated(self, k: int) -> Expr:
        """Return the formula f(z⁽ᵏ⁾) of layer k's activation."""
        return self.function(k).of(symbol("z", k))

    def loss(self) -> tuple[Expr, ...]:
        """Return equivalent formulas of a network's loss ℒ."""
        o, z = self.objective, symbol("z", self.network.depth)
        return objectives.losses(o, self.network.sizes[-1], self.batch, z)

    # -- backward ----------------------------------------------------------------------

    def gradient(self) -> tuple[Expr, ...]:
        """Return equivalent formulas of the loss's gradient ∂ℒ/∂ŷ by the prediction."""
        return objectives.slopes(self.objective, self.network.sizes[-1], self.batch)

    def slope(self, k: int) -> Expr:
        """Return the formula of layer k's derivative f′(z⁽ᵏ⁾) or softmax Jacobian."""
        if self.mixes(k):
            return jacobian(self.a(k))
        return self.function(k).shortest(symbol("z", k), self.a(k))

    def arriving(self, k: int) -> Expr:
        """Return the formula of the gradient ∂ℒ/∂a⁽ᵏ⁾ that arrives at layer k."""
        if k == self.network.depth:
            return self.gradient()[-1]
        return symbol("W", k + 1).T @ error_name(k + 1)

    def through(self, k: int, g: Expr, slope: Expr) -> Expr:
        """Return the formula of a gradient ∂ℒ/∂a⁽ᵏ⁾ propagated back through f to z."""
        if self.mixes(k):
            return by_jacobian(self.slope_name(k), self.a(k), g)
        return g if slope == Number(1) else tidy(Product("odot", (g, slope)))

    def error(self, k: int) -> Expr:
        """Return the shortest formula of layer k's back-propagated error δ⁽ᵏ⁾."""
        last = k == self.network.depth
        short = self._short() if last else None
        if short is not None:
            return short
        return self.through(k, self.arriving(k), self.slope(k))

    def _short(self) -> Expr | None:
        o = self.objective
        return objectives.delta(o, self.network.sizes[-1], self.batch)

    def error_ways(self, k: int) -> tuple[Expr, ...]:
        """Return the formulas of layer k's error δ⁽ᵏ⁾, from chain rule to shortest."""
        z, name = symbol("z", k), self.a(k)
        comes, g = slope_of(name), self.arriving(k)
        ways: list[Expr] = [slope_of(z)]
        if self.mixes(k):
            ways += [
                by_jacobian(self.slope_name(k), name, comes),
                name * (comes - name.T @ comes),
            ]
        elif self.network.activation(k) == IDENTITY:
            ways += [comes, g]
        else:
            ways += [
                Product("odot", (comes, partial(name, z))),
                Product("odot", (g, self.slope_name(k))),
                self._with_slope(k, g),
            ]
        return tuple(dict.fromkeys([*ways, self._last_way(k)]))

    def _with_slope(self, k: int, g: Expr) -> Expr:
        """Return the product g ⊙ f′ in δ⁽ᵏ⁾, unsimplified if factors cancel later."""
        slope = self.slope(k)
        if k == self.network.depth and self._short() is not None:
            if isinstance(slope, Product) and slope.kind == "odot":
                return Product("odot", (g, *slope.factors))
            return Product("odot", (g, slope))
        return self.through(k, g, slope)

    def _last_way(self, k: int) -> Expr:
        """Return the final formula of layer k's error δ⁽ᵏ⁾, for softmax in symbols."""
        if self.mixes(k) and (k < self.network.depth or self._short() is None):
            name = self.a(k)
            return name * (slope_of(name) - name.T @ slope_of(name))
        return self.error(k)

    # -- gradients and update ----------------------------------------------------------

    def of_weight(self, k: int) -> Expr:
        """Return the formula of layer k's weight gradient ∂ℒ/∂W⁽ᵏ⁾."""
        return error_name(k) @ self.a(k - 1).T

    def of_bias(self, k: int) -> Expr:
        """Return the formula of layer k's bias gradient ∂ℒ/∂b⁽ᵏ⁾."""
        delta = error_name(k)
        if not self.batch:
            return delta
        head = Script(Atom(r"\sum", "∑"), below=Atom("s"))
        return Reduced(head, delta, "wide", ALL_COLUMNS, keep=False)

    def stepped(self, name: Expr) -> Expr:
        """Return the formula θ − η ∂ℒ/∂θ of a gradient-descent step."""
        return name - f.scale(RATE, slope_of(name))

    # -- all of them, in the order in which they are worked out ------------------------

    @cached_property
    def forward(self) -> dict[str, Equation]:
        """The equations of a network's forward pass by key: ``z1``, ``a1``, …."""
        equations: dict[str, Equation] = {}
        for k in self.network.layers:
            equations[f"z{k}"] = Equation((symbol("z", k), self.weighted(k)))
            sides = [self.a(k), symbol("a", k), self.activated(k)]
            equations[f"a{k}"] = Equation(tuple(dict.fromkeys(sides)))
        return equations

    @cached_property
    def backward(self) -> dict[str, Equation]:
        """The equations of a network's loss and backward pass, by key."""
        net, equations = self.network, {"loss": Equation((LOSS, *self.loss()))}
        equations["gradient"] = Equation((GRADIENT, *self.gradient()))
        for k in reversed(net.layers):
            if k < net.depth:
                sides = (slope_of(self.a(k)), self.arriving(k))
                equations[f"back{k}"] = Equation(sides)
            name, slope = self.slope_name(k), self.slope(k)
            if self.mixes(k):
                equations[f"slope{k}"] = Equation((name, slope))
            else:
                own = partial(self.a(k), symbol("z", k))
                equations[f"slope{k}"] = Equation((name, own, slope))
            equations[f"delta{k}"] = Equation((error_name(k), *self.error_ways(k)))
        for k in reversed(net.layers):
            W, b = symbol("W", k), symbol("b", k)
            equations[f"dW{k}"] = Equation((slope_of(W), self.of_weight(k)))
            if net.bias(k):
                equations[f"db{k}"] = Equation((slope_of(b), self.of_bias(k)))
        return equations

    @cached_property
    def updates(self) -> dict[str, Equation]:
        """The equations of optimiser moments and parameter updates by key: ``W1``."""
        if self.steps is not None:
            return dict(self.steps)
        equations: dict[str, Equation] = {}
        for k in self.network.layers:
            for letter in ("W", "b") if self.network.bias(k) else ("W",):
                name = symbol(letter, k)
                sides = (name, self.stepped(name))
                equations[f"{letter}{k}"] = Equation(sides, sign="←")
        return equations

    @cached_property
    def all(self) -> dict[str, Equation]:
        """All equations of a network's forward pass, backward pass and update."""
        return self.forward | self.backward | self.updates

    def shape(self, key: str, n: int) -> tuple[int, ...]:
        """Return the array shape of a network's quantity (z, a, δ), samples first."""
        kind, k = split(key)
        sizes = self.network.sizes
        if kind == "loss":
            return ()
        if kind[-1] == "W":
            return sizes[k], sizes[k - 1]
        if kind[-1] == "b":
            return (sizes[k],)
        if kind == "slope" and self.mixes(k):
            return n, sizes[k], sizes[k]
        return n, sizes[k or self.network.depth]


def split(key: str) -> tuple[str, int]:
    """Split a quantity's key into kind and layer: ``delta2`` → (``delta``, 2)."""
    kind = key.rstrip("0123456789")
    return kind, int(key[len(kind) :] or 0)


#: What stands on paper as columns, one for each sample.
_COLUMNS = ("z", "a", "delta", "gradient", "back", "slope")


def known_quantities(
    network: Network, parameters: Mapping[str, Array], x: Array, y: Array
) -> dict[Expr, Quantity]:
    """Return a network's x, y, sample count and parameters as numbers by symbol.

    Args:
        network: the layers.
        parameters: arrays by key: ``W1``, ``b1``, ….
        x, y: samples and truths, rows in memory.
    """
    numbers: dict[Expr, Quantity] = {
        X: Quantity(x, COLUMNS),
        LABEL: Quantity(y, COLUMNS),
        COUNT: Quantity(np.asarray(float(len(x)))),
    }
    for key, array in parameters.items():
        kind, k = split(key)
        numbers[symbol(kind, k)] = Quantity(array)
    return numbers


def name_of(formulas: Formulas, key: str) -> Expr:
    """Return the symbol of a network's quantity by key; of updates the new value's."""
    equation = formulas.all[key]
    return updated(equation.name) if equation.sign == "←" else equation.name


def work_out(
    formulas: Formulas, numbers: dict[Expr, Quantity], keys: Iterable[str]
) -> None:
    """Compute a network's quantities by their formulas; add them to ``numbers``."""
    n = len(numbers[X].array)
    for key in keys:
        equation = formulas.all[key]
        keep(formulas, numbers, key, computed(equation.sides[-1], numbers), n)


def keep(
    formulas: Formulas, numbers: dict[Expr, Quantity], key: str, value: Array, n: int
) -> None:
    """Store a network quantity's array in ``numbers``, under its symbol and aliases."""
    kind, k = split(key)
    shape = formulas.shape(key, n)
    array = np.asarray(value, np.float64)
    whole = array.size == np.prod(shape, dtype=int)
    array = array.reshape(shape) if whole else np.broadcast_to(array, shape)
    matrix = kind not in _COLUMNS or (kind == "slope" and formulas.mixes(k))
    q = Quantity(array, MATRIX if matrix else COLUMNS)
    numbers[name_of(formulas, key)] = q
    if key in formulas.updates:
        return
    for side in formulas.all[key].sides[1:-1]:
        if _is_name(side):
            numbers[side] = q


def _is_name(e: Expr) -> bool:
    """Return whether an expression is a mere symbol, such as ∂ℒ/∂z⁽²⁾ for δ⁽²⁾."""
    return type(e) is Script or (isinstance(e, Quotient) and e.bar)
