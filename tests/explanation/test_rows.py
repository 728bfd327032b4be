"""Row after row of trained networks: nothing disagrees, every equation holds.

Small ones here; the networks of the recipes, 10 rows of each, among the slow tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.recipes import gpt, lenet, mnist
from chainrule.recipes.rnn import Reader
from tests.explanation.digits import faults_of_page
from tests.explanation.test_paths import element, faults_of, wrong_values

CE = nn.CrossEntropyLoss()
ROWS = 200


@dataclass
class Trained:
    """A network that has learned, and the rows that it is explained on."""

    model: nn.Module
    loss: Any
    x: np.ndarray
    y: np.ndarray
    optimizer: optim.RuleOptimizer | None = None


@dataclass
class Found:
    """What was counted."""

    rows: int = 0
    equations: int = 0
    disagree: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def counted(net: Trained, rows: int, elements: int = 1) -> Found:
    """Each row explained, with its page and the paths of some of its numbers."""
    found, rng = Found(), np.random.default_rng(0)
    for row in range(rows):
        print(end=f"{row} ", flush=True)
        x, y = net.x[row : row + 1], net.y[row : row + 1]
        e = cr.explain(net.model, x, y, net.loss, net.optimizer)
        check = e.check()
        found.rows += 1
        found.equations += len(check.errors)
        found.disagree += [] if check.ok else [f"{row}: {check}"]
        found.wrong += [f"{row}: {fault}" for fault in faults_of_page(e)]
        for _ in range(elements):
            path = e.element(*element(e, rng))
            found.equations += len(path.equations)
            faults = [*faults_of(path), *wrong_values(e, path)]
            found.wrong += [f"{row}: {fault}" for fault in faults]
    return found


def learned(
    net: Trained, steps: int, rate: float = 0.02, engine: str = "numpy"
) -> Trained:
    """After so many steps of Adam over its own rows."""
    adam, rng = optim.Adam(net.model.parameters(), lr=rate), np.random.default_rng(0)

    @cr.compile(engine=engine)
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        value = net.loss(net.model(x), y)
        adam.zero_grad()
        value.backward()
        adam.step()
        return value

    for _ in range(steps):
        chosen = rng.integers(0, len(net.x), 32)
        step(cr.tensor(net.x[chosen]), cr.tensor(net.y[chosen]))
    return net


def of_characters(p: Any, y: cr.Tensor) -> cr.Tensor:
    """The loss of the scores of a GPT, which gives its attention too."""
    return nn.functional.cross_entropy(p[0].flatten(0, 1), y.flatten())


# -- small ones ------------------------------------------------------------------------


def clusters(*shape: int, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Three clusters of 64 points each, mixed."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 192)
    centres = rng.normal(size=(3, *shape))
    return (centres[y] + spread * rng.normal(size=(192, *shape))).astype("f4"), y


def small(kind: str) -> Trained:
    cr.manual_seed(0)
    if kind == "mlp":
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        return learned(Trained(model, CE, *clusters(4)), 100)
    if kind == "cnn":
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(8, 3),
        )  # fmt: skip
        return learned(Trained(model, CE, *clusters(1, 6, 6)), 100)
    if kind == "gru":
        return learned(Trained(Reader("GRU", 3, 4, 3), CE, *clusters(5, 3)), 60)
    sizes = gpt.Settings(block=5, layers=1, heads=2, width=4)
    return learned(text(gpt.GPT(6, sizes), "abcabdabe.", 5), 60)


def text(model: nn.Module, words: str, block: int) -> Trained:
    """Windows of the words again and again, each with what comes next."""
    known = {c: i for i, c in enumerate(sorted(set(words)))}
    line = np.array([known[c] for c in words * (300 * block // len(words))], np.uint8)
    at = np.arange(ROWS)[:, None] + np.arange(block)
    return Trained(model, of_characters, line[at], line[at + 1].astype("i8"))


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("kind", "rows"), [("mlp", 2), ("cnn", 1), ("gru", 1), ("gpt", 1)]
)
def test_small_networks(kind: str, rows: int) -> None:
    found = counted(small(kind), rows)
    assert not found.disagree
    assert not found.wrong
    assert found.equations > 10 * rows


# -- the recipes' ----------------------------------------------------------------------


def images(model: nn.Module, steps: int, shape: tuple[int, ...] = (784,)) -> Trained:
    train, test = cr.data.mnist()
    x, y = (np.asarray(a) for a in (train.x[:6000], train.y[:6000]))
    net = Trained(model, CE, x.astype("f4").reshape(-1, *shape) / x.max(), y)
    learned(net, steps, 3e-3, "auto")
    x, y = (np.asarray(a) for a in (test.x[:ROWS], test.y[:ROWS]))
    net.x, net.y = x.astype("f4").reshape(-1, *shape) / x.max(), y
    return net


def recipes() -> Iterator[tuple[str, Any]]:
    yield "mnist", lambda: images(mnist.network(), 1500)
    yield "lenet", lambda: images(lenet.network(), 400)
    yield "gru", lambda: images(Reader("GRU", 28, 32, 10), 400, (28, 28))
    yield (
        "gpt",
        lambda: learned(
            text(
                gpt.GPT(28, gpt.Settings(32, 2, 2, 32)),
                "the quick brown fox jumps over the lazy dog. pack my box with jugs. ",
                32,
            ),
            300,
            3e-3,
        ),
    )


RECIPES: dict[str, Any] = dict(recipes())


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_networks_of_recipes(name: str) -> None:
    cr.manual_seed(0)
    found = counted(RECIPES[name](), 10)
    assert not found.disagree
    assert not found.wrong
