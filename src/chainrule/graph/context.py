"""Per-thread context of graph building: trace, module path, role, gradient mode.

A trace in progress is known by its interface, :class:`Trace`.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar, overload

import numpy as np

from chainrule.errors import DTypeError, GraphError
from chainrule.graph.node import Node, Value
from chainrule.graph.types import DType, Shape, as_dtype
from chainrule.text import _
from chainrule.util.blocks import Block, leave, opened

P = ParamSpec("P")
R = TypeVar("R")


class Trace:
    """The interface of a trace in progress, which records operations as nodes.

    Tensors, modules and optimisers report their changes to the trace. The trace of a
    whole program (:mod:`chainrule.compilation.tracing`) turns them into state;
    :class:`~chainrule.graph.emit.GraphTrace` does not.
    """

    def __init__(self) -> None:
        self.constants: dict[int, tuple[Value, Value]] = {}
        self.views: dict[int, tuple[Any, Value, Value]] = {}
        self._new: dict[int, Any] = {}

    def note_new(self, item: Any) -> None:
        """Note that the traced function created an object, and so may change it."""
        self._new[id(item)] = item

    def is_new(self, item: Any) -> bool:
        """Return whether the traced function itself created an object."""
        return id(item) in self._new

    def constant(self, value: Value) -> Value:
        """Return a graph value for an eager array: a constant node or an input."""
        raise NotImplementedError

    def operand(self, value: Value) -> Value:
        """Return the traced graph's value for a node's input."""
        return value if value.array is None else self.constant(value)

    def note_emitted(self, outputs: tuple[Value, ...]) -> None:
        """Note that a node with these outputs was recorded in the traced graph."""

    def captured(self) -> list[tuple[Value, Value]]:
        """Return pairs (graph input, eager value) of a trace's large constants."""
        return [pair for pair in self.constants.values() if pair[0].node is None]

    # A trace with state overrides these: see chainrule.compilation.tracing.

    def lift(self, tensor: Any, value: Value) -> Value:
        """Return an outside tensor's current value in the traced graph."""
        return value

    def draw(self, shape: Shape, bits: Callable[[Shape], Any]) -> Any:
        """Return fresh random bits of a shape, by a source's function."""
        return bits(shape)

    def leaf(self, tensor: Any, value: Value) -> Value:
        """Return a tensor's value as a leaf of the traced graph, without history."""
        raise NotImplementedError

    def assign(self, tensor: Any, value: Value) -> bool:
        """Set a tensor's new value in the trace; return whether that is recorded."""
        return False

    def note_change(self, tensor: Any) -> None:
        """Note that the traced function is about to change a tensor in place."""

    def gradient(self, tensor: Any, current: Any) -> Any:
        """Return an outside tensor's current gradient in the trace."""
        return current

    def set_gradient(self, tensor: Any, gradient: Any) -> bool:
        """Set a tensor's new gradient in the trace; return whether it is recorded."""
        return False

    def note_mode(self, module: Any) -> None:
        """Note that traced code calls a module, or changes its training mode."""

    def note_freed(self, nodes: Iterable[Node]) -> None:
        """Note that ``backward()`` has passed graph nodes and frees their inputs."""

    def note_reached(self, values: Iterable[Value]) -> None:
        """Note that ``backward()`` in the traced function has reached these values."""

    def note_read(self, get: Callable[[], Any]) -> None:
        """Note that the trace depends on the current value of ``get()``."""

    def note_step(self, table: Any) -> int:
        """Count an optimiser's step in the trace; return its index in the function."""
        raise GraphError(
            _("An optimiser's step is traced in a function without state."),
            expected=_("cr.compile, whose programs change tensors from outside"),
            got=_("a trace of values alone"),
            fix=_("call optimizer.step() outside of the function, or compile that"),
        )

    def tabulated(
        self, table: Any, name: str, dtype: DType, step: int | None = None
    ) -> Value | None:
        """Return the graph's scalar input for an optimiser's number at a step.

        ``step`` is an index of a step in the function; by default it is the next one.
        The result is None in a trace without state, where nothing is supplied.
        """
        return None


class Changes:
    """A counter of changes that may invalidate a trace, such as frozen tensors."""

    count: int = 0


changes = Changes()


class Context(threading.local):
    """The per-thread state of graph building: trace, scope, role, gradient mode.

    All fields of a thread are in ``context.__dict__``: code that needs several of them
    on every operation reads that once.

    Attributes:
        trace: the tracing in progress.
        grad: whether derivatives are remembered.
        scope, role: of the nodes that are recorded.
        derived: the node whose derivative is being recorded, or None.
        autocast: whether products of float32 are computed in bfloat16.
        autocast_traced: whether that was set in the function that is being traced, so
            that no caller decides it.
        stream: where random bits come from; None for the process's own generator.
        apart: where NumPy computes, and tells ``exceptions`` instead of warning of
            lines that are not the user's.
        exceptions: those of IEEE 754 that the reference met that ran last.
    """

    trace: Trace | None
    grad: bool
    scope: str
    role: str
    derived: Node | None
    autocast: bool
    autocast_traced: bool
    stream: Any
    apart: contextvars.Context
    exceptions: list[str]

    def __init__(self) -> None:
        self.trace, self.stream = None, None
        self.grad, self.scope, self.role = True, "", "forward"
        self.derived = None
        self.autocast = self.autocast_traced = False
        self.exceptions = []
        with np.errstate(all="call", call=self._note):
            self.apart = contextvars.copy_context()

    def _note(self, name: str, __: int) -> None:
        self.exceptions.append(name)


context = Context()


class within(Block):  # noqa: N801 - used like a function
    """A context manager that sets one field of the :class:`Context` for a block.

    It may be used by several threads, and be nested in itself.
    """

    __slots__ = ("field", "value")

    def __init__(self, field: str, value: Any) -> None:
        self.field, self.value = field, value

    def __enter__(self) -> None:
        here = context.__dict__  # no call from here on, where a signal would be seen
        opened.top = [self, here[self.field], opened.top]
        here[self.field] = self.value

    def __exit__(self, *error: Any) -> None:
        entry = opened.top
        if entry is None or entry[0] is not self:
            leave(self, error[1])
            return
        context.__dict__[self.field] = entry[1]
        opened.top = entry[2]

    def undo(self, saved: Any) -> None:
        context.__dict__[self.field] = saved


# -- the default dtype ----------------------------------------------------------------


class _Default:
    """The dtype of Python floats, of one process."""

    dtype: DType = DType.float32


def get_default_dtype() -> DType:
    """Return the dtype of Python floats, and of what is created without a dtype.

    >>> get_default_dtype()
    chainrule.float32
    """
    if context.trace is not None:
        context.trace.note_read(lambda: _Default.dtype)
    return _Default.dtype


def dtype_or_default(dtype: Any) -> DType:
    """Return a dtype of ours; the default dtype where it is None."""
    return get_default_dtype() if dtype is None else as_dtype(dtype)


def set_default_dtype(d: Any) -> None:
    """Set the dtype of Python floats, and of what is created without a dtype.

    It holds for the whole process. Compiled functions are traced anew where it changes.

    Args:
        d: float32, which is the default, or float64.

    Raises:
        DTypeError: integers, bfloat16, or a type that is not known.
        GraphError: within a traced function.

    >>> import chainrule as cr
    >>> cr.set_default_dtype(cr.float64)
    >>> cr.tensor(0.5).dtype
    chainrule.float64
    >>> cr.set_default_dtype(cr.float32)
    """
    wanted = as_dtype(d)
    if wanted not in (DType.float32, DType.float64):
        raise DTypeError(
            _("The default dtype is that of Python floats."),
            expected="cr.float32, cr.float64",
            got=wanted.name,
            fix="model.to(cr.bfloat16)" if wanted.is_float else None,
        )
    if context.trace is not None:
        raise GraphError(
            _("set_default_dtype is called while a function is traced."),
            expected=_("one default dtype for a whole graph"),
            got=wanted.name,
            fix=_("call it outside of the compiled function, or pass dtype=…"),
        )
    _Default.dtype = wanted


class absolute_scope(Block):  # noqa: N801 - used like a function; every node of a derivative
    """A context manager that sets the module path and role of all recorded nodes.

    ``derived``: the node whose derivative they are, which is none elsewhere.
    """

    __slots__ = ("derived", "role", "scope")

    def __init__(self, scope: str, role: str, derived: Node | None = None) -> None:
        self.scope, self.role, self.derived = scope, role, derived

    def __enter__(self) -> None:
        here = context.__dict__  # as in within
        before = here["scope"], here["role"], here["derived"]
        opened.top = [self, before, opened.top]
        here["scope"], here["role"] = self.scope, self.role
        here["derived"] = self.derived

    def __exit__(self, *error: Any) -> None:
        entry = opened.top
        if entry is None or entry[0] is not self:
            leave(self, error[1])
            return
        here = context.__dict__
        here["scope"], here["role"], here["derived"] = entry[1]
        opened.top = entry[2]

    def undo(self, saved: tuple[str, str, Node | None]) -> None:
        context.scope, context.role, context.derived = saved


def scope(name: str) -> absolute_scope:
    """Return a context manager that labels recorded nodes with the module ``name``."""
    outer = context.scope
    path = f"{outer}.{name}" if outer and name else outer or name
    return absolute_scope(path, context.role, context.derived)


def role(name: str) -> within:
    """Return a context manager that labels nodes as forward, backward or update."""
    return within("role", name)


@overload
def no_grad(function: None = None) -> within: ...
@overload
def no_grad(function: Callable[P, R]) -> Callable[P, R]: ...
def no_grad(function: Callable[P, R] | None = None) -> Any:
    """Return a context manager that switches off recording for derivatives.

    Values computed there count as constants for any derivative taken later. It is a
    decorator too, with brackets or without.

    >>> import chainrule as cr
    >>> w = cr.tensor(2.0, requires_grad=True)
    >>> with cr.no_grad():
    ...     (w * w).requires_grad
    False
    """
    block = within("grad", False)
    return block if function is None else block(function)


@overload
def enable_grad(function: None = None) -> within: ...
@overload
def enable_grad(function: Callable[P, R]) -> Callable[P, R]: ...
def enable_grad(function: Callable[P, R] | None = None) -> Any:
    """Return a context manager within which operations are recorded again.

    It undoes :func:`no_grad` for a block, and is a decorator too.

    >>> import chainrule as cr
    >>> w = cr.tensor(2.0, requires_grad=True)
    >>> with cr.no_grad(), cr.enable_grad():
    ...     (w * w).requires_grad
    True
    """
    block = within("grad", True)
    return block if function is None else block(function)


@overload
def inference_mode(mode: bool = True) -> within: ...
@overload
def inference_mode(mode: Callable[P, R]) -> Callable[P, R]: ...
def inference_mode(mode: Any = True) -> Any:
    """Return :func:`no_grad`, or a context manager without effect for ``mode=False``.

    PyTorch refuses later derivatives of tensors that were made in it; here they count
    as constants, as under ``no_grad``.
    """
    if callable(mode):
        return within("grad", False)(mode)
    return within("grad", False if mode else context.grad)


def is_grad_enabled() -> bool:
    """Return whether operations are recorded for derivatives here."""
    return context.grad


class set_grad_enabled(Block):  # noqa: N801 - used like a function
    """Switch the recording of derivatives on or off: at once, or for a block.

    Args:
        mode: whether operations are recorded.

    >>> import chainrule as cr
    >>> with cr.set_grad_enabled(False):
    ...     cr.is_grad_enabled()
    False
    >>> cr.is_grad_enabled()
    True
    """

    field = "grad"

    def __init__(self, mode: bool) -> None:
        self._mode, self._outer = bool(mode), context.grad
        context.grad = self._mode

    def saved(self) -> bool:
        return self._outer

    def change(self) -> None:
        context.grad = self._mode

    def undo(self, saved: bool) -> None:
        context.grad = saved

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, which runs in this mode; the mode of here comes back."""
        context.grad = self._outer
        return within("grad", self._mode)(function)


def recording() -> within:
    """Return a context manager that switches recording for derivatives on or off."""
    return within("grad", True)
