"""Training networks of many layers: the same weights, batches and losses as PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn, optim
from tests.ways import WAYS

pytestmark = pytest.mark.parity

BATCH, CLASSES = 8, 3
#: Steps on each way; an eager one takes a hundred times as long as one of machine code.
STEPS = {"eager": 5, "numpy": 30, "native": 100}
RNG = np.random.default_rng(0)


def convolutional(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv2d(2, 6, 3, padding="same", bias=False),
        layers.BatchNorm2d(6),
        layers.ReLU(),
        layers.MaxPool2d(3, 2, 1),
        layers.Conv2d(6, 6, 3, 2, 1, groups=3, padding_mode="reflect"),
        layers.Tanh(),
        layers.AvgPool2d(2, 1, ceil_mode=True),
        layers.AdaptiveAvgPool2d((1, 2)),
        layers.Flatten(),
        layers.Linear(12, CLASSES),
    )


def signals(layers: Any) -> Any:
    return layers.Sequential(
        layers.Conv1d(2, 4, 3, 2, padding=1),
        layers.BatchNorm1d(4),
        layers.ReLU(),
        layers.Conv1d(4, 4, 3, dilation=2, groups=2),
        layers.Flatten(),
        layers.Linear(8, CLASSES),
    )


def enlarging(layers: Any) -> Any:
    return layers.Sequential(
        layers.AdaptiveMaxPool2d((4, 3)),
        layers.InstanceNorm2d(2, affine=True),
        layers.ConvTranspose2d(2, 6, 3, stride=2, padding=1, output_padding=1),
        layers.Dropout2d(0.0),
        layers.Tanh(),
        layers.ConvTranspose2d(6, 4, (2, 4), (1, 2), groups=2, bias=False),
        layers.PixelShuffle(2),
        layers.AvgPool2d(3),
        layers.Flatten(),
        layers.Linear(6 * 9, CLASSES),
    )


def longer(layers: Any) -> Any:
    return layers.Sequential(
        layers.ConvTranspose1d(2, 4, 3, 2, padding=1, dilation=2),
        layers.MaxPool1d(3, 2, 1),
        layers.Dropout1d(0.0),
        layers.AvgPool1d(2, ceil_mode=True),
        layers.ConvTranspose1d(4, 4, 2, 3, groups=2),
        layers.AdaptiveAvgPool1d(5),
        layers.Tanh(),
        layers.AdaptiveMaxPool1d(3),
        layers.Flatten(),
        layers.Linear(12, CLASSES),
    )


def recurrent(kind: str) -> Any:
    def build(layers: Any) -> Any:
        class Reader(layers.Module):
            def __init__(self) -> None:
                super().__init__()
                options = {"bidirectional": True, "batch_first": True}
                self.cells = getattr(layers, kind)(4, 5, 2, **options)
                self.scores = layers.Linear(10, CLASSES)

            def forward(self, x: Any) -> Any:
                return self.scores(self.cells(x)[0].mean(1))

        return Reader()

    return build


def attentive(layers: Any) -> Any:
    return layers.Sequential(
        layers.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True),
        layers.TransformerEncoderLayer(
            4, 2, 8, 0.0, "gelu", batch_first=True, norm_first=True
        ),
        layers.Flatten(),
        layers.Linear(24, CLASSES),
    )


def translating(layers: Any) -> Any:
    class Translator(layers.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sides = layers.Transformer(4, 2, 1, 2, 8, 0.0, batch_first=True)
            self.scores = layers.Linear(4, CLASSES)

        def forward(self, x: Any) -> Any:
            return self.scores(self.sides(x, x[:, :3]).mean(1))

    return Translator()


NETWORKS = {
    "Conv2d": (convolutional, (2, 9, 7)),
    "Conv1d": (signals, (2, 11)),
    "ConvTranspose2d": (enlarging, (2, 9, 7)),
    "ConvTranspose1d": (longer, (2, 11)),
    "LSTM": (recurrent("LSTM"), (6, 4)),
    "GRU": (recurrent("GRU"), (6, 4)),
    "RNN": (recurrent("RNN"), (6, 4)),
    "attention": (attentive, (6, 4)),
    "Transformer": (translating, (6, 4)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_hundred_steps_and_the_weights_both_ways(name: str) -> None:
    """From ours to PyTorch's before training, and back after it, on every engine."""
    build, shape = NETWORKS[name]
    steps = max(STEPS[way] for way in WAYS)
    x = RNG.normal(size=(steps, BATCH, *shape))
    y = RNG.integers(0, CLASSES, (steps, BATCH))
    cr.manual_seed(0)
    ours, theirs = build(nn).to("float64"), build(torch.nn).double()
    start = ours.state_dict()
    assert {k: tuple(t.shape) for k, t in theirs.state_dict().items()} == {
        k: a.shape for k, a in start.items()
    }
    theirs.load_state_dict({k: torch.tensor(a) for k, a in start.items()})
    their = torch.optim.Adam(theirs.parameters(), lr=1e-2)

    def their_step(x: Any, y: Any) -> Any:
        their.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(x), y)
        loss.backward()
        their.step()
        return loss.detach()

    wanted: list[float] = []
    ends: dict[int, dict[str, Any]] = {}
    for a, b in zip(torch.tensor(x), torch.tensor(y)):
        wanted.append(float(their_step(a, b)))
        if len(wanted) in STEPS.values():
            state = theirs.state_dict()
            ends[len(wanted)] = {k: t.numpy().copy() for k, t in state.items()}
    assert wanted[-1] != wanted[0]
    for engine in WAYS:
        ours.load_state_dict(start)
        mine = optim.Adam(ours.parameters(), lr=1e-2)
        loss_of = nn.CrossEntropyLoss()

        def our_step(x: Any, y: Any) -> Any:
            mine.zero_grad()  # noqa: B023
            loss = loss_of(ours(x), y)  # noqa: B023
            loss.backward()
            mine.step()  # noqa: B023
            return loss

        step = our_step if engine == "eager" else cr.compile(our_step, engine=engine)
        n = STEPS[engine]
        got = [float(step(cr.tensor(a), cr.tensor(b))) for a, b in zip(x[:n], y)]
        np.testing.assert_allclose(got, wanted[:n], rtol=0, atol=1e-10, err_msg=engine)
        for key, array in ours.state_dict().items():
            close = {"rtol": 0, "atol": 1e-8, "err_msg": f"{key} on {engine}"}
            np.testing.assert_allclose(array, ends[n][key], **close)
    again = build(nn).to("float64")
    again.load_state_dict(ends[steps])
    with torch.no_grad():
        scores = theirs.eval()(torch.tensor(x[0])).numpy()
    np.testing.assert_allclose(again.eval()(x[0]).numpy(), scores, rtol=0, atol=1e-10)
