"""Derivatives held against differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, GradientError
from chainrule.functional import grad
from chainrule.graph.build import no_grad
from chainrule.graph.node import Array
from chainrule.tensor import Tensor, as_tensor

#: Relative difference of the quotients of the two sides from which on it is a kink.
KINK = 1e-3


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` found for one argument along one direction.

    Attributes:
        argument: its position.
        derivative: ⟨∂f/∂x, d⟩ from the derivative rules.
        difference: (f(x + εd) − f(x − εd)) / 2ε.
        error: |derivative − difference| / max(1, |difference|).
        kink: whether the quotients of the two sides disagree, so that none of them
            tells anything here (ReLU at 0).
    """

    argument: int
    derivative: float
    difference: float
    error: float
    kink: bool


def check_gradients(
    function: Callable[..., Tensor],
    *args: Any,
    directions: int = 3,
    eps: float = 1e-6,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> list[GradientCheck]:
    """Hold the derivatives of ``function`` against central differences, in float64.

    Along random directions d, with a random cotangent where the result is no scalar:
    ⟨∇f, d⟩ must equal (f(x + εd) − f(x − εd)) / 2ε.

    Args:
        function: of floating-point arguments; returns a tensor.
        args: the point; converted to float64.
        directions: how many random directions an argument.
        eps: the step of the difference quotient.
        tolerance: the largest relative error allowed.
        seed: for directions and cotangents.

    Returns:
        One :class:`GradientCheck` for each argument and direction.

    Raises:
        GradientError: where a derivative is wrong, naming the argument and both
            numbers. Kinks are flagged in the result and not counted.

    >>> import chainrule as cr
    >>> all(c.error < 1e-8 for c in cr.check_gradients(cr.Tensor.tanh, [0.3, -1.0]))
    True
    """
    rng = np.random.default_rng(seed)
    points = [np.asarray(as_tensor(a).numpy(), np.float64) for a in args]
    if not points:
        raise ArgumentError("check_gradients needs a point.", expected="arguments")
    shape = function(*map(Tensor, points)).shape
    weights = Tensor(rng.normal(size=shape))

    def scalar(*tensors: Tensor) -> Tensor:
        return (function(*tensors) * weights).sum()

    def at(i: int, point: Array) -> float:
        moved = [Tensor(p) for p in points]
        moved[i] = Tensor(point)
        with no_grad():
            return float(scalar(*moved))

    gradients = grad(scalar, argnums=tuple(range(len(points))))(*map(Tensor, points))
    checks: list[GradientCheck] = []
    for i, (point, gradient) in enumerate(zip(points, gradients)):
        for _ in range(directions):
            d = rng.normal(size=point.shape)
            derivative = float(np.sum(gradient.numpy() * d))

            above, here, below = (at(i, point + step * d) for step in (eps, 0.0, -eps))
            difference = (above - below) / (2 * eps)
            scale = max(1.0, abs(difference))
            # On a kink the quotients of the two sides differ, however small the step.
            sides = (above - here) / eps - (here - below) / eps
            kink = abs(sides) / scale > KINK
            error = abs(derivative - difference) / scale
            checks.append(GradientCheck(i, derivative, difference, error, kink))
            if error > tolerance and not kink:
                raise GradientError(
                    f"The derivative with respect to argument {i} is wrong.",
                    expected=f"{difference:.10g} (central difference, ε = {eps:g})",
                    got=f"{derivative:.10g} (derivative rules)",
                    fix="look at the vjp of the primitives that the function uses",
                )
    return checks
