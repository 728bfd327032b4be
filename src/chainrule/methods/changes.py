"""In-place changes of tensors, and of their bases through views.

A view is a tensor that knows of which one it was taken, and how. It is made anew when
it is read after that one has changed, and a change of it is a change of that one. So
nothing shares memory, what was saved for a derivative is never damaged, and derivatives
follow. It is the same while a function is traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Self
from weakref import ref as reference

import numpy as np

from chainrule.engines.threads import process
from chainrule.errors import ArgumentError, DTypeError, GradientError
from chainrule.graph.build import context, no_grad, recording
from chainrule.graph.layout import UNKNOWN
from chainrule.graph.node import Array, Value
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


def _references(holder: Any, name: str) -> int:
    """Return the reference count of an attribute's value, this call included."""
    return sys.getrefcount(getattr(holder, name))


class _Holder:
    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = object()


#: What :func:`_references` gives for what nothing else holds.
_ONE = _references(_Holder(), "held")


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
        """Return the base of a view, without derivatives, of a tensor as it is now."""
        made = cls()
        made.tensor, made.storage = tensor, tensor._shared_storage()
        made.view, made.arguments = view, arguments
        made.recorded, made.sure, made.seen = False, True, tensor.value
        return made

    def of(self) -> Any:
        """Return the tensor that holds the numbers."""
        left = self.storage.left
        return self.tensor if left is None else left

    def is_of(self, tensor: Any, view: View, *arguments: Any) -> bool:
        """Return whether the base is ``tensor``, viewed by the same operation."""
        same = self.view is view and self.arguments == arguments
        return same and self.of() is tensor

    def view_of(self, value: Value) -> Value:
        """Return the view of another value of the tensor."""
        if not self.sure:
            raise _unsure(self.of())
        if not self.recorded and value.tracked:
            value = detached(value)
        with recording() if self.recorded else no_grad():
            made = self.view.take(value, *self.arguments)
            return _computed(made) if made.owner is not None else made


def _array(v: Value) -> Array:
    assert v.array is not None
    return v.array


def _computed(v: Value) -> Value:
    """Return a leaf's value as a computed value."""
    return movement.reshape(v, shape=v.shape)


def _laid_out(v: Value, like: Value) -> Value:
    """Return ``v`` with its elements in the memory order of ``like``."""
    array = np.empty_like(like.array)
    array[...] = v.array
    made = movement.copy(v) if v.tracked else Value(array)
    made.array, made.order = array, like.order
    return made


def detached(v: Value) -> Value:
    """Return ``v`` without its derivative."""
    if context.trace is None:
        return Value(v.array)
    with no_grad():
        return movement.reshape(v, shape=v.shape)


class Changes(TensorBase):
    """In-place changes of a tensor's value, and its views."""

    __slots__ = ()

    _base: Base | None
    _storage: Any
    _twin: reference[Any] | None
    _pending: Any
    name: str | None
    version: int
    _now: Value
    copy_: Callable[[Any], Any]
    is_leaf: bool
    requires_grad: bool

    # -- views -----------------------------------------------------------------------

    def _shared_storage(self) -> Storage:
        """Return the storage that the tensor shares with its views."""
        if self._storage is None:
            self._storage = Storage()
        return self._storage

    def _view(self, of: Value, made: Value, view: View, *arguments: Any) -> Self:
        """Return ``made`` as a view of this tensor, taken of the value ``of``."""
        if made.owner is not None:
            made = _computed(made)
        tensor, recorded = self, made.tracked
        if not recorded:
            if of.tracked and not self.is_leaf:
                tensor = self.detach()
                of = tensor.value
            recorded = context.grad
        shown = self._new(made)
        shown._base = base = Base()
        base.tensor, base.storage = tensor, tensor._storage or tensor._shared_storage()
        base.view, base.arguments, base.recorded = view, arguments, recorded
        base.seen, base.sure = of, True
        return shown

    def _in_rows(self, v: Value, made: Value) -> Self:
        """Return the reshaped value ``made`` as a view of the tensor, or as a copy.

        It is a view where the elements lie in an order that the shape can be given to,
        as in PyTorch. Nobody knows the order while a function is traced, and of what
        was computed of tensors in another order.
        """
        array: Any = v.array
        known = self._base is None or self._order_is_known()
        if v.order:
            known = known and v.order != UNKNOWN
        if known and array is not None and array.flags.c_contiguous:
            return self._view(v, made, RESHAPE, made.shape)
        sure = made is v or (known and self._order_is_known())
        if sure and array is not None and not np.may_share_memory(array, _array(made)):
            return self._new(made)
        shaped = self._view(v, made, RESHAPE, made.shape)
        shaped._base.sure = sure  # type: ignore[union-attr]
        return shaped

    def _in_one_piece(self) -> Self:
        """Return this tensor, or a copy in row-major order."""
        v = self.value
        array: Any = v.array
        known = self._base is None or self._order_is_known()
        if v.order:
            known = known and v.order != UNKNOWN
        if known and array is not None and array.flags.c_contiguous:
            return self
        if not known or not self._order_is_known():
            made = self._view(v, v, RESHAPE, v.shape)
            made._base.sure = False  # type: ignore[union-attr]
            return made
        if array is None:
            return self
        line = movement.reshape(v, shape=(array.size,))
        return self._new(movement.reshape(line, shape=v.shape))

    def _order_is_known(self) -> bool:
        """Return whether the elements are known to lie in row-major order.

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
        """Return a view of the same numbers, without their history.

        As in PyTorch it is a view: a change in place of it changes this tensor. Where
        this one has a derivative, which the change would falsify, it is refused.
        """
        of, base = self, self._base
        value = self.value
        if value.tracked and not self.is_leaf:
            if base is not None:
                made = self._new(detached(value))
                parent = base.of().detach()
                made._base = Base.on(parent, base.view, *base.arguments)
                made._base.sure = base.sure
                return made
            twin = None if self._twin is None else self._twin()
            if twin is None:
                made = self._new(detached(value))
                self._twin, made._twin = reference(made), reference(self)
                return made
            of = twin
            value = of.value
        made = self._new(detached(value))
        made._base = Base.on(of, SAME)
        return made

    def _shown(self) -> Value:
        """Return the current value of a view."""
        base: Any = self._base
        source = base.of().value
        trace = context.trace
        if base.seen is source and (trace is None or self._value.array is None):
            return self._value
        if trace is not None:
            return self._shown_in(trace, source)
        made = base.view_of(source)
        owner = self._value.owner
        if owner is not None:  # a leaf has no way behind it
            made = Value(made.array, tracked=True)
            made.owner = owner
        base.seen, self._value = source, made
        self.version += 1
        return made

    def _shown_in(self, trace: Any, source: Value) -> Value:
        """Return the value of a view in a trace; outside tensors are not changed."""
        if self._value.array is not None and self._alone():
            return self.value
        base: Any = self._base
        known = trace.views.get(id(self))
        if known is None or known[1] is not source:
            made = base.view_of(source)
            if self._value.owner is not None:
                made = trace.leaf(self, made)
            known = trace.views[id(self)] = self, source, made
        return known[2]

    def _alone(self) -> bool:
        """Return whether no tensor shares the storage; detach such a view."""
        base, value = self._base, self._value
        if base is None:
            return self._twin is None or self._twin() is None
        if value.tracked and value.owner is None:
            return False
        held = base if base.storage.left is None else base.storage
        name = "tensor" if held is base else "left"
        if _references(held, name) > _ONE or not getattr(held, name)._alone():
            return False
        if base.seen is not getattr(held, name)._value:
            return False
        self._base = None
        return True

    def _is_expanded(self) -> bool:
        """Return whether elements share their memory, as after PyTorch's ``expand``."""
        tensor = self
        while (base := tensor._base) is not None:
            if base.view is EXPAND:
                array: Any = self._now.array
                return 0 in array.strides
            tensor = base.of()
        return False

    def _is_viewed(self) -> bool:
        return self._storage is not None and _references(self, "_storage") > _ONE

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

    # -- changes ---------------------------------------------------------------------

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
            made = _computed(made)
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
            raise _unsure(self)
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


def _unsure(of: Any) -> ArgumentError:
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
