"""Five layers with all that training uses: two engines, 200 steps, the same losses.

BatchNorm, GELU, dropout, clipping, AdamW with weight decay and a schedule. Engines sum
in different orders, so float32 losses may drift apart, by 1e-5 at most over 200 steps;
random bits may not differ at all.
"""

from __future__ import annotations

import importlib.util
import itertools
from unittest import mock

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from tests.ways import ENGINES

STEPS, BATCH, SIZES = 200, 64, (20, 64, 64, 32, 32, 5)
#: Dropout of 0.2 keeps an element where its 32 random bits are below this.
KEPT = round(0.8 * 2**32)
#: With biases, and for so long that the network has learnt: (bias, epochs).
LONGER = [(True, 8), (False, 20)]
#: Relative difference of losses after float32 and float64 rounding.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llvmlite") is None, reason="llvmlite has no wheel here"
)


def network(dtype: str = "float32", *, bias: bool = True) -> nn.Sequential:
    """Five layers; ``bias`` is that of the four in front of a normalisation."""
    cr.manual_seed(0)
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(SIZES[:-1]):
        layers += [
            nn.Linear(n, m, bias=bias, init="he_normal", dtype=dtype),
            nn.BatchNorm1d(m, dtype=dtype),
            nn.GELU(),
            nn.Dropout(0.2),
        ]
    return nn.Sequential(*layers, nn.Linear(SIZES[-2], SIZES[-1], dtype=dtype))


def optimizer(parameters=None) -> optim.AdamW:
    schedule = optim.OneCycleLR(1e-2, total_steps=STEPS)
    return optim.AdamW(parameters, lr=schedule, weight_decay=0.01, clip_norm=1.0)


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, SIZES[0]))
    scores = x @ rng.normal(size=(SIZES[0], SIZES[-1]))
    return x, (scores + rng.normal(size=scores.shape)).argmax(1).astype(np.int32)


def run(engine: str, dtype: str, steps: int = STEPS):
    """Losses, the masks of dropout and the weights of a hand-written step."""
    model = network(dtype)
    update, loss_of = optimizer(list(model.parameters())), nn.CrossEntropyLoss()
    cr.manual_seed(1)

    def step(x, y):
        drawn: list[cr.Tensor] = []

        def bits(shape):
            drawn.append(cr.random.bits(shape))
            return drawn[-1]

        model.zero_grad()
        with mock.patch.object(nn.regularization, "bits", bits):
            loss = loss_of(model(x), y)
        loss.backward()
        update.step()
        return loss, [b < KEPT for b in drawn]

    function = step if engine == "eager" else cr.compile(step, engine=engine)
    x, y = data(BATCH * STEPS)
    losses, masks = [], []
    for k in range(steps):
        rows = slice(k * BATCH, (k + 1) * BATCH)
        loss, kept = function(cr.tensor(x[rows], dtype=dtype), cr.tensor(y[rows]))
        losses.append(float(loss))
        masks.append([np.asarray(m) for m in kept])
    return np.array(losses), masks, model.state_dict()


def assert_same_masks(masks, others) -> None:
    for mine, theirs in zip(masks, others, strict=True):
        assert len(mine) == 4
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
            assert 0.7 < a.mean() < 0.9


@pytest.mark.parametrize(
    ("dtype", "steps"),
    [("float32", STEPS), pytest.param("float64", 20, marks=pytest.mark.slow)],
)
def test_losses_of_200_steps_and_every_mask(dtype, steps):
    losses, masks, state = run("numpy", dtype, steps)
    others, other_masks, other_state = run("native", dtype, steps)
    assert losses[-10:].mean() < (0.6 if steps == STEPS else 0.9) * losses[0]
    difference = np.abs(others - losses) / losses
    assert difference.max() <= TOLERANCE[dtype], f"step {difference.argmax()}"
    assert_same_masks(masks, other_masks)
    # Biases in front of a normalisation have a gradient of 0 but for rounding, which
    # Adam magnifies to whole steps: they drift, and running means follow them.
    drifting = {f"{4 * k}.bias" for k in range(4)}
    drifting |= {f"{4 * k + 1}.running_mean" for k in range(4)}
    for name in state.keys() - drifting:
        scale = max(1.0, float(np.abs(state[name]).max()))
        gap = np.abs(other_state[name] - state[name]).max() / scale
        assert gap <= TOLERANCE[dtype], name


@pytest.mark.parametrize(
    ("bias", "epochs"),
    [(False, 8), *(pytest.param(b, n, marks=pytest.mark.slow) for b, n in LONGER)],
)
def test_the_trainer_with_a_last_batch_of_one_row(bias, epochs):
    """Epochs of 11 steps; the 11th has one row, which has no statistics."""
    x, y = data(10 * BATCH + 1)
    x = x.astype(np.float32)
    made = {}
    for engine in ENGINES:
        model = network(bias=bias)
        trainer = cr.Trainer(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.AdamW(lr=optim.OneCycleLR(1e-2), clip_norm=1.0),
            engine=engine,
            seed=3,
        )
        history = trainer.fit(
            (x, y), epochs=epochs, batch_size=BATCH, validation=(x, y), progress=False
        )
        validation = [row["validation_loss"] for row in history.epochs]
        made[engine] = history.steps["loss"], np.array(validation)
        assert model[1].num_batches_tracked.item() == 10 * epochs
    (steps, validation), (other_steps, other_validation) = made.values()
    assert len(steps) == 11 * epochs
    np.testing.assert_allclose(other_steps, steps, rtol=TOLERANCE["float32"])
    assert validation[-1] < (0.5 if epochs == 20 else 0.9) * validation[0]
    if not bias:  # with biases the running means lag behind their drift
        np.testing.assert_allclose(
            other_validation, validation, rtol=TOLERANCE["float32"]
        )
