"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from chainrule.errors import ArgumentError, ShapeError, nearest
from chainrule.nn.module import SupportsForward
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.blocks import Block, settled

__all__ = ["functional_call"]

R = TypeVar("R")
#: A module's attributes, the name of one of them, and a tensor for it.
Slot = tuple[dict[str, Any], str, Tensor]


@settled
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


class replaced(Block):  # noqa: N801 - used like a function
    """A block with other tensors in place of a module's own.

    Args:
        module, parameters_and_buffers: as for :func:`functional_call`.
    """

    def __init__(
        self,
        module: SupportsForward[..., Any],
        parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping],
    ) -> None:
        self.slots = _slots(module, parameters_and_buffers)

    def saved(self) -> list[Slot]:
        return [(owner, name, owner[name]) for owner, name, __ in self.slots]

    def change(self) -> None:
        self.undo(self.slots)

    def undo(self, saved: list[Slot]) -> None:
        for attributes, name, t in saved:
            attributes[name] = t


def _slots(
    module: SupportsForward[..., Any],
    parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping],
) -> list[Slot]:
    """Return where a module's tensors are, each with what comes in its place."""
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
    return [
        (owner.__dict__, name, replacements[id(t)])
        for owner in called.modules()
        for name, t in owner.__dict__.items()
        if isinstance(t, Tensor) and id(t) in replacements
    ]
