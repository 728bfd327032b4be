"""Views of tensors: a view refers to its base tensor and to the operation.

A view is made anew when it is read after its base has changed, and a change of it is a
change of the base. So nothing shares memory, what was saved for a derivative is never
damaged, and derivatives follow. It is the same while a function is traced.
"""

from __future__ import annotations

import sys
from typing import Any, Self
from weakref import ref as reference

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.context import context, no_grad, recording
from chainrule.graph.layout import UNKNOWN
from chainrule.graph.node import Array, Value, untracked
from chainrule.operations.operands import TensorBase
from chainrule.operations.views import (
    DIAGONAL,
    EXPAND,
    NARROW,
    RESHAPE,
    SAME,
    View,
    takes_rows,
)
from chainrule.primitives import movement
from chainrule.text import _
from chainrule.util.keywords import strict


def references(holder: Any, name: str) -> int:
    """Return the reference count of an attribute's value, for writes in place."""
    return sys.getrefcount(getattr(holder, name))


class _Holder:
    __slots__ = ("item",)

    def __init__(self) -> None:
        self.item = object()


#: What :func:`references` gives for what nothing else holds.
ONE = references(_Holder(), "item")


class Storage:
    """The storage that a tensor shares with its views.

    Attributes:
        left: by whom the views' numbers are held, once the tensor has been given others
            by ``x.data = y``.
    """

    left: Any = None


class Base:
    """The base of a view: the viewed tensor, and the operation that takes the view.

    Attributes:
        tensor: that it was taken of.
        storage: of that tensor.
        view, arguments: how it is taken, and how written.
        recorded: whether derivatives pass through it.
        sure: whether it is a view, or whether PyTorch might make a copy.
        seen: the value of the tensor that it shows.
    """

    __slots__ = ("arguments", "recorded", "seen", "storage", "sure", "tensor", "view")

    tensor: Any
    storage: Storage
    view: View
    arguments: tuple[Any, ...]
    recorded: bool
    sure: bool
    seen: Value

    @classmethod
    def on(cls, tensor: Any, view: View, *arguments: Any) -> Base:
        """Return the base of a new view of a tensor, without derivatives."""
        base = cls()
        base.tensor, base.storage = tensor, tensor._shared_storage()
        base.view, base.arguments = view, arguments
        base.recorded, base.sure, base.seen = False, True, tensor.value
        return base

    def of(self) -> Any:
        """Return the base tensor of a view, which holds the numbers."""
        left = self.storage.left
        return self.tensor if left is None else left

    def is_of(self, tensor: Any, view: View, *arguments: Any) -> bool:
        """Return whether a view's base is ``tensor``, viewed by the same operation."""
        same = self.view is view and self.arguments == arguments
        return same and self.of() is tensor

    def view_of(self, value: Value) -> Value:
        """Return the view of another value of its base tensor."""
        if not self.sure:
            raise uncertain_view(self.of())
        if not self.recorded and value.tracked:
            value = detached(value)
        with recording() if self.recorded else no_grad():
            shown = self.view.take(value, *self.arguments)
            return computed(shown) if shown.owner is not None else shown


def _array(v: Value) -> Array:
    assert v.array is not None
    return v.array


def computed(v: Value) -> Value:
    """Return a leaf's value as a computed value, which has a graph node."""
    return movement.reshape(v, shape=v.shape)


def detached(v: Value) -> Value:
    """Return a value ``v`` without its derivative."""
    if context.trace is None:
        return untracked(v)
    with no_grad():
        return movement.reshape(v, shape=v.shape)


class Views(TensorBase):
    """Base class of tensors: their views, and the base of a view."""

    __slots__ = ()

    _base: Base | None
    _storage: Any
    _twin: reference[Any] | None
    _pending: Any
    name: str | None
    version: int
    _now: Value
    is_leaf: bool
    requires_grad: bool

    def _shared_storage(self) -> Storage:
        """Return the storage that the tensor shares with its views."""
        if self._storage is None:
            self._storage = Storage()
        return self._storage

    def _view(self, of: Value, value: Value, view: View, *arguments: Any) -> Self:
        """Return ``value`` as a view of this tensor, taken of the value ``of``."""
        if value.owner is not None:
            value = computed(value)
        tensor, recorded = self, value.tracked
        if not recorded:
            if of.tracked and not self.is_leaf:
                tensor = self.detach()
                of = tensor.value
            recorded = context.grad
        shown = self._new(value)
        shown._base = base = Base()
        base.tensor, base.storage = tensor, tensor._storage or tensor._shared_storage()
        base.view, base.arguments, base.recorded = view, arguments, recorded
        base.seen, base.sure = of, True
        return shown

    def _in_rows(self, v: Value, reshaped: Value) -> Self:
        """Return a reshaped value as a view of the tensor, or as a copy.

        It is a view where the elements lie in an order that the shape can be given to,
        as in PyTorch. Nobody knows the order while a function is traced, and of what
        was computed of tensors in another order.
        """
        array: Any = v.array
        known = self._base is None or self._order_is_known()
        if v.order:
            known = known and v.order != UNKNOWN
        if known and array is not None and array.flags.c_contiguous:
            return self._view(v, reshaped, RESHAPE, reshaped.shape)
        sure = reshaped is v or (known and self._order_is_known())
        if (
            sure
            and array is not None
            and not np.may_share_memory(array, _array(reshaped))
        ):
            return self._new(reshaped)
        shaped = self._view(v, reshaped, RESHAPE, reshaped.shape)
        shaped._base.sure = sure  # type: ignore[union-attr]
        return shaped

    @strict
    def contiguous(self) -> Self:
        """Return the tensor itself, or a copy if it is not in row-major order.

        That is so of ``x.T``, for example, and decides what a change in place reaches.
        """
        v = self.value
        array: Any = v.array
        known = self._base is None or self._order_is_known()
        if v.order:
            known = known and v.order != UNKNOWN
        if known and array is not None and array.flags.c_contiguous:
            return self
        if not known or not self._order_is_known():
            copy = self._view(v, v, RESHAPE, v.shape)
            copy._base.sure = False  # type: ignore[union-attr]
            return copy
        if array is None:
            return self
        line = movement.reshape(v, shape=(array.size,))
        return self._new(movement.reshape(line, shape=v.shape))

    def _order_is_known(self) -> bool:
        """Return whether the tensor's elements are known to be in row-major order.

        While tracing, they do where the base of the views has that order.
        """
        tensor, traced = self, self.value.array is None
        while (base := tensor._base) is not None:
            if not base.sure or base.view in (NARROW, DIAGONAL):  # which are copied
                return False
            if traced and not takes_rows(base.view, base.arguments):
                return False
            tensor = base.of()
        value = tensor._value
        array: Any = value.array
        rows = array is not None and array.flags.c_contiguous
        return rows and value.order != UNKNOWN

    def detach(self) -> Self:
        """Return a view of the tensor's numbers, without their history.

        As in PyTorch it is a view: a change in place of it changes this tensor. Where
        this one has a derivative, which the change would falsify, it is refused.
        """
        of, base = self, self._base
        value = self.value
        if value.tracked and not self.is_leaf:
            if base is not None:
                tensor = self._new(detached(value))
                parent = base.of().detach()
                tensor._base = Base.on(parent, base.view, *base.arguments)
                tensor._base.sure = base.sure
                return tensor
            twin = None if self._twin is None else self._twin()
            if twin is None:
                tensor = self._new(detached(value))
                self._twin, tensor._twin = reference(tensor), reference(self)
                return tensor
            of = twin
            value = of.value
        tensor = self._new(detached(value))
        tensor._base = Base.on(of, SAME)
        return tensor

    def _shown(self) -> Value:
        """Return the current value of a view, computed anew if its base has changed."""
        base: Any = self._base
        source = base.of().value
        trace = context.trace
        if base.seen is source and (trace is None or self._value.array is None):
            return self._value
        if trace is not None:
            return self._shown_in(trace, source)
        shown = base.view_of(source)
        owner = self._value.owner
        if owner is not None:  # a leaf has no way behind it
            shown = Value(shown.array, tracked=True)
            shown.owner = owner
        base.seen, self._value = source, shown
        self.version += 1
        return shown

    def _shown_in(self, trace: Any, source: Value) -> Value:
        """Return the value of a view in a trace, without changing outside tensors."""
        if self._value.array is not None and self._alone():
            return self.value
        base: Any = self._base
        known = trace.views.get(id(self))
        if known is None or known[1] is not source:
            shown = base.view_of(source)
            if self._value.owner is not None:
                shown = trace.leaf(self, shown)
            known = trace.views[id(self)] = self, source, shown
        return known[2]

    def _alone(self) -> bool:
        """Return whether no other tensor shares this tensor's storage."""
        base, value = self._base, self._value
        if base is None:
            return self._twin is None or self._twin() is None
        if value.tracked and value.owner is None:
            return False
        owner = base if base.storage.left is None else base.storage
        name = "tensor" if owner is base else "left"
        if references(owner, name) > ONE or not getattr(owner, name)._alone():
            return False
        if base.seen is not getattr(owner, name)._value:
            return False
        self._base = None
        return True

    def _is_expanded(self) -> bool:
        """Return whether the tensor's elements share memory, as after ``expand``."""
        tensor = self
        while (base := tensor._base) is not None:
            if base.view is EXPAND:
                array: Any = self._now.array
                return 0 in array.strides
            tensor = base.of()
        return False

    def _is_viewed(self) -> bool:
        return self._storage is not None and references(self, "_storage") > ONE


def uncertain_view(of: Any) -> ArgumentError:
    """Return the error for a change of a tensor that may be a view or a copy."""
    return ArgumentError(
        _(
            "A change in place meets another shape of a tensor, and whether "
            "that is a view or a copy depends on how the elements lie, which "
            "is not known here."
        ),
        expected=_("x.view(…) for a view, x.reshape(…).clone() for a copy"),
        got=_("reshape, flatten or contiguous: {of!r:.60}", of=of),
        fix=_("choose one of the two, or take the shape where it is used"),
    )
