"""Tensor methods that change a tensor in place, and its base if it is a view."""

from __future__ import annotations

from typing import Any, Self
from weakref import ref as reference

import numpy as np

from chainrule.engines.threads import process
from chainrule.errors import ArgumentError, DTypeError, GradientError, ShapeError
from chainrule.graph.context import context, no_grad
from chainrule.graph.node import Array, StoredValue, Value, untracked
from chainrule.graph.types import NO_SIZES, DType, resolve
from chainrule.methods.views import (
    ONE,
    Base,
    Views,
    computed,
    detached,
    references,
    uncertain_view,
)
from chainrule.operations.operands import astype, full
from chainrule.operations.views import SAME
from chainrule.primitives import movement
from chainrule.primitives.rules import show
from chainrule.text import _


def _like(value: Value) -> Array:
    """Return an array with the shape, dtype and memory order of a value's.

    What an engine stores is not fetched: it would come in the order of its axes.
    """
    if isinstance(value, StoredValue):
        one = np.empty((), value.dtype.numpy)
        shape = resolve(value.shape, NO_SIZES)
        return np.empty_like(np.broadcast_to(one, shape), order="C")
    return value.array  # type: ignore[return-value]


def _laid_out(v: Value, like: Value) -> Value:
    """Return a value with its elements in the memory order of another value."""
    array = np.empty_like(_like(like))
    array[...] = v.array
    copy = movement.copy(v) if v.tracked else Value(array)
    copy.array, copy.order = array, like.order
    return copy


class Changes(Views):
    """Base class of tensors: changes in place, which a tensor's views show."""

    __slots__ = ()

    version: int

    def _become(self, value: Value, what: str) -> Self:
        """Replace the tensor's value in place, with its shape and dtype kept."""
        if value.shape != self.shape:
            raise ShapeError(
                _("{what} in place keeps the shape.", what=what),
                expected=show(self.shape),
                got=show(value.shape),
                fix=_("x = x + y makes a new tensor"),
            )
        if value.dtype is not self.dtype:
            if _rank(value.dtype) > _rank(self.dtype):
                raise DTypeError(
                    _("{what} in place keeps the dtype.", what=what),
                    expected=self.dtype.name,
                    got=value.dtype.name,
                    fix=_("x = x.astype('{name}') first", name=value.dtype.name),
                )
            value = astype(value, self.dtype)
        self._change(value)
        return self

    def zero_(self) -> Self:
        """Fill the tensor with 0, in place."""
        return self._become(full(0, self.dtype, self.shape), "zero_")

    def _set_data(self, new: Any) -> None:
        """Assign ``x.data = new``, so that both tensors share their storage."""
        base, traced = new._base, context.trace is not None
        if new is self or (base and base.is_of(self, SAME)):
            return  # the end of x.data += y, which has changed x already
        computed = new.requires_grad and not new.is_leaf
        if (
            (self.requires_grad and not self.is_leaf)
            or (new.requires_grad and new.is_leaf)
            or (computed and base is not None)
            or not new._alone()
            or (traced and (new._value.known or self._is_viewed()))
        ):
            raise unshared(new)
        if new.dtype is not self.dtype:
            raise DTypeError(
                _("x.data = y keeps the dtype."),
                expected=self.dtype.name,
                got=new.dtype.name,
                fix=_(
                    "y.astype('{name}'); module.to(dtype) for all of a module",
                    name=self.dtype.name,
                ),
            )
        self._leave()
        with no_grad():
            self.copy_(new)
        if computed:
            self._twin, new._twin = reference(new), reference(self)
        else:
            new._base = Base.on(self, SAME)

    def _leave(self) -> None:
        """Detach the tensor's views, with their current numbers, from later changes."""
        if self._is_viewed():
            left = self._new(self._value)
            left._value, self._storage.left = self._value, left
        twin = None if self._twin is None else self._twin()
        if twin is not None:
            twin._twin = None
        self._base = self._storage = self._twin = None

    def _await(self, fetch: Any) -> None:
        """Defer the tensor's numbers until ``fetch`` returns an engine's result."""
        self._pending = fetch
        twin = None if self._twin is None else self._twin()
        if twin is not None:
            twin._pending = fetch
            twin.version += 1

    def _write(self, key: Any, new: Array) -> bool:
        """Write into the tensor's array in place, if nothing else refers to it.

        Otherwise a change is a new array, which costs as much as the tensor is large.
        """
        recorded = self.requires_grad and (context.grad or not self.is_leaf)
        if context.trace is not None or recorded or self._base is not None:
            return False
        self.numpy()  # fetched, where an engine has the numbers
        value = self._value
        array: Any = value.array
        if references(self, "_value") > ONE + 1 or not array.flags.owndata:
            return False  # the local name counts, too
        if references(value, "array") > ONE + 1 or not array.flags.writeable:
            return False
        try:
            array[key] = new
        except (IndexError, ValueError):
            return False
        self.version += 1
        return True

    def _change(self, value: Value) -> None:
        """Replace the tensor's value in place by one of the same shape and dtype."""
        if self.requires_grad and self.is_leaf and context.grad:
            raise GradientError(
                _(
                    "{value} cannot be changed in place while its use is recorded.",
                    value=self.name or _("A leaf"),
                ),
                expected=_("a change that no derivative is taken of"),
                got=_("+=, -=, x[…] = y or the like outside of no_grad()"),
                fix=_("with cr.no_grad(): p -= lr * p.grad, or let an optimiser do it"),
            )
        self._assign(value)

    def _assign(self, value: Value) -> None:
        """Assign another value to the tensor in place; a leaf remains a leaf."""
        if context.trace is not None:
            context.trace.note_change(self)
        if self._base is not None:
            self._write_through(value)
            return
        if self.requires_grad and not self.is_leaf and not context.grad:
            raise GradientError(
                _(
                    "A computed tensor is changed within no_grad(), where the "
                    "change would cut it off from what it was computed of."
                ),
                expected=_(
                    "a change that is recorded, or a tensor without derivatives"
                ),
                got=_("the result of {node}", node=self._value.node),
                fix=_("x = x.detach().clone() first"),
            )
        twin = None if self._twin is None else self._twin()
        if twin is not None and twin.requires_grad and not twin.is_leaf:
            raise GradientError(
                _(
                    "A detached tensor is changed in place while the one lives "
                    "that it was taken of, whose numbers and derivative would not "
                    "fit any more."
                ),
                expected=_(
                    "a change of a tensor that shares its numbers with no other"
                ),
                got=_("a change of {self!r:.60}", self=self),
                fix=_("x = x.detach().clone() first, to change this one alone"),
            )
        self._take_on(value)
        if twin is not None:
            twin._take_on(detached(self.value))

    def _take_on(self, value: Value) -> None:
        """Replace the tensor's value without updating its views."""
        old = self._value
        if value.tracked and (old.owner is not None or not context.grad):
            value = detached(value)
        elif value.owner is not None:  # that of another leaf
            value = computed(value)
        both = value.known and old.known
        if both and not isinstance(value, StoredValue):
            array, layout = value.array, _like(old)
            if array.strides != layout.strides or value.order != old.order:  # type: ignore[union-attr]
                value = _laid_out(value, old)
        traced = context.trace if old.known else None
        if traced is not None and traced.assign(self, value):
            return
        if old.owner is not None:
            leaf = untracked(value)
            if not value.known:  # made while tracing
                leaf = movement.reshape(value, shape=value.shape)
            leaf.tracked = True
            leaf.owner, value = old.owner, leaf
        with process.lock:
            self.version += 1  # first: what interrupts this never hides new numbers
            self._value = value
            self._pending = None

    def _write_through(self, value: Value) -> None:
        """Write a new value of this view into its base tensor."""
        base: Any = self._base
        put = base.view.put
        recorded = base.recorded and context.grad
        if value.tracked and not context.grad:
            value = detached(value)
        if (not base.sure or (value.tracked and not recorded)) and (
            self.value is not None and self._alone()
        ):
            self._assign(value)
            return
        if put is None:
            raise ArgumentError(
                _(
                    "An expanded tensor shows elements more than once, and is not "
                    "changed in place."
                ),
                expected=_("a tensor that has every element once"),
                got=_("a change in place of {self!r:.60}", self=self),
                fix=_(
                    "x = x.clone() first, or change the tensor before it is expanded"
                ),
            )
        if not base.sure:
            raise uncertain_view(self)
        if value.tracked and not recorded:
            raise GradientError(
                _(
                    "A detached tensor that another one shares its numbers with is "
                    "given some that have a derivative."
                ),
                expected=_("numbers without a derivative, or a tensor of its own"),
                got=_("a change in place of {self!r:.60}", self=self),
                fix=_("x = x.clone() first, or pass y.detach()"),
            )
        of = base.of()
        if base.recorded:
            of._change(put(of.value, value, *base.arguments))
        else:
            with no_grad():
                of._change(put(of.value, value, *base.arguments))
        self.version += 1


def _rank(dtype: DType) -> int:
    """Return the rank of a dtype: 0 for bool, 1 for integers, 2 for floats."""
    return 2 if dtype.is_float else int(dtype is not DType.bool)


def unshared(new: Any) -> ArgumentError:
    """Return the error for ``x.data = new`` of tensors that cannot share storage."""
    return ArgumentError(
        _(
            "x.data = y makes one tensor of both, which is not done with "
            "views, parameters and computed tensors."
        ),
        expected=_("numbers that nothing else shows"),
        got=f"{new!r:.60}",
        fix=_(
            "x.data = y.clone(), or x.data.copy_(y), for the numbers; "
            "module.weight = other.weight to share a parameter"
        ),
    )
