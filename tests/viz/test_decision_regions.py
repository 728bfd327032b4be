"""Decision regions of classifiers of two features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.viz import decision_regions, drawing, save_decision_regions

XOR = cr.data.Dataset([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], classes=2)


def half_plane(x: cr.Tensor) -> np.ndarray:
    """Class 1 where x₁ + x₂ > ½."""
    return (x.numpy().sum(1) > 0.5).astype(float)


def colour_at(path: Path, across: float, up: float) -> np.ndarray:
    """The colour of a picture, from the lower left, in shares of its size."""
    from PIL import Image

    picture = np.asarray(Image.open(path).convert("RGB"), float)
    height, width, _ = picture.shape
    return picture[int((1 - up) * height), int(across * width)]


def nearest(colour: np.ndarray) -> int:
    """Which class a pale colour belongs to: the direction away from white counts."""
    away = 255 - colour
    own = 1 - decision_regions.class_colours(2)
    return int(np.argmax(own @ away / np.linalg.norm(own, axis=1)))


def test_colours_are_where_the_classes_are(tmp_path: Path) -> None:
    save_decision_regions(half_plane, XOR, tmp_path / "r.png", title="half a plane")
    assert nearest(colour_at(tmp_path / "r.png", 0.2, 0.2)) == 0
    assert nearest(colour_at(tmp_path / "r.png", 0.6, 0.7)) == 1
    assert nearest(colour_at(tmp_path / "r.png", 0.7, 0.3)) == 1


def test_points_on_the_wrong_side_have_a_ring() -> None:
    with drawing.figure(drawing.PAPER, 4, 4) as figure:
        axes = figure.subplots()
        assert decision_regions.draw_regions(axes, half_plane, XOR) == [0, 1]
        *_, ring = axes.collections
    assert ring.get_offsets().tolist() == [[1, 1]], "the one that half a plane misses"
    assert len(axes.get_legend_handles_labels()[0]) == 3


def test_of_a_trainer(tmp_path: Path) -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    adam = optim.Adam(lr=0.05)
    trainer = cr.Trainer(
        model, loss=nn.CrossEntropyLoss(), optimizer=adam, engine="numpy"
    )
    trainer.fit(XOR, epochs=200, batch_size=4, progress=False)
    save_decision_regions(trainer, XOR, tmp_path / "r.png")
    # The corners lie at 0.12 / 1.24 of the axes; points have colours of their own.
    corners = [(0.25, 0.3), (0.25, 0.75), (0.8, 0.3), (0.8, 0.75)]
    found = [nearest(colour_at(tmp_path / "r.png", *corner)) for corner in corners]
    assert found == [0, 1, 1, 0]
    shares = decision_regions.probabilities(trainer, XOR.x[...])
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    assert shares.argmax(1).tolist() == [0, 1, 1, 0]


def trainer_of(model: nn.Module, loss: nn.Module) -> cr.Trainer:
    return cr.Trainer(model, loss=loss, optimizer=optim.SGD(lr=0.1), engine="numpy")


def test_every_kind_of_classifier() -> None:
    """Two scores, one probability, one score, a score that only decides."""
    x = np.array([[2.0, 0.0], [-1.0, 0.0], [0.5, 3.0]], np.float32)
    one = nn.Linear(2, 1, bias=False)
    one.weight.copy_(np.array([[1.0, 0.0]], np.float32))
    p = 1 / (1 + np.exp(-x[:, 0].astype(float)))
    expected = np.stack([1 - p, p], axis=1)
    for classifier in (
        trainer_of(one, nn.BCEWithLogitsLoss()),
        trainer_of(nn.Sequential(one, nn.Sigmoid()), nn.BCELoss()),
        nn.Sequential(one, nn.Sigmoid()),
        lambda t: np.stack([0 * t.numpy()[:, 0], t.numpy()[:, 0]], axis=1),
        lambda t: p,
    ):
        found = decision_regions.probabilities(classifier, x)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    for loss in (nn.HingeLoss(), nn.PerceptronLoss()):
        found = decision_regions.probabilities(trainer_of(one, loss), x)
        assert found.tolist() == [[0, 1], [1, 0], [0, 1]]
    noisy = nn.Sequential(one, nn.Sigmoid(), nn.Dropout(0.9))
    np.testing.assert_allclose(
        decision_regions.probabilities(noisy, x), expected, rtol=1e-5
    )
    assert noisy.training, "as it was"
    three = nn.Linear(2, 3)
    found = decision_regions.probabilities(trainer_of(three, nn.MultiMarginLoss()), x)
    best = three(cr.tensor(x)).numpy().argmax(1)
    np.testing.assert_array_equal(found, np.eye(3)[best])


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (np.array([0, 2, 1]), [0, 2, 1]),
        (np.array([1.0, 0.0, 1.0]), [1, 0, 1]),
        (np.array([[-1], [1], [1]]), [0, 1, 1]),
        (np.array([[0, 1], [1, 0], [0, 1]]), [1, 0, 1]),
    ],
)
def test_labels(y: np.ndarray, labels: list[int]) -> None:
    assert decision_regions.labels_of(y).tolist() == labels


@pytest.mark.parametrize(
    "y", [np.array([0.5, 1.0]), np.array([-2, 1]), np.array([[1, 1], [0, 0]])]
)
def test_targets_that_are_no_labels(y: np.ndarray) -> None:
    with pytest.raises(errors.ArgumentError, match="need labels"):
        decision_regions.labels_of(y)


def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.png"
    wide = cr.data.Dataset(np.zeros((3, 3)), [0, 1, 0])
    with pytest.raises(errors.ArgumentError, match="two features"):
        save_decision_regions(half_plane, wide, path)
    quantities = cr.data.Dataset(np.zeros((3, 2)), [0.5, 1.0, 0.0])
    with pytest.raises(errors.ArgumentError, match="need labels"):
        save_decision_regions(half_plane, quantities, path)
    for answer in (np.full(4, 2.0), np.full((4, 1), -0.5), np.zeros(3), np.zeros(())):
        with pytest.raises(errors.ArgumentError, match="need a classifier"):
            decision_regions.probabilities(lambda t, a=answer: a, np.zeros((4, 2)))
    with pytest.raises(errors.SaveError, match="regions"):
        save_decision_regions(half_plane, XOR, tmp_path / "no" / "r.png")
    monkeypatch.setattr(drawing, "can_plot", lambda: False)
    with pytest.raises(errors.ArgumentError, match=r"chainrule\[plot\]"):
        save_decision_regions(half_plane, XOR, path)
    assert not path.exists()


def test_points_in_one_place_and_many_classes(tmp_path: Path) -> None:
    """No width to divide by; more classes than colours and than a legend holds."""
    one = cr.data.Dataset(np.ones((5, 2)), np.zeros(5, int), classes=2)
    save_decision_regions(half_plane, one, tmp_path / "one.png")
    rng = np.random.default_rng(0)
    many = cr.data.Dataset(rng.normal(size=(60, 2)), np.arange(60) % 30)
    centres = many.x[:30]

    def closest(t: cr.Tensor) -> np.ndarray:
        return -((t.numpy()[:, None] - centres) ** 2).sum(2)

    save_decision_regions(closest, many, tmp_path / "many.png", title="$x_{<b>")
    assert len(np.unique(decision_regions.class_colours(30), axis=0)) == 30
    assert len(np.unique(decision_regions.class_colours(8), axis=0)) == 8


def test_names() -> None:
    assert decision_regions.class_names(XOR) == ["0", "1"]
    assert decision_regions.class_names(XOR, ("no", "yes")) == ["no", "yes"]
    labelled = cr.data.Dataset([[0], [1]], [0, 3])
    assert decision_regions.class_names(labelled) == ["0", "1", "2", "3"]
