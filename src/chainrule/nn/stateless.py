"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from chainrule.errors import ArgumentError, ShapeError, nearest
from chainrule.nn.module import SupportsForward
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _

__all__ = ["functional_call"]

R = TypeVar("R")


def functional_call(
    module: SupportsForward[..., R],
    parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
) -> R:
    """Call a module with other tensors in place of its parameters and buffers.

    The module's own are back afterwards, whatever happens. What is not named keeps its
    place; a tensor that several modules share is replaced in all of them.

    Args:
        module: what to call.
        parameters_and_buffers: tensors by path, as ``named_parameters()`` has them; or
            several such.
        args: the argument of the call, or a tuple of them.
        kwargs: arguments by name.

    Raises:
        ArgumentError: a name that the module does not have.
        ShapeError: a tensor of another shape.

    >>> import chainrule as cr
    >>> model = cr.nn.Linear(1, 1, bias=False)
    >>> def loss(w):
    ...     return cr.nn.functional_call(model, {"weight": w}, cr.tensor([[3.0]])).sum()
    >>> cr.grad(loss)(cr.tensor([[2.0]]))
    tensor([[3.]])
    """
    with replaced(module, parameters_and_buffers):
        called: Any = module
        return called(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))


@contextmanager
def replaced(
    module: SupportsForward[..., Any],
    parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping],
) -> Iterator[None]:
    """Put other tensors in place of a module's own within the block.

    Args:
        module, parameters_and_buffers: as for :func:`functional_call`.
    """
    called: Any = module
    own = dict(called._named_state(remove_duplicate=False))
    replacements: dict[int, Tensor] = {}
    given = parameters_and_buffers
    parts = [given] if isinstance(given, Mapping) else given
    for name, item in (pair for part in parts for pair in part.items()):
        if name not in own:
            near = nearest(str(name), own)
            raise ArgumentError(
                _(
                    "{kind} has no tensor {name!r:.80}.",
                    kind=type(module).__name__,
                    name=name,
                ),
                expected=_("one of {known}", known=", ".join(own)),
                got=f"{name!r:.80}",
                fix=_("did you mean {near!r}?", near=near)
                if near
                else _("leave it out"),
            )
        t = as_tensor(item)
        if t.shape != own[name].shape:
            raise ShapeError(
                _("{name} has another shape.", name=name),
                expected=show(own[name].shape),
                got=show(t.shape),
            )
        replacements[id(own[name])] = t
    slots = [
        (owner.__dict__, name, t)
        for owner in called.modules()
        for name, t in owner.__dict__.items()
        if isinstance(t, Tensor) and id(t) in replacements
    ]
    for attributes, name, t in slots:
        attributes[name] = replacements[id(t)]
    try:
        yield
    finally:
        for attributes, name, t in slots:
            attributes[name] = t
