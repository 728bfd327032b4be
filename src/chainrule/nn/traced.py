"""Helpers to trace a model: calls with any inputs, and modules' outputs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chainrule.errors import ArgumentError
from chainrule.graph.context import context
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, wrap
from chainrule.text import _, joined
from chainrule.util.blocks import Block
from chainrule.util.pytree import flatten, is_nest


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


class _Noting(Block):
    """A block in which ``forward`` of a model's modules is wrapped to note each call.

    Nothing of this is left in a graph or in the model: the block is for tracing.
    """

    def __init__(self, model: Module) -> None:
        self.modules: dict[int, tuple[str, Module]] = {}
        for path, module in model.named_modules():
            self.modules.setdefault(id(module), (path, module))
        self.notes: list[Any] = []

    def saved(self) -> list[tuple[Module, Any]]:
        modules = [module for __, module in self.modules.values()]
        return [(module, module.__dict__.get("forward")) for module in modules]

    def change(self) -> list[Any]:
        for path, module in self.modules.values():
            module.__dict__["forward"] = self.noting(module, path)
        return self.notes

    def undo(self, saved: list[tuple[Module, Any]]) -> None:
        for module, before in saved:
            if before is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = before

    def noting(self, module: Module, path: str) -> Callable[..., Any]:
        """Return a module's ``forward`` wrapped to note its calls."""
        raise NotImplementedError


class outputs_of(_Noting):  # noqa: N801 - used like a function
    """Record the output of each module of a model within the block, in call order."""

    def noting(self, module: Module, path: str) -> Callable[..., Any]:
        return _noting(module.forward, path, self.notes)


@dataclass(eq=False)
class ModuleCall:
    """A recorded call of a module.

    Attributes:
        path: of the module; of one that has several the first.
        module: what was called.
        scope: that of the nodes which it recorded.
        depth: how many calls it is within.
        inputs, outputs: its tensors.
    """

    path: str
    module: Module
    scope: str
    depth: int
    inputs: list[Tensor]
    outputs: list[Tensor] = field(default_factory=list[Tensor])


class calls_of(_Noting):  # noqa: N801 - used like a function
    """Record the calls of a model's modules within the block, as they begin."""

    depth = 0

    def noting(self, module: Module, path: str) -> Callable[..., Any]:
        forward = module.forward

        @functools.wraps(forward)
        def noted(*args: Any, **kwargs: Any) -> Any:
            given = _tensors((args, kwargs))
            call = ModuleCall(path, module, context.scope, self.depth, given)
            self.notes.append(call)
            self.depth += 1
            result = forward(*args, **kwargs)
            self.depth -= 1
            call.outputs = _tensors(result)
            return result

        return noted


def _tensors(nest: Any) -> list[Tensor]:
    """Return the tensors of a nest as they are now: they may be changed in place."""
    return [wrap(leaf.value) for leaf in flatten(nest)[0] if isinstance(leaf, Tensor)]


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
