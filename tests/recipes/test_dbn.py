"""dbn against sums over all states and NumPy, cut short, and to its reference."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, dbn
from chainrule.training import compile_program

from .runs import check

RECIPE = "dbn"


def machine(rng: np.random.Generator, visible: int = 5, hidden: int = 4) -> Any:
    """A small one with weights that matter, and its W, b, c in double precision."""
    made = dbn.Boltzmann(visible, hidden)
    w, b, c = (rng.standard_normal(n) for n in ((hidden, visible), visible, hidden))
    names = ("weight", "visible_bias", "hidden_bias")
    made.load_state_dict({n: v.astype("f4") for n, v in zip(names, (w, b, c))})
    return made, (w, b, c)


def states(units: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=units)))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_its_formulas_are_those_of_the_energy(rng: np.random.Generator) -> None:
    """By e^−E of all 512 states."""
    made, (w, b, c) = machine(rng)
    v, h = states(5), states(4)
    weights = np.exp(v @ b[:, None] + h @ c + v @ w.T @ h.T)  # (v, h)
    free = made.free_energy(cr.tensor(v, dtype="float32")).numpy()
    np.testing.assert_allclose(free, -np.log(weights.sum(1)), rtol=1e-4, atol=1e-4)
    on = (weights @ h) / weights.sum(1, keepdims=True)
    said = made.hidden(cr.tensor(v, dtype="float32")).numpy()
    np.testing.assert_allclose(said, on, rtol=1e-4)
    on = (weights.T @ v) / weights.sum(0)[:, None]
    said = made.visible(cr.tensor(h, dtype="float32")).numpy()
    np.testing.assert_allclose(said, on, rtol=1e-4)


def test_the_chain_rule_finds_contrastive_divergence(
    rng: np.random.Generator, engine: str
) -> None:
    """The gradients against h vᵀ − h′ v′ᵀ with the engine's own random numbers."""
    made, (w, b, c) = machine(rng)
    v = rng.random((6, 5)).astype("f4")

    def step(v: cr.Tensor) -> Any:
        made.zero_grad()
        loss, again = made.divergence(v)
        loss.backward()
        return {"again": again}, {n: p.grad for n, p in made.named_parameters()}

    cr.manual_seed(5)
    again, found = cr.compile(step, engine=engine, threads=1)(v)
    found = {name: t.numpy() for name, t in (again | found).items()}
    cr.manual_seed(5)
    drawn = cr.rand(6, 4).numpy()

    h = sigmoid(v @ w.T + c)
    again = sigmoid((drawn < h) @ w + b)
    h_again = sigmoid(again @ w.T + c)
    np.testing.assert_allclose(found["again"], again, rtol=1e-4)
    likelier, less = h.T @ v / 6, h_again.T @ again / 6
    close = {"rtol": 1e-3, "atol": 1e-5}
    np.testing.assert_allclose(found["weight"], less - likelier, **close)
    np.testing.assert_allclose(found["visible_bias"], (again - v).mean(0), **close)
    np.testing.assert_allclose(found["hidden_bias"], (h_again - h).mean(0), **close)


def test_chains_go_on_from_where_they_are(engine: str) -> None:
    """v′ is one step from the last v′, and the gradient is taken there."""
    x = np.zeros((100, 6), "f4")
    experiment = Experiment("dbn", engine=engine, threads=1)
    cr.manual_seed(0)
    persistent: Any = dbn.Boltzmann(6, 4, chains=100)
    _, train = dbn.training_step(experiment, persistent, steps=10)
    w, before = persistent.weight.numpy().copy(), persistent.chains.numpy()
    cr.manual_seed(7)
    train(x)
    after = persistent.chains.numpy()
    cr.manual_seed(7)
    first, second = cr.rand(100, 4).numpy(), cr.rand(100, 6).numpy()
    h = first < sigmoid(before @ w.T)
    np.testing.assert_array_equal(after, second < sigmoid(h @ w))
    moved = persistent.visible_bias.numpy()  # η (v − v′), from v = 0
    np.testing.assert_allclose(moved, -dbn.LR * after.mean(0), rtol=1e-4)


def test_units_are_on_as_often_as_they_should_be(engine: str) -> None:
    types = {"p": "f32[20000,3]"}
    program = compile_program({"draw": dbn.bernoulli}, types, engine=engine)
    cr.manual_seed(1)
    p = np.tile(np.array([0.0, 0.3, 1.0], "f4"), (20000, 1))
    drawn = program.run("draw", {"p": p})
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean(0) == pytest.approx([0, 0.3, 1], abs=0.015)  # 4.6 deviations


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    lines = text.split("in the last\n\n")[1].splitlines()[:3]
    for line in lines:
        _, _, first, last = (float(n) for n in line.split())
        assert last < 0.6 * first
    for row in result["errors"].values():
        for errors in row.values():
            assert errors < 0.3
            assert f"{errors:.2%}" in text
    check(whole, "features", "samples", "chains")
