"""Derivatives as functions of functions, against ``torch.func``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]
RNG = np.random.default_rng(4)
A, B, C, D = (RNG.normal(size=(2, 3)) for _ in range(4))
#: What this file calls, and which arguments of it.
TRANSFORMS = {
    "grad": {"function", "argnums", "has_aux"},
    "value_and_grad": {"function", "argnums", "has_aux"},
    "jacobian": {"function", "argnums"},
    "hessian": {"function", "argnums"},
    "vjp": {"function", "args"},
    "vmap": {"function", "in_dims", "out_dims", "randomness", "chunk_size"},
    "jvp": {"function", "primals", "tangents"},
    "gradients": {"loss", "tensors", "gradient", "create_graph", "retain_graph"}
    | {"allow_unused"},
    "functional_call": {"module", "parameters_and_buffers", "args", "kwargs"},
    "nn.functional_call": {"module", "parameters_and_buffers", "args", "kwargs"},
}


def f(x: Any, y: Any) -> Any:
    return (x * y).sin() + x**3 / (1 + y**2)


def s(x: Any, y: Any) -> Any:
    return f(x, y).sum()


def both(*arrays: Any) -> tuple[list[Any], list[Any]]:
    return [cr.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]


def same(got: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple | list):
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted):
            same(a, b)
        return
    a, b = got.detach().numpy(), wanted.detach().numpy()
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_grad(argnums: Any) -> None:
    ours, theirs = both(A, B)
    same(cr.grad(s, argnums)(*ours), torch.func.grad(s, argnums)(*theirs))
    made, wanted = (
        (library(s, argnums)(*given))
        for library, given in (
            (cr.value_and_grad, ours),
            (torch.func.grad_and_value, theirs),
        )
    )
    same(made, wanted[::-1])

    def with_more(x: Any, y: Any) -> Any:
        return s(x, y), x * 2

    made = cr.grad(with_more, argnums, has_aux=True)(*ours)
    same(made, torch.func.grad(with_more, argnums, has_aux=True)(*theirs))
    slopes, (value, more) = torch.func.grad_and_value(with_more, argnums, has_aux=True)(
        *theirs
    )
    made = cr.value_and_grad(with_more, argnums, has_aux=True)(*ours)
    same(made, ((value, more), slopes))


@pytest.mark.parametrize("argnums", [0, 1, (0, 1)])
def test_jacobian(argnums: Any) -> None:
    ours, theirs = both(A, B)
    same(cr.jacobian(f, argnums)(*ours), torch.func.jacrev(f, argnums)(*theirs))


@pytest.mark.parametrize("argnums", [0, 1])
def test_hessian(argnums: int) -> None:
    ours, theirs = both(A, B)
    same(cr.hessian(s, argnums)(*ours), torch.func.hessian(s, argnums)(*theirs))


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize(
    ("in_dims", "out_dims"), [(0, 0), (1, 1), ((0, None), -1), ((-1, 1), 0)]
)
def test_vmap(in_dims: Any, out_dims: Any, chunk_size: int | None) -> None:
    ours, theirs = both(A, B[0] if in_dims == (0, None) else B)
    how = {"in_dims": in_dims, "out_dims": out_dims, "chunk_size": chunk_size}
    same(cr.vmap(f, **how)(*ours), torch.func.vmap(f, **how)(*theirs))


def test_vmap_of_derivatives() -> None:
    (a, b), (c, d) = both(A, B)
    for argnums in (0, 1, (0, 1)):
        made = cr.vmap(cr.grad(s, argnums))(a, b)
        same(made, torch.func.vmap(torch.func.grad(s, argnums))(c, d))
    same(cr.vmap(cr.jacobian(f))(a, b), torch.func.vmap(torch.func.jacrev(f))(c, d))
    nested = cr.vmap(cr.vmap(s, in_dims=(None, 0)), in_dims=(0, None))(a, b)
    inner = torch.func.vmap(s, in_dims=(None, 0))
    same(nested, torch.func.vmap(inner, in_dims=(0, None))(c, d))


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_draws_within_vmap(randomness: str) -> None:
    (a, __), (c, __) = both(A[:, :1], B[:, :1])
    ours = cr.vmap(lambda x: x + cr.rand(3), randomness=randomness)(a * 0)
    theirs = torch.func.vmap(lambda x: x + torch.rand(3), randomness=randomness)(c * 0)
    alike = [bool((rows[0] == rows[1]).all()) for rows in (ours, theirs)]
    assert alike == [randomness == "same"] * 2


def test_products_with_the_jacobian() -> None:
    ours, theirs = both(A, B, C, D)
    y, pull = cr.vjp(f, *ours[:2])
    wanted, push = torch.func.vjp(f, *theirs[:2])
    same((y, pull(ours[2])), (wanted, push(theirs[2])))
    made = cr.jvp(f, tuple(ours[:2]), tuple(ours[2:]))
    same(made, torch.func.jvp(f, tuple(theirs[:2]), tuple(theirs[2:])))


def test_gradients() -> None:
    made = []
    for library, gradients in ((cr, cr.gradients), (torch, torch.autograd.grad)):
        x, y, z = (library.tensor(a) for a in (A, B, C))
        for t in (x, y, z):
            t.requires_grad_()
        first = gradients(s(x, y), [x, y], create_graph=True)
        second = gradients((first[0] * first[1]).sum(), [x, y], retain_graph=True)
        again = gradients((first[0] * first[1]).sum(), x)
        weights = {"gradient" if library is cr else "grad_outputs": library.tensor(D)}
        seeded = gradients(f(x, y), [x, y], **weights)
        unused = gradients(s(x, y), [x, z], allow_unused=True)
        assert unused[1] is None
        made.append([*first, *second, *again, *seeded, unused[0]])
    same(*made)


def test_functional_call() -> None:
    ours = nn.Linear(3, 2, dtype="float64")
    theirs = torch.nn.Linear(3, 2, dtype=torch.float64)
    state = {"weight": C, "bias": D[0, :2]}
    made = nn.functional_call(ours, state, (cr.tensor(A),))
    tensors = {k: torch.tensor(v) for k, v in state.items()}
    same(made, torch.func.functional_call(theirs, tensors, (torch.tensor(A),)))
    by_name = cr.functional_call(ours, state, kwargs={"x": A})
    same(by_name, made)
