"""Regions: what an optimiser does to one parameter, and the clipping of gradients.

The hyper-parameters come in as scalars, so changing η recompiles nothing. What depends
on the step alone (schedule, bias correction) is worked out in float64 outside.

A rule sees a gradient that is ready: clipped by a factor s, with the slope λθ of an
L2 penalty added, both, or neither. Each form is a region of its own, so an update
is one loop over the elements and does no work for an option that is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import add, div, maximum, mul, neg, sqrt, sub
from chainrule.primitives.movement import broadcast_to, full_like, reduce_sum
from chainrule.regions.region import Region, region

Interval = tuple[float, float] | None

_POSITIVE = (0.01, 1.0)


def _like(scalar: Value, x: Value) -> Value:
    return broadcast_to(scalar, shape=x.shape)


def _times(scalar: Value, x: Value) -> Value:
    return mul(_like(scalar, x), x)


def _minimum(a: Value, b: Value) -> Value:
    return neg(maximum(neg(a), neg(b)))


# -- rules and their forms -----------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """An update rule, as a region for each way that its gradient can be made ready.

    Attributes:
        name: of the form without options; the others add ``_scaled``, ``_l2``.
        forms: the region for (scaled or not, with an L2 penalty or not).
    """

    name: str
    forms: Mapping[tuple[bool, bool], Region]

    def __call__(
        self,
        p: Value,
        g: Value,
        *rest: Value,
        scale: Value | None = None,
        decay: Value | None = None,
    ) -> Any:
        """The new parameter and moments, from the gradient s·g + λθ.

        Args:
            p: the parameter θ.
            g: its gradient.
            rest: the moments and scalars of the rule, in the order that it names them.
            scale: s, or None for 1.
            decay: λ, or None for 0.
        """
        more = [v for v in (scale, decay) if v is not None]
        return self.forms[scale is not None, decay is not None](p, g, *rest, *more)


#: What a rule takes for the gradient, for (scaled or not, with an L2 penalty or not).
_READY = {
    (False, False): "the gradient as given",
    (True, False): "s times the gradient given",
    (False, True): "the gradient given, plus λθ",
    (True, True): "s times the gradient given, plus λθ",
}


def _rule(
    name: str,
    *,
    moments: tuple[Interval, ...] = (),
    scalars: int,
    formula: str,
    source: str,
    shapes: tuple[str, ...] = ("3,4",),
    l2: bool = True,
) -> Callable[[Callable[..., Any]], Rule]:
    """Declare the decorated step, a function of (θ, ready gradient, …), as a rule.

    Args:
        name: of the plain form.
        moments: for each moment the interval from which the tests draw its numbers.
        scalars: how many scalars the step takes after them.
        formula: with ``{0}`` for θ, ``{1}`` for the gradient and so on.
        source: where the rule can be looked up.
        shapes: what the plain form is tested with.
        l2: whether there are forms with an L2 penalty.
    """
    arrays = 2 + len(moments)

    def declare(step: Callable[..., Any]) -> Rule:
        def form(scaled: bool, decayed: bool) -> Region:
            options = scaled + decayed
            suffix = ("_scaled" if scaled else "") + ("_l2" if decayed else "")

            def function(p: Value, g: Value, *rest: Value) -> Any:
                more = list(rest[len(rest) - options :])
                if scaled:
                    g = _times(more.pop(0), g)
                if decayed:
                    g = add(g, _times(more.pop(0), p))
                return step(p, g, *rest[: len(rest) - options])

            function.__doc__ = f"{step.__doc__} Here g is {_READY[scaled, decayed]}."
            # Options are the same code in every rule: one type is enough to try them.
            kind, tried = ("f64", ("5",)) if options else ("f", shapes)
            numbers = scalars + options
            return region(
                name + suffix,
                formula=_with_options(formula, arrays + scalars, scaled, decayed),
                source=source,
                cases=tuple(
                    Case(
                        (f"{kind}[{shape}]",) * arrays + (f"{kind}[]",) * numbers,
                        ranges=(None, None, *moments, *(_POSITIVE,) * numbers),
                    )
                    for shape in tried
                ),
            )(function)

        ways = [(s, d) for s in (False, True) for d in (False, True) if l2 or not d]
        return Rule(name, {way: form(*way) for way in ways})

    return declare


def _with_options(formula: str, inputs: int, scaled: bool, decayed: bool) -> str:
    """The formula with the ready gradient in place of the given one."""
    gradient = f"{{{inputs}}}{{1}}" if scaled else "{1}"
    if decayed:
        gradient += f" + {{{inputs + scaled}}}{{0}}"
    return formula.replace("{1}", f"({gradient})") if scaled or decayed else formula


# -- gradient descent ----------------------------------------------------------------


@_rule(
    "sgd_update",
    scalars=1,
    formula=r"{0} - {2} {1}",
    source="textbook 2.6.2 and 3.4.3: θ ← θ − η ∂ℒ/∂θ",
    shapes=("7", "3,4", "", "0"),
)
def sgd_update(p: Value, g: Value, lr: Value) -> Value:
    """θ − η g."""
    return sub(p, _times(lr, g))


@_rule(
    "momentum_update",
    moments=(None,),
    scalars=2,
    formula=r"v = {3}{2} + {1},\; {0} - {4} v",
    source="textbook 2.6.3; Polyak 1964; velocity as in Sutskever et al. 2013",
)
def momentum_update(
    p: Value, g: Value, velocity: Value, momentum: Value, lr: Value
) -> tuple[Value, Value]:
    """v ← μ v + g;  θ ← θ − η v."""
    velocity = add(_times(momentum, velocity), g)
    return sub(p, _times(lr, velocity)), velocity


@_rule(
    "nesterov_update",
    moments=(None,),
    scalars=2,
    formula=r"v = {3}{2} + {1},\; {0} - {4} ({1} + {3} v)",
    source="Sutskever et al. 2013, section 2, in PyTorch's form; Nesterov 1983",
)
def nesterov_update(
    p: Value, g: Value, velocity: Value, momentum: Value, lr: Value
) -> tuple[Value, Value]:
    """v ← μ v + g;  θ ← θ − η (g + μ v)."""
    velocity = add(_times(momentum, velocity), g)
    ahead = add(g, _times(momentum, velocity))
    return sub(p, _times(lr, ahead)), velocity


# -- steps scaled by the gradient's own size -----------------------------------------


@_rule(
    "adagrad_update",
    moments=(_POSITIVE,),
    scalars=2,
    formula=r"s = {2} + {1}^2,\; {0} - {3} {1} / (\sqrt{{s}} + {4})",
    source="Duchi, Hazan & Singer 2011, the diagonal form",
)
def adagrad_update(
    p: Value, g: Value, total: Value, lr: Value, eps: Value
) -> tuple[Value, Value]:
    """s ← s + g²;  θ ← θ − η g/(√s + ε)."""
    total = add(total, mul(g, g))
    return sub(p, div(_times(lr, g), add(sqrt(total), _like(eps, p)))), total


_RMSPROP = "Tieleman & Hinton 2012, lecture 6.5"


def _mean(old: Value, new: Value, keep: Value, rest: Value) -> Value:
    """The running mean keep·old + rest·new."""
    return add(_times(keep, old), _times(rest, new))


def _deviation(v: Value, mean: Value, eps: Value) -> Value:
    """√(v − mean²) + ε; rounding may not make the difference negative."""
    spread = maximum(sub(v, mul(mean, mean)), full_like(v, 0.0))
    return add(sqrt(spread), _like(eps, v))


@_rule(
    "rmsprop_update",
    moments=(_POSITIVE,),
    scalars=4,
    formula=r"v = {3}{2} + {4}{1}^2,\; {0} - {5} {1} / (\sqrt{{v}} + {6})",
    source=_RMSPROP,
)
def rmsprop_update(
    p: Value, g: Value, v: Value, alpha: Value, rest: Value, lr: Value, eps: Value
) -> tuple[Value, Value]:
    """v ← α v + (1−α) g²;  θ ← θ − η g/(√v + ε)."""
    v = _mean(v, mul(g, g), alpha, rest)
    return sub(p, div(_times(lr, g), add(sqrt(v), _like(eps, p)))), v


@_rule(
    "rmsprop_momentum_update",
    moments=(_POSITIVE, None),
    scalars=5,
    formula=r"v = {4}{2} + {5}{1}^2,\; u = {8}{3} + {1} / (\sqrt{{v}} + {7}),\;"
    r" {0} - {6} u",
    source=_RMSPROP + "; momentum as in PyTorch",
)
def rmsprop_momentum_update(
    p: Value,
    g: Value,
    v: Value,
    velocity: Value,
    alpha: Value,
    rest: Value,
    lr: Value,
    eps: Value,
    momentum: Value,
) -> tuple[Value, Value, Value]:
    """v ← α v + (1−α) g²;  u ← μ u + g/(√v + ε);  θ ← θ − η u."""
    v = _mean(v, mul(g, g), alpha, rest)
    scaled = div(g, add(sqrt(v), _like(eps, p)))
    velocity = add(_times(momentum, velocity), scaled)
    return sub(p, _times(lr, velocity)), v, velocity


#: Second and first moments whose difference v − m² stays positive.
_SPREAD = ((0.5, 1.0), (-0.1, 0.1))


@_rule(
    "rmsprop_centered_update",
    moments=_SPREAD,
    scalars=4,
    formula=r"v = {4}{2} + {5}{1}^2,\; m = {4}{3} + {5}{1},\;"
    r" {0} - {6} {1} / (\sqrt{{\max(0, v - m^2)}} + {7})",
    source="Graves 2013, equations 38 to 41",
)
def rmsprop_centered_update(
    p: Value,
    g: Value,
    v: Value,
    m: Value,
    alpha: Value,
    rest: Value,
    lr: Value,
    eps: Value,
) -> tuple[Value, Value, Value]:
    """v ← α v + (1−α) g²;  m ← α m + (1−α) g;  θ ← θ − η g/(√(v − m²) + ε)."""
    v, m = _mean(v, mul(g, g), alpha, rest), _mean(m, g, alpha, rest)
    return sub(p, div(_times(lr, g), _deviation(v, m, eps))), v, m


@_rule(
    "rmsprop_centered_momentum_update",
    moments=(*_SPREAD, None),
    scalars=5,
    formula=r"v = {5}{2} + {6}{1}^2,\; m = {5}{3} + {6}{1},\;"
    r" u = {9}{4} + {1} / (\sqrt{{\max(0, v - m^2)}} + {8}),\; {0} - {7} u",
    source="Graves 2013, equations 38 to 41; momentum as in PyTorch",
)
def rmsprop_centered_momentum_update(
    p: Value,
    g: Value,
    v: Value,
    m: Value,
    velocity: Value,
    alpha: Value,
    rest: Value,
    lr: Value,
    eps: Value,
    momentum: Value,
) -> tuple[Value, Value, Value, Value]:
    """The centred rule with u ← μ u + g/(√(v − m²) + ε);  θ ← θ − η u."""
    v, m = _mean(v, mul(g, g), alpha, rest), _mean(m, g, alpha, rest)
    scaled = div(g, _deviation(v, m, eps))
    velocity = add(_times(momentum, velocity), scaled)
    return sub(p, _times(lr, velocity)), v, m, velocity


def _adam(
    p: Value,
    g: Value,
    m: Value,
    v: Value,
    beta1: Value,
    rest1: Value,
    beta2: Value,
    rest2: Value,
    step: Value,
    eps: Value,
) -> tuple[Value, Value, Value]:
    """Adam's step on one parameter: (θ, m, v) ← …

    m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  θ ← θ − step · m/(√v + eps)

    with, at step t, step = η·√(1−β₂ᵗ)/(1−β₁ᵗ) and eps = ε·√(1−β₂ᵗ), which is
    θ − η m̂/(√v̂ + ε) rearranged.
    """
    m, v = _mean(m, g, beta1, rest1), _mean(v, mul(g, g), beta2, rest2)
    return sub(p, div(_times(step, m), add(sqrt(v), _like(eps, p)))), m, v


adam_update = _rule(
    "adam_update",
    moments=(None, _POSITIVE),
    scalars=6,
    formula=r"m = {4}{2} + {5}{1},\; v = {6}{3} + {7}{1}^2,\;"
    r" {0} - {8} m / (\sqrt{{v}} + {9})",
    source="Kingma & Ba 2015, algorithm 1 with the reordering of section 2",
    shapes=("7", "3,4", "0"),
)(_adam)


@_rule(
    "adamw_update",
    moments=(None, _POSITIVE),
    scalars=7,
    formula=r"m = {4}{2} + {5}{1},\; v = {6}{3} + {7}{1}^2,\;"
    r" {10}{0} - {8} m / (\sqrt{{v}} + {9})",
    source="Loshchilov & Hutter 2019: Adam with decoupled weight decay",
    l2=False,
)
def adamw_update(
    p: Value, g: Value, m: Value, v: Value, *scalars: Value
) -> tuple[Value, Value, Value]:
    """Adam's step on a parameter that first shrinks to keep·θ, with keep = 1 − ηλ."""
    *adam, keep = scalars
    return _adam(_times(keep, p), g, m, v, *adam)


# -- clipping ------------------------------------------------------------------------

#: Added to the norm before dividing by it, as PyTorch does.
NORM_MARGIN = 1e-6


@region(
    "sum_of_squares",
    formula=r"\sum {0}^2",
    source="the squared Euclidean norm",
    cases=tuple(Case((f"f[{s}]",)) for s in ("7", "3,4", "")),
)
def sum_of_squares(g: Value) -> Value:
    """Σ g²."""
    return reduce_sum(mul(g, g), axes=tuple(range(len(g.shape))))


@region(
    "clip_factor",
    formula=r"\min(1, {1} / ({0} + 10^{{-6}}))",
    source="Pascanu, Mikolov & Bengio 2013, algorithm 1, with PyTorch's margin",
    kinks="‖g‖ + 10⁻⁶ = c, where the derivative is taken as if clipping were on",
    cases=(Case(("f[]", "f[]"), {}, ((0.01, 2.0),) * 2),),
)
def clip_factor(norm: Value, limit: Value) -> Value:
    """What brings a gradient of this norm down to the limit: min(1, c/(‖g‖ + 10⁻⁶))."""
    share = div(limit, add(norm, full_like(norm, NORM_MARGIN)))
    return _minimum(full_like(norm, 1.0), share)


@region(
    "clip_value",
    formula=r"\max(-{1}, \min({1}, {0}))",
    source="gradient clipping by value; Mikolov 2012, section 3.2.2",
    kinks="|g| = c, where the derivative is taken as 0",
    cases=tuple(
        Case((f"f[{s}]", "f[]"), {}, (None, (0.3, 1.0))) for s in ("7", "3,4", "0")
    ),
)
def clip_value(g: Value, limit: Value) -> Value:
    """Each element of g, brought into [−c, c]."""
    top = _like(limit, g)
    return maximum(_minimum(g, top), neg(top))
