"""Linear algebra: what is refused on every engine; derivatives that are delicate.

``tests/parity`` holds the functions against PyTorch's samples; ``tests/conformance``
holds their primitives on small matrices. Here is what neither has.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, GradientError
from tests.rows import table
from tests.ways import ENGINES

L = cr.linalg
CALLED_BY = (None, *ENGINES)
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
each = pytest.mark.parametrize("engine", CALLED_BY)


def on(engine: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
    return function if engine is None else cr.compile(function, engine=engine)


def draw(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape)


def symmetric(*shape: int) -> np.ndarray[Any, Any]:
    x = draw(*shape)
    return x + np.swapaxes(x, -1, -2)


def definite(*shape: int) -> np.ndarray[Any, Any]:
    x = draw(*shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


# -- what has no result ----------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("function", "match"),
    [
        (L.inv, "singular"),
        (lambda a: L.solve(a, cr.ones(2, 1, dtype=a.dtype)), "singular"),
        (lambda a: L.matrix_power(a, -2), "singular"),
        (lambda a: L.cholesky(-a), "positive definite"),
        (lambda a: L.eigh(a / 0 * 0), "converge"),
        (lambda a: L.svdvals(a / 0), "converge"),
    ],
)
def test_a_matrix_without_a_result_is_refused(
    engine: str | None, function: Callable[..., Any], match: str
) -> None:
    with np.errstate(all="ignore"), pytest.raises(ArgumentError, match=match):
        on(engine, lambda a: function(a))(cr.tensor(SINGULAR))


@each
def test_one_singular_matrix_of_a_batch_leaves_the_others(engine: str | None) -> None:
    batch = np.stack([np.eye(2), SINGULAR, 2 * np.eye(2)])
    inverse, info = on(engine, L.inv_ex)(cr.tensor(batch))
    assert info.tolist() == [0, 2, 0]
    np.testing.assert_array_equal(inverse.numpy()[[0, 2]], [np.eye(2), np.eye(2) / 2])
    assert np.isnan(inverse.numpy()[1]).all()
    __, info = on(engine, L.cholesky_ex)(cr.tensor(batch))
    assert info.tolist() == [0, 2, 0]
    factors = on(engine, L.lu_factor_ex)(cr.tensor(batch))
    assert factors.info.tolist() == [0, 2, 0]


@each
def test_nan_is_passed_on_where_there_is_nothing_to_decide(engine: str | None) -> None:
    a = cr.tensor([[np.nan, 1.0], [1.0, 2.0]], dtype="float64")
    assert on(engine, L.det)(a).isnan().item()
    assert on(engine, L.matrix_exp)(a).isnan().all().item()
    assert on(engine, L.solve_ex)(a, cr.ones(2, dtype="float64")).info.item() == 0


@table(
    "call",
    [
        lambda: L.inv(cr.ones(2, 3)),
        lambda: L.inv(cr.ones(3)),
        lambda: L.inv(cr.tensor([[1, 0], [0, 1]])),
        lambda: L.det(cr.ones(2, 3)),
        lambda: L.solve(cr.eye(2), cr.ones(3)),
        lambda: L.solve(cr.eye(2), cr.ones(2), left=False),
        lambda: L.solve(cr.eye(2), cr.ones(2, dtype="float64")),
        lambda: L.solve_triangular(cr.eye(2), cr.ones(2), upper=True),
        lambda: L.lu(cr.eye(2), pivot=False),
        lambda: L.lu_solve(cr.eye(2), cr.tensor([3, 2], dtype="int32"), cr.ones(2, 1)),
        lambda: L.qr(cr.eye(2), "full"),
        lambda: L.eigh(cr.eye(2), "X"),
        lambda: L.svd(cr.eye(2), driver="gesvd"),
        lambda: L.lstsq(cr.eye(2), cr.ones(2), driver="qr"),
        lambda: L.norm(cr.ones(2, 2, 2), 2),
        lambda: L.matrix_norm(cr.eye(2), 3),
        lambda: L.matrix_norm(cr.ones(3)),
        lambda: L.vector_norm(cr.ones(3), "fro"),
        lambda: L.vector_norm(cr.ones(0), cr.inf),
        lambda: L.multi_dot([cr.ones(2)]),
        lambda: L.multi_dot([cr.ones(2, 2), cr.ones(2), cr.ones(2, 2)]),
        lambda: L.cross(cr.ones(2), cr.ones(2)),
        lambda: L.vander(cr.ones(2), N=0),
        lambda: L.tensorinv(cr.ones(2, 3, 4), 1),
        lambda: L.tensorsolve(cr.ones(2, 3, 4), cr.ones(2)),
        lambda: L.householder_product(cr.ones(2, 3), cr.ones(2)),
        lambda: cr.matrix_power(cr.ones(2, 3), 2),
    ],
)
def test_what_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ChainruleError):
        call()


@pytest.mark.parametrize(
    "function", [lambda a: L.svd(a)[0], lambda a: L.qr(a, "complete")[0]]
)
def test_what_a_matrix_does_not_determine_has_no_derivative(
    function: Callable[..., Any],
) -> None:
    a = cr.tensor(draw(3, 2), requires_grad=True)
    with pytest.raises(GradientError, match="columns beyond"):
        function(a).sum().backward()
    L.svd(a).S.sum().backward()


# -- derivatives -----------------------------------------------------------------------


def slope(f: Callable[[Any], Any], x: Any, direction: Any, step: float = 1e-5) -> float:
    up, down = (f(cr.tensor(x + s * step * direction)).item() for s in (1, -1))
    return (up - down) / (2 * step)


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3)])
@pytest.mark.parametrize("upper", [False, True])
def test_functions_of_symmetric_matrices(shape: tuple[int, ...], upper: bool) -> None:
    weights, direction = cr.tensor(draw(*shape, seed=1)), symmetric(*shape)

    def root(a: Any) -> Any:
        return (L.cholesky(a, upper=upper) * weights).sum()

    def spectrum(a: Any) -> Any:
        w, v = L.eigh(a, "U" if upper else "L")
        return ((v * w.unsqueeze(-2)) * (v * v[..., :1, :]) * weights).sum()

    for function in (root, spectrum):
        x = definite(*shape)
        g = cr.grad(function)

        def along(a: Any, g: Any = g) -> Any:
            return (g(a) * cr.tensor(direction)).sum()

        got = along(cr.tensor(x)).item()
        np.testing.assert_allclose(got, slope(function, x, direction), 1e-6)
        twice = (cr.grad(along)(cr.tensor(x)) * cr.tensor(direction)).sum().item()
        np.testing.assert_allclose(twice, slope(along, x, direction), 1e-5)


@each
def test_a_determinant_has_a_derivative_at_singular_matrices(
    engine: str | None,
) -> None:
    g = on(engine, cr.grad(L.det))(cr.tensor(SINGULAR))
    np.testing.assert_allclose(g.numpy(), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)
    assert on(engine, cr.grad(L.det))(cr.zeros(2, 2)).tolist() == [[0, 0], [0, 0]]


def test_equal_singular_values_have_derivatives_in_what_does_not_ask_for_vectors() -> (
    None
):
    one = cr.eye(3, dtype="float64")
    norm = cr.grad(lambda a: L.matrix_norm(a, "nuc"))(one)
    np.testing.assert_allclose(norm.numpy(), np.eye(3), atol=1e-12)
    assert cr.grad(lambda a: L.pinv(a).sum())(one).isfinite().all().item()


# -- engines ---------------------------------------------------------------------------


def test_one_program_serves_every_batch() -> None:
    def step(a: Any, b: Any) -> Any:
        x = L.solve(a, b)
        return x, L.slogdet(a).logabsdet.sum(), L.svdvals(a)

    run = cr.compile(step, engine="native")
    for n in (3, 5, 1, 0):
        a, b = draw(n, 4, 4), draw(n, 4, 2)
        mine = run(cr.tensor(a), cr.tensor(b))
        np.testing.assert_allclose(mine[0].numpy(), np.linalg.solve(a, b), 1e-9, 1e-9)
        total = np.linalg.slogdet(a)[1].sum()
        np.testing.assert_allclose(mine[1].item(), total, 1e-9)


@pytest.mark.parametrize("threads", [1, 2])
def test_other_threads_wait_for_the_one_that_calls_numpy(threads: int) -> None:
    a = draw(40, 6, 6) * 0.1

    def wide(a: Any) -> Any:
        b = (a.sin() @ a.cos()).exp()
        return (L.qr(b.mT).R.tanh() * b).sum(0) + L.det(b).sum()

    run = cr.compile(wide, engine="native", threads=threads)
    for __ in range(5):
        found = run(cr.tensor(a)).numpy()
    np.testing.assert_allclose(found, wide(cr.tensor(a)).numpy(), 1e-9, 1e-9)


def test_within_loops() -> None:
    def rotate(state: Any, row: Any) -> Any:
        q = L.qr(state + cr.outer(row, row)).Q
        return q, L.det(q)

    rows = cr.tensor(draw(5, 3))
    start = cr.eye(3, dtype="float64")
    eager = cr.scan(rotate, start, rows)
    compiled = cr.compile(lambda s, r: cr.scan(rotate, s, r), engine="native")
    for a, b in zip(compiled(start, rows), eager, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)


PROGRAM = """
import chainrule as cr
f = cr.compile(lambda a: cr.linalg.eigvalsh(a @ a.mT), engine="native")
print(f(cr.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist())
"""


@pytest.mark.slow
def test_code_that_another_process_has_compiled(tmp_path: Any) -> None:
    run = [sys.executable, "-c", PROGRAM]
    env = {**os.environ, "CHAINRULE_CACHE": str(tmp_path)}
    told = [subprocess.check_output(run, env=env, text=True) for __ in range(2)]
    assert told[0] == told[1]
    assert told[0].startswith("[0.13")


def test_functions_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(L.solve)) is L.solve
