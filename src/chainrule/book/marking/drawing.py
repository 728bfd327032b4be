"""Random numbers for network exercises that a person can work out by hand.

Inputs, weights and biases have one decimal. Nothing is dead or saturated everywhere, no
z lies at a corner, no prediction is right already. The same seed gives the same numbers
on every machine: they are made of ``random.Random(seed).random()`` alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from chainrule import nn
from chainrule.book.derivation.activations import IDENTITY
from chainrule.book.derivation.formulas import (
    RATE,
    Formulas,
    error_name,
    known_quantities,
    name_of,
    work_out,
)
from chainrule.book.derivation.network import Network
from chainrule.book.derivation.numbers import module_of
from chainrule.errors import ArgumentError
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.explanation.signs import LABEL
from chainrule.notation.arithmetic import COLUMNS, Quantity
from chainrule.notation.expressions import Array, Expr
from chainrule.text import _, ngettext

#: What a person works out by hand: neurons in a layer, layers, samples.
WIDEST, DEEPEST, MANY = 6, 4, 4
#: Tries for each layer, and for all of them together.
TRIES = 400
#: |z| beyond which nothing is learned.
SATURATED = {"sigmoid": 2.5, "tanh": 1.5, "gelu": 2.5}
#: A wrong prediction is off by so much at least, and so large is some δ of each layer.
OFF, ERROR = 0.05, 0.004
_FLAT = ("relu", "leakyrelu")

Numbers = dict[Expr, Quantity]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The random numbers of a network exercise: samples, true values, parameters.

    Attributes:
        formulas: of the network.
        numbers: all of them by symbol: what is given, and what is to be worked out.
        parameters: W and b by key, before the update.
        x, y: samples and truths in rows; one-hot rows for classes.
        lr: η.
    """

    formulas: Formulas
    numbers: Numbers
    parameters: dict[str, Array]
    x: Array
    y: Array
    lr: float

    def of(self, key: str) -> Quantity:
        """Return the numbers of an exercise's quantity (z, a, δ, …) by key."""
        return self.numbers[name_of(self.formulas, key)]

    def module(self) -> nn.Module:
        """Return the network of an exercise, with its parameters before the update."""
        return module_of(self.formulas.network, self.parameters)


def drawn(formulas: Formulas, seed: int, samples: int) -> Drawn:
    """Draw random numbers for a network exercise, reproducible by the seed.

    Raises:
        ArgumentError: more than a person works out by hand.
    """
    _refuse_large(formulas.network, samples)
    drawer = _Drawer(replace(formulas, batch=samples > 1), seed, samples)
    for __ in range(TRIES):
        exercise = drawer.once()
        if exercise is not None:
            return exercise
    raise ArgumentError(
        _("No numbers were found with which this network could be worked out by hand."),
        expected=_("a smaller network, or fewer samples"),
        got=str(formulas.network),
        fix=_("--seed {seed}", seed=seed + 1),
    )


def _refuse_large(network: Network, samples: int) -> None:
    if max(network.sizes) > WIDEST or network.depth > DEEPEST or samples > MANY:
        raise ArgumentError(
            _("That is more than a person works out by hand."),
            expected=_(
                "at most {wide} neurons in a layer, {deep} layers, {many} samples",
                wide=WIDEST,
                deep=DEEPEST,
                many=MANY,
            ),
            got=ngettext(
                "{network}, {n} sample",
                "{network}, {n} samples",
                n=samples,
                network=network,
            ),
        )


class _Drawer:
    def __init__(self, formulas: Formulas, seed: int, n: int) -> None:
        self.formulas, self.network, self.n = formulas, formulas.network, n
        self.random = random.Random(seed)

    def _one(self, most: int) -> float:
        """Return a random non-zero number with one decimal, for an exercise."""
        at = int(self.random.random() * 2 * most)
        return (at - most + (at >= most)) / 10

    def _array(self, shape: tuple[int, ...], draw: Callable[[], float]) -> Array:
        size = int(np.prod(shape, dtype=int))
        return np.array([draw() for __ in range(size)]).reshape(shape)

    def once(self) -> Drawn | None:
        """Draw an exercise's numbers once, by layer; return None if unsuitable."""
        F, sizes = self.formulas, self.network.sizes
        x = self._inputs()
        blank = np.zeros((self.n, sizes[-1]))
        parameters: dict[str, Array] = {}
        numbers = known_quantities(self.network, parameters, x, blank)
        for k, (before, size) in enumerate(pairwise(sizes), 1):
            if not self._layer(k, before, size, numbers, parameters):
                return None
        y = self._truths(numbers[PREDICTION].array)
        numbers[LABEL] = Quantity(y, COLUMNS)
        lr = (0.1, 0.2, 0.5)[int(self.random.random() * 3)]
        numbers[RATE] = Quantity(np.asarray(lr))
        work_out(F, numbers, (*F.backward, *F.updates))
        exercise = Drawn(F, numbers, parameters, x, y, lr)
        return exercise if self._is_worth_it(exercise) else None

    def _inputs(self) -> Array:
        """Return an exercise's random inputs in steps of 0.5, distinct in a sample."""
        size = self.network.sizes[0]
        while True:
            x = self._array((self.n, size), lambda: 5 * self._one(max(4, size)))
            if all(len(set(np.abs(row))) == size for row in x):
                return x

    def _layer(
        self,
        k: int,
        before: int,
        size: int,
        numbers: Numbers,
        parameters: dict[str, Array],
    ) -> bool:
        """Draw an exercise's W and b of layer k until z suits, or return False."""
        most = 9 if before < 4 else 5
        for __ in range(TRIES):
            parameters[f"W{k}"] = self._array((size, before), lambda: self._one(most))
            parameters[f"b{k}"] = self._array((size,), lambda: self._one(5))
            for letter in "Wb":
                numbers[symbol(letter, k)] = Quantity(parameters[f"{letter}{k}"])
            work_out(self.formulas, numbers, (f"z{k}", f"a{k}"))
            if _suits(self.network.activation(k), numbers[symbol("z", k)].array):
                return True
        return False

    def _truths(self, predicted: Array) -> Array:
        """Return an exercise's random true values that fit loss and last activation."""
        shape, kind = predicted.shape, self.formulas.objective.truths
        if kind == "classes":
            classes = [int(self.random.random() * shape[1]) for __ in range(shape[0])]
            return np.eye(shape[1])[classes]
        choices: tuple[float, ...] = (0.0, 1.0)
        last = self.network.activation(self.network.depth)
        if kind == "signs":
            choices = (-1.0, 1.0)
        elif kind == "numbers" and last in (IDENTITY, *_FLAT, "gelu", "tanh"):
            choices = (-1.0, -0.5, 0.5, 1.0) if last != "relu" else (0.5, 1.0, 1.5)
        many = len(choices)
        return self._array(shape, lambda: choices[int(self.random.random() * many)])

    def _is_worth_it(self, exercise: Drawn) -> bool:
        """Return whether an exercise has wrong predictions and no vanishing errors."""
        p, y = exercise.numbers[PREDICTION].array, exercise.y
        if self.formulas.objective.truths == "signs":
            corner = 1 - y * p
            if np.min(np.abs(corner)) < OFF or not np.any(corner > 0):
                return False
        elif np.min(np.abs(p - y)) < OFF:
            return False
        errors = [exercise.numbers[error_name(k)].array for k in self.network.layers]
        return all(np.max(np.abs(d)) >= ERROR for d in errors)


def _suits(name: str, z: Array) -> bool:
    """Return whether weighted sums z suit an exercise: not saturated, not dead."""
    if np.min(np.abs(z)) < 0.05:
        return False
    if name in SATURATED:
        return bool(np.max(np.abs(z)) <= SATURATED[name])
    if name in _FLAT:  # half of the neurons are awake, and some in every sample
        awake = z > 0
        return bool(awake.mean() >= 0.5 and awake.any(axis=1).all())
    return bool(np.max(np.abs(z)) <= 4)
