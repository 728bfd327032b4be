"""clustering: P and Q beside their definitions, labels, the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes import clustering

from .runs import check, need, quick

RECIPE = "clustering"

need("sklearn")


def test_q_and_p_by_their_formulas() -> None:
    cr.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(784, 3))
    codes = np.random.default_rng(1).standard_normal((50, 3))
    scale = nn.Standardize.of(codes)
    centres = np.random.default_rng(2).standard_normal((4, 3))
    scaled = nn.Sequential(encoder, scale)
    model = clustering.ClusterNetwork(scaled, centres).eval()
    x = np.random.default_rng(3).random((6, 784)).astype(np.float32)
    z = encoder(cr.tensor(x)).numpy().astype(float)
    z = (z - codes.mean(0)) / codes.std(0)
    q = 1 / (1 + ((z[:, None] - centres) ** 2).sum(2))
    q /= q.sum(1, keepdims=True)
    np.testing.assert_allclose(clustering.outputs(model, x), q, rtol=1e-4)
    p = clustering.target_distribution(q)
    for i in range(6):
        each = [q[i, j] ** 2 / sum(q[:, j]) for j in range(4)]
        np.testing.assert_allclose(p[i], np.array(each) / sum(each), rtol=1e-12)
    assert (p.max(1) > q.max(1) - 0.05).all()  # sharper, as a rule


def test_images_are_augmented_in_training_alone() -> None:
    cr.manual_seed(0)
    x = cr.tensor(cr.data.mnist()[0].x[:5].reshape(5, 784))
    augmentation = clustering.augmentation()
    changed = augmentation(x).numpy()
    assert changed.shape == (5, 784)
    assert (changed != x.numpy()).any(1).all()
    assert (augmentation.eval()(x).numpy() == x.numpy()).all()


def flat(result: Any) -> list[float]:
    """All numbers of nested results."""
    if isinstance(result, dict | list):
        parts = result.values() if isinstance(result, dict) else result
        return [number for part in parts for number in flat(part)]
    return [float(result)]


def test_labels_change_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting aside, nothing is computed from them: they are turned round."""
    mnist = cr.data.mnist

    def turned(**how: Any) -> Any:
        return tuple(
            cr.data.Dataset(part.x, (part.y + 3) % 10, classes=10) for part in mnist()
        )

    few = {"images": 500, "epochs": 1, "rounds": 2}
    monkeypatch.setattr(clustering, "QUICK", few)
    first = flat(quick("clustering", None)["result"])
    monkeypatch.setattr(cr.data, "mnist", turned)
    # Names are matched, so all is the same; mutual information sums in another order.
    assert flat(quick("clustering", None)["result"]) == pytest.approx(first, abs=1e-12)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert result["images"] == 10_000
    assert result["gain"] > 0.01  # codes make better clusters than pixels
    assert result["refined"]["accuracy"] > result["codes"]["k-means"]["accuracy"]
    for what in ("pixels", "codes"):
        for method in ("k-means", "mixture"):
            found = result[what][method]
            assert 0.2 < found["accuracy"] < 1
            assert 0.1 < found["nmi"] < 1
            assert f"{what}, {method}" in whole["text"]
    assert result["refined"]["accuracy"] == result["refined"]["rounds"][-1]
    check(whole, "centres", "map-first", "map-refined")
