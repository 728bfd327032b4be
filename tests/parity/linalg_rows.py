"""Rows of linear algebra: every argument of the functions with PyTorch's older names.

``sample_databases.py`` holds them, and ``cr.linalg``, against PyTorch's own samples.
"""

from __future__ import annotations

import warnings

import numpy as np

from tests.parity.rows import pair

_rng = np.random.default_rng(3)
_LOW = np.tril(_rng.normal(size=(3, 3)), -1) + np.diag(_rng.uniform(1, 2, 3))
_FULL = _rng.normal(size=(3, 3)) + 3 * np.eye(3)
_RIGHT = _rng.normal(size=(3, 2))


def of_symmetric(t, a):  # type: ignore[no-untyped-def]
    """What reads a triangle of a symmetric matrix, here made of any."""
    whole = a @ a.T + t.eye(3, dtype=a.dtype)
    return (
        t.cholesky(whole),
        t.cholesky(whole, upper=True),
        whole.cholesky(False),
        t.logdet(whole),
        whole.logdet(),
    )


def of_any(t, a, b):  # type: ignore[no-untyped-def]
    """What takes square matrices."""
    factors, pivots = t.linalg.lu_factor(a)
    return (
        *(t.inverse(a), a.inverse(), t.det(a), a.det(), a.matrix_power(3)),
        *(t.matrix_power(a, -1), t.matrix_exp(a), a.matrix_exp(), *t.slogdet(a)),
        *(*a.slogdet(), *t.qr(a, some=False), *a.qr(), t.pinverse(a, rcond=1e-10)),
        *(
            a.pinverse(),
            t.svd(a, some=False).S,
            t.svd(a, compute_uv=False).S,
            a.svd().S,
        ),
        *(t.lu_solve(b, factors, pivots), b.lu_solve(factors, pivots)),
    )


def of_triangles(t, low, b):  # type: ignore[no-untyped-def]
    """What takes Cholesky factors, or triangles, and right-hand sides."""
    low = low.tril()
    return (
        *(t.cholesky_solve(b, low, upper=False), b.cholesky_solve(low.T, True)),
        *(t.cholesky_inverse(low, upper=False), low.T.cholesky_inverse(True)),
        t.triangular_solve(b, low, upper=False, transpose=True)[0],
        b.triangular_solve(low, False, unitriangular=True)[0],
    )


def of_reflections(t, a, b):  # type: ignore[no-untyped-def]
    """What takes the columns of Householder reflections."""
    tau = b[:, 0]
    return (
        *(t.orgqr(a, tau), a.orgqr(tau)),
        t.linalg.householder_product(a, tau),
    )


def quietly(function):  # type: ignore[no-untyped-def]
    """PyTorch's answer without its warning that the name is an old one."""

    def call(t, *inputs):  # type: ignore[no-untyped-def]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return function(t, *inputs)

    return call


pair("symmetric matrices", of_symmetric, quietly(of_symmetric), _FULL)
pair("square matrices", of_any, quietly(of_any), _FULL, _RIGHT)
pair("triangles", of_triangles, quietly(of_triangles), _LOW, _RIGHT)
pair("reflections", of_reflections, quietly(of_reflections), _FULL, _RIGHT)
