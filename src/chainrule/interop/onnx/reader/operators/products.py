"""Matrix products, sums over letters, determinants."""

from __future__ import annotations

from chainrule import functions as fn
from chainrule.interop.onnx.reader.table import operator
from chainrule.tensor import Tensor


@operator("MatMul", since=1, one_dtype=True)
def matmul(a: Tensor, b: Tensor) -> Tensor:
    return fn.matmul(a, b)


@operator("Gemm", since=7, one_dtype=True)
def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """α A B + β C, with A or B transposed."""
    y = fn.matmul(fn.t(a) if transA else a, fn.t(b) if transB else b)
    if alpha != 1:
        y = _times(y, alpha)
    if c is None or beta == 0:
        return y
    return y + (c if beta == 1 else _times(c, beta))


@operator("Gemm", since=6, one_dtype=True)
def gemm_6(
    a: Tensor,
    b: Tensor,
    c: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    broadcast: int = 0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    return gemm(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)


def _times(x: Tensor, factor: float) -> Tensor:
    return (x * factor).astype(x.dtype)


@operator("Einsum", since=12, one_dtype=True)
def einsum(*xs: Tensor, equation: str) -> Tensor:
    return fn.einsum(equation.replace(" ", ""), *xs)


@operator("Det", since=11)
def det(x: Tensor) -> Tensor:
    return fn.det(x)
