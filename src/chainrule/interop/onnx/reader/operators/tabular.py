"""The operators of ``ai.onnx.ml`` that are formulas: what scikit-learn's models become.

Their numbers are attributes, so they are constants. Labels are integers: those that are
texts are refused, as are trees.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import functions as fn
from chainrule.errors import ArgumentError
from chainrule.interop.onnx.reader.operators.elementwise import as_constant
from chainrule.interop.onnx.reader.table import operator
from chainrule.nn import functional
from chainrule.tensor import Tensor, tensor
from chainrule.text import _

Floats = tuple[float, ...]

ML = "ai.onnx.ml"


def _float(x: Tensor) -> Tensor:
    """Return features as floats, which these operators give whatever they take."""
    return x if x.dtype.is_float else x.astype("float32")


@operator("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(x: Tensor, columns: Tensor) -> Tensor:
    picked = fn.take(x, fn.reshape(columns, (-1,)), dim=-1)
    return fn.unsqueeze(picked, 0) if x.ndim == 1 else picked


@operator("Scaler", domain=ML)
def scaler(x: Tensor, *, offset: Floats, scale: Floats) -> Tensor:
    x = _float(x)
    return (x - as_constant(offset, x)) * as_constant(scale, x)


@operator("Binarizer", domain=ML)
def binarizer(x: Tensor, *, threshold: float = 0.0) -> Tensor:
    return (x > threshold).astype(x.dtype)


@operator("Normalizer", domain=ML)
def normalizer(x: Tensor, *, norm: str = "MAX") -> Tensor:
    """Rows over their largest element, the sum of absolute values, or their length."""
    x = _float(x)
    if norm == "MAX":
        length = fn.amax(fn.abs(x), dim=-1, keepdim=True)
    elif norm == "L1":
        length = fn.sum(fn.abs(x), dim=-1, keepdim=True)
    elif norm == "L2":
        length = fn.norm(x, 2, dim=-1, keepdim=True)
    else:
        raise _unknown("norm", norm)
    return x / fn.where(length == 0, fn.ones_like(length), length)


def _unknown(attribute: str, value: str) -> ArgumentError:
    return ArgumentError(
        _("There is no such {a}.", a=attribute),
        expected=_("one of the standard's"),
        got=f"{value!r:.40}",
    )


def _transformed(scores: Tensor, post: str) -> Tensor:
    """Return scores as an attribute says: as they are, or probabilities."""
    if post == "NONE":
        return scores
    if post == "LOGISTIC":
        return fn.sigmoid(scores)
    if post == "SOFTMAX":
        return fn.softmax(scores, dim=-1)
    raise _unknown("post_transform", post)


def _linear(x: Tensor, coefficients: Floats, intercepts: Floats, rows: int) -> Tensor:
    """Return the scores of (N, features), a column for each row of coefficients."""
    x = _float(x)
    weight = as_constant(np.reshape(coefficients, (rows, -1)), x)
    bias = as_constant(intercepts or np.zeros(rows), x)
    return functional.linear(x, weight, bias)


@operator("LinearRegressor", domain=ML)
def linear_regressor(
    x: Tensor,
    *,
    coefficients: Floats,
    intercepts: Floats = (),
    post_transform: str = "NONE",
    targets: int = 1,
) -> Tensor:
    return _transformed(_linear(x, coefficients, intercepts, targets), post_transform)


@operator("LinearClassifier", domain=ML)
def linear_classifier(
    x: Tensor,
    *,
    classlabels_ints: tuple[int, ...],
    coefficients: Floats,
    intercepts: Floats = (),
    multi_class: int = 0,
    post_transform: str = "NONE",
) -> tuple[Any, ...]:
    """The label of the largest score, and the scores of all classes."""
    count = len(classlabels_ints)
    scores = _linear(x, coefficients, intercepts, count)
    labels = tensor(np.array(classlabels_ints, np.int64))
    label = fn.take(labels, fn.argmax(scores, dim=-1), dim=0)
    return label, _transformed(scores, post_transform)
