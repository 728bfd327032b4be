"""Regions: what an optimiser does to one parameter.

The hyper-parameters come in as scalars, so changing η recompiles nothing. What depends
on the step alone (schedule, bias correction) is worked out in float64 outside.
"""

from __future__ import annotations

from chainrule.graph.node import Value
from chainrule.graph.primitive import Case, region
from chainrule.primitives.elementwise import add, div, mul, sqrt, sub
from chainrule.primitives.movement import broadcast_to

_POSITIVE = (0.01, 1.0)


def _times(scalar: Value, x: Value) -> Value:
    return mul(broadcast_to(scalar, shape=x.shape), x)


@region(
    "sgd_update",
    formula=r"{0} - {2} {1}",
    source="textbook 2.6.2 and 3.4.3: θ ← θ − η ∂ℒ/∂θ",
    cases=tuple(Case((f"f[{s}]", f"f[{s}]", "f[]")) for s in ("7", "3,4", "")),
)
def sgd_update(p: Value, g: Value, lr: Value) -> Value:
    """θ − η g."""
    return sub(p, _times(lr, g))


@region(
    "momentum_update",
    formula=r"v = {3}{2} + {1},\; {0} - {4} v",
    source="textbook 2.6.3; Polyak 1964; velocity as in Sutskever et al. 2013",
    cases=(Case(("f[3,4]", "f[3,4]", "f[3,4]", "f[]", "f[]")),),
)
def momentum_update(
    p: Value, g: Value, velocity: Value, momentum: Value, lr: Value
) -> tuple[Value, Value]:
    """v ← μ v + g;  θ ← θ − η v."""
    velocity = add(_times(momentum, velocity), g)
    return sub(p, _times(lr, velocity)), velocity


_ADAM = tuple(
    Case(
        (f"f[{s}]",) * 4 + ("f[]",) * 6,
        ranges=(None, None, None, _POSITIVE, *(_POSITIVE,) * 6),
    )
    for s in ("7", "3,4", "0")
)


@region(
    "adam_update",
    formula=r"m = {4}{2} + {5}{1},\; v = {6}{3} + {7}{1}^2,\;"
    r" {0} - {8} m / (\sqrt{{v}} + {9})",
    source="Kingma & Ba 2015, algorithm 1 with the reordering of section 2",
    cases=_ADAM,
)
def adam_update(
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
    m = add(_times(beta1, m), _times(rest1, g))
    v = add(_times(beta2, v), _times(rest2, mul(g, g)))
    scaled = div(_times(step, m), add(sqrt(v), broadcast_to(eps, shape=p.shape)))
    return sub(p, scaled), m, v


@region(
    "adamw_update",
    formula=r"m = {4}{2} + {5}{1},\; v = {6}{3} + {7}{1}^2,\;"
    r" {10}{0} - {8} m / (\sqrt{{v}} + {9})",
    source="Loshchilov & Hutter 2019: Adam with decoupled weight decay",
    cases=tuple(
        Case((*case.inputs, "f[]"), ranges=(*case.ranges, _POSITIVE)) for case in _ADAM
    ),
)
def adamw_update(
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
    keep: Value,
) -> tuple[Value, Value, Value]:
    """Adam's step on a parameter that first shrinks to keep·θ, with keep = 1 − ηλ."""
    return adam_update(_times(keep, p), g, m, v, beta1, rest1, beta2, rest2, step, eps)
