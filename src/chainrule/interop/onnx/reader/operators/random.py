"""Random draws, by this package's own generator: a file's ``seed`` is not its own."""

from __future__ import annotations

from chainrule import functions as fn
from chainrule.interop.onnx.reader.operators.types import dtype_of
from chainrule.interop.onnx.reader.table import operator
from chainrule.random import categorical, rand, randn
from chainrule.tensor import Tensor

Shape = tuple[int, ...]


def _float(dtype: str) -> str:
    return dtype if dtype.startswith("float") else "float32"


@operator("RandomUniform", folds=False)
def random_uniform(
    *,
    shape: Shape,
    dtype: int = 1,
    low: float = 0.0,
    high: float = 1.0,
    seed: float = 0.0,
) -> Tensor:
    kind = dtype_of(dtype)
    return (rand(*shape, dtype=_float(kind)) * (high - low) + low).astype(kind)


@operator("RandomUniformLike", folds=False)
def random_uniform_like(
    x: Tensor, *, dtype: int = 0, low: float = 0.0, high: float = 1.0, seed: float = 0.0
) -> Tensor:
    kind = dtype_of(dtype) if dtype else x.dtype.name
    return (rand(*x.shape, dtype=_float(kind)) * (high - low) + low).astype(kind)


@operator("RandomNormal", folds=False)
def random_normal(
    *,
    shape: Shape,
    dtype: int = 1,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: float = 0.0,
) -> Tensor:
    kind = dtype_of(dtype)
    return (randn(*shape, dtype=_float(kind)) * scale + mean).astype(kind)


@operator("RandomNormalLike", folds=False)
def random_normal_like(
    x: Tensor,
    *,
    dtype: int = 0,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: float = 0.0,
) -> Tensor:
    kind = dtype_of(dtype) if dtype else x.dtype.name
    return (randn(*x.shape, dtype=_float(kind)) * scale + mean).astype(kind)


@operator("Bernoulli", since=15, folds=False)
def bernoulli(x: Tensor, *, dtype: int = 0, seed: float = 0.0) -> Tensor:
    kind = dtype_of(dtype) if dtype else x.dtype.name
    return (rand(*x.shape, dtype=x.dtype) < x).astype(kind)


@operator("Multinomial", since=7, folds=False)
def multinomial(
    x: Tensor, *, dtype: int = 6, sample_size: int = 1, seed: float = 0.0
) -> Tensor:
    """Classes drawn by the logarithms of their probabilities (N, C)."""
    draws = [categorical(x) for __ in range(sample_size)]
    return fn.stack(draws, dim=1).astype(dtype_of(dtype))
