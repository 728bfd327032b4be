"""Numerical functions for the names and signs in mathematical expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.notation.expressions import Array


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _erfc(x: Array) -> Array:
    return np.vectorize(math.erfc, otypes=[np.float64])(x)


def log_softmax(x: Array, axis: int) -> Array:
    """Return the numerical value of ln softmax(x) along an axis, without overflow."""
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


#: Functions of elements by the way they are written.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ln": np.log,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arsinh": np.arcsinh,
    "arcosh": np.arccosh,
    "sign": np.sign,
    "round": np.rint,
    "erf": _erf,
    "erfc": _erfc,
    "σ": lambda z: 1 / (1 + np.exp(-z)),
    "Φ": lambda z: 0.5 * _erfc(-z / math.sqrt(2)),
    "φ": lambda z: np.exp(-z * z / 2) / math.sqrt(2 * math.pi),
    "max": np.maximum,
    "min": np.minimum,
    "atan2": np.arctan2,
    "isnan": np.isnan,
    "nextafter": np.nextafter,
}
#: Functions of what stands along an axis.
ALONG: dict[str, Callable[[Array, int], Array]] = {
    "softmax": lambda x, axis: np.exp(log_softmax(x, axis)),
}
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "∑": np.sum,
    "∏": np.prod,
    "mean": np.mean,
    "var": np.var,
    "max": np.max,
}
PLACES: dict[str, Callable[..., Any]] = {"argmax": np.argmax, "argmin": np.argmin}
OPERATED: dict[str, Callable[..., Any]] = {"mod": np.remainder}
COMPARISONS: dict[str, Callable[..., Any]] = {
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "≥": np.greater_equal,
    "=": np.equal,
}
FENCES: dict[str, Callable[..., Any]] = {
    "|": np.abs,
    "⌊": np.floor,
    "√(": np.sqrt,
    "(": np.asarray,
}
