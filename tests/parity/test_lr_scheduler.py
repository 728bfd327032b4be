"""Schedulers that are stepped, beside PyTorch's: rates, momenta, states."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import optim
from chainrule.errors import ArgumentError, ChainruleWarning

pytestmark = pytest.mark.parity

#: Expressions of a scheduler module ``s`` and an optimiser ``o``.
SCHEDULERS = [
    "s.StepLR(o, 3)",
    "s.StepLR(o, step_size=2, gamma=0.7)",
    "s.MultiStepLR(o, [2, 5, 6], gamma=0.5)",
    "s.ExponentialLR(o, 0.9)",
    "s.CosineAnnealingLR(o, T_max=7, eta_min=0.01)",
    "s.CosineAnnealingLR(o, 5)",
    "s.ConstantLR(o)",
    "s.ConstantLR(o, factor=0.5, total_iters=3)",
    "s.LinearLR(o)",
    "s.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=6)",
    "s.PolynomialLR(o, total_iters=6, power=1.7)",
    "s.LambdaLR(o, lambda t: 0.95 ** t)",
    "s.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: 0.5])",
    "s.MultiplicativeLR(o, lambda t: 0.9 + 0.01 * t)",
    "s.CosineAnnealingWarmRestarts(o, 3)",
    "s.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=2, eta_min=0.01)",
    "s.CyclicLR(o, 0.01, 0.1, step_size_up=3)",
    "s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 2, 4, mode='triangular2')",
    "s.CyclicLR(o, 0.01, 0.1, 3, mode='exp_range', gamma=0.9, cycle_momentum=False)",
    "s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda c: 1 / c, base_momentum=0.5)",
    "s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda c: 0.9**c, scale_mode='iterations')",
    "s.OneCycleLR(o, 0.5, total_steps=15)",
    "s.OneCycleLR(o, [0.5, 0.1], None, 5, 3, anneal_strategy='linear')",
    "s.OneCycleLR(o, 0.5, total_steps=15, three_phase=True, pct_start=0.4)",
    "s.OneCycleLR(o, 0.5, 15, base_momentum=0.7, max_momentum=0.9, div_factor=10, "
    "final_div_factor=100)",
    "s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 4), s.ExponentialLR(o, 0.8)], [4])",
    "s.SequentialLR(o, [s.ConstantLR(o, 0.1, 2), s.CosineAnnealingLR(o, 6), "
    "s.ExponentialLR(o, 0.5)], milestones=[3, 9])",
    "s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)])",
    "s.ChainedScheduler([s.CosineAnnealingLR(o, 9), s.StepLR(o, 4, 0.5)], o)",
]


def mine(kind: str) -> Any:
    a, b = (cr.tensor([v], requires_grad=True) for v in (1.0, 2.0))
    groups = [{"params": [a]}, {"params": [b], "lr": 0.2}]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(optim, kind)(groups, lr=0.1, **options)


def theirs(kind: str) -> Any:
    a, b = (torch.tensor([v], requires_grad=True) for v in (1.0, 2.0))
    groups = [{"params": [a]}, {"params": [b], "lr": 0.2}]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(torch.optim, kind)(groups, lr=0.1, **options)


def walked(text: str, module: Any, optimizer: Any, steps: int = 14) -> list[Any]:
    """Rates and momenta at each step."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, of steps without gradients
        scheduler = eval(text, {"s": module, "o": optimizer})
        for step in range(steps):
            rows.append([g["lr"] for g in optimizer.param_groups])
            first = optimizer.param_groups[0]
            rows[-1].append(
                first["betas"][0] if "betas" in first else first["momentum"]
            )
            rows[-1] += list(scheduler.get_last_lr()) if step else rows[-1][:2]
            for group in optimizer.param_groups:
                for p in group["params"]:
                    p.grad = p.detach() * 0
            optimizer.step()
            scheduler.step()
    return rows


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_rates_and_momenta_are_pytorchs(kind: str) -> None:
    wrong = []
    for text in SCHEDULERS:
        got = walked(text, optim.lr_scheduler, mine(kind))
        wanted = walked(text, torch.optim.lr_scheduler, theirs(kind))
        if not np.allclose(got, wanted, rtol=1e-9, atol=1e-15):
            wrong.append(text)
    assert not wrong, "\n".join(wrong)


def test_every_scheduler_is_among_them() -> None:
    names = {text.split("(")[0].removeprefix("s.") for text in SCHEDULERS}
    others = {"LRScheduler", "ReduceLROnPlateau"}
    assert names | others == set(optim.lr_scheduler.__all__)


@pytest.mark.parametrize(
    "options",
    [
        {"factor": 0.5, "patience": 1},
        {"mode": "max", "patience": 0, "cooldown": 2, "threshold": 0.05},
        {"patience": 0, "min_lr": [0.02, 0.05], "threshold_mode": "abs", "eps": 1e-3},
    ],
)
def test_a_plateau_is_pytorchs(options: dict[str, Any]) -> None:
    losses = [1.0, 0.9, 0.95, 0.94, 0.97, 0.5, 0.52, 0.51, 0.6, 0.4, 0.45, 0.45, 0.45]
    a, b = mine("SGD"), theirs("SGD")
    here = optim.lr_scheduler.ReduceLROnPlateau(a, **options)
    there = torch.optim.lr_scheduler.ReduceLROnPlateau(b, **options)
    for loss in losses:
        here.step(cr.tensor(loss))
        there.step(loss)
        rates = [[g["lr"] for g in o.param_groups] for o in (a, b)]
        np.testing.assert_allclose(rates[0], rates[1], rtol=1e-12)


def test_a_rate_that_somebody_sets_is_moved_on_as_pytorchs() -> None:
    for text in ("s.ExponentialLR(o, 0.9)", "s.CosineAnnealingLR(o, 9, 0.01)"):
        rows = []
        for module, optimizer in (
            (optim.lr_scheduler, mine("SGD")),
            (torch.optim.lr_scheduler, theirs("SGD")),
        ):
            scheduler = eval(text, {"s": module, "o": optimizer})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step()
                optimizer.param_groups[0]["lr"] = 0.5
                scheduler.step()
                scheduler.step()
            rows.append([g["lr"] for g in optimizer.param_groups])
        np.testing.assert_allclose(rows[0], rows[1], rtol=1e-9)


@pytest.mark.parametrize("text", [SCHEDULERS[1], SCHEDULERS[4], SCHEDULERS[25]])
def test_a_state_goes_on(text: str) -> None:
    whole = walked(text, optim.lr_scheduler, mine("SGD"))
    optimizer = mine("SGD")
    known = {"s": optim.lr_scheduler, "o": optimizer}
    first = eval(text, known)
    for __ in range(5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first.step()
    state = pickle.loads(pickle.dumps((first.state_dict(), optimizer.state_dict())))
    again = mine("SGD")
    second = eval(text, {"s": optim.lr_scheduler, "o": again})
    again.load_state_dict(state[1])
    second.load_state_dict(state[0])
    for row in whole[6:]:
        second.step()
        np.testing.assert_allclose([g["lr"] for g in again.param_groups], row[:2])


def test_a_compiled_step_takes_the_rates() -> None:
    def losses(compiled: bool) -> list[float]:
        w = cr.tensor([1.0, -2.0], requires_grad=True)
        optimizer = optim.Adam([w], lr=0.3)
        scheduler = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

        def step() -> cr.Tensor:
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            optimizer.step()
            return loss

        run = cr.compile(step) if compiled else step
        found = []
        for __ in range(6):
            found.append(run().item())
            scheduler.step()
        return found

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-5)


def test_what_is_refused_says_what_to_write() -> None:
    s = optim.lr_scheduler
    optimizer = mine("SGD")
    with pytest.raises(ArgumentError, match=r"optim\.StepLR\(lr, …\)"):
        s.StepLR(0.1, 30)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="load_state_dict"):
        s.StepLR(optimizer, 3, last_epoch=5)
    with pytest.raises(ArgumentError, match="a schedule already"):
        s.StepLR(optim.SGD(lr=optim.ExponentialLR(0.1, 0.5)), 3)
    with pytest.raises(ArgumentError, match="cycle_momentum=False"):
        s.OneCycleLR(optim.SGD([cr.ones(1, requires_grad=True)]), 0.1, 10)
    with pytest.raises(ArgumentError, match="one for each"):
        s.LambdaLR(optimizer, [abs])
    with pytest.raises(ArgumentError, match="A milestone"):
        s.SequentialLR(optimizer, [s.ConstantLR(optimizer)], [3])
    with pytest.raises(ArgumentError, match="one optimiser"):
        s.ChainedScheduler([s.ConstantLR(optimizer)], mine("SGD"))
    with pytest.raises(ArgumentError, match="step_size"):
        s.StepLR(optimizer, 0)
    end = s.OneCycleLR(mine("SGD"), 0.1, total_steps=2)
    end.optimizer.steps = 1
    end.step()
    with pytest.raises(ArgumentError, match="beyond its end"):
        end.step()
    with pytest.warns(ChainruleWarning, match="before the optimiser"):
        s.StepLR(mine("SGD"), 2).step()
