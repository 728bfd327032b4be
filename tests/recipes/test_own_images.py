"""own-images: the folder, what it is read as, the comparison, a folder of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, own_images
from chainrule.recipes.datasets.animal_shapes import ANIMALS
from tests.ways import ENGINES

from .runs import check, need, needing, quick

need("sklearn", "PIL")
needs_animals = needing("animal_shape_mnist")
image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A quick run on photos of one's own."""
    out = tmp_path_factory.mktemp("own") / "run"
    return quick("own-images", out, options={"data": str(folder)}) | {"out": out}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds in colour: brighter above, or brighter on the left."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for kind in ("above", "left"):
        (root / kind).mkdir()
        for i in range(30):
            pixels = rng.integers(0, 60, (40, 60, 3))
            if kind == "above":
                pixels[:20] += 150
            else:
                pixels[:, :30] += 150
            image.fromarray(pixels.astype(np.uint8)).save(root / kind / f"{i}.png")
    return root


def test_a_folder_of_ones_own(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert result["images"] == 60
    assert np.sum(result["confusion"]) == 12  # a fifth
    means = result["means"]
    networks = {own_images.PLAIN, own_images.AUGMENTED}
    assert set(means) >= {*networks, "HOG, SVM", "pixels, linear"}
    augmented = result["network"]["mean"]
    rival = max(mean for name, mean in means.items() if name not in networks)
    assert means[result["rival"]] == rival
    assert result["gain"]["rival"] == pytest.approx(augmented - rival)
    right = np.trace(result["confusion"]) / 12
    assert means[own_images.AUGMENTED] == augmented == pytest.approx(right)
    assert augmented > 0.9  # what tells the two apart is plain to see
    assert "60 images of 2 kinds, 30 of each" in whole["text"]
    check(whole, "augmented", "train_loss", "validation_accuracy", "confusion")


def test_both_engines_begin_alike(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step to rounding; Adam makes much of it later where slopes are 0."""
    monkeypatch.setattr(own_images, "QUICK_EPOCHS", 2)
    losses = []
    for engine in ENGINES:
        experiment = Experiment("own-images", engine=engine, quick=True)
        train, test = own_images.images(experiment, str(folder)).split(
            0.8, stratify=True
        )
        trainer = own_images.learn(experiment, "network", train, test, True)
        losses.append(trainer.history.steps["loss"])
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-4)
    np.testing.assert_allclose(*losses, atol=0.02)


def few(place: Path, counts: dict[str, int]) -> str:
    for kind, count in counts.items():
        (place / kind).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng(i).integers(0, 255, (30, 30, 3), np.uint8)
            image.fromarray(pixels).save(place / kind / f"{i}.png")
    return str(place)


@pytest.mark.parametrize("counts", [{"a": 3, "b": 3}, {"a": 9, "b": 1}])
def test_too_few_photos(counts: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(cr.errors.DataError, match="too few images") as caught:
        quick(
            "own-images",
            tmp_path / "r",
            options={"data": few(tmp_path / "photos", counts)},
        )
    assert f"a: {counts['a']}" in str(caught.value)
    assert "with 5 images each" in str(caught.value)
    assert not (tmp_path / "r").exists()


def test_few_photos_are_enough_for_a_batch(tmp_path: Path) -> None:
    """The quick run of ten of one's own."""
    data = few(tmp_path / "photos", {"a": 5, "b": 5})
    assert quick("own-images", None, options={"data": data})["result"]["images"] == 10


def test_large_and_small_images_fit() -> None:
    for shape, classes in (((3, 48, 48), 4), ((1, 28, 28), 10)):
        model = own_images.network(shape, classes, augmented=True)
        assert model(cr.zeros(2, *shape)).shape == (2, classes)


@needs_animals
def test_the_example_is_a_folder(tmp_path: Path) -> None:
    experiment = Experiment("own-images", quick=True, out=tmp_path)
    data = own_images.images(experiment, None)
    assert data.class_names == tuple(ANIMALS)
    assert data.x.shape == (400, 1, 28, 28)
    assert (tmp_path / "images" / "zebra" / "039.png").exists()
