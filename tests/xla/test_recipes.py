"""The recipes' training steps on XLA beside machine code: the losses of 100 steps.

The CNN and the GAN are compared in float64. In float32 a rounding grows there: where a
unit or a pooling window decides otherwise a gradient is another one, and Adam makes a
full step of it. NumPy and machine code part in the GAN as well, by 0.3 in 100 steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, rl
from chainrule.recipes import cnn, dqn, gan, gpt, mnist, rnn

STEPS = 100


def supervised(model: nn.Module, batch: int, engine: Any) -> list[float]:
    """A Trainer's losses, with the settings of the recipe ``mnist``."""
    train, __ = mnist.data(STEPS * batch)
    trainer = mnist.trainer(model, engine=engine)
    trainer.fit(train, epochs=1, batch_size=batch)
    return [float(x) for x in trainer.history.steps["loss"]]


def gru(engine: str) -> list[float]:
    cr.manual_seed(0)
    return supervised(rnn.Reader("GRU", 28, rnn.HIDDEN, 10), rnn.BATCH_SIZE, engine)


def language(engine: Any) -> list[float]:
    cr.manual_seed(0)
    model, s = gpt.GPT(65, gpt.FULL), gpt.FULL
    adamw = gpt.adamw(model, s)

    @cr.compile(engine=engine)
    def train(window: cr.Tensor) -> cr.Tensor:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        adamw.step()
        return loss

    rng = np.random.default_rng(0)
    text = rng.integers(65, size=(STEPS, s.batch, s.block + 1)).astype(np.uint8)
    return [train(window).item() for window in text]


def adversarial(engine: Any) -> list[float]:
    cr.manual_seed(0)
    experiment: Any = SimpleNamespace(compile=lambda f: cr.compile(f, engine=engine))
    __, train = gan.training_step(experiment, gan.GAN(gan.FULL), gan.FULL)
    x = mnist.data(STEPS * gan.BATCH_SIZE)[0].x[:]
    batches = np.asarray(x, cr.get_default_dtype().numpy)
    batches = batches.reshape(STEPS, gan.BATCH_SIZE, 784)
    return [loss.item() for batch in batches for loss in train(batch)]


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


#: Recipe → the function that gives its losses, how far apart they may be, the dtype.
RUNS: dict[str, tuple[Callable[[str], list[float]], float, cr.DType]] = {
    "mnist": (lambda engine: supervised(mnist.network(), 32, engine), 1e-5, cr.float32),
    "gru": (gru, 1e-5, cr.float32),
    "dqn": (q_learning, 1e-5, cr.float32),
    "gpt": (language, 1e-4, cr.float32),
    "cnn": (lambda engine: supervised(cnn.network(), 64, engine), 1e-9, cr.float64),
    "gan": (adversarial, 1e-9, cr.float64),
}
QUICKLY = ("mnist", "gru", "dqn")


@pytest.fixture
def default_dtype() -> Iterator[None]:
    before = cr.get_default_dtype()
    yield
    cr.set_default_dtype(before)


@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize(
    "name",
    [n if n in QUICKLY else pytest.param(n, marks=pytest.mark.slow) for n in RUNS],
)
def test_the_losses_of_100_steps(name: str) -> None:
    run, tolerance, dtype = RUNS[name]
    cr.set_default_dtype(dtype)
    theirs, ours = np.array(run("xla")), np.array(run("native"))
    assert len(ours) >= STEPS
    np.testing.assert_allclose(theirs, ours, rtol=tolerance)
