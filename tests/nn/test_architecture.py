from __future__ import annotations

import contextlib
import inspect
import json
from typing import Any

import pytest

from chainrule import errors, nn, optim
from chainrule.nn.architecture import (
    build_module,
    build_optimizer,
    module_spec,
)
from tests.rows import table

EVERY = [
    nn.RandomCrop((3, 2), padding=1),
    nn.RandomRotation(10),
    nn.RandomAffine(10, translate=(0.1, 0.2)),
    nn.Linear(3, 2),
    nn.Linear(2, 4, bias=False),
    nn.Linear(4, 4, dtype="float64"),
    nn.Softmax(dim=0),
    nn.Dropout(0.25),
    nn.LeakyReLU(0.25),
    nn.GELU("tanh"),
    nn.ELU(0.5),
    nn.LogSoftmax(dim=1),
    nn.Flatten(2, 3),
    nn.Embedding(5, 3, dtype="float64"),
    nn.BatchNorm1d(3, eps=1e-3, momentum=None, affine=False),
    nn.BatchNorm1d(3, track_running_stats=False, dtype="float64"),
    nn.LayerNorm((2, 3), eps=1e-3, elementwise_affine=False),
    nn.LayerNorm(3),
    nn.Standardize(3),
    nn.Unstandardize(3, dtype="float64"),
    nn.LogTarget(2, positive=False),
    nn.QuantileTarget(2, 5, dtype="float64"),
    nn.TransformedTargetLoss(nn.HuberLoss(0.5), nn.QuantileTarget(2, 7)),
    nn.Perceptron(3, 2),
    nn.CrossEntropyLoss([0.5, 2.0], label_smoothing=0.25, reduction="sum"),
    nn.CrossEntropyLoss(from_logits=False),
    nn.MSELoss(reduction="none"),
    nn.HuberLoss(0.5),
    nn.BCEWithLogitsLoss(pos_weight=3.0),
    nn.MultiMarginLoss(2, margin=0.5, weight=[1.0, 2.0]),
    nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU(), nn.Dropout(0.5))),
    nn.CrossEntropyLoss(ignore_index=-1),
    nn.NLLLoss(weight=[1.0, 2.0], ignore_index=0),
    nn.BCELoss([1.0, 2.0]),
    nn.GaussianNLLLoss(full=True, eps=1e-3),
    nn.TripletMarginLoss(0.5, 1, swap=True),
    nn.Embedding(5, 3, padding_idx=-1),
    nn.LayerNorm(3, bias=False),
    nn.GroupNorm(2, 4, affine=False),
    nn.InstanceNorm1d(3, track_running_stats=True),
    nn.InstanceNorm2d(3, affine=True, bias=False),
    nn.RMSNorm((2, 3), eps=1e-6),
    nn.PReLU(3, init=0.5),
    nn.Threshold(0.5, -1.0),
    nn.Upsample(scale_factor=2.0, mode="linear"),
    nn.Identity(54, unused=True),
    nn.Unflatten(1, (2, -1)),
    nn.BatchNorm2d(3, momentum=None),
    nn.Conv1d(2, 4, (3,), padding="same", bias=False),
    nn.Conv2d(2, 4, (3, 1), 2, (0, 1), groups=2, padding_mode="circular"),
    nn.ConvTranspose1d(2, 4, (3,), 2, output_padding=1),
    nn.ConvTranspose2d(2, 4, (3, 1), 2, (0, 1), groups=2, bias=False),
    nn.MaxPool1d(2, dilation=2),
    nn.MaxPool2d((2, 1), ceil_mode=True),
    nn.AvgPool1d(3, count_include_pad=False),
    nn.AvgPool2d(2, 1, 1, divisor_override=3),
    nn.AdaptiveAvgPool1d(3),
    nn.AdaptiveAvgPool2d((None, 3)),
    nn.AdaptiveMaxPool1d(3, return_indices=True),
    nn.AdaptiveMaxPool2d((None, 3)),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.ChannelShuffle(2),
    *[
        getattr(nn, f"{kind}Pad{n}d")(*([2] if kind != "Constant" else [2, 0.5]))
        for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular")
        for n in (1, 2, 3)
    ],
    nn.Conv3d(2, 4, (3, 1, 2)),
    nn.ConvTranspose3d(2, 4, 2, bias=False),
    nn.MaxPool3d(2),
    nn.AvgPool3d(2, divisor_override=-3),
    nn.LPPool1d(2, 3),
    nn.LPPool2d(1.5, 3),
    nn.LPPool3d(2, 2),
    nn.AdaptiveAvgPool3d((None, 3, 2)),
    nn.AdaptiveMaxPool3d(3),
    nn.BatchNorm3d(3, momentum=None),
    nn.InstanceNorm3d(3, affine=True),
    nn.MaxUnpool1d(2),
    nn.MaxUnpool2d((2, 3)),
    nn.MaxUnpool3d(2, 1),
    nn.Unfold((2, 3), padding=1),
    nn.Fold((4, 5), 2),
    nn.BasisExpansion(["x1", "x1^2", "x1*x2", "sin(x2)"]),
    nn.Bilinear(2, 3, 4),
    nn.EmbeddingBag(5, 3, mode="sum", padding_idx=-1),
    nn.LocalResponseNorm(2, k=2.0),
    nn.UpsamplingNearest2d(scale_factor=2.0),
    nn.UpsamplingBilinear2d((3, 4)),
    nn.ReLU(inplace=True),
    nn.RReLU(0.1, 0.2),
    nn.LSTM(2, 5, proj_size=3),
    nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True),
    nn.LSTM(2, 3, 2, bidirectional=True, batch_first=True, dropout=0.5),
    nn.GRU(2, 3, bias=False, dtype="float64"),
    nn.RNN(2, 3, nonlinearity="relu"),
    nn.RNNCell(2, 3, nonlinearity="relu"),
    nn.LSTMCell(2, 3, dtype="float64"),
    nn.GRUCell(2, 3, bias=False),
    nn.MultiheadAttention(4, 2, 0.5, kdim=3, batch_first=True),
    nn.TransformerEncoderLayer(4, 2, 3, activation="gelu", bias=False),
    nn.RandomAffine((-5, 20), translate=(0.1, 0.2), scale=(0.5, 2.0)),
    nn.RandomCrop((5, 7), padding=(0, 2), padding_mode="edge"),
    nn.RandomErasing(0.25, (0.1, 0.2), (0.5, 2.0), value=-1.0),
    nn.RandomRotation(10.0),
    nn.RandomResizedCrop((5, 7), (0.2, 0.9), (0.5, 2.0), antialias=False),
    nn.ColorJitter(0.1, (0.5, 1.5), 0.2, (-0.1, 0.2)),
    nn.MixUp(0.2, num_classes=3),
    nn.CutMix(0.5),
    nn.TransformerDecoderLayer(4, 2, 3, norm_first=True),
    nn.CausalSelfAttention(4, 2, rotary=True),
    nn.CausalSelfAttention(4, 1, 0.5, bias=False, dtype="float64"),
    nn.KVCache(1, 2, 3, 4),
    nn.LearnedPositions(3, 4),
    nn.RotaryPositions(100.0),
    nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3), 2).double(),
    nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 3), 2, nn.LayerNorm(4)),
    nn.Transformer(4, 2, 1, 2, 3),
    nn.Linear(3, 2).double(),
]
#: Those that need no argument.
for _name in nn.__all__:
    _kind = getattr(nn, _name)
    if isinstance(_kind, type) and issubclass(_kind, nn.Module):
        if _kind is nn.Transformer:  # of 44 million weights
            continue
        with contextlib.suppress(TypeError, errors.ArgumentError):
            EVERY.append(_kind())
BASES = (nn.Module, nn.Loss, nn.ModuleList, nn.ModuleDict)
BASES += (nn.ParameterList, nn.ParameterDict)
#: They become other classes at their first call.
BASES += tuple(getattr(nn, name) for name in nn.__all__ if name.startswith("Lazy"))
EVERY = [m for m in EVERY if type(m) not in BASES]


@table("module", EVERY, ids=lambda m: type(m).__name__)
def test_there_and_back(module: nn.Module) -> None:
    spec = module_spec(module)
    built = build_module(json.loads(json.dumps(spec)))
    assert repr(built) == repr(module)
    assert type(built) is type(module)
    types = [(n, p.shape, p.dtype) for n, p in module.named_parameters()]
    assert [(n, p.shape, p.dtype) for n, p in built.named_parameters()] == types


def test_every_module_of_nn_is_tried() -> None:
    named = {getattr(nn, name) for name in nn.__all__}
    modules = {c for c in named if isinstance(c, type) and issubclass(c, nn.Module)}
    assert modules - set(BASES) == {type(m) for m in EVERY}


def test_modules_of_ones_own_have_none() -> None:
    class Linear(nn.Linear):
        pass

    assert module_spec(Linear(1, 1)) is None
    assert module_spec(nn.Sequential(nn.ReLU(), Linear(1, 1))) is None
    assert module_spec(lambda p, y: p) is None
    assert module_spec(nn.Module()) is None
    assert module_spec(nn.Loss()) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"class": "os.system", "arguments": {"command": "true"}},
        {"class": "Module", "arguments": {"x": 1}},
        {"class": "Linear", "arguments": {"in_features": 0, "out_features": 1}},
        {"class": "Linear"},
        {"class": "Linear", "arguments": {"in_features": 2**50, "out_features": 2**50}},
        {"class": "Linear", "arguments": 3},
        {"class": ["Linear"], "arguments": {}},
        {"class": "Sequential", "modules": "Linear"},
        {"class": "Sequential", "modules": [None]},
        {},
    ],
)
def test_strange_descriptions(spec: dict[str, object]) -> None:
    with pytest.raises(errors.CheckpointError, match="cannot build"):
        build_module(spec)


BLOCK = module_spec(nn.TransformerEncoderLayer(50, 1, 50))


@pytest.mark.parametrize(
    "spec",
    [
        {"class": "Conv2d", "arguments": [1, 1, 600]},
        {"class": "ConvTranspose2d", "arguments": [1, 1, 600]},
        {"class": "LSTM", "arguments": [1, 300]},
        {"class": "LSTM", "arguments": [1, 100, 10]},
        {"class": "MultiheadAttention", "arguments": [300, 1]},
        {"class": "TransformerEncoderLayer", "arguments": [300, 1, 1]},
        {"class": "TransformerEncoder", "arguments": [BLOCK, 20]},
        {"class": "KVCache", "arguments": [10, 20, 30, 40]},
        {"class": "Transformer", "arguments": [200, 1, 9, 9, 1]},
    ],
    ids=lambda spec: spec["class"],
)
def test_no_more_is_drawn_than_there_is(spec: dict[str, Any]) -> None:
    """A few bytes of a file ask for much memory, and get none."""
    kind = getattr(nn, spec["class"])
    names = inspect.signature(kind).parameters
    given = dict(zip(names, spec["arguments"]))
    with pytest.raises(errors.CheckpointError, match="cannot build"):
        build_module({"class": spec["class"], "arguments": given}, available=100)


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(lr=0.5, momentum=0.25),
        optim.RMSprop(lr=optim.ReduceLROnPlateau(0.1), centered=True),
        optim.Adagrad(lr_decay=0.5, clip_value=2.0),
        optim.Adam(lr=1e-3, betas=(0.5, 0.75), eps=1e-4, clip_norm=1.0),
        optim.AdamW(lr=optim.OneCycleLR(0.1, 50, pct_start=0.2), weight_decay=0.3),
    ],
    ids=lambda o: type(o).__name__,
)
def test_optimisers_there_and_back(optimizer: optim.RuleOptimizer) -> None:
    built = build_optimizer(json.loads(json.dumps(optimizer.settings())))
    assert type(built) is type(optimizer)
    assert built.settings() == optimizer.settings()
    lr = optimizer.schedule(2)
    assert built.schedule(2) == lr
    assert built.options == optimizer.options
    numbers = built.scalars(3, lr, built.options)
    assert numbers == optimizer.scalars(3, lr, optimizer.options)
    limits = (built.clip_norm, built.clip_value)
    assert limits == (optimizer.clip_norm, optimizer.clip_value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "SGD", "lr": 0.1, "nesterov": True}, "momentum > 0"),
        ({"name": "SGD", "lr": 0.1, "momentun": 0.5}, "momentun"),
        ({"name": "Sgd", "lr": 0.1}, "Sgd"),
        ({"name": ["SGD"], "lr": 0.1}, "unhashable"),
        ({"name": "SGD"}, "'lr'"),
        ({"name": "SGD", "lr": {"name": "StepL", "lr": 1}}, "StepLR"),
        ({"name": "SGD", "lr": {"name": "StepLR"}}, "missing"),
        ({"name": "SGD", "lr": {"name": "StepLR", "state": 3}}, "missing"),
        ({"name": "SGD", "lr": "fast"}, "finite"),
        ({"name": "SGD", "lr": 0.1, "params": [{"*": 3}]}, "a dictionary with"),
        ({"name": "SGD", "lr": 0.1, "params": 3}, "needs parameters"),
        ({"name": "Adam", "lr": 0.1, "betas": [0.5]}, "two betas"),
    ],
)
def test_strange_optimisers(settings: dict[str, object], words: str) -> None:
    with pytest.raises(errors.CheckpointError, match="cannot build") as caught:
        build_optimizer(settings)
    assert words in str(caught.value)
