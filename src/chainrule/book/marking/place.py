"""A quantity of a network's layer (z, a, δ, W), and the parts of its formula."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from chainrule.book.derivation.activations import (
    ACTIVATIONS,
    IDENTITY,
    SOFTMAX,
    Activation,
)
from chainrule.book.derivation.formulas import (
    Formulas,
    error_name,
    name_of,
    slope_of,
    split,
)
from chainrule.book.derivation.keys import CORRECTED, HATS, MEANS, MOMENTS
from chainrule.explanation.naming import symbol
from chainrule.explanation.updates import scalar
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product, Script, Sum
from chainrule.notation.tidy import tidy

#: λ of weight decay.
DECAY = scalar("penalty")
#: Quantities that nobody is asked for: ∂ℒ/∂ŷ, ∂ℒ/∂a, f′(z).
BETWEEN = ("gradient", "back", "slope")


def odot(*factors: Expr) -> Expr:
    """Return the elementwise product of expressions, simplified."""
    return tidy(Product("odot", factors))


def right_of(formulas: Formulas, key: str) -> Expr:
    """Return the correct formula of a network's quantity; of the loss in terms of ŷ."""
    return formulas.loss()[0] if key == "loss" else formulas.all[key].sides[-1]


def ways_of(formulas: Formulas, key: str) -> list[Expr]:
    """Return all correct formulas of a network's quantity by its key."""
    if split(key)[0] in BETWEEN:
        return [right_of(formulas, key)]
    return list(dict.fromkeys(Place(formulas, *split(key)).ways()))


@dataclass(frozen=True)
class Place:
    """A quantity of a network's layer (z, a, δ, W), with its formula's parts.

    Attributes:
        formulas: of the network.
        kind: ``z``, ``a``, ``loss``, ``delta``, ``dW``, ``db``, ``W`` or ``b``; or an
            optimiser's ``mW``, ``mhatW``, ….
        k: its layer; 0 for the loss.
    """

    formulas: Formulas
    kind: str
    k: int

    # -- the network -------------------------------------------------------------------

    @property
    def last(self) -> int:
        """The number L of a network's last layer."""
        return self.formulas.network.depth

    def size(self, j: int) -> int:
        """Return the number of neurons of a network's layer j; 0 is the input."""
        return self.formulas.network.sizes[j]

    @property
    def square(self) -> bool:
        """True if a layer's weight matrix W is square with more than one row."""
        return self.size(self.k) == self.size(self.k - 1) > 1

    @property
    def flat(self) -> bool:
        """True if a quantity's layer has no activation function."""
        return self.is_flat(self.k)

    def is_flat(self, j: int) -> bool:
        """Return whether a network's layer j has no activation function."""
        return self.formulas.network.activation(j) == IDENTITY

    @property
    def mixes(self) -> bool:
        """True if a layer's activation is softmax, which is not elementwise."""
        return self.formulas.mixes(self.k)

    def has_slope(self, j: int) -> bool:
        """Return whether layer j has an elementwise activation with a derivative f′."""
        return not self.formulas.mixes(j) and not self.is_flat(j)

    # -- symbols and formulas ----------------------------------------------------------

    @property
    def key(self) -> str:
        """The key of a network's quantity: ``delta2``."""
        return f"{self.kind}{self.k or ''}"

    @property
    def name(self) -> Expr:
        """The symbol of a network's quantity, δ⁽²⁾, or of an updated parameter."""
        return name_of(self.formulas, self.key)

    @property
    def z(self) -> Expr:
        """The symbol z⁽ᵏ⁾ of a layer's weighted sums."""
        return symbol("z", self.k)

    @property
    def a(self) -> Expr:
        """The symbol a⁽ᵏ⁾ of a layer's activation (ŷ for the last layer)."""
        return self.formulas.a(self.k)

    @property
    def input(self) -> Expr:
        """The symbol a⁽ᵏ⁻¹⁾ of a layer's input."""
        return self.formulas.a(self.k - 1)

    @property
    def W(self) -> Expr:
        """The symbol W⁽ᵏ⁾ of a layer's weights."""
        return symbol("W", self.k)

    @property
    def delta(self) -> Expr:
        """The symbol δ⁽ᵏ⁾ of a layer's back-propagated error."""
        return error_name(self.k)

    @property
    def arriving(self) -> Expr:
        """The formula of the gradient ∂ℒ/∂a⁽ᵏ⁾ that arrives at a layer."""
        return self.formulas.arriving(self.k)

    @property
    def slope(self) -> Expr:
        """The formula of a layer's f′(z⁽ᵏ⁾); of softmax its Jacobian's diagonal."""
        return self.a * (1 - self.a) if self.mixes else self.formulas.slope(self.k)

    @property
    def function(self) -> Activation:
        """The activation function of a quantity's layer, as formulas."""
        return self.formulas.function(self.k)

    @property
    def right(self) -> Expr:
        """The correct formula of a network's quantity."""
        return right_of(self.formulas, self.key)

    @property
    def chain(self) -> Expr:
        """The chain-rule formula of a layer's error δ⁽ᵏ⁾: ∂ℒ/∂a ⊙ f′(z)."""
        name = self.formulas.slope_name(self.k)
        return Product("odot", (slope_of(self.a), name))

    def expanded(self, e: Expr) -> Expr:
        """Return a formula with the named factors of :attr:`chain` written out."""
        return tidy(e.replaced(self._factors))

    @cached_property
    def _factors(self) -> dict[Expr, Expr]:
        names = {slope_of(self.a): self.arriving} if self.k else {}
        for j in range(1, self.last + 1):
            if self.has_slope(j):
                names[self.formulas.slope_name(j)] = self.formulas.slope(j)
        return names

    def ways(self) -> Iterator[Expr]:
        """Yield all correct formulas of a network's quantity, with equal values."""
        yield self.right
        if self.kind == "loss":
            yield from self.formulas.loss()[1:]
        if self.kind == "delta" and self.has_slope(self.k):
            yield odot(self.arriving, self.slope)
            yield odot(self.arriving, self.function.slope(self.z))
        if self.kind == "delta" and self.mixes:
            yield self.through(self.arriving)

    def through(self, g: Expr) -> Expr:
        """Return the formula of a gradient ∂ℒ/∂a⁽ᵏ⁾ after the layer's activation."""
        return self.formulas.through(self.k, g, Number(1) if self.flat else self.slope)

    # -- updates -----------------------------------------------------------------------

    @property
    def parameter(self) -> Expr:
        """The symbol of the parameter (W or b) that an update or moment belongs to."""
        return symbol(self.kind[-1], self.k)

    @property
    def slope_of(self) -> Expr:
        """The symbol of a parameter's gradient ∂ℒ/∂W⁽ᵏ⁾."""
        return slope_of(self.parameter)

    @property
    def gradient(self) -> Expr:
        """A parameter's gradient in an update, with λ W⁽ᵏ⁾ for weight decay."""
        decay = f.scale(DECAY, self.parameter)
        sides = [e.sides[-1] for e in self.formulas.updates.values()]
        decayed = any(side.holds(decay) for side in sides)
        return self.slope_of + decay if decayed else self.slope_of

    @property
    def of_squares(self) -> bool:
        """True if a quantity is an optimiser's mean or sum of squared gradients."""
        if self.kind not in MEANS + HATS:
            return False
        moment = self.formulas.updates[f"{self.kind[0]}{self.kind[-1]}{self.k}"]
        return moment.sides[-1].holds(self.gradient**2)

    @property
    def moments(self) -> list[tuple[Expr, Expr]]:
        """The pairs of a parameter's new and old optimiser moments: v′ and v."""
        pairs = [(self._name(letter), letter) for letter in MOMENTS]
        return [
            (new, Script(f.symbol(letter), below=self.parameter))
            for new, letter in pairs
            if new is not None
        ]

    @property
    def hats(self) -> list[tuple[Expr, Expr]]:
        """The pairs of a bias-corrected moment m̂ or v̂ and its moment m′ or v′."""
        pairs = [
            (self._name(f"{letter}hat"), self._name(letter)) for letter in CORRECTED
        ]
        return [(hat, new) for hat, new in pairs if hat is not None and new is not None]

    @property
    def old(self) -> Expr | None:
        """The symbol of an updated quantity's old value, or None for m̂ and v̂."""
        if self.kind in ("W", "b"):
            return self.parameter
        name = self._name(self.kind[:-1])
        return dict(self.moments).get(name) if name is not None else None

    @property
    def step(self) -> tuple[Expr, Expr]:
        """A parameter's old value, and the optimiser step subtracted from it."""
        assert isinstance(self.right, Sum)
        (_, old), *_, (_, step) = self.right.terms
        return old, step

    def _name(self, moment: str) -> Expr | None:
        update = self.formulas.updates.get(f"{moment}{self.kind[-1]}{self.k}")
        return update.name if update else None

    # -- what may be confused ----------------------------------------------------------

    def other_functions(self) -> Iterator[Activation]:
        """Yield the elementwise activation functions that differ from a layer's own."""
        own = self.formulas.network.activation(self.k)
        for name, row in ACTIVATIONS.items():
            if name not in (own, SOFTMAX, IDENTITY):
                yield row

    def same_shape(self) -> Iterator[tuple[Expr, Expr]]:
        """Yield pairs of symbols of one kind and shape from different layers."""
        F, sizes = self.formulas, self.formulas.network.sizes
        for i in range(self.last + 1):
            for j in range(self.last + 1):
                if i == j or sizes[i] != sizes[j]:
                    continue
                yield F.a(i), F.a(j)
                if i and j:
                    yield error_name(i), error_name(j)
                    if self.has_slope(i) and self.has_slope(j):
                        yield F.slope_name(i), F.slope_name(j)
                    if sizes[i - 1] == sizes[j - 1]:
                        yield symbol("W", i), symbol("W", j)
