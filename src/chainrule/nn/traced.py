"""Helpers to trace a model: calls with any inputs, and modules' outputs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chainrule.errors import ArgumentError
from chainrule.graph.context import context
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, wrap
from chainrule.text import _, joined
from chainrule.util.blocks import Block
from chainrule.util.pytree import is_nest


class ForwardCapture(NamedTuple):
    """A recorded output tensor of a module, the first of several outputs.

    Attributes:
        path: of the module; of one that has several the first.
        calls: how often it had been called before.
        scope: that of the nodes which it recorded.
        output: the tensor.
    """

    path: str
    calls: int
    scope: str
    output: Tensor


def called(model: Module, inputs: Any) -> Any:
    """Call a model with its inputs: a dictionary by name, a tuple in order, or one.

    Raises:
        ArgumentError: a model whose ``forward`` takes others.
    """
    args: tuple[Any, ...] = inputs if isinstance(inputs, tuple) else (inputs,)
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, Mapping):
        args, kwargs = (), dict(inputs)
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):
        return model(*args, **kwargs)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        names = [*kwargs] or [_("{n} in order", n=len(args))]
        raise ArgumentError(
            _(
                "{kind} cannot be called with these inputs: {error}.",
                kind=type(model).__name__,
                error=error,
            ),
            expected=f"forward{signature}",
            got=joined(", ", names) if is_nest(inputs) else _("one input"),
            fix=_(
                "a dictionary of inputs by the names of these arguments, or a tuple "
                "in their order; one array for one argument"
            ),
        ) from error
    return model(*args, **kwargs)


class outputs_of(Block):  # noqa: N801 - used like a function
    """Record the output of each module of a model within the block, in call order.

    Nothing of this is left in a graph or in the model: the block is for tracing.
    """

    def __init__(self, model: Module) -> None:
        self.modules = [*model.named_modules()]

    def saved(self) -> list[tuple[Module, Any]]:
        return [(module, module.__dict__.get("forward")) for __, module in self.modules]

    def change(self) -> list[ForwardCapture]:
        captures: list[ForwardCapture] = []
        for path, module in self.modules:
            module.__dict__["forward"] = _noting(module.forward, path, captures)
        return captures

    def undo(self, saved: list[tuple[Module, Any]]) -> None:
        for module, before in saved:
            if before is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = before


def _noting(
    forward: Callable[..., Any], path: str, captures: list[ForwardCapture]
) -> Callable[..., Any]:
    """Return a module's ``forward`` wrapped to record its output."""
    calls = 0

    @functools.wraps(forward)
    def noted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        result = forward(*args, **kwargs)
        first = result[0] if isinstance(result, tuple) and result else result
        if isinstance(first, Tensor):
            now = wrap(first.value)  # the tensor may be changed in place later
            captures.append(ForwardCapture(path, calls, context.scope, now))
        calls += 1
        return result

    return noted
