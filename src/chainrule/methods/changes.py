"""Changes in place: of the tensor itself, and of what it was taken of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.build import context
from chainrule.graph.node import Array, Value
from chainrule.operations.indexing import replaced
from chainrule.operations.operands import Handle


def _references(holder: Any, name: str) -> int:
    """How many hold what ``holder`` has under this name, and this function."""
    return sys.getrefcount(getattr(holder, name))


class _Holder:
    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = object()


#: What :func:`_references` gives for what nothing else holds.
_ONE = _references(_Holder(), "held")


@dataclass(slots=True)
class Base:
    """What a view was taken of.

    Attributes:
        of: gives the tensor while it lives.
        key: by which index, where it was by one.
        version: of the tensor then.
    """

    of: Callable[[], Any]
    key: Any
    version: int

    def is_of(self, tensor: Any, key: Any) -> bool:
        """Whether this is ``tensor[key]``, and nothing changed since."""
        if self.of() is not tensor or self.version != tensor.version:
            return False
        return self.key == key


class Changes(Handle):
    """How a tensor takes on another value."""

    __slots__ = ()

    _base: Base | None
    _pending: Any
    name: str | None
    version: int
    is_leaf: bool
    requires_grad: bool
    requires_grad_: Callable[[], Any]
    copy_: Callable[[Any], Any]

    def _is_held(self) -> bool:
        """Whether it is, or was taken of, a tensor that still lives."""
        if self._base is None:
            return True
        of = self._base.of()
        return of is not None and of._is_held()

    def _write(self, key: Any, new: Array) -> bool:
        """Write into the array itself, where nothing else can see that.

        Otherwise a change is a new array, which costs as much as the tensor is large.
        """
        if context.trace is not None or self.requires_grad or self._base is not None:
            return False
        self.numpy()  # fetched, where an engine has the numbers
        value = self._value
        array: Any = value.array
        if _references(self, "_value") > _ONE + 1 or not array.flags.owndata:
            return False  # the local name counts, too
        if _references(value, "array") > _ONE + 1 or not array.flags.writeable:
            return False
        try:
            array[key] = new
        except (IndexError, ValueError):
            return False
        self.version += 1
        return True

    def _change(self, made: Value) -> None:
        if context.trace is not None:
            context.trace.note_change(self)
        base, of = self._base, None if self._base is None else self._base.of()
        if base is not None and of is not None and of._is_held():
            if base.key is None or base.version != of.version:
                raise ArgumentError(
                    "This tensor was taken of another one, which a change in place "
                    "would not reach.",
                    expected="a change of the tensor itself, such as x[0, 1] = 2",
                    got=f"a change in place of {self!r:.60}",
                    fix="x = x.clone() first, to change this one alone",
                )
            of._change(replaced(of.value, base.key, made))
            base.version = of.version
        if self.requires_grad and self.is_leaf and context.grad:
            raise GradientError(
                f"{self.name or 'A leaf'} cannot be changed in place while its use is "
                "recorded.",
                expected="a change that no derivative is taken of",
                got="+=, -=, x[…] = y or the like outside of no_grad()",
                fix="with cr.no_grad(): p -= lr * p.grad, or let an optimiser do it",
            )
        if self.requires_grad and not self.is_leaf and not context.grad:
            raise GradientError(
                "A computed tensor is changed within no_grad(), where the change would "
                "cut it off from what it was computed of.",
                expected="a change that is recorded, or a tensor without derivatives",
                got=f"the result of {self._value.node}",
                fix="x = x.detach().clone() first",
            )
        if self.is_leaf and self.requires_grad:
            if self._value.array is None:  # made while tracing, and a leaf again
                self._value = made
                self.requires_grad_()
            else:
                self.copy_(self._new(made))
            return
        outside = context.trace is not None and self._value.array is not None
        if outside and context.trace.assign(self, made):  # pyright: ignore
            return
        self._pending = None
        self._value = made
        self.version += 1
