"""Functions of each element, element types, new tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.rows import (
    M,
    P,
    pair,
    row,
    words,
)

# -- element by element ----------------------------------------------------------------
words("""
M.add(P, alpha=2); M.add(P); t.add(M, P, alpha=3); M.sub(P, alpha=0.5);
M.subtract(P); t.sub(M, P, alpha=2); M.subtract(P, alpha=3);
t.subtract(M, P, alpha=2); 2 - M; M - 1; M.mul(P); M.multiply(2.0); t.mul(M, P);
t.multiply(M, 3); M.div(P); M.divide(P); M.true_divide(2); t.div(M, P); 1 / P;
t.divide(M, P); t.true_divide(M, P); (3 * M).div(P, rounding_mode='floor');
(3 * M).div(P, rounding_mode='trunc'); (3 * M).divide(P, rounding_mode='trunc');
(3 * M).divide(P, rounding_mode='floor'); t.div(3 * M, P, rounding_mode='trunc');
t.divide(3 * M, P, rounding_mode='floor'); K.div(K2);
K.div(K2, rounding_mode='floor'); K.div(K2, rounding_mode='trunc');
K.floor_divide(K2); K.remainder(K2); t.floor_divide(K, K2); t.remainder(K, K2);
K / 2; K // 2; -K % 4; K % -3; K // -2; K.div(2, rounding_mode='trunc');
(M * 1).add_(P, alpha=2); (M * 1).sub_(P, alpha=0.5); (M * 1).mul_(P);
(M * 1).div_(P); (M * 1).fill_(2.0); (M * 1).zero_(); (M * 1).clamp_(0, 1);
(M * 1).clamp_(min=-1.0); (M * 1).clamp_(max=0.5); (M * 1).masked_fill_(P > 1, 2.5);
M.lerp(P, 0.3); t.lerp(M, P, 0.9); M.lerp(P, U); t.lerp(M, P, U * 2); P ** 2;
P ** 3; P.pow(-1); P ** (-2.0); P ** 0.5; P ** 0; 2.0 ** P; P ** P; t.pow(P, 2.5);
t.pow(2, P)
""")
row("power at 0", lambda t, x: (x**2, x**3, x**1, x**0), np.array([0.0, 1.0]))
words("""
M ** 2.0; M ** 3; M ** (-3); M ** 4
""")
row(
    "power of tensors at 0",
    lambda t, x, y: x**y,
    *(np.array([0.0, 0.0, 2.0]), np.array([2.0, 3.0, 0.0])),
    seconds=False,
)
words("""
M.sin(); t.cos(M); M.tan(); t.sin(M); M.cos(); U.asin(); t.acos(U); U.atan();
t.asin(U); U.acos(); t.tan(U); t.atan(U); t.atanh(U); t.sinh(U); M.sinh(); M.cosh();
M.tanh(); M.asinh(); t.cosh(3 * M); t.tanh(3 * M); t.asinh(3 * M); (P + 1).acosh();
(P / 5).atanh(); t.acosh(P + 1); t.atan2(M, P); t.hypot(M, P)
""")
row("atan2 quadrants", lambda t, x, y: (x.atan2(y), y.hypot(x)), M, M[::-1].copy())
words("""
M.exp(); M.exp2(); M.expm1(); t.exp(M); t.exp2(M); t.expm1(M); t.erf(M); P.log();
t.erfc(M); M.erfc(); (9 * M).erfc();
P.log2(); t.log10(P); P.log1p(); t.log(P); t.log2(P); P.log10(); t.log1p(P);
t.logaddexp(M, P); M.logaddexp(P); t.logaddexp(M, M * 1); M.erf(); P.sqrt();
P.rsqrt(); P.reciprocal(); P.square(); t.sqrt(P); t.rsqrt(P); t.reciprocal(P);
t.square(M); t.positive(M); M.positive(); M.abs(); M.sign(); M.neg(); -M;
M.absolute(); M.negative(); t.abs(M); t.sign(M); t.neg(M); t.negative(M);
t.signbit(M); M.signbit(); t.absolute(M); abs(M); ZEROS.abs(); ZEROS.sign();
ZEROS.relu(); (M * 3).floor(); (M * 3).ceil(); (M * 3).round(); (M * 3).trunc();
t.floor(M * 3); t.ceil(M * 3); t.trunc(M * 3); (M * 31).round(decimals=1);
t.round(M * 31, decimals=2); (M * 31).round(decimals=-1)
""")
row("round halves", lambda t, x: (x.round(), t.round(x)), np.arange(-3.5, 4.0, 0.5))
words("""
M * 3 % 0.7; t.remainder(M * 3, 2); (M * 3).remainder(P); M * 3 % -P;
(M * 3).remainder(-0.7); M.clamp(-0.5, 0.5); M.clamp(min=0); M.clip(max=0.1);
t.clamp(M, min=-1); t.clip(M, max=1.0); t.clamp(M, max=0.3); t.clip(M, min=0.1);
M.clip(min=-0.3); M.clamp(max=0.2)
""")
row("clamp at a limit", lambda t, x: x.clamp(1.0, 2.0), np.array([1.0, 1.5, 2.0]))
row("clamp by tensors", lambda t, x, a, b: x.clamp(a, b), M, M[::-1] / 3, P)
words("""
M.clamp(1.0, -1.0); M.relu(); M.sigmoid(); M.softmax(1); t.relu(M);
t.sigmoid(10 * M); t.softmax(10 * M, 0); t.softmax(S, dim=0); S.softmax(dim=1);
M.log_softmax(dim=0); t.log_softmax(M, 1); t.log_softmax(S, dim=0);
S.log_softmax(1); ODD.nan_to_num();
ODD.nan_to_num(nan=1.5, posinf=7.0, neginf=-3.0);
t.nan_to_num(ODD, nan=2.0, posinf=5.0, neginf=-1.0); t.isclose(M, M + 1e-09 * M);
M.isclose(M + 0.01, atol=0.1, rtol=0.0); M.isclose(M * 1.01, rtol=0.1);
t.isclose(M, M + 0.01, rtol=0.3, atol=0.002); ODD.isclose(ODD);
ODD.isclose(ODD, equal_nan=True); t.isclose(ODD, ODD, equal_nan=True)
""")
row(
    "isclose integers",
    lambda t, k: (k.isclose(k + 1, rtol=0.0, atol=0.0), k.isclose(k + 1)),
    np.array([2**40, 3, 0, -7]),
)
words("""
ODD.isnan(); ODD.isinf(); ODD.isfinite(); t.isnan(ODD); t.isinf(ODD);
t.isfinite(ODD); ODD.exp(); ODD.tanh(); TIES.eq(ZEROS); TIES.ne(ZEROS);
TIES.lt(ZEROS); TIES.le(ZEROS); TIES.gt(ZEROS); TIES.ge(ZEROS); t.eq(TIES, ZEROS);
t.ne(TIES, ZEROS); t.lt(TIES, ZEROS); t.le(TIES, ZEROS); t.gt(TIES, ZEROS);
t.ge(TIES, ZEROS); TIES.greater(ZEROS); TIES.greater_equal(ZEROS); TIES.less(ZEROS);
TIES.less_equal(ZEROS); TIES.not_equal(ZEROS); t.not_equal(TIES, ZEROS);
TIES == ZEROS; TIES != ZEROS; TIES < 1; TIES >= 1; t.greater(TIES, ZEROS);
t.greater_equal(TIES, ZEROS); t.less(TIES, ZEROS); t.less_equal(TIES, ZEROS)
""")
words("""
K & 3; K | 8; K ^ 5; ~K; K << 2; K >> 1; 3 & K; 8 | K; 5 ^ K; K.bitwise_and(K2);
K.bitwise_or(K2); K.bitwise_xor(K2); K.bitwise_not(); K.bitwise_left_shift(K2 % 3);
K.bitwise_right_shift(K2 % 3); t.bitwise_and(K, K2); t.bitwise_or(K, K2);
t.bitwise_xor(K, K2); t.bitwise_not(K); t.bitwise_left_shift(K, 2);
t.bitwise_right_shift(K, 1); K // 2; K % 3; 7 // (K + 9); -K % 4; K ** 2; K ** 3;
K ** K.abs(); 2 ** K.abs(); ~MASK; MASK & MASK; MASK | ~MASK; MASK ^ MASK;
MASK + MASK; MASK * MASK; t.logical_and(MASK, ZEROS > 1); MASK.logical_not();
t.logical_or(MASK, ZEROS > 1); ZEROS.logical_and(MASK); ZEROS.logical_or(MASK);
ZEROS.logical_xor(MASK); t.logical_xor(ZEROS, MASK); t.logical_not(ZEROS)
""")
# -- element types, new tensors --------------------------------------------------------
words("""
(M * 3).float(); (M * 3).long(); (M * 3).int(); (M * 3).bool(); M.double();
M.float().double(); M.to(t.float32); K.type_as(M); K.to(M); K.to('cpu');
M.to(dtype=t.float64); M.to(device='cpu'); M.cpu()
""")
pair(
    "astype",
    lambda t, x: (
        *(x.astype("float32"), x.astype(t.float64, copy=True), x.astype("int32")),
        *(t.astype(x, t.float32, copy=False), x.to_device("cpu", stream=None)),
    ),
    lambda t, x: (x.float(), x.double(), x.int(), x.float(), x),
    M * 3,
)
words("""
M.new_zeros(2); M.new_full((2, 1), 3); M.new_ones(1); M.new_tensor([1, 2]);
M.new_zeros((2, 3), dtype=t.int32); M.new_ones((1, 2), dtype=t.float32);
M.new_full((2,), 3, dtype=t.int64); M.new_tensor(3, dtype=t.int16); t.zeros_like(M);
t.ones_like(M) * M; t.full_like(M, 3.0) + M
""")
row(
    "made",
    lambda t: (
        *(t.zeros(2, 3), t.ones((2,), dtype=t.float64), t.full((2, 2), 1.5)),
        *(t.zeros(2, dtype=t.int8, device="cpu"), t.ones(1, device="cpu")),
        *(t.full((), 3), t.full((2,), True), t.full((1,), 2, dtype=t.float64)),
        *(t.full((3,), 2.0, device="cpu"), t.eye(3), t.eye(2, 3, dtype=t.int32)),
        *(t.eye(2, device="cpu"), t.eye(3, 2, requires_grad=True)),
        *(t.zeros(2, requires_grad=True), t.ones(2, requires_grad=True)),
        t.full((2,), 1.0, requires_grad=True),
    ),
    traced=False,
)
row(
    "ranges",
    lambda t: (
        *(t.arange(5), t.arange(1, 10, 3), t.arange(10, 1, -4), t.arange(0, 1, 0.1)),
        *(t.arange(2, 5, dtype=t.float64), t.arange(0.5, 3, device="cpu")),
        *(t.arange(3.0, requires_grad=True), t.arange(1, 2, 0.25, dtype=t.float64)),
        *(t.linspace(0, 1, 5), t.linspace(2.0, -1.0, 4, dtype=t.float64)),
        *(t.linspace(1, 1, 1), t.linspace(0, 1, 7, device="cpu")),
        t.linspace(0, 1, 3, requires_grad=True),
    ),
    traced=False,
)
pair(
    "linspace",
    lambda t: (
        t.linspace(0, 1, num=4, endpoint=False),
        t.eye(3, k=1),
        t.eye(2, 4, k=-1),
    ),
    lambda t: (
        *(t.arange(4) / 4, t.diag(t.ones(2), 1)),
        t.tensor([[0.0] * 4, [1.0, 0, 0, 0]]),
    ),
)
row(
    "tensor",
    lambda t: (
        *(t.tensor([1, 2]), t.tensor([1.0, 2]), t.tensor([True]), t.tensor(2.5)),
        *(t.tensor([[1, 2]], dtype=t.float64), t.tensor(1.0, requires_grad=True)),
        *(t.as_tensor([1, 2]), t.as_tensor([1.5], dtype=t.float64), t.asarray([2, 3])),
        *(t.asarray([1.0], dtype=t.float64), t.asarray([1], device="cpu", copy=True)),
        *(t.from_numpy(np.arange(3)), t.tensor(np.float64(2.5)), t.tensor(np.ones(2))),
        *(t.tensor(np.int32(3)), t.from_dlpack(np.ones(2)), t.empty(2, 3) * 0),
    ),
    traced=False,
)
pair(
    "empty",
    lambda t, x: (
        (
            *(
                t.empty(2, dtype=t.int32, device="cpu").shape,
                t.empty_like(x).dtype is x.dtype,
            ),
            t.empty(2, requires_grad=True).requires_grad,
            t.empty_like(x, dtype=t.int8, device="cpu").dtype is t.int8,
            t.empty_like(x, requires_grad=True).requires_grad,
            t.from_dlpack(np.ones(2), device="cpu", copy=True).shape[0] == 2,
        )
        and x
    ),
    lambda t, x: x,
    M,
    traced=False,
)
words("""
K.sum(); K.prod(1); K.cumsum(0); K.cumprod(1); MASK.sum(); MASK.cumsum(0);
MASK.prod(1); MASK.sum(0); M + K[0, 0]; K + MASK[:2, :3]; K * 1.5; K / 2;
MASK[:2, :3] * 2.0; M * MASK; K.float() + M[:2, :3]; K.int() + K; MASK[:2, :3] + K;
K > 1.5; 2 - K
""")
row("in place", lambda t, x: _in_place(x), M)
row("copy_", lambda t, x: _copied(x), M)
words("""
t.stack([row * i for i, row in enumerate(M)])
""")
pair(
    "size",
    lambda t, x: t.tensor([x.size, x.device == "cpu"]),
    lambda t, x: t.tensor([x.numel(), True]),
    M,
    wrt=[],
)


def _in_place(x: Any) -> Any:
    y = x * 1.0
    y[0] = y[1] * 2
    y[:, 1] += 3.0
    y *= 2
    y[y > 4] = 0.0
    y.add_(x, alpha=0.5).clamp_(max=5.0)
    return y


def _copied(x: Any) -> Any:
    y = x * 2.0
    y[1].copy_(x[0] * 3.0)
    z = x.detach() * 0.0
    z.copy_(y)
    return z


words(
    """
M.copysign(P); t.copysign(P, M)
""",
    wrt=[0],
)
words(
    """
t.nextafter(M, P); M.nextafter(P); M * 3 // 0.7; (M * 3).floor_divide(P);
t.floor_divide(M * 3, P); 5.0 // P
""",
    firsts=False,
)
words(
    """
t.tensor(M.allclose(M));
t.tensor(M.allclose(M + 0.1, atol=1.0, rtol=0.0));
t.tensor(M.allclose(M * 1.1, rtol=0.2));
t.tensor(M.allclose(M * M.new_tensor(float('nan'))));
t.tensor(t.allclose(M, M + 0.1, rtol=0.0, atol=1.0));
t.tensor(t.allclose(M * float('nan'), M * float('nan'), equal_nan=True));
t.tensor((M * float('nan')).allclose(M * float('nan'), equal_nan=True));
t.tensor([M[0, 0].item(), float(M[1, 1]), int(K[0, 1]), M.numel(), M.dim()]);
t.tensor([M.ndimension(), t.numel(M), t.is_floating_point(K)]);
t.tensor([M.nelement(), M.ndim, K.element_size(), M.size(0), *M.size()]);
t.tensor([M.is_floating_point(), K.is_floating_point(), M.is_leaf, bool(K[0, 0])]);
t.tensor([K.itemsize, K.nbytes, len(M), M.requires_grad, *M.shape]);
t.tensor(M.tolist(), dtype=M.dtype)
""",
    traced=False,
    wrt=[],
)
words(
    """
t.zeros_like(M, dtype=t.int32, device='cpu');
t.ones_like(M, dtype=t.float32, device='cpu', requires_grad=True).detach();
t.full_like(M, 2, dtype=t.int16, device='cpu');
t.full_like(M, 2, requires_grad=True).detach();
t.zeros_like(M, requires_grad=True).detach()
""",
    traced=False,
)
