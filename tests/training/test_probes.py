"""Probes: each number against NumPy, at no cost to the run that they look into."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim, random
from chainrule.training.probes import names

from .conftest import Make, raising, same, small_network


def norm(a: Any) -> float:
    return float(np.linalg.norm(np.asarray(a, np.float64)))


class Hand:
    """The first step of ``small_network`` on its first batch, in float64 by hand."""

    def __init__(self, data: cr.data.Dataset, size: int) -> None:
        plain = small_network()
        w = {k: v.astype(np.float64) for k, v in plain.state_dict().items()}
        rows = random.permutation(len(data), 0, 0)[:size]
        x, y = data.x[rows].astype(np.float64), data.y[rows]
        self.z1 = x @ w["0.weight"].T + w["0.bias"]
        self.a1 = np.maximum(self.z1, 0)
        self.z2 = self.a1 @ w["2.weight"].T + w["2.bias"]
        e = np.exp(self.z2 - self.z2.max(1, keepdims=True))
        self.d2 = (e / e.sum(1, keepdims=True) - np.eye(3)[y]) / size
        self.da1 = self.d2 @ w["2.weight"]
        self.d1 = self.da1 * (self.z1 > 0)
        self.weights = w
        self.gradients = {
            "0.weight": self.d1.T @ x,
            "0.bias": self.d1.sum(0),
            "2.weight": self.d2.T @ self.a1,
            "2.bias": self.d2.sum(0),
        }


def test_every_probe(make: Make, data: cr.data.Dataset, engine: str) -> None:
    lr = 0.5
    trainer = make(engine=engine, optimizer=optim.SGD(lr=lr), probes=["*"])
    trainer.fit(data, epochs=1, batch_size=10, progress=False)
    steps, hand = trainer.history.steps, Hand(data, 10)
    expected: dict[str, float] = {"lr": lr}
    for name, g in hand.gradients.items():
        w = hand.weights[name]
        expected[f"grad_norm/{name}"] = norm(g)
        expected[f"weight_norm/{name}"] = norm(w)
        expected[f"update_ratio/{name}"] = lr * norm(g) / norm(w)
    whole = np.concatenate([g.ravel() for g in hand.gradients.values()])
    expected["grad_norm"] = norm(whole)
    for path, a, d in (
        ("0", hand.z1, hand.d1),
        ("1", hand.a1, hand.da1),
        ("2", hand.z2, hand.d2),
    ):
        expected[f"activation_mean/{path}"] = a.mean()
        expected[f"activation_std/{path}"] = a.std()
        expected[f"activation_max/{path}"] = a.max()
        expected[f"activation_norm/{path}"] = norm(a)
        expected[f"dead/{path}"] = (a.max(0) <= 0).mean()
        expected[f"delta_norm/{path}"] = norm(d)
    assert set(steps) == {"loss", *expected} == {"loss", *names(trainer.model)}
    for name, value in expected.items():
        assert steps[name][0] == pytest.approx(value, rel=1e-4, abs=1e-7), name
        assert len(steps[name]) == 5


def test_dead_units(make: Make, data: cr.data.Dataset, engine: str) -> None:
    model = small_network()
    model[0].bias.copy_(np.array([-1e3] * 3 + [1e3] * 5, np.float32))
    trainer = make(engine=engine, model=model, probes="dead/1")
    trainer.fit(data, epochs=1, batch_size=25, progress=False)
    assert trainer.history.steps["dead/1"].tolist() == [3 / 8, 3 / 8]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_probes_change_nothing(
    make: Make, data: cr.data.Dataset, engine: str, dropout: float
) -> None:
    optimizer: Any = {"clip_norm": 0.1, "lr": optim.OneCycleLR(0.05)}
    made = []
    for probes in ((), ["*"]):
        trainer = make(
            engine=engine,
            dropout=dropout,
            probes=probes,
            optimizer=optim.AdamW(**optimizer),
        )
        trainer.fit(data, epochs=2, batch_size=8, progress=False)
        made.append(trainer)
    assert same(made[0].model, made[1].model)
    for name, values in made[0].history.steps.items():
        assert values.tobytes() == made[1].history.steps[name].tobytes()


def test_the_default_is_no_other_graph(make: Make, data: cr.data.Dataset) -> None:
    """Nothing is computed that nobody asked for."""
    trainer = make()
    trainer.fit(data, epochs=1, batch_size=10, progress=False)
    entry = trainer._programs.training.program.traced["train"].entry
    assert entry.outputs == 3  # the loss, and the norms of two matrices
    assert "activation" not in str(entry.graph)
    assert list(trainer.history.steps) == [
        "loss",
        "grad_norm/0.weight",
        "grad_norm/2.weight",
    ]


def test_gradients_before_clipping_and_the_rate(
    make: Make, data: cr.data.Dataset
) -> None:
    schedule = optim.OneCycleLR(0.05)
    clipped = optim.SGD(lr=schedule, clip_norm=1e-3)
    trainer = make(optimizer=clipped, probes=["grad_norm", "lr", "update_ratio/0.*"])
    trainer.fit(data, epochs=2, batch_size=10, progress=False)
    steps = trainer.history.steps
    assert steps["grad_norm"].min() > 1e-2, "as they came out of backward()"
    assert steps["lr"].dtype == np.float64
    assert steps["lr"].tolist() == [schedule(t) for t in range(10)]
    # The clipped update is at most η·10⁻³ long.
    longest = steps["lr"] * 1e-3
    weights = norm(small_network().state_dict()["0.weight"])
    assert (steps["update_ratio/0.weight"] <= 1.01 * longest / weights * 1.1).all()


class Twice(nn.Module):
    """A layer that runs twice, one that gives two tensors, and one that gives none."""

    def __init__(self) -> None:
        self.layer = nn.Linear(6, 6)
        self.pair, self.held = Pair(), Held()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        _, y = self.pair(self.layer(self.layer(x)))
        return self.held(y)["x"][:, :3]


class Pair(nn.Module):
    def forward(self, x: cr.Tensor) -> Any:
        return x * 2.0, x


class Held(nn.Module):
    def forward(self, x: cr.Tensor) -> Any:
        return {"x": x}


def test_a_layer_that_runs_twice(make: Make, data: cr.data.Dataset) -> None:
    cr.manual_seed(0)
    model = Twice()
    probes = ["activation_mean/*", "delta_norm/layer#1"]
    trainer = make(model=model, optimizer=optim.SGD(lr=0.1), probes=probes)
    w = {k: v.astype(np.float64) for k, v in model.state_dict().items()}
    trainer.fit(data, epochs=1, batch_size=50, progress=False)
    steps = trainer.history.steps
    first = data.x[...] @ w["layer.weight"].T + w["layer.bias"]
    second = first @ w["layer.weight"].T + w["layer.bias"]
    names = ["activation_mean/layer", "activation_mean/layer#1", "delta_norm/layer#1"]
    kept = [*names[:2], "activation_mean/pair", names[2]]
    assert list(steps) == ["loss", "grad_norm/layer.weight", *kept]
    assert steps[kept[2]][0] == pytest.approx(2 * second.mean(), rel=1e-4)
    assert steps[names[0]][0] == pytest.approx(first.mean(), rel=1e-4)
    assert steps[names[1]][0] == pytest.approx(second.mean(), rel=1e-4)
    e = np.exp(second[:, :3])
    delta = (e / e.sum(1, keepdims=True) - np.eye(3)[data.y]) / 50
    assert steps[names[2]][0] == pytest.approx(norm(delta), rel=1e-4)


def test_a_model_without_modules_inside(make: Make, data: cr.data.Dataset) -> None:
    cr.manual_seed(0)
    trainer = make(model=nn.Linear(6, 3), probes=["activation_max/model"])
    trainer.fit(data, epochs=1, batch_size=25, progress=False)
    assert "activation_max/model" in trainer.history.steps


def test_a_forward_of_ones_own_stays(make: Make, data: cr.data.Dataset) -> None:
    model = small_network()
    first = model[0]
    model.forward = forward = lambda x: model[2](model[1](first(x)))
    trainer = make(model=model, probes=["activation_mean/*"])
    trainer.fit(data, epochs=1, progress=False)
    assert model.__dict__["forward"] is forward
    assert "forward" not in first.__dict__
    assert "activation_mean/1" in trainer.history.steps


@pytest.mark.parametrize(
    ("patterns", "parts"),
    [
        ("activation_mean/3", ("'activation_mean/3'", "did you mean")),
        (["grad_nrom/0.weight"], ("did you mean 'grad_norm/0.weight'?",)),
        (["activation_*/9#1"], ("No probe fits",)),
        ([3], ("No probe fits 3", "grad_norm, lr, grad_norm/0.weight")),
    ],
)
def test_patterns_that_fit_nothing(
    make: Make, patterns: Any, parts: tuple[str, ...]
) -> None:
    with raising(errors.ArgumentError, *parts):
        make(probes=patterns)


def test_probes_travel_with_checkpoints(
    make: Make, data: cr.data.Dataset, tmp_path: Any
) -> None:
    trainer = make(probes=["dead/*", "lr"])
    trainer.fit(data, epochs=1, progress=False)
    trainer.save(tmp_path / "run.ckpt")
    loaded = cr.Trainer.load(tmp_path / "run.ckpt")
    assert loaded.probes.patterns == ("dead/*", "lr")
    assert cr.Trainer.load(tmp_path / "run.ckpt", probes=()).probes.patterns == ()
