"""A loss that stops being a number: the step and the node are found, and undone."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim, random
from chainrule.graph import emit
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.elementwise import exp as exponential

from .conftest import Make, pixels, raising, same, small_network

# Such data are warned of, which test_sanity_checks.py looks at.
pytestmark = pytest.mark.filterwarnings("ignore:Numbers this large")

BAD_ROW, SIZE = 17, 4


def poisoned() -> cr.data.Dataset:
    """Data in which one row overflows once it is squared."""
    data = pixels(40)
    x = data.x[...]
    x[BAD_ROW] = 1e25
    return cr.data.Dataset(x, data.y, classes=3)


def square_loss(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
    return (scores * scores).mean() * 1e-12


def first_bad_step(seed: int = 0) -> int:
    order = random.permutation(40, seed, 0)
    return int(np.flatnonzero(order == BAD_ROW)[0]) // SIZE


@pytest.mark.usefixtures("long_chunks")
def test_the_step_and_the_node(make: Make, engine: str) -> None:
    seed = 3
    trainer = make(
        engine=engine, loss=square_loss, optimizer=optim.SGD(lr=1e-30), seed=seed
    )
    bad = first_bad_step(seed)
    with pytest.raises(errors.NonFiniteError) as error:
        trainer.fit(poisoned(), epochs=2, batch_size=SIZE, progress=False)
    text = str(error.value)
    assert f"The loss is inf at step {bad + 1} (epoch 1)." in text
    assert "inf in 3 of 12 numbers of mul in 'loss' (forward, test_nonfinite" in text
    assert "lower the learning rate (it was 1e-30 at this step)" in text
    assert "the model keeps the weights of before this step" in text
    assert "checkpoint" not in text
    assert (trainer.epoch, trainer.step) == (0, bad)
    assert len(trainer.history) == bad == trainer.optimizer.steps


@pytest.mark.usefixtures("long_chunks")
def test_the_weights_are_those_of_before_the_step(make: Make, engine: str) -> None:
    """The same run on harmless data, stopped at the same step, has the same weights."""
    options: dict[str, Any] = {"loss": square_loss, "dropout": 0.3}
    trainer = make(engine=engine, optimizer=optim.Adam(), **options)
    with pytest.raises(errors.NonFiniteError):
        trainer.fit(poisoned(), epochs=1, batch_size=SIZE, progress=False)

    class Stop(cr.training.Callback):
        def on_chunk(self, trainer: cr.Trainer) -> None:
            if trainer.step == first_bad_step():
                trainer.stop()

    clean = make(engine=engine, optimizer=optim.Adam(), **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        data = pixels(40)
        as_float = cr.data.Dataset(data.x[...], data.y, classes=3)
        clean.fit(
            as_float, epochs=1, batch_size=SIZE, callbacks=[Stop()], progress=False
        )
    assert same(trainer.model, clean.model)
    for name, moments in trainer.optimizer.state.items():
        for key, t in moments.items():
            other = clean.optimizer.state[name][key]
            assert t.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.filterwarnings("ignore:.*climbs the loss")
@pytest.mark.parametrize(
    ("rate", "fix"), [(1e38, "lower the"), (-1e38, "take a positive")]
)
def test_a_learning_rate_that_blows_up(
    make: Make, data: cr.data.Dataset, engine: str, rate: float, fix: str
) -> None:
    trainer = make(engine=engine, optimizer=optim.SGD(lr=rate))
    with raising(errors.NonFiniteError, f"{fix} learning rate (it was {rate:.3g}"):
        trainer.fit(data, epochs=3, batch_size=10, progress=False)
    assert all(np.isfinite(w).all() for w in trainer.model.state_dict().values())


@pytest.mark.usefixtures("long_chunks")
def test_weights_that_overflow_while_the_loss_is_finite(make: Make) -> None:
    """The update is at fault, not the forward pass of the step after it."""
    data = pixels(40)

    def steep(scores: cr.Tensor, labels: cr.Tensor) -> cr.Tensor:
        return scores.mean() * 1e20

    trainer = make(loss=steep, optimizer=optim.SGD(lr=1e30))
    with pytest.raises(errors.NonFiniteError) as error:
        trainer.fit(data, epochs=1, batch_size=10, progress=False)
    text = str(error.value)
    assert "A weight stopped being a finite number in the update" in text
    assert "at step 1 (epoch 1)" in text
    assert "(update" in text
    assert same(trainer.model, small_network())


def test_weights_that_were_bad_before(make: Make, data: cr.data.Dataset) -> None:
    trainer = make()
    trainer.model[0].bias.copy_(np.full(8, np.nan, np.float32))
    with pytest.raises(errors.NonFiniteError) as error:
        trainer.fit(data, epochs=1, progress=False)
    assert "at step 1 (epoch 1)" in str(error.value)
    assert "in '0' (forward" in str(error.value)


def test_the_last_checkpoint_is_named_and_whole(make: Make, tmp_path: Path) -> None:
    trainer = make(loss=square_loss, optimizer=optim.SGD(lr=1e-30))
    with pytest.raises(errors.NonFiniteError) as error:
        trainer.fit(
            poisoned(),
            epochs=1,
            batch_size=SIZE,
            progress=False,
            checkpoint=tmp_path / "run",
        )
    last = tmp_path / "run" / "last.ckpt"
    assert f"last good checkpoint: {last}" in str(error.value)
    loaded = cr.Trainer.load(last, loss=square_loss)
    assert (loaded.epoch, loaded.step) == (0, 0)
    assert same(loaded.model, small_network())


def test_training_can_go_on_after_the_cause_is_gone(make: Make) -> None:
    trainer = make(loss=square_loss, optimizer=optim.SGD(lr=1e-30))
    with pytest.raises(errors.NonFiniteError):
        trainer.fit(poisoned(), epochs=1, batch_size=SIZE, progress=False)
    history = trainer.fit(pixels(40), epochs=1, batch_size=SIZE, progress=False)
    assert [row["epoch"] for row in history.epochs] == [2]


def test_a_custom_module_is_named_by_its_path(make: Make) -> None:
    class Root(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return (x - 0.5).log()

    model = nn.Sequential(nn.Linear(6, 3), Root())
    trainer = make(model=model, loss=lambda p, y: p.mean(), optimizer=optim.SGD())
    with pytest.raises(errors.NonFiniteError) as error:
        trainer.fit(pixels(10), epochs=1, batch_size=10, progress=False)
    assert "of log in '1' (forward, test_nonfinite.py:" in str(error.value)
    assert "The loss is nan" in str(error.value)


@pytest.mark.parametrize("several", [False, True])
def test_probabilities_that_are_none(make: Make, several: bool) -> None:
    """There is a warning before the run, and an error where it came true."""
    y: Any = np.arange(20) % 2 if several else (np.arange(20) % 2).reshape(-1, 1)
    loss = nn.CrossEntropyLoss(from_logits=False) if several else nn.BCELoss()
    model = nn.Sequential(nn.Linear(6, 2 if several else 1))
    trainer = make(model=model, loss=loss, optimizer=optim.SGD(lr=0.1))
    with (
        pytest.warns(errors.ChainruleWarning, match="probabilities"),
        pytest.raises(errors.ArgumentError, match="takes probabilities") as error,
    ):
        trainer.fit((pixels(20).x[...], y), epochs=1, progress=False, batch_size=20)
    assert "end the network in nn.S" in str(error.value)


def test_no_line_where_none_is_the_users() -> None:
    """Python's own library calls, as the command line's libraries do."""
    script = """if True:
        from chainrule.primitives.elementwise import exp
        from chainrule.graph import emit
        from chainrule.graph.types import ArrayType, DType
        graph = emit.trace(exp, [ArrayType((2,), DType.float32)])
        print([node.source for node in graph.nodes])
    """
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[None]"


def test_the_users_line_is_behind_the_libraries(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "helper.py").write_text("def call(f, x):\n    return f(x)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed)
        helper = importlib.import_module("helper")
    types = [ArrayType((2,), DType.float32)]
    graph = emit.trace(lambda x: helper.call(exponential, x), types)
    assert str(graph.nodes[0].source).startswith("test_nonfinite.py:")
