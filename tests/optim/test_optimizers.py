"""Update rules and schedules against numbers worked out in plain float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError

GRADIENTS = [0.5, -1.0, 0.25, 2.0, 1e-9, 0.0]


def run(optimizer_of, theta=1.0):
    """One parameter under the given gradients."""
    p = cr.tensor(np.array([theta]), requires_grad=True)
    optimizer = optimizer_of([p])
    path = []
    for g in GRADIENTS:
        p.grad = cr.tensor(np.array([g]))
        optimizer.step()
        path.append(p.item())
    return path


def test_sgd():
    theta, wanted = 1.0, []
    for g in GRADIENTS:
        theta -= 0.1 * g
        wanted.append(theta)
    assert run(lambda p: optim.SGD(p, lr=0.1)) == pytest.approx(wanted, rel=1e-14)


def test_momentum():
    theta, v, wanted = 1.0, 0.0, []
    for g in GRADIENTS:
        v = 0.9 * v + g
        theta -= 0.1 * v
        wanted.append(theta)
    made = run(lambda p: optim.SGD(p, lr=0.1, momentum=0.9))
    assert made == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_as_it_is_printed(decay):
    """θ ← (1 − ηλ)θ − η m̂ / (√v̂ + ε): the textbook form, not the rearranged one."""
    theta, m, v, wanted = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        theta = (1 - 0.01 * decay) * theta - 0.01 * m_hat / (math.sqrt(v_hat) + 1e-8)
        wanted.append(theta)
    if decay:
        made = run(lambda p: optim.AdamW(p, lr=0.01, weight_decay=decay))
    else:
        made = run(lambda p: optim.Adam(p, lr=0.01))
    assert made == pytest.approx(wanted, rel=1e-12)


def test_a_compiled_step_walks_through_the_schedule():
    def train(compiled):
        w = cr.tensor(np.array([1.0]), requires_grad=True)
        optimizer = optim.Adam([w], lr=optim.OneCycleLR(0.1, total_steps=20))

        def step():
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            optimizer.step()
            return loss

        run_step = cr.compile(step, engine="numpy") if compiled else step
        return [float(run_step()) for _ in range(20)]

    assert train(True) == pytest.approx(train(False), rel=1e-13)


def test_one_cycle():
    schedule = optim.OneCycleLR(1.0, pct_start=0.5, div_factor=10, final_div_factor=100)
    with pytest.raises(ArgumentError, match="total_steps"):
        schedule(0)
    schedule.bind(101)
    peak = 0.5 * 101 - 1
    assert schedule(0) == pytest.approx(0.1)
    assert schedule(100) == pytest.approx(0.001)
    assert schedule(500) == schedule(100)
    assert schedule(25) == pytest.approx(
        1 + (0.1 - 1) / 2 * (1 + math.cos(math.pi * 25 / peak))
    )
    rates = [schedule(t) for t in range(101)]
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: optim.SGD([], lr=0.1), ArgumentError, "parameters"),
        (lambda: optim.SGD(lr=float("nan")), ArgumentError, "finite"),
        (lambda: optim.SGD(lr=0.1, momentum=1.0), ArgumentError, "0 ≤ momentum < 1"),
        (lambda: optim.Adam(betas=(0.9, 1.0)), ArgumentError, "0 ≤ β < 1"),
        (lambda: optim.OneCycleLR(0.1, pct_start=2), ArgumentError, "share"),
        (
            lambda: optim.SGD(nn.Linear(2, 2).parameters()).step(),
            GradientError,
            r"loss\.backward\(\)",
        ),
    ],
)
def test_mistakes_are_explained(call, error, words):
    with pytest.raises(error, match=words):
        call()
