"""Derivatives by PyTorch's names: ``torch.autograd``.

``function`` has functions with a derivative of one's own; the rest is here, and calls
what :mod:`chainrule.transforms` and tensors have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chainrule.autograd import functional
from chainrule.autograd.function import Function, FunctionCtx, once_differentiable
from chainrule.errors import ArgumentError, unknown_name
from chainrule.functions import zeros_like
from chainrule.graph.context import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.transforms.derivatives import gradients
from chainrule.util.keywords import strict

__all__ = [
    "Function",
    "FunctionCtx",
    "Variable",
    "backward",
    "enable_grad",
    "functional",
    "grad",
    "inference_mode",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]

Tensors = Tensor | Sequence[Tensor]


@strict
def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """Return the derivatives of outputs with respect to inputs, leaves or not.

    It is :func:`chainrule.gradients` with PyTorch's names of arguments, for several
    outputs too: the derivative of Σᵢ ⟨grad_outputsᵢ, outputsᵢ⟩.

    Args:
        outputs: scalars, or anything with ``grad_outputs``.
        inputs: tensors that they were computed from.
        grad_outputs: the cotangents of the outputs; None for 1 of a scalar.
        retain_graph: keep the recorded nodes; by default as ``create_graph``.
        create_graph: record the derivatives, so that they can be differentiated.
        allow_unused: None for an input that the outputs do not depend on, or an error.
        materialize_grads: zeros in place of None.

    Raises:
        GradientError: an input that the outputs do not depend on, or without a record.

    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> cr.autograd.grad([x * x, 2 * x], x)
    (tensor(8.),)
    """
    several = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    seeds = _seeds(several, grad_outputs)
    unused = materialize_grads if allow_unused is None else allow_unused
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    found: Any = gradients(
        several,
        wanted,
        gradient=seeds,
        create_graph=create_graph,
        retain_graph=retain_graph,
        allow_unused=unused or materialize_grads,
    )
    if materialize_grads:
        pairs = zip(found, wanted, strict=True)
        found = tuple([zeros_like(t) if g is None else g for g, t in pairs])
    return found


def _seeds(outputs: Sequence[Tensor], grad_outputs: Any) -> list[Any]:
    """Return a cotangent for each output."""
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs] * (
            1 if grad_outputs is not None else len(outputs)
        )
    if len(grad_outputs) != len(outputs):
        raise ArgumentError(
            _("Each output has a cotangent."),
            expected=_("{count} of them, or None", count=len(outputs)),
            got=str(len(grad_outputs)),
        )
    return list(grad_outputs)


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the derivative of a sum of tensors to ``.grad`` of the leaves.

    Args:
        tensors: scalars, or anything with ``grad_tensors``.
        grad_tensors: their cotangents; None for 1 of a scalar.
        retain_graph: keep the recorded nodes; by default as ``create_graph``.
        create_graph: record the derivatives, so that they can be differentiated.

    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> cr.autograd.backward([x * x, 2 * x])
    >>> x.grad
    tensor(8.)
    """
    several = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    total: Any = 0
    for t, seed in zip(several, _seeds(several, grad_tensors), strict=True):
        total = total + (t if seed is None else (t * as_tensor(seed)).sum())
    retain = create_graph if retain_graph is None else retain_graph
    total.backward(create_graph=create_graph, retain_graph=retain)


@strict
def Variable(data: Any, requires_grad: bool = False) -> Tensor:
    """Return a tensor, as in PyTorch, where tensors and variables are one since 0.4.

    >>> Variable(as_tensor([1.0]), requires_grad=True).requires_grad
    True
    """
    new = as_tensor(data).detach()
    return new.requires_grad_() if requires_grad else new


if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        fixes = {
            "gradcheck": "cr.check_gradients(function, *arguments)",
            "detect_anomaly": _("nothing: errors name the operation and its line"),
            "set_detect_anomaly": _("nothing: errors name the operation and its line"),
            "profiler": "cr.compile(function).profile(*arguments)",
        }
        raise unknown_name(__name__, name, __all__, fixes)
