"""Changes of tensors in place, and of their bases through views."""

from __future__ import annotations

from typing import Any, Self
from weakref import ref as reference

import numpy as np

from chainrule.engines.threads import process
from chainrule.errors import ArgumentError, DTypeError, GradientError, ShapeError
from chainrule.graph.context import context, no_grad
from chainrule.graph.node import Array, Value
from chainrule.graph.types import DType
from chainrule.methods.views import (
    ONE,
    Base,
    Views,
    computed,
    detached,
    references,
    uncertain_view,
)
from chainrule.operations.operands import astype, full, value_of
from chainrule.operations.views import SAME
from chainrule.primitives import movement
from chainrule.primitives.rules import show
from chainrule.text import _


def _laid_out(v: Value, like: Value) -> Value:
    """Return ``v`` with its elements in the memory order of ``like``."""
    array = np.empty_like(like.array)
    array[...] = v.array
    made = movement.copy(v) if v.tracked else Value(array)
    made.array, made.order = array, like.order
    return made


class Changes(Views):
    """Changes of a tensor in place, which its views show."""

    __slots__ = ()

    def _become(self, made: Value, what: str) -> Self:
        """Replace the value of this tensor in place by ``made``."""
        if made.shape != self.shape:
            raise ShapeError(
                _("{what} in place keeps the shape.", what=what),
                expected=show(self.shape),
                got=show(made.shape),
                fix=_("x = x + y makes a new tensor"),
            )
        if made.dtype is not self.dtype:
            if _rank(made.dtype) > _rank(self.dtype):
                raise DTypeError(
                    _("{what} in place keeps the dtype.", what=what),
                    expected=self.dtype.name,
                    got=made.dtype.name,
                    fix=_("x = x.astype('{name}') first", name=made.dtype.name),
                )
            made = astype(made, self.dtype)
        self._change(made)
        return self

    def fill_(self, number: Any) -> Self:
        """Fill the tensor with ``number``, in place."""
        v = value_of(number, self.dtype)
        if v.shape:
            raise ShapeError(_("fill_ takes one number."), got=show(v.shape))
        return self._become(movement.broadcast_to(v, shape=self.shape), "fill_")

    def zero_(self) -> Self:
        """Fill the tensor with 0, in place."""
        return self._become(full(0, self.dtype, self.shape), "zero_")

    def _set_data(self, new: Any) -> None:
        """Set ``x.data = new``: both tensors then share their storage."""
        base, traced = new._base, context.trace is not None
        if new is self or (base and base.is_of(self, SAME)):
            return  # the end of x.data += y, which has changed x already
        computed = new.requires_grad and not new.is_leaf
        if (
            (self.requires_grad and not self.is_leaf)
            or (new.requires_grad and new.is_leaf)
            or (computed and base is not None)
            or not new._alone()
            or (traced and (new._value.array is not None or self._is_viewed()))
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
        """Detach the views, with the current numbers, from later changes."""
        if self._is_viewed():
            left = self._new(self._value)
            left._value, self._storage.left = self._value, left
        twin = None if self._twin is None else self._twin()
        if twin is not None:
            twin._twin = None
        self._base = self._storage = self._twin = None

    def _await(self, fetch: Any) -> None:
        """Defer the numbers until ``fetch`` returns the engine's result."""
        self._pending = fetch
        twin = None if self._twin is None else self._twin()
        if twin is not None:
            twin._pending = fetch
            twin.version += 1

    def _write(self, key: Any, new: Array) -> bool:
        """Write into the array itself, where nothing else can see that.

        Otherwise a change is a new array, which costs as much as the tensor is large.
        """
        if context.trace is not None or self.requires_grad or self._base is not None:
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

    def _change(self, made: Value) -> None:
        """Replace the value in place by one of the same shape and dtype."""
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
        self._assign(made)

    def _assign(self, made: Value) -> None:
        """Assign another value in place; a leaf remains a leaf."""
        if context.trace is not None:
            context.trace.note_change(self)
        if self._base is not None:
            self._write_through(made)
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
        self._take_on(made)
        if twin is not None:
            twin._take_on(detached(self.value))

    def _take_on(self, made: Value) -> None:
        """Replace the tensor's value without updating its views."""
        old = self._value
        if made.tracked and (old.owner is not None or not context.grad):
            made = detached(made)
        elif made.owner is not None:  # that of another leaf
            made = computed(made)
        array, outside = made.array, old.array
        both = array is not None and outside is not None
        if both and (array.strides != outside.strides or made.order != old.order):  # type: ignore[union-attr]
            made = _laid_out(made, old)
        traced = context.trace if outside is not None else None
        if traced is not None and traced.assign(self, made):
            return
        if old.owner is not None:
            leaf = Value(made.array, made.shape, made.dtype, tracked=True)
            if made.array is None:  # made while tracing
                leaf = movement.reshape(made, shape=made.shape)
                leaf.tracked = True
            leaf.owner, made = old.owner, leaf
        with process.lock:
            self.version += 1  # first: what interrupts this never hides new numbers
            self._value = made
            self._pending = None

    def _write_through(self, made: Value) -> None:
        """Write another value of this view into its base."""
        base: Any = self._base
        put = base.view.put
        recorded = base.recorded and context.grad
        if made.tracked and not context.grad:
            made = detached(made)
        if (not base.sure or (made.tracked and not recorded)) and (
            self.value is not None and self._alone()
        ):
            self._assign(made)
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
        if made.tracked and not recorded:
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
            of._change(put(of.value, made, *base.arguments))
        else:
            with no_grad():
                of._change(put(of.value, made, *base.arguments))
        self.version += 1


def _rank(dtype: DType) -> int:
    """Return the rank of a dtype: 0 for bool, 1 for integers, 2 for floats."""
    return 2 if dtype.is_float else int(dtype is not DType.bool)


def unshared(new: Any) -> ArgumentError:
    """Return the error for ``x.data = new`` with tensors that cannot share storage."""
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
