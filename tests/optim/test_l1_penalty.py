"""The L1 penalty: PyTorch's with the penalty written by hand, on every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError
from chainrule.runs import Session, parse
from tests.ways import ENGINES, WAYS

torch = pytest.importorskip("torch", exc_type=ImportError)

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.random.default_rng(1).normal(size=(12, 1))
D: dict[str, Any] = {"dtype": "float64"}
LAMBDA = 0.05
#: Optimisers with options that both have.
RULES: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "Adam": {"lr": 0.05, "weight_decay": 0.01},
    "AdamW": {"lr": 0.05, "weight_decay": 0.1},
    "Adamax": {"lr": 0.05},
    "NAdam": {"lr": 0.05},
    "RAdam": {"lr": 0.05},
    "RMSprop": {"lr": 0.01},
    "Adagrad": {"lr": 0.1},
    "Adadelta": {"lr": 1.0},
}


def network() -> nn.Sequential:
    """With a weight and a bias at 0, where |w| has a kink."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4, **D), nn.Tanh(), nn.Linear(4, 1, **D))
    with cr.no_grad():
        model[0].weight[0, 0] = 0.0
        model[0].bias[1] = 0.0
    return model


def by_hand(rule: str, steps: int, spared: bool) -> dict[str, np.ndarray]:
    """PyTorch's weights, with the penalty added to the loss."""
    ours = network()
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)
    ).double()
    theirs.load_state_dict(
        {k: torch.tensor(np.array(v)) for k, v in ours.state_dict().items()}
    )
    optimizer = getattr(torch.optim, rule)(theirs.parameters(), **RULES[rule])
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((theirs(x) - y) ** 2).mean()
        for name, p in theirs.named_parameters():
            if not (spared and name.endswith("bias")):
                loss = loss + LAMBDA * p.abs().sum()
        loss.backward()
        optimizer.step()
    return {k: v.detach().numpy() for k, v in theirs.named_parameters()}


def options(rule: str, spared: bool) -> dict[str, Any]:
    groups = [{"params": "*.bias", "l1_penalty": 0.0}, {"params": "*"}]
    more = {"params": groups} if spared else {}
    return {**RULES[rule], "l1_penalty": LAMBDA, **more}


def same(model: nn.Module, wanted: dict[str, np.ndarray], close: float = 1e-11) -> None:
    for name, p in model.named_parameters():
        np.testing.assert_allclose(
            p.detach().numpy(), wanted[name], rtol=1e-9, atol=close, err_msg=name
        )


@pytest.mark.parametrize("spared", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", RULES)
def test_a_trainer_has_the_weights_of_a_penalty_by_hand(
    rule: str, engine: Any, spared: bool
) -> None:
    trainer = cr.Trainer(
        network(),
        loss=nn.MSELoss(),
        optimizer=getattr(optim, rule)(**options(rule, spared)),
        engine=engine,
    )
    trainer.fit((X, Y), epochs=6, batch_size=12, progress=False)
    # PyTorch's NAdam keeps its product of momenta in float32.
    close = 1e-8 if rule == "NAdam" else 1e-11
    same(trainer.model, by_hand(rule, 6, spared), close)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_a_loop_has_them_too(rule: str, way: Any) -> None:
    model = network()
    given = options(rule, False)
    optimizer = getattr(optim, rule)(model.parameters(), **given)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()

    function = step if way == "eager" else cr.compile(step, engine=way)
    for _ in range(6):
        function(cr.tensor(X), cr.tensor(Y))
    same(model, by_hand(rule, 6, False))


@pytest.mark.parametrize("way", WAYS)
def test_the_penalty_is_changed_between_two_steps(way: Any) -> None:
    w = cr.tensor([2.0, -2.0, 0.0], dtype="float64", requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    def step() -> None:
        optimizer.zero_grad()
        (w * 0.0).sum().backward()
        optimizer.step()

    function = step if way == "eager" else cr.compile(step, engine=way)
    seen = []
    for penalty in (None, 1.0, 2.0, 0.0):
        optimizer.l1_penalty = penalty
        function()
        seen.append(w.detach().numpy().tolist())
    assert seen == [[2, -2, 0], [1.5, -1.5, 0], [0.5, -0.5, 0], [0.5, -0.5, 0]]


def test_a_checkpoint_keeps_it_bit_for_bit(tmp_path: Path) -> None:
    def trainer() -> cr.Trainer:
        rule = optim.Adam(lr=0.05, l1_penalty=LAMBDA)
        return cr.Trainer(network(), loss=nn.MSELoss(), optimizer=rule, seed=1)

    whole, half = trainer(), trainer()
    whole.fit((X, Y), epochs=6, batch_size=4, progress=False)
    half.fit((X, Y), epochs=3, batch_size=4, progress=False)
    half.save(tmp_path / "half.ckpt")
    loaded = cr.Trainer.load(tmp_path / "half.ckpt")
    assert loaded.optimizer.l1_penalty == LAMBDA
    loaded.fit((X, Y), epochs=3, batch_size=4, progress=False)
    for one, other in zip(whole.model.parameters(), loaded.model.parameters()):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())


def test_an_explanation_shows_the_slope_of_the_penalty() -> None:
    model = network()
    rule = optim.SGD(model.parameters(), lr=0.1, l1_penalty=LAMBDA)
    text = str(cr.explain(model, X[:1], Y[:1], nn.MSELoss(), optimizer=rule))
    assert "λ₁ sign" in text
    assert "formulas worked out from the numbers shown" in text


def test_a_run_file_says_it(tmp_path: Path) -> None:
    text = """
[data]
source = "moons"
[model]
layers = ["Linear"]
[optimizer]
class = "SGD"
lr = 0.1
l1_penalty = 0.25
[optimizer.groups."*.bias"]
l1_penalty = 0.0
[training]
epochs = 1
"""
    trainer = Session.begin(parse(text), tmp_path).trainer
    assert [g["l1_penalty"] for g in trainer.optimizer.param_groups] == [0.0, 0.25]


@pytest.mark.parametrize("value", [-0.1, np.inf, np.nan, "1", True])
def test_other_penalties_are_refused(value: Any) -> None:
    with pytest.raises(ArgumentError, match="l1_penalty"):
        optim.SGD(lr=0.1, l1_penalty=value)


@pytest.mark.parametrize("rule", ["LBFGS", "SparseAdam"])
def test_rules_without_a_penalty_do_not_take_one(rule: str) -> None:
    with pytest.raises((ArgumentError, TypeError), match="l1_penalty"):
        getattr(optim, rule)(lr=0.1, l1_penalty=0.1)
