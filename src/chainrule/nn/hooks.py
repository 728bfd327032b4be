"""Hooks of modules: functions that are called at each forward or backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from chainrule.autograd.function import Function
from chainrule.methods.hooks import RemovableHandle
from chainrule.tensor import Tensor
from chainrule.util.pytree import flatten, unflatten

_numbers = itertools.count()


class ModuleHooks:
    """Base class of modules: the hooks of a module, and a call that runs them."""

    #: The hooks by kind and number; None where there are none.
    _hooks: dict[str, dict[int, tuple[Callable[..., Any], bool]]] | None = None
    forward: Callable[..., Any]

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> RemovableHandle:
        """Call a function after each forward pass of the module.

        Args:
            hook: ``hook(module, args, output)``; returns None, or another output.
            prepend: whether it is called before the hooks that are there.
            with_kwargs: whether it is called as ``hook(module, args, kwargs, output)``.

        Returns:
            a handle whose ``remove()`` takes the hook away.

        >>> import chainrule as cr
        >>> from chainrule import nn
        >>> layer, shapes = nn.Linear(2, 3), []
        >>> handle = layer.register_forward_hook(lambda m, x, y: shapes.append(y.shape))
        >>> _ = layer(cr.ones(4, 2))
        >>> handle.remove(); _ = layer(cr.ones(5, 2)); shapes
        [(4, 3)]
        """
        return self._register("forward", hook, prepend, with_kwargs)

    def register_forward_pre_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
    ) -> RemovableHandle:
        """Call a function before each forward pass of the module.

        Args:
            hook: ``hook(module, args)``; returns None, or other arguments.
            prepend: whether it is called before the hooks that are there.
            with_kwargs: whether it is called as ``hook(module, args, kwargs)``; it then
                returns None, or a pair of arguments.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return self._register("before", hook, prepend, with_kwargs)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call a function when the gradients of the module's inputs are computed.

        Args:
            hook: ``hook(module, grad_input, grad_output)``, with tuples of gradients;
                returns None, or gradients in place of ``grad_input``.
            prepend: whether it is called before the hooks that are there.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return self._register("backward", hook, prepend, False)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call a function when the gradients of the module's outputs are computed.

        Args:
            hook: ``hook(module, grad_output)``, with a tuple of gradients; returns
                None, or gradients in place of them.
            prepend: whether it is called before the hooks that are there.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return self._register("outputs", hook, prepend, False)

    def _register(
        self, kind: str, hook: Callable[..., Any], prepend: bool, with_kwargs: bool
    ) -> RemovableHandle:
        number, mine = next(_numbers), {}
        for name, items in (self._hooks or {}).items():
            mine[name] = dict(items)
        there = mine.get(kind, {})
        new = {number: (hook, with_kwargs)}
        mine[kind] = {**new, **there} if prepend else {**there, **new}
        self.__dict__["_hooks"] = mine  # another object, so that traces see it

        def remove() -> None:
            left = {
                name: {n: item for n, item in items.items() if n != number}
                for name, items in (self._hooks or {}).items()
            }
            left = {name: items for name, items in left.items() if items}
            self.__dict__["_hooks"] = left or None

        return RemovableHandle(remove)

    def _forward_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` between the module's hooks."""
        hooks = self._hooks or {}
        for hook, with_kwargs in list(hooks.get("before", {}).values()):
            if with_kwargs:
                args, kwargs = hook(self, args, kwargs) or (args, kwargs)
                continue
            new = hook(self, args)
            if new is not None:
                args = new if isinstance(new, tuple) else (new,)
        pair = None
        if "backward" in hooks or "outputs" in hooks:
            pair = _BackwardPair(self, hooks)
            args = pair.inputs(args)
        output = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(hooks.get("forward", {}).values()):
            parts = (args, kwargs, output) if with_kwargs else (args, output)
            new = hook(self, *parts)
            output = output if new is None else new
        return output if pair is None else pair.outputs(output)


class _BackwardPair:
    """The backward hooks at one forward pass: identities before and after the module.

    The derivative of the one after it brings ``grad_output``, that of the one before it
    ``grad_input``.
    """

    def __init__(self, module: Any, hooks: dict[str, Any]) -> None:
        self.module, self.hooks = module, hooks
        self.grad_output: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the module's arguments, as results of the first identity."""
        return self._through(args, self._came_out)

    def outputs(self, output: Any) -> Any:
        """Return the module's results, as results of the second identity."""
        return self._through(output, self._came_in)

    def _through(self, nest: Any, call: Callable[..., Any]) -> Any:
        leaves, structure = flatten(nest)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        passed = _Identity.apply(call, *[leaves[i] for i in places])
        for i, t in zip(places, passed, strict=True):
            leaves[i] = t
        return unflatten(structure, leaves)

    def _came_in(self, gs: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, __ in list(self.hooks.get("outputs", {}).values()):
            gs = _replaced(hook(self.module, gs), gs)
        self.grad_output = gs
        return gs

    def _came_out(self, gs: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, __ in list(self.hooks.get("backward", {}).values()):
            gs = _replaced(hook(self.module, gs, self.grad_output), gs)
        return gs


def _replaced(new: Any, gs: tuple[Any, ...]) -> tuple[Any, ...]:
    if new is None:
        return gs
    return new if isinstance(new, tuple) else (new,)


class _Identity(Function):
    """The identity of tensors, whose derivative calls a function of the gradients."""

    @staticmethod
    def forward(ctx: Any, call: Callable[..., Any], *tensors: Tensor) -> Any:
        """Return the tensors."""
        ctx.call = call
        return tuple([t.view_as(t) for t in tensors])

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        """Return the gradients as a backward hook changes them."""
        return (None, *ctx.call(gs))
