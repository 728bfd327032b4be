"""Slips (common mistakes) in updates of parameters and of an optimiser's moments.

They are made of the right formula, whichever optimiser's it is, by writing something
else in place of one of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.explanation.derivation.formulas import RATE
from chainrule.explanation.derivation.keys import HATS, MEANS
from chainrule.explanation.marking.place import DECAY, Place
from chainrule.explanation.marking.slip import UPDATED, slip
from chainrule.explanation.marking.steps import (
    ALPHA,
    BETAS,
    EPSILON,
    MOMENTUM,
    T,
)
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product, Sum
from chainrule.notation.tidy import tidy
from chainrule.text import tr

ONE, NONE = Number(1), Number(0)


def _with(p: Place, *changes: tuple[Expr, Expr]) -> Iterator[Expr]:
    """Yield the right formula with some parts replaced, if any of these occurs."""
    if any(p.right.holds(old) for old, _ in changes):
        yield tidy(p.right.replaced(dict(changes)))


def _for_gradient(p: Place, e: Expr) -> Iterator[Expr]:
    """Yield the right formula with e in place of the gradient ∂ℒ/∂W."""
    if p.gradient != p.slope_of:
        yield from _with(p, (p.slope_of, e), (DECAY, NONE))
    yield from _with(p, (p.slope_of, e.replaced({p.gradient: p.slope_of})))


def of_other_gradient(p: Place, number: Expr) -> Iterator[Expr]:
    """Yield the right formula with c ∂ℒ/∂W in place of ∂ℒ/∂W."""
    yield from _with(p, (p.slope_of, Product("scale", (number, p.slope_of))))


# -- the step --------------------------------------------------------------------------


def parts(p: Place) -> tuple[Expr, Expr]:
    """Return the old value of a parameter and the step that is subtracted."""
    assert isinstance(p.right, Sum)
    (_, old), *_, (_, step) = p.right.terms
    return old, step


@slip(
    UPDATED,
    lambda: tr("the sign of the step is wrong: it goes uphill, along the gradient"),
)
def uphill(p: Place) -> Iterator[Expr]:
    """Yield an update with the mistake of a wrong sign: W + η ∂ℒ/∂W."""
    old, step = parts(p)
    yield old + step


@slip(UPDATED, lambda: tr("η is missing"))
def rate_forgotten(p: Place) -> Iterator[Expr]:
    """Yield an update with the mistake that η is left out: W − ∂ℒ/∂W."""
    old, step = parts(p)
    yield old - tidy(step.replaced({RATE: ONE}))


@slip(UPDATED, lambda: tr("this is the step alone, without the old value"))
def step_alone(p: Place) -> Iterator[Expr]:
    """Yield the step alone, without the old value: η ∂ℒ/∂W or −η ∂ℒ/∂W."""
    _, step = parts(p)
    yield -step
    yield step


@slip(UPDATED, lambda: tr("transposed: rows and columns are exchanged"))
def turned_step(p: Place) -> Iterator[Expr]:
    """Yield an update with a transposed gradient or a transposed result."""
    if p.square:
        old, step = parts(p)
        yield old - step.T
        yield p.right.T


@slip(UPDATED + MEANS, lambda: tr("this is the old value"))
def not_updated(p: Place) -> Iterator[Expr]:
    """Yield the old value in place of the updated one."""
    if p.old is not None:
        yield p.old


@slip(UPDATED + MEANS, lambda: tr("the parameter itself in place of its gradient"))
def rate_of_parameter(p: Place) -> Iterator[Expr]:
    """Yield an update with the parameter in place of its gradient: W − η W."""
    yield from _for_gradient(p, p.parameter)


@slip(UPDATED, lambda: tr("a step of plain gradient descent: W − η ∂ℒ/∂W"))
def plain_step(p: Place) -> Iterator[Expr]:
    """Yield an update by plain gradient descent: W − η ∂ℒ/∂W."""
    for gradient in dict.fromkeys((p.slope_of, p.gradient)):
        plain = p.parameter - f.scale(RATE, gradient)
        if p.right != plain:
            yield plain


@slip(UPDATED, lambda: tr("the old moment in place of the new one"))
def old_moment(p: Place) -> Iterator[Expr]:
    """Yield an update with the old moment in place of the new one."""
    yield from _with(p, *p.moments)


@slip(UPDATED, lambda: tr("the division by the root is missing"))
def division_forgotten(p: Place) -> Iterator[Expr]:
    """Yield an update with the division by the square root left out: W − η m̂."""
    for v in p.rooted:
        yield from _with(p, (f.root(v) + EPSILON, ONE))


@slip(UPDATED, lambda: tr("the root is missing: divided by v, not by √v"))
def root_forgotten(p: Place) -> Iterator[Expr]:
    """Yield an update with the square root left out: η m̂/(v̂ + ε)."""
    for v in p.rooted:
        yield from _with(p, (f.root(v), v))


@slip(UPDATED, lambda: tr("ε stands inside the root: √(v + ε) for √v + ε"))
def epsilon_inside(p: Place) -> Iterator[Expr]:
    """Yield an update with ε inside of the square root: η m̂/√(v̂ + ε)."""
    for v in p.rooted:
        yield from _with(p, (f.root(v) + EPSILON, f.root(v + EPSILON)))


@slip(UPDATED, lambda: tr("ε is missing"))
def epsilon_forgotten(p: Place) -> Iterator[Expr]:
    """Yield an update with ε left out: η m̂/√v̂."""
    yield from _with(p, (EPSILON, NONE))


@slip(
    UPDATED,
    lambda: tr("the bias correction is missing: m and v stand for m̂ and v̂"),
)
def correction_forgotten(p: Place) -> Iterator[Expr]:
    """Yield Adam's update with the bias correction left out: η m′/(√v′ + ε)."""
    hats = p.hats
    for some in (hats, *([one] for one in hats)) if hats else ():
        yield from _with(p, *some)


@slip(UPDATED, lambda: tr("Nesterov's look ahead is missing: g + μ v′ is the step"))
def look_ahead_forgotten(p: Place) -> Iterator[Expr]:
    """Yield Nesterov's update without the look-ahead: W − η v′."""
    for new, _ in p.moments:
        ahead = f.scale(MOMENTUM, new)
        if p.right.holds(ahead):
            yield from _with(p, (p.slope_of, NONE), (DECAY, NONE), (ahead, new))


# -- weight decay ----------------------------------------------------------------------


@slip(UPDATED + MEANS, lambda: tr("the weight decay is missing"))
def decay_forgotten(p: Place) -> Iterator[Expr]:
    """Yield an update with the weight decay λ W left out."""
    yield from _with(p, (DECAY, NONE))


@slip(UPDATED + MEANS, lambda: tr("the sign of the weight decay is wrong"))
def decay_sign(p: Place) -> Iterator[Expr]:
    """Yield an update with a wrong sign of the weight decay: −λ W."""
    yield from _with(p, (DECAY, -DECAY))


@slip(UPDATED, lambda: tr("the weight decay is not multiplied by η"))
def decay_without_rate(p: Place) -> Iterator[Expr]:
    """Yield an update with (1 − λ) W in place of (1 − ηλ) W."""
    yield from _with(p, (f.scale(RATE, DECAY), DECAY))


# -- moments ---------------------------------------------------------------------------


@slip(MEANS, lambda: tr("β and 1 − β are exchanged"))
def shares_exchanged(p: Place) -> Iterator[Expr]:
    """Yield a moment with β and 1 − β exchanged: (1 − β) m + β g."""
    for beta in (*BETAS, ALPHA):
        yield from _with(p, (beta, 1 - beta), (1 - beta, beta))


@slip(MEANS + HATS, lambda: tr("the other β: β₁ is for m, β₂ for v"))
def other_beta(p: Place) -> Iterator[Expr]:
    """Yield a moment with the other β: β₂ m + (1 − β₂) g."""
    one, two = BETAS
    yield from _with(p, (one, two), (two, one))


@slip(MEANS, lambda: tr("the gradient is not multiplied by 1 − β"))
def share_forgotten(p: Place) -> Iterator[Expr]:
    """Yield a moment with the factor 1 − β left out: β m + g."""
    for beta in (*BETAS, ALPHA):
        yield from _with(p, (1 - beta, ONE))


@slip(MEANS, lambda: tr("the sign of the old moment is wrong"))
def momentum_sign(p: Place) -> Iterator[Expr]:
    """Yield a moment with a wrong sign of the old moment: −μ v + g."""
    if p.old is not None:
        yield from _with(p, (p.old, -p.old))


@slip(MEANS, lambda: tr("the old moment is missing"))
def moment_forgotten(p: Place) -> Iterator[Expr]:
    """Yield a moment with the old moment left out: (1 − β) g."""
    if p.old is not None:
        yield from _with(p, (p.old, NONE))


@slip(MEANS, lambda: tr("the old moment is not multiplied by β or μ"))
def decay_of_moment_forgotten(p: Place) -> Iterator[Expr]:
    """Yield a moment with the old moment's factor left out: m + (1 − β) g."""
    if p.old is not None:
        for share in (*BETAS, ALPHA, MOMENTUM):
            yield from _with(p, (f.scale(share, p.old), p.old))


@slip(MEANS, lambda: tr("the gradient is not squared"))
def not_squared(p: Place) -> Iterator[Expr]:
    """Yield a second moment with the square left out: β v + (1 − β) g."""
    yield from _with(p, (p.gradient**2, p.gradient))


@slip(MEANS, lambda: tr("the gradient is squared: that is for v"))
def squared(p: Place) -> Iterator[Expr]:
    """Yield a first moment with a squared gradient: β m + (1 − β) g²."""
    if not p.of_squares:
        yield from _for_gradient(p, p.gradient**2)


@slip(
    MEANS, lambda: tr("the gradient is multiplied by 1 − μ: momentum takes all of it")
)
def share_of_momentum(p: Place) -> Iterator[Expr]:
    """Yield a momentum with a wrong factor of the gradient: μ v + (1 − μ) g."""
    if p.right.holds(MOMENTUM):
        yield from _for_gradient(p, f.scale(1 - MOMENTUM, p.gradient))


@slip(MEANS, lambda: tr("η is in the moment already: it comes with the step"))
def rate_in_moment(p: Place) -> Iterator[Expr]:
    """Yield a momentum that contains η already: μ v + η g."""
    yield from _for_gradient(p, f.scale(RATE, p.gradient))


@slip(MEANS, lambda: tr("the sign of the gradient is wrong"))
def gradient_sign(p: Place) -> Iterator[Expr]:
    """Yield a momentum with a wrong sign of the gradient: μ v − g."""
    yield from _for_gradient(p, -p.gradient)


@slip(HATS, lambda: tr("the bias correction is missing: m and v stand for m̂ and v̂"))
def hat_forgotten(p: Place) -> Iterator[Expr]:
    """Yield a corrected moment with the correction left out: m′ for m̂."""
    for new, _ in p.moments:
        if p.right.holds(new):
            yield new


@slip(HATS, lambda: tr("the power t is missing: 1 − β for 1 − βᵗ"))
def power_forgotten(p: Place) -> Iterator[Expr]:
    """Yield a corrected moment with the power t left out: m′/(1 − β)."""
    for beta in BETAS:
        yield from _with(p, (beta**T, beta))


@slip(HATS, lambda: tr("t is off by one: it counts the steps from 1"))
def other_time(p: Place) -> Iterator[Expr]:
    """Yield a corrected moment with t off by one: m′/(1 − βᵗ⁻¹), m′/(1 − βᵗ⁺¹)."""
    for t in (T - 1, T + 1):
        yield from _with(p, *((beta**T, beta**t) for beta in BETAS))


@slip(HATS, lambda: tr("multiplied by 1 − βᵗ, and not divided"))
def correction_multiplied(p: Place) -> Iterator[Expr]:
    """Yield a corrected moment with a product for the division: (1 − βᵗ) m′."""
    for new, _ in p.moments:
        for beta in BETAS:
            if p.right.holds(new) and p.right.holds(beta**T):
                yield Product("scale", (1 - beta**T, new))
