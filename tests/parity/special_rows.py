"""Special functions, and functions of the elements of several tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.parity.rows import M, P, U, V, pair, row, words

# -- several tensors -------------------------------------------------------------------
words("""
M.addcmul(P, U, value=0.5); t.addcmul(M, P, U, value=-2); M.addcdiv(P, P + U);
t.addcdiv(M, U, P, value=3); t.rsub(M, P, alpha=2); M.clamp_min(0.1);
t.clamp_max(M, 0.2); M.clamp_min(U); t.clamp_max(M, U); M.clamp_max(0.1);
t.fmax(M, U); M.fmin(U); t.fmod(3 * M, P); (3 * M).fmod(-0.7);
t.frac(3 * M); (7 * M).frac(); t.fill(M, 2.0) + M; P.float_power(U);
t.float_power(P, 2); t.ldexp(M, U); M.ldexp(U + 2); M.logaddexp2(P);
t.logaddexp2(9 * M, P); M.deg2rad(); t.rad2deg(M); M.sgn(); t.sgn(M)
""")
words(
    """
t.heaviside(M, P); M.heaviside(P * 0); t.isposinf(ODD); ODD.isneginf(); t.isreal(M);
M.isreal(); ODD.isposinf(); t.isneginf(ODD); K.gcd(K2);
t.lcm(K, K2); t.gcd(K * 12, K2 * 18); K.lcm(K2); t.fmod(K, K2); (-K).fmod(3);
(P * 9).byte(); (M * 9).char()
""",
    firsts=False,
)
row(
    "heaviside beside NaN",
    lambda t, x, y: t.heaviside(x, y),
    *(np.array([np.nan, 0.0, -0.0, np.inf]), np.array([1.0, np.nan, 3.0, 4.0])),
    firsts=False,
)
row("ties of fmax", lambda t, x: (t.fmax(x, x * 1), t.fmin(x * 1, x)), M)
row(
    "fmax beside NaN",
    lambda t, x, y: (t.fmax(x, y), t.fmin(y, x)),
    *(np.array([1.0, np.nan, np.nan]), np.array([np.nan, 2.0, np.nan])),
)
row(
    "fmod at ends",
    lambda t, x, y: t.fmod(x, y),
    np.array([4.0, -4.0, 5.0, -0.0, 1e30, -7.5]),
    np.array([2.0, 2.0, np.inf, 3.0, 7.0, -2.0]),
    firsts=False,
)
row(
    "frexp",
    lambda t, x: tuple(t.frexp(x)),
    np.array([0.0, -0.0, 1.0, -3.0, 0.5, np.inf, -np.inf, np.nan, 1e30, 1e-30]),
    firsts=False,
)
row("mantissa", lambda t, x: x.frexp()[0], M)

# -- products, distances ---------------------------------------------------------------
words("""
V[:3].addmv(M, V, beta=0.5, alpha=2); t.addmv(V[:3], M, V, alpha=3);
t.addr(M, V[:3], V, beta=2); M.addr(V[:3], V, alpha=0.5, beta=0.5)
""")
words("""
t.baddbmm(S[:, :, :3], S, S.swapaxes(1, 2), beta=0.5, alpha=2);
S[:, :, :3].baddbmm(S, S.swapaxes(1, 2)); S[0, :, :3].addbmm(S, S.swapaxes(1, 2));
t.addbmm(S[0, :, :3], S, S.swapaxes(1, 2), beta=2, alpha=0.5)
""")
words("""
M.dist(P); t.dist(M, P, p=3); M.dist(P, 1)
""")
row(
    "nothing of NaN",
    lambda t, v: t.addmv(v * t.nan, v[:, None], v[:1], beta=0),
    V,
    firsts=False,
)
row("no distance", lambda t, x: t.dist(x, x * 1), M, seconds=False)
for p in (0.0, 0.5, 1.0, 2.0, 3.0, float("inf")):
    row(
        f"distances, p={p}",
        lambda t, x, y, p=p: (
            t.cdist(x, y, p=p),
            t.cdist(x, y, p, compute_mode="donot_use_mm_for_euclid_dist"),
        ),
        *(M, U[:2]),
        seconds=False,
    )
    row(f"pairs, p={p}", lambda t, x, p=p: t.pdist(x, p), M, seconds=False)
row("no pairs", lambda t, x: t.pdist(x, p=3), M[:1], firsts=False)

# -- special functions -----------------------------------------------------------------
words("""
t.polygamma(2, P); (P / 6).logit(); t.xlogy(2.0, P); (30 * P).lgamma();
t.lgamma(40 * P); t.digamma(30 * P); (50 * P).digamma(); (30 * P).polygamma(1);
P.polygamma(n=2); (30 * P).mvlgamma(3); t.mvlgamma(40 * P, p=2)
""")
row("ln Γ and ψ near 0", lambda t, x: (t.lgamma(x), t.lgamma(-x / 9)), P, seconds=False)
row("ψ near 0", lambda t, x: (t.digamma(x), t.polygamma(0, -x / 9)), P, firsts=False)
words("""
t.erfinv(U); U.erfinv();
t.logit(U, eps=0.1); U.logit(0.2)
""")
words("""
M.i0(); t.i0(20 * M); M.sinc(); t.sinc(3 * M); t.xlogy(M, P); M.xlogy(2.0)
""")
words("""
t.special.erfcx(M); t.special.ndtr(M); t.special.log_ndtr(5 * M); t.special.i0e(9 * M);
t.special.i1(M); t.special.i1e(9 * M); t.special.expit(M); t.special.log1p(M * M);
t.special.expm1(M); t.special.exp2(M); t.special.erf(M); t.special.erfc(M);
t.special.log_softmax(M, 1); t.special.softmax(M, 0); t.special.logsumexp(M, 1);
t.special.sinc(M); t.special.round(M, decimals=1)
""")
words("""
t.special.entr(P); t.special.xlog1py(M, P); t.special.psi(40 * P);
t.special.gammaln(40 * P); t.special.digamma(30 * P);
t.special.multigammaln(40 * P, 2); t.special.polygamma(2, P);
t.special.xlogy(M, P)
""")
words("""
t.special.erfinv(U); t.special.ndtri((U + 1) / 2); t.special.logit((U + 1) / 2)
""")
words(
    """
t.special.zeta(P + 1, P * 3); t.special.modified_bessel_i0(M);
t.special.modified_bessel_i1(M); t.special.i0(M) * 1
""",
    firsts=False,
)


def ends(t: Any, x: Any) -> Any:
    with np.errstate(all="ignore"):
        return (
            *(t.lgamma(x), t.digamma(x), t.polygamma(2, x), t.special.i1e(x)),
            *(t.erfinv(x), t.logit(x), t.special.ndtri(x), t.special.log_ndtr(x)),
            *(t.special.erfcx(x), t.special.entr(x)),
            *(t.xlogy(x * 0, x), t.special.xlog1py(x * 0, x)),
        )


def zetas(t: Any, s: Any, q: Any) -> Any:
    with np.errstate(all="ignore"):
        return t.special.zeta(s, q)


ENDS = np.array([0.0, -0.0, -1.0, -2.0, 1.0, 2.0, np.nan, 800.0, 1e30])
row("special points", ends, ENDS, firsts=False, narrow=False, traced=False)
row(
    "zeta at its ends",
    zetas,
    np.array([1.0, 0.5, 2.0, 2.0, 3.0, 3.0, 2.5, 30.0]),
    np.array([2.0, 2.0, 0.0, -1.0, -1.5, -7.25, -1.5, 4.0]),
    firsts=False,
    traced=False,
)
pair(
    "scales of integers",
    lambda t, k: t.addmm(k, k, k, beta=2, alpha=3),
    lambda t, k: torch.addmm(k, k, k, beta=2, alpha=3),
    np.arange(4).reshape(2, 2),
)
