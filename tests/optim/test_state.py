"""state_dict and load_state_dict of optimisers: whole, copied, or refused."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ShapeError

X = np.random.default_rng(0).normal(size=(40, 8, 3)).astype("float32")


def network(hidden: int = 4) -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def adam(model: nn.Module, **given: Any) -> optim.Optimizer:
    given = {
        "lr": optim.StepLR(0.05, step_size=4, unit="step"),
        "clip_norm": 0.5,
    } | given
    groups = {"*.bias": {"lr": 0.02, "weight_decay": 0.0}}
    return optim.AdamW(model.parameters(), groups=groups, **given)


def train(model: nn.Module, optimizer: optim.Optimizer, first: int, last: int) -> Any:
    losses = []
    for x in X[first:last]:
        optimizer.zero_grad()
        loss = ((model(cr.tensor(x)) - x.sum(1, keepdims=True)) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


MAKERS = {
    "adamw, groups, a schedule, clipping": adam,
    "sgd": lambda m: optim.SGD(m.parameters(), lr=0.1),
    "nesterov": lambda m: optim.SGD(
        m.parameters(), lr=0.05, momentum=0.9, nesterov=True
    ),
    "rmsprop": lambda m: optim.RMSprop(m.parameters(), lr=0.01, momentum=0.5),
    "adagrad": lambda m: optim.Adagrad(m.parameters(), lr=0.1, clip_value=0.1),
    "adam": lambda m: optim.Adam(m.parameters(), lr=0.01, betas=(0.8, 0.99)),
    "two groups": lambda m: optim.SGD(
        [
            {"params": m[0].parameters()},
            {"params": m[2].parameters(), "lr": 1e-3, "momentum": 0.5},
        ],
        lr=0.1,
    ),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_another_one_goes_on_bit_for_bit(make: Any) -> None:
    model = network()
    optimizer = make(model)
    losses = train(model, optimizer, 0, 5)
    kept, weights = optimizer.state_dict(), model.state_dict()
    losses += train(model, optimizer, 5, 20)

    model = network()
    optimizer = make(model)
    model.load_state_dict(weights)
    optimizer.load_state_dict(kept)
    assert losses[5:] == train(model, optimizer, 5, 20), "and the copies did not move"
    assert optimizer.steps == 20


def test_rates_and_options_come_along() -> None:
    model = network()
    old = adam(model, weight_decay=0.3, betas=(0.7, 0.8))
    train(model, old, 0, 6)
    new = adam(network(), lr=1.0, clip_norm=7.0)
    new.load_state_dict(old.state_dict())
    assert (new.steps, new.lr, new.clip_norm) == (6, old.lr, 0.5)
    for mine, theirs in zip(new.param_groups, old.param_groups, strict=True):
        assert {k: v for k, v in mine.items() if k != "params"} == {
            k: v for k, v in theirs.items() if k != "params"
        }
    assert new.param_groups[0]["betas"] == (0.7, 0.8)
    assert new.param_groups[1]["lr"] == 0.02
    assert new.param_groups[1].own_schedule is not old.param_groups[1].own_schedule


def test_a_compiled_step_goes_on_from_it() -> None:
    def compiled() -> tuple[nn.Module, optim.Optimizer, Any]:
        model = network()
        optimizer = adam(model)

        @cr.compile(engine="numpy")
        def step(x: cr.Tensor) -> cr.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return model, optimizer, step

    model, optimizer, step = compiled()
    for x in X[:5]:
        step(x)
    weights, kept = model.state_dict(), optimizer.state_dict()
    wanted = [step(x).item() for x in X[5:10]]
    model, optimizer, step = compiled()
    step(X[0])  # it has its machine already
    model.load_state_dict(weights)
    optimizer.load_state_dict(kept)
    assert [step(x).item() for x in X[5:10]] == wanted
    with pytest.raises(ArgumentError, match="would change the update rule"):
        optimizer.load_state_dict(kept | {"clip_norm": None})


def changed(path: str, value: Any) -> Any:
    """An edit of a state_dict: "state/0.bias/m"."""

    def edit(state: dict[str, Any]) -> None:
        *way, last = path.split("/")
        item: Any = state
        for key in way:
            item = item[int(key) if isinstance(item, list) else key]
        item[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        (lambda s: s.pop("steps"), ArgumentError, "keys(.|\n)*'steps'"),
        (changed("more", 1), ArgumentError, "keys(.|\n)*'more'"),
        (changed("optimizer", "SGD"), ArgumentError, "another(.|\n)*AdamW(.|\n)*SGD"),
        (changed("steps", -1), ArgumentError, "steps must be a whole number"),
        (changed("lr", math.nan), ArgumentError, "learning rate"),
        (changed("lr", {"name": "StepLr"}), ArgumentError, "StepLR"),
        (changed("clip_norm", -1.0), ArgumentError, "clip_norm must be positive|> 0"),
        (changed("clip_value", -1.0), ArgumentError, "clip_value must be positive|> 0"),
        (changed("clip_value", "1"), ArgumentError, "clip_value"),
        (changed("param_groups/0/eps", -1.0), ArgumentError, "eps"),
        (changed("param_groups/0/esp", 1.0), ArgumentError, "param_groups(.|\n)*esp"),
        (changed("param_groups/1/params", ["0.bias"]), ArgumentError, "param_groups"),
        (lambda s: s["param_groups"].pop(), ArgumentError, "param_groups"),
        (lambda s: s["state"].pop("0.bias"), ArgumentError, "parameters(.|\n)*0.bias"),
        (changed("state/0.bias/more", 0.0), ArgumentError, "moments of 0.bias"),
        (
            lambda s: s["state"]["2.weight"].update(m=np.zeros((4, 1))),
            ShapeError,
            r"m of 2.weight(.|\n)*\(1, 4\)(.|\n)*\(4, 1\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    edit: Any, error: type[Exception], says: str
) -> None:
    model = network()
    optimizer = adam(model)
    train(model, optimizer, 0, 3)
    before = optimizer.state_dict()
    state = adam(network()).state_dict()
    edit(state)
    with pytest.raises(error, match=says):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_it_can_be_copied_and_holds_no_tensor() -> None:
    model = network()
    optimizer = adam(model)
    train(model, optimizer, 0, 2)
    state = optimizer.state_dict()
    np.testing.assert_equal(copy.deepcopy(state), state)
    moments = state["state"]["0.weight"]
    assert moments
    assert all(type(a) is np.ndarray for a in moments.values())
