"""Losses of one's own: what they apply, what they reward, what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.doctor import Diagnosis, Finding, examples
from chainrule.nn import functional as F

Loss = Callable[[cr.Tensor, cr.Tensor], cr.Tensor]


def diagnosed(*args: Any, **given: Any) -> Diagnosis:
    trainer, data, more = examples.example(*args, **given)
    return cr.diagnose(trainer, data, **more)


def first(found: Diagnosis) -> Finding:
    """Return the first finding, and read the diagnosis as people do."""
    assert str(found)
    assert found.to_html()
    assert json.dumps(found.to_dict())
    return found.findings[0]


def kept(found: Diagnosis, folder: Path) -> None:
    """Save and load a diagnosis; what is shown is the same."""
    found.save(folder / "d.json")
    read = Diagnosis.load(folder / "d.json")
    assert (str(read), read.to_html()) == (str(found), found.to_html())
    assert read.findings[0].evidence == found.findings[0].evidence


class Inside(nn.Module):
    """A network whose softmax is no layer."""

    def __init__(self) -> None:
        self.inner = examples.mlp()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return F.softmax(self.inner(x), dim=-1)


class Heads(nn.Module):
    """A network of two outputs, one of them probabilities."""

    def __init__(self) -> None:
        self.inner, self.softmax = examples.mlp(), nn.Softmax()

    def forward(self, x: cr.Tensor) -> dict[str, cr.Tensor]:
        scores = self.inner(x)
        return {"kind": self.softmax(scores), "sum": scores.sum(1, keepdims=True)}


def crossed(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    return F.cross_entropy(p, t)


def softmax_layer() -> nn.Module:
    return examples.mlp().append(nn.Softmax())


def test_a_softmax_in_front_of_a_loss_that_refuses_it_is_named() -> None:
    found = diagnosed(softmax_layer(), loss=crossed)
    cause = first(found)
    assert (cause.code, cause.severity) == ("output-activation-twice", "sick")
    assert "in '3'" in cause.where or "'5'" in cause.where
    assert [f.consequence_of for f in found.findings[1:]] == [cause.code]
    assert cause.comparison is not None
    assert cause.comparison.gain > 0.3
    assert found.fix()[0].finding == cause.code


def test_one_within_forward_is_named() -> None:
    cause = first(diagnosed(Inside(), loss=crossed))
    assert (cause.code, cause.severity) == ("output-activation-twice", "sick")
    assert "test_losses_of_ones_own.py" in cause.where


def test_a_sigmoid_in_front_of_such_a_loss_is_named_and_cured() -> None:
    rows = examples.binary(examples.moons())
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    found = diagnosed(
        model,
        rows,
        loss=lambda p, t: F.binary_cross_entropy_with_logits(p, t),
    )
    assert first(found).code == "output-activation-twice"
    best = found.fix()[0]  # scores of a run beside one that never began
    assert best.comparison.gain > 0.3


@pytest.mark.parametrize("own", [True, False])
def test_one_of_several_outputs_is_named(own: bool) -> None:
    made = examples.moons()
    x = np.asarray(made.x[:], np.float32)
    loss = {"kind": crossed if own else nn.CrossEntropyLoss(), "sum": nn.MSELoss()}
    targets = {"kind": made.y, "sum": x.sum(1, keepdims=True)}
    found = diagnosed(Heads(), (x, targets), loss=loss)
    assert first(found).code == "output-activation-twice"


def test_scores_in_front_of_such_a_loss_are_healthy() -> None:
    assert diagnosed(loss=crossed).findings == []


def logarithm(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    return (t * (p + 1e-7).log()).sum(1).mean()


def one_hot() -> tuple[Any, Any]:
    made = examples.moons()
    return made.x[:], np.eye(2, dtype=np.float32)[made.y]


#: Losses of the wrong sign: a network, rows, a loss.
WRONG: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any], Loss]] = {
    "−MSE": (
        lambda: examples.mlp(2, 1),
        examples.waves,
        lambda p, t: -((p - t) ** 2).mean(),
    ),
    "−cross-entropy": (examples.mlp, examples.moons, lambda p, t: -crossed(p, t)),
    "log p": (softmax_layer, one_hot, logarithm),
    "−BCE": (
        lambda: examples.mlp(2, 1),
        lambda: examples.binary(examples.moons()),
        lambda p, t: -F.binary_cross_entropy_with_logits(p, t),
    ),
}


@pytest.mark.one_in(4, first=1)
@pytest.mark.parametrize("name", WRONG)
def test_a_loss_of_the_wrong_sign_is_named_and_cured(name: str, tmp_path: Path) -> None:
    model, rows, loss = WRONG[name]
    given = {"loss": loss, "optimizer": optim.SGD(lr=0.01), "epochs": 10}
    found = diagnosed(model(), rows(), **given)
    cause = first(found)
    assert (cause.code, cause.severity) == ("loss-of-wrong-sign", "sick"), str(found)
    kept(found, tmp_path)
    best = found.fix()[0]
    assert best.finding == cause.code
    kept(found, tmp_path)


#: Losses that only look like that.
RIGHT: dict[str, Loss] = {
    "linear": lambda p, t: -(p * t).mean() + 0.01 * (p**4).mean(),
    "negative": lambda p, t: ((p - t) ** 2).mean() - 5.0,
    "cosine": lambda p, t: -(p * t).mean() / ((p * p).mean() + 1e-3).sqrt(),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", RIGHT)
def test_a_loss_below_0_is_not_of_the_wrong_sign(name: str) -> None:
    found = diagnosed(examples.mlp(2, 1), examples.waves(), loss=RIGHT[name])
    assert "loss-of-wrong-sign" not in [f.code for f in found.findings], str(found)


@pytest.mark.slow
def test_what_is_linear_in_the_outputs_rewards_no_distance() -> None:
    """Whichever side chance draws more rows of."""
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(120, 2)).astype(np.float32)
        rows = (x, x[:, :1] * 2 + x[:, 1:])
        model = examples.mlp(2, 1).append(nn.Tanh())
        found = diagnosed(model, rows, loss=lambda p, t: -(p * t).mean(), epochs=3)
        assert "loss-of-wrong-sign" not in [f.code for f in found.findings]


class Distances(nn.Module):
    """A network that gives the distance to each class: the least one wins."""

    def __init__(self) -> None:
        self.inner = examples.mlp()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) ** 2


def test_distances_are_no_scores() -> None:
    def loss(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
        return -((t * F.softmax(-p, dim=-1)).sum(1) + 1e-7).log().mean()

    found = diagnosed(Distances(), one_hot(), loss=loss)
    assert "loss-of-wrong-sign" not in [f.code for f in found.findings], str(found)


def masks(channels: int = 0) -> tuple[Any, Any]:
    """Return noisy images of a bright square, and which pixels it covers."""
    draw = np.random.default_rng(0)
    y = np.zeros((200, 6, 6), np.float32)
    for mask, (a, b) in zip(y, draw.integers(0, 4, (200, 2)), strict=True):
        mask[a : a + 3, b : b + 3] = 1
    x = (y + draw.normal(0, 0.2, y.shape)).astype(np.float32)[:, None]
    return x, y.reshape(200, -1) if not channels else y[:, None]


def painter(*ends: nn.Module) -> nn.Module:
    return examples.drawn(
        lambda: (
            nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
            .append(nn.Conv2d(8, 1, 3, padding=1))
            .append(nn.Sigmoid())
            .extend(ends)
        )
    )


def overlap(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    """The dice coefficient of two masks, which is 1 where they agree."""
    return (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


@pytest.mark.parametrize("channels", [0, 1])
def test_an_overlap_that_is_minimised_is_named_and_cured(channels: int) -> None:
    ends = () if channels else (nn.Flatten(),)
    found = diagnosed(painter(*ends), masks(channels), loss=overlap, lr=0.02)
    cause = first(found)
    assert (cause.code, cause.severity) == ("loss-of-wrong-sign", "sick"), str(found)
    assert cause.comparison is not None
    assert cause.comparison.metric == "accuracy"
    assert cause.comparison.gain > 0.3


@pytest.mark.parametrize("channels", [0, 1])
def test_one_that_is_maximised_is_healthy(channels: int) -> None:
    def loss(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
        return 1 - overlap(p, t)

    ends = () if channels else (nn.Flatten(),)
    found = diagnosed(painter(*ends), masks(channels), loss=loss, lr=0.02)
    assert found.findings == [], str(found)
    assert "accuracy" in str(found.examined["score"])


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), crossed], ids=["nn", "own"])
def test_below_chance_by_other_rows_is_no_wrong_sign(loss: Any) -> None:
    """Held-out rows of a class that no training row has."""
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    y = np.digitize(x[:, 0], [-0.5, 0.5])
    part = y < 2
    held = (x[~part], y[~part])
    model = examples.mlp(2, 3)
    found = diagnosed(model, (x[part], y[part]), loss=loss, validation=held)
    assert "loss-of-wrong-sign" not in [f.code for f in found.findings], str(found)
