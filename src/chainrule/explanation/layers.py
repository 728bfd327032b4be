"""What an explanation consists of: equations, layers, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.errors import ArgumentError
from chainrule.explanation.network import Network
from chainrule.graph.node import Array
from chainrule.notation.expressions import Expr, Numbers


@dataclass(frozen=True)
class Equation:
    """A formula: one left side and what it equals, step by step.

    Attributes:
        sides: the expressions that are equal, the name first.
        remark: a few words about it.
    """

    sides: tuple[Expr, ...]
    remark: str = ""

    @property
    def name(self) -> Expr:
        """What the formula defines."""
        return self.sides[0]

    def latex(self) -> str:
        """``name = … = …`` in LaTeX."""
        return " = ".join(side.latex() for side in self.sides)

    def text(self) -> str:
        """``name = … = …`` for the terminal."""
        return " = ".join(side.text() for side in self.sides)


@dataclass(frozen=True, eq=False, repr=False)
class LayerExplanation:
    """One layer: z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾, its activation and its derivatives.

    All arrays are as they stand on paper: a sample is a column. So the formulas hold
    as written, ``layer.W @ layer.input + layer.b == layer.z``.

    Attributes:
        l: the number of the layer, 1 … L, as the book counts.
        name: the module's path in the model, such as ``"0"``.
        weight_name, bias_name: what the ``state_dict`` calls W and b.
        W: weights, shape (m, k) for m neurons with k inputs.
        b: biases, shape (m, 1); None without.
        input: a⁽ˡ⁻¹⁾, shape (k, n); for the first layer x.
        z, a: weighted input and activation, shape (m, n).
        delta: δ⁽ˡ⁾ = ∂ℒ/∂z⁽ˡ⁾, shape (m, n).
        dW, db: ∂ℒ/∂W and ∂ℒ/∂b, in the shapes of W and b.
        equations: the formulas by name: ``z``, ``a``, ``delta``, ``dW``, ``db``; and
            where they apply ``prediction`` (ŷ), ``gradient`` (∂ℒ/∂a), ``recursion``
            (δ as the book writes it) and ``slope`` (f′); ``normalised`` (ẑ, where a
            normalisation acts on z) and ``normalised_gradient`` (∂ℒ/∂ẑ).
        path: the backward nodes that lead to δ⁽ˡ⁾ from the δ of the layer above.
        notes: remarks for the reader.
        symbols: how the text calls this layer's quantities.
    """

    l: int  # noqa: E741  (the book's letter)
    name: str
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
    equations: Mapping[str, Equation]
    path: str
    notes: tuple[str, ...]
    symbols: Mapping[str, str]

    @property
    def formulas(self) -> dict[str, str]:
        r"""The formulas in LaTeX: ``z``, ``a``, ``delta``, ``dW``, ``db`` and others.

        >>> from chainrule.explanation import example
        >>> print(example().layer(1).formulas["z"])
        z^{(1)} = W^{(1)} x + b^{(1)}
        """
        return {name: e.latex() for name, e in self.equations.items()}

    @property
    def texts(self) -> dict[str, str]:
        """The same formulas in characters that a terminal shows.

        >>> from chainrule.explanation import example
        >>> print(example().layer(1).texts["recursion"])
        δ⁽¹⁾ = ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ f′(z⁽¹⁾)
        """
        return {name: e.text() for name, e in self.equations.items()}

    def __str__(self) -> str:
        return "\n".join(self.texts.values())

    def __repr__(self) -> str:
        sizes = f"{self.W.shape[1]} → {self.W.shape[0]}"
        return f"<layer {self.l}, {self.weight_name}: {sizes}>"


@dataclass(frozen=True, eq=False, repr=False)
class Layers:
    """Every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b of one step: formulas and numbers.

    Attributes:
        layers: one :class:`LayerExplanation` a layer, the first first.
        loss: ℒ.
        predictions: ŷ, a column for each sample. Where the softmax is part of the
            loss (cross-entropy from scores), these are its probabilities.
        x, y: samples and truths as shown: columns (class labels in one row).
        n: the number of samples.
        equations: ``loss``, and ``input`` where the first layer does not read x itself.
        notes: remarks for the reader.
        numbers: the array behind each symbol.
        only: the layers that the text shows; all of them by default.
    """

    layers: tuple[LayerExplanation, ...]
    loss: float
    predictions: Array
    x: Array
    y: Array
    n: int
    equations: Mapping[str, Equation]
    notes: tuple[str, ...]
    numbers: Numbers
    network: Network
    only: tuple[int, ...] = ()

    @property
    def formulas(self) -> dict[str, str]:
        """The loss (and what comes before the first layer) in LaTeX."""
        return {name: e.latex() for name, e in self.equations.items()}

    @property
    def texts(self) -> dict[str, str]:
        """The same for the terminal."""
        return {name: e.text() for name, e in self.equations.items()}

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
        raise ArgumentError(
            f"There is no layer {which!r}.",
            expected=f"1 … {len(self.layers)}, or one of "
            + ", ".join(repr(layer.weight_name) for layer in self.layers),
            got=repr(which),
            fix="layers count from 1, as in the book: a⁽⁰⁾ is the input, and has no W",
        )
