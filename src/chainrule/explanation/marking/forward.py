"""Common mistakes (slips) in the forward pass: wrong formulas of z, a and ℒ."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.explanation.derivation.activations import ACTIVATIONS, SOFTMAX
from chainrule.explanation.marking.place import Place
from chainrule.explanation.marking.slip import LOSS, A, Z, slip
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.explanation.signs import LABEL
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product
from chainrule.text import tr

# -- z ---------------------------------------------------------------------------------


@slip(Z, lambda: tr("the bias b is missing"))
def bias_forgotten(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake that the bias is left out: W a."""
    if p.has_bias:
        yield p.W @ p.input


@slip(Z, lambda: tr("the bias b is added twice"))
def bias_twice(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake that the bias is added twice: W a + b + b."""
    if p.has_bias:
        yield p.right + symbol("b", p.k)


@slip(Z, lambda: tr("the bias b is subtracted and not added"))
def bias_subtracted(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake that the bias is subtracted: W a − b."""
    if p.has_bias:
        yield p.W @ p.input - symbol("b", p.k)


@slip(Z, lambda: tr("W is transposed: Wᵀ in place of W"))
def weights_turned(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake that W is transposed: Wᵀ a + b."""
    if p.square:
        yield p.plus_bias(p.W.T @ p.input)


@slip(Z, lambda: tr("z of the layer before in place of its a"))
def z_for_a(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake z in place of a of the previous layer: W z + b."""
    if p.k > 1 and not p.is_flat(p.k - 1):
        yield p.plus_bias(p.W @ symbol("z", p.k - 1))


@slip(Z, lambda: tr("the a of another layer"))
def other_input(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake that a is taken from another layer."""
    for j in p.alike(p.k - 1):
        if j < p.k:
            yield p.plus_bias(p.W @ p.formulas.a(j))


@slip(Z, lambda: tr("the W of another layer"))
def other_weights(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake that W is taken from another layer."""
    for j in p.alike(p.k):
        if j and j != p.k and p.size(j - 1) == p.size(p.k - 1):
            yield p.plus_bias(symbol("W", j) @ p.input)


@slip(
    Z,
    lambda: tr(
        "multiplied element by element, and not added up: W a is a matrix product"
    ),
)
def elementwise_weights(p: Place) -> Iterator[Expr]:
    """Yield z with the mistake W ⊙ a: the products are not summed."""
    if not p.formulas.batch and p.size(p.k - 1) > 1:
        rows = Product("odot", (p.W, p.input.T))
        yield p.plus_bias(rows) if p.size(p.k) == 1 else rows


# -- a ---------------------------------------------------------------------------------


@slip(A, lambda: tr("the activation f is missing: a = z"))
def function_forgotten(p: Place) -> Iterator[Expr]:
    """Yield a with the mistake that the activation is left out: z."""
    if not p.flat:
        yield p.z


@slip(A, lambda: tr("another activation"))
def other_function(p: Place) -> Iterator[Expr]:
    """Yield a with the mistake of another activation, such as tanh z for σ(z)."""
    if not p.mixes and p.size(p.k) > 1:
        yield ACTIVATIONS[SOFTMAX].of(p.z)
    for row in p.other_functions():
        yield row.of(p.z)


@slip(A, lambda: tr("the sign of z is wrong inside f: f(−z)"))
def function_of_minus(p: Place) -> Iterator[Expr]:
    """Yield a with the mistake of a wrong sign: f(−z)."""
    if not p.flat:
        yield p.function.of(-p.z)


@slip(A, lambda: tr("f is applied twice"))
def function_twice(p: Place) -> Iterator[Expr]:
    """Yield a with the mistake that the activation is applied twice: f(f(z))."""
    if not p.flat and p.function.name != "relu":
        yield p.function.of(p.function.of(p.z))


@slip(A, lambda: tr("the derivative f′ in place of f"))
def slope_for_function(p: Place) -> Iterator[Expr]:
    """Yield a with the mistake f′(z) in place of f(z)."""
    if p.has_slope(p.k):
        yield p.function.slope(p.z)


@slip(A, lambda: tr("softmax is not divided by the sum"))
def not_normalised(p: Place) -> Iterator[Expr]:
    """Yield softmax's a with the mistake that the division is left out: e^z."""
    if p.mixes:
        yield f.exp(p.z)


# -- ℒ ---------------------------------------------------------------------------------


@slip(LOSS, lambda: tr("a logarithm to another base: it is ln, to the base e"))
def other_logarithm(p: Place) -> Iterator[Expr]:
    """Yield the loss with the mistake log₁₀ or log₂ in place of ln."""
    if "cross_entropy" in p.formulas.objective.name:
        for base in (10.0, 2.0):
            yield p.right / f.ln(Number(base))


@slip(LOSS, lambda: tr("z of the last layer in place of ŷ"))
def loss_of_z(p: Place) -> Iterator[Expr]:
    """Yield the loss with the mistake z⁽ᴸ⁾ in place of ŷ."""
    if not p.is_flat(p.last):
        yield p.right.replaced({PREDICTION: symbol("z", p.last)})


@slip(LOSS, lambda: tr("the error is not squared"))
def square_forgotten(p: Place) -> Iterator[Expr]:
    """Yield the loss with the mistake ŷ − y or |ŷ − y| in place of (ŷ − y)²."""
    gap = PREDICTION - LABEL
    if p.right.holds(gap**2):
        for u in (gap, f.absolute(gap)):
            yield p.right.replaced({gap**2: u})


@slip(LOSS, lambda: tr("one of the two terms is missing, of y and of 1 − y"))
def half_of_entropy(p: Place) -> Iterator[Expr]:
    """Yield binary cross-entropy with the mistake that one term is left out."""
    if p.formulas.objective.name == "binary_cross_entropy":
        yes = LABEL * f.ln(PREDICTION)
        no = (1 - LABEL) * f.ln(1 - PREDICTION)
        for kept in (yes, no):
            yield p.right.replaced({yes + no: kept})
