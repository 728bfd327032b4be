"""Layers and tensor functions of bfloat16: as those of float32, rounded once.

What rounds at each of several steps is listed with what it may differ by.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.operations import declared
from chainrule.operations.narrow import is_wide
from chainrule.operations.op import Op
from tests.nn.test_engines import (
    DEEPER,
    FUNCTIONS,
    IMAGES,
    LAYERS,
    LINES,
    MODULES,
    PLANES,
    ROWS,
    SERIES,
    TOKENS,
)
from tests.ways import ENGINES

ULP = 2.0**-7

CASES = [
    *((m, ROWS) for m in MODULES),
    *((m, SERIES) for m in (*DEEPER, *LINES)),
    *((m, IMAGES) for m in PLANES),
]
#: Layers of several products, each of which rounds: what share of the largest output
#: they may differ by.
SEVERAL = {
    nn.CausalSelfAttention: 0.02,
    nn.TransformerEncoder: 0.03,
    nn.LSTM: 0.01,
    nn.GRU: 0.01,
    nn.RNN: 0.01,
}


def pair(module: Any) -> tuple[Any, Any]:
    """A layer of bfloat16, and one of float32 with the same numbers."""
    narrow = copy.deepcopy(module).to(cr.bfloat16)
    return narrow, copy.deepcopy(narrow).to(cr.float32)


def both(module: Any, x: Any) -> list[tuple[Any, Any]]:
    """Outputs and slopes of both, each as arrays."""
    narrow, wide = pair(module)
    made: list[list[Any]] = []
    for layer, dtype in ((narrow, cr.bfloat16), (wide, cr.float32)):
        t = cr.tensor(x).bfloat16().to(dtype).requires_grad_()
        y = layer(t)
        y = y[0] if isinstance(y, tuple) else y
        assert y.dtype is dtype
        found = [y.detach().double().numpy()]
        if y.requires_grad:
            g = np.random.default_rng(1).normal(size=found[0].shape)
            y.backward(cr.tensor(g).bfloat16().to(dtype))
            assert t.grad is not None
            assert t.grad.dtype is dtype
            found.append(t.grad.double().numpy())
        made.append(found)
    return list(zip(*made, strict=True))


@pytest.mark.parametrize(("module", "x"), CASES, ids=[repr(m) for m, _ in CASES])
def test_a_layer_rounds_once(module: Any, x: Any) -> None:
    for got, wanted in both(module, x):
        size = float(np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(got, wanted, rtol=ULP / 2 * 1.01, atol=2e-6 * size)


@pytest.mark.parametrize(
    "module",
    [*LAYERS[:2], *(k(4, 3, bidirectional=True) for k in (nn.LSTM, nn.GRU, nn.RNN))],
    ids=lambda m: type(m).__name__,
)
def test_a_layer_of_several_products(module: Any) -> None:
    share = SEVERAL[type(module)]
    for got, wanted in both(module, TOKENS):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=share * abs(wanted).max())


@pytest.mark.parametrize("name", ["attention", "causal", "masked"])
def test_attention(name: str) -> None:
    function, x = FUNCTIONS[name]
    t = cr.tensor(x).bfloat16()
    y, wanted = function(t), function(t.float())
    assert y.dtype is cr.bfloat16
    np.testing.assert_allclose(y.float().numpy(), wanted.numpy(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_compiled_is_eager(engine: str) -> None:
    modules = [m for m, x in CASES if x is SERIES] + [LAYERS[0]]
    modules = [pair(m.eval())[0] for m in modules]
    x = cr.tensor(SERIES).bfloat16()
    inputs = [x] * (len(modules) - 1) + [cr.tensor(TOKENS).bfloat16()]

    def step(*inputs: cr.Tensor) -> list[cr.Tensor]:
        return [m(t) for m, t in zip(modules, inputs)]

    for m, got in zip(modules, cr.compile(step, engine=engine)(*inputs)):
        wanted = m(inputs[modules.index(m)]).detach()
        assert got.dtype is cr.bfloat16
        a, b = got.float().numpy(), wanted.float().numpy()
        np.testing.assert_allclose(a, b, rtol=ULP, atol=1e-6, err_msg=repr(m))


# -- tensor functions ------------------------------------------------------------------

X = cr.tensor(np.random.default_rng(2).uniform(0.1, 0.9, (4, 4))).bfloat16()
OTHER = X.flip(0) * 0.7
WIDE = [item for item in declared() if item.public and is_wide(item)]


def calls(item: Op) -> list[tuple[Any, ...]]:
    """Arguments that may fit, none of which knows the function."""
    return [(X,), (X, OTHER), (X, 2), (X, 0), (X, OTHER, OTHER), (X[0], OTHER[0])]


def compared(function: Any, arguments: tuple[Any, ...]) -> bool:
    """Compare a function of bfloat16 with that of float32; whether it takes these."""

    def converted(item: Any, dtype: Any) -> Any:
        return item.to(dtype) if isinstance(item, cr.Tensor) else item

    try:
        wanted = function(*(converted(a, cr.float32) for a in arguments))
    except (cr.errors.ChainruleError, TypeError, ValueError):
        return False
    got = function(*arguments)
    several = isinstance(got, tuple | list)
    pairs = zip(got, wanted, strict=True) if several else [(got, wanted)]
    for mine, right in pairs:
        if not isinstance(mine, cr.Tensor):
            assert mine == right
            continue
        if right.dtype is cr.float32:
            right = right.bfloat16()
        assert mine.dtype is right.dtype
        a, b = (
            t.float().numpy() if t.dtype.is_float else t.numpy() for t in (mine, right)
        )
        np.testing.assert_array_equal(a, b)
    return True


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_round_once() -> None:
    """Every public function that computes and takes one of a few arguments."""
    tried = 0
    for item in WIDE:
        function = getattr(cr, item.name)
        taken = [a for a in calls(item) if compared(function, a)]
        tried += bool(taken)
    assert tried > 140, tried


def test_a_function_that_rounds_twice_is_found(monkeypatch: Any) -> None:
    from chainrule.operations import narrow

    monkeypatch.setattr(narrow, "wide", lambda x: x)
    with pytest.raises(AssertionError):
        compared(cr.var, (X,))
