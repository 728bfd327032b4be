"""Rows of composites that are one operator of ONNX; in other opsets they are opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.composites import activations as a
from chainrule.composites import elementary, normalization
from chainrule.graph.types import ArrayType, DType
from chainrule.interop.onnx.writer.emitter import Ref
from chainrule.interop.onnx.writer.table import Call, operators, row

_SINGLE = (DType.float32,)
_FLOATS = (DType.float32, DType.float64)


@row(a.softmax, dtypes=_FLOATS)
def of_softmax(c: Call) -> Ref:
    return c.op("Softmax", axis=c.attrs["axis"])


@row(a.log_softmax, dtypes=_SINGLE)  # of float64 ONNX Runtime's passes over NaN
def of_log_softmax(c: Call) -> Ref:
    return c.op("LogSoftmax", axis=c.attrs["axis"])


@row(a.leaky_relu, dtypes=_SINGLE)
def of_leaky_relu(c: Call) -> Ref:
    return c.op("LeakyRelu", alpha=c.attrs["alpha"])


@row(a.elu, dtypes=_SINGLE)
def of_elu(c: Call) -> Ref:
    return c.op("Elu", alpha=c.attrs["alpha"])


@row(a.selu, dtypes=_SINGLE)
def of_selu(c: Call) -> Ref:
    return c.op("Selu", alpha=a.SELU_ALPHA, gamma=a.SELU_SCALE)


@row(a.gelu, dtypes=_SINGLE)
def of_gelu(c: Call) -> Ref:
    if c.e.opset >= 20:
        return c.op("Gelu")
    x = c.x
    return x * ((x * math.sqrt(0.5)).op("Erf") + 1.0) * 0.5


@row(a.gelu_tanh, dtypes=_SINGLE, since=20)
def of_gelu_tanh(c: Call) -> Ref:
    return c.op("Gelu", approximate="tanh")


operators(
    {
        elementary.sinh: "Sinh",
        elementary.cosh: "Cosh",
        elementary.asin: "Asin",
        elementary.acos: "Acos",
        elementary.asinh: "Asinh",
        elementary.acosh: "Acosh",
        a.softplus: "Softplus",
        a.softsign: "Softsign",
    },
    dtypes=_SINGLE,
)


def _last_axes(types: Sequence[ArrayType], attrs: dict[str, Any]) -> bool:
    """Return whether a normalisation is over the last axes, in their order."""
    rank, axes = len(types[0].shape), attrs["axes"]
    return (
        tuple(axes) == tuple(range(rank - len(axes), rank)) and 0 not in types[0].shape
    )


@row(normalization.layer_norm, since=17, dtypes=_SINGLE, accepts=_last_axes)
def of_layer_norm(c: Call) -> Ref:
    first = min(c.attrs["axes"])
    return c.op("LayerNormalization", axis=first, epsilon=c.attrs["eps"])
