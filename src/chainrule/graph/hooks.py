"""Hooks on gradients: functions that a walk backward calls with a value's cotangent.

A hook is stored where its gradient belongs: at a graph value, or at the leaf tensor
that owns one, whose value is another one after each step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from chainrule.graph.node import Value

#: Takes a cotangent, and returns what the walk goes on with.
Hook = Callable[[Value], Value]


class GradientHooks:
    """The registry of hooks on gradients.

    Attributes:
        version: counts changes up; compiled functions are traced anew after one.
    """

    def __init__(self) -> None:
        self.version = 0
        self._numbers = itertools.count()

    def add(self, target: Any, hook: Hook) -> Callable[[], None]:
        """Add a hook on the gradient of a value, or of a leaf tensor.

        Returns:
            a function that removes it; a second call of it does nothing.
        """
        hooks: dict[int, Hook] = getattr(target, "_hooks", None) or {}
        target._hooks = hooks
        number = next(self._numbers)
        hooks[number] = hook
        self.version += 1

        def remove() -> None:
            if hooks.pop(number, None) is not None:
                self.version += 1

        return remove

    def called(self, value: Value, g: Value) -> Value:
        """Call the hooks of a value with its cotangent; return what they make of it."""
        owner = value.owner and value.owner()
        for target in (value, owner):
            hooks: dict[int, Hook] = getattr(target, "_hooks", None) or {}
            for hook in list(hooks.values()):
                g = hook(g)
        return g


gradient_hooks = GradientHooks()
