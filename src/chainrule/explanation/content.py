"""The content of a training step's explanation: equations with their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, nearest
from chainrule.explanation.checking import Check, checked, departures
from chainrule.explanation.naming import Layer
from chainrule.explanation.paths import ElementPath
from chainrule.explanation.plain import is_sampled
from chainrule.explanation.rounding import is_float64, upcast_run
from chainrule.explanation.run import Run
from chainrule.explanation.trace import Trace
from chainrule.explanation.worked import Section, Worked
from chainrule.graph.node import Array, Value
from chainrule.notation.expressions import Expr
from chainrule.text import _
from chainrule.text.catalogue import current


@dataclass(frozen=True)
class Shown:
    """A quantity in an explanation: symbol, name, numbers and gradient.

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
    """An explanation of a layer z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾, with its numbers.

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
        """The module path of an explained layer in its model."""
        return self.weight_name.rpartition(".")[0]

    @property
    def formulas(self) -> dict[str, str]:
        """The formulas of an explained layer in LaTeX; see :attr:`Section.formulas`."""
        return self.section.formulas

    @property
    def texts(self) -> dict[str, str]:
        """The formulas of an explained layer as text; see :attr:`Section.texts`."""
        return self.section.texts

    def symbol(self, name: str) -> str:
        """Return the symbol of a layer's parameter by its name in the ``state_dict``.

        >>> from chainrule.explanation import example
        >>> example().layer(2).symbol("2.bias")
        'b⁽²⁾'
        """
        return next(
            s.text() for s, known in self.section.tensors.items() if known == name
        )

    def __str__(self) -> str:
        return "\n".join(e.text() for e in self.section.equations())

    def __repr__(self) -> str:
        sizes = " → ".join(map(str, self.W.shape[::-1][:2]))
        return f"<layer {self.l}, {self.weight_name}: {sizes}>"


@dataclass(frozen=True, eq=False, repr=False)
class Explained(Worked):
    """The content of a training step's explanation: sections, numbers and notes.

    Attributes:
        again: explains another step.
        notes: remarks for the reader.
        constants: the symbols of arrays that stand in the graph itself, such as the
            angles of positions.
        only: the layers that are shown; all of them by default.
        lang: the language in which it was made, and is shown.
    """

    again: Callable[[Run], Explained]
    notes: tuple[str, ...] = ()
    constants: tuple[Expr, ...] = ()
    only: tuple[int, ...] = ()
    lang: str = field(default_factory=current)

    # -- numbers -----------------------------------------------------------------------

    @property
    def n(self) -> int:
        """The number of samples of an explained training step."""
        return self.run.n

    @property
    def loss(self) -> float:
        """The value of the loss ℒ in an explained training step."""
        return float(self.run.arrays[self.run.loss])

    @property
    def predictions(self) -> Array:
        """The predictions ŷ of an explained training step, a column for each sample."""
        value = self.names.scores or self.run.predictions[0]
        return on_paper(self.run.arrays[value], value)

    @property
    def x(self) -> Array:
        """The inputs x of an explained training step, a column for each sample."""
        return on_paper(self.run.arrays[self.run.x[0]], self.run.x[0])

    @property
    def y(self) -> Array:
        """The true values y of an explained training step, a column for each sample."""
        return on_paper(self.run.arrays[self.run.y], self.run.y)

    @cached_property
    def exact(self) -> Explained:
        """The same training step, explained in float64 from equal inputs."""
        return self if is_float64(self.run) else self.again(upcast_run(self.run))

    @cached_property
    def departures(self) -> dict[Expr, Array]:
        """The errors of an explanation's float32 numbers by symbol."""
        return departures(self)

    @cached_property
    def trace(self) -> Trace:
        """The graph of an explained step with float64 numbers; see :class:`Trace`."""
        return Trace(self.exact.run, self.exact.names)

    def element(self, name: str, index: Any) -> ElementPath:
        """Return an element's path through the chain rule to the loss, with numbers.

        The path is worked out in float64; ``path.own`` is the gradient that the run has
        in its own dtype.
        """
        path = self.trace.element(name, index)
        if self.exact is self:
            return path
        first, shown = path.steps[0], self[name]
        assert shown.grad is not None
        own = shown.grad[first.index]
        return replace(path, own=(own.item(), own.dtype.name))

    def __getitem__(self, name: str) -> Shown:
        """Return an explained quantity by symbol or name, with its gradient.

        Raises:
            ArgumentError: where there is none of that name.

        >>> from chainrule.explanation import example
        >>> example()["0.bias"].grad.shape
        (2,)
        """
        run, value = self.run, Trace(self.run, self.names).find(name)
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
        """The explanations of a model's layers z = W a + b, in forward order."""
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
        """Return a layer's explanation by number, or by name of its module or weight.

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
            _("There is no layer {which}.", which=repr(which)),
            expected=_(
                "1 … {many}, or one of {names}",
                many=len(names),
                names=", ".join(map(repr, names)),
            ),
            got=repr(which),
            fix=repr(near)
            if near
            else _(
                "layers count from 1, as in the book: a⁽⁰⁾ is the input, and has no W"
            ),
        )

    # -- formulas ----------------------------------------------------------------------

    @property
    def texts(self) -> dict[str, str]:
        """The formulas of the loss and of operations before layer 1, as text."""
        texts: dict[str, str] = {}
        for section in self.sections:
            if not section.l:
                texts |= section.texts
        return texts

    @property
    def formulas(self) -> dict[str, str]:
        """The formulas of the loss and of operations before layer 1, in LaTeX."""
        formulas: dict[str, str] = {}
        for section in self.sections:
            if not section.l:
                formulas |= section.formulas
        return formulas

    def check(self) -> Check:
        """Check every formula of an explanation against the numbers shown.

        >>> from chainrule.explanation import example
        >>> example().check().ok
        True
        """
        return checked(self, self.exact)


def on_paper(array: Array, value: Value) -> Array:
    """Return an array as the textbook writes it: a column for each sample."""
    if array.ndim == 1:
        return array[None, :] if is_sampled(value) else array[:, None]
    if array.ndim == 2 and is_sampled(value):
        return array.T
    return array
