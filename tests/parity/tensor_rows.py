"""Shapes, reductions, order, indices and products: methods and functions."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as TF

from tests.parity.rows import (
    MASK,
    ODD,
    ONCE,
    RNG,
    TIES,
    ZEROS,
    I,
    K,
    M,
    N,
    P,
    S,
    V,
    pair,
    row,
)

# -- joined, cut, moved ----------------------------------------------------------------

row("cat", lambda t, x: (t.cat([x, 2 * x]), t.concat([x, x])), M)
row("cat dim", lambda t, x: (t.cat((x, x * x), dim=1), t.cat((x, x), 1)), M)
row("concatenate", lambda t, x: t.concatenate([x, x], axis=-1), M)
row("concat", lambda t, x: (t.concat([x, x], axis=1), t.concat([x, x], dim=1)), M)
row("cat axis", lambda t, x: (t.cat([x, x], axis=1), t.concatenate([x, x], dim=1)), M)
row("concat by place", lambda t, x: (t.concat([x, x], 1), t.concatenate([x, x], 1)), M)
row("stack", lambda t, x: (t.stack([x, x * x], dim=-1), t.stack([x, x], 1)), M)
pair(
    "stack axis",
    lambda t, x: t.stack([x, x], axis=1),
    lambda t, x: t.stack([x, x], dim=1),
    M,
)
row("split", lambda t, x: (*x.split(2, dim=1), *t.split(x, 2, -1), *x.split(2)), M)
row("split sizes", lambda t, x: t.split(x, [1, 3], dim=1), M)
row("chunk", lambda t, x: (*x.chunk(3, dim=1), *t.chunk(x, 2), *t.chunk(x, 2, -1)), M)
row("unbind", lambda t, x: (*x.unbind(1), *t.unbind(x, dim=-1)), M)
row("view", lambda t, x: (x.view(2, -1), x.view((6, 2))), M)
row(
    "view_as",
    lambda t, x, y: (x.view_as(y), x.reshape_as(y), x[:1].expand_as(x)),
    *(M, M.reshape(4, 3)),
)
row("reshape", lambda t, x: (x.reshape(-1), t.reshape(x, (4, -1)), x.ravel()), M)
row("reshape a scalar", lambda t, x: (x.sum().reshape(1, 1), x.sum().flatten()), M)
row("flatten", lambda t, x: (x.flatten(1), x.flatten(0, 1), t.flatten(x)), S)
row("flatten named", lambda t, x: t.flatten(x, start_dim=1, end_dim=2), S)
row("unflatten", lambda t, x: (x.unflatten(2, (2, -1)), t.unflatten(x, 0, (2, 1))), S)
row("squeeze", lambda t, x: (x.unsqueeze(0).squeeze(), x[:1].squeeze(0)), M)
row("squeeze dims", lambda t, x: t.squeeze(x[:1, None], dim=(0, 1)), M)
row("unsqueeze", lambda t, x: (t.unsqueeze(x, -1), x.unsqueeze(dim=1)), M)
row("expand", lambda t, x: (x.unsqueeze(1).expand(-1, 5, -1), x.expand(2, 3, 4)), M)
row(
    "broadcast_to",
    lambda t, x: (x.broadcast_to((2, 3, 4)), t.broadcast_to(x[0], (2, 4))),
    M,
)
row("repeat", lambda t, x: (x.repeat(2, 1, 2), x.repeat((1, 2))), M)
row("tile", lambda t, x: (t.tile(x, (2, 2)), x.tile(3), x.tile((2, 1, 1))), M)
row(
    "repeat_interleave",
    lambda t, x: (
        *(x.repeat_interleave(3, dim=1), t.repeat_interleave(x, 2)),
        t.repeat_interleave(x, 2, dim=0),
    ),
    M,
)
pair(
    "pad",
    lambda t, x: (
        *(t.pad(x, (1, 2)), t.pad(x, (1, 0, 2, 3), mode="constant", value=1.5)),
        *(t.pad(x, (-1, 1)), t.pad(x, (0, 0, -1, -1))),
    ),
    lambda t, x: (
        *(TF.pad(x, (1, 2)), TF.pad(x, (1, 0, 2, 3), mode="constant", value=1.5)),
        *(TF.pad(x, (-1, 1)), TF.pad(x, (0, 0, -1, -1))),
    ),
    M,
)
pair(
    "names of the standard",
    lambda t, x, i: (
        *(t.take_along_axis(x, i, axis=0), t.take_along_axis(x, i, dim=0)),
        *(x.permute_dims(1, 0), x.permute_dims((1, 0)), t.permute_dims(x, (1, 0))),
        *(t.cumulative_sum(x, axis=1, dtype="float64"), x.expand_dims(1)),
        *(t.cumulative_prod(x, axis=0, dtype="float64"), x.expand_dims(dim=-1)),
        *(*x.unstack(dim=1), *t.unstack(x, dim=1), *t.unstack(x)),
    ),
    lambda t, x, i: (
        *(x.take_along_dim(i, 0), x.take_along_dim(i, 0)),
        *(x.T, x.T, x.T),
        *(x.cumsum(1, dtype=t.float64), x[:, None]),
        *(x.cumprod(0, dtype=t.float64), x[..., None]),
        *(*x.unbind(1), *x.unbind(1), *x),
    ),
    *(M, I[:1, [0, 1, 0, 1]]),
)
row("permute", lambda t, x: (x.permute(2, 0, 1), t.permute(x, (1, 0, -1))), S)
row("transpose", lambda t, x: (t.transpose(x, 0, 2), x.transpose(dim0=1, dim1=-1)), S)
row("swapaxes", lambda t, x: (x.swapaxes(0, -1), t.swapaxes(x, 1, 2)), S)
row("movedim", lambda t, x: (x.movedim((0, 1), (-1, 0)), t.movedim(x, 0, 2)), S)
row("moveaxis", lambda t, x: (x.moveaxis(0, -1), t.moveaxis(x, (0, 2), (1, 0))), S)
row("t mT T", lambda t, x: (x.t(), x.mT, x.T, x[0].t()), M)
row("flip", lambda t, x: (x.flip(0), t.flip(x, (0, 1)), x.flip(0, 1)), M)
row("roll", lambda t, x: (x.roll(1), x.roll((1, -1), (0, 1)), x.roll(-5, dims=1)), M)
row("roll named", lambda t, x: t.roll(x, shifts=2, dims=1), M)
row("tril triu", lambda t, x: (x.tril(-1), t.triu(x, 1), t.tril(x, diagonal=2)), M)
row("triu", lambda t, x: (x.triu(diagonal=-1), t.tril(x)), S)
row("diag", lambda t, x: (x.diag(1), t.diag(x[0], -1), t.diag(x, diagonal=-2)), M)
row("diagonal", lambda t, x: (x.diagonal(1, 1, 2), t.diagonal(x, -1, 2, 0)), S)
row("diagonal named", lambda t, x: x.diagonal(offset=-1, dim1=0, dim2=2), S)
row("trace", lambda t, x: (x.trace(), t.trace(x)), M)
row("clone contiguous", lambda t, x: x.clone().contiguous(), M)
row("narrow", lambda t, x: (x.narrow(1, 1, 2), t.narrow(x, 0, 0, 1)), M)
row(
    "stacks",
    lambda t, x: (t.vstack([x, x[0]]), t.hstack([x, x]), t.hstack([x[0], x[1]])),
    M,
)
row(
    "stacks of scalars",
    lambda t, x: (t.vstack([x.sum(), x.mean()]), t.hstack([x.sum(), x.mean()])),
    M,
)
row("meshgrid", lambda t, x: t.meshgrid(x, 2 * x, indexing="ij"), V)
row("meshgrid xy", lambda t, x: t.meshgrid([x, x[1:], x[:2]], indexing="xy"), V)

# -- reductions ------------------------------------------------------------------------

row("norm", lambda t, x: (x.norm(), t.norm(x, p=1)), M)
row("norm p dim", lambda t, x: x.norm(1, dim=1, keepdim=True), M)
row("norm 3", lambda t, x: (x.norm(3, dim=0), x.norm("fro"), x.norm(0, 1)), M)
row("norm half", lambda t, x: x.norm(0.5, 1), P)
row("norm inf", lambda t, x: (x.norm(float("inf"), 0), t.norm(x, -float("inf"), 0)), M)
row("norm of ties", lambda t, x: (x.norm(float("inf"), 0), x.norm(1, 0)), TIES)
row("norm dims", lambda t, x: (x.norm(2, (0, 2)), t.norm(x, 2, -1, True)), S)
row("norm at 0", lambda t, x: (x.norm(2, 1), x.norm(1, 1)), ZEROS * 0, seconds=False)
row("max", lambda t, x: (x.max(), x.min()), M)
row("max of ties", lambda t, x: (x.max(), x.min(), t.amax(x, 1), t.amin(x, 0)), TIES)
row("max dim", lambda t, x: (*x.max(1), *x.min(dim=0, keepdim=True)), M)
row("min dim", lambda t, x: (*x.min(1), *x.max(dim=0, keepdim=True)), TIES)
row("max named", lambda t, x: (x.max(1).values, x.max(1).indices), M)
row("max other", lambda t, x, y: (x.max(y), x.min(y)), M, P)
row(
    "maximum",
    lambda t, x, y: (t.maximum(x, y), x.minimum(y), x.maximum(y), t.minimum(x, y)),
    *(M, P),
)
row("amax", lambda t, x: (x.amax(1), x.amin((0, 1)), x.amax(0, keepdim=True)), M)
row(
    "amin",
    lambda t, x: (t.amin(x, dim=1, keepdim=True), t.amax(x, dim=(0, 2), keepdim=True)),
    S,
)
row("amin keep", lambda t, x: x.amin(dim=0, keepdim=True), M)
row("argmax", lambda t, x: (x.argmax(), x.argmin(1), x.argmax(0, keepdim=True)), M)
row(
    "argmin",
    lambda t, x: (t.argmin(x, dim=0, keepdim=True), t.argmax(x, 1), x.argmin(0, True)),
    TIES,
)
row("argmax function", lambda t, x: t.argmax(x, dim=1, keepdim=True), M)
row(
    "argmax of NaN",
    lambda t, x: (x.argmax(), x.argmin(), x.max(), x.amin()),
    ODD,
    firsts=False,
)
row("sum mean", lambda t, x: (x.sum(1), x.mean((0, 1)), x.sum(-1, True)), M)
row(
    "sum mean functions",
    lambda t, x: (
        *(t.sum(x, dim=(0, 1), keepdim=True), t.mean(x, 1, True)),
        *(x.mean(dim=0, keepdim=True), t.mean(x, dim=0, keepdim=True)),
    ),
    M,
)
row(
    "sum dtype",
    lambda t, x, k: (
        *(x.sum(dtype=t.float64), t.sum(k, dtype=t.float32), k.sum(1, dtype=t.int32)),
        *(k.prod(dtype=t.float64), t.prod(k, dtype=t.int16), k.cumsum(0, dtype=t.int8)),
        *(t.cumsum(k, 0, dtype=t.float64), t.cumprod(k, 1, dtype=t.float32)),
        k.cumprod(1, dtype=t.float64),
    ),
    *(M, K),
)
row("prod", lambda t, x: (x.prod(), x.prod(1), t.prod(x, 0, True)), M)
row("prod of zeros", lambda t, x: (x.prod(), x.prod(1), x.prod(0)), ZEROS)
row("prod keep", lambda t, x: (x.prod(dim=1, keepdim=True), t.prod(x, 1)), ZEROS)
row(
    "std var",
    lambda t, x: (x.std(), x.var(1), x.std(0, keepdim=True), x.var((0, 1))),
    M,
)
row("var keep", lambda t, x: (x.var(dim=1, keepdim=True), x.std(dim=1)), M)
row(
    "var correction",
    lambda t, x: (
        *(x.var(dim=1, correction=0), x.std(dim=0, correction=2)),
        *(t.var(x, dim=1, correction=1), t.std(x, dim=1, correction=1, keepdim=True)),
        t.var(x, dim=1, correction=1, keepdim=True),
    ),
    M,
)
row("var unbiased", lambda t, x: (x.var(unbiased=False), x.std(1, unbiased=True)), M)
row("var unbiased dim", lambda t, x: (x.var(1, unbiased=False), x.std(1)), M)
pair(
    "var of the standard",
    lambda t, x: (t.var(x), t.std(x, axis=1), t.var(x, axis=0, keepdims=True)),
    lambda t, x: (
        *(x.var(correction=0), x.std(1, correction=0)),
        x.var(0, correction=0, keepdim=True),
    ),
    M,
)
pair(
    "std of the standard",
    lambda t, x: t.std(x, axis=0, correction=1, keepdims=True),
    lambda t, x: x.std(0, keepdim=True),
    M,
)
row("all any", lambda t, x, m: (m.all(), m.any(1), m.all(0), x.any(), x.all()), M, MASK)
row(
    "all any keep",
    lambda t, m: (
        *(m.all(dim=1, keepdim=True), m.any(dim=0, keepdim=True)),
        *(t.all(m, dim=1, keepdim=True), t.any(m, dim=0, keepdim=True)),
    ),
    MASK,
)
row("count_nonzero", lambda t, x: (x.count_nonzero(), t.count_nonzero(x, dim=1)), ZEROS)
pair(
    "count_nonzero keep",
    lambda t, x: (t.count_nonzero(x, dim=0, keepdim=True), x.count_nonzero(1, True)),
    lambda t, x: (x.count_nonzero(0)[None], x.count_nonzero(1)[:, None]),
    ZEROS,
)
row("count_nonzero dims", lambda t, x: x.count_nonzero((0, 1)), ZEROS)
row("cumsum", lambda t, x: (x.cumsum(1), t.cumsum(x, dim=0)), M)
row("cumprod", lambda t, x: (t.cumprod(x, dim=0), x.cumprod(1), x.cumprod(dim=0)), M)
row("cumprod of zeros", lambda t, x: (t.cumprod(x, dim=0), x.cumprod(1)), ZEROS)
row(
    "logsumexp",
    lambda t, x: (
        *(x.logsumexp(1), t.logsumexp(x, (0, 1)), x.logsumexp(dim=0, keepdim=True)),
        t.logsumexp(x, dim=0, keepdim=True),
    ),
    M,
)
row("diff", lambda t, x: (t.diff(x, dim=1, n=2), x.diff(), x.diff(n=2, dim=0)), M)
row(
    "diff ends",
    lambda t, x, y: t.diff(x, prepend=y[:, :1], append=y[:, :2], dim=1),
    *(M, P),
)

# -- order -----------------------------------------------------------------------------

row("sort", lambda t, x: (*x.sort(1), *x.sort(dim=0, descending=True)), M)
row("sort stable", lambda t, x: (*x.sort(dim=1, stable=True), *x.sort(dim=-1)), TIES)
row(
    "sort down",
    lambda t, x: x.sort(dim=1, descending=True, stable=True),
    TIES,
)
pair(
    "sort of the standard",
    lambda t, x: t.sort(x, axis=0, descending=True, stable=False),
    lambda t, x: x.sort(0, descending=True)[0],
    M,
)
row("argsort", lambda t, x: (x.argsort(dim=1, descending=True), x.argsort(0)), M)
row(
    "order without ties",
    lambda t, x: (
        *(x.argsort(dim=0, stable=False), t.argsort(x, dim=1, stable=False)),
        *x.sort(dim=0, stable=False),
    ),
    M,
)
row(
    "argsort stable",
    lambda t, x: (
        *(t.argsort(x, dim=0, stable=True), x.argsort(stable=True)),
        t.argsort(x, dim=1, descending=True, stable=True),
        x.argsort(dim=1, descending=True, stable=True),
    ),
    TIES,
)
row("sort NaN", lambda t, x: (*x.sort(), *x.topk(2), *x.topk(2, largest=False)), ODD)
row("topk", lambda t, x: (*x.topk(2), *t.topk(x, 2, dim=0, largest=False)), M)
row("topk named", lambda t, x: x.topk(3, dim=1, largest=False, sorted=True), M)
pair(
    "topk in no order",  # PyTorch may give it in any
    lambda t, x: (x.topk(3, sorted=False)[0].sort()[0], t.topk(x, 2, sorted=False)[0]),
    lambda t, x: (x.topk(3)[0].sort()[0], t.topk(x, 2)[0]),
    M,
)
row("median", lambda t, x: (x.median(), *x.median(1), *t.median(x, dim=0)), M)
row("median keep", lambda t, x: (*x.median(1, keepdim=True), *t.median(x, 0, True)), M)
row("searchsorted", lambda t, x, y: t.searchsorted(x, y), np.sort(V), M)
row(
    "searchsorted side",
    lambda t, x, y: t.searchsorted(x, y, side="right"),
    *(np.sort(TIES[0]), TIES),
)
pair(
    "searchsorted sorter",
    lambda t, x, y: t.searchsorted(x, y, sorter=x.argsort()),
    lambda t, x, y: t.searchsorted(x, y, sorter=x.argsort()),
    *(V, M),
)

# -- by index --------------------------------------------------------------------------

row("gather", lambda t, x, i: x.gather(1, i), M[:2], I)
row("gather shorter", lambda t, x, i: t.gather(x, 1, i), M, I)
row(
    "scatter_add",
    lambda t, x, i, y: (x.scatter_add(1, i, y), t.scatter_add(x, 1, i, y)),
    *(M[:2], I, RNG.normal(size=(2, 3))),
)
row("scatter", lambda t, x, i: (x.scatter(1, i, 7.0), t.scatter(x, 1, i, 2.0)), M, I)
row("scatter tensors", lambda t, x, i, y: x.scatter(1, i, y), M[:2], ONCE, M[:2, :3])
row("scatter along 0", lambda t, x, i: x.scatter(0, i, x[:1, :3] * 2), M, I[:1])
row(
    "scatter in place",
    lambda t, x, i: (
        x.new_zeros(2, 4).scatter_(1, i, x[:, :3]),
        x.new_zeros(2, 4).scatter_(1, i, 3.0),
        (x * 1).scatter_add_(1, i, x[:, :3]),
    ),
    *(M[:2], ONCE),
)
row(
    "added in place",
    lambda t, x, i: (x * 1).index_add_(1, i[0], x[:, :3]).masked_fill_(x > 1, 0.0),
    *(M[:2], I),
)
row("select", lambda t, x: (x.select(1, 2), x.select(0, -1)), M)
row(
    "index_select",
    lambda t, x, i: (x.index_select(1, i[0]), t.index_select(x, 0, i[0])),
    M,
    I,
)
row(
    "index_add",
    lambda t, x, i, y: x.index_add(0, i[0], y),
    *(M, I, RNG.normal(size=(3, 4))),
)
row(
    "take_along_dim",
    lambda t, x, i: (x.take_along_dim(i, dim=1), x.take_along_dim(i * 2, 1)),
    *(M[:2], np.array([[0, 1], [1, 0]])),
)
row("take", lambda t, x, i: (x.take(i), t.take(x, i * 3), x.take(-i)), M, I)
pair(
    "take along",
    lambda t, x, i: (x.take(i[0], 1), t.take(x, i[0], dim=0)),
    lambda t, x, i: (x[:, i[0]], x[i[0]]),
    *(M, I),
)
row("index", lambda t, x, i: (x[i[0]], x[:, i], x[1:, -1], x[i[0], i[1]]), M, I)
row("index by masks", lambda t, x, m: x[m], M, MASK, traced=False)
row(
    "masked_select",
    lambda t, x, m: (x.masked_select(m), t.masked_select(x, m[0])),
    *(M, MASK),
    traced=False,
)
row(
    "masked_fill",
    lambda t, x, m: (x.masked_fill(m, -1e9), t.masked_fill(x, m, x.sum())),
    *(M, MASK),
)
row(
    "where",
    lambda t, x, m: (t.where(m, x, -x), t.where(m, 1.0, x), t.where(m[0], x, 0)),
    *(M, MASK),
)
row("Tensor.where", lambda t, x, m: (x.where(m, x * 2), x.where(m, 0.0)), M, MASK)

# -- products --------------------------------------------------------------------------

row(
    "addmm",
    lambda t, x: (
        x.new_ones(3, 3).addmm(x, x.T, alpha=0.5, beta=2),
        t.addmm(x[:, :3], x, x.T, beta=0.3, alpha=2),
    ),
    M,
)
row("outer", lambda t, x: (t.outer(x, x * x), x.outer(x[:2])), V)
row(
    "mm mv dot",
    lambda t, x, y, v: (
        x.mm(y),
        t.mv(x, v),
        v.dot(v),
        t.mm(x, y),
        x.mv(v),
        t.dot(v, v),
    ),
    *(M, N, V),
)
row("bmm", lambda t, x: (x.bmm(x.transpose(1, 2)), t.bmm(x, x.mT)), S)
row("matmul", lambda t, x, y: (x @ y, t.matmul(x[0], y), y.T @ x[1].T), S, N)
row(
    "Tensor.matmul", lambda t, x, y, v: (x.matmul(y), x.matmul(v), v.matmul(y)), S, N, V
)
row("einsum", lambda t, x, y: t.einsum("bij,jk->bik", x, y), S, N)
row("einsum implicit", lambda t, x, y: t.einsum("ij,jk", x, y), M, N)
row("einsum many", lambda t, x: t.einsum("bij,bkj,bik->b", x, x, x[..., :3]), S)
row("einsum dots", lambda t, x, y: t.einsum("...j,jk->...k", x, y), S, N)
row("einsum sums", lambda t, x: (t.einsum("ij->", x), t.einsum("ij->j", x)), M)
row("einsum trace", lambda t, x: t.einsum("ii->i", x[:, :3]), M)
row("einsum transposed", lambda t, x: t.einsum("bij->jib", x), S)
row("einsum outer", lambda t, x, v: t.einsum("i,j->ij", v, x[0]), M, V)
pair(
    "tensordot",
    lambda t, x, y: (t.tensordot(x, y, dims=1), t.tensordot(x, x, axes=([1, 2],) * 2)),
    lambda t, x, y: (t.tensordot(x, y, dims=1), t.tensordot(x, x, dims=([1, 2],) * 2)),
    *(S, N),
)
pair(
    "vecdot",
    lambda t, x, y: (t.vecdot(x, y), t.vecdot(x, y, axis=-2)),
    lambda t, x, y: (t.linalg.vecdot(x, y), t.linalg.vecdot(x, y, dim=-2)),
    *(M, P),
)
