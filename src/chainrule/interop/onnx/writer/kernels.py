"""Element types of ONNX operators: which of them ONNX Runtime computes, and casts.

The standard allows more types than runtimes have code for. What is not in an operator's
row is computed in a wider type where that changes no bit, and refused where it would.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph.types import DType
from chainrule.text import _

_FLOATS = (DType.float32, DType.float64)
_NUMBERS = (*_FLOATS, DType.int32, DType.int64)
_SINGLE = (DType.float32,)
_EXTREMA = (*_NUMBERS, DType.uint32, DType.uint64)

#: The types that ONNX Runtime's kernels for processors take, at every opset from 13 on.
#: An operator without a row takes all.
KERNELS: dict[str, tuple[DType, ...]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Neg", "Sign", "Pow"), _NUMBERS),
    **dict.fromkeys(("Exp", "Log", "Sqrt", "Floor", "Round", "Tanh"), _FLOATS),
    **dict.fromkeys(("Sigmoid", "Sin", "Cos", "IsNaN", "Softmax", "Relu"), _FLOATS),
    **dict.fromkeys(("LogSoftmax", "LayerNormalization", "Gemm"), _FLOATS),
    **dict.fromkeys(("Erf", "Atan", "Gelu", "Elu", "Selu", "LeakyRelu"), _SINGLE),
    **dict.fromkeys(("Softplus", "Softsign", "LSTM", "GRU", "RNN", "Conv"), _SINGLE),
    **dict.fromkeys(("ConvTranspose", "AveragePool", "Det"), _SINGLE),
    **dict.fromkeys(("MatMul", "Einsum", "CumSum", "TopK"), _NUMBERS),
    **dict.fromkeys(("ReduceSum", "ReduceProd", "ReduceMax", "ArgMax"), _NUMBERS),
    **dict.fromkeys(("ArgMin", "Range", "ScatterND", "ScatterElements"), _NUMBERS),
    **dict.fromkeys(("Max", "Min"), _EXTREMA),
    **dict.fromkeys(("BatchNormalization", "RMSNormalization"), _SINGLE),
    "Attention": _SINGLE,
    "Less": (*_NUMBERS, DType.uint32, DType.uint64),
    "Equal": (*_NUMBERS, DType.bool),
    "MaxPool": _FLOATS,
    "Mod": (*_FLOATS, *(d for d in DType if d.is_integer)),
    "Where": (*_NUMBERS, DType.uint8),
    "Pad": (*_NUMBERS, DType.bool),
    "BitShift": (DType.uint8, DType.uint32, DType.uint64),
}

#: Operators of which the lowest bits of a result depend on those of the inputs alone:
#: 64 bits without a sign may be taken for 64 bits with one.
_MODULAR = ("Add", "Sub", "Mul", "Neg", "Where", "Pad", "ReduceSum", "CumSum", "Equal")
_MODULAR += ("MatMul", "Einsum", "ReduceProd", "ScatterND", "ScatterElements")


class Refusal(Exception):  # noqa: N818 - collected, and raised as one ArgumentError
    """The reason why a node cannot be written into an ONNX file."""


def carrier(operator: str, dtype: DType) -> DType:
    """Return the type in which ONNX Runtime computes an operator without loss.

    Raises:
        Refusal: there is none.

    >>> carrier("Add", DType.uint8), carrier("Erf", DType.float32)
    (chainrule.int32, chainrule.float32)
    """
    types = KERNELS.get(operator)
    if types is None or dtype in types:
        return dtype
    for wide in (DType.int32, DType.int64, DType.uint32, DType.uint64):
        if not dtype.is_float and wide in types and _holds(wide, dtype):
            return wide
    if dtype is DType.float32 and DType.float64 in types:
        return DType.float64
    if dtype is DType.uint64 and DType.int64 in types and operator in _MODULAR:
        return DType.int64
    raise Refusal(
        _(
            "ONNX Runtime has {operator} for {types} alone",
            operator=operator,
            types=", ".join(t.name for t in types),
        )
    )


def _holds(wide: DType, dtype: DType) -> bool:
    """Return whether each number of an integer type is one of another."""
    if dtype is DType.bool:
        return True
    a, b = np.iinfo(wide.numpy), np.iinfo(dtype.numpy)
    return a.min <= b.min and b.max <= a.max


def element_type(dtype: DType) -> int:
    """Return ONNX's number of an element type."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(dtype.numpy)


def full_type(dtype: DType, number: Any) -> np.ndarray[Any, Any]:
    """Return a number as an array without axes."""
    return np.asarray(number, dtype.numpy)
