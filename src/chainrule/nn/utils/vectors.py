"""All parameters of a model as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.errors import ShapeError
from chainrule.functions import concat
from chainrule.graph.context import no_grad
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the elements of several parameters as one vector, in order.

    >>> from chainrule import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(2, 3).parameters()).shape
    (9,)
    """
    return concat([p.flatten() for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of a vector into several parameters, in order.

    Raises:
        ShapeError: a vector of another length than all parameters together.

    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(2, 1)
    >>> cr.nn.utils.vector_to_parameters(cr.ones(3), layer.parameters())
    >>> layer.bias.item()
    1.0
    """
    vec, parameters = as_tensor(vec), list(parameters)
    sizes = [int(p.size) for p in parameters]
    if vec.shape != (sum(sizes),):
        raise ShapeError(
            _("vector_to_parameters takes a number for each element."),
            expected=f"({sum(sizes)},)",
            got=show(vec.shape),
        )
    with no_grad():
        for p, part in zip(parameters, vec.split(sizes), strict=True):
            p.copy_(part.reshape(p.shape))
