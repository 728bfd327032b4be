"""Regions for optimisers: the update of one parameter, and gradient clipping.

A rule takes the parameter θ, its gradient g, its moments and scalars, all of them
values, and gives the new parameter and the new moments, in that order. The
hyper-parameters come in as scalars, so changing η recompiles nothing. What depends on
the step alone (schedule, bias correction) is worked out in float64 outside, and folded:
with root = √(1−β₂ᵗ),

    η m̂/(√v̂ + ε) = step · m/(√v + eps),   step = η root/(1−β₁ᵗ),  eps = ε root

Clipping, penalties and decay are the same for all rules: :data:`adjusted_update` puts
them in front of one, within the same loop over the elements.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.build import bind
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case, lookup, of_any
from chainrule.notation.expressions import Expr
from chainrule.notation.functions import (
    absolute,
    apply,
    become,
    choice,
    greater,
    listing,
    root,
    scale,
    symbol,
    total,
)
from chainrule.primitives.elementwise import (
    abs_,
    add,
    div,
    less,
    maximum,
    minimum,
    mul,
    neg,
    sqrt,
    sub,
    where,
)
from chainrule.primitives.movement import broadcast_to, full_like, reduce_sum
from chainrule.regions.region import Region, region
from chainrule.text import _

Interval = tuple[float, float] | None

_POSITIVE = (0.01, 1.0)
#: Second and first moments whose difference v − m² stays positive.
_SPREAD = ((0.5, 1.0), (-0.1, 0.1))


def _like(scalar: Value, x: Value) -> Value:
    return broadcast_to(scalar, shape=x.shape)


def _times(scalar: Value, x: Value) -> Value:
    return mul(_like(scalar, x), x)


def _plus(x: Value, scalar: Value) -> Value:
    return add(x, _like(scalar, x))


def _mean(old: Value, new: Value, keep: Value, rest: Value) -> Value:
    """Return the running mean keep·old + rest·new."""
    return add(_times(keep, old), _times(rest, new))


def _cases(
    moments: tuple[Interval, ...], scalars: int, *shapes: str, **attrs: Any
) -> tuple[Case, ...]:
    arrays = 2 + len(moments)
    ranges = (None, None, *moments, *(_POSITIVE,) * scalars)
    return tuple(
        Case((f"f[{shape}]",) * arrays + ("f[]",) * scalars, attrs, ranges)
        for shape in shapes
    )


#: The new moments, which look like the old ones.
M, V, U, S, A, D, W = (symbol(letter, tag="new") for letter in "mvusadw")


def _kept(old: Expr, new: Expr, keep: Expr, rest: Expr) -> Expr:
    """Return the formula of a running mean: keep·old + rest·new."""
    return scale(keep, old) + scale(rest, new)


def _rule(
    formula: Callable[..., Expr],
    source: str,
    *moments: Interval,
    shapes: tuple[str, ...] = ("3,4",),
) -> Callable[[Callable[..., Any]], Region]:
    """Declare the decorated update rule, a function of values, as a region.

    Args:
        formula: the new moments, in their order, and the new θ, as expressions of θ,
            g, the moments and the scalars.
        source: where the rule can be looked up.
        moments: for each moment the interval from which the tests draw its numbers.
        shapes: what it is tested with.
    """

    def declare(step: Callable[..., Any]) -> Region:
        scalars = len(inspect.signature(step).parameters) - 2 - len(moments)
        cases = _cases(moments, scalars, *shapes)
        return region(formula=of_any(formula), source=source, cases=cases)(step)

    return declare


# -- gradient descent ----------------------------------------------------------------


@_rule(
    lambda p, g, lr: p - scale(lr, g),
    "textbook 2.6.2 and 3.4.3: θ ← θ − η ∂ℒ/∂θ",
    shapes=("3,4", "", "0"),
)
def sgd_update(p, g, lr):
    """Return the parameter after a step of gradient descent: θ − η g."""
    return sub(p, _times(lr, g))


@_rule(
    lambda p, g, v, momentum, kept, lr: listing(
        become(V, _kept(v, g, momentum, kept)), p - scale(lr, V)
    ),
    "textbook 2.6.3; Polyak 1964; Sutskever et al. 2013; dampening as in PyTorch",
    None,
)
def momentum_update(p, g, v, momentum, kept, lr):
    """Update a parameter by momentum: v ← μ v + (1−τ) g;  θ ← θ − η v."""
    v = _mean(v, g, momentum, kept)
    return sub(p, _times(lr, v)), v


@_rule(
    lambda p, g, v, momentum, lr: listing(
        become(V, scale(momentum, v) + g), p - scale(lr, g + scale(momentum, V))
    ),
    "Sutskever et al. 2013, section 2, in PyTorch's form; Nesterov 1983",
    None,
)
def nesterov_update(p, g, v, momentum, lr):
    """Update a parameter by Nesterov momentum: v ← μ v + g;  θ ← θ − η (g + μ v)."""
    v = add(_times(momentum, v), g)
    return sub(p, _times(lr, add(g, _times(momentum, v)))), v


# -- steps scaled by the gradient's own size -----------------------------------------


@_rule(
    lambda p, g, s, lr, eps: listing(
        become(S, s + g**2), p - scale(lr, g) / (root(S) + eps)
    ),
    "Duchi, Hazan & Singer 2011, the diagonal form",
    _POSITIVE,
)
def adagrad_update(p, g, s, lr, eps):
    """Update a parameter by AdaGrad: s ← s + g²;  θ ← θ − η g/(√s + ε)."""
    s = add(s, mul(g, g))
    return sub(p, div(_times(lr, g), _plus(sqrt(s), eps))), s


@_rule(
    lambda p, g, v, a, rho, kept, lr, eps: listing(
        become(V, _kept(v, g**2, rho, kept)),
        become(D, root(a + eps) / root(V + eps) * g),
        become(A, _kept(a, D**2, rho, kept)),
        p - scale(lr, D),
    ),
    "Zeiler 2012, algorithm 1, with a learning rate as in PyTorch",
    _POSITIVE,
    _POSITIVE,
)
def adadelta_update(p, g, v, a, rho, kept, lr, eps):
    """Update a parameter by AdaDelta: θ ← θ − η d, with d = √(a + ε)/√(v + ε) g.

    v ← ρ v + (1−ρ) g² comes first;  a ← ρ a + (1−ρ) d² comes last.
    """
    v = _mean(v, mul(g, g), rho, kept)
    d = mul(div(sqrt(_plus(a, eps)), sqrt(_plus(v, eps))), g)
    return sub(p, _times(lr, d)), v, _mean(a, mul(d, d), rho, kept)


@_rule(
    lambda p, g, v, alpha, kept, lr, eps: listing(
        become(V, _kept(v, g**2, alpha, kept)), p - scale(lr, g) / (root(V) + eps)
    ),
    "Tieleman & Hinton 2012, lecture 6.5",
    _POSITIVE,
)
def rmsprop_update(p, g, v, alpha, kept, lr, eps):
    """Update a parameter by RMSprop: v ← α v + (1−α) g²;  θ ← θ − η g/(√v + ε)."""
    v = _mean(v, mul(g, g), alpha, kept)
    return sub(p, div(_times(lr, g), _plus(sqrt(v), eps))), v


@_rule(
    lambda p, g, v, u, alpha, kept, lr, eps, momentum: listing(
        become(V, _kept(v, g**2, alpha, kept)),
        become(U, scale(momentum, u) + g / (root(V) + eps)),
        p - scale(lr, U),
    ),
    "Tieleman & Hinton 2012, lecture 6.5; momentum as in PyTorch",
    _POSITIVE,
    None,
)
def rmsprop_momentum_update(p, g, v, u, alpha, kept, lr, eps, momentum):
    """Update a parameter by RMSprop with momentum: u ← μ u + g/(√v + ε);  θ ← θ − η u.

    v ← α v + (1−α) g².
    """
    v = _mean(v, mul(g, g), alpha, kept)
    u = add(_times(momentum, u), div(g, _plus(sqrt(v), eps)))
    return sub(p, _times(lr, u)), v, u


def _centred(g, v, m, alpha, kept):
    """Return running means v of g² and m of g, and the deviation √(v − m²)."""
    v, m = _mean(v, mul(g, g), alpha, kept), _mean(m, g, alpha, kept)
    # Rounding may not make the difference negative.
    return v, m, sqrt(maximum(sub(v, mul(m, m)), full_like(v, 0.0)))


#: As it is written; rounding may not make the difference negative.
_DEVIATION = root(apply("max", 0, V - M**2))


@_rule(
    lambda p, g, v, m, alpha, kept, lr, eps: listing(
        become(V, _kept(v, g**2, alpha, kept)),
        become(M, _kept(m, g, alpha, kept)),
        p - scale(lr, g) / (_DEVIATION + eps),
    ),
    "Graves 2013, equations 38 to 41",
    *_SPREAD,
)
def rmsprop_centered_update(p, g, v, m, alpha, kept, lr, eps):
    """Update a parameter by centred RMSprop: θ ← θ − η g/(√(v − m²) + ε).

    v and m are running means of g² and g.
    """
    v, m, root = _centred(g, v, m, alpha, kept)
    return sub(p, div(_times(lr, g), _plus(root, eps))), v, m


@_rule(
    lambda p, g, v, m, u, alpha, kept, lr, eps, momentum: listing(
        become(V, _kept(v, g**2, alpha, kept)),
        become(M, _kept(m, g, alpha, kept)),
        become(U, scale(momentum, u) + g / (_DEVIATION + eps)),
        p - scale(lr, U),
    ),
    "Graves 2013, equations 38 to 41; momentum as in PyTorch",
    *_SPREAD,
    None,
)
def rmsprop_centered_momentum_update(p, g, v, m, u, alpha, kept, lr, eps, momentum):
    """Update a parameter by centred RMSprop with momentum: u ← μ u + g/(√(v − m²) + ε).

    v and m are running means of g² and g;  θ ← θ − η u.
    """
    v, m, root = _centred(g, v, m, alpha, kept)
    u = add(_times(momentum, u), div(g, _plus(root, eps)))
    return sub(p, _times(lr, u)), v, m, u


# -- Adam and its kin ----------------------------------------------------------------

_ADAM = (None, _POSITIVE)


def _moments_written(
    g: Expr, m: Expr, v: Expr, beta1: Expr, rest1: Expr, beta2: Expr, rest2: Expr
) -> tuple[Expr, Expr]:
    return (
        become(M, _kept(m, g, beta1, rest1)),
        become(V, _kept(v, g**2, beta2, rest2)),
    )


def _moments(g, m, v, beta1, rest1, beta2, rest2):
    """Return Adam's moments: m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²."""
    return _mean(m, g, beta1, rest1), _mean(v, mul(g, g), beta2, rest2)


@_rule(
    lambda p, g, m, v, beta1, rest1, beta2, rest2, step, eps: listing(
        *_moments_written(g, m, v, beta1, rest1, beta2, rest2),
        p - scale(step, M) / (root(V) + eps),
    ),
    "Kingma & Ba 2015, algorithm 1 with the reordering of section 2",
    *_ADAM,
    shapes=("7", "3,4", "0"),
)
def adam_update(p, g, m, v, beta1, rest1, beta2, rest2, step, eps):
    """Update a parameter by Adam, with moments m, v: θ ← θ − step · m/(√v + eps)."""
    m, v = _moments(g, m, v, beta1, rest1, beta2, rest2)
    return sub(p, div(_times(step, m), _plus(sqrt(v), eps))), m, v


@_rule(
    lambda p, g, m, v, top, beta1, rest1, beta2, rest2, step, eps: listing(
        *_moments_written(g, m, v, beta1, rest1, beta2, rest2),
        become(W, apply("max", top, V)),
        p - scale(step, M) / (root(W) + eps),
    ),
    "Reddi, Kale & Kumar 2018, algorithm 2, with Adam's bias correction as in PyTorch",
    *_ADAM,
    _POSITIVE,
)
def amsgrad_update(p, g, m, v, top, beta1, rest1, beta2, rest2, step, eps):
    """Update a parameter by AMSGrad: w ← max(w, v);  θ ← θ − step · m/(√w + eps)."""
    m, v = _moments(g, m, v, beta1, rest1, beta2, rest2)
    top = maximum(top, v)
    return sub(p, div(_times(step, m), _plus(sqrt(top), eps))), m, v, top


@_rule(
    lambda p, g, m, u, beta1, rest1, beta2, step, eps: listing(
        become(M, _kept(m, g, beta1, rest1)),
        become(U, apply("max", scale(beta2, u), absolute(g) + eps)),
        p - scale(step, M) / U,
    ),
    "Kingma & Ba 2015, algorithm 2, with ε as in PyTorch",
    *_ADAM,
)
def adamax_update(p, g, m, u, beta1, rest1, beta2, step, eps):
    """Update a parameter by AdaMax: u ← max(β₂u, |g| + ε);  θ ← θ − step · m/u.

    m ← β₁m + (1−β₁)g.
    """
    m = _mean(m, g, beta1, rest1)
    u = maximum(_times(beta2, u), _plus(abs_(g), eps))
    return sub(p, div(_times(step, m), u)), m, u


@_rule(
    lambda p, g, m, v, beta1, rest1, beta2, rest2, now, following, eps: listing(
        *_moments_written(g, m, v, beta1, rest1, beta2, rest2),
        p - (scale(now, g) + scale(following, M)) / (root(V) + eps),
    ),
    "Dozat 2016, algorithm 2, with the schedule of momentum as in PyTorch",
    *_ADAM,
)
def nadam_update(p, g, m, v, beta1, rest1, beta2, rest2, now, following, eps):
    """Update a parameter by NAdam: θ ← θ − (now · g + next · m)/(√v + eps)."""
    m, v = _moments(g, m, v, beta1, rest1, beta2, rest2)
    ahead = add(_times(now, g), _times(following, m))
    return sub(p, div(ahead, _plus(sqrt(v), eps))), m, v


@_rule(
    lambda p, g, m, v, beta1, rest1, beta2, rest2, step, eps, rectified: listing(
        *_moments_written(g, m, v, beta1, rest1, beta2, rest2),
        become(W, choice(root(V) + eps, greater(rectified, 0), 1)),
        p - scale(step, M) / W,
    ),
    "Liu et al. 2020, algorithm 2",
    *_ADAM,
)
def radam_update(p, g, m, v, beta1, rest1, beta2, rest2, step, eps, rectified):
    """Update a parameter by RAdam: by Adam if ``rectified`` > 0, else by momentum."""
    m, v = _moments(g, m, v, beta1, rest1, beta2, rest2)
    known = _like(less(full_like(rectified, 0.0), rectified), v)
    size = where(known, _plus(sqrt(v), eps), full_like(v, 1.0))
    return sub(p, div(_times(step, m), size)), m, v


# -- what stands in front of a rule --------------------------------------------------

#: What may stand there, each a scalar: s, λ and k.
ADJUSTMENTS = ("scale", "penalty", "keep")


def _adjusted_written(p: Expr, g: Expr, *rest: Expr, rule: str, by: str) -> Expr:
    names = by.split()
    cut = len(rest) - len(names)
    given = dict(zip(names, rest[cut:], strict=True))
    g = scale(given["scale"], g) if "scale" in given else g
    g = g + scale(given["penalty"], p) if "penalty" in given else g
    p = scale(given["keep"], p) if "keep" in given else p
    formula = lookup(rule).formula
    assert formula is not None
    return formula(p, g, *rest[:cut])


@region(
    formula=of_any(_adjusted_written),
    source="s: Pascanu et al. 2013; λ: Krogh & Hertz 1992; k: Loshchilov & Hutter 2019",
    cases=(
        *_cases((None,), 4, "3,4", rule="nesterov_update", by="scale penalty"),
        *_cases((None, _POSITIVE), 7, "5", rule="adam_update", by="keep"),
    ),
)
def adjusted_update(p: Value, g: Value, *rest: Value, rule: str, by: str) -> Any:
    """Apply the update ``rule`` to the parameter kθ and the gradient s·g + λθ.

    ``by`` names those of s (scale), λ (penalty) and k (keep) that come in, after all
    else. What is not among them is left out, not set to 1 or 0: 0·∞ is not 0.
    """
    names = by.split()
    if not set(names) <= set(ADJUSTMENTS):
        raise ArgumentError(
            _("There is no such adjustment of an update."),
            expected=", ".join(ADJUSTMENTS),
            got=repr(by),
        )
    cut = len(rest) - len(names)
    given = dict(zip(names, rest[cut:], strict=True))
    if "scale" in given:
        g = _times(given["scale"], g)
    if "penalty" in given:
        g = add(g, _times(given["penalty"], p))
    if "keep" in given:
        p = _times(given["keep"], p)
    return bind(lookup(rule), (p, g, *rest[:cut]), {})


# -- clipping ------------------------------------------------------------------------

#: Added to the norm before dividing by it, as PyTorch does.
NORM_MARGIN = 1e-6


@region(
    formula=lambda g: total(g**2, keep=False),
    source="the squared Euclidean norm",
    cases=tuple(Case((f"f[{s}]",)) for s in ("7", "3,4", "")),
)
def sum_of_squares(g: Value) -> Value:
    """Return the sum of the squares of a gradient's elements: Σ g²."""
    return reduce_sum(mul(g, g), axes=tuple(range(len(g.shape))))


@region(
    formula=lambda norm, limit: apply("min", 1, limit / (norm + NORM_MARGIN)),
    source="Pascanu, Mikolov & Bengio 2013, algorithm 1, with PyTorch's margin",
    kinks=_("‖g‖ + 10⁻⁶ = c, where the derivative is taken as if clipping were on"),
    cases=(Case(("f[]", "f[]"), {}, ((0.01, 2.0),) * 2),),
)
def clip_factor(norm: Value, limit: Value) -> Value:
    """Return min(1, c/(‖g‖ + 10⁻⁶)), the factor that clips a gradient to norm c."""
    share = div(limit, add(norm, full_like(norm, NORM_MARGIN)))
    return minimum(full_like(norm, 1.0), share)


@region(
    formula=lambda g, limit: apply("max", -limit, apply("min", limit, g)),
    source="gradient clipping by value; Mikolov 2012, section 3.2.2",
    kinks=_("|g| = c, where the derivative is taken as 0"),
    cases=tuple(
        Case((f"f[{s}]", "f[]"), {}, (None, (0.3, 1.0))) for s in ("7", "3,4", "0")
    ),
)
def clip_value(g: Value, limit: Value) -> Value:
    """Return each element of a gradient clipped to [−c, c]."""
    top = _like(limit, g)
    return maximum(minimum(g, top), neg(top))
