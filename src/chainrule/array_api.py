"""The Python array API standard 2024.12, complete and strict.

What ``x.__array_namespace__()`` gives to code that is written for any array library.
``cr.sum`` and the like mean what PyTorch's names mean; here every function has the
standard's signature and meaning. Where the two agree it is one function, called as the
standard says. Where they differ, it is defined below.

>>> import chainrule as cr
>>> x = cr.tensor([[3.0, 1.0], [2.0, 5.0]])
>>> xp = x.__array_namespace__()
>>> xp.max(x, axis=1), xp.var(x, axis=0)
(tensor([3., 5.]), tensor([0.25, 4.  ]))

Source: https://data-apis.org/array-api/2024.12. There are no complex numbers, and
neither of the optional extensions ``linalg`` and ``fft``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import chainrule.functions as cr
from chainrule.errors import CallError, ShapeError
from chainrule.functions import e, inf, nan, newaxis, pi
from chainrule.graph.types import NUMPY_DTYPES, DType
from chainrule.operations.shapes import need_ones
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _, ngettext

# -- where the standard and PyTorch mean different things ------------------------------


def meshgrid(*arrays: Any, indexing: Literal["ij", "xy"] = "xy") -> list[Tensor]:
    """Return coordinate grids of vectors (array API standard); ``"xy"`` by default."""
    return cr.meshgrid(*arrays, indexing=indexing)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Return indices of non-zero elements, a vector per axis (array API standard)."""
    if not as_tensor(x).ndim:
        raise ShapeError(
            _("A scalar has no indices."),
            expected=_("an axis"),
            got=_("shape ()"),
            fix="x != 0",
        )
    return cr.nonzero(x, as_tuple=True)


def sort(x: Any, **how: Any) -> Tensor:
    """Return the sorted elements without indices (array API standard)."""
    return cr.sort(x, **how).values


def squeeze(x: Any, axis: Any) -> Tensor:
    """Remove the named axes, which must have length 1 (array API standard)."""
    axes = () if axis is None else axis
    need_ones(as_tensor(x).shape, axes)
    return cr.squeeze(x, axes)


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return the slices at ``indices`` along an axis (array API standard)."""
    if axis is None and as_tensor(x).ndim != 1:
        raise ShapeError(
            _("take goes along an axis, which may be left out for one axis alone."),
            expected="axis=0, 1, …",
            got=ngettext(
                "{n} axis, axis=None", "{n} axes, axis=None", n=as_tensor(x).ndim
            ),
        )
    return cr.take(x, indices, axis)


def unsigned_in_their_kind(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorate a sum or product of the array API: unsigned integers give uint64."""

    def added(x: Any, *, dtype: Any = None, **how: Any) -> Tensor:
        unsigned = as_tensor(x).dtype.kind == "uint"
        return function(x, dtype=dtype or (DType.uint64 if unsigned else None), **how)

    return added


def with_n(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorate a variance or deviation of the array API: divide by n by default."""

    def spread(x: Any, *, correction: float = 0.0, **how: Any) -> Tensor:
        return function(x, correction=correction, **how)

    return spread


DIFFERENT: dict[str, Callable[..., Any]] = {
    "cumulative_prod": unsigned_in_their_kind(cr.cumulative_prod),
    "cumulative_sum": unsigned_in_their_kind(cr.cumulative_sum),
    "equal": cr.eq,
    "max": cr.amax,
    "meshgrid": meshgrid,
    "min": cr.amin,
    "nonzero": nonzero,
    "prod": unsigned_in_their_kind(cr.prod),
    "repeat": cr.repeat_interleave,
    "sort": sort,
    "squeeze": squeeze,
    "std": with_n(cr.std),
    "sum": unsigned_in_their_kind(cr.sum),
    "take": take,
    "var": with_n(cr.var),
}

# -- how the standard's functions are called -------------------------------------------

#: The standard's signatures, and the names of the functions that have each.
SIGNATURES: dict[Callable[..., None], str] = {
    lambda x, /: None: """abs acos acosh asin asinh atan atanh bitwise_invert ceil cos
    cosh exp expm1 floor isfinite isinf isnan log log10 log1p log2 logical_not
    matrix_transpose negative nonzero positive reciprocal round sign signbit sin sinh
    sqrt square tan tanh trunc unique_all unique_counts unique_inverse unique_values""",
    lambda x1, x2, /: None: """add atan2 bitwise_and bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor copysign divide equal floor_divide greater
    greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor
    matmul maximum minimum multiply nextafter not_equal pow remainder subtract""",
    lambda x, /, *, axis=None, keepdims=False: None: """all any argmax argmin
    count_nonzero max mean min""",
    lambda x, /, *, axis=None, dtype=None, keepdims=False: None: "prod sum",
    lambda x, /, *, axis=None, correction=0.0, keepdims=False: None: "std var",
    lambda x, /, *, axis=None, dtype=None, include_initial=False: None: """
    cumulative_prod cumulative_sum""",
    lambda x, /, *, axis=-1, descending=False, stable=True: None: "argsort sort",
    lambda x, /, *, axis=-1, n=1, prepend=None, append=None: None: "diff",
    lambda x1, x2, /, *, side="left", sorter=None: None: "searchsorted",
    lambda x, /, min=None, max=None: None: "clip",
    lambda condition, x1, x2, /: None: "where",
    # shapes and places
    lambda x, /, shape: None: "broadcast_to",
    lambda x, /, shape, *, copy=None: None: "reshape",
    lambda x, /, axis: None: "expand_dims squeeze",
    lambda x, /, axes: None: "permute_dims",
    lambda x, /, *, axis=None: None: "flip",
    lambda x, /, *, axis=0: None: "unstack",
    lambda x, /, shift, *, axis=None: None: "roll",
    lambda x, /, *, k=0: None: "tril triu",
    lambda x, source, destination, /: None: "moveaxis",
    lambda x, repeats, /, *, axis=None: None: "repeat",
    lambda x, repetitions, /: None: "tile",
    lambda x, indices, /, *, axis=None: None: "take",
    lambda x, indices, /, *, axis=-1: None: "take_along_axis",
    lambda arrays, /, *, axis=0: None: "concat stack",
    lambda *arrays: None: "broadcast_arrays",
    lambda *arrays, indexing="xy": None: "meshgrid",
    lambda x1, x2, /, *, axis=-1: None: "vecdot",
    lambda x1, x2, /, *, axes=2: None: "tensordot",
    # creation
    lambda start, /, stop=None, step=1, *, dtype=None, device=None: None: "arange",
    lambda obj, /, *, dtype=None, device=None, copy=None: None: "asarray",
    lambda shape, *, dtype=None, device=None: None: "empty ones zeros",
    lambda shape, fill_value, *, dtype=None, device=None: None: "full",
    lambda x, /, *, dtype=None, device=None: None: "empty_like ones_like zeros_like",
    lambda x, /, fill_value, *, dtype=None, device=None: None: "full_like",
    lambda n_rows, n_cols=None, /, *, k=0, dtype=None, device=None: None: "eye",
    lambda start, stop, /, num, *, dtype=None, device=None, endpoint=True: None: """
    linspace""",
    lambda x, /, *, device=None, copy=None: None: "from_dlpack",
    # element types
    lambda x, dtype, /, *, copy=True, device=None: None: "astype",
    lambda from_, to, /: None: "can_cast",
    lambda type, /: None: "finfo iinfo",
    lambda dtype, kind: None: "isdtype",
    lambda *arrays_and_dtypes: None: "result_type",
}


def strict(name: str, called: Callable[..., None]) -> Callable[..., Any]:
    """Return the array API's function of a name, with the standard's arguments only."""
    function = DIFFERENT.get(name) or getattr(cr, name)
    signature = inspect.signature(called)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise CallError(
                _("A function of the array API standard is called as it says."),
                expected=str(signature),
                got=str(error),
                fix=_("cr's function of that name takes PyTorch's arguments"),
            ) from None
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__module__ = __name__
    call.__doc__ = (
        (function.__doc__ or "").partition(">>>")[0].rstrip()
    )  # cr's examples
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


_FUNCTIONS = {
    name: strict(name, called)
    for called, names in SIGNATURES.items()
    for name in names.split()
}
_DTYPES = {dtype.name: dtype for dtype in NUMPY_DTYPES}
globals().update(_FUNCTIONS, **_DTYPES)

#: The version of the standard that the namespace follows.
__array_api_version__ = "2024.12"


class ArrayNamespaceInfo:
    """The inspection API of the array API standard: capabilities, devices, dtypes."""

    def capabilities(self) -> dict[str, Any]:
        """Return the array API's optional features that work outside of traces."""
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": 64,
        }

    def default_device(self) -> str:
        """Return ``"cpu"``, the device of all tensors."""
        return "cpu"

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """Return the array API's default dtypes: float32 and int64."""
        return {
            "real floating": DType.float32,
            "integral": DType.int64,
            "indexing": DType.int64,
        }

    def devices(self) -> list[str]:
        """Return the array API's list of devices: the CPU alone."""
        return ["cpu"]

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """Return the array API's dtypes of a kind, by name."""
        return {d.name: d for d in NUMPY_DTYPES if kind is None or cr.isdtype(d, kind)}


def __array_namespace_info__() -> ArrayNamespaceInfo:  # noqa: N807 - the standard's
    """Return the inspection API of the array API namespace."""
    return ArrayNamespaceInfo()


__all__ = [*sorted({*_FUNCTIONS, *_DTYPES}), "e", "inf", "nan", "newaxis", "pi"]


if TYPE_CHECKING:  # the functions come from a table

    def __getattr__(name: str) -> Any: ...


def __dir__() -> list[str]:
    """Return the names of the array API standard, and the module's special names."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
