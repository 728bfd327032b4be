"""Every layer as an ONNX file in ONNX Runtime, with one row and with seven.

The layers of PyTorch's database come with its samples; the others have theirs here.
``python -m tests.parity.test_onnx_layers`` prints the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError, ChainruleError
from tests.parity.module_database import ModuleCheck, offered
from tests.parity.onnx_file import RELATIVE, worst_of_any

pytestmark = pytest.mark.parity
#: Layers in one slow test, and more than there are layers.
SEVERAL, MOST = 8, 120

RNG = np.random.default_rng(0)


def normal(*shape: int) -> cr.Tensor:
    return cr.tensor(RNG.normal(size=shape).astype(np.float32))


def whole(most: int, *shape: int) -> cr.Tensor:
    return cr.tensor(RNG.integers(0, most, shape))


def signs(*shape: int) -> cr.Tensor:
    return cr.tensor(np.where(RNG.random(shape) < 0.5, -1, 1).astype(np.float32))


PRICES = RNG.uniform(0.1, 9, size=(50, 1))


def standard(kind: type[nn.Standardize | nn.Unstandardize]) -> nn.Module:
    return kind.of(RNG.normal(3, 2, size=(20, 5)))


#: Layers that PyTorch's database has not, with their inputs.
LAYERS: dict[str, Callable[[], tuple[nn.Module, tuple[Any, ...]]]] = {
    "AlphaDropout": lambda: (nn.AlphaDropout(), (normal(3, 4),)),
    "CausalSelfAttention": lambda: (nn.CausalSelfAttention(8, 2), (normal(2, 5, 8),)),
    "ChannelShuffle": lambda: (nn.ChannelShuffle(2), (normal(2, 4, 3, 3),)),
    "CosineSimilarity": lambda: (nn.CosineSimilarity(), (normal(3, 4), normal(3, 4))),
    "Dropout": lambda: (nn.Dropout(), (normal(3, 4),)),
    "Dropout1d": lambda: (nn.Dropout1d(), (normal(3, 4, 5),)),
    "Dropout2d": lambda: (nn.Dropout2d(), (normal(3, 4, 5, 5),)),
    "Dropout3d": lambda: (nn.Dropout3d(), (normal(2, 3, 4, 4, 4),)),
    "EmbeddingBag": lambda: (nn.EmbeddingBag(9, 4), (whole(9, 3, 5),)),
    "FeatureAlphaDropout": lambda: (nn.FeatureAlphaDropout(), (normal(3, 4, 5),)),
    "Flatten": lambda: (nn.Flatten(), (normal(3, 4, 5),)),
    "Fold": lambda: (nn.Fold((4, 5), (2, 2)), (normal(2, 12, 12),)),
    "Hardsigmoid": lambda: (nn.Hardsigmoid(), (normal(3, 4),)),
    "Heaviside": lambda: (nn.Heaviside(), (normal(3, 4),)),
    "Identity": lambda: (nn.Identity(), (normal(3, 4),)),
    "LazyLinear": lambda: (nn.LazyLinear(3), (normal(3, 4),)),
    "LearnedPositions": lambda: (nn.LearnedPositions(6, 4), (normal(2, 5, 4),)),
    "MaxUnpool1d": lambda: (
        nn.MaxUnpool1d(2),
        (normal(2, 3, 2), cr.tensor(np.array([[[0, 3]] * 3] * 2))),
    ),
    "PairwiseDistance": lambda: (nn.PairwiseDistance(), (normal(3, 4), normal(3, 4))),
    "Perceptron": lambda: (nn.Perceptron(4), (normal(3, 4),)),
    "PixelShuffle": lambda: (nn.PixelShuffle(2), (normal(2, 8, 3, 3),)),
    "PixelUnshuffle": lambda: (nn.PixelUnshuffle(2), (normal(2, 2, 4, 4),)),
    "RReLU": lambda: (nn.RReLU(), (normal(3, 4),)),
    "RandomCrop": lambda: (nn.RandomCrop(4, padding=1), (normal(2, 3, 4, 4),)),
    "RandomErasing": lambda: (nn.RandomErasing(), (normal(2, 3, 6, 6),)),
    "RandomHorizontalFlip": lambda: (nn.RandomHorizontalFlip(), (normal(2, 3, 4, 4),)),
    "BasisExpansion": lambda: (
        nn.BasisExpansion(["x1", "x2^2", "x1*x3", "sin(x4)", "cos(x4)"]),
        (normal(3, 4),),
    ),
    "ColorJitter": lambda: (nn.ColorJitter(0.2), (normal(2, 3, 4, 4),)),
    "RandomResizedCrop": lambda: (nn.RandomResizedCrop(3), (normal(2, 3, 4, 5),)),
    "RandomRotation": lambda: (nn.RandomRotation(20), (normal(2, 3, 4, 4),)),
    "RandomVerticalFlip": lambda: (nn.RandomVerticalFlip(), (normal(2, 3, 4, 4),)),
    "RotaryPositions": lambda: (nn.RotaryPositions(4), (normal(2, 3, 5, 4),)),
    "Sequential": lambda: (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (normal(3, 4),)),
    "SinusoidalPositions": lambda: (nn.SinusoidalPositions(4), (normal(2, 5, 4),)),
    "Standardize": lambda: (standard(nn.Standardize), (normal(3, 5),)),
    "Transpose": lambda: (nn.Transpose(1, 2), (normal(3, 4, 5),)),
    "TripletMarginLoss": lambda: (
        nn.TripletMarginLoss(),
        (normal(3, 4), normal(3, 4), normal(3, 4)),
    ),
    "Unflatten": lambda: (nn.Unflatten(1, (2, 2)), (normal(3, 4),)),
    "Unfold": lambda: (nn.Unfold((2, 2)), (normal(2, 3, 4, 5),)),
    "Unstandardize": lambda: (standard(nn.Unstandardize), (normal(3, 5),)),
    "Upsample": lambda: (nn.Upsample(scale_factor=2), (normal(2, 3, 4, 4),)),
    "UpsamplingBilinear2d": lambda: (
        nn.UpsamplingBilinear2d(scale_factor=2),
        (normal(2, 3, 4, 4),),
    ),
    "UpsamplingNearest2d": lambda: (
        nn.UpsamplingNearest2d(scale_factor=2),
        (normal(2, 3, 4, 4),),
    ),
    "TransformerDecoder": lambda: (
        nn.TransformerDecoder(
            nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), num_layers=2
        ),
        (normal(2, 5, 8), normal(2, 4, 8)),
    ),
    "GaussianKLDivLoss": lambda: (nn.GaussianKLDivLoss(), (normal(3, 4), normal(3, 4))),
    "HalfMSELoss": lambda: (nn.HalfMSELoss(), (normal(3, 4), normal(3, 4))),
    "HalfSquaredErrorLoss": lambda: (
        nn.HalfSquaredErrorLoss(),
        (normal(3, 4), normal(3, 4)),
    ),
    "HingeLoss": lambda: (nn.HingeLoss(), (normal(3, 1), signs(3, 1))),
    "KLDivergence": lambda: (
        nn.KLDivergence(),
        (normal(3, 4).softmax(-1), normal(3, 4).softmax(-1)),
    ),
    "KLDivLoss": lambda: (
        nn.KLDivLoss(),
        (normal(3, 4).log_softmax(-1), normal(3, 4).softmax(-1)),
    ),
    "LazyBatchNorm1d": lambda: (nn.LazyBatchNorm1d(), (normal(3, 4),)),
    "LazyBatchNorm2d": lambda: (nn.LazyBatchNorm2d(), (normal(3, 4, 5, 5),)),
    "LazyBatchNorm3d": lambda: (nn.LazyBatchNorm3d(), (normal(2, 3, 4, 4, 4),)),
    "LazyInstanceNorm1d": lambda: (nn.LazyInstanceNorm1d(), (normal(3, 4, 5),)),
    "LazyInstanceNorm2d": lambda: (nn.LazyInstanceNorm2d(), (normal(3, 4, 5, 5),)),
    "LazyInstanceNorm3d": lambda: (nn.LazyInstanceNorm3d(), (normal(2, 3, 4, 4, 4),)),
    "LogTarget": lambda: (nn.LogTarget.of(PRICES), (normal(3, 1),)),
    "MarginRankingLoss": lambda: (
        nn.MarginRankingLoss(),
        (normal(3), normal(3), signs(3)),
    ),
    "MaxUnpool2d": lambda: (
        nn.MaxUnpool2d(2),
        (normal(2, 3, 2, 2), cr.tensor(np.array([[[[0, 2], [8, 10]]] * 3] * 2))),
    ),
    "MaxUnpool3d": lambda: (
        nn.MaxUnpool3d(1),
        (normal(2, 3, 1, 1, 1), whole(1, 2, 3, 1, 1, 1)),
    ),
    "PerceptronLoss": lambda: (nn.PerceptronLoss(), (normal(3, 1), whole(2, 3, 1))),
    "QuantileTarget": lambda: (nn.QuantileTarget.of(PRICES), (normal(3, 1),)),
    "RandomAffine": lambda: (nn.RandomAffine(10), (normal(2, 3, 4, 4),)),
    "TripletMarginWithDistanceLoss": lambda: (
        nn.TripletMarginWithDistanceLoss(),
        (normal(3, 4), normal(3, 4), normal(3, 4)),
    ),
}
#: What is no layer of its own, and the one that a file cannot have.
WITHOUT = {
    *("Loss", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"),
    *("Steps", "TransformedTargetLoss"),
    *("CutMix", "MixUp"),  # of training: with targets, and nothing in a prediction
    "KVCache",  # keys and values that grow from call to call
}


class Written(ModuleCheck):
    """The samples of one layer, each written as a file and run.

    Args:
        name: of the layer.
        most: how many samples of each dtype.
    """

    def __init__(self, name: str, most: int) -> None:
        super().__init__(name, most)
        self.worst = 0.0
        self.problems: list[str] = []

    def derivatives(self, *__: Any) -> None:
        """A file has none."""

    def engines(
        self, label: str, mine: Any, args: Any, kwargs: Any, theirs: Any
    ) -> None:
        was = mine.training
        mine.eval()
        inputs = inspect.signature(mine.forward).bind(*args, **kwargs).arguments
        try:
            off = worst_of_any(mine, dict(inputs))
        except ArgumentError as error:
            self.problems.append(f"{self.report.name} ({label}): {error.got}")
        else:
            self.report.counts["file"] += 1
            self.worst = max(self.worst, off)
            if not off <= RELATIVE:
                self.problems.append(f"{self.report.name} ({label}): off by {off}")
        mine.train(was)


def problems(names: list[str], most: int) -> list[str]:
    found: list[str] = []
    for name in names:
        check = Written(name, most)
        check.run()
        found += check.problems
    return found


def test_layers_that_are_one_operator(tmp_path: Path) -> None:
    for layer, inputs, operator in (
        (nn.LSTM(3, 4), (normal(5, 2, 3),), "LSTM"),
        (nn.GRU(3, 4), (normal(5, 2, 3),), "GRU"),
        (nn.RNN(3, 4), (normal(5, 2, 3),), "RNN"),
        (nn.Conv2d(2, 4, 3, stride=2, padding=1), (normal(2, 2, 6, 6),), "Conv"),
        (nn.LayerNorm(4), (normal(3, 4),), "LayerNormalization"),
        (nn.MaxPool2d(2), (normal(2, 3, 4, 4),), "MaxPool"),
    ):
        written = cr.export_onnx(layer.eval(), tmp_path / "layer.onnx", inputs)
        assert written.operators[operator] == 1
        assert {"Scan", "Loop", "If"}.isdisjoint(written.operators)
        assert worst_of_any(layer, inputs) <= RELATIVE


@pytest.mark.parametrize("names", [sorted(LAYERS)[i::4] for i in range(4)])
def test_layers_of_our_own(names: list[str]) -> None:
    for name in names:
        # The same numbers whichever layers come before.
        RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
        layer, inputs = LAYERS[name]()
        layer.eval()(*inputs)  # a lazy one learns its sizes
        assert worst_of_any(layer, inputs) <= RELATIVE, name


@pytest.mark.slow
def test_every_layer_is_here() -> None:
    layers = {
        name
        for name in nn.__all__
        if isinstance(kind := getattr(nn, name), type) and issubclass(kind, nn.Module)
    }
    assert layers == {*offered(), *LAYERS, *WITHOUT}


def test_a_cache_is_refused(tmp_path: Path) -> None:
    cache = nn.KVCache(2, 2, 4, 4)
    with pytest.raises(ArgumentError, match="changes tensors when it is called"):
        cr.export_onnx(cache, tmp_path / "c.onnx", (normal(2, 2, 1, 4),) * 2)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MOST, SEVERAL))
def test_all_layers(first: int) -> None:
    found = problems(sorted(offered())[first : first + SEVERAL], 1000)
    assert not found, "\n".join(found[:40])


def main() -> None:
    for name in sorted(offered()):
        check = Written(name, 1000)
        check.run()
        files = check.report.counts["file"]
        print(f"{name:28} {files:4} files  {check.worst:.1e}", *check.problems)
    for name, make in LAYERS.items():
        layer, inputs = make()
        layer.eval()(*inputs)
        try:
            off = worst_of_any(layer, inputs)
        except ChainruleError as error:
            print(f"{name:28} {error}")
        else:
            print(f"{name:28}    1 file   {off:.1e}")


if __name__ == "__main__":
    main()
