"""Functions of each element, element types, new tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.rows import K2, MASK, ODD, TIES, ZEROS, K, M, P, S, U, pair, row

# -- element by element ----------------------------------------------------------------

row(
    "addition",
    lambda t, x, y: (x.add(y, alpha=2), x.add(y), t.add(x, y, alpha=3)),
    M,
    P,
)
row(
    "subtraction",
    lambda t, x, y: (x.sub(y, alpha=0.5), x.subtract(y), t.sub(x, y, alpha=2)),
    M,
    P,
)
row(
    "subtract alpha",
    lambda t, x, y: (x.subtract(y, alpha=3), t.subtract(x, y, alpha=2), 2 - x, x - 1),
    *(M, P),
)
row(
    "multiplication",
    lambda t, x, y: (x.mul(y), x.multiply(2.0), t.mul(x, y), t.multiply(x, 3)),
    *(M, P),
)
row(
    "division",
    lambda t, x, y: (x.div(y), x.divide(y), x.true_divide(2), t.div(x, y), 1 / y),
    *(M, P),
)
row("divisions", lambda t, x, y: (t.divide(x, y), t.true_divide(x, y)), M, P)
row(
    "division rounded",
    lambda t, x, y: (
        *(x.div(y, rounding_mode="floor"), x.div(y, rounding_mode="trunc")),
        *(x.divide(y, rounding_mode="trunc"), x.divide(y, rounding_mode="floor")),
        *(t.div(x, y, rounding_mode="trunc"), t.divide(x, y, rounding_mode="floor")),
    ),
    *(3 * M, P),
)
row(
    "division of integers",
    lambda t, k, n: (
        *(k.div(n), k.div(n, rounding_mode="floor"), k.div(n, rounding_mode="trunc")),
        *(k.floor_divide(n), k.remainder(n), t.floor_divide(k, n), t.remainder(k, n)),
        *(k / 2, k // 2, -k % 4, k % -3, k // -2, k.div(2, rounding_mode="trunc")),
    ),
    *(K, K2),
)
row(
    "in place by name",
    lambda t, x, y: (
        *((x * 1).add_(y, alpha=2), (x * 1).sub_(y, alpha=0.5), (x * 1).mul_(y)),
        *((x * 1).div_(y), (x * 1).fill_(2.0), (x * 1).zero_(), (x * 1).clamp_(0, 1)),
        *((x * 1).clamp_(min=-1.0), (x * 1).clamp_(max=0.5)),
        (x * 1).masked_fill_(y > 1, 2.5),
    ),
    *(M, P),
)
row("lerp", lambda t, x, y: (x.lerp(y, 0.3), t.lerp(x, y, 0.9)), M, P)
row("lerp tensor", lambda t, x, y, w: (x.lerp(y, w), t.lerp(x, y, w * 2)), M, P, U)
row("powers", lambda t, x: (x**2, x**3, x.pow(-1), x**-2.0, x**0.5, x**0), P)
row("power of number", lambda t, x: (2.0**x, x**x, t.pow(x, 2.5), t.pow(2, x)), P)
row("power at 0", lambda t, x: (x**2, x**3, x**1, x**0), np.array([0.0, 1.0]))
row("power of negative", lambda t, x: (x**2.0, x**3, x**-3, x**4), M)
row(
    "power of tensors at 0",
    lambda t, x, y: x**y,
    *(np.array([0.0, 0.0, 2.0]), np.array([2.0, 3.0, 0.0])),
    seconds=False,
)
row("trigonometry", lambda t, x: (x.sin(), t.cos(x), x.tan(), t.sin(x), x.cos()), M)
row("inverse", lambda t, x: (x.asin(), t.acos(x), x.atan(), t.asin(x), x.acos()), U)
row("tangents", lambda t, x: (t.tan(x), t.atan(x), t.atanh(x), t.sinh(x)), U)
row("hyperbolic", lambda t, x: (x.sinh(), x.cosh(), x.tanh(), x.asinh()), M)
row("hyperbolic functions", lambda t, x: (t.cosh(x), t.tanh(x), t.asinh(x)), 3 * M)
row("acosh atanh", lambda t, x: ((x + 1).acosh(), (x / 5).atanh(), t.acosh(x + 1)), P)
row("atan2 hypot", lambda t, x, y: (t.atan2(x, y), t.hypot(x, y)), M, P)
row("atan2 quadrants", lambda t, x, y: (x.atan2(y), y.hypot(x)), M, M[::-1].copy())
row("exponentials", lambda t, x: (x.exp(), x.exp2(), x.expm1(), t.exp(x)), M)
row("exponential functions", lambda t, x: (t.exp2(x), t.expm1(x), t.erf(x)), M)
row("logarithms", lambda t, x: (x.log(), x.log2(), t.log10(x), x.log1p()), P)
row("logarithm functions", lambda t, x: (t.log(x), t.log2(x), x.log10(), t.log1p(x)), P)
row("logaddexp", lambda t, x, y: (t.logaddexp(x, y), x.logaddexp(y)), M, P)
row("logaddexp equal", lambda t, x: t.logaddexp(x, x * 1), M)
row("erf", lambda t, x: x.erf(), M)
row("roots", lambda t, x: (x.sqrt(), x.rsqrt(), x.reciprocal(), x.square()), P)
row("root functions", lambda t, x: (t.sqrt(x), t.rsqrt(x), t.reciprocal(x)), P)
row("square", lambda t, x: (t.square(x), t.positive(x), x.positive()), M)
row(
    "signs",
    lambda t, x: (x.abs(), x.sign(), x.neg(), -x, x.absolute(), x.negative()),
    M,
)
row("sign functions", lambda t, x: (t.abs(x), t.sign(x), t.neg(x), t.negative(x)), M)
row("sign bits", lambda t, x: (t.signbit(x), x.signbit(), t.absolute(x), abs(x)), M)
row("abs at 0", lambda t, x: (x.abs(), x.sign(), x.relu()), ZEROS)
row("copysign", lambda t, x, y: (x.copysign(y), t.copysign(y, x)), M, P, wrt=[0])
row(
    "nextafter", lambda t, x, y: (t.nextafter(x, y), x.nextafter(y)), M, P, firsts=False
)
row("rounding", lambda t, x: (x.floor(), x.ceil(), x.round(), x.trunc()), M * 3)
row("rounding functions", lambda t, x: (t.floor(x), t.ceil(x), t.trunc(x)), M * 3)
row(
    "round decimals",
    lambda t, x: (x.round(decimals=1), t.round(x, decimals=2), x.round(decimals=-1)),
    M * 31,
)
row("round halves", lambda t, x: (x.round(), t.round(x)), np.arange(-3.5, 4.0, 0.5))
row(
    "remainders", lambda t, x, y: (x % 0.7, t.remainder(x, 2), x.remainder(y)), M * 3, P
)
row("remainder of negative", lambda t, x, y: (x % -y, x.remainder(-0.7)), M * 3, P)
row(
    "floor division",
    lambda t, x, y: (x // 0.7, x.floor_divide(y), t.floor_divide(x, y), 5.0 // y),
    *(M * 3, P),
    firsts=False,
)
row("clamp", lambda t, x: (x.clamp(-0.5, 0.5), x.clamp(min=0), x.clip(max=0.1)), M)
row("clamp functions", lambda t, x: (t.clamp(x, min=-1), t.clip(x, max=1.0)), M)
row("clip functions", lambda t, x: (t.clamp(x, max=0.3), t.clip(x, min=0.1)), M)
row("clip by name", lambda t, x: (x.clip(min=-0.3), x.clamp(max=0.2)), M)
row("clamp at a limit", lambda t, x: x.clamp(1.0, 2.0), np.array([1.0, 1.5, 2.0]))
row("clamp by tensors", lambda t, x, a, b: x.clamp(a, b), M, M[::-1] / 3, P)
row("clamp crossed", lambda t, x: x.clamp(1.0, -1.0), M)
row("activations", lambda t, x: (x.relu(), x.sigmoid(), x.softmax(1), t.relu(x)), M)
row("sigmoid", lambda t, x: (t.sigmoid(x), t.softmax(x, 0)), 10 * M)
row("softmax dim", lambda t, x: (t.softmax(x, dim=0), x.softmax(dim=1)), S)
row("log_softmax", lambda t, x: (x.log_softmax(dim=0), t.log_softmax(x, 1)), M)
row("log_softmax dim", lambda t, x: (t.log_softmax(x, dim=0), x.log_softmax(1)), S)
row(
    "nan_to_num",
    lambda t, x: (
        *(x.nan_to_num(), x.nan_to_num(nan=1.5, posinf=7.0, neginf=-3.0)),
        t.nan_to_num(x, nan=2.0, posinf=5.0, neginf=-1.0),
    ),
    ODD,
)
row(
    "isclose",
    lambda t, x: (
        *(t.isclose(x, x + 1e-9 * x), x.isclose(x + 0.01, atol=0.1, rtol=0.0)),
        *(x.isclose(x * 1.01, rtol=0.1), t.isclose(x, x + 0.01, rtol=0.3, atol=0.002)),
    ),
    M,
)
row(
    "isclose NaN",
    lambda t, x: (
        x.isclose(x),
        x.isclose(x, equal_nan=True),
        t.isclose(x, x, equal_nan=True),
    ),
    ODD,
)
row(
    "isclose integers",
    lambda t, k: (k.isclose(k + 1, rtol=0.0, atol=0.0), k.isclose(k + 1)),
    np.array([2**40, 3, 0, -7]),
)
row(
    "allclose",
    lambda t, x: t.tensor(
        [
            *(x.allclose(x), x.allclose(x + 0.1, atol=1.0, rtol=0.0)),
            *(
                x.allclose(x * 1.1, rtol=0.2),
                x.allclose(x * x.new_tensor(float("nan"))),
            ),
            t.allclose(x, x + 0.1, rtol=0.0, atol=1.0),
            t.allclose(x * float("nan"), x * float("nan"), equal_nan=True),
            (x * float("nan")).allclose(x * float("nan"), equal_nan=True),
        ]
    ),
    *(M,),
    wrt=[],
    traced=False,
)
row("odd numbers", lambda t, x: (x.isnan(), x.isinf(), x.isfinite(), t.isnan(x)), ODD)
row("odd functions", lambda t, x: (t.isinf(x), t.isfinite(x), x.exp(), x.tanh()), ODD)
row(
    "comparisons",
    lambda t, x, y: (
        *(x.eq(y), x.ne(y), x.lt(y), x.le(y), x.gt(y), x.ge(y)),
        *(t.eq(x, y), t.ne(x, y), t.lt(x, y), t.le(x, y), t.gt(x, y), t.ge(x, y)),
        *(x.greater(y), x.greater_equal(y), x.less(y), x.less_equal(y)),
        *(x.not_equal(y), t.not_equal(x, y), x == y, x != y, x < 1, x >= 1),
        *(t.greater(x, y), t.greater_equal(x, y), t.less(x, y), t.less_equal(x, y)),
    ),
    *(TIES, ZEROS),
)
pair(
    "equal",
    lambda t, x, y: t.equal(x, y),
    lambda t, x, y: t.eq(x, y),
    *(TIES, ZEROS),
)
row(
    "bits",
    lambda t, k, n: (
        *(k & 3, k | 8, k ^ 5, ~k, k << 2, k >> 1, 3 & k, 8 | k, 5 ^ k),
        *(k.bitwise_and(n), k.bitwise_or(n), k.bitwise_xor(n), k.bitwise_not()),
        *(k.bitwise_left_shift(n % 3), k.bitwise_right_shift(n % 3)),
        *(t.bitwise_and(k, n), t.bitwise_or(k, n), t.bitwise_xor(k, n)),
        *(t.bitwise_not(k), t.bitwise_left_shift(k, 2), t.bitwise_right_shift(k, 1)),
    ),
    *(K, K2),
)
row("whole division", lambda t, k: (k // 2, k % 3, 7 // (k + 9), -k % 4), K)
row("integer powers", lambda t, k: (k**2, k**3, k ** k.abs(), 2 ** k.abs()), K)
row("truth", lambda t, m: (~m, m & m, m | ~m, m ^ m, m + m, m * m), MASK)
row(
    "logic",
    lambda t, x, m: (
        *(t.logical_and(m, x > 1), m.logical_not(), t.logical_or(m, x > 1)),
        *(x.logical_and(m), x.logical_or(m), x.logical_xor(m), t.logical_xor(x, m)),
        t.logical_not(x),
    ),
    *(ZEROS, MASK),
)

# -- element types, new tensors --------------------------------------------------------

row("conversions", lambda t, x: (x.float(), x.long(), x.int(), x.bool()), M * 3)
row("double", lambda t, x: (x.double(), x.float().double()), M)
row("to", lambda t, x, k: (x.to(t.float32), k.type_as(x), k.to(x), k.to("cpu")), M, K)
row("to named", lambda t, x: (x.to(dtype=t.float64), x.to(device="cpu"), x.cpu()), M)
pair(
    "astype",
    lambda t, x: (
        *(x.astype("float32"), x.astype(t.float64, copy=True), x.astype("int32")),
        *(t.astype(x, t.float32, copy=False), x.to_device("cpu", stream=None)),
    ),
    lambda t, x: (x.float(), x.double(), x.int(), x.float(), x),
    M * 3,
)
row(
    "new",
    lambda t, x: (
        *(x.new_zeros(2), x.new_full((2, 1), 3), x.new_ones(1), x.new_tensor([1, 2])),
        *(x.new_zeros((2, 3), dtype=t.int32), x.new_ones((1, 2), dtype=t.float32)),
        *(x.new_full((2,), 3, dtype=t.int64), x.new_tensor(3, dtype=t.int16)),
    ),
    M,
)
row("zeros_like", lambda t, x: (t.zeros_like(x), t.ones_like(x) * x), M)
row("full_like", lambda t, x: t.full_like(x, 3.0) + x, M)
row(
    "like",
    lambda t, x: (
        t.zeros_like(x, dtype=t.int32, device="cpu"),
        t.ones_like(x, dtype=t.float32, device="cpu", requires_grad=True).detach(),
        t.full_like(x, 2, dtype=t.int16, device="cpu"),
        t.full_like(x, 2, requires_grad=True).detach(),
        t.zeros_like(x, requires_grad=True).detach(),
    ),
    M,
    traced=False,
)
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
row("integer sums", lambda t, k: (k.sum(), k.prod(1), k.cumsum(0), k.cumprod(1)), K)
row("sums of truth", lambda t, m: (m.sum(), m.cumsum(0), m.prod(1), m.sum(0)), MASK)
row(
    "promotion",
    lambda t, x, k, m: (
        *(x + k[0, 0], k + m[:2, :3], k * 1.5, k / 2, m[:2, :3] * 2.0, x * m),
        *(k.float() + x[:2, :3], k.int() + k, m[:2, :3] + k, k > 1.5, 2 - k),
    ),
    *(M, K, MASK),
)
row("in place", lambda t, x: _in_place(x), M)
row("copy_", lambda t, x: _copied(x), M)
row("chain of rows", lambda t, x: t.stack([row * i for i, row in enumerate(x)]), M)
row(
    "numbers",
    lambda t, x, k: (
        t.tensor([x[0, 0].item(), float(x[1, 1]), int(k[0, 1]), x.numel(), x.dim()]),
        t.tensor([x.nelement(), x.ndim, k.element_size(), x.size(0), *x.size()]),
        t.tensor(
            [x.is_floating_point(), k.is_floating_point(), x.is_leaf, bool(k[0, 0])]
        ),
        t.tensor([k.itemsize, k.nbytes, len(x), x.requires_grad, *x.shape]),
        t.tensor(x.tolist(), dtype=x.dtype),
    ),
    *(M, K),
    wrt=[],
    traced=False,
)
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
