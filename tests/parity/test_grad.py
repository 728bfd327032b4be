"""``autograd.grad``, ``backward`` and derivatives of functions, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.errors import ArgumentError, CallError, GradientError

pytestmark = pytest.mark.parity
A, B = np.array([0.5, -1.0, 2.0]), np.array([1.5, 0.5, -0.5])


def both(run: Any) -> tuple[list[Any], list[Any]]:
    def numbers(result: Any) -> list[Any]:
        if isinstance(result, tuple | list):
            return [n for part in result for n in numbers(part)]
        return [None if result is None else result.detach().numpy()]

    mine = [cr.tensor(x, requires_grad=True) for x in (A, B)]
    theirs = [torch.tensor(x, requires_grad=True) for x in (A, B)]
    return numbers(run(cr, *mine)), numbers(run(torch, *theirs))


RUNS = {
    "of a sum": lambda t, a, b: t.autograd.grad((a * b).sum(), [a, b]),
    "of one": lambda t, a, b: t.autograd.grad((a * a * b).sum(), b),
    "with cotangents": lambda t, a, b: t.autograd.grad(
        a * b, [a, b], grad_outputs=t.ones(3, dtype=t.float64)
    ),
    "of several": lambda t, a, b: t.autograd.grad(
        [a * b, (a * a).sum()], [a, b], [b.detach(), None]
    ),
    "again": lambda t, a, b: t.autograd.grad(
        t.autograd.grad((a**3 * b).sum(), a, create_graph=True)[0].sum(), [a, b]
    ),
    "unused": lambda t, a, b: t.autograd.grad((a * a).sum(), [a, b], allow_unused=True),
    "zeros": lambda t, a, b: t.autograd.grad(
        (a * a).sum(), [a, b], materialize_grads=True
    ),
    "backward": lambda t, a, b: (
        t.autograd.backward([a * b, (a * a).sum()], [b.detach(), None]),
        a.grad,
        b.grad,
    ),
    "jacobian": lambda t, a, b: t.autograd.functional.jacobian(
        lambda x, y: x * y.sum(), (a, b)
    ),
    "jacobian of one": lambda t, a, b: t.autograd.functional.jacobian(
        lambda x: x**2, a
    ),
    "hessian": lambda t, a, b: t.autograd.functional.hessian(
        lambda x, y: (x**2 * y).sum(), (a, b)
    ),
    "hessian of one": lambda t, a, b: t.autograd.functional.hessian(
        lambda x: (x**3).prod(), a
    ),
    "vjp": lambda t, a, b: t.autograd.functional.vjp(lambda x: x**2, a, b),
    "vjp of a scalar": lambda t, a, b: t.autograd.functional.vjp(
        lambda x, y: (x * y).sum(), (a, b)
    ),
    "jvp": lambda t, a, b: t.autograd.functional.jvp(
        lambda x, y: x * y, (a, b), (b, a)
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_derivatives_are_pytorchs(name: str) -> None:
    mine, theirs = both(RUNS[name])
    assert len(mine) == len(theirs)
    for x, y in zip(mine, theirs, strict=True):
        if y is None:
            assert x is None
        else:
            np.testing.assert_allclose(x, y, rtol=1e-12)


def test_what_has_no_derivative_is_refused() -> None:
    a, b = (cr.tensor(x, requires_grad=True) for x in (A, B))
    with pytest.raises(GradientError, match="allow_unused"):
        cr.autograd.grad((a * a).sum(), [a, b])
    with pytest.raises(GradientError, match="nothing to differentiate"):
        cr.autograd.grad(a.detach().sum(), a)
    with pytest.raises(GradientError, match="starts from a scalar"):
        cr.autograd.grad(a * b, a)
    with pytest.raises(ArgumentError, match="Each output has a cotangent"):
        cr.autograd.grad([a.sum(), b.sum()], a, [None])
    with pytest.raises(AttributeError, match=r"cr\.check_gradients"):
        cr.autograd.gradcheck  # type: ignore[attr-defined]  # noqa: B018
    v = cr.autograd.Variable(cr.ones(2), requires_grad=True)
    assert v.requires_grad
    with pytest.raises(CallError, match=r"cr\.no_grad\(\)"):
        cr.autograd.Variable(cr.ones(2), volatile=True)  # type: ignore[call-arg]
