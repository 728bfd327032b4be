"""A step-by-step derivation of back-propagation through any feed-forward network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chainrule import nn
from chainrule.book.derivation.elements import Elements, refuse_large
from chainrule.book.derivation.formulas import (
    RATE,
    Formulas,
    known_quantities,
    work_out,
)
from chainrule.book.derivation.keys import key_of
from chainrule.book.derivation.network import Network, network_of, parse
from chainrule.book.derivation.numbers import array_of, parameters, samples
from chainrule.book.derivation.objectives import objective_of
from chainrule.book.derivation.steps import Step, steps_of
from chainrule.errors import ArgumentError
from chainrule.explanation.document import Document
from chainrule.explanation.equations import Equation
from chainrule.explanation.parts import Formula, Heading, Part, Sentence, paper
from chainrule.notation.arithmetic import Quantity
from chainrule.notation.expressions import Array, Expr, Relation
from chainrule.text import _, ngettext, tr
from chainrule.text.catalogue import current
from chainrule.text.languages import language


@dataclass(frozen=True, eq=False, repr=False)
class Derivation(Document):
    """A derivation of back-propagation: steps, each with a reason and equations.

    ``print(derivation)`` shows it, :meth:`show` with colours, a notebook as a page;
    :meth:`to_html`, :meth:`to_markdown`, :meth:`to_latex` and :meth:`to_json` write it.
    ``derivation["delta1"]`` is one of its equations.

    Attributes:
        formulas: all equations, by key.
        steps: the steps.
        elements: whether it goes on element by element.
        lang: the language in which it was made, and is shown.
    """

    formulas: Formulas
    steps: tuple[Step, ...]
    elements: bool = False
    lang: str = field(default_factory=current)

    @property
    def network(self) -> Network:
        """The network whose back-propagation is derived."""
        return self.formulas.network

    @property
    def loss(self) -> str:
        """The name of the loss whose back-propagation is derived."""
        return self.formulas.objective.name

    @property
    def batch(self) -> bool:
        """True if a derivation of back-propagation is for a batch of n samples."""
        return self.formulas.batch

    def equations(self) -> Iterator[Equation]:
        """Yield all equations of a derivation of back-propagation, step by step."""
        for step in self.steps:
            yield from step.equations

    def __getitem__(self, name: str) -> Equation:
        """Return an equation of a derivation by its key (``"delta1"``) or its symbol.

        Raises:
            ArgumentError: where there is none.

        >>> print(derive("2-2sigmoid-1sigmoid")["dW2"])
        ∂ℒ/∂W⁽²⁾ = δ⁽²⁾ (a⁽¹⁾)ᵀ
        """
        return self.formulas.all[key_of(name, self.network)]

    # -- numbers -----------------------------------------------------------------------

    def evaluate(
        self, weights: Any, x: Any, y: Any, lr: float | None = None
    ) -> dict[str, Array]:
        """Compute a derivation's formulas from numbers; return arrays of columns.

        Args:
            weights: a model, or a mapping from W1, b1, … (or from names of the
                ``state_dict``) to numbers.
            x: rows of features; or one sample.
            y: a row of truths for each sample; for classes their numbers.
            lr: η; without it the updated parameters are left out.

        Returns:
            Arrays by symbol, a column for each sample: ``"δ⁽¹⁾"``, ``"∂ℒ/∂W⁽¹⁾"``; the
            updated parameters as ``"(W⁽¹⁾)′"``.

        Raises:
            ArgumentError, ShapeError, NonFiniteError: numbers that do not fit; several
                samples where one is derived (``batch=True`` derives any number).

        >>> d = derive("2-1sigmoid")
        >>> found = d.evaluate({"W1": [1.0, 2.0], "b1": [-2.0]}, [2.0, 0.0], [1.0])
        >>> print(found["∂ℒ/∂W⁽¹⁾"])
        [[-0.25  0.  ]]
        """
        return {
            name.text(): paper(q)
            for name, q in self.worked(weights, x, y, lr).items()
            if not isinstance(name, Relation)
        }

    def worked(
        self, weights: Any, x: Any, y: Any, lr: float | None = None
    ) -> dict[Expr, Quantity]:
        """Compute a derivation's formulas from numbers; return values by expression."""
        formulas = self.formulas
        arrays = parameters(self.network, weights)
        xs, ys = samples(formulas, x, y)
        if len(xs) > 1 and not self.batch:
            raise ArgumentError(
                _("These are the formulas of one sample."),
                expected=_("one sample"),
                got=ngettext("{n} sample", "{n} samples", n=len(xs)),
                fix="derive(…, batch=True)",
            )
        numbers = known_quantities(self.network, arrays, xs, ys)
        work_out(formulas, numbers, (*formulas.forward, *formulas.backward))
        if lr is not None:
            numbers[RATE] = Quantity(array_of("lr", lr))
            work_out(formulas, numbers, formulas.updates)
        if self.elements:
            numbers |= Elements(formulas).work_out(arrays, xs, ys)
        return numbers

    # -- shown -------------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Return a derivation as document parts: headings, sentences and formulas."""
        many, sizes = self.network.depth, self.network.sizes
        parts: list[Part] = [
            Heading(
                tr(
                    "Back-propagation through {sizes}, derived",
                    sizes=" → ".join(map(str, sizes)),
                )
            ),
            Sentence(f"{self.network}, {self.loss}", "note"),
            Sentence(
                tr(
                    "Layers counted as the book does in 3.7: {many}; with the input, as"
                    " in 3.2.1: {more}.",
                    many=many,
                    more=many + 1,
                ),
                "note",
            ),
        ]
        parts.append(
            Sentence(
                tr("n samples, a column each; s = 1 … n counts them.")
                if self.batch
                else tr("One sample, a column, as the book writes it."),
                "note",
            )
        )
        for step in self.steps:
            parts.append(Heading(f"{step.number}. {step.title}", 2))
            parts.append(Sentence(step.why))
            parts += map(Formula, step.equations)
        return parts

    def __repr__(self) -> str:
        return tr(
            ngettext(
                "<derivation of {network}, {loss}: {n} step; print it>",
                "<derivation of {network}, {loss}: {n} steps; print it>",
                n=len(self.steps),
                network=self.network,
                loss=self.loss,
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return a back-propagation derivation as JSON data, formulas as text."""
        return {
            "network": str(self.network),
            "sizes": list(self.network.sizes),
            "activations": list(self.network.activations),
            "loss": self.loss,
            "batch": self.batch,
            "layers": {"3.7": self.network.depth, "3.2.1": self.network.depth + 1},
            "steps": [step.to_json() for step in self.steps],
        }


def derive(
    network: str | nn.Module,
    loss: Any = "half_squared",
    *,
    batch: bool = False,
    elements: bool = False,
    lang: str | None = None,
) -> Derivation:
    """Derive back-propagation through a feed-forward network, step by step.

    From the forward pass and the loss back to ∂ℒ/∂W⁽ˡ⁾ = δ⁽ˡ⁾ (a⁽ˡ⁻¹⁾)ᵀ of every
    layer, each step by the chain rule with its reason.

    Args:
        network: sizes from the input on, with the activation behind each layer's size:
            ``"2-3tanh-1sigmoid"`` (sigmoid, tanh, relu, leakyrelu, gelu, softmax, or
            none); or an ``nn.Sequential`` of such layers.
        loss: ``"half_squared"`` (½, of 3.7), ``"mse"`` (1/n, of 2.5.1), ``"half_mse"``
            (1/2n, of 3.3), ``"cross_entropy"`` (behind softmax),
            ``"binary_cross_entropy"`` (behind sigmoid), ``"hinge"``; or the loss of
            ``chainrule.nn``.
        batch: for n samples, a column each, instead of one.
        elements: go on element by element, with the sum over all paths from each
            weight; for small networks.
        lang: ``"en"`` or ``"zh-TW"``; by default that of the locale.

    Raises:
        ParseError: a description that cannot be read, with the place.
        ArgumentError: a loss that is not known or does not fit the network's end; a
            network too large for ``elements``.

    >>> d = derive("2-2sigmoid-1sigmoid", loss="half_squared")
    >>> for side in d["delta2"].sides:
    ...     print(side)
    δ⁽²⁾
    ∂ℒ/∂z⁽²⁾
    ∂ℒ/∂ŷ ⊙ ∂ŷ/∂z⁽²⁾
    (ŷ − y) ⊙ f₂′(z⁽²⁾)
    (ŷ − y) ⊙ ŷ ⊙ (1 − ŷ)
    """
    with language(lang):
        text = isinstance(network, str) or not isinstance(network, nn.Module)
        net = parse(network) if text else network_of(network)  # pyright: ignore
        o, net = objective_of(loss, net)
        formulas = Formulas(net, o, bool(batch))
        if elements:
            refuse_large(formulas)
        steps = steps_of(formulas, elements=elements)
        return Derivation(formulas, steps, bool(elements))
