"""Hooks of tensors: functions that are called with the gradient of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self
from weakref import ref as reference

from chainrule.errors import GradientError, ShapeError
from chainrule.graph.context import context
from chainrule.graph.hooks import gradient_hooks
from chainrule.graph.node import Value
from chainrule.operations.operands import TensorBase
from chainrule.primitives.rules import show
from chainrule.text import _


class RemovableHandle:
    """A hook that was registered, which ``remove()`` takes away.

    It is a context manager too: the hook is there within the block.
    """

    def __init__(self, remove: Callable[[], Any]) -> None:
        self._remove = remove

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._remove()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *__: object) -> None:
        self.remove()


class Hooks(TensorBase):
    """Base class of tensors: hooks on their gradients."""

    __slots__ = ("_hooks",)

    grad: Any
    is_leaf: bool

    def register_hook(self, hook: Callable[[Self], Self | None]) -> RemovableHandle:
        """Call a function with the tensor's gradient, each time it is computed.

        Args:
            hook: takes ∂ℒ/∂x as a tensor; returns None, or what goes on in its place.

        Returns:
            a handle whose ``remove()`` takes the hook away.

        Raises:
            GradientError: a tensor without a derivative, or one that was computed in a
                function that is traced.

        >>> import chainrule as cr
        >>> x = cr.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10 * g)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([20., 40.])
        """
        if not self.requires_grad:
            raise GradientError(
                _("A hook waits for a gradient, and this tensor has none."),
                expected="requires_grad=True",
                got=repr(self)[:80],
                fix=_("x.requires_grad_(), or a tensor that was computed from one"),
            )
        if context.trace is not None:
            raise GradientError(
                _("A hook on a gradient is registered while a function is traced."),
                expected=_("hooks of parameters, registered outside"),
                got=repr(self)[:80],
                fix=_(
                    "p.register_hook(…) before the compiled function is called; "
                    "probes of a Trainer for what is computed in between"
                ),
            )
        return RemovableHandle(gradient_hooks.add(self._hooked(), self._wrapped(hook)))

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that was computed: ``x.grad`` is set, too.

        >>> import chainrule as cr
        >>> x = cr.tensor(3.0, requires_grad=True)
        >>> y = x * x
        >>> y.retain_grad()
        >>> (2 * y).backward()
        >>> y.grad
        tensor(2.)
        """
        if self.is_leaf:
            return

        weakly = reference(self)

        def keep(g: Any) -> None:
            tensor = weakly()
            if tensor is not None:
                tensor.grad = g if tensor.grad is None else tensor.grad + g

        self.register_hook(keep)

    def _hooked(self) -> Any:
        """Return the owner of a tensor's hooks: a leaf itself, else its graph value."""
        return self if self.is_leaf else self.value

    def _wrapped(self, hook: Callable[[Any], Any]) -> Callable[[Value], Value]:
        """Return a hook of tensors as one of values."""
        new = self._new

        def call(g: Value) -> Value:
            result = hook(new(g))
            if result is None:
                return g
            if not isinstance(result, TensorBase) or result.shape != g.shape:
                raise ShapeError(
                    _("A hook returns the gradient that the walk goes on with."),
                    expected=_(
                        "None, or a tensor of shape {shape}", shape=show(g.shape)
                    ),
                    got=f"{result!r:.80}",
                )
            return result.value

        return call
