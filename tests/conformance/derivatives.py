"""Checking derivative rules by differences, knowing nothing about any primitive.

For y = f(x), a random cotangent u of y and a random direction v of x,

    ⟨VJP(u), v⟩  =  d/dt ⟨u, f(x + t v)⟩  at t = 0.

The right-hand side is a central difference in float64, extrapolated from two steps
(Richardson 1911). The two disagree where a kink lies between them; a primitive that
declares kinks is then tried at another point, any other primitive must do without.

The second order is the same check one level up: the function is
s(x, u) = ⟨w, VJP(x; u)⟩ for a random w, and its derivative with respect to both x and u
is taken by differentiating the derivative rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.graph.node import Value
from tests.conformance.cases import Array, Example

#: Random points, cotangents and directions to try for each example.
TRIES = 3
#: Attempts to find a point away from kinks.
ATTEMPTS = 40
#: Step of the differences, and the error allowed relative to Σ|VJP·v| + |s|; where a
#: float32 is among the outputs, its rounding needs a larger step.
FINE = (2e-5, 1e-6)
COARSE = (1e-2, 1e-3)

Arrays = list[Array]


def is_float(array: Array) -> bool:
    return array.dtype.kind == "f"


def inner(left: Sequence[Array | None], right: Sequence[Array]) -> tuple[float, float]:
    """Σ a·b over all arrays, and Σ |a·b|; a missing a counts as zero."""
    pairs = zip(left, right, strict=True)
    products = [a * b for a, b in pairs if a is not None]
    total = sum(float(p.sum()) for p in products)
    return total, sum(float(np.abs(p).sum()) for p in products)


def random_like(arrays: Sequence[Array], rng: np.random.Generator) -> Arrays:
    """Standard normal numbers for the floating ones; zeros for the others."""
    return [
        np.asarray(rng.standard_normal(a.shape) if is_float(a) else np.zeros(a.shape))
        for a in arrays
    ]


def moved(arrays: Sequence[Array], t: float, direction: Sequence[Array]) -> Arrays:
    return [
        a + np.asarray(t * v, a.dtype) if is_float(a) else a
        for a, v in zip(arrays, direction)
    ]


def vjp_values(
    example: Example, arrays: Sequence[Array], us: Sequence[Array]
) -> tuple[list[Value], list[Value], list[Value | None]]:
    """Inputs, cotangents of the outputs and what the VJP makes of them, as values."""
    inputs = [Value(np.asarray(a), tracked=is_float(a)) for a in arrays]
    outputs = example.apply(*inputs)
    gs = [
        Value(np.asarray(u, y.array.dtype), tracked=True) for u, y in zip(us, outputs)
    ]
    roots = {y: g for y, g in zip(outputs, gs) if y.dtype.is_float and y.tracked}
    known = cotangents(roots, stop=inputs)
    return inputs, gs, [known.get(value) for value in inputs]


def vjp(
    example: Example, arrays: Sequence[Array], us: Sequence[Array]
) -> list[Array | None]:
    """The cotangents of the inputs by the primitive's rule, run eagerly."""
    made = vjp_values(example, arrays, us)[2]
    return [None if value is None else value.array for value in made]


def vjp_of_vjp(
    example: Example, arrays: Sequence[Array], us: Sequence[Array], ws: Sequence[Array]
) -> list[Array | None]:
    """Cotangents of the inputs and of u, for s = ⟨w, VJP(x; u)⟩."""
    inputs, gs, made = vjp_values(example, arrays, us)
    roots: dict[Value, Value] = {}
    for value, w in zip(made, ws):
        if value is not None:
            seed = w if value not in roots else w + roots[value].array
            roots[value] = Value(np.asarray(seed))
    known = cotangents(roots)
    return [None if (g := known.get(v)) is None else g.array for v in (*inputs, *gs)]


def difference(s: Callable[[float], float], step: float) -> tuple[float, float]:
    """ds/dt at 0, and how far two step sizes disagree about it."""
    wide = (s(step) - s(-step)) / (2 * step)
    narrow = (s(step / 2) - s(-step / 2)) / step
    return (4 * narrow - wide) / 3, abs(wide - narrow)


def compare(
    example: Example,
    s: Callable[[float], float],
    slope: tuple[float, float],
    settings: tuple[float, float],
) -> bool:
    """Hold a derivative ``slope`` against differences of s; False at a kink."""
    step, tolerance = settings
    expected, disagreement = difference(s, step)
    got, size = slope
    allowed = tolerance * (size + abs(s(0.0)) + 1e-3)
    if example.primitive.kinks and disagreement > allowed:
        return False
    assert abs(got - expected) <= allowed, (
        f"{example}: the rule gives {got!r}, differences {expected!r}"
        f" (steps disagree by {disagreement:.1e}, {allowed:.1e} allowed)"
    )
    return True


def settings_for(outputs: Sequence[Array]) -> tuple[float, float]:
    return COARSE if any(a.dtype == np.float32 for a in outputs) else FINE


def repeatedly(example: Example, attempt: Callable[[], bool]) -> None:
    """Succeed ``TRIES`` times; near kinks there are more attempts."""
    done = 0
    for _ in range(ATTEMPTS):
        done += attempt()
        if done == TRIES:
            return
    raise AssertionError(f"{example}: {ATTEMPTS} random points all met a kink")


def check_first_order(example: Example, rng: np.random.Generator) -> None:
    """The derivative rule against differences of the reference."""

    def attempt() -> bool:
        xs = example.draw(rng)
        ys = example.reference(xs)
        us, vs = random_like(ys, rng), random_like(xs, rng)
        return compare(
            example,
            lambda t: inner(us, example.reference(moved(xs, t, vs)))[0],
            inner(vjp(example, xs, us), vs),
            settings_for(ys),
        )

    repeatedly(example, attempt)


def check_second_order(example: Example, rng: np.random.Generator) -> None:
    """The derivative of the derivative rule against differences of that rule."""

    def attempt() -> bool:
        xs = example.draw(rng)
        ys = example.reference(xs)
        us, ws, vs = (random_like(a, rng) for a in (ys, xs, xs))
        du = random_like(ys, rng)
        slope = inner(vjp_of_vjp(example, xs, us, ws), [*vs, *du])

        def s(t: float) -> float:
            return inner(vjp(example, moved(xs, t, vs), moved(us, t, du)), ws)[0]

        return compare(example, s, slope, settings_for(ys))

    repeatedly(example, attempt)


def differentiable(example: Example) -> bool:
    """Whether floats go in and come out, so that a derivative is due."""
    return any(t.dtype.is_float for t in example.types) and any(
        t.dtype.is_float for t in example.out_types
    )


def in_float64(example: Example) -> bool:
    """Whether every floating input is a float64: what differences need."""
    return all(t.dtype.name != "float32" for t in example.types)


def cotangent_function(example: Example) -> Callable[..., tuple[Any, ...]]:
    """The VJP as a function of values (inputs, then cotangents), for tracing."""
    count = len(example.types)

    def function(*values: Value) -> tuple[Value, ...]:
        inputs, gs = values[:count], values[count:]
        outputs = example.apply(*inputs)
        floats = [y for y in outputs if y.dtype.is_float]
        known = cotangents(dict(zip(floats, gs, strict=True)), stop=inputs)
        return tuple(known[v] for v in inputs if v in known)

    return function
