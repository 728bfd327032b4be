"""Back-propagation element by element: every path from a weight to an output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chainrule.book.derivation.activations import partial, prime
from chainrule.book.derivation.formulas import (
    Formulas,
    error_name,
    known_quantities,
    slope_of,
)
from chainrule.errors import ArgumentError
from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.explanation.signs import LABEL, LOSS
from chainrule.notation import functions as f
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import (
    Array,
    Atom,
    Expr,
    Number,
    Product,
    Quotient,
    Script,
    Sum,
)
from chainrule.notation.tidy import tidy
from chainrule.text import _

#: So much can be read: neurons in a layer, paths from a weight, equations in all.
WIDEST, PATHS, EQUATIONS = 6, 12, 150


def refuse_large(formulas: Formulas) -> None:
    """Raise an error if a network is too large for element-wise formulas.

    Raises:
        ArgumentError: for a network with too many paths, or a batch.
    """
    sizes = formulas.network.sizes
    many = sum(math.prod(pair) for pair in pairwise(sizes))
    paths = math.prod(sizes[2:])
    if max(sizes) > WIDEST or paths > PATHS or many > EQUATIONS:
        raise ArgumentError(
            _("Element by element, this network would be too long to read."),
            expected=_(
                "at most {wide} neurons in a layer, {paths} paths from a weight to the"
                " outputs, {many} weights",
                wide=WIDEST,
                paths=PATHS,
                many=EQUATIONS,
            ),
            got=_(
                "{network}: {wide} neurons, {paths} paths, {many} weights",
                network=formulas.network,
                wide=max(sizes),
                paths=paths,
                many=many,
            ),
        )
    if formulas.batch:
        raise ArgumentError(
            _("Element by element, one sample is shown."),
            expected="elements=True, batch=False",
            got="elements=True, batch=True",
        )


def _times(*factors: Expr) -> Expr:
    """Return the simplified product of scalar expressions: flat, no factors 1."""
    flat: list[Expr] = []
    for factor in factors:
        if isinstance(factor, Product) and factor.kind == "scale":
            flat += factor.factors
        else:
            flat.append(factor)
    factors_left = [e for e in flat if e != Number(1)]
    if len(factors_left) < 2:
        return factors_left[0] if factors_left else Number(1)
    return Product("scale", tuple(factors_left))


def _plus(terms: Sequence[Expr]) -> Expr:
    return terms[0] if len(terms) == 1 else Sum(tuple([(1, t) for t in terms]))


def _scalars(e: Expr) -> Expr:
    """Return a formula with elementwise products ⊙ written as scalar products."""
    mapped = e.mapped(_scalars)
    if isinstance(mapped, Product) and mapped.kind == "odot":
        return _times(*mapped.factors)
    return mapped


@dataclass(frozen=True)
class Elements:
    """The back-propagation formulas for single elements zᵢ, aᵢ, δᵢ and wᵢⱼ.

    Attributes:
        formulas: those of the whole.
    """

    formulas: Formulas

    # -- names -------------------------------------------------------------------------

    def _one(self, k: int, i: int, plain: Expr) -> Expr:
        """Return an output's symbol with index i, or without if there is one output."""
        alone = k == self.formulas.network.depth and self._size(k) == 1
        return plain if alone else Script(plain, below=Number(i))

    def _size(self, k: int) -> int:
        return self.formulas.network.sizes[k]

    def a(self, k: int, i: int) -> Expr:
        """Return the symbol of a neuron's activation: xᵢ, aᵢ⁽ᵏ⁾, or ŷᵢ at the end."""
        if k == 0:
            return Script(Atom("x"), below=Number(i))
        if k == self.formulas.network.depth:
            return self._one(k, i, PREDICTION)
        return _indexed(symbol("a", k), str(i))

    def z(self, k: int, i: int) -> Expr:
        """Return the symbol zᵢ⁽ᵏ⁾ of a neuron's weighted sum."""
        return _indexed(symbol("z", k), str(i))

    def y(self, i: int) -> Expr:
        """Return the symbol yᵢ of an output's true value."""
        return self._one(self.formulas.network.depth, i, LABEL)

    def w(self, k: int, i: int, j: int) -> Expr:
        """Return the symbol wᵢⱼ⁽ᵏ⁾ of the weight from neuron j to neuron i."""
        return _indexed(symbol("w", k), f"{i}{j}")

    def b(self, k: int, i: int) -> Expr:
        """Return the symbol bᵢ⁽ᵏ⁾ of a neuron's bias."""
        return _indexed(symbol("b", k), str(i))

    def delta(self, k: int, i: int) -> Expr:
        """Return the symbol δᵢ⁽ᵏ⁾ of a neuron's back-propagated error."""
        return _indexed(error_name(k), str(i))

    def _slope_name(self, k: int, i: int) -> Expr:
        return prime(self.formulas.f(k), self.z(k, i))

    # -- forward -----------------------------------------------------------------------

    def forward(self) -> Iterator[Equation]:
        """Yield the forward-pass equations of every neuron's zᵢ and aᵢ, by layer."""
        net = self.formulas.network
        for k in net.layers:
            for i in self._all(k):
                terms = [_times(self.w(k, i, j), self.a(k - 1, j))
                         for j in self._all(k - 1)]  # fmt: skip
                terms += [self.b(k, i)] if net.bias(k) else []
                yield Equation((self.z(k, i), _plus(terms)))
            for i in self._all(k):
                yield Equation((self.a(k, i), self._activated(k, i)))

    def _all(self, k: int) -> range:
        return range(1, self._size(k) + 1)

    def _activated(self, k: int, i: int) -> Expr:
        if self.formulas.mixes(k):
            every = [f.exp(self.z(k, j)) for j in self._all(k)]
            return Quotient(f.exp(self.z(k, i)), _plus(every))
        return _scalars(self.formulas.function(k).of(self.z(k, i)))

    # -- loss --------------------------------------------------------------------------

    def loss(self) -> Iterator[Equation]:
        """Yield the equations of the loss ℒ and of its derivatives ∂ℒ/∂ŷᵢ."""
        o, last = self.formulas.objective, self.formulas.network.depth
        many = self._size(last) if o.over_outputs else 1
        pairs = [(self.a(last, i), self.y(i)) for i in self._all(last)]
        terms: list[tuple[int, Expr]] = []
        for p, y in pairs:
            e = _scalars(o.each(p, y))
            if isinstance(e, Sum) and len(e.terms) == 1:
                terms += e.terms
            else:
                terms.append((1, e))
        negative = all(sign < 0 for sign, __ in terms)
        if negative:
            terms = [(1, e) for __, e in terms]
        summed = _plus([e for __, e in terms])
        share = o.factor / many
        if share in (0.5, 1.0):
            summed = _times(Number(share), summed)
        else:
            summed = _times(Number(o.factor), Quotient(Number(1), Number(many)), summed)
        yield Equation((LOSS, -summed if negative else summed))
        for p, y in pairs:
            sides = [_scalars(_over(e, many)) for e in o.slopes(p, y)]
            yield Equation((slope_of(p), *sides))

    # -- errors ------------------------------------------------------------------------

    def slopes(self, k: int) -> Iterator[Equation]:
        """Yield the equations of layer k's activation derivatives fₖ′(zᵢ), ∂aᵢ/∂zⱼ."""
        formulas = self.formulas
        if not formulas.mixes(k):
            for i in self._all(k):
                slope = formulas.function(k).shortest(self.z(k, i), self.a(k, i))
                yield Equation((self._slope_name(k, i), _scalars(slope)))
            return
        for i in self._all(k):
            for j in self._all(k):
                a, other = self.a(k, i), self.a(k, j)
                product = _times(a, 1 - a) if i == j else -_times(a, other)
                yield Equation((partial(a, self.z(k, j)), product))

    def errors(self, k: int) -> Iterator[Equation]:
        """Yield the equations of the back-propagated errors δᵢ of layer k's neurons."""
        for i in self._all(k):
            sides: list[Expr] = [self.delta(k, i), slope_of(self.z(k, i))]
            if k == self.formulas.network.depth:
                sides += self._last(k, i)
            else:
                sides.append(self._behind(k, i))
            yield Equation(tuple(dict.fromkeys(sides)))

    def _last(self, k: int, i: int) -> Iterator[Expr]:
        o = self.formulas.objective
        many = self._size(k) if o.over_outputs else 1
        p, y = self.a(k, i), self.y(i)
        if self.formulas.mixes(k):
            yield self._mixed(k, i, [slope_of(self.a(k, j)) for j in self._all(k)])
        else:
            yield _times(slope_of(p), self._slope_name(k, i))
            gradient = _over(o.slopes(p, y)[-1], many)
            slope = self.formulas.function(k).shortest(self.z(k, i), p)
            if o.delta is None:
                yield _times(_scalars(gradient), _scalars(slope))
        if o.delta is not None:
            yield _scalars(_over(o.delta(p, y), many))

    def _behind(self, k: int, i: int) -> Expr:
        """Return the formula of a neuron's error δᵢ⁽ᵏ⁾ from the next layer's errors."""
        if self.formulas.mixes(k):
            arriving = [self._arriving(k, j) for j in self._all(k)]
            return self._mixed(k, i, arriving)
        return _times(self._arriving(k, i), self._slope_name(k, i))

    def _arriving(self, k: int, i: int) -> Expr:
        return _plus(
            [
                _times(self.w(k + 1, m, i), self.delta(k + 1, m))
                for m in self._all(k + 1)
            ]
        )

    def _mixed(self, k: int, i: int, arriving: list[Expr]) -> Expr:
        """Return the formula ∑ⱼ g ∂aⱼ/∂zᵢ of a neuron's error δᵢ in a softmax layer."""
        pairs = zip(self._all(k), arriving)
        return _plus([_times(g, partial(self.a(k, j), self.z(k, i))) for j, g in pairs])

    # -- weights -----------------------------------------------------------------------

    def gradients(self, k: int) -> Iterator[Equation]:
        """Yield the equations of layer k's parameter gradients ∂ℒ/∂wᵢⱼ and ∂ℒ/∂bᵢ."""
        for i in self._all(k):
            for j in self._all(k - 1):
                a = self.a(k - 1, j)
                sides = [slope_of(self.w(k, i, j)), _times(self.delta(k, i), a)]
                if k < self.formulas.network.depth:
                    sides.append(_plus([_times(p, a) for p in self._paths(k, i)]))
                yield Equation(tuple(sides))
        if self.formulas.network.bias(k):
            for i in self._all(k):
                yield Equation((slope_of(self.b(k, i)), self.delta(k, i)))

    def _paths(self, k: int, i: int) -> list[Expr]:
        """Return the product of derivatives on each path from an output to zᵢ⁽ᵏ⁾."""
        if k == self.formulas.network.depth:
            return [self.delta(k, i)]
        through = [i] if not self.formulas.mixes(k) else list(self._all(k))
        paths: list[Expr] = []
        for j in through:
            slope = self._slope_name(k, i)
            if self.formulas.mixes(k):
                slope = partial(self.a(k, j), self.z(k, i))
            for m in self._all(k + 1):
                w = self.w(k + 1, m, j)
                paths += [_times(path, w, slope) for path in self._paths(k + 1, m)]
        return paths

    # -- numbers -----------------------------------------------------------------------

    def equations(self) -> Iterator[Equation]:
        """Yield all element-by-element equations of back-propagation, in order."""
        layers = self.formulas.network.layers
        yield from self.forward()
        yield from self.loss()
        for k in reversed(layers):
            yield from self.slopes(k)
            yield from self.errors(k)
        for k in reversed(layers):
            yield from self.gradients(k)

    def work_out(
        self, parameters: dict[str, Array], x: Array, y: Array
    ) -> dict[Expr, Quantity]:
        """Compute the numbers of every neuron's symbols for one sample."""
        numbers = known_quantities(self.formulas.network, parameters, x, y)
        numbers |= {e: _number(v) for e, v in self._known_quantities(parameters, x, y)}
        for equation in self.equations():
            value = _number(computed(equation.sides[-1], numbers))
            numbers[equation.name] = value
            for side in equation.sides[1:-1]:
                if isinstance(side, Quotient) and side.bar:
                    numbers[side] = value
        return numbers

    def _known_quantities(
        self, parameters: dict[str, Array], x: Array, y: Array
    ) -> Iterator[tuple[Expr, Array]]:
        net = self.formulas.network
        for j in self._all(0):
            yield self.a(0, j), x[0, j - 1]
        for i in self._all(net.depth):
            yield self.y(i), y[0, i - 1]
        for k in net.layers:
            for i in self._all(k):
                for j in self._all(k - 1):
                    yield self.w(k, i, j), parameters[f"W{k}"][i - 1, j - 1]
                if net.bias(k):
                    yield self.b(k, i), parameters[f"b{k}"][i - 1]


def _over(e: Expr, many: int) -> Expr:
    return e if many == 1 else tidy(e / many)


def _number(value: Array) -> Quantity:
    return Quantity(np.asarray(value, np.float64).reshape(()))


def _indexed(name: Script, index: str) -> Expr:
    return Script(name.base, name.above, Atom(index))
