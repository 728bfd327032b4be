"""Common mistakes (slips) in the backward pass: wrong formulas of δ and gradients."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.explanation.derivation.formulas import error_name, slope_of
from chainrule.explanation.marking.place import Place, times
from chainrule.explanation.marking.slip import (
    DELTA,
    GRADIENTS,
    OF_BIAS,
    OF_WEIGHT,
    slip,
)
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.explanation.signs import LABEL
from chainrule.notation.expressions import Expr, Number, Product
from chainrule.text import tr

# -- δ: f′ -----------------------------------------------------------------------------


@slip(DELTA, lambda: tr("f′ is missing"))
def slope_forgotten(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that f′ is left out: ∂ℒ/∂a."""
    if not p.flat:
        yield p.arriving


@slip(DELTA, lambda: tr("f′ is taken at a; it is f′(z)"))
def slope_at_a(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake f′(a) in place of f′(z)."""
    if p.has_slope(p.k):
        yield times(p.arriving, p.function.slope(p.a))


@slip(DELTA, lambda: tr("z stands where f′ has a, such as z (1 − z) for a (1 − a)"))
def slope_at_z(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake z (1 − z) in place of a (1 − a)."""
    if p.has_slope(p.k):
        yield times(p.arriving, p.function.shortest(p.z, p.z))


@slip(DELTA, lambda: tr("f itself in place of its derivative f′"))
def function_for_slope(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake f in place of its derivative f′."""
    if not p.flat:
        yield times(p.arriving, p.a)


@slip(DELTA, lambda: tr("f′ is not whole: 1 − a alone"))
def half_of_slope(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake 1 − a in place of a (1 − a) or 1 − a²."""
    if p.mixes or p.function.name in ("sigmoid", "tanh"):
        yield times(p.arriving, 1 - p.a)


@slip(DELTA, lambda: tr("the derivative of another activation"))
def other_slope(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that f′ is that of another activation."""
    if p.flat or p.mixes:
        return
    for row in p.other_functions():
        yield times(p.arriving, row.slope(p.z))
        yield times(p.arriving, row.shortest(p.z, p.a))


@slip(
    DELTA,
    lambda: tr("softmax taken element by element: a (1 − a) is J's diagonal alone"),
)
def diagonal_alone(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake a (1 − a) in place of softmax's Jacobian J."""
    if p.mixes:
        yield Product("odot", (p.arriving, p.a, 1 - p.a))


@slip(DELTA, lambda: tr("f′ is there twice"))
def slope_twice(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that f′ is multiplied twice."""
    if not p.flat:
        yield times(p.right, p.a * (1 - p.a) if p.mixes else p.slope)


@slip(DELTA, lambda: tr("f′ of another layer"))
def slope_elsewhere(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that f′ is taken from another layer."""
    for j in p.alike(p.k):
        if j and p.has_slope(j) and not p.flat:
            yield times(p.arriving, p.formulas.slope(j))


@slip(DELTA, lambda: tr("a matrix product in place of the elementwise one (⊙)"))
def matrix_product(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake of a matrix product, gᵀ f′ or g (f′)ᵀ, for g ⊙ f′."""
    if p.has_slope(p.k) and p.size(p.k) > 1:
        yield p.arriving.T @ p.slope
        yield p.arriving @ p.slope.T


# -- δ: what arrives -------------------------------------------------------------------


@slip(DELTA, lambda: tr("W is not transposed: W in place of Wᵀ"))
def weights_turned_back(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake W δ in place of Wᵀ δ."""
    if p.k < p.last and p.size(p.k) == p.size(p.k + 1) > 1:
        yield p.through(symbol("W", p.k + 1) @ error_name(p.k + 1))


@slip(DELTA, lambda: tr("the updated W is used; the way back takes the old one"))
def new_weights(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that W is the updated one."""
    updates, k = p.formulas.updates, p.k + 1
    if f"W{k}" in updates:
        W, delta = symbol("W", k), error_name(k)
        new = updates[f"W{k}"].sides[-1]
        for key in reversed(updates):  # what its step is made of, back to δ
            if key.endswith(f"W{k}") and key != f"W{k}":
                new = new.replaced({updates[key].name: updates[key].sides[-1]})
        new = new.replaced({slope_of(W): delta @ p.a.T})
        yield p.through(new.T @ delta)


@slip(DELTA, lambda: tr("the W of another layer"))
def other_weights_back(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that W is taken from another layer."""
    for j in p.alike(p.k + 1) if p.k < p.last else ():
        if j and p.size(j - 1) == p.size(p.k):
            yield p.through(symbol("W", j).T @ error_name(p.k + 1))


@slip(DELTA, lambda: tr("Wᵀ is missing: δ of the layer behind is taken as it is"))
def weights_forgotten(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that Wᵀ is left out."""
    if p.k < p.last and p.size(p.k + 1) in (1, p.size(p.k)):
        yield p.through(error_name(p.k + 1))


@slip(DELTA, lambda: tr("the δ of another layer"))
def other_error(p: Place) -> Iterator[Expr]:
    """Yield δ with the mistake that the next layer's δ is that of another layer."""
    for j in p.alike(p.k + 1) if p.k < p.last else ():
        if j > p.k:
            yield p.through(symbol("W", p.k + 1).T @ error_name(j))


@slip(DELTA, lambda: tr("z of the last layer in place of ŷ"))
def z_for_prediction(p: Place) -> Iterator[Expr]:
    """Yield δ of the last layer with the mistake z − y in place of ŷ − y."""
    if p.k == p.last and not p.flat:
        swapped = {PREDICTION: p.z}
        yield p.through(p.arriving.replaced(swapped))
        yield p.right.replaced(swapped)


@slip(DELTA, lambda: tr("y is not subtracted from ŷ"))
def label_forgotten(p: Place) -> Iterator[Expr]:
    """Yield δ of the last layer with the mistake ŷ in place of ŷ − y."""
    if p.k == p.last and p.right.holds(PREDICTION - LABEL):
        yield p.right.replaced({PREDICTION - LABEL: PREDICTION})


@slip(DELTA, lambda: tr("the derivative of the loss is missing"))
def loss_forgotten(p: Place) -> Iterator[Expr]:
    """Yield δ of the last layer with the mistake that ∂ℒ/∂ŷ is left out."""
    if p.k == p.last and p.has_slope(p.k):
        yield p.slope


# -- ∂ℒ/∂W and ∂ℒ/∂b -------------------------------------------------------------------


@slip(OF_WEIGHT, lambda: tr("transposed: rows and columns are exchanged"))
def turned(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂W with the mistake that it is transposed: a δᵀ."""
    yield p.input @ p.delta.T


@slip(OF_WEIGHT, lambda: tr("z of the layer before in place of its a"))
def z_for_input(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂W with the mistake δ zᵀ in place of δ aᵀ."""
    if p.k > 1 and not p.is_flat(p.k - 1):
        yield p.delta @ symbol("z", p.k - 1).T


@slip(OF_WEIGHT, lambda: tr("the a of another layer"))
def input_elsewhere(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂W with the mistake that a is taken from another layer."""
    for j in p.alike(p.k - 1):
        yield p.delta @ p.formulas.a(j).T


@slip(GRADIENTS, lambda: tr("the δ of another layer"))
def wrong_error(p: Place) -> Iterator[Expr]:
    """Yield a gradient with the mistake that δ is taken from another layer."""
    for j in p.alike(p.k):
        if j:
            yield p.right.replaced({p.delta: error_name(j)})


@slip(GRADIENTS, lambda: tr("f′ is missing"))
def gradient_without_slope(p: Place) -> Iterator[Expr]:
    """Yield a gradient with the mistake ∂ℒ/∂a in place of δ."""
    if not p.flat:
        yield p.right.replaced({p.delta: p.arriving})


@slip(GRADIENTS, lambda: tr("f′ is there twice: δ contains it"))
def gradient_with_two_slopes(p: Place) -> Iterator[Expr]:
    """Yield a gradient with the mistake δ ⊙ f′ in place of δ."""
    if p.has_slope(p.k):
        yield p.right.replaced({p.delta: times(p.delta, p.slope)})


@slip(OF_WEIGHT, lambda: tr("multiplied element by element: δ aᵀ is a matrix product"))
def elementwise(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂W with the mistake δ ⊙ a in place of δ aᵀ."""
    if p.square:
        yield Product("odot", (p.delta, p.input))


@slip(OF_WEIGHT, lambda: tr("the input a is missing: δ alone"))
def input_forgotten(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂W with the mistake δ in place of δ aᵀ, the same for every input."""
    yield p.delta @ (1 + Product("scale", (Number(0), p.input))).T


@slip(OF_BIAS, lambda: tr("multiplied by the input, which b is not"))
def bias_times_input(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂b with the mistake δ ⊙ a in place of δ."""
    if p.size(p.k) == p.size(p.k - 1):
        yield p.right.replaced({p.delta: Product("odot", (p.delta, p.input))})


@slip(OF_BIAS, lambda: tr("not added up over the samples"))
def not_added_up(p: Place) -> Iterator[Expr]:
    """Yield ∂ℒ/∂b with the mistake that δ is not summed over the samples."""
    if p.formulas.batch:
        yield p.delta
