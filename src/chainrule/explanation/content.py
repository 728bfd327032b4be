"""What an explanation holds: equations with their numbers, section by section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, nearest
from chainrule.explanation.equations import Equation
from chainrule.explanation.loops import Loop
from chainrule.explanation.naming import Layer, Names
from chainrule.explanation.plain import is_sampled
from chainrule.explanation.run import Run
from chainrule.explanation.trace import Trace
from chainrule.graph.node import Array, Value
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import Expr
from chainrule.translation import current, tr


@dataclass(frozen=True, eq=False)
class Section:
    """A layer and what follows it, up to the next one.

    Attributes:
        l: the number of the layer as the book counts; 0 for what comes before the
            first, and None for the loss.
        modules: the paths of the modules that compute it.
        given: the parameters that belong to it, by symbol, with their names in the
            ``state_dict``.
        forward, backward, update: the equations, in the order in which they are worked
            out.
        notes: remarks for the reader.
        loops: the loops within, each opened.
    """

    l: int | None  # noqa: E741  (the book's letter)
    modules: tuple[str, ...]
    given: Mapping[Expr, str]
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    update: tuple[Equation, ...] = ()
    notes: tuple[str, ...] = ()
    loops: tuple[Loop, ...] = ()

    def equations(self) -> Iterator[Equation]:
        """All of them."""
        yield from self.forward
        yield from self.backward
        yield from self.update

    @property
    def by_key(self) -> dict[str, Equation]:
        """The first equation of each kind."""
        found: dict[str, Equation] = {}
        for equation in self.equations():
            if equation.key:
                found.setdefault(equation.key, equation)
        return found

    @property
    def formulas(self) -> dict[str, str]:
        r"""The formulas in LaTeX, by what they say.

        >>> from chainrule.explanation import example
        >>> print(example().layer(1).formulas["z"])
        z^{(1)} = W^{(1)} x + b^{(1)}
        """
        return {key: e.latex() for key, e in self.by_key.items()}

    @property
    def texts(self) -> dict[str, str]:
        """The same formulas in characters that a terminal shows.

        >>> from chainrule.explanation import example
        >>> print(example().layer(1).texts["z"])
        z⁽¹⁾ = W⁽¹⁾ x + b⁽¹⁾
        """
        return {key: e.text() for key, e in self.by_key.items()}


@dataclass(frozen=True)
class Shown:
    """A quantity of an explanation.

    Attributes:
        symbol: how it is written.
        name: what the ``state_dict`` calls it, or the module that gives it.
        value: its numbers, as they lie in memory: samples first.
        grad: ∂ℒ/∂value, of the same shape; None where ℒ does not depend on it.
    """

    symbol: str
    name: str
    value: Array
    grad: Array | None

    def __repr__(self) -> str:
        return f"<{self.symbol}: {tuple(self.value.shape)}>"


@dataclass(frozen=True, eq=False, repr=False)
class LayerExplanation:
    """One layer z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾ with its numbers as they stand on paper.

    A sample is a column, so the formulas hold as written: ``W @ input + b == z``. For a
    convolution, and for sequences, arrays are as they lie in memory.

    Attributes:
        l: the number of the layer, 1 … L, as the book counts.
        weight_name, bias_name: what the ``state_dict`` calls W and b.
        W: the weights, shape (m, k) for m neurons with k inputs.
        b: the biases, shape (m, 1); None without.
        input: a⁽ˡ⁻¹⁾, shape (k, n); for the first layer x.
        z, a: weighted input and activation, shape (m, n).
        delta: δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾, shape (m, n).
        dW, db: ∂ℒ/∂W and ∂ℒ/∂b, in the shapes of W and b.
        section: its equations and remarks.
    """

    l: int  # noqa: E741
    weight_name: str
    bias_name: str | None
    W: Array
    b: Array | None
    input: Array
    z: Array
    a: Array
    delta: Array
    dW: Array  # noqa: N815
    db: Array | None
    section: Section

    @property
    def name(self) -> str:
        """The path of the module."""
        return self.weight_name.rpartition(".")[0]

    @property
    def formulas(self) -> dict[str, str]:
        """See :attr:`Section.formulas`."""
        return self.section.formulas

    @property
    def texts(self) -> dict[str, str]:
        """See :attr:`Section.texts`."""
        return self.section.texts

    def symbol(self, name: str) -> str:
        """How a parameter of the layer is written, by its name in the ``state_dict``.

        >>> from chainrule.explanation import example
        >>> example().layer(2).symbol("2.bias")
        'b⁽²⁾'
        """
        return next(
            s.text() for s, known in self.section.given.items() if known == name
        )

    def __str__(self) -> str:
        return "\n".join(e.text() for e in self.section.equations())

    def __repr__(self) -> str:
        sizes = " → ".join(map(str, self.W.shape[::-1][:2]))
        return f"<layer {self.l}, {self.weight_name}: {sizes}>"


@dataclass(frozen=True)
class Check:
    """What came out when the shown formulas were worked out again, in float64.

    Attributes:
        errors: for each equation the largest difference from the number shown,
            relative to the largest number in it.
        tolerance: what rounding explains, in the dtype of the network.
    """

    errors: Mapping[str, float]
    tolerance: float

    @property
    def error(self) -> float:
        """The largest error of all."""
        return max(self.errors.values(), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every error is within the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        if not self.errors:
            return tr("checked: there is nothing to check")
        worst = max(self.errors, key=self.errors.__getitem__)
        if not self.ok:
            return tr(
                "checked: THE NUMBERS DISAGREE with the formulas: largest error"
                " {error} at {worst}, {tolerance} allowed",
                error=f"{self.error:.1e}",
                worst=worst,
                tolerance=f"{self.tolerance:.0e}",
            )
        return tr(
            "checked: {count} formulas worked out from the numbers shown; largest"
            " relative error {error}",
            count=len(self.errors),
            error=f"{self.error:.1e}",
        )


@dataclass(frozen=True, eq=False, repr=False)
class Explained:
    """What an explanation holds; see :class:`Explanation`.

    Attributes:
        run: the step.
        names: the names of its values.
        sections: the layers and what belongs to them, first what comes before layer 1,
            last the loss.
        numbers: the numbers of every symbol.
        notes: remarks for the reader.
        constants: the symbols of arrays that stand in the graph itself, such as the
            angles of positions.
        only: the layers that are shown; all of them by default.
        lang: the language in which it was made, and is shown.
    """

    run: Run
    names: Names
    sections: tuple[Section, ...]
    numbers: Mapping[Expr, Quantity]
    notes: tuple[str, ...] = ()
    constants: tuple[Expr, ...] = ()
    only: tuple[int, ...] = ()
    lang: str = field(default_factory=current)

    # -- numbers -----------------------------------------------------------------------

    @property
    def n(self) -> int:
        """The number of samples."""
        return self.run.n

    @property
    def loss(self) -> float:
        """ℒ."""
        return float(self.run.arrays[self.run.loss])

    @property
    def predictions(self) -> Array:
        """ŷ on paper; probabilities where the softmax is part of the loss."""
        value = self.names.scores or self.run.predictions[0]
        return on_paper(self.run.arrays[value], value)

    @property
    def x(self) -> Array:
        """The samples as they stand on paper."""
        return on_paper(self.run.arrays[self.run.x[0]], self.run.x[0])

    @property
    def y(self) -> Array:
        """The truths as they stand on paper."""
        return on_paper(self.run.arrays[self.run.y], self.run.y)

    @cached_property
    def trace(self) -> Trace:
        """The graph with all its numbers: see :class:`Trace`."""
        return Trace(self.run, self.names)

    def element(self, name: str, index: Any) -> Any:
        """One number and its whole path through the chain rule: see :class:`Trace`."""
        return self.trace.element(name, index)

    def __getitem__(self, name: str) -> Shown:
        """A quantity by its symbol or name, with its gradient.

        Raises:
            ArgumentError: where there is none of that name.

        >>> from chainrule.explanation import example
        >>> example()["0.bias"].grad.shape
        (2,)
        """
        value = self.trace.find(name)
        run = self.run
        g = run.cotangents.get(value)
        known = run.tensors.get(value, "")
        module = value.node.scope if value.node is not None else ""
        return Shown(
            self.names.of[value].text() if value in self.names.of else name,
            known or module,
            run.arrays[value],
            None if g is None else run.arrays[g],
        )

    # -- layers ------------------------------------------------------------------------

    @cached_property
    def layers(self) -> tuple[LayerExplanation, ...]:
        """The layers z = W a + b, the first first."""
        every = enumerate(self.names.layers, 1)
        return tuple([self._layer(k, layer) for k, layer in every])

    def _layer(self, k: int, layer: Layer) -> LayerExplanation:
        run, arrays = self.run, self.run.arrays

        def paper(value: Value | None, like: Value) -> Array:
            array = np.zeros_like(arrays[like]) if value is None else arrays[value]
            return on_paper(array, like)

        grads, bias = run.cotangents, layer.bias
        output = self.names.output(k)
        return LayerExplanation(
            l=k,
            weight_name=run.tensors[layer.weight],
            bias_name=None if bias is None else run.tensors[bias],
            W=arrays[layer.weight],
            b=None if bias is None else paper(bias, bias),
            input=paper(layer.input, layer.input),
            z=paper(layer.z, layer.z),
            a=paper(output, output),
            delta=paper(grads.get(layer.z), layer.z),
            dW=paper(grads.get(layer.weight), layer.weight),
            db=None if bias is None else paper(grads.get(bias), bias),
            section=next(s for s in self.sections if s.l == k),
        )

    def layer(self, which: int | str) -> LayerExplanation:
        """One layer, by the book's number or by the name of its module or weight.

        Raises:
            ArgumentError: where there is no such layer.

        >>> from chainrule.explanation import example
        >>> example().layer("2.weight").l
        2
        """
        for layer in self.layers:
            if which in (layer.l, layer.name, layer.weight_name):
                return layer
        names = [layer.weight_name for layer in self.layers]
        near = nearest(str(which), names)
        raise ArgumentError(
            tr("There is no layer {which}.", which=repr(which)),
            expected=tr(
                "1 … {many}, or one of {names}",
                many=len(names),
                names=", ".join(map(repr, names)),
            ),
            got=repr(which),
            fix=repr(near)
            if near
            else tr(
                "layers count from 1, as in the book: a⁽⁰⁾ is the input, and has no W"
            ),
        )

    # -- formulas ----------------------------------------------------------------------

    def equations(self) -> Iterator[Equation]:
        """All equations, section by section."""
        for section in self.sections:
            yield from section.equations()

    @property
    def texts(self) -> dict[str, str]:
        """Those of the loss, and of what comes before the first layer."""
        made: dict[str, str] = {}
        for section in self.sections:
            if not section.l:
                made |= section.texts
        return made

    @property
    def formulas(self) -> dict[str, str]:
        """The same in LaTeX."""
        made: dict[str, str] = {}
        for section in self.sections:
            if not section.l:
                made |= section.formulas
        return made

    def check(self) -> Check:
        """Work out every formula that is shown from the numbers that are shown.

        >>> from chainrule.explanation import example
        >>> example().check().ok
        True
        """
        errors: dict[str, float] = {}
        single = any(
            q.array.dtype.kind == "f" and q.array.dtype.itemsize < 8
            for q in self.numbers.values()
        )
        for equation in self.equations():
            known = self.numbers.get(equation.name)
            if known is None:
                continue
            for side in equation.sides[1:]:
                label = f"{equation.name.text()} = {side.text()}"
                errors[label] = difference(side, self.numbers, known.array)
        for section in self.sections:
            for loop in section.loops:
                errors |= _check_loop(loop)
        return Check(errors, 1e-4 if single else 1e-10)


def _check_loop(loop: Loop) -> dict[str, float]:
    """The largest error of each equation over the steps of a loop."""
    errors: dict[str, float] = {}
    for equation in loop.equations:
        side = equation.sides[-1]
        label = f"{loop.name}: {equation.text()}"
        errors[label] = max(
            difference(side, numbers, numbers[equation.name].array)
            for numbers in loop.steps
        )
    return errors


def difference(side: Expr, numbers: Mapping[Expr, Quantity], shown: Array) -> float:
    """The largest difference, relative to the largest number shown.

    There is none where it is no larger than what the last digits of the numbers make:
    where larger numbers cancel, nothing else is left.
    """
    found, kind = computed(side, numbers), shown.dtype
    shown = shown.astype(np.float64)
    if found.size == shown.size:
        found = found.reshape(shown.shape)
    else:
        found = np.broadcast_to(found, shown.shape)
    if np.array_equal(found, shown, equal_nan=True):
        return 0.0
    gap, size = _largest(found - shown), _largest(shown)
    if not np.isfinite(gap):
        return float("inf")
    digits = 100 * np.finfo(kind).eps if kind.kind == "f" else np.inf
    if gap > digits * size and gap <= _rounding(side, numbers):
        return 0.0
    return gap / max(size, 1e-30)


def _largest(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0))


def _rounding(side: Expr, numbers: Mapping[Expr, Quantity]) -> float:
    """How far a formula's value moves with the last digits of its numbers."""
    dice = np.random.default_rng(0)

    def moved(q: Quantity) -> Quantity:
        if q.array.dtype.kind != "f":
            return q
        step = 4 * np.finfo(q.array.dtype).eps
        by = 1 + step * dice.choice([-1.0, 1.0], q.array.shape)
        return replace(q, array=q.array.astype(np.float64) * by)

    exact = computed(side, numbers)
    near = [computed(side, {k: moved(q) for k, q in numbers.items()}) for _ in range(3)]
    return max(_largest(other - exact) for other in near)


def on_paper(array: Array, value: Value) -> Array:
    """Numbers as they stand on paper: a column for each sample."""
    if array.ndim == 1:
        return array[None, :] if is_sampled(value) else array[:, None]
    if array.ndim == 2 and is_sampled(value):
        return array.T
    return array
