"""Gradient clipping: by value, and by the norm of all gradients together.

    g ← max(−c, min(c, g))                      element by element
    g ← g · min(1, c / (‖g‖ + 10⁻⁶))            ‖g‖² = the sum over all parameters

An optimiser clips within its ``step()`` where it has ``clip_value=`` or ``clip_norm=``;
the functions here do the same to the gradients of a loop of your own. Clipping holds an
explosion of gradients back; it does nothing against their vanishing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.composites.composite import composite
from chainrule.errors import ArgumentError
from chainrule.functions import stack
from chainrule.graph.context import no_grad, role
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.graph.types import DType
from chainrule.notation.functions import apply, total
from chainrule.optim.arguments import limit as checked_limit
from chainrule.primitives.checks import require_all
from chainrule.primitives.elementwise import (
    add,
    convert,
    div,
    maximum,
    minimum,
    mul,
    neg,
    sqrt,
)
from chainrule.primitives.movement import broadcast_to, full_like, reduce_sum
from chainrule.tensor import Tensor, as_tensor, tensor, wrap
from chainrule.text import _
from chainrule.util.blocks import settled

# -- what engines run ------------------------------------------------------------------

#: Added to the norm before dividing by it, as PyTorch does.
NORM_MARGIN = 1e-6


@composite(
    formula=lambda g: total(g**2, keep=False),
    source="the squared Euclidean norm",
    cases=tuple(Case((f"f[{s}]",)) for s in ("7", "3,4", "")),
)
def sum_of_squares(g: Value) -> Value:
    """Return the sum Σ g² of a gradient's squared elements, for its norm."""
    return reduce_sum(mul(g, g), axes=tuple(range(len(g.shape))))


@composite(
    formula=lambda norm, limit: apply("min", 1, limit / (norm + NORM_MARGIN)),
    source="Pascanu, Mikolov & Bengio 2013, algorithm 1, with PyTorch's margin",
    kinks=_("‖g‖ + 10⁻⁶ = c, where the derivative is taken as if clipping were on"),
    cases=(Case(("f[]", "f[]"), {}, ((0.01, 2.0),) * 2),),
)
def clip_factor(norm: Value, limit: Value) -> Value:
    """Return the factor min(1, c/(‖g‖ + 10⁻⁶)) that clips a gradient to norm c."""
    share = div(limit, add(norm, full_like(norm, NORM_MARGIN)))
    return minimum(full_like(norm, 1.0), share)


@composite(
    formula=lambda g, limit: apply("max", -limit, apply("min", limit, g)),
    source="gradient clipping by value; Mikolov 2012, section 3.2.2",
    kinks=_("|g| = c, where the derivative is taken as 0"),
    cases=tuple(
        Case((f"f[{s}]", "f[]"), {}, (None, (0.3, 1.0))) for s in ("7", "3,4", "0")
    ),
)
def clip_elements(g: Value, limit: Value) -> Value:
    """Clip each element of a gradient to [−c, c]."""
    top = broadcast_to(limit, shape=g.shape)
    return maximum(minimum(g, top), neg(top))


def total_norm(gradients: Sequence[Value]) -> Value:
    """Compute the norm ‖g‖ of all gradients together, in the widest of their dtypes.

    The squares of each gradient are added up by the engine's rule for its shape, and
    these sums one after the other in the order given.
    """
    dtype = max((g.dtype for g in gradients), key=lambda dtype: dtype.itemsize)
    squares = [as_dtype(sum_of_squares(g), dtype) for g in gradients]
    return sqrt(functools.reduce(add, squares))


def as_dtype(value: Value, dtype: DType) -> Value:
    """Convert a gradient, or another value, to a dtype, if necessary."""
    return value if value.dtype is dtype else convert(value, dtype=dtype)


# -- what loops call -------------------------------------------------------------------


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Compute the norm of several tensors together, as if they were one vector.

    Args:
        tensors: a tensor or several.
        norm_type: the p of the norm (Σ |g|ᵖ)^(1/p); ∞ for the largest |g|.
        error_if_nonfinite: whether a norm that is NaN or infinite is refused.

    >>> import chainrule as cr
    >>> cr.nn.utils.get_total_norm([cr.tensor([3.0]), cr.tensor([4.0])])
    tensor(5.)
    """
    items = [as_tensor(t) for t in _several(tensors)]
    if not items:
        return tensor(np.float32(0.0))
    if norm_type == 2:
        norm = wrap(total_norm([t.value for t in items]))
    else:
        dtype = max((t.dtype for t in items), key=lambda dtype: dtype.itemsize)
        norms = [t.norm(norm_type).astype(dtype) for t in items]
        norm = stack(norms).norm(norm_type)
    if error_if_nonfinite:
        what = _("The norm of the gradients is not finite.")
        known = norm.value.array
        got = _("another, in a compiled function") if known is None else f"{known}"
        fix = _("error_if_nonfinite=False, which clips with it all the same")
        finite, expected = norm.isfinite().value, _("a finite norm")
        options = {"expected": expected, "got": got, "fix": fix}
        norm = wrap(require_all(norm.value, finite, what, **options))
    return norm


@settled
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float | Tensor, total_norm: Tensor
) -> None:
    """Scale gradients by min(1, max_norm/(‖g‖ + 10⁻⁶)), with a norm that is known.

    Args:
        parameters: a tensor or several; see :func:`clip_grad_norm_`.
        max_norm: the limit.
        total_norm: ‖g‖, see :func:`get_total_norm`.
    """
    limit, norm = _limit("max_norm", max_norm), as_tensor(total_norm).value
    with no_grad(), role("update"):
        factor = clip_factor(norm, limit(norm.dtype))
        for p in _with_gradients(parameters):
            assert p.grad is not None
            g = p.grad.value
            scale = broadcast_to(as_dtype(factor, g.dtype), shape=g.shape)
            p.grad = wrap(mul(scale, g))


@settled
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Clip gradients: scale all of them so that their norm is at most ``max_norm``.

        g ← g · min(1, max_norm / (‖g‖ + 10⁻⁶))

    Args:
        parameters: a tensor or several; those without a gradient do not count. Their
            ``.grad`` becomes the scaled one.
        max_norm: the limit, > 0. In a compiled function a number is a constant of the
            graph; a tensor (an argument) may change without compiling anew.
        norm_type, error_if_nonfinite: see :func:`get_total_norm`.

    Returns:
        ‖g‖ before clipping. With NaN in a gradient it is NaN, and then so are all
        gradients; with infinity it is infinite, and they are 0 or NaN.

    Source: Pascanu, Mikolov & Bengio 2013, algorithm 1; PyTorch's ``clip_grad_norm_``.

    >>> import chainrule as cr
    >>> w = cr.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> cr.optim.clip_grad_norm_(w, max_norm=1.0)
    tensor(5.)
    >>> [round(g, 4) for g in w.grad.tolist()]
    [0.6, 0.8]
    """
    with_gradient = _with_gradients(parameters)
    with no_grad(), role("update"):
        gradients = [p.grad for p in with_gradient if p.grad is not None]
        norm = get_total_norm(gradients, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(with_gradient, max_norm, norm)
    return norm


@settled
def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float | Tensor
) -> None:
    """Clip every element of every gradient to [−clip_value, clip_value].

    Args:
        parameters: a tensor or several; their ``.grad`` becomes the clipped one.
        clip_value: the limit, > 0; see :func:`clip_grad_norm_`.

    Source: Mikolov 2012, section 3.2.2; PyTorch's ``clip_grad_value_``. NaN stays NaN.

    >>> import chainrule as cr
    >>> w = cr.tensor([3.0, -0.25], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> cr.optim.clip_grad_value_([w], clip_value=1.0)
    >>> w.grad
    tensor([ 1.  , -0.25])
    """
    limit = _limit("clip_value", clip_value)
    with no_grad(), role("update"):
        for p in _with_gradients(parameters):
            assert p.grad is not None
            g = p.grad.value
            p.grad = wrap(clip_elements(g, limit(g.dtype)))


def _several(tensors: Tensor | Iterable[Tensor]) -> list[Any]:
    one = isinstance(tensors, Tensor) or not isinstance(tensors, Iterable)
    return [tensors] if one else list(tensors)


def _with_gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    items = _several(parameters)
    for p in items:
        if not isinstance(p, Tensor):
            raise ArgumentError(
                _("Clipping works on the gradients of parameters."),
                expected="model.parameters()",
                got=repr(p)[:80],
            )
    return [p for p in items if p.grad is not None]


def _limit(name: str, limit: float | Tensor) -> Callable[[DType], Value]:
    """Return a function that gives the gradient-clipping limit in a dtype."""
    if isinstance(limit, Tensor):
        return lambda dtype: as_dtype(limit.value, dtype)
    number = checked_limit(name, limit)
    return lambda dtype: as_tensor(np.asarray(number, dtype.numpy)).value
