"""Operators on element types: conversions, and what passes values on as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import DTypeError
from chainrule.interop.onnx.reader import symbolic
from chainrule.interop.onnx.reader.numbers import DTYPES, dtype_name
from chainrule.interop.onnx.reader.table import Known, known, operator
from chainrule.random import rand
from chainrule.tensor import Tensor, tensor
from chainrule.text import _, ngettext


def dtype_of(number: int) -> str:
    """Return a dtype by the file's number for it.

    Raises:
        DTypeError: we do not compute with it.
    """
    if number not in DTYPES:
        raise DTypeError(
            _("The ONNX file converts to a dtype that is not supported."),
            expected=", ".join(DTYPES.values()),
            got=dtype_name(number),
        )
    return DTYPES[number]


@operator("Identity", symbolic=lambda x: x)
def identity(x: Any) -> Any:
    return x


@operator("Cast", since=6, symbolic=symbolic.cast)
def cast(x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    return x.astype(dtype_of(to))


@operator("CastLike", since=15)
def cast_like(
    x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up"
) -> Tensor:
    return x.astype(like.dtype)


@operator("BitCast", since=26)
def bit_cast(x: Tensor, *, to: int) -> Tensor:
    """The bits of a tensor as numbers of another dtype of the same size."""
    array, dtype = known(x), np.dtype(dtype_of(to))
    if array.dtype.itemsize != dtype.itemsize:
        raise DTypeError(
            _("BitCast keeps the size of an element."),
            expected=ngettext(
                "a dtype of {n} byte", "a dtype of {n} bytes", n=array.dtype.itemsize
            ),
            got=dtype.name,
        )
    return tensor(np.ascontiguousarray(array).view(dtype).reshape(array.shape))


@operator("Dropout", since=10, folds=False)
def dropout(x: Tensor, *, ratio: float = 0.5) -> Any:
    return x, fn.ones_like(x, dtype="bool")


@operator("Dropout", since=7, folds=False)
def dropout_7(x: Tensor, *, ratio: float = 0.5) -> Any:
    return x, fn.ones_like(x)


@operator("Dropout", since=6, folds=False)
def dropout_6(x: Tensor, *, is_test: int = 0, ratio: float = 0.5) -> Any:
    if is_test:
        return dropout_7(x)
    kept = (rand(*x.shape, dtype=x.dtype) >= ratio).astype(x.dtype)
    return x * kept / (1 - ratio), kept


@operator("Dropout", since=12, folds=False)
def dropout_12(
    x: Tensor,
    ratio: Known | None = None,
    training_mode: Known | None = None,
    *,
    seed: int = 0,
) -> Any:
    """The identity, unless the file says that it trains: then the draw is ours."""
    p = 0.5 if ratio is None else float(ratio)
    if training_mode is None or not bool(training_mode) or p == 0:
        return x, fn.ones_like(x, dtype="bool")
    kept = rand(*x.shape, dtype=x.dtype) >= p
    return fn.where(kept, x / (1 - p), fn.zeros_like(x)), kept
