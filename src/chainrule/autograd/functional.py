"""Derivatives of functions by PyTorch's names: ``torch.autograd.functional``.

Each takes a function and the point; :mod:`chainrule.transforms` has the same as
functions that return functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from chainrule.functions import ones_like
from chainrule.tensor import Tensor
from chainrule.transforms import derivatives

__all__ = ["hessian", "jacobian", "jvp", "vjp"]


def _arguments(inputs: Any) -> tuple[Any, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


@overload
def jacobian(
    func: Callable[[Tensor], Tensor], inputs: Tensor, create_graph: bool = False
) -> Tensor: ...
@overload
def jacobian(
    func: Callable[..., Tensor], inputs: Any, create_graph: bool = False
) -> tuple[Tensor, ...]: ...
def jacobian(
    func: Callable[..., Tensor], inputs: Any, create_graph: bool = False
) -> Any:
    """Return the derivative of each element of a function with respect to each input.

    Args:
        func: a function of tensors that returns a tensor.
        inputs: a tensor, or a tuple of them; the result is alike.
        create_graph: record the derivative, so that it can be differentiated.

    >>> import chainrule as cr
    >>> cr.autograd.functional.jacobian(lambda x: x * x, cr.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    args = _arguments(inputs)
    found = tuple([derivatives.jacobian(func, i)(*args) for i in range(len(args))])
    found = found if create_graph else tuple([t.detach() for t in found])
    return found if isinstance(inputs, tuple) else found[0]


@overload
def hessian(
    func: Callable[[Tensor], Tensor], inputs: Tensor, create_graph: bool = False
) -> Tensor: ...
@overload
def hessian(
    func: Callable[..., Tensor], inputs: Any, create_graph: bool = False
) -> tuple[tuple[Tensor, ...], ...]: ...
def hessian(
    func: Callable[..., Tensor], inputs: Any, create_graph: bool = False
) -> Any:
    """Return the second derivatives of a scalar function.

    Args:
        func: a function of tensors that returns a scalar tensor.
        inputs: a tensor, or a tuple of them; then the result is a tuple of tuples.
        create_graph: record the derivative, so that it can be differentiated.

    >>> import chainrule as cr
    >>> cr.autograd.functional.hessian(lambda x: (x**3).sum(), cr.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    args = _arguments(inputs)
    rows = []
    for i in range(len(args)):
        slope = derivatives.grad(func, i)
        row = [derivatives.jacobian(slope, k)(*args) for k in range(len(args))]
        rows.append(tuple(row if create_graph else [t.detach() for t in row]))
    return tuple(rows) if isinstance(inputs, tuple) else rows[0][0]


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """Return a function's result, and the product of a vector and its Jacobian.

    Args:
        func: a function of tensors.
        inputs: a tensor, or a tuple of them.
        v: the vector, like the result; None for 1 of a scalar.
        create_graph: record both, so that they can be differentiated.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0, 2.0])
    >>> cr.autograd.functional.vjp(lambda x: x * x, x, cr.tensor([1.0, 1.0]))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    result, back = derivatives.vjp(func, *_arguments(inputs))
    found = back(ones_like(result) if v is None and result.shape == () else v)
    found = found if create_graph else tuple([t.detach() for t in found])
    result = result if create_graph else result.detach()
    return result, found if isinstance(inputs, tuple) else found[0]


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """Return a function's result, and the product of its Jacobian and a vector.

    Args:
        func: a function of tensors.
        inputs: a tensor, or a tuple of them.
        v: the vector, like the inputs; None for 1 of a scalar.
        create_graph: record both, so that they can be differentiated.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0, 2.0])
    >>> cr.autograd.functional.jvp(lambda x: x * x, x, cr.tensor([1.0, 0.0]))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    args = _arguments(inputs)
    vectors = _arguments(ones_like(args[0]) if v is None else v)
    result, slope = derivatives.jvp(func, args, vectors)
    return (result, slope) if create_graph else (result.detach(), slope.detach())
