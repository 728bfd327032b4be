"""Shapes, reductions, order, indices and products: methods and functions."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as TF

from tests.parity.rows import (
    RNG,
    TIES,
    ZEROS,
    I,
    M,
    N,
    P,
    S,
    V,
    pair,
    row,
    words,
)

# -- made like another, converted ------------------------------------------------------
words("""
M.type(t.DoubleTensor); K.type("torch.LongTensor"); M.type(t.float64); M.short();
M.to("cpu", non_blocking=True, copy=True); M.to(t.float64, copy=True);
M.new_tensor([1.0, 2.0], dtype=t.float64, device="cpu");
M.new_full((2, 3), 1.5, device="cpu"); M.new_zeros(2, 3); M.new_ones((2,));
M.new_full((1,), 2, dtype=t.int64); M.new_zeros((2, 1), dtype=t.float64)
""")
row(
    "new with requires_grad",
    lambda t, x: (
        x.new_full((2,), 1.0, requires_grad=True).detach() * x.sum(),
        x.new_tensor([1.0], requires_grad=True).detach() * x.sum(),
    ),
    M,
)

# -- joined, cut, moved ----------------------------------------------------------------
words("""
t.cat([M, 2 * M]); t.concat([M, M]); t.cat((M, M * M), dim=1); t.cat((M, M), 1);
t.concatenate([M, M], axis=-1); t.concat([M, M], axis=1); t.concat([M, M], dim=1);
t.cat([M, M], axis=1); t.concatenate([M, M], dim=1); t.concat([M, M], 1);
t.concatenate([M, M], 1); t.stack([M, M * M], dim=-1); t.stack([M, M], 1)
""")
pair(
    "stack axis",
    lambda t, x: t.stack([x, x], axis=1),
    lambda t, x: t.stack([x, x], dim=1),
    M,
)
words("""
M.split(2, dim=1); t.split(M, 2, -1); M.split(2); t.split(M, [1, 3], dim=1);
M.chunk(3, dim=1); t.chunk(M, 2); t.chunk(M, 2, -1); M.unbind(1);
t.unbind(M, dim=-1); M.view(2, -1); M.view((6, 2))
""")
row(
    "view_as",
    lambda t, x, y: (x.view_as(y), x.reshape_as(y), x[:1].expand_as(x)),
    *(M, M.reshape(4, 3)),
)
words("""
M.reshape(-1); t.reshape(M, (4, -1)); M.ravel(); M.sum().reshape(1, 1);
M.sum().flatten(); S.flatten(1); S.flatten(0, 1); t.flatten(S);
t.flatten(S, start_dim=1, end_dim=2); S.unflatten(2, (2, -1));
t.unflatten(S, 0, (2, 1)); M.unsqueeze(0).squeeze(); M[:1].squeeze(0);
t.squeeze(M[:1, None], dim=(0, 1)); t.unsqueeze(M, -1); M.unsqueeze(dim=1);
M.unsqueeze(1).expand(-1, 5, -1); M.expand(2, 3, 4); M.broadcast_to((2, 3, 4));
t.broadcast_to(M[0], (2, 4)); M.repeat(2, 1, 2); M.repeat((1, 2));
t.tile(M, (2, 2)); M.tile(3); M.tile((2, 1, 1)); M.repeat_interleave(3, dim=1);
t.repeat_interleave(M, 2); t.repeat_interleave(M, 2, dim=0)
""")
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
words("""
S.permute(2, 0, 1); t.permute(S, (1, 0, -1)); t.transpose(S, 0, 2);
S.transpose(dim0=1, dim1=-1); S.swapaxes(0, -1); t.swapaxes(S, 1, 2);
S.movedim((0, 1), (-1, 0)); t.movedim(S, 0, 2); S.moveaxis(0, -1);
t.moveaxis(S, (0, 2), (1, 0)); M.t(); M.mT; M.T; M[0].t(); M.flip(0);
t.flip(M, (0, 1)); M.flip(0, 1); M.roll(1); M.roll((1, -1), (0, 1));
M.roll(-5, dims=1); t.roll(M, shifts=2, dims=1); M.tril(-1); t.triu(M, 1);
t.tril(M, diagonal=2); S.triu(diagonal=-1); t.tril(S); M.diag(1); t.diag(M[0], -1);
t.diag(M, diagonal=-2); S.diagonal(1, 1, 2); t.diagonal(S, -1, 2, 0);
S.diagonal(offset=-1, dim1=0, dim2=2); M.trace(); t.trace(M);
M.clone().contiguous(); M.narrow(1, 1, 2); t.narrow(M, 0, 0, 1);
t.vstack([M, M[0]]); t.hstack([M, M]); t.hstack([M[0], M[1]]);
t.vstack([M.sum(), M.mean()]); t.hstack([M.sum(), M.mean()]);
t.meshgrid(V, 2 * V, indexing='ij'); t.meshgrid([V, V[1:], V[:2]], indexing='xy')
""")
# -- reductions ------------------------------------------------------------------------
words("""
M.norm(); t.norm(M, p=1); M.norm(1, dim=1, keepdim=True); M.norm(3, dim=0);
M.norm('fro'); M.norm(0, 1); P.norm(0.5, 1); M.norm(float('inf'), 0);
t.norm(M, -float('inf'), 0); TIES.norm(float('inf'), 0); TIES.norm(1, 0);
S.norm(2, (0, 2)); t.norm(S, 2, -1, True); M.max(); M.min(); TIES.max(); TIES.min();
t.amax(TIES, 1); t.amin(TIES, 0); M.max(1); M.min(dim=0, keepdim=True); TIES.min(1);
TIES.max(dim=0, keepdim=True); M.max(1).values; M.max(1).indices; M.max(P);
M.min(P); t.maximum(M, P); M.minimum(P); M.maximum(P); t.minimum(M, P); M.amax(1);
M.amin((0, 1)); M.amax(0, keepdim=True); t.amin(S, dim=1, keepdim=True);
t.amax(S, dim=(0, 2), keepdim=True); M.amin(dim=0, keepdim=True); M.argmax();
M.argmin(1); M.argmax(0, keepdim=True); t.argmin(TIES, dim=0, keepdim=True);
t.argmax(TIES, 1); TIES.argmin(0, True); t.argmax(M, dim=1, keepdim=True); M.sum(1);
M.mean((0, 1)); M.sum(-1, True); t.sum(M, dim=(0, 1), keepdim=True);
t.mean(M, 1, True); M.mean(dim=0, keepdim=True); t.mean(M, dim=0, keepdim=True);
M.sum(dtype=t.float64); t.sum(K, dtype=t.float32); K.sum(1, dtype=t.int32);
K.prod(dtype=t.float64); t.prod(K, dtype=t.int16); K.cumsum(0, dtype=t.int8);
t.cumsum(K, 0, dtype=t.float64); t.cumprod(K, 1, dtype=t.float32);
K.cumprod(1, dtype=t.float64); M.prod(); M.prod(1); t.prod(M, 0, True);
ZEROS.prod(); ZEROS.prod(1); ZEROS.prod(0); ZEROS.prod(dim=1, keepdim=True);
t.prod(ZEROS, 1); M.std(); M.var(1); M.std(0, keepdim=True); M.var((0, 1));
M.var(dim=1, keepdim=True); M.std(dim=1); M.var(dim=1, correction=0);
M.std(dim=0, correction=2); t.var(M, dim=1, correction=1);
t.std(M, dim=1, correction=1, keepdim=True);
t.var(M, dim=1, correction=1, keepdim=True); M.var(unbiased=False);
M.std(1, unbiased=True); M.var(1, unbiased=False); M.std(1)
""")
words("""
t.var(M); t.std(M, 1); t.var(M, dim=0, keepdim=True); t.max(M, 1); t.min(M, P);
t.min(M, 0, True); t.std(M, dim=0, correction=0, keepdim=True); t.max(M);
t.var(M, unbiased=False); t.std(M, 1, unbiased=True); t.var(M, 1, correction=2);
t.max(M, dim=1, keepdim=True); t.min(M, dim=0, keepdim=True)
""")
words("""
MASK.all(); MASK.any(1); MASK.all(0); M.any(); M.all();
MASK.all(dim=1, keepdim=True); MASK.any(dim=0, keepdim=True);
t.all(MASK, dim=1, keepdim=True); t.any(MASK, dim=0, keepdim=True);
ZEROS.count_nonzero(); t.count_nonzero(ZEROS, dim=1)
""")
pair(
    "count_nonzero keep",
    lambda t, x: (t.count_nonzero(x, dim=0, keepdim=True), x.count_nonzero(1, True)),
    lambda t, x: (x.count_nonzero(0)[None], x.count_nonzero(1)[:, None]),
    ZEROS,
)
words("""
ZEROS.count_nonzero((0, 1)); M.cumsum(1); t.cumsum(M, dim=0); t.cumprod(M, dim=0);
M.cumprod(1); M.cumprod(dim=0); t.cumprod(ZEROS, dim=0); ZEROS.cumprod(1);
M.logsumexp(1); t.logsumexp(M, (0, 1)); M.logsumexp(dim=0, keepdim=True);
t.logsumexp(M, dim=0, keepdim=True); t.diff(M, dim=1, n=2); M.diff();
M.diff(n=2, dim=0); t.diff(M, prepend=P[:, :1], append=P[:, :2], dim=1)
""")
# -- order -----------------------------------------------------------------------------
words("""
M.sort(1); M.sort(dim=0, descending=True); TIES.sort(dim=1, stable=True);
TIES.sort(dim=-1); TIES.sort(dim=1, descending=True, stable=True)
""")
words("""
t.sort(M, 0, True); t.sort(M, dim=0, descending=True, stable=False); t.sort(M)
""")
words("""
M.argsort(dim=1, descending=True); M.argsort(0); M.argsort(dim=0, stable=False);
t.argsort(M, dim=1, stable=False); M.sort(dim=0, stable=False);
t.argsort(TIES, dim=0, stable=True); TIES.argsort(stable=True);
t.argsort(TIES, dim=1, descending=True, stable=True);
TIES.argsort(dim=1, descending=True, stable=True); ODD.sort(); ODD.topk(2);
ODD.topk(2, largest=False); M.topk(2); t.topk(M, 2, dim=0, largest=False);
M.topk(3, dim=1, largest=False, sorted=True)
""")
pair(
    "topk in no order",  # PyTorch may give it in any
    lambda t, x: (x.topk(3, sorted=False)[0].sort()[0], t.topk(x, 2, sorted=False)[0]),
    lambda t, x: (x.topk(3)[0].sort()[0], t.topk(x, 2)[0]),
    M,
)
words("""
M.median(); M.median(1); t.median(M, dim=0); M.median(1, keepdim=True);
t.median(M, 0, True)
""")
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
words("""
M[:2].gather(1, I); t.gather(M, 1, I)
""")
row(
    "scatter_add",
    lambda t, x, i, y: (x.scatter_add(1, i, y), t.scatter_add(x, 1, i, y)),
    *(M[:2], I, RNG.normal(size=(2, 3))),
)
words("""
M.scatter(1, I, 7.0); t.scatter(M, 1, I, 2.0); M[:2].scatter(1, ONCE, M[:2, :3]);
M.scatter(0, I[:1], M[:1, :3] * 2);
M[:2].new_zeros(2, 4).scatter_(1, ONCE, M[:2][:, :3]);
M[:2].new_zeros(2, 4).scatter_(1, ONCE, 3.0);
(M[:2] * 1).scatter_add_(1, ONCE, M[:2][:, :3]);
(M[:2] * 1).index_add_(1, I[0], M[:2][:, :3]).masked_fill_(M[:2] > 1, 0.0);
M.select(1, 2); M.select(0, -1); M.index_select(1, I[0]); t.index_select(M, 0, I[0])
""")
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
words("""
M.take(I); t.take(M, I * 3); M.take(-I)
""")
pair(
    "take along",
    lambda t, x, i: (x.take(i[0], 1), t.take(x, i[0], dim=0)),
    lambda t, x, i: (x[:, i[0]], x[i[0]]),
    *(M, I),
)
words("""
M[I[0]]; M[:, I]; M[1:, -1]; M[I[0], I[1]]; M.masked_fill(MASK, -1000000000.0);
t.masked_fill(M, MASK, M.sum()); t.where(MASK, M, -M); t.where(MASK, 1.0, M);
t.where(MASK[0], M, 0); M.where(MASK, M * 2); M.where(MASK, 0.0)
""")
# -- products --------------------------------------------------------------------------
words("""
M.new_ones(3, 3).addmm(M, M.T, alpha=0.5, beta=2);
t.addmm(M[:, :3], M, M.T, beta=0.3, alpha=2); t.outer(V, V * V); V.outer(V[:2]);
M.mm(N); t.mv(M, V); V.dot(V); t.mm(M, N); M.mv(V); t.dot(V, V);
S.bmm(S.transpose(1, 2)); t.bmm(S, S.mT); S @ N; t.matmul(S[0], N); N.T @ S[1].T;
S.matmul(N); S.matmul(V); V.matmul(N); t.einsum('bij,jk->bik', S, N);
t.einsum('ij,jk', M, N); t.einsum('bij,bkj,bik->b', S, S, S[..., :3]);
t.einsum('...j,jk->...k', S, N); t.einsum('ij->', M); t.einsum('ij->j', M);
t.einsum('ii->i', M[:, :3]);
t.einsum('bii->b', S[..., :3]); t.einsum('bij->jib', S); t.einsum('i,j->ij', V, M[0])
""")
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
words(
    """
(ZEROS * 0).norm(2, 1); (ZEROS * 0).norm(1, 1)
""",
    seconds=False,
)
words(
    """
ODD.argmax(); ODD.argmin(); ODD.max(); ODD.amin()
""",
    firsts=False,
)
words(
    """
M[MASK]; M.masked_select(MASK); t.masked_select(M, MASK[0])
""",
    traced=False,
)
