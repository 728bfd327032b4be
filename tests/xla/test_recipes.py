"""The recipes' training steps on XLA beside machine code: the losses of 100 steps.

The CNN and the GAN are compared in float64. In float32 no two orders of sums can
agree: weights that are moved by one unit in the last place lead as far away on one and
the same engine (``benchmarks/xla.py --losses``). In the CNN a rounding decides
otherwise at a ReLU or in a pooling window, among millions of them; without kinks its
losses agree in float32. The game of the GAN makes a rounding five thousand times
larger by itself.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, rl
from chainrule.recipes import dqn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
recipes: Any = importlib.import_module("recipe_losses")
STEPS = recipes.STEPS


def q_learning(engine: Any) -> list[float]:
    pytest.importorskip("gymnasium", reason="needs gymnasium")
    s = dqn.QUICK
    agent = rl.DQN(
        "CartPole-v1",
        policy=(120, 84),
        learning_rate=s.lr,
        learning_starts=s.batch_size,
        batch_size=s.batch_size,
        train_freq=1,
        max_grad_norm=None,
        double_q=False,
        loss=nn.functional.mse_loss,
        engine=engine,
    )
    agent.begin(10 * STEPS)
    seen: list[float] = []
    while len(seen) < STEPS:
        agent.round()
        if agent.mean_q is not None:
            seen.append(agent.mean_q.item())
    return seen


#: Recipe → how far apart the losses may be, the dtype, and what is changed.
RUNS: dict[str, tuple[float, cr.DType, Any]] = {
    "mnist": (1e-5, cr.float32, recipes.unchanged),
    "gru": (1e-5, cr.float32, recipes.unchanged),
    "gpt": (1e-4, cr.float32, recipes.unchanged),
    "cnn": (1e-9, cr.float64, recipes.unchanged),
    "gan": (1e-9, cr.float64, recipes.unchanged),
    "cnn without kinks": (1e-5, cr.float32, recipes.without_kinks),
}
QUICKLY = ("mnist", "gru")


@pytest.mark.parametrize(
    "name",
    [n if n in QUICKLY else pytest.param(n, marks=pytest.mark.slow) for n in RUNS],
)
def test_the_losses_of_100_steps(name: str) -> None:
    tolerance, dtype, change = RUNS[name]
    theirs, ours = (
        recipes.losses(name.partition(" ")[0], engine, dtype, change)
        for engine in ("xla", "native")
    )
    assert len(ours) >= STEPS
    np.testing.assert_allclose(theirs, ours, rtol=tolerance)


def test_the_values_of_an_agent() -> None:
    theirs, ours = np.array(q_learning("xla")), np.array(q_learning("native"))
    assert len(ours) >= STEPS
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)


@pytest.mark.parametrize("name", ["mnist", pytest.param("cnn", marks=pytest.mark.slow)])
def test_gradients_are_as_precise_as_float32_allows(name: str) -> None:
    """Beside float64, each in units of 2⁻²⁴ of its norm; XLA's convolutions on CPUs
    add up the gradient of a kernel in long chains."""
    assert max(recipes.gradient_errors(name, "native")) < 12
    assert max(recipes.gradient_errors(name, "xla")) < 40


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "gan"])
def test_one_unit_in_the_last_place_leads_as_far_away(name: str) -> None:
    """On one engine: so no engine can be held to less in float32."""
    first = recipes.losses(name, "native", cr.float32)
    moved = [
        recipes.apart(
            recipes.losses(name, "native", cr.float32, recipes.moved(i)), first
        )
        for i in range(3)
    ]
    xla = recipes.apart(recipes.losses(name, "xla", cr.float32), first)
    assert max(moved) > 1e-3  # a hundred times what two engines should agree to
    assert xla < 10 * max(moved)
