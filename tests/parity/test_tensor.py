"""Tensor's methods and the package's functions against PyTorch's of the same names.

Values, dtypes of results, and derivatives; eager, and compiled with the NumPy engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines import native_problem

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install -e '.[parity]'"
)
pytestmark = pytest.mark.parity

ENGINES = ["numpy"] if native_problem() else ["numpy", "native"]
RNG = np.random.default_rng(0)
M = RNG.normal(size=(3, 4))
N = RNG.normal(size=(4, 2))
V = RNG.normal(size=4)
S = RNG.normal(size=(2, 3, 4))
P = np.abs(M) + 0.5
K = np.array([[1, 5, -3], [0, 2, 7]])
I = np.array([[0, 2, 1], [1, 1, 3]])  # noqa: E741
MASK = M > 0

#: f(torch or chainrule, tensors…), and what the tensors are of.
CALLS: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("cat", lambda t, x: t.cat([x, 2 * x]), (M,)),
    ("cat dim", lambda t, x: t.cat((x, x * x), dim=1), (M,)),
    ("stack", lambda t, x: t.stack([x, x * x], dim=-1), (M,)),
    ("split", lambda t, x: x.split(2, dim=1), (M,)),
    ("split sizes", lambda t, x: t.split(x, [1, 3], dim=1), (M,)),
    ("chunk", lambda t, x: x.chunk(3, dim=1), (M,)),
    ("unbind", lambda t, x: x.unbind(1), (M,)),
    ("norm", lambda t, x: x.norm(), (M,)),
    ("norm p dim", lambda t, x: x.norm(1, dim=1, keepdim=True), (M,)),
    ("norm 3", lambda t, x: x.norm(3, dim=0), (M,)),
    ("norm inf", lambda t, x: x.norm(float("inf"), dim=0), (M,)),
    ("view", lambda t, x: x.view(2, -1), (M,)),
    ("view_as", lambda t, x, y: x.view_as(y), (M, M.reshape(4, 3))),
    ("flatten", lambda t, x: x.flatten(1), (S,)),
    ("unflatten", lambda t, x: x.unflatten(2, (2, -1)), (S,)),
    ("squeeze", lambda t, x: x.unsqueeze(0).squeeze(), (M,)),
    ("expand", lambda t, x: x.unsqueeze(1).expand(-1, 5, -1), (M,)),
    ("repeat", lambda t, x: x.repeat(2, 1, 2), (M,)),
    ("tile", lambda t, x: t.tile(x, (2, 2)), (M,)),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(3, dim=1), (M,)),
    ("permute", lambda t, x: x.permute(2, 0, 1), (S,)),
    ("transpose", lambda t, x: t.transpose(x, 0, 2), (S,)),
    ("swapaxes", lambda t, x: x.swapaxes(0, -1), (S,)),
    ("movedim", lambda t, x: x.movedim((0, 1), (-1, 0)), (S,)),
    ("t mT T", lambda t, x: (x.t(), x.mT, x.T), (M,)),
    ("flip", lambda t, x: (x.flip(0), t.flip(x, (0, 1))), (M,)),
    ("roll", lambda t, x: (x.roll(1), x.roll((1, -1), (0, 1))), (M,)),
    ("tril triu", lambda t, x: (x.tril(-1), t.triu(x, 1)), (M,)),
    ("diag", lambda t, x: (x.diag(1), t.diag(x[0], -1)), (M,)),
    ("diagonal", lambda t, x: x.diagonal(1, 1, 2), (S,)),
    ("trace", lambda t, x: x.trace(), (M,)),
    ("clone contiguous", lambda t, x: x.clone().contiguous(), (M,)),
    ("narrow", lambda t, x: x.narrow(1, 1, 2), (M,)),
    ("clamp", lambda t, x: (x.clamp(-0.5, 0.5), x.clamp(min=0), x.clip(max=0.1)), (M,)),
    ("clamp at a limit", lambda t, x: x.clamp(1.0, 2.0), (np.array([1.0, 1.5, 2.0]),)),
    ("masked_fill", lambda t, x, m: x.masked_fill(m, -1e9), (M, MASK)),
    ("where", lambda t, x, m: t.where(m, x, -x), (M, MASK)),
    ("Tensor.where", lambda t, x, m: x.where(m, x * 2), (M, MASK)),
    ("max", lambda t, x: (x.max(), x.min()), (M,)),
    ("max dim", lambda t, x: (*x.max(1), *x.min(dim=0, keepdim=True)), (M,)),
    ("max named", lambda t, x: (x.max(1).values, x.max(1).indices), (M,)),
    ("max other", lambda t, x, y: (x.max(y), t.minimum(x, y)), (M, P)),
    ("amax", lambda t, x: (x.amax(1), x.amin((0, 1)), x.amax(0, keepdim=True)), (M,)),
    ("argmax", lambda t, x: (x.argmax(), x.argmin(1), x.argmax(0, keepdim=True)), (M,)),
    ("sum mean", lambda t, x: (x.sum(1), x.mean((0, 1)), x.sum(-1, True)), (M,)),
    ("prod", lambda t, x: (x.prod(), x.prod(1)), (M,)),
    ("std var", lambda t, x: (x.std(), x.var(1), x.std(0, keepdim=True)), (M,)),
    ("var correction", lambda t, x: x.var(dim=1, correction=0), (M,)),
    ("var unbiased", lambda t, x: x.var(dim=1, unbiased=False), (M,)),
    ("all any", lambda t, x, m: (m.all(), m.any(1), m.all(0)), (M, MASK)),
    ("cumsum", lambda t, x: (x.cumsum(1), t.cumprod(x, dim=0)), (M,)),
    ("logsumexp", lambda t, x: x.logsumexp(1), (M,)),
    ("sort", lambda t, x: (*x.sort(1), *x.sort(dim=0, descending=True)), (M,)),
    ("argsort", lambda t, x: x.argsort(dim=1, descending=True), (M,)),
    ("topk", lambda t, x: (*x.topk(2), *t.topk(x, 2, dim=0, largest=False)), (M,)),
    ("median", lambda t, x: (x.median(), *x.median(1)), (M,)),
    ("gather", lambda t, x, i: x.gather(1, i), (M[:2], I)),
    ("gather shorter", lambda t, x, i: t.gather(x, 1, i), (M, I)),
    (
        "scatter_add",
        lambda t, x, i, y: x.scatter_add(1, i, y),
        (M[:2], I, RNG.normal(size=(2, 3))),
    ),
    ("scatter", lambda t, x, i: x.scatter(1, i, 7.0), (M[:2], I)),
    (
        "scatter in place",
        lambda t, x, i: t.zeros(2, 4, dtype=t.float64).scatter_(1, i, x[:, :3]),
        (M[:2], np.array([[0, 2, 1], [1, 0, 3]])),
    ),
    (
        "added in place",
        lambda t, x, i: (x * 1).index_add_(1, i[0], x[:, :3]).masked_fill_(x > 1, 0.0),
        (M[:2], I),
    ),
    ("select", lambda t, x: (x.select(1, 2), x.select(0, -1)), (M,)),
    (
        "addmm",
        lambda t, x: x.new_ones(3, 3).addmm(x, x.T, alpha=0.5, beta=2),
        (M,),
    ),
    (
        "stacks",
        lambda t, x: (t.vstack([x, x[0]]), t.hstack([x, x]), t.hstack([x[0]])),
        (M,),
    ),
    ("new", lambda t, x: (x.new_zeros(2), x.new_full((2, 1), 3), x.new_ones(1)), (M,)),
    ("isclose", lambda t, x: t.isclose(x, x + 1e-9 * x), (M,)),
    ("copy_", lambda t, x: _copied(x), (M,)),
    ("index_select", lambda t, x, i: x.index_select(1, i[0]), (M, I)),
    (
        "index_add",
        lambda t, x, i, y: x.index_add(0, i[0], y),
        (M, I, RNG.normal(size=(3, 4))),
    ),
    ("take_along_dim", lambda t, x, i: x.take_along_dim(i, dim=1), (M[:2], I)),
    ("index", lambda t, x, i: (x[i[0]], x[:, i], x[1:, -1], x[i[0], i[1]]), (M, I)),
    ("outer", lambda t, x: t.outer(x, x * x), (V,)),
    ("mm mv dot", lambda t, x, y, v: (x.mm(y), t.mv(x, v), v.dot(v)), (M, N, V)),
    ("bmm", lambda t, x: x.bmm(x.transpose(1, 2)), (S,)),
    ("matmul", lambda t, x, y: (x @ y, t.matmul(x[0], y), y.T @ x[1].T), (S, N)),
    ("einsum", lambda t, x, y: t.einsum("bij,jk->bik", x, y), (S, N)),
    ("einsum implicit", lambda t, x, y: t.einsum("ij,jk", x, y), (M, N)),
    ("einsum many", lambda t, x: t.einsum("bij,bkj,bik->b", x, x, x[..., :3]), (S,)),
    ("einsum dots", lambda t, x, y: t.einsum("...j,jk->...k", x, y), (S, N)),
    ("einsum sums", lambda t, x: (t.einsum("ij->", x), t.einsum("ij->j", x)), (M,)),
    ("einsum trace", lambda t, x: t.einsum("ii->i", x[:, :3]), (M,)),
    ("einsum transposed", lambda t, x: t.einsum("bij->jib", x), (S,)),
    ("einsum outer", lambda t, x, v: t.einsum("i,j->ij", v, x[0]), (M, V)),
    ("addition", lambda t, x, y: x.add(y, alpha=2), (M, P)),
    ("lerp", lambda t, x, y: (x.lerp(y, 0.3), t.lerp(x, y, 0.9)), (M, P)),
    ("powers", lambda t, x: (x**2, x**3, x.pow(-1), x**-2.0, x**0.5, x**0), (P,)),
    ("power of number", lambda t, x: (2.0**x, x**x, t.pow(x, 2.5)), (P,)),
    ("power at 0", lambda t, x: (x**2, x**3, x**1, x**0), (np.array([0.0, 1.0]),)),
    ("trigonometry", lambda t, x: (x.sin(), t.cos(x), x.tan()), (M,)),
    ("inverse", lambda t, x: (x.asin(), t.acos(x), x.atan()), (M / 4,)),
    ("hyperbolic", lambda t, x: (x.sinh(), x.cosh(), x.tanh(), x.asinh()), (M,)),
    ("acosh atanh", lambda t, x: ((x + 1).acosh(), (x / 5).atanh()), (P,)),
    ("atan2 hypot", lambda t, x, y: (t.atan2(x, y), t.hypot(x, y)), (M, P)),
    ("exponentials", lambda t, x: (x.exp(), x.exp2(), x.expm1()), (M,)),
    ("logarithms", lambda t, x: (x.log(), x.log2(), t.log10(x), x.log1p()), (P,)),
    ("logaddexp", lambda t, x, y: t.logaddexp(x, y), (M, P)),
    ("roots", lambda t, x: (x.sqrt(), x.rsqrt(), x.reciprocal(), x.square()), (P,)),
    ("signs", lambda t, x: (x.abs(), x.sign(), x.neg(), -x), (M,)),
    ("rounding", lambda t, x: (x.floor(), x.ceil(), x.round(), x.trunc()), (M * 3,)),
    ("round decimals", lambda t, x: x.round(decimals=1), (M,)),
    (
        "remainders",
        lambda t, x: (x % 0.7, x.detach() // 0.7, t.remainder(x, 2)),
        (M * 3,),
    ),
    ("activations", lambda t, x: (x.relu(), x.sigmoid(), x.softmax(1)), (M,)),
    ("log_softmax", lambda t, x: x.log_softmax(dim=0), (M,)),
    (
        "nan_to_num",
        lambda t, x: (x.detach() * np.inf).nan_to_num(),
        (np.array([1.0, -1.0]),),
    ),
    ("bits", lambda t, k: (k & 3, k | 8, k ^ 5, ~k, k << 2, k >> 1), (K,)),
    ("whole division", lambda t, k: (k // 2, k % 3, 7 // (k + 9), -k % 4), (K,)),
    ("integer powers", lambda t, k: (k**2, k**3), (K,)),
    ("truth", lambda t, m: (~m, m & m, m | ~m, m ^ m, m + m, m * m), (MASK,)),
    ("logic", lambda t, x, m: (t.logical_and(m, x > 1), m.logical_not()), (M, MASK)),
    ("conversions", lambda t, x: (x.float(), x.long(), x.int(), x.bool()), (M * 3,)),
    ("to type_as", lambda t, x, k: (x.to(t.float32), k.type_as(x)), (M, K)),
    ("zeros_like", lambda t, x: (t.zeros_like(x), t.ones_like(x) * x), (M,)),
    ("full_like", lambda t, x: t.full_like(x, 3.0) + x, (M,)),
    ("integer sums", lambda t, k: (k.sum(), k.prod(1), k.cumsum(0)), (K,)),
    ("diff", lambda t, x: t.diff(x, dim=1, n=2), (M,)),
    ("meshgrid", lambda t, x: t.meshgrid(x, 2 * x, indexing="ij"), (V,)),
    ("in place", lambda t, x: _in_place(x), (M,)),
    ("chain of rows", lambda t, x: t.stack([row * i for i, row in enumerate(x)]), (M,)),
]


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


def run(library: Any, function: Any, arrays: tuple[Any, ...]) -> tuple[Any, Any]:
    tensors = [library.tensor(a) for a in arrays]
    for x in tensors:
        if x.dtype in (torch.float64, cr.float64):
            x.requires_grad_()
    made = function(library, *tensors)
    made = [*made] if isinstance(made, tuple | list) else [made]
    loss = None
    for i, y in enumerate(made):
        if y.requires_grad:
            count = int(np.prod(tuple(y.shape)))
            weights = library.tensor(np.sin(np.arange(count) + i + 1.0))
            part = (y.double().reshape(-1) * weights).sum()
            loss = part if loss is None else loss + part
    if loss is not None:
        loss.backward()
    grads = [x.grad.numpy() if x.grad is not None else None for x in tensors]
    return [y.detach() for y in made], grads


@pytest.mark.parametrize(
    ("name", "function", "arrays"), CALLS, ids=[c[0] for c in CALLS]
)
def test_parity(name: str, function: Any, arrays: tuple[Any, ...]) -> None:
    wanted, slopes = run(torch, function, arrays)
    got, mine = run(cr, function, arrays)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype.name == str(b.dtype).removeprefix("torch.")
        assert tuple(a.shape) == tuple(b.shape)
        tolerance = 1e-6 if a.dtype is cr.float32 else 1e-12
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=1e-12)
    for a, b in zip(mine, slopes, strict=True):
        b = np.zeros(()) if b is None else b
        a = np.zeros(()) if a is None else a
        np.testing.assert_allclose(*np.broadcast_arrays(a, b), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_parity_while_compiled(engine: str) -> None:
    """All of the calls in one program."""

    def everything(tensors: Any) -> Any:
        made = []
        for (_, function, _), mine in zip(CALLS, tensors, strict=True):
            result = function(cr, *mine)
            made.append([*result] if isinstance(result, tuple | list) else [result])
        return made

    given = [[cr.tensor(a) for a in arrays] for _, _, arrays in CALLS]
    results = cr.compile(everything, engine=engine)(given)
    for (name, function, arrays), got in zip(CALLS, results, strict=True):
        wanted, _ = run(torch, function, arrays)
        for a, b in zip(got, wanted, strict=True):
            tolerance = 1e-6 if a.dtype is cr.float32 else 1e-12
            np.testing.assert_allclose(
                a.numpy(), b.numpy(), rtol=tolerance, atol=1e-12, err_msg=name
            )
