"""Function transforms by PyTorch's names: ``torch.func``.

The package has the same as ``cr.grad``, ``cr.vmap`` …; see
:mod:`chainrule.transforms`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, overload

from chainrule.functions import stack
from chainrule.nn.module import Module
from chainrule.nn.stateless import functional_call
from chainrule.tensor import Tensor
from chainrule.transforms.derivatives import (
    grad,
    hessian,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from chainrule.transforms.signatures import GradientAndValue
from chainrule.transforms.vectorization import vmap

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "stack_module_state",
    "vjp",
    "vmap",
]

#: PyTorch's two ways to one Jacobian; here both walk back.
jacrev = jacfwd = jacobian


@overload
def grad_and_value(
    func: Callable[P, R],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
) -> GradientAndValue[P, R]: ...
@overload
def grad_and_value(
    func: Callable[P, R],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[P, tuple[Any, R]]: ...
def grad_and_value(
    func: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes the gradient and the value of a function.

    They are those of :func:`chainrule.value_and_grad`, the gradient first.

    >>> import chainrule as cr
    >>> cr.func.grad_and_value(lambda x: x * x)(cr.tensor(3.0))
    (tensor(6.), tensor(9.))
    """
    both = value_and_grad(func, argnums, has_aux=has_aux)
    return lambda *args, **kwargs: both(*args, **kwargs)[::-1]


def stack_module_state(
    models: Sequence[Module],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stack the parameters and the buffers of modules alike: an ensemble for ``vmap``.

    Args:
        models: modules of one structure.

    Returns:
        The parameters, as leaves of their own, and the buffers, by name; each has one
        entry a module along a new first axis.

    >>> import chainrule as cr
    >>> models = [cr.nn.Linear(2, 1) for _ in range(5)]
    >>> parameters, buffers = cr.func.stack_module_state(models)
    >>> def call(parameters, buffers, x):
    ...     return cr.func.functional_call(models[0], (parameters, buffers), (x,))
    >>> cr.vmap(call, in_dims=(0, 0, None))(parameters, buffers, cr.ones(3, 2)).shape
    (5, 3, 1)
    """

    def stacked(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        first = states[0] if states else {}
        return {n: stack([s[n] for s in states]).detach() for n in first}

    parameters = stacked([dict(m.named_parameters()) for m in models])
    for p in parameters.values():
        p.requires_grad_()
    return parameters, stacked([dict(m.named_buffers()) for m in models])
