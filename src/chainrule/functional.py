"""Derivatives as functions of functions: ``grad``, ``value_and_grad``, and their check.

>>> import chainrule as cr
>>> cr.grad(lambda x: (x * x).sum())(cr.tensor([1.0, 2.0]))
tensor([2., 4.])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents, recording
from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.build import constant, context, no_grad
from chainrule.graph.node import Array, Value
from chainrule.primitives.movement import full_like, reshape
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor, wrap


def value_and_grad(
    function: Callable[..., Tensor], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Tensor, Any]]:
    """A function that gives ``function``'s value and its gradient.

    Args:
        function: returns a scalar tensor.
        argnums: with respect to which positional arguments.

    Returns:
        A function of the same arguments; the gradient has the shape of the argument
        (a tuple of gradients where ``argnums`` is a sequence). It can be
        differentiated again.

    >>> import chainrule as cr
    >>> cr.value_and_grad(lambda w: (w * w * w).sum())(cr.tensor([2.0]))
    (tensor(8., made by reduce_sum), tensor([12.]))
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def differentiated(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        arguments = list(args)
        inputs: list[Value] = []
        nested = False
        for i in positions:
            value = as_tensor(arguments[i]).value
            if not value.dtype.is_float:
                raise GradientError(
                    "grad differentiates with respect to floating-point arguments.",
                    expected="float32 or float64",
                    got=f"argument {i} of dtype {value.dtype.name}",
                    fix="x.astype('float32')",
                )
            if value.tracked and context.grad:
                # A view, so that a loss does not look behind it for a softmax's scores:
                # the derivative is with respect to this value.
                value = reshape(value, shape=value.shape)
                nested = True
            else:
                value = _fresh(value)
            inputs.append(value)
            arguments[i] = wrap(value)
        with recording():
            result = function(*arguments, **kwargs)
        if not isinstance(result, Tensor) or result.shape != ():
            raise GradientError(
                "grad needs a function that returns a scalar tensor.",
                expected="shape ()",
                got=show(result.shape) if isinstance(result, Tensor) else repr(result),
                fix="reduce it: .sum() or .mean()",
            )
        root = result.value
        seed = constant(1.0, root.dtype)
        with recording() if nested else no_grad():
            known = cotangents({root: seed}, stop=inputs) if root.tracked else {}
            grads = tuple(
                wrap(known[v] if v in known else full_like(v, 0.0)) for v in inputs
            )
        return result, grads[0] if isinstance(argnums, int) else grads

    return differentiated


def _fresh(value: Value) -> Value:
    """The same numbers (or the same place in a trace) as a tracked value."""
    if value.array is not None:
        return Value(value.array, tracked=True)
    made = reshape(value, shape=value.shape)
    made.tracked = True
    return made


def grad(
    function: Callable[..., Tensor], argnums: int | Sequence[int] = 0
) -> Callable[..., Any]:
    """A function that gives ``function``'s gradient; see :func:`value_and_grad`.

    >>> import chainrule as cr
    >>> cube = lambda x: x * x * x
    >>> cr.grad(cr.grad(cube))(cr.tensor(2.0))
    tensor(12.)
    """
    with_value = value_and_grad(function, argnums)

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        return with_value(*args, **kwargs)[1]

    return differentiated


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
