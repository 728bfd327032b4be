"""Optimisers that are written as in PyTorch, and groups that are added later."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ChainruleError


class Momentum(optim.Optimizer):
    """SGD with momentum, in PyTorch's words."""

    def __init__(self, params: Any, lr: float = 0.1, momentum: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @cr.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with cr.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["buffer"] = cr.zeros_like(p)
                state["step"] += 1
                state["buffer"].mul_(group["momentum"]).add_(p.grad)
                p.add_(state["buffer"], alpha=-group["lr"])
        return loss


def network() -> nn.Module:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


X = cr.tensor(np.random.default_rng(0).normal(size=(8, 2)).astype("float32"))


def steps(model: nn.Module, optimizer: Any, count: int) -> list[Any]:
    for __ in range(count):
        optimizer.zero_grad()
        (model(X) ** 2).mean().backward()
        optimizer.step()
    return [p.numpy().copy() for p in model.parameters()]


def groups_of(model: nn.Module) -> list[dict[str, Any]]:
    return [
        {"params": model[0].parameters(), "lr": 0.2},
        {"params": [model[2].weight]},
    ]


def test_its_step_is_that_of_the_rule() -> None:
    for options in ({"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}):
        a, b = network(), network()
        mine = steps(a, Momentum(groups_of(a), **options), 5)
        rule = steps(b, optim.SGD(groups_of(b), **options), 5)
        for x, y in zip(mine, rule, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)


def test_its_state_is_saved_and_goes_on() -> None:
    a, b = network(), network()
    first = Momentum(groups_of(a), momentum=0.9)
    steps(a, first, 3)
    saved = pickle.loads(pickle.dumps(first.state_dict()))
    b.load_state_dict(a.state_dict())
    second = Momentum(groups_of(b), momentum=0.1)
    second.load_state_dict(saved)
    assert second.param_groups[0]["lr"] == 0.2
    assert second.state[b[2].weight]["step"] == 3
    for x, y in zip(steps(a, first, 2), steps(b, second, 2), strict=True):
        np.testing.assert_array_equal(x, y)
    with pytest.raises(ArgumentError, match="other parameters"):
        Momentum(b.parameters()).load_state_dict(saved)


def test_a_closure_is_called_with_derivatives() -> None:
    w = cr.tensor([3.0], requires_grad=True)
    optimizer = Momentum([w], lr=0.5)

    def closure() -> cr.Tensor:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert w.tolist() == [0.0]


@pytest.mark.parametrize("kind", [Momentum, optim.SGD, optim.Adam])
def test_a_group_is_added(kind: Any) -> None:
    model = network()
    optimizer = kind(model[0].parameters(), lr=0.1)
    steps(model, optimizer, 2)
    last = model[2].weight.numpy().copy()
    optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.01})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.01]
    assert [len(g["params"]) for g in optimizer.param_groups] == [2, 2]
    steps(model, optimizer, 2)
    assert not np.array_equal(model[2].weight.numpy(), last)
    assert isinstance(optimizer, optim.Optimizer)
    for wrong in (
        {"params": [model[0].weight]},
        {"params": []},
        {"params": ["*.bias"]},
        {"lr": 0.1},
    ):
        with pytest.raises(ChainruleError):
            optimizer.add_param_group(wrong)
    assert len(optimizer.param_groups) == 2


def test_a_group_is_added_to_a_compiled_step() -> None:
    model, other = network(), network()
    moved = optim.Adam(model[0].parameters(), lr=0.1)
    whole = optim.Adam(other[0].parameters(), lr=0.1)

    @cr.compile
    def step() -> cr.Tensor:
        moved.zero_grad()
        loss = (model(X) ** 2).mean()
        loss.backward()
        moved.step()
        return loss

    for __ in range(3):
        step()
    steps(other, whole, 3)
    for optimizer, net in ((moved, model), (whole, other)):
        optimizer.add_param_group({"params": net[2].parameters(), "lr": 0.01})
    for __ in range(3):
        step()
    steps(other, whole, 3)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-5, atol=1e-7)
    again = optim.Adam(
        [{"params": model[0].parameters()}, {"params": model[2].parameters()}]
    )
    again.load_state_dict(moved.state_dict())
    assert [g["lr"] for g in again.param_groups] == [0.1, 0.01]


def test_what_cannot_be_is_refused() -> None:
    model = network()
    with pytest.raises(ArgumentError, match="needs parameters"):
        Momentum([])
    with pytest.raises(ArgumentError, match="twice"):
        Momentum([{"params": model.parameters()}, {"params": [model[0].bias]}])
    with pytest.raises(ArgumentError, match="names and patterns"):
        Momentum(["*.bias"])
    with pytest.raises(ArgumentError, match="Trainer supplies"):
        optim.SGD(lr=0.1).add_param_group({"params": model.parameters()})
    lbfgs = optim.LBFGS(model[0].parameters())
    with pytest.raises(ArgumentError, match="one group"):
        lbfgs.add_param_group({"params": model[2].parameters()})

    class Nothing(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})

    with pytest.raises(ArgumentError, match=r"no step\(\)"):
        Nothing(model.parameters()).step()
    with pytest.raises(ArgumentError, match="optimizer"):
        cr.Trainer(model, loss=nn.MSELoss(), optimizer=Momentum(model.parameters()))


def test_copies_have_their_own_state() -> None:
    w = cr.tensor([1.0], requires_grad=True)
    optimizer = Momentum([w], momentum=0.5)
    (w * w).sum().backward()
    optimizer.step()
    both = copy.deepcopy((w, optimizer))
    assert both[1].param_groups[0]["params"][0] is both[0]
    assert both[1].state[both[0]]["step"] == 1
