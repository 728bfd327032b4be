"""Types of graph values: element types, and shapes whose sizes may be names.

The enumeration of element types is ours because NumPy's has no bfloat16. A size is an
integer or a product of named sizes (N samples, T steps), which only the engine learns:
one graph serves the full batch, the last partial one and a single sample.
"""

from __future__ import annotations

import abc
import builtins
import functools
import inspect
import operator
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cached_property
from numbers import Number
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from chainrule.errors import DTypeError, ShapeError
from chainrule.text import _
from chainrule.util.blocks import Block
from chainrule.util.source_location import of_user


class DType(Enum):
    """An element type (dtype) with its short name in the text form and its kind."""

    bool = ("bool", "bool", 1)
    uint8 = ("u8", "uint", 1)
    uint16 = ("u16", "uint", 2)
    uint32 = ("u32", "uint", 4)
    uint64 = ("u64", "uint", 8)
    int8 = ("i8", "int", 1)
    int16 = ("i16", "int", 2)
    int32 = ("i32", "int", 4)
    int64 = ("i64", "int", 8)
    float32 = ("f32", "float", 4)
    float64 = ("f64", "float", 8)
    #: The upper half of a float32: values are stored in it and computed in float32.
    bfloat16 = ("bf16", "float", 2)

    short: str
    kind: str
    itemsize: int

    def __init__(self, short: str, kind: str, itemsize: int) -> None:
        self.short, self.kind, self.itemsize = short, kind, itemsize
        #: Whether derivatives exist for values of this type.
        self.is_float: builtins.bool = kind == "float"
        #: Whether values of this type can index or label.
        self.is_integer: builtins.bool = kind in ("int", "uint")

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype that corresponds to an element type; ml_dtypes' bfloat16."""
        if self is not DType.bfloat16:
            return np.dtype(self.name)
        from ml_dtypes import bfloat16

        kind = np.dtype(bfloat16)
        _FROM_NUMPY[kind] = _FROM_NUMBER[kind.num] = self
        return kind

    @cached_property
    def limits(self) -> Any:
        """The largest and smallest numbers, ``max`` and ``min``; of floats ``eps``."""
        if self.is_integer:
            return np.iinfo(self.numpy)
        if self is not DType.bfloat16:
            return np.finfo(self.numpy)
        import ml_dtypes

        limits: Any = ml_dtypes.finfo
        return limits(self.numpy)

    if not TYPE_CHECKING:
        # An Enum's own hash is that of its name, computed anew each time.
        __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"chainrule.{self.name}"


for _dtype in DType:  # Python 3.11 looks a member up by a function of its own
    type.__setattr__(DType, _dtype.name, _dtype)

#: The dtypes that NumPy has itself.
NUMPY_DTYPES = tuple(dtype for dtype in DType if dtype is not DType.bfloat16)
#: bfloat16 is added where it is used first.
_FROM_NUMPY = {dtype.numpy: dtype for dtype in NUMPY_DTYPES}
#: By the names that the text form prints.
FROM_SHORT = {dtype.short: dtype for dtype in DType}
_FROM_TEXT = FROM_SHORT | {dtype.name: dtype for dtype in DType}
#: By NumPy's numbers for types of this machine's byte order.
_FROM_NUMBER = {
    kind.num: _FROM_NUMPY[kind]
    for kind in map(np.dtype, "?bBhHiIlLqQfd")
    if kind in _FROM_NUMPY
}


# NumPy takes texts for records too, and has Python parse them.
_REFUSALS = (
    *(TypeError, ValueError, KeyError, SyntaxError),
    *(OverflowError, MemoryError, RecursionError),
)


def dtype_of(array: np.ndarray[Any, Any]) -> DType:
    """Return the element type of a NumPy array in native byte order."""
    return _FROM_NUMBER.get(array.dtype.num) or as_dtype(array.dtype)


def is_narrow(array: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is of bfloat16, a kind of its own for NumPy."""
    return array.dtype.name == "bfloat16"


def has_floats(array: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is of floats, bfloat16 among them."""
    return array.dtype.kind == "f" or is_narrow(array)


def numeric(array: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is of real numbers or truth values, bfloat16 too."""
    return array.dtype.kind in "biuf" or is_narrow(array)


def as_dtype(dtype: Any) -> DType:
    """Return an element type from a dtype (ours or NumPy's), a name or a Python type.

    >>> as_dtype("float32"), as_dtype(np.int64), as_dtype("u8")
    (chainrule.float32, chainrule.int64, chainrule.uint8)
    """
    if isinstance(dtype, DType):
        return dtype
    text = isinstance(dtype, str)
    if text and dtype in _FROM_TEXT:
        return _FROM_TEXT[dtype]
    if getattr(dtype, "__name__", getattr(dtype, "name", "")) == "bfloat16":
        return _FROM_NUMPY[DType.bfloat16.numpy]
    try:
        if not text:
            return _FROM_NUMPY[np.dtype(dtype)]
        with warnings.catch_warnings(action="ignore"):  # of names that are out of use
            return _FROM_NUMPY[np.dtype(dtype)]
    except _REFUSALS:
        raise DTypeError(
            _(
                "{dtype!r} is not an element type that Chainrule computes with.",
                dtype=dtype,
            ),
            expected=", ".join(d.name for d in DType),
            got=str(dtype),
            fix=_("convert first, for example array.astype('float32')"),
        ) from None


#: The Python code of ``isinstance`` for abstract classes.
_OF_ABSTRACT = abc.ABCMeta.__instancecheck__.__code__


class SymbolicDim:
    """A symbolic size: an integer times named sizes that are known only at run time.

    >>> N, T = SymbolicDim("N"), SymbolicDim("T")
    >>> N * 4, (N * 4) // 2, N * T * 2, (N * 4).at({"N": 32})
    (4*N, 2*N, 2*N*T, 128)
    """

    __slots__ = ("factor", "names")

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The class that ``isinstance`` sees: ``int`` in a user's code that is traced.

        So ``isinstance(x.shape[0], int)`` decides there as it does without a trace.
        """
        if _guess.sizes is None and not _guess.decided:
            return SymbolicDim
        here = inspect.currentframe()
        if here and here.f_back and here.f_back.f_code is _OF_ABSTRACT:
            here = here.f_back  # isinstance(x.shape[0], numbers.Integral)
        return int if _asked_by_user(here) else SymbolicDim

    def __reduce__(self) -> Any:
        return functools.partial(SymbolicDim, factor=self.factor), self.names

    def __init__(self, *names: str, factor: int = 1) -> None:
        self.factor: int = factor
        self.names: tuple[str, ...] = tuple(sorted(names))

    def at(self, sizes: Sizes) -> int:
        """Return a symbolic size as a number, for given values of the named sizes."""
        total = self.factor
        for name in self.names:
            if name not in sizes:
                raise ShapeError(
                    _(
                        "A graph over sizes {self} runs only once {name} is known.",
                        self=self,
                        name=name,
                    ),
                    expected=_("an input with an axis of {name}", name=name),
                    got=", ".join(sizes) or _("no sizes"),
                )
            total *= sizes[name]
        return total

    def __mul__(self, other: object) -> Dim:
        if isinstance(other, SymbolicDim):
            factor = self.factor * other.factor
            return SymbolicDim(*self.names, *other.names, factor=factor)
        if not isinstance(other, int):
            return self._arithmetic(other)
        return SymbolicDim(*self.names, factor=self.factor * other) if other else 0

    def __rmul__(self, other: object) -> Dim:
        return self.__mul__(other)

    def __floordiv__(self, other: object) -> Dim:
        """Divide a symbolic size; raise an error if the quotient may not be whole."""
        if not isinstance(other, int | SymbolicDim):
            return self._arithmetic(other)
        divisor = other if isinstance(other, SymbolicDim) else SymbolicDim(factor=other)
        left = Counter(self.names)
        left.subtract(divisor.names)
        fits = divisor.factor != 0 and self.factor % divisor.factor == 0
        if not fits or min(left.values(), default=0) < 0:
            raise ShapeError(
                _(
                    "{self} does not divide by {other} for every size.",
                    self=self,
                    other=other,
                ),
                expected=_("a divisor of {self}", self=self),
                got=str(other),
                fix=_("give every size of the reshape explicitly"),
            )
        factor = self.factor // divisor.factor
        names = tuple(left.elements())
        return SymbolicDim(*names, factor=factor) if names else factor

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | SymbolicDim):
            if not isinstance(other, Number):
                return NotImplemented  # a tensor knows what to do
            try:
                whole = int(cast("Any", other))
            except (TypeError, ValueError, OverflowError):  # complex, NaN, infinity
                return False
            if whole != other:
                return False
            other = whole
        if isinstance(other, SymbolicDim) and (
            other.factor == self.factor and other.names == self.names
        ):
            return True
        if _guess.sizes is not None:
            # Either answer may be right; what is built on it holds for one of them.
            guard = SizeGuard(self, other, operator.eq, False)
            if not guard(_guess.sizes):
                here = inspect.currentframe()
                if isinstance(other, SymbolicDim) and not _asked_by_user(here):
                    return False  # ours takes other names for other sizes
                raise self._unknown(
                    _("{self} compared with {other}", self=self, other=other),
                    {*self.names, *getattr(other, "names", ())},
                )
            _guess.guards.append(guard)
        elif _guess.decided and _asked_by_user(inspect.currentframe()):
            raise self._unknown(
                _("{self} compared with {other}", self=self, other=other)
            )
        return False

    def __hash__(self) -> int:
        # A set or a dictionary of numbers would say that this is none of them.
        decides = _guess.sizes is not None or _guess.decided
        if decides and _asked_by_user(inspect.currentframe()):
            raise self._unknown(_("looked up in a set or a dictionary"))
        return hash((self.factor, self.names))

    @staticmethod
    def _ordered(
        decide: Callable[[int, int], bool],
    ) -> Callable[[SymbolicDim, Any], bool]:
        def compare(self: SymbolicDim, other: Any) -> bool:
            if not isinstance(other, int | SymbolicDim) or _guess.sizes is None:
                raise self._unknown(
                    _("{self} compared with {other}", self=self, other=other)
                )

            answer = decide(self.at(_guess.sizes), resolve(other, _guess.sizes))
            _guess.guards.append(SizeGuard(self, other, decide, answer))
            return answer

        return compare

    __lt__: ClassVar[Callable[..., bool]] = _ordered(operator.lt)
    __le__: ClassVar[Callable[..., bool]] = _ordered(operator.le)
    __gt__: ClassVar[Callable[..., bool]] = _ordered(operator.gt)
    __ge__: ClassVar[Callable[..., bool]] = _ordered(operator.ge)

    def __bool__(self) -> bool:
        return _guess.sizes is None or self != 0

    def _unknown(self, use: str, equal: Iterable[str] = ()) -> UnknownSizeError:
        error = UnknownSizeError(
            _("The size {self} is not known while a function is traced.", self=self),
            expected=_("code that works for every size, such as x.mean() or x.reshape"),
            got=use,
            fix=as_number(self),
        )
        error.equal = frozenset(equal)
        return error

    def _arithmetic(self, other: Any, *more: Any) -> Any:
        if not isinstance(other, Number | SymbolicDim):
            return NotImplemented  # a tensor knows what to do
        raise self._unknown(_("in a sum, a difference or a quotient"))

    def _number(self, *digits: Any) -> Any:
        raise self._unknown(_("{self} used as a plain integer", self=self))

    def __getattr__(self, name: str) -> Any:
        """Refuse what an integer has, such as ``bit_length``."""
        if name.startswith("_") or not hasattr(int, name):
            raise AttributeError(name)
        return self._number()

    # All that an integer has: where one asks, a size with a name is not known.
    __index__ = __int__ = __float__ = __complex__ = __round__ = _number
    __trunc__ = __floor__ = __ceil__ = __neg__ = __pos__ = __abs__ = __invert__ = (
        _number
    )
    __add__ = __radd__ = __sub__ = __rsub__ = __mod__ = __rmod__ = _arithmetic
    __truediv__ = __rtruediv__ = __rfloordiv__ = __pow__ = __rpow__ = _arithmetic
    __divmod__ = __rdivmod__ = __and__ = __rand__ = __or__ = __ror__ = _arithmetic
    __xor__ = __rxor__ = __lshift__ = __rlshift__ = _arithmetic
    __rshift__ = __rrshift__ = _arithmetic

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise self._unknown(_("given to NumPy"))

    def __repr__(self) -> str:
        names = "*".join(self.names)
        return names if self.factor == 1 else f"{self.factor}*{names}"

    def __str__(self) -> str:
        return self._text(inspect.currentframe())

    def __format__(self, spec: str) -> str:
        return format(self._text(inspect.currentframe()), spec)

    def _text(self, here: FrameType | None) -> str:
        """Return a symbolic size as text; raise an error if user code asks for it."""
        if (_guess.sizes or _guess.decided) and _asked_by_user(here):
            raise self._unknown(_("written into a text"))
        return repr(self)


def _asked_by_user(frame: FrameType | None) -> bool:
    """Return whether a frame is called by code that is not Chainrule's."""
    caller = frame and frame.f_back
    return caller is not None and of_user(caller.f_code.co_filename)


def as_number(*sizes: Dim) -> str:
    """Return what makes sizes with names numbers, as the fix in an error message."""
    if _guess.sizes is None:  # a Trainer's: its last batch is smaller
        return _("batches have any size: let tensors compute it, as x.mean(0) does")
    named = [size for size in sizes if isinstance(size, SymbolicDim)]
    return _(
        "leave {names} out of shapes= or dynamic=: a program a size",
        names=", ".join(dict.fromkeys(n for size in named for n in size.names)),
    )


class SizeGuard:
    """The condition that two sizes compare as they did in a trace.

    Attributes:
        left, right: the sizes.
        decide: the comparison of their values.
        answer: what it gave.
    """

    __slots__ = ("answer", "decide", "left", "right")

    def __init__(
        self,
        left: SymbolicDim,
        right: int | SymbolicDim,
        decide: Callable[[int, int], bool],
        answer: bool,
    ) -> None:
        self.left, self.right, self.decide, self.answer = left, right, decide, answer

    def __call__(self, sizes: Sizes) -> bool:
        """Return whether the answer is the same for these sizes."""
        values = self.left.at(sizes), resolve(self.right, sizes)
        return self.decide(*values) == self.answer

    def turns(self, name: str, sizes: Sizes) -> range:
        """Return the values of one size around which the answer may be another.

        a Nᵖ and b N^q are equal at N = (b/a)^(1/(p − q)) alone, besides 0.

        >>> guard = SizeGuard(SymbolicDim("N", "N"), 50, operator.lt, True)
        >>> guard.turns("N", {"N": 3}), [guard({"N": n}) for n in (7, 8)]
        (range(6, 10), [True, False])
        """
        others = {**sizes, name: 1}
        a, b = self.left.at(others), resolve(self.right, others)
        p, right = self.left.names.count(name), self.right
        q = right.names.count(name) if isinstance(right, SymbolicDim) else 0
        if p == q or a <= 0 or b <= 0:
            return range(2)
        near = int((b / a) ** (1 / (p - q)))
        return range(max(near - 1, 0), near + 3)


class UnknownSizeError(ShapeError):
    """The error for code that needs the number of a symbolic (named) size.

    Attributes:
        equal: the names in sizes that an example makes equal, which others need not be.
    """

    equal: frozenset[str] = frozenset()


class _Guess(threading.local):
    """The example sizes of a trace, and the conditions that were derived from them.

    Without example sizes a user's comparison in a trace has no answer: ``decided``.
    """

    sizes: Sizes | None = None
    decided: bool = False
    guards: list[SizeGuard]


_guess = _Guess()


class guessing(Block):  # noqa: N801 - used like a function
    """A context manager in which symbolic sizes compare like these numbers.

    It gives the conditions on sizes under which every comparison has the same answer.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes

    def saved(self) -> Sizes | None:
        return _guess.sizes

    def change(self) -> list[SizeGuard]:
        _guess.sizes, _guess.guards = self.sizes or None, []
        return _guess.guards

    def undo(self, saved: Sizes | None) -> None:
        _guess.sizes = saved


class refusing_comparisons(Block):  # noqa: N801 - used like a function
    """Refuse a user's comparisons of symbolic sizes that no example answers.

    Equality would be False for a size that may be the number at the run.
    """

    def saved(self) -> bool:
        return _guess.decided

    def change(self) -> None:
        _guess.decided = True

    def undo(self, saved: bool) -> None:
        _guess.decided = saved


Dim = int | SymbolicDim
Shape = tuple[Dim, ...]
#: The values of named sizes.
Sizes = Mapping[str, int]
#: Where no size has a name.
NO_SIZES: Sizes = {}


def size_of(shape: Shape) -> Dim:
    """Return the number of elements of an array of this shape, perhaps symbolic."""
    total: Dim = 1
    for dim in shape:
        total = total * dim
    return total


def resolve(item: Any, sizes: Sizes) -> Any:
    """Return a shape or attribute with symbolic sizes replaced by numbers.

    Bodies of loops are graphs, which stay as they are.
    """
    if isinstance(item, SymbolicDim):
        return item.at(sizes)
    if isinstance(item, tuple):
        parts = cast("tuple[Any, ...]", item)
        return tuple([resolve(part, sizes) for part in parts])
    return item


def is_symbolic(item: Any) -> bool:
    """Return whether a shape or attribute contains a symbolic (named) size."""
    if isinstance(item, tuple):
        return any(map(is_symbolic, cast("tuple[Any, ...]", item)))
    return isinstance(item, SymbolicDim)


class ArrayType:
    """The type of a graph value: shape and element type, printed as ``f32[N,784]``."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Shape, dtype: DType) -> None:
        self.shape, self.dtype = shape, dtype

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayType):
            return NotImplemented
        return self.shape == other.shape and self.dtype is other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"ArrayType(shape={self.shape!r}, dtype={self.dtype!r})"

    def __str__(self) -> str:
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]"

    def at(self, sizes: Sizes) -> ArrayType:
        """Return an array type with symbolic sizes replaced by numbers."""
        return ArrayType(resolve(self.shape, sizes), self.dtype)


def type_of(array: np.ndarray[Any, Any]) -> ArrayType:
    """Return the type (shape and element type) of a NumPy array."""
    return ArrayType(array.shape, as_dtype(array.dtype))
