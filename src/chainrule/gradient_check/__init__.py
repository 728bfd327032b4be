"""Gradient checks: derivatives against difference quotients, with causes of errors.

The chain rule gives ∂ℒ/∂θ for all θ at once; a quotient (ℒ(θ + ε) − ℒ(θ − ε)) / 2ε
gives it for one, without any rule. So the one is a check of the other (3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from chainrule.errors import ArgumentError
from chainrule.gradient_check.arguments import Arguments, is_module, names_of
from chainrule.gradient_check.checking import Check
from chainrule.gradient_check.failure import GradientCheckError
from chainrule.gradient_check.report import GradientReport
from chainrule.gradient_check.row import GradientRow
from chainrule.gradient_check.subject import FunctionCall
from chainrule.operations.accepted import TensorLike
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util import validation
from chainrule.util.keywords import strict

__all__ = [
    "GradientCheckError",
    "GradientReport",
    "GradientRow",
    "check_gradients",
]


@overload
def check_gradients(
    function: Callable[[Tensor], Any],
    x: TensorLike,
    /,
    *,
    entries: int = 256,
    directions: int = 3,
    tolerance: float = 1e-6,
    seed: int = 0,
    raises: bool = True,
) -> GradientReport: ...
@overload
def check_gradients(
    function: Callable[..., Any],
    *args: Any,
    entries: int = 256,
    directions: int = 3,
    tolerance: float = 1e-6,
    seed: int = 0,
    raises: bool = True,
) -> GradientReport: ...
@strict
def check_gradients(
    function: Callable[..., Any],
    *args: Any,
    entries: int = 256,
    directions: int = 3,
    tolerance: float = 1e-6,
    seed: int = 0,
    raises: bool = True,
) -> GradientReport:
    """Check the gradients of ``function`` against difference quotients, in float64.

    Entry by entry, ∂f/∂xᵢ by the derivative rules must equal
    (f(x + εeᵢ) − f(x − εeᵢ)) / 2ε, extrapolated to ε = 0 (Richardson 1911). Where they
    differ the report says why: a *kink*, *precision*, or *a wrong rule*, whose
    primitive is found by checking each node of the graph alone.

    Checked are the floating-point arguments and every parameter that the function uses:

    - ``check_gradients(f, x, w)``: a function of arrays, or of nests of them;
    - ``check_gradients(model, x, y, loss)``: as ``cr.explain`` takes it, loss(model(x),
      y); the truth y is held fixed;
    - ``check_gradients(lambda: loss(model(x), y))``: whatever parameters it finds;
    - ``check_gradients(lambda m, x: m(x).sum(), model, x)``: a module as an argument
      stands for its parameters, as in ``cr.grad``.

    All of it is computed in float64, of copies: parameters, running statistics,
    gradients and random state stay as they are. Draws (dropout) are the same for every
    quotient. Integers are passed on as they are.

    Args:
        function: gives a tensor, or a nest of them; of more than one number, a sum with
            random weights is differentiated.
        args: what it is called with.
        entries: so many are checked one by one at most; of more, a random sample, and
            random directions through all of them.
        directions: how many of those for each array that is not checked whole.
        tolerance: the largest relative error allowed.
        seed: for samples, directions, weights and the function's own draws.
        raises: whether a wrong derivative is an error; else it is in the report alone.

    Returns:
        A :class:`GradientReport`: print it; ``.ok``, ``.worst``, ``.rows``,
        ``.to_dict()``.

    Raises:
        GradientError: a derivative is wrong; the error's ``report`` says why. Kinks and
            what precision hides are in the report and no error. Or nothing that the
            function gives has a derivative.
        ArgumentError: nothing to differentiate with respect to, or a function that
            gives other numbers each time.
        NonFiniteError: NaN or infinity at the point.

    >>> import chainrule as cr
    >>> report = cr.check_gradients(cr.Tensor.tanh, [0.3, -1.0])
    >>> report.ok, report.worst.error < 1e-8
    (True, True)
    >>> report = cr.check_gradients(cr.Tensor.abs, [0.0, 2.0])
    >>> [row.kind for row in report.rows]
    ['kink', 'agrees']
    """
    entries = validation.whole("entries", entries)
    directions = validation.count("directions", directions)
    tolerance = validation.number("tolerance", tolerance, above=0.0)
    seed = validation.seed("seed", seed)
    called, arguments, title = _prepared(function, args)
    subject = FunctionCall(called, arguments, seed).subject()
    report = Check(subject, title, entries, directions, tolerance, seed).report()
    if raises and not report.ok:
        raise GradientCheckError(report)
    return report


def _prepared(
    function: Any, args: tuple[Any, ...]
) -> tuple[Callable[..., Any], Arguments, str]:
    """Return the function of a gradient check, its arguments, and a report title."""
    if not callable(function):
        raise ArgumentError(
            _("check_gradients needs a function."),
            expected=_("a function of tensors, or a model with x, y and its loss"),
            got=type(function).__name__,
        )
    name = _name(function)
    if not is_module(function):
        return function, Arguments.of(names_of(function, len(args)), args), name
    if len(args) == 3 and callable(args[2]) and not isinstance(args[2], Tensor):
        x, y, loss = args
        arguments = Arguments.of(("model", "x", "y"), (function, x, y), fixed=("y",))
        title = f"{_name(loss)}({name}(x), y)"
        return lambda model, x, y: loss(model(x), y), arguments, title
    names = ["model", *names_of(function, len(args))]
    arguments = Arguments.of(names, (function, *args))
    return lambda model, *rest: model(*rest), arguments, name


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)
