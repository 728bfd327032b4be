"""bfloat16 beside PyTorch's: functions, layers, autocast and its gradients.

A result is within one unit in the last place of bfloat16 of what float32 gives, as
PyTorch's is; where both round once they are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

torch = pytest.importorskip("torch")

ULP = 2.0**-7


def pair(*shape: int, seed: int = 0, positive: bool = False) -> tuple[Any, Any]:
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    x = abs(x) + 0.1 if positive else x
    return cr.tensor(x).bfloat16(), torch.tensor(x).bfloat16()


def units(got: Any, wanted: Any) -> float:
    """The largest difference from a float32 result, in units in the last place."""
    a = np.asarray(got.detach().float().numpy(), np.float64)
    b = np.asarray(wanted.detach().numpy(), np.float64)
    assert a.shape == b.shape
    with np.errstate(divide="ignore"):
        unit = np.exp2(np.floor(np.log2(np.abs(b)))) * ULP
    return float(np.max(np.abs(a - b) / np.maximum(unit, 1e-30), initial=0))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **{
        name: lambda x, name=name: getattr(x, name)()
        for name in (
            *("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "sin"),
            *("cos", "tanh", "sigmoid", "erf", "relu", "abs", "sign", "floor"),
            *("square", "sum", "mean", "std", "var", "prod", "amax", "lgamma"),
        )
    },
    "sum 1": lambda x: x.sum(1),
    "mean 0": lambda x: x.mean(0, keepdim=True),
    "var 1": lambda x: x.var(1),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(0),
    "cumsum": lambda x: x.cumsum(1),
    "add": lambda x: x + 0.1,
    "subtract from": lambda x: 1.5 - x,
    "multiply": lambda x: x * 0.3,
    "divide": lambda x: x / 3.7,
    "power": lambda x: x**1.7,
    "product": lambda x: x @ x.T,
    "clamp": lambda x: x.clamp(0.3, 0.9),
    "norm": lambda x: x.norm(),
    "logaddexp": lambda x: x.exp() * 0 + x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    function = FUNCTIONS[name]
    x, there = pair(6, 8, positive=True)
    exact = function(there.float())
    y, theirs = function(x), function(there)
    assert y.dtype is cr.bfloat16
    assert theirs.dtype is torch.bfloat16
    assert units(y, exact) <= 0.51  # the nearest, or beside a tie
    assert units(y, exact) <= max(units(theirs, exact), 0.51)


@pytest.mark.parametrize("name", ["exp", "tanh", "softmax", "var 1", "power"])
def test_derivatives(name: str) -> None:
    function = FUNCTIONS[name]
    x, there = pair(6, 8, positive=True)
    x.requires_grad_()
    wide = there.float().requires_grad_()
    exact = function(wide)
    g = torch.randn(exact.shape).bfloat16()
    exact.backward(g.float())
    function(x).backward(cr.tensor(g))
    assert x.grad is not None
    assert x.grad.dtype is cr.bfloat16
    size = float(wide.grad.abs().max())
    got, exact = x.grad.float().numpy(), wide.grad.numpy()
    np.testing.assert_allclose(got, exact, rtol=ULP / 2 * 1.01, atol=1e-6 * size)


LAYERS = {
    "Linear": (lambda n: n.Linear(8, 5), (6, 8)),
    "Conv2d": (lambda n: n.Conv2d(3, 4, 3, padding=1), (2, 3, 6, 6)),
    "ConvTranspose2d": (lambda n: n.ConvTranspose2d(3, 4, 3, 2), (2, 3, 4, 4)),
    "LayerNorm": (lambda n: n.LayerNorm(8), (6, 8)),
    "BatchNorm1d": (lambda n: n.BatchNorm1d(8), (6, 8)),
    "GroupNorm": (lambda n: n.GroupNorm(2, 4), (3, 4, 5)),
    "GELU": (lambda n: n.GELU(), (6, 8)),
    "SiLU": (lambda n: n.SiLU(), (6, 8)),
    "Mish": (lambda n: n.Mish(), (6, 8)),
    "Hardswish": (lambda n: n.Hardswish(), (6, 8)),
    "ELU": (lambda n: n.ELU(), (6, 8)),
    "GLU": (lambda n: n.GLU(), (6, 8)),
    "AvgPool2d": (lambda n: n.AvgPool2d(2), (2, 3, 6, 6)),
    "MaxPool2d": (lambda n: n.MaxPool2d(2), (2, 3, 6, 6)),
    "AdaptiveAvgPool2d": (lambda n: n.AdaptiveAvgPool2d((2, 4)), (2, 3, 5, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    make, shape = LAYERS[name]
    ours, theirs = make(nn).bfloat16(), make(torch.nn)
    state = {
        k: torch.tensor(np.array(v, np.float32)) for k, v in ours.state_dict().items()
    }
    if "num_batches_tracked" in state:
        state["num_batches_tracked"] = torch.tensor(0)
    theirs.load_state_dict(state)
    x, there = pair(*shape, seed=1)
    exact = theirs(there.float())
    y = ours(x)
    assert y.dtype is cr.bfloat16
    size = float(exact.detach().abs().max())
    a, b = y.detach().float().numpy(), exact.detach().numpy()
    # Half a unit; and what float32 itself leaves where sums cancel.
    np.testing.assert_allclose(a, b, rtol=ULP / 2 * 1.01, atol=1e-6 * size)


def networks() -> tuple[Any, Any]:
    cr.manual_seed(0)
    made = [
        n.Sequential(
            n.Conv2d(1, 4, 3, padding=1),
            n.ReLU(),
            n.Flatten(),
            n.Linear(4 * 36, 16),
            n.ReLU(),
            n.Linear(16, 3),
        )
        for n in (nn, torch.nn)
    ]
    state = {k: torch.tensor(np.array(v)) for k, v in made[0].state_dict().items()}
    made[1].load_state_dict(state)
    return made[0], made[1]


def test_autocast_of_one_product_is_pytorchs() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=s).astype(np.float32) for s in ((7, 40), (40, 5)))
    x, w = (cr.tensor(t, requires_grad=True) for t in (a, b))
    u, v = (torch.tensor(t, requires_grad=True) for t in (a, b))
    with cr.autocast("cpu", dtype=cr.bfloat16):
        y = x @ w
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = u @ v
    np.testing.assert_array_equal(y.detach().numpy(), z.detach().float().numpy())
    g = rng.normal(size=(7, 5)).astype(np.float32)
    y.backward(cr.tensor(g))
    z.backward(torch.tensor(g).bfloat16())
    for ours, theirs in ((x, u), (w, v)):
        assert ours.grad is not None
        assert ours.grad.dtype is cr.float32
        np.testing.assert_array_equal(ours.grad.numpy(), theirs.grad.numpy())


def test_autocast_of_a_network_and_its_gradients() -> None:
    """Not farther from float32, on the mean, than PyTorch's own autocast."""
    ours, theirs = networks()
    images = np.random.default_rng(1).normal(size=(256, 1, 6, 6)).astype(np.float32)
    labels = np.arange(256) % 3

    def gradients(mixed: bool) -> list[Any]:
        theirs.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            z = theirs(torch.tensor(images))
        torch.nn.functional.cross_entropy(z.float(), torch.tensor(labels)).backward()
        return [p.grad.numpy().copy() for p in theirs.parameters()]

    exact, mixed = gradients(False), gradients(True)
    with cr.autocast(dtype=cr.bfloat16):
        z = ours(cr.tensor(images))
    nn.CrossEntropyLoss()(z, cr.tensor(labels)).backward()
    for p, right, near in zip(ours.parameters(), exact, mixed, strict=True):
        assert p.grad is not None
        scale = float(np.linalg.norm(right))
        mine = float(np.linalg.norm(p.grad.numpy() - right)) / scale
        other = float(np.linalg.norm(near - right)) / scale
        assert 0 < mine < 1.5 * other + ULP / 2
