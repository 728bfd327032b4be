"""Order, statistics, places, pieces: special points beside PyTorch's own samples.

NaN, ±∞, ties, scalars, empty tensors; ``sample_databases.py`` has the rest.
"""

from __future__ import annotations

import numpy as np

from tests.parity.rows import M, V, row, words

NAN_ROWS = np.array([[1.0, np.nan, 3.0, 2.0], [np.nan] * 4, [4.0, 4.0, -2.0, 0.0]])
EMPTY = np.zeros((0, 4))
ONE = np.array(1.5)

# -- order -----------------------------------------------------------------------------
words("""
ODD.cummax(dim=0); t.cummin(ODD, 0); TIES.cummax(1); TIES.cummin(1); TIES.cummax(0);
TIES.quantile(0.4, dim=1); TIES.median(1)
""")
words(
    """
t.msort(M); M.kthvalue(2, dim=0, keepdim=True); t.kthvalue(M, 3); M.logcumsumexp(dim=1);
t.logcumsumexp(V * 30, 0); t.softmax(M, 1, dtype=t.float64);
t.log_softmax(M, 1, dtype=t.float64); M.softmax(0, dtype=t.float64)
"""
)
words(
    """
t.bucketize(M, V.sort().values, right=True); t.searchsorted(V.sort().values, M);
t.searchsorted(V.sort().values, M, right=True, out_int32=True);
t.bucketize(M, V.sort().values, out_int32=True); t.isin(M, M[1:], invert=True);
t.isin(M, M[0], assume_unique=True);
t.vander(V, N=3); t.vander(V, increasing=True); TIES.mode(dim=1).values;
TIES.mode(0, True).values
""",
    firsts=False,
)
words(
    """
t.unique(TIES, return_inverse=True, return_counts=True, dim=1); t.unique(TIES);
TIES.unique(sorted=True, return_inverse=True); TIES.unique_consecutive(dim=0);
t.unique_consecutive(TIES, return_inverse=True, return_counts=True);
(TIES[0] > 0).int().bincount(minlength=4); TIES.argwhere();
t.bincount((TIES[0] > 0).int(), weights=TIES[1]); ODD.nonzero(as_tuple=True)
""",
    firsts=False,
    traced=False,
)
# -- statistics ------------------------------------------------------------------------
words("""
M.aminmax(dim=1, keepdim=True); TIES.aminmax(); t.std_mean(M, dim=1, keepdim=True);
t.var_mean(M, 0, unbiased=False); t.var_mean(M, dim=1, correction=0);
t.std_mean(M, True); M.std(True); M.var(False); t.cov(M, correction=0); M.corrcoef();
M.quantile(0.3, dim=1, keepdim=True); t.quantile(M, 0.5, interpolation='midpoint');
M.quantile(0.1, 0, interpolation='lower'); M.nanquantile(0.9, interpolation='higher');
t.nanquantile(M, 0.4, 1, True, interpolation='nearest');
M.renorm(2, dim=0, maxnorm=1.0); t.renorm(M, p=1, dim=1, maxnorm=0.5);
t.trapezoid(M, dx=0.5, dim=0); t.trapz(M, V); t.cumulative_trapezoid(M, x=V, dim=1)
""")
row("gradient", lambda t, x: t.gradient(x, spacing=0.5, dim=1, edge_order=2), M)
row(
    "without NaN",
    lambda t, x: (
        *(x.nansum(), t.nansum(x, dim=1, keepdim=True), x.nansum(0, dtype=t.float64)),
        *(t.nanmedian(x[::2], 1), x.nanmedian(), t.nanquantile(x, 0.3, dim=1)),
        *(x.quantile(0.5, 1), x.cummax(1), x.cummin(1), x.median(1)),
    ),
    NAN_ROWS,
    seconds=False,
)
row(
    "nanmean",
    lambda t, x: (x.nanmean(1, keepdim=True), t.nanmean(x, dtype=t.float64)),
    NAN_ROWS[::2],
)
words(
    """
t.histc(M, bins=5, min=-1, max=1); M.histc(4); t.histc(ODD, 3, -2, 2);
t.histogram(M, 4, range=(-1.0, 1.0), density=True); M.histogram(V.sort().values);
t.histogram(M, bins=3, weight=M * M)
""",
    firsts=False,
)
# -- places ----------------------------------------------------------------------------
words("""
M.index_copy(1, I[0], M[:, :3]); M.index_fill(1, I[0], 2.0);
M.index_add(1, I[0], M[:, :3], alpha=2); M.index_put((I[0, :2], I[1, :2]), V[:2]);
t.index_put(M, (I[0, :2],), V, accumulate=True); M.put(I[0], V[:3]);
t.put(M, I[1], V[:3], accumulate=True); M.scatter(0, I[:1] * 0, V[:3][None]);
M.scatter(1, I[:1], value=2.0);
M.scatter_reduce(1, I, 2 * M[:2, :3], reduce='amax', include_self=False);
t.select_scatter(M, src=V, dim=0, index=1);
t.diagonal_scatter(M, V[:3], offset=1, dim1=0, dim2=1);
t.slice_scatter(M, src=M[:, :2], dim=1, start=0, end=4, step=2);
M.masked_scatter(M > 0, V.repeat(3))
""")
row(
    "products at places with zeros and infinities",
    lambda t, x, i, y: (
        x.scatter_reduce(0, i, y, "prod", include_self=False),
        x.scatter_reduce(0, i, y, "amin"),
        x.scatter_reduce(0, i, y, "amax"),
        x.scatter_reduce(0, i, y, "mean"),
    ),
    np.array([2.0, 0.0, 1.0, 5.0]),
    np.array([0, 1, 0, 3, 1, 1, 3]),
    np.array([2.0, 3.0, np.inf, 5.0, 0.0, -1.0, 5.0]),
    firsts=False,
)
row(
    "extremes at places that are equal",
    lambda t, x, i, y: (
        x.scatter_reduce(0, i, y, "amax"),
        x.scatter_reduce(0, i, y, "amin", include_self=False),
    ),
    np.array([2.0, 7.0, 1.0]),
    np.array([0, 0, 2, 0, 2]),
    np.array([2.0, 2.0, -np.inf, 1.0, -np.inf]),
)
words(
    """
t.unravel_index(I, (3, 2));
t.tril_indices(3, 4, offset=-1, dtype=t.int32).to(t.int64) + I[0, 0];
t.triu_indices(3, 4, offset=1) * I[0, 0]
"""
)
# -- pieces, orders --------------------------------------------------------------------
words("""
t.dstack([M, M]); t.column_stack([M, M[:, 0]]); t.atleast_1d(M.sum());
t.atleast_2d(M[0]); t.atleast_3d([M, M[0]]); t.cartesian_prod(V, V[:2]);
t.combinations(V, r=3); t.combinations(V, with_replacement=True); M.sum_to_size(1, 4);
S.unfold(1, 2, 1); M.fliplr(); M.flipud(); M.rot90(k=3); t.rot90(S, 1, dims=(1, 2));
M.diagflat(offset=1); t.diagflat(V); t.diag_embed(M, offset=-1, dim1=0, dim2=2);
t.block_diag(M, V, M.sum()); M.split_with_sizes([1, 2]); M.tensor_split(2, dim=1);
t.tensor_split(M, [1, 3], 1); M.hsplit(2); M.vsplit([1]); S.dsplit(2); t.kron(M, V);
M.inner(V); V.vdot(V);
t.cross(M[:, :3], M[:, 1:], dim=1); S.cross(S * S, 1);
t.repeat_interleave(V, 2, output_size=8); t.broadcast_tensors(M, V);
M.narrow_copy(1, 1, 2); t.diff(M, 1, 0, M[:1], M[1:])
""")
words("""
t.expand_copy(V, (3, 4)); t.permute_copy(S, (1, 0, 2)); t.squeeze_copy(M[:1], 0);
t.t_copy(M); t.transpose_copy(S, 0, 2); t.unsqueeze_copy(M, 1); t.view_copy(M, (4, 3));
t.unfold_copy(M, 1, 2, 2); t.diagonal_copy(M, offset=1); t.select_copy(M, 1, 2);
t.split_copy(M, 2, 1); t.split_with_sizes_copy(M, [1, 2]); t.unbind_copy(M, 1)
""")
row(
    "logspace",
    lambda t, x: t.logspace(-1, 2, 5, base=2.0, dtype=t.float64) * x.sum(),
    V,
)
# -- scalars, and no elements ----------------------------------------------------------
row(
    "a scalar has the axes 0 and −1",
    lambda t, x: (
        *(x.sum(0), x.mean(-1), x.softmax(0), x.cumsum(0), x.logsumexp(0), x.max(0)),
        *(x.sort(-1), x.topk(1), x.median(0), x.squeeze(0), x.flip(0), x.amax(-1)),
        *(x.prod(0, keepdim=True), x.log_softmax(-1), x.cummax(0), x.mode(0)),
        *(x.transpose(0, -1), x.movedim(0, 0), x.var(0, correction=0), x.diagflat()),
    ),
    ONE,
)
row(
    "no elements",
    lambda t, x: (
        *(x.softmax(0), x.log_softmax(0), x.softmax(1), x.cumsum(0), x.sort(0)),
        *(t.cat([x, x.sum(0)[None]]), t.cat([x[:, 0], x.sum(0)[None]]), x.cummax(0)),
        *(x.sum(), x.prod(0), t.trapezoid(x, dim=0), t.trapezoid(x)),
        *(x.tensor_split(3, 1), x.flipud(), x.kthvalue(1, 1).values, x.logcumsumexp(1)),
    ),
    EMPTY,
)
