"""Slips on the way back: what is worked out in place of δ, gradients and updates."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.explanation.derivation.formulas import RATE, error_name, slope_of
from chainrule.explanation.marking.place import Place, times
from chainrule.explanation.naming import PREDICTION, symbol
from chainrule.explanation.signs import LABEL
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product

# -- δ: f′ -----------------------------------------------------------------------------


def slope_forgotten(p: Place) -> Iterator[Expr]:
    """∂ℒ/∂a, without f′."""
    if not p.flat:
        yield p.arriving


def slope_at_a(p: Place) -> Iterator[Expr]:
    """f′(a) for f′(z)."""
    if p.has_slope(p.k):
        yield times(p.arriving, p.function.slope(p.a))


def slope_at_z(p: Place) -> Iterator[Expr]:
    """z (1 − z) for a (1 − a)."""
    if p.has_slope(p.k):
        yield times(p.arriving, p.function.shortest(p.z, p.z))


def function_for_slope(p: Place) -> Iterator[Expr]:
    """f for f′."""
    if not p.flat:
        yield times(p.arriving, p.a)


def half_of_slope(p: Place) -> Iterator[Expr]:
    """1 − a for a (1 − a) and for 1 − a²."""
    if p.mixes or p.function.name in ("sigmoid", "tanh"):
        yield times(p.arriving, 1 - p.a)


def other_slope(p: Place) -> Iterator[Expr]:
    """The derivative of another activation."""
    if p.flat or p.mixes:
        return
    for row in p.other_functions():
        yield times(p.arriving, row.slope(p.z))
        yield times(p.arriving, row.shortest(p.z, p.a))


def diagonal_alone(p: Place) -> Iterator[Expr]:
    """a (1 − a) for the matrix J of softmax."""
    if p.mixes:
        yield Product("odot", (p.arriving, p.a, 1 - p.a))


def slope_twice(p: Place) -> Iterator[Expr]:
    """f′ once more."""
    if not p.flat:
        yield times(p.right, p.a * (1 - p.a) if p.mixes else p.slope)


def slope_elsewhere(p: Place) -> Iterator[Expr]:
    """f′ of another layer."""
    for j in p.alike(p.k):
        if j and p.has_slope(j) and not p.flat:
            yield times(p.arriving, p.formulas.slope(j))


def matrix_product(p: Place) -> Iterator[Expr]:
    """gᵀ f′, one number, and g (f′)ᵀ, a matrix, for g ⊙ f′."""
    if p.has_slope(p.k) and p.size(p.k) > 1:
        yield p.arriving.T @ p.slope
        yield p.arriving @ p.slope.T


# -- δ: what arrives -------------------------------------------------------------------


def weights_turned(p: Place) -> Iterator[Expr]:
    """W δ for Wᵀ δ."""
    if p.k < p.last and p.size(p.k) == p.size(p.k + 1) > 1:
        yield p.through(symbol("W", p.k + 1) @ error_name(p.k + 1))


def new_weights(p: Place) -> Iterator[Expr]:
    """The updated W for W."""
    if p.k < p.last:
        W, delta = symbol("W", p.k + 1), error_name(p.k + 1)
        yield p.through((W - f.scale(RATE, delta @ p.a.T)).T @ delta)


def other_weights(p: Place) -> Iterator[Expr]:
    """The W of another layer."""
    for j in p.alike(p.k + 1) if p.k < p.last else ():
        if j and p.size(j - 1) == p.size(p.k):
            yield p.through(symbol("W", j).T @ error_name(p.k + 1))


def weights_forgotten(p: Place) -> Iterator[Expr]:
    """δ of the layer behind, without Wᵀ."""
    if p.k < p.last and p.size(p.k + 1) in (1, p.size(p.k)):
        yield p.through(error_name(p.k + 1))


def other_error(p: Place) -> Iterator[Expr]:
    """δ of another layer behind."""
    for j in p.alike(p.k + 1) if p.k < p.last else ():
        if j > p.k:
            yield p.through(symbol("W", p.k + 1).T @ error_name(j))


def z_for_prediction(p: Place) -> Iterator[Expr]:
    """z − y for ŷ − y."""
    if p.k == p.last and not p.flat:
        swapped = {PREDICTION: p.z}
        yield p.through(p.arriving.replaced(swapped))
        yield p.right.replaced(swapped)


def label_forgotten(p: Place) -> Iterator[Expr]:
    """ŷ for ŷ − y."""
    if p.k == p.last and p.right.holds(PREDICTION - LABEL):
        yield p.right.replaced({PREDICTION - LABEL: PREDICTION})


def loss_forgotten(p: Place) -> Iterator[Expr]:
    """f′ without ∂ℒ/∂ŷ."""
    if p.k == p.last and p.has_slope(p.k):
        yield p.slope


# -- ∂ℒ/∂W and ∂ℒ/∂b -------------------------------------------------------------------


def turned(p: Place) -> Iterator[Expr]:
    """a δᵀ for δ aᵀ."""
    yield p.input @ p.delta.T


def z_for_input(p: Place) -> Iterator[Expr]:
    """δ zᵀ for δ aᵀ."""
    if p.k > 1 and not p.is_flat(p.k - 1):
        yield p.delta @ symbol("z", p.k - 1).T


def other_input(p: Place) -> Iterator[Expr]:
    """δ aᵀ with the a of another layer."""
    for j in p.alike(p.k - 1):
        yield p.delta @ p.formulas.a(j).T


def wrong_error(p: Place) -> Iterator[Expr]:
    """δ of another layer."""
    for j in p.alike(p.k):
        if j:
            yield p.right.replaced({p.delta: error_name(j)})


def gradient_without_slope(p: Place) -> Iterator[Expr]:
    """∂ℒ/∂a for δ."""
    if not p.flat:
        yield p.right.replaced({p.delta: p.arriving})


def gradient_with_two_slopes(p: Place) -> Iterator[Expr]:
    """δ ⊙ f′ for δ."""
    if p.has_slope(p.k):
        yield p.right.replaced({p.delta: times(p.delta, p.slope)})


def elementwise(p: Place) -> Iterator[Expr]:
    """δ ⊙ a for δ aᵀ."""
    if p.square:
        yield Product("odot", (p.delta, p.input))


def input_forgotten(p: Place) -> Iterator[Expr]:
    """δ for δ aᵀ, the same for every input."""
    yield p.delta @ (1 + Product("scale", (Number(0), p.input))).T


def bias_times_input(p: Place) -> Iterator[Expr]:
    """δ ⊙ a for δ."""
    if p.size(p.k) == p.size(p.k - 1):
        yield p.right.replaced({p.delta: Product("odot", (p.delta, p.input))})


def not_added_up(p: Place) -> Iterator[Expr]:
    """δ of every sample, not added up."""
    if p.formulas.batch:
        yield p.delta


# -- the update ------------------------------------------------------------------------


def _parameter(p: Place) -> tuple[Expr, Expr]:
    name = symbol(p.kind, p.k)
    return name, slope_of(name)


def uphill(p: Place) -> Iterator[Expr]:
    """W + η ∂ℒ/∂W."""
    name, slope = _parameter(p)
    yield name + f.scale(RATE, slope)


def rate_forgotten(p: Place) -> Iterator[Expr]:
    """W − ∂ℒ/∂W."""
    name, slope = _parameter(p)
    yield name - slope


def step_alone(p: Place) -> Iterator[Expr]:
    """−η ∂ℒ/∂W, and η ∂ℒ/∂W."""
    _, slope = _parameter(p)
    yield -f.scale(RATE, slope)
    yield f.scale(RATE, slope)


def step_times(p: Place, number: Expr) -> Iterator[Expr]:
    """W − c η ∂ℒ/∂W."""
    name, slope = _parameter(p)
    yield name - Product("scale", (number, RATE, slope))


def turned_step(p: Place) -> Iterator[Expr]:
    """W − η (∂ℒ/∂W)ᵀ."""
    if p.square:
        name, slope = _parameter(p)
        yield name - f.scale(RATE, slope.T)
        yield (name - f.scale(RATE, slope)).T


def not_updated(p: Place) -> Iterator[Expr]:
    """W as it was."""
    yield _parameter(p)[0]


def rate_of_parameter(p: Place) -> Iterator[Expr]:
    """W − η W."""
    name, _ = _parameter(p)
    yield name - f.scale(RATE, name)
