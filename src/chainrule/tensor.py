"""The eager Tensor: NumPy's manners, and a memory of how it was made.

Every operation here is a composition of primitives applied by
:func:`chainrule.graph.bind`, so the same code computes at once on numbers and records
a graph while a function is compiled. There is no second implementation.
"""

from __future__ import annotations

import builtins
import operator
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule import tensor_rules as rules
from chainrule.autodiff import cotangents, recording
from chainrule.elsewhere import TENSORS
from chainrule.errors import ArgumentError, DTypeError, GradientError, ShapeError
from chainrule.graph.build import changes, context, no_grad
from chainrule.graph.build import constant as number
from chainrule.graph.graph import ancestors
from chainrule.graph.node import Array, Value
from chainrule.graph.types import Dim, DType, Shape, Size, as_dtype, size_of
from chainrule.primitives import creation, elementwise, movement, reduce
from chainrule.primitives.rules import show
from chainrule.regions import activations
from chainrule.tensor_rules import Dims, axes_of, axis_of, fill, numbers_of

TensorLike = Any


class Tensor:
    """An array of numbers that remembers how it was computed.

    Args:
        data: numbers: a nested list, a scalar, or anything with ``__array__`` or
            ``__dlpack__``. Python floats become float32, as in PyTorch; arrays keep
            their dtype.
        dtype: the element type to convert to.
        requires_grad: whether ``backward()`` shall fill ``.grad``.

    >>> t = Tensor([[1.0, 2.0]], requires_grad=True)
    >>> (t @ t.T).sum().backward()
    >>> t.grad
    tensor([[2., 4.]])
    """

    __slots__ = ("__weakref__", "_grad", "_pending", "_value", "name", "version")
    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(
        self, data: Any, *, dtype: Any = None, requires_grad: bool = False
    ) -> None:
        array = _as_array(data, dtype)
        self._value = Value(array)
        self._pending: Callable[[], Array] | None = None
        self._grad: Tensor | None = None
        self.name: str | None = None
        self.version = 0
        if context.trace is not None:
            self._value = context.trace.constant(self._value)
        if requires_grad:
            self.requires_grad_()

    # -- what it is --------------------------------------------------------------

    @property
    def value(self) -> Value:
        """The graph value that stands for this tensor where it is used now."""
        if context.trace is not None and self._value.array is not None:
            return context.trace.lift(self, self._value)
        if self._pending is not None:
            self._settle()
        return self._value

    def _settle(self) -> None:
        """Fetch the numbers that an engine holds."""
        pending = self._pending
        assert pending is not None
        self._replace(pending())
        self._pending = None  # last: what interrupts the fetching loses nothing

    def _replace(self, array: Array) -> None:
        tracked, owner = self._value.tracked, self._value.owner
        self._value = Value(array, tracked=tracked)
        self._value.owner = owner

    def defer(self, fetch: Callable[[], Array]) -> None:
        """From now on the numbers are what ``fetch()`` gives, asked for when read."""
        self._pending = fetch
        self.version += 1

    @property
    def grad(self) -> Tensor | None:
        """∂ℒ/∂self, added up by every ``backward()``; None where there is none yet."""
        if context.trace is not None and self._value.array is not None:
            return context.trace.gradient(self, self._grad)
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None and not isinstance(gradient, Tensor):
            raise ArgumentError(
                "A gradient is a tensor.",
                expected=f"a tensor of shape {show(self.shape)}, or None",
                got=type(gradient).__name__,
                fix="cr.tensor(numbers)",
            )
        outside = context.trace is not None and self._value.array is not None
        if not outside or not context.trace.set_gradient(self, gradient):
            self._grad = gradient

    @property
    def shape(self) -> Shape:
        """The sizes of the axes; an entry may be N while a function is traced."""
        return self._value.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._value.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return size_of(self._value.shape)

    @property
    def requires_grad(self) -> bool:
        """Whether a derivative with respect to this tensor can be asked for."""
        return self._value.tracked

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not computed."""
        return self._value.node is None

    def requires_grad_(self, wanted: bool = True) -> Tensor:
        """Have ``backward()`` fill ``.grad`` of this tensor, in place."""
        if not self.is_leaf:
            raise GradientError(
                "requires_grad_ is for tensors that were not computed.",
                expected="a leaf",
                got=f"the result of {self._value.node}",
                fix="call .detach() first",
            )
        if wanted and not self.dtype.is_float:
            raise DTypeError(
                "Only floating-point tensors have gradients.",
                expected="float32 or float64",
                got=self.dtype.name,
                fix="x.astype('float32').requires_grad_()",
            )
        self._value.tracked = wanted
        self._value.owner = weakref.ref(self) if wanted else None
        changes.count += 1
        return self

    def __getattr__(self, name: str) -> Any:
        """Refuse a name that a tensor has not, with what does it here."""
        text = f"'Tensor' object has no attribute {name!r}"
        if name in TENSORS:
            text += f"; here: {TENSORS[name]}"
        raise AttributeError(text, name=name, obj=self)

    # -- its numbers -------------------------------------------------------------

    def numpy(self) -> Array:
        """The numbers as a NumPy array that shares their memory and is read-only."""
        if self._pending is not None:
            self._settle()
        array = self._value.array
        if array is not None and context.trace is not None:
            raise ArgumentError(
                "The numbers of a tensor from outside are read while a function is "
                "traced: they would stay what they are now.",
                expected="code that does not look at values",
                got=f"numpy(), item(), bool() or print of {self.name or 'a tensor'}",
                fix="compute with the tensor itself, or read it outside of the "
                "compiled function and pass the number as an argument",
            )
        if array is None:
            raise ArgumentError(
                "This tensor has no numbers yet: the function is being traced.",
                expected="code that does not look at values",
                got=f"numpy(), item(), bool() or print of {self._value.type}",
                fix="return the tensor, or use where() instead of if",
            )
        array = array.view()
        array.flags.writeable = False
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad and context.grad:
            raise GradientError(
                "NumPy does not remember derivatives, and this tensor has one.",
                expected="functions of chainrule, such as cr.sin(x) or x.exp()",
                got=repr(self)[:80],
                fix="x.detach().numpy() or x.numpy() for the numbers alone",
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.numpy().__dlpack_device__()

    def item(self) -> Any:
        """The one number of a tensor of one element, as a Python number."""
        array = self.numpy()
        if array.size != 1:
            raise ShapeError(
                "Only a tensor of one element is a number.",
                expected="one element",
                got=f"shape {show(self.shape)}",
                fix="x.sum(), x.mean() or x[0] first, or x.tolist() for all",
            )
        return array.item()

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        return self.numpy().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise DTypeError(
                "Only integer tensors index.", expected="int64", got=self.dtype.name
            )
        return int(self.item())

    def __format__(self, spec: str) -> str:
        """As the number where there is one alone: ``f"{loss:.4f}"``."""
        return format(self.item(), spec) if spec and self.size == 1 else str(self)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item(), digits)

    def __reduce__(self) -> Any:
        """For ``copy.deepcopy`` and ``pickle``: a leaf with a gradient of its own."""
        if not self.is_leaf and self.requires_grad:
            raise GradientError(
                "Only tensors that were not computed can be copied with their history.",
                expected="a leaf",
                got=f"the result of {self._value.node}",
                fix="copy x.detach()",
            )
        made_of = (type(self), self.numpy(), self.requires_grad, self.grad, self.name)
        return _anew, made_of

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("A scalar tensor has no length.", got="shape ()")
        return operator.index(self.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        if self._value.array is None and self._pending is None:
            return f"tensor(<{self._value.type}>)"
        body = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        kind = (
            ""
            if self.dtype in (DType.float32, DType.int64, DType.bool)
            else (f", dtype={self.dtype.name}")
        )
        made = self._value.node
        grad = (
            f", made by {made.primitive.name}"
            if made
            else (", requires_grad=True" if self.requires_grad else "")
        )
        return f"tensor({body}{kind}{grad})"

    # -- changing it -------------------------------------------------------------

    def copy_(self, other: TensorLike) -> Tensor:
        """Take over the numbers of ``other`` (same shape), in place.

        While a function is compiled this is how state changes: the step's graph
        gets a pair that says which value replaces which.
        """
        new = as_tensor(other)
        if new.shape != self.shape:
            raise ShapeError(
                f"copy_ into {self.name or 'a tensor'} needs the same shape.",
                expected=show(self.shape),
                got=show(new.shape),
            )
        if new.dtype is not self.dtype:
            new = new.astype(self.dtype)
        if context.trace is not None and context.trace.assign(self, new.value):
            return self
        self.version += 1  # first: what interrupts this never hides new numbers
        self._replace(np.array(new.numpy()))
        self._pending = None
        return self

    def detach(self) -> Tensor:
        """The same numbers, without the memory of how they were made."""
        if context.trace is None:
            return wrap(Value(self.numpy()))
        value = self.value
        with no_grad():
            return wrap(movement.reshape(value, shape=value.shape))

    def astype(self, dtype: Any) -> Tensor:
        """The same numbers in another element type."""
        wanted = as_dtype(dtype)
        if wanted is self.dtype:
            return self
        return wrap(elementwise.convert(self.value, dtype=wanted))

    to = astype

    # -- derivatives -------------------------------------------------------------

    def backward(
        self,
        gradient: TensorLike = None,
        *,
        create_graph: bool = False,
        retain_graph: bool = False,
    ) -> None:
        """Add ∂self/∂leaf to ``.grad`` of every leaf that requires it.

        Args:
            gradient: the cotangent of this tensor; 1 for a scalar.
            create_graph: record the derivative too, so that it can be differentiated.
            retain_graph: keep the recorded nodes for another ``backward()``; without
                it they are freed.
        """
        root = self.value
        if not root.tracked:
            raise GradientError(
                "backward() found nothing to differentiate.",
                expected="a result computed from tensors with requires_grad=True",
                got=repr(self),
                fix="cr.tensor(…, requires_grad=True), and not within no_grad()",
            )
        if gradient is None and self.shape != ():
            raise GradientError(
                "backward() without an argument starts from a scalar.",
                expected="shape ()",
                got=show(self.shape),
                fix="reduce it first, loss.mean().backward(), or pass gradient=",
            )
        seed = (
            number(1.0, root.dtype)
            if gradient is None
            else as_tensor(gradient, dtype=root.dtype).value
        )
        if seed.shape != root.shape:
            raise ShapeError(
                "The gradient passed to backward() must fit the tensor.",
                expected=show(root.shape),
                got=show(seed.shape),
            )
        if context.trace is not None and seed.array is not None:
            seed = context.trace.constant(seed)
        keep = create_graph or retain_graph or context.trace is not None
        with recording() if create_graph else no_grad():
            known = cotangents({root: seed}, free=not keep)
            if context.trace is not None and not (create_graph or retain_graph):
                context.trace.note_freed(ancestors([root]))
            for value, g in known.items():
                if value.owner is not None and value.node is None:
                    owner = value.owner()
                    if owner is not None:
                        _accumulate(owner, g)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    # -- arithmetic --------------------------------------------------------------

    def __add__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.add, self, other)

    def __sub__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.sub, self, other)

    def __mul__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.mul, self, other)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.div, self, other, floating=True)

    def __radd__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.add, other, self)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.sub, other, self)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.mul, other, self)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.div, other, self, floating=True)

    # ``p -= lr * p.grad`` changes the parameter p; any other x becomes a new tensor.

    def __iadd__(self, other: TensorLike) -> Tensor:
        return self._become(self + other)

    def __isub__(self, other: TensorLike) -> Tensor:
        return self._become(self - other)

    def __imul__(self, other: TensorLike) -> Tensor:
        return self._become(self * other)

    def __itruediv__(self, other: TensorLike) -> Tensor:
        return self._become(self / other)

    def _become(self, made: Tensor) -> Tensor:
        if not (self.is_leaf and self.requires_grad):
            return made
        if made.requires_grad:
            raise GradientError(
                f"{self.name or 'A leaf'} cannot be changed in place while its use is "
                "recorded.",
                expected="a change that no derivative is taken of",
                got="+=, -=, *= or /= outside of no_grad()",
                fix="with cr.no_grad(): p -= lr * p.grad, or let an optimiser do it",
            )
        return self.copy_(made)

    def __neg__(self) -> Tensor:
        return wrap(elementwise.neg(self.value))

    def __pow__(self, power: float) -> Tensor:
        """``x ** p`` for a number p: integers by multiplication, ½ by the root."""
        if isinstance(power, Tensor) or not isinstance(power, int | float):
            raise ArgumentError(
                "** takes a Python number as its exponent.",
                expected="int or float",
                got=type(power).__name__,
                fix="for a tensor exponent write (p * x.log()).exp()",
            )
        if power == 0.5:
            return self.sqrt()
        if power == int(power):
            return wrap(rules.integer_power(self.value, int(power)))
        return (self.log() * power).exp()

    def __matmul__(self, other: TensorLike) -> Tensor:
        return matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return matmul(other, self)

    def __lt__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.less, self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return _binary(elementwise.less, other, self)

    def __le__(self, other: TensorLike) -> Tensor:
        return where(self < other, True, self == other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return where(self > other, True, self == other)

    def __eq__(self, other: object) -> Tensor:
        return _binary(elementwise.equal, self, other)

    def __ne__(self, other: object) -> Tensor:
        return where(_binary(elementwise.equal, self, other), False, True)

    def __abs__(self) -> Tensor:
        return wrap(elementwise.abs_(self.value))

    abs = __abs__

    def exp(self) -> Tensor:
        """eˣ, element by element."""
        return wrap(elementwise.exp(self.value))

    def expm1(self) -> Tensor:
        """eˣ − 1, element by element, exact near 0 too."""
        return wrap(elementwise.expm1(self.value))

    def log(self) -> Tensor:
        """The natural logarithm, element by element."""
        return wrap(elementwise.log(self.value))

    def log1p(self) -> Tensor:
        """ln(1 + x), element by element, exact near 0 too."""
        return wrap(elementwise.log1p(self.value))

    def erf(self) -> Tensor:
        """The error function 2/√π ∫₀ˣ e^(−t²) dt, element by element."""
        return wrap(elementwise.erf(self.value))

    def sqrt(self) -> Tensor:
        """The square root, element by element; its derivative at 0 is infinite."""
        return wrap(elementwise.sqrt(self.value))

    def tanh(self) -> Tensor:
        """The hyperbolic tangent (2.7)."""
        return wrap(elementwise.tanh(self.value))

    def relu(self) -> Tensor:
        """max(x, 0), with derivative 0 at 0 (2.7)."""
        return wrap(activations.relu(self.value))

    def sigmoid(self) -> Tensor:
        """1 / (1 + e⁻ˣ) (2.7)."""
        return wrap(activations.sigmoid(self.value))

    def softmax(self, dim: int = -1) -> Tensor:
        """e^xᵢ / Σⱼ e^xⱼ along ``dim`` (3.2.3)."""
        return wrap(activations.softmax(self.value, axis=axis_of(self.shape, dim)))

    def log_softmax(self, dim: int = -1) -> Tensor:
        """ln softmax, computed without underflow."""
        return wrap(activations.log_softmax(self.value, axis=axis_of(self.shape, dim)))

    # -- reductions --------------------------------------------------------------

    def sum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The sum over ``dim`` (all axes by default; none for an empty tuple).

        Integers and truth values are counted in int64.
        """
        return wrap(rules.total(self.value, dim, keepdim))

    def max(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The maximum over ``dim``, without its index, which :meth:`argmax` has.

        PyTorch calls it ``amax``. Equal maxima share the derivative.
        """
        return wrap(rules.reduce_over(reduce.reduce_max, self.value, dim, keepdim))

    def min(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The minimum over ``dim``, without its index (PyTorch's ``amin``)."""
        return wrap(rules.least(self.value, dim, keepdim))

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        """The mean over ``dim`` (all axes by default)."""
        if not self.dtype.is_float:
            return self.astype("float32").mean(dim, keepdim)
        count = size_of(tuple(self.shape[a] for a in axes_of(self.shape, dim)))
        return self.sum(dim, keepdim) / count_of(count, self.dtype)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """The index of the largest element along ``dim``, the first of equals."""
        x = self.reshape(-1) if dim is None else self
        axis = axis_of(x.shape, dim or 0)
        made = wrap(reduce.argmax(x.value, axis=axis))
        return wrap(rules.restored(made.value, self.shape, dim)) if keepdim else made

    # -- movement ----------------------------------------------------------------

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in row-major order under another shape; one −1 is free."""
        wanted = fill(self.shape, numbers_of(shape))
        return wrap(movement.reshape(self.value, shape=wanted))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from ``start_dim`` to ``end_dim`` merged into one."""
        shape = self.shape or (1,)
        first, last = (axis_of(shape, d) for d in (start_dim, end_dim))
        if first > last:
            raise ShapeError(
                "flatten merges neighbouring axes.",
                expected="start_dim before end_dim",
                got=f"{start_dim} and {end_dim} for shape {show(self.shape)}",
                fix=f"flatten({last}, {first})",
            )
        merged = size_of(shape[first : last + 1])
        return self.reshape(*shape[:first], merged, *shape[last + 1 :])

    def permute(self, *dims: Any) -> Tensor:
        """The axes in another order: axis ``dims[i]`` becomes axis i."""
        order = tuple(axis_of(self.shape, d) for d in numbers_of(dims))
        if sorted(order) != list(range(self.ndim)):
            raise ShapeError(
                "permute takes every axis once.",
                expected=f"the numbers 0 to {self.ndim - 1} in another order",
                got=f"{numbers_of(dims)} for shape {show(self.shape)}",
                fix="transpose(dim0, dim1) exchanges two axes",
            )
        return wrap(movement.transpose(self.value, axes=order))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two axes exchanged."""
        order = list(range(self.ndim))
        a, b = axis_of(self.shape, dim0), axis_of(self.shape, dim1)
        order[a], order[b] = b, a
        return self.permute(order)

    @property
    def T(self) -> Tensor:
        """The transpose: axes in reverse order."""
        return self.permute(tuple(reversed(range(self.ndim))))

    def squeeze(self, dim: int) -> Tensor:
        """Drop an axis of length 1."""
        at = axis_of(self.shape, dim)
        if self.shape[at] != 1:
            raise ShapeError(
                "squeeze drops an axis of length 1.",
                expected=f"axis {dim} of length 1",
                got=f"shape {show(self.shape)}",
                fix="x.reshape(…) for another shape",
            )
        return self.reshape(*self.shape[:at], *self.shape[at + 1 :])

    def unsqueeze(self, dim: int) -> Tensor:
        """Insert an axis of length 1 before axis ``dim``; −1 appends it."""
        rank = self.ndim + 1
        if isinstance(dim, int) and not -rank <= dim < rank:
            raise ShapeError(
                f"No axis can be inserted at {dim}.",
                expected=f"−{rank} … {rank - 1}",
                got=f"{dim} for shape {show(self.shape)}",
            )
        at = axis_of((*self.shape, 1), dim)
        return self.reshape(*self.shape[:at], 1, *self.shape[at:])

    def broadcast_to(self, *shape: Any) -> Tensor:
        """Repeat along missing axes and axes of length 1."""
        return wrap(movement.broadcast_to(self.value, shape=numbers_of(shape)))

    def __getitem__(self, key: Any) -> Tensor:
        from chainrule.tensor_indexing import index

        return index(self, key)


# -- building blocks --------------------------------------------------------------


def wrap(value: Value) -> Tensor:
    """A tensor around a graph value."""
    t = Tensor.__new__(Tensor)
    t._value = value
    t._pending = None
    t._grad = None
    t.name = None
    t.version = 0
    return t


def _anew(
    kind: type[Tensor], array: Array, tracked: bool, grad: Tensor | None, name: Any
) -> Tensor:
    """What a copy of a tensor is made by."""
    made = kind(array)
    made.requires_grad_(tracked)
    made.grad, made.name = grad, name
    return made


def _as_array(data: Any, dtype: Any) -> Array:
    wanted = None if dtype is None else as_dtype(dtype).numpy
    if isinstance(data, Tensor):
        return np.array(data.numpy(), dtype=wanted)
    if hasattr(data, "__dlpack__") and not hasattr(data, "__array__"):
        data = np.from_dlpack(data)
    try:
        array = np.array(data, dtype=wanted)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(
            "These data do not make a tensor.",
            expected="numbers in nested lists of equal lengths, or an array",
            got=f"{type(data).__name__}: {error}",
        ) from None
    if wanted is None and not hasattr(data, "dtype") and array.dtype == np.float64:
        array = array.astype(np.float32)
    as_dtype(array.dtype)
    return array


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of the given numbers; see :class:`Tensor`.

    >>> tensor([1, 2, 3]).sum()
    tensor(6)
    """
    return Tensor(data, dtype=dtype, requires_grad=requires_grad)


def as_tensor(data: TensorLike, dtype: Any = None) -> Tensor:
    """``data`` itself where it is a tensor of that dtype, else a new tensor."""
    if not isinstance(data, Tensor):
        return Tensor(data, dtype=dtype)
    return data if dtype is None else data.astype(dtype)


def count_of(size: Dim, dtype: DType) -> Tensor:
    """A number of elements as a scalar tensor; it may contain N."""
    if isinstance(size, Size):
        return wrap(creation.size(dim=size, dtype=dtype))
    return wrap(number(size, dtype))


def _accumulate(owner: Tensor, g: Value) -> None:
    new = wrap(g)
    owner.grad = new if owner.grad is None else owner.grad + new


def _operands(
    a: TensorLike, b: TensorLike, floating: bool = False
) -> tuple[Value, Value]:
    """Two operands as graph values; a Python number takes the dtype of the other."""
    x = _operand(a, b if isinstance(b, Tensor) else None, floating)
    y = _operand(b, x if isinstance(a, Tensor) else None, floating)
    return x.value, y.value


def _operand(x: TensorLike, other: Tensor | None, floating: bool) -> Tensor:
    if isinstance(x, Tensor):
        return x
    if other is not None and isinstance(x, int | float | builtins.bool):
        dtype = other.dtype
        if (isinstance(x, float) or floating) and not dtype.is_float:
            dtype = DType.float32
        elif dtype is DType.bool and not isinstance(x, builtins.bool):
            dtype = DType.int64
        return wrap(number(x, dtype))
    return Tensor(x)


def _binary(
    primitive: Any, a: TensorLike, b: TensorLike, *, floating: bool = False
) -> Tensor:
    x, y = _operands(a, b, floating)
    return wrap(rules.binary(primitive, x, y, floating=floating))


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """``a`` where ``condition`` is true, else ``b``; shapes broadcast.

    >>> where(tensor([True, False]), 1.0, tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a = Tensor(a)
    x, y = _operands(a, b)
    return wrap(rules.select(as_tensor(condition).value, x, y))


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of two, element by element; at equality the derivative goes to b.

    >>> maximum(tensor([-1.0, 2.0]), 0.0)
    tensor([0., 2.])
    """
    return _binary(elementwise.maximum, a, b)


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix product, with NumPy's rules for vectors and stacks of matrices.

    >>> matmul(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return wrap(rules.matmul(as_tensor(a).value, as_tensor(b).value))
