"""Every formula that is shown, worked out from the numbers that are shown."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.explanation import Explanation
from tests.explanation.models import (
    LAYERS,
    LOSSES,
    D,
    Words,
    around,
    linear,
    truth,
)
from tests.explanation.random_models import drawn

CE = nn.CrossEntropyLoss()


def held(e: Explanation, *, path: bool = True) -> None:
    """Formulas come to their numbers, and the chain rule adds up for each element."""
    check = e.check()
    wrong = {k: v for k, v in check.errors.items() if not v <= 1e-10}
    assert not wrong
    assert len(check.errors) >= 2 * len(e.layers)
    assert "…" not in "".join(q.text() for q in e.equations())
    numbers = {name: q.array for name, q in e.numbers.items()}
    for side in (side for q in e.equations() for side in q.sides):
        pieces = side.pieces(numbers)
        shown = "".join(p if isinstance(p, str) else "#" for p in pieces)
        assert not re.search(r"∂#|#/∂", shown), "a number in a derivative's name"
    if path:
        rng = np.random.default_rng(0)
        for layer in e.layers:
            whole = e[layer.weight_name].value.shape
            index = tuple(int(rng.integers(0, k)) for k in whole)
            for step in e.element(layer.weight_name, index).steps:
                total = sum(term.product for term in step.terms)
                scale = max(1e-9, sum(abs(term.product) for term in step.terms))
                assert abs(total - step.gradient) <= 1e-9 * scale, step.symbol


#: Layers whose formulas for one sample are tested too: no means over samples.
SINGLY = ("ReLU", "BatchNorm1d.eval", "GRU", "CausalSelfAttention", "Conv2d", "Tied")


@pytest.mark.parametrize(
    ("name", "n"), [(name, 7) for name in LAYERS] + [(name, 1) for name in SINGLY]
)
def test_layers(name: str, n: int) -> None:
    """Their paths are worked out in ``test_paths``."""
    model, shape = LAYERS[name]
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, *shape)), rng.integers(0, 2, n)
    held(cr.explain(model, x, y, CE), path=False)


@pytest.mark.parametrize("n", [1, 7])
def test_words(n: int) -> None:
    rng = np.random.default_rng(n)
    held(cr.explain(Words(), rng.integers(0, 6, (n, 5)), rng.integers(0, 2, n), CE))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize(("name", "loss", "kind"), LOSSES)
def test_losses(name: str, loss: Any, kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    ends = [nn.Softmax()] if kind == "shares of shares" else []
    model = nn.Sequential(*linear(3, 2), *ends)
    held(cr.explain(model, rng.normal(size=(n, 3)), truth(kind, n, rng), loss))


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "nesterov": lambda p: optim.SGD(
        p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: optim.Adam(p, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "centred": lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.01),
    "Adadelta": optim.Adadelta,
    "Adamax": optim.Adamax,
    "NAdam": optim.NAdam,
    "RAdam": optim.RAdam,
    "clipped": lambda p: optim.SGD(p, lr=0.1, clip_norm=0.01),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("name", "before"),
    [(name, 2) for name in OPTIMIZERS]
    + [(name, 0) for name in ("momentum", "Adam", "centred", "Adadelta")],
)
def test_updates(name: str, before: int) -> None:
    """The update that is shown is the next one, and nothing has moved by showing it."""
    cr.manual_seed(0)
    model = around(nn.Tanh())
    optimizer = OPTIMIZERS[name](model.parameters())
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 3)), rng.integers(0, 2, 3)

    def step() -> None:
        loss = CE(model(cr.tensor(x)), cr.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(before):
        step()
    state = str(optimizer.state_dict()), str(model.state_dict())
    e = cr.explain(model, x, y, CE, optimizer)
    assert (str(optimizer.state_dict()), str(model.state_dict())) == state
    held(e)
    step()
    shown = {k.text(): q.array for k, q in e.numbers.items()}
    for name_, symbol in (("0.weight", "(W⁽¹⁾)′"), ("2.bias", "(b⁽²⁾)′")):
        np.testing.assert_allclose(shown[symbol], model.state_dict()[name_], rtol=1e-12)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("seed", range(8))
def test_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    held(cr.explain(model, x, y, loss))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_many_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    held(cr.explain(model, x, y, loss))


def test_in_float32_to_its_precision() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    check = cr.explain(model, np.ones((2, 3)), [0, 1], CE).check()
    assert check.ok
    assert check.error < 1e-15
    assert 0 < check.rounding < 1


@pytest.mark.parametrize("which", range(12))
def test_a_wrong_number_is_found(which: int) -> None:
    """A check that could not fail would say nothing."""
    model = nn.Sequential(nn.Linear(3, 4, **D), nn.Tanh(), nn.Linear(4, 2, **D))
    rng = np.random.default_rng(0)
    e = cr.explain(model, rng.normal(size=(2, 3)), [0, 1], CE)
    symbols = [q.name for q in e.equations() if q.name in e.numbers]
    name = symbols[which % len(symbols)]
    e.numbers[name].array.flags.writeable = True
    e.numbers[name].array.flat[0] += 1e-3
    assert not e.check().ok
    assert "DISAGREE" in str(e.check())


def test_rows_of_padding_are_looked_up_like_others_and_not_trained() -> None:
    cr.manual_seed(0)
    table = nn.Embedding(5, 3, padding_idx=0, **D)
    model = nn.Sequential(table, nn.Flatten(), nn.Linear(6, 2, **D))
    table.weight.data[0] = 7.0  # as a table from elsewhere may have it
    e = cr.explain(model, np.array([[0, 2]], np.int32), np.array([1]), CE)
    held(e)
    texts = [q.text() for q in e.equations()]
    assert "a⁽⁰⁾ = E⁽⁰⁾[x]" in texts
    assert "∂ℒ/∂E⁽⁰⁾ = 0[x] += (0 if [x = 0] else ∂ℒ/∂a⁽⁰⁾)" in texts
