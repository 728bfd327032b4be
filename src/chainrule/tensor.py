"""The eager Tensor: an array with NumPy's interface and recorded derivatives.

Every operation is a composition of primitives, and
:func:`chainrule.graph.apply.apply` applies each. So the same code computes at once on
numbers, and records a graph while a function is compiled. There is no second
implementation. What a tensor can do is declared in ``operations``, family by family;
here is what it is.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref as reference

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.engines import eager  # noqa: F401 - computes some calls of tensors
from chainrule.engines.threads import process
from chainrule.errors import (
    ArgumentError,
    DTypeError,
    ExportError,
    GradientError,
    MissingAttributeError,
    ShapeError,
)
from chainrule.graph.apply import constant as number
from chainrule.graph.context import (
    changes,
    context,
    dtype_or_default,
    no_grad,
    recording,
)
from chainrule.graph.graph import tracked_ancestors
from chainrule.graph.hooks import gradient_hooks
from chainrule.graph.layout import UNKNOWN
from chainrule.graph.node import (
    Array,
    Stored,
    StoredValue,
    Value,
    stored_or_array,
)
from chainrule.graph.types import Dim, DType, SymbolicDim, as_dtype
from chainrule.methods.changes import unshared
from chainrule.methods.conversion import Conversion
from chainrule.methods.declared import Declared
from chainrule.methods.hooks import Hooks
from chainrule.methods.protocols import Protocols
from chainrule.methods.views import Base
from chainrule.operations import operands
from chainrule.operations.accepted import DeviceLike, DTypeLike, TensorLike
from chainrule.operations.arguments import shape_of
from chainrule.operations.device import check_device
from chainrule.operations.forms import Forms
from chainrule.operations.operands import TensorBase, as_array, repeats_into
from chainrule.primitives import movement
from chainrule.primitives.rules import show
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.pytorch_hints import TENSORS


class Tensor(Protocols, Conversion, Hooks):
    """The eager tensor: an array that records how it was computed, for derivatives.

    Its methods are PyTorch's, and those of the Python array API standard; the functions
    of the package, ``cr.sum(x, axis=0)``, follow that standard where it lists them.
    Every axis may be named by ``dim=`` or ``axis=``.

    :func:`tensor` makes one of numbers. The class is called as in PyTorch: numbers in
    a list or an array become the default dtype, and integers are the sizes of a tensor
    that is not filled yet (with zeros here).

    Args:
        data: sizes, or one nest of numbers: a list, or anything with ``__array__`` or
            ``__dlpack__``.
        dtype: the dtype of the elements; the default dtype where it is None.
        requires_grad: whether ``backward()`` shall fill ``.grad``.
        device: the CPU.

    Raises:
        ArgumentError: a tuple of integers, which may be sizes or numbers; a number that
            is no size.

    >>> Tensor([1, 2]), Tensor(2, 1).shape
    (tensor([1., 2.]), (2, 1))
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_grad",
        "_pending",
        "_storage",
        "_twin",
        "_value",
        "name",
        "version",
    )
    #: NumPy leaves ``array + tensor`` to the tensor.
    __array_priority__ = 1000

    def __init__(
        self,
        *data: TensorLike,
        dtype: DTypeLike = None,
        requires_grad: bool = False,
        device: DeviceLike = None,
    ) -> None:
        check_device(device)
        self._begin(_sized(data, dtype_or_default(dtype)), requires_grad)

    @classmethod
    def _of_sizes_or_numbers(cls, data: tuple[Any, ...], dtype: DType) -> Tensor:
        """Return a tensor of another's dtype; see :class:`Tensor` for ``data``."""
        return wrap(_sized(data, dtype))

    def _begin(self, value: Value, requires_grad: bool) -> None:
        """Set the attributes of a new tensor with a value of its own."""
        self._value = value
        self._base: Base | None = None
        self._storage = self._twin = None
        self._pending: Callable[[], Array | Stored] | None = None
        self._grad: Tensor | Callable[[], Tensor] | None = None
        self.name: str | None = None
        self.version: int = 0
        if requires_grad:
            self.requires_grad_()

    # -- what it is --------------------------------------------------------------

    @property
    def value(self) -> Value:
        """The graph value of this tensor in the current trace or eager code."""
        if self._base is not None:
            return self._shown()
        if self._pending is not None:
            self._settle()
        if context.trace is not None and self._value.known:
            return context.trace.lift(self, self._value)
        return self._value

    @property
    def _now(self) -> Value:
        """The tensor's current eager value, even while a function is traced."""
        base = self._base
        if base is None or (context.trace is not None and self._value.known):
            return self._value
        return self._shown()

    def _settle(self) -> None:
        """Fetch the tensor's pending numbers from an engine."""
        with process.lock:  # a run in another thread brings newer ones
            if self._pending is not None:
                self._replace(self._pending())
                self._pending = None  # last: what interrupts this loses nothing

    def _replace(self, numbers: Array | Stored) -> None:
        tracked, owner = self._value.tracked, self._value.owner
        of_numpy = isinstance(numbers, np.ndarray)
        self._value = Value(numbers) if of_numpy else StoredValue(numbers)
        self._value.tracked, self._value.owner = tracked, owner

    def _stored_or_array(self, engine: str) -> Any:
        """Return the numbers in the form that an engine takes without a copy."""
        if self._pending is not None:
            self._settle()
        if context.trace is None and isinstance(self._now, StoredValue):
            return stored_or_array(self._now, engine)
        return self.numpy()

    def defer(self, fetch: Callable[[], Array | Stored]) -> None:
        """Defer the tensor's numbers: call ``fetch()`` for them at the first read."""
        self._pending = fetch
        self.version += 1

    # None too, where there is none; ``| Any`` spares type checkers' users to ask.
    @property
    def grad(self) -> Tensor | Any:
        """The tensor's gradient ∂ℒ/∂self, accumulated by ``backward()``, or None."""
        gradient = self._gradient_outside()
        if context.trace is not None and self._value.known:
            return context.trace.gradient(self, gradient)
        return gradient

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None and not isinstance(gradient, Tensor):
            raise ArgumentError(
                _("A gradient is a tensor."),
                expected=_(
                    "a tensor of shape {shape}, or None", shape=show(self.shape)
                ),
                got=type(gradient).__name__,
                fix="cr.tensor(numbers)",
            )
        trace = context.trace
        if (
            trace is None
            or not self._value.known
            or not trace.set_gradient(self, gradient)
        ):
            self._grad = gradient

    def _gradient_outside(self) -> Tensor | None:
        """Return the tensor's eager gradient, fetched from an engine if necessary."""
        gradient = self._grad
        if gradient is None or isinstance(gradient, Tensor):
            return gradient
        with process.lock:  # a run in another thread brings a newer one
            gradient = self._grad
            if gradient is not None and not isinstance(gradient, Tensor):
                gradient = self._grad = gradient()
            return gradient

    @property
    def requires_grad(self) -> bool:
        """Return whether derivatives with respect to this tensor are recorded."""
        return (self._value if self._base is None else self._now).tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(bool(wanted))

    @property
    def is_leaf(self) -> bool:
        """Return whether the user created the tensor: no operation computed it."""
        value = self._value if self._base is None else self._now
        return value.node is None or value.owner is not None

    def requires_grad_(self, wanted: bool = True) -> Tensor:
        """Enable or disable that ``backward()`` computes the tensor's gradient."""
        traced = context.trace is not None and not self._value.known
        if not self.is_leaf and not (traced and not self.requires_grad):
            raise GradientError(
                _("requires_grad_ is for tensors that were not computed."),
                expected=_("a leaf"),
                got=_("the result of {node}", node=self._value.node),
                fix=_("call .detach() first"),
            )
        if wanted and not self.dtype.is_float:
            raise DTypeError(
                _("Only floating-point tensors have gradients."),
                expected=_("float32, float64 or bfloat16"),
                got=self.dtype.name,
                fix="x.astype('float32').requires_grad_()",
            )
        if self._value.known:  # others may hold the value that it had
            self._value = Value(self._value.array)
        elif traced and wanted:
            self._value = movement.reshape(self._value, shape=self.shape)
        self._value.tracked = wanted
        self._value.owner = reference(self) if wanted else None
        changes.count += 1
        return self

    if not TYPE_CHECKING:  # type checkers know the names

        def __getattr__(self, name: str) -> Any:
            """Raise an error for an unknown attribute of a tensor; suggest another."""
            text = _("'Tensor' object has no attribute {name!r}", name=name)
            plain, fix = name.removesuffix("_"), TENSORS.get(name, "")
            ours = not plain.startswith("_") and hasattr(Tensor, plain)
            if not fix and plain != name and ours:
                fix = _("x.copy_(x.{plain}(…)), or x = x.{plain}(…)", plain=plain)
            raise MissingAttributeError(text, fix=fix, name=name, obj=self)

    # -- its numbers -------------------------------------------------------------

    def numpy(self) -> Array:
        """Return the tensor's numbers as a read-only NumPy array, without a copy."""
        if self._pending is not None:
            self._settle()
        array = self._now.array
        if array is not None and context.trace is not None:
            raise ArgumentError(
                _(
                    "The numbers of a tensor from outside are read while a function is "
                    "traced: they would stay what they are now."
                ),
                expected=_("code that does not look at values"),
                got=_(
                    "numpy(), item(), bool() or print of {value}",
                    value=self.name or _("a tensor"),
                ),
                fix=_(
                    "compute with the tensor itself, or read it outside of the "
                    "compiled function and pass the number as an argument"
                ),
            )
        if array is None:
            raise ArgumentError(
                _("This tensor has no numbers yet: the function is being traced."),
                expected=_("code that does not look at values"),
                got=_(
                    "numpy(), item(), bool() or print of {type}", type=self._value.type
                ),
                fix=_("return the tensor, or use where() instead of if"),
            )
        array = array.view()
        array.setflags(write=False)
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self._now.array is None:
            raise ArgumentError(
                _(
                    "NumPy does not compute with a tensor that has no numbers yet: the "
                    "function is being traced."
                ),
                expected=_("functions of chainrule, such as cr.sin(x) or x.exp()"),
                got=_("a tensor {type}", type=self._value.type),
                fix=_("cr's function of that name; cr.stack for a list of tensors"),
            )
        return np.array(self._without_derivative("NumPy"), dtype=dtype, copy=copy)

    def _without_derivative(self, library: str) -> Array:
        if self.requires_grad and context.grad:
            raise GradientError(
                _(
                    "{library} does not remember derivatives, and this tensor has one.",
                    library=library,
                ),
                expected=_("functions of chainrule, such as cr.sin(x) or x.exp()"),
                got=repr(self)[:80],
                fix=_(
                    "x.detach().numpy() or x.numpy() for the numbers alone; "
                    "cr.stack for a list of tensors"
                ),
            )
        return self.numpy()

    def __array_function__(
        self, function: Any, types: Any, args: Any, kwargs: Any
    ) -> Any:
        """Call a NumPy function on the tensor's numbers, if no derivative is lost."""
        if function in (np.shape, np.ndim, np.size):
            return function(args[0].detach().numpy(), *args[1:], **kwargs)
        named = {name: _numbers(item) for name, item in kwargs.items()}
        return function(*map(_numbers, args), **named)

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        from chainrule.util.dlpack import to_dlpack

        array = self._without_derivative(_("Another library"))
        if copy is not False:
            array = np.array(array)
        # Without a copy it is read-only, which not every library heeds.
        options = {"stream": stream, "max_version": max_version, "copy": copy}
        try:
            return to_dlpack(array, dl_device=dl_device, **options)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise ExportError(
                _("This tensor is not given away like that."),
                expected=_(
                    "stream=None, and a version that knows of memory that is "
                    "only read: max_version=(1, 0)"
                ),
                got=f"{type(error).__name__}: {error}",
                fix=_("copy=True, or x.numpy()"),
            ) from None

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # kDLCPU

    def __reduce__(self) -> Any:
        """Return the parts of a leaf tensor for ``copy.deepcopy`` and ``pickle``."""
        if not self.is_leaf and self.requires_grad:
            raise GradientError(
                _(
                    "Only tensors that were not computed can be copied with their "
                    "history."
                ),
                expected=_("a leaf"),
                got=_("the result of {node}", node=self._value.node),
                fix=_("copy x.detach()"),
            )
        array, repeated = self.numpy(), self._is_expanded()
        if repeated:  # with one element for all that share their memory
            array = array[tuple([slice(None if step else 1) for step in array.strides])]
        form = (self.shape, repeated, self._now.order)
        made_of = (type(self), array, self.requires_grad, self.grad, self.name, *form)
        return _anew, made_of

    # -- changing it -------------------------------------------------------------

    def copy_(self, other: TensorLike) -> Tensor:
        """Copy another tensor's numbers into the tensor in place, broadcast.

        While a function is compiled this is how state changes: the step's graph
        gets a pair that says which value replaces which.
        """
        new = as_tensor(other)
        value = new.value
        if new.shape != self.shape and repeats_into(new.shape, self.shape):
            value = movement.broadcast_to(value, shape=self.shape)
        if value.shape != self.shape:
            raise ShapeError(
                _(
                    "copy_ into {value} needs the same shape.",
                    value=self.name or _("a tensor"),
                ),
                expected=_(
                    "{shape}, or a shape that repeats into it", shape=show(self.shape)
                ),
                got=show(new.shape),
            )
        self._assign(operands.astype(value, self.dtype))
        return self

    # -- derivatives -------------------------------------------------------------

    @strict
    def backward(
        self,
        gradient: TensorLike | None = None,
        *,
        create_graph: bool = False,
        retain_graph: bool = False,
    ) -> None:
        """Backpropagate: add the gradient ∂self/∂leaf to each leaf's ``.grad``.

        Args:
            gradient: the cotangent of this tensor; 1 for a scalar.
            create_graph: record the derivative too, so that it can be differentiated.
            retain_graph: keep the recorded nodes for another ``backward()``; without
                it they are freed.
        """
        root = self.value
        if not root.tracked:
            raise GradientError(
                _("backward() found nothing to differentiate."),
                expected=_("a result computed from tensors with requires_grad=True"),
                got=repr(self),
                fix=_("cr.tensor(…, requires_grad=True), and not within no_grad()"),
            )
        if gradient is None and self.shape != ():
            raise GradientError(
                _("backward() without an argument starts from a scalar."),
                expected=_("shape ()"),
                got=show(self.shape),
                fix=_("reduce it first, loss.mean().backward(), or pass gradient="),
            )
        seed = (
            number(1.0, root.dtype)
            if gradient is None
            else as_tensor(gradient, dtype=root.dtype).value
        )
        if seed.shape != root.shape:
            raise ShapeError(
                _("The gradient passed to backward() must fit the tensor."),
                expected=show(root.shape),
                got=show(seed.shape),
            )
        if context.trace is not None and seed.array is not None:
            seed = context.trace.constant(seed)
        keep = create_graph or retain_graph or context.trace is not None
        if context.trace is not None:
            context.trace.note_read(lambda: gradient_hooks.version)
        with recording() if create_graph else no_grad():
            known = cotangents({root: seed}, keep=_is_owned, free=not keep)
            if context.trace is not None and not (create_graph or retain_graph):
                context.trace.note_freed(tracked_ancestors([root]))
            if context.trace is not None:
                context.trace.note_reached(known)
            for value, g in known.items():
                if value.owner is not None:
                    owner = value.owner()
                    if owner is not None:
                        _accumulate(owner, g)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the tensor's gradient to None, or to 0 without ``set_to_none``."""
        if set_to_none or self.grad is None:
            self.grad = None
        else:
            self.grad = wrap(movement.full_like(self.grad.value, 0.0))

    # -- results of its methods --------------------------------------------------

    @property
    def data(self) -> Tensor:
        """The tensor without history, like :meth:`detach`; settable in place.

        After ``x.data = y`` x has the numbers of y.
        """
        return self.detach()

    @data.setter
    def data(self, new: TensorLike) -> None:
        if not isinstance(new, Tensor):
            new = tensor(new, dtype=self.dtype)
        if type(new) is not Tensor:  # a parameter of another module
            raise unshared(new)
        self._set_data(new)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """Return the module ``chainrule.array_api`` (array API standard 2024.12)."""
        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            raise ArgumentError(
                _("That version of the array API standard is not spoken here."),
                expected=_("'2024.12' or an earlier one"),
                got=f"{api_version!r:.40}",
            )
        return importlib.import_module(f"{__name__.partition('.')[0]}.array_api")


# -- building blocks --------------------------------------------------------------


#: A tensor without its attributes, faster than ``Tensor.__new__(Tensor)``.
_bare = functools.partial(object.__new__, Tensor)


def wrap(value: Value) -> Tensor:
    """Return a tensor of a graph value; a leaf's value is copied."""
    if value.owner is not None:
        value = movement.copy(value)
    t = _bare()
    t._value = value
    t._base = t._storage = t._twin = t._pending = None
    t._grad = None
    t.name = None
    t.version = 0
    return t


TensorBase._new = staticmethod(wrap)  # type: ignore[assignment]

#: The declared functions of tensors; methods and operators are set by it.
FORMS = Forms(Tensor, Declared, wrap)


def _sized(data: tuple[Any, ...], dtype: DType) -> Value:
    """Return the value of a call of :class:`Tensor`: zeros of sizes, or numbers."""
    sizes = all(
        isinstance(d, int | np.integer | SymbolicDim) and not isinstance(d, bool)
        for d in data
    )
    if sizes:
        zeros = movement.full(0, dtype, shape_of(data or (0,)))
        return movement.copy(zeros)
    numbers, *others = data
    scalar = isinstance(numbers, float | bool | complex | str | bytes) or others
    of_sizes = isinstance(numbers, tuple) and all(type(n) is int for n in numbers)
    if scalar or (of_sizes and numbers):
        raise ArgumentError(
            _("cr.Tensor takes sizes, or numbers in one list or array."),
            expected="cr.Tensor(2, 3), cr.Tensor([0.5, 1.0])",
            got=", ".join(f"{d!r:.40}" for d in data)[:80],
            fix=_("cr.tensor(numbers) for numbers, cr.zeros(sizes) for sizes"),
        )
    return _copied(numbers, dtype)


def _copied(data: Any, dtype: Any) -> Value:
    """Return a new tensor's value: the numbers of ``data``, copied."""
    if context.trace is None:
        return Value(as_array(data, dtype))
    if isinstance(data, Tensor):
        kind = data.dtype if dtype is None else as_dtype(dtype)
        with no_grad():
            return movement.reshape(operands.value_of(data, kind), shape=data.shape)
    return context.trace.constant(Value(as_array(data, dtype)))


def _numbers(nest: Any) -> Any:
    """Convert tensors in nested lists and tuples to NumPy arrays."""
    if isinstance(nest, Tensor):
        return np.asarray(nest)
    return type(nest)(map(_numbers, nest)) if type(nest) in (tuple, list) else nest


def _anew(
    kind: type[Tensor],
    array: Array,
    tracked: bool,
    grad: Tensor | None,
    name: Any,
    shape: tuple[int, ...],
    repeated: bool,
    order: int,
) -> Tensor:
    """Rebuild a tensor that ``copy.deepcopy`` or ``pickle`` copies."""
    tensor = kind.__new__(kind)
    tensor._begin(Value(array), requires_grad=False)
    if repeated:
        tensor = tensor.expand(shape)
    tensor.requires_grad_(tracked)
    if order:  # a copy may lie otherwise than what PyTorch copies
        tensor._value.order = UNKNOWN
    tensor.grad, tensor.name = grad, name
    return tensor


def tensor(
    data: TensorLike,
    *,
    dtype: DTypeLike = None,
    requires_grad: bool = False,
    device: DeviceLike = None,
) -> Tensor:
    """Return a new tensor of the given numbers, which are copied.

    Args:
        data: a nested list, a scalar, or anything with ``__array__`` or
            ``__dlpack__``. Python floats become the default dtype; arrays keep theirs.
        dtype: to convert to.
        requires_grad: whether ``backward()`` shall fill ``.grad``.
        device: the CPU.

    >>> t = tensor([[1.0, 2.0]], requires_grad=True)
    >>> (t @ t.T).sum().backward()
    >>> t.grad
    tensor([[2., 4.]])
    """
    check_device(device)
    new = object.__new__(Tensor)
    new._begin(_copied(data, dtype), requires_grad)
    return new


def as_tensor(
    data: TensorLike, dtype: DTypeLike = None, device: DeviceLike = None
) -> Tensor:
    """Return ``data`` itself if it is a tensor of that dtype, else a new tensor."""
    check_device(device)
    if not isinstance(data, Tensor) or data._weak is not None:
        return tensor(data, dtype=dtype)
    return data if dtype is None else data.astype(dtype)


def count_of(size: Dim, dtype: DType) -> Tensor:
    """Return a number of elements, which may be symbolic, as a scalar tensor."""
    return wrap(operands.count_of(size, dtype))


def _is_owned(value: Value) -> bool:
    return value.owner is not None


def _accumulate(owner: Tensor, g: Value) -> None:
    """Add a gradient to a tensor's ``.grad``, in place unless that is recorded."""
    gradient = owner.grad
    if gradient is None:
        owner.grad = wrap(g)
    elif (rows := gradient._value.joined(g)) is not None:
        owner.grad = wrap(rows)
    elif context.grad or gradient.requires_grad:
        owner.grad = gradient + wrap(g)
    else:
        gradient._assign((gradient + wrap(g)).value)
