"""``lr_find``: a rate that learns, or the word that there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset, Stream
from chainrule.doctor import Case, RangeTest, changes, examples, range_test
from chainrule.errors import ArgumentError, ChainruleError


def trainer(model: Any = None, optimizer: Any = None, **given: Any) -> cr.Trainer:
    options = {"loss": nn.CrossEntropyLoss(), "engine": "numpy"} | given
    return cr.Trainer(
        examples.mlp() if model is None else model,
        optimizer=optim.Adam(lr=0.001) if optimizer is None else optimizer,
        **options,
    )


def found(model: Any = None, optimizer: Any = None, rows: Any = None, **given: Any):
    data = examples.moons() if rows is None else rows
    return cr.lr_find(trainer(model, optimizer, **given), data)


def risen(result: RangeTest, rate: float) -> bool:
    """Whether the smoothed loss has risen before a rate is reached."""
    there = result.smoothed[result.rates <= rate]
    fallen = result.smoothed[0] - there.min()
    return bool(there[-1] - there.min() > 0.1 * fallen + 1e-6)


SCHEDULES = [
    lambda: optim.Adam(lr=1e-6),
    lambda: optim.SGD(lr=1e-6),
    lambda: optim.SGD(lr=1e-6, momentum=0.9),
    lambda: optim.Adadelta(),
    lambda: optim.SGD(lr=optim.OneCycleLR(1e-6)),
    lambda: optim.SGD(lr=optim.LinearWarmup(optim.CosineAnnealingLR(1e-6), steps=3)),
    lambda: optim.SGD(lr=optim.ReduceLROnPlateau(1e-6, monitor="train_loss")),
    lambda: optim.SGD([{"params": "*bias"}, {"params": "*", "lr": 1e-5}], lr=1e-6),
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("optimizer", SCHEDULES)
def test_the_rate_that_is_proposed_learns(optimizer: Any) -> None:
    result = found(optimizer=optimizer())
    rate = result.suggestion
    assert rate is not None
    assert rate < result.rates[int(result.smoothed.argmin())]
    assert not risen(result, rate)
    made = optimizer()
    data = examples.moons()
    factor = rate / 1e-6
    if isinstance(made, optim.Adadelta):
        factor = rate
    learnt = trainer(optimizer=made)
    setup = Case(learnt, data, epochs=20).setup
    change = changes.rate_times(setup, factor)
    assert change is not None
    change.apply(setup)
    run = setup.trainer()
    run.fit(data, epochs=20, progress=False)
    assert (run.predict(data).argmax(1) == data.y).mean() > 0.85


@pytest.mark.parametrize(
    ("scale", "low", "high"), [(1e4, 1e-9, 1e-4), (1.0, 1e-2, 10.0)]
)
def test_inputs_of_any_scale(scale: float, low: float, high: float) -> None:
    made = examples.moons()
    rows = Dataset((made.x[:] * scale).astype(np.float32), made.y, classes=2)
    rate = found(optimizer=optim.SGD(lr=0.1), rows=rows).suggestion
    assert rate is not None
    assert low < rate < high


class Blind(nn.Module):
    """A network whose output depends on nothing that it can change."""

    def __init__(self) -> None:
        self.weight = nn.Linear(2, 2, bias=False)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.weight(x * 0)


class Root(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(2, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return (self.inner(x) * 0 - 2).sqrt()


def perfect() -> tuple[Any, Any]:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 0.0)
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    return model, Dataset(x, 2 * x)


def test_curves_that_support_no_rate_are_named() -> None:
    blind = found(Blind())
    assert blind.suggestion is None
    assert "stays at" in blind.reason
    model, rows = perfect()
    done = found(model, rows=rows, loss=nn.MSELoss())
    assert done.suggestion is None
    assert "nothing is left to learn" in done.reason
    root = found(Root())
    assert root.suggestion is None
    assert "at the first step" in root.reason
    assert len(root.losses) == 0
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    chance = found(rows=Dataset(x, rng.integers(0, 2, 300), classes=2))
    assert chance.suggestion is None
    for result in (blind, done, root, chance):
        assert "No learning rate" in str(result)
        assert "No learning rate" in result._repr_html_()


@pytest.mark.parametrize("rows", [1, 3])
def test_tiny_data(rows: int) -> None:
    made = examples.moons()
    data = Dataset(made.x[:rows], made.y[:rows], classes=2)
    result = found(rows=data)
    assert result.suggestion is None or not risen(result, result.suggestion)


def test_a_stream_and_loaders() -> None:
    made = examples.moons()
    assert found(rows=Stream(lambda: iter([*made]))).suggestion is not None
    assert found(rows=(made.x[:], made.y)).suggestion is not None


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_nothing_is_touched_and_the_same_again(engine: str) -> None:
    made = trainer(optimizer=optim.Adam(lr=0.003), engine=engine)
    data = examples.moons()
    made.fit(data, epochs=2, batch_size=16, progress=False)
    before = [t.numpy().copy() for __, t in made.model.named_tensors()]
    moments = [
        m.numpy().copy() for s in made.optimizer.state.values() for m in s.values()
    ]
    cr.manual_seed(5)
    expected = cr.rand(3).numpy()
    cr.manual_seed(5)
    first, second = cr.lr_find(made, data), cr.lr_find(made, data)
    assert np.array_equal(cr.rand(3).numpy(), expected)
    after = [t.numpy() for __, t in made.model.named_tensors()]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    later = [m.numpy() for s in made.optimizer.state.values() for m in s.values()]
    assert all(np.array_equal(a, b) for a, b in zip(moments, later, strict=True))
    assert (made.optimizer.lr, made.epoch) == (0.003, 2)
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())
    # Of a Trainer with a run the batches are those of the run.
    assert first.steps > 0


def test_rates_that_are_given_are_kept_to() -> None:
    result = cr.lr_find(trainer(), examples.moons(), min_lr=1e-4, max_lr=1.0, steps=50)
    assert result.rates[0] == pytest.approx(1e-4)
    assert result.rates[-1] <= 1.0
    assert result.suggestion is not None
    assert 1e-5 < result.suggestion < 1


def test_what_is_shown() -> None:
    result = found()
    text = str(result)
    assert text.startswith("Proposed: lr=")
    assert "held at lr=" in text
    assert "<svg" in result._repr_html_()
    assert repr(result) == text


def test_bad_input_is_refused() -> None:
    data = examples.moons()
    with pytest.raises(ArgumentError, match="needs a Trainer"):
        cr.lr_find(nn.Linear(2, 2), data)  # type: ignore[arg-type]
    for given in (
        {"min_lr": 1.0, "max_lr": 0.1},
        {"min_lr": 0.0},
        {"max_lr": -1.0},
        {"steps": 0},
        {"batch_size": 0},
    ):
        with pytest.raises(ArgumentError):
            cr.lr_find(trainer(), data, **given)  # type: ignore[arg-type]
    with pytest.raises(ChainruleError):
        cr.lr_find(trainer(), None)
    with pytest.raises(ChainruleError):
        cr.lr_find(trainer(nn.Linear(3, 2)), data)
    with pytest.raises(ChainruleError):
        cr.lr_find(trainer(examples.mlp().requires_grad_(False)), data)
    with pytest.raises(ArgumentError, match="error of its own"):
        cr.lr_find(trainer(loss=lambda p, t: 1 / 0), data)


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_ctrl_c_keeps_the_curve(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, count = range_test._Test._losses, iter(range(100))

    def interrupted(self: Any, rates: Any) -> Any:
        if next(count) >= parts:
            raise KeyboardInterrupt
        return whole(self, rates)

    monkeypatch.setattr(range_test._Test, "_losses", interrupted)
    result = found()
    assert result.interrupted
    assert result.suggestion is None
    assert bool(len(result.rates)) == (parts > 0)
    assert "interrupted" in str(result)


def test_a_curve_is_read() -> None:
    """Curves of known shape: the first fall, the first rise."""
    rates = np.geomspace(1e-7, 10, 200)
    logs = np.log10(rates)
    noise = 0.01 * np.random.default_rng(0).normal(size=200)

    def read(losses: Any) -> range_test._Curve:
        losses = np.asarray(losses, np.float64)
        smoothed = range_test._smoothed(losses)
        result = RangeTest(rates, losses, smoothed, None, "", "")
        return range_test._Curve(result, 200)

    fall = 1 / (1 + np.exp(4 * (logs + 3)))
    curve = read(fall + np.exp(6 * (logs - 0.5)) + noise)
    assert curve.falls
    assert all(1e-4 < r < 0.3 for r in curve.candidates())
    assert curve.risen is not None
    assert not read(1 + noise).falls
    assert not read(1 + np.exp(6 * (logs - 0.5)) + noise).falls
    late = read(fall + noise)
    assert late.falls
    assert late.late
    # A second, lower valley behind a rise is not reached.
    hill = 3 * np.exp(-((logs + 1.5) ** 2) / 0.05)
    curve = read(fall + hill - 0.5 * (logs > -0.5) + noise)
    assert rates[curve.lowest] < 10**-1.5


def test_rates_that_are_held_have_two_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower ones too, which come after the first have failed."""
    held: list[float] = []

    def fails(self: Any, rate: float, curve: Any) -> bool:
        held.append(rate)
        self.held[rate] = 1.0, 0.5
        return len(held) > 4

    monkeypatch.setattr("chainrule.doctor.range_test._Test._holds", fails)
    result = found()
    assert len(held) >= 5
    assert [float(f"{rate:.1e}") for rate in held] == held
    assert result.suggestion in held
