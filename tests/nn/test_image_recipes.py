"""Colours, resized crops and mixtures: torchvision's formulas, in a compiled step."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ChainruleError, CheckpointError, ShapeError
from chainrule.nn import color
from tests.ways import ENGINES

DRAW = np.random.default_rng(0)
IMAGES = DRAW.random((5, 3, 6, 7), dtype=np.float32)
IMAGES[0, :, :2] = 0.5  # grey
IMAGES[1, 1, :3] = IMAGES[1, 0, :3]  # two channels alike
GREY = np.tensordot([0.2989, 0.587, 0.114], IMAGES, (0, 1))[:, None]


def rotated(f: float) -> np.ndarray:
    def turn(r: float, g: float, b: float) -> tuple[float, float, float]:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        return colorsys.hsv_to_rgb((h + f) % 1, s, v)

    pixels = np.moveaxis(IMAGES, 1, -1).reshape(-1, 3).tolist()
    turned = np.array([turn(*pixel) for pixel in pixels])
    return np.moveaxis(turned.reshape(5, 6, 7, 3), -1, 1)


def blended(other: Any, f: float) -> np.ndarray:
    return np.clip(f * IMAGES + (1 - f) * other, 0, 1)


@pytest.mark.parametrize("f", [0.0, 0.4, 1.0, 1.8])
def test_colours(f: float) -> None:
    x, factor = cr.tensor(IMAGES), cr.tensor(np.float32(f))
    mean = GREY.mean((1, 2, 3), keepdims=True)
    pairs = [
        (color.adjust_brightness(x, factor), np.clip(f * IMAGES, 0, 1)),
        (color.adjust_contrast(x, factor), blended(mean, f)),
        (color.adjust_saturation(x, factor), blended(GREY, f)),
        (color.adjust_hue(x, factor - 1), rotated(f - 1)),
    ]
    for ours, expected in pairs:
        np.testing.assert_allclose(ours.numpy(), expected, atol=3e-6)


def test_jitter_draws_factors_and_an_order_for_each_image() -> None:
    cr.manual_seed(0)
    same = cr.tensor(np.repeat(IMAGES[2:3], 400, 0))
    jitter = nn.ColorJitter(brightness=(0.5, 0.5), contrast=(0.5, 0.5))
    out = jitter(same).numpy()
    x = IMAGES[2:3]
    mean = GREY[2].mean()
    first = 0.5 * (0.5 * x) + 0.5 * (0.5 * mean)
    assert np.allclose(out, first, atol=1e-6)  # both orders agree here
    jitter = nn.ColorJitter(brightness=(1.8, 1.8), contrast=(0.5, 0.5))
    out = jitter(same).numpy()
    bright = np.clip(1.8 * x, 0, 1)
    grey = np.tensordot([0.2989, 0.587, 0.114], bright, (0, 1)).mean()
    one = 0.5 * bright + 0.5 * grey
    other = np.clip(1.8 * (0.5 * x + 0.5 * mean), 0, 1)
    is_one = [np.allclose(image, one[0], atol=1e-5) for image in out]
    is_other = [np.allclose(image, other[0], atol=1e-5) for image in out]
    assert all(a != b for a, b in zip(is_one, is_other))
    assert 150 < sum(is_one) < 250
    drawn = nn.ColorJitter(0.3)(same).numpy() / IMAGES[2:3]
    factors = np.median(drawn, (1, 2, 3))
    assert 0.7 <= factors.min() < 0.73
    assert 1.27 < factors.max() <= 1.3
    plain = nn.ColorJitter()(same)
    assert (plain.numpy() == same.numpy()).all()


def test_jitter_of_grey_images_and_in_prediction() -> None:
    x = cr.tensor(IMAGES[:, :1])
    assert nn.ColorJitter(0.2, 0.2, 0.2, 0.1)(x).shape == x.shape
    jitter = nn.ColorJitter(0.5).eval()
    assert jitter(x) is x
    with pytest.raises(ShapeError, match="changes colours"):
        nn.ColorJitter(0.5)(cr.tensor(IMAGES[:, :2]))


def resized(image: np.ndarray, size: int, antialias: bool) -> np.ndarray:
    """A row of numbers in another size, pixel by pixel."""
    step, n = len(image) / size, len(image)
    out = []
    for i in range(size):
        middle = (i + 0.5) * step
        if not antialias:
            at = min(max(middle - 0.5, 0), n - 1)
            low = int(at)
            high, part = min(low + 1, n - 1), at - low
            out.append((1 - part) * image[low] + part * image[high])
            continue
        reach = max(step, 1.0)
        weight = [max(0, 1 - abs(j + 0.5 - middle) / reach) for j in range(n)]
        out.append(np.dot(weight, image) / sum(weight))
    return np.array(out)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(3, 4), (6, 7), (13, 2)])
def test_a_part_is_resized(size: tuple[int, int], antialias: bool) -> None:
    crop = nn.RandomResizedCrop(size, antialias=antialias)
    for top, left, height, width in ((0, 0, 6, 7), (2, 1, 3, 6), (5, 6, 1, 1)):
        place = [cr.tensor([[float(n)]]) for n in (top, left, height, width)]
        ours = crop._resized(cr.tensor(IMAGES), *place).numpy()
        part = IMAGES[:, :, top : top + height, left : left + width]
        down = np.apply_along_axis(resized, 2, part, size[0], antialias)
        expected = np.apply_along_axis(resized, 3, down, size[1], antialias)
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_random_parts_have_the_area_and_the_ratio() -> None:
    cr.manual_seed(0)
    at = np.stack(np.meshgrid(np.arange(40.0), np.arange(60.0), indexing="ij"))
    x = cr.tensor(np.repeat(at[None].astype("f4"), 300, 0))
    out = nn.RandomResizedCrop(20, scale=(0.1, 0.5), ratio=(0.5, 2.0))(x).numpy()
    low, high = out.min((2, 3)), out.max((2, 3))
    side = (high - low) * 20 / 19  # from the middles of pixels
    area, ratio = side.prod(1) / 2400, side[:, 1] / side[:, 0]
    assert 0.08 < area.min() < 0.13
    assert 0.45 < area.max() < 0.53
    assert 0.45 < ratio.min() < 0.6
    assert 1.7 < ratio.max() < 2.1
    assert (low >= 0).all()
    assert (high <= [39.001, 59.001]).all()
    whole = nn.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(5.0, 6.0))(x).numpy()
    assert np.ptp(whole[:, 1], (1, 2)).min() > 50  # none fits: the middle, 60 wide
    assert abs(np.ptp(whole[0, 0]) - 12 * 7 / 8) < 0.5
    middle = nn.RandomResizedCrop((10, 10)).eval()(x).numpy()
    assert middle.shape == (300, 2, 10, 10)
    assert middle[0, 0].mean() == pytest.approx(19.5, abs=1e-4)
    assert middle[0, 1].mean() == pytest.approx(29.5, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 100), (9, 1)])
@pytest.mark.parametrize("ratio", [(0.75, 4 / 3), (3.0, 4.0), (0.1, 0.2)])
def test_parts_of_narrow_images(shape: Any, ratio: Any) -> None:
    images = cr.tensor(DRAW.random((4, 2, *shape), dtype=np.float32) + 1)
    for size in ((100, 1), (1, 100), 2):
        crop = nn.RandomResizedCrop(size, (0.01, 0.02), ratio)
        for parts in (crop(images), crop.eval()(images)):
            assert images.min() - 1e-5 <= parts.min()
            assert parts.max() <= images.max() + 1e-5


LABELS = np.array([0, 1, 2, 1, 0])


def mixed_labels(labels: list[int]) -> Any:
    return nn.MixUp(num_classes=2)(cr.zeros(2, 1), cr.tensor(labels))


@pytest.mark.parametrize("engine", ENGINES)
def test_labels_outside_the_classes_stop_a_run(engine: Any) -> None:
    def loss(prediction: Any, target: Any) -> Any:
        return (prediction - target).square().mean()

    mix, sgd = nn.MixUp(num_classes=2), optim.SGD(lr=0.1)
    run = cr.Trainer(
        nn.Linear(1, 2), loss=loss, optimizer=sgd, engine=engine, batch_transform=mix
    )
    with pytest.raises(ArgumentError, match=r"0 (to|…) 1"):
        run.fit(([[0.0], [1.0]], [0, 2]), epochs=1, batch_size=2, progress=False)


def test_mix_up() -> None:
    cr.manual_seed(0)
    for soft in (False, True):
        y = np.eye(3, dtype="f4")[LABELS]
        mix = nn.MixUp(0.4, num_classes=None if soft else 3)
        x_mixed, y_mixed = mix(cr.tensor(IMAGES), cr.tensor(y if soft else LABELS))
        share = y_mixed.numpy()[1, 1]
        assert 0 < share < 1
        expected = share * IMAGES + (1 - share) * np.roll(IMAGES, 1, 0)
        np.testing.assert_allclose(x_mixed.numpy(), expected, atol=1e-6)
        expected = share * y + (1 - share) * np.roll(y, 1, 0)
        np.testing.assert_allclose(y_mixed.numpy(), expected, atol=1e-6)
    shares = [mix(cr.zeros(5, 1), cr.tensor(y))[1].numpy()[1, 1] for __ in range(60)]
    assert abs(np.mean(shares) - 0.5) < 0.2
    assert np.std(shares) == pytest.approx((1 / (4 * 1.8)) ** 0.5, abs=0.1)
    __, y = nn.MixUp(num_classes=3).eval()(cr.tensor(IMAGES), cr.tensor(LABELS))
    assert (y.numpy() == LABELS).all()


def test_cut_mix() -> None:
    cr.manual_seed(0)
    areas = set()
    for __ in range(20):
        x, y = nn.CutMix(num_classes=3)(cr.tensor(IMAGES), cr.tensor(LABELS))
        other = (x.numpy() != IMAGES).all(1)
        cut = other[2]
        assert (other[:1] == cut).all()
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        assert cut.sum() == len(rows) * len(columns)
        expected = np.where(cut, np.roll(IMAGES, 1, 0), IMAGES)
        assert (x.numpy() == expected).all()
        share = 1 - cut.mean()
        hot = np.eye(3)[LABELS]
        mixed = share * hot + (1 - share) * np.roll(hot, 1, 0)
        np.testing.assert_allclose(y.numpy(), mixed, atol=1e-6)
        areas.add(int(cut.sum()))
    assert len(areas) > 5


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.ColorJitter(-1), "brightness"),
        (lambda: nn.ColorJitter(hue=0.6), "hue"),
        (lambda: nn.ColorJitter(contrast=(2, 1)), "contrast"),
        (lambda: nn.RandomResizedCrop(0), "size"),
        (lambda: nn.RandomResizedCrop(4, scale=(0.5, 1.5)), "scale"),
        (lambda: nn.RandomResizedCrop(4, ratio=(0.0, 1.0)), "ratio"),
        (lambda: nn.MixUp(0), "alpha"),
        (lambda: nn.MixUp(num_classes=0), "num_classes"),
        (lambda: nn.MixUp(num_classes=1), "num_classes"),
        (lambda: nn.MixUp()(cr.zeros(2, 1), cr.tensor([0, 1])), "Class indices"),
        (lambda: mixed_labels([0, 2]), "indices from 0 to 1"),
        (lambda: mixed_labels([-100, 1]), "indices from 0 to 1"),
        (lambda: mixed_labels([2**32, 1]), "indices from 0 to 1"),
        (lambda: mixed_labels([0, 1, 1]), "mixes rows"),
        (lambda: nn.ColorJitter(0.5)(cr.tensor(np.zeros((1, 3, 2, 2), "u1"))), "/ 255"),
        (lambda: nn.MixUp()((cr.zeros(2),), cr.zeros(2)), "one input"),
        (lambda: nn.CutMix()(cr.zeros(2, 1), cr.zeros(2)), "cuts images"),
        (lambda: trainer(batch_transform=3), "batch_transform"),
    ],
)
def test_what_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ChainruleError, match=text):
        make()


# -- in a training step ----------------------------------------------------------------

DATA = cr.data.Dataset(
    DRAW.integers(0, 256, (40, 3, 8, 8)).astype(np.uint8),
    np.arange(40) % 3,
    scale=1 / 255,
    classes=3,
)


def trainer(engine: Any = "numpy", **options: Any) -> cr.Trainer:
    cr.manual_seed(0)
    model = nn.Sequential(
        nn.RandomResizedCrop(6, scale=(0.5, 1.0)),
        nn.ColorJitter(0.4, 0.4, 0.4, 0.1),
        nn.RandomErasing(),
        nn.Flatten(),
        nn.Linear(108, 3),
    )
    options = {"batch_transform": nn.MixUp(0.2, num_classes=3), **options}
    loss, sgd = nn.CrossEntropyLoss(), optim.SGD(lr=0.1)
    return cr.Trainer(model, loss=loss, optimizer=sgd, engine=engine, **options)


@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, begun = trainer(), trainer()
    options: Any = {"batch_size": 8, "progress": False}
    expected = whole.fit(DATA, epochs=3, **options).steps["loss"]
    assert np.isfinite(expected).all()
    assert len(set(expected.tolist())) == 15
    begun.fit(DATA, epochs=1, checkpoint=tmp_path, **options)
    again = cr.Trainer.load(tmp_path)
    assert again.batch_transform.alpha == 0.2
    again.resume(DATA, epochs=3, progress=False)
    assert again.history.steps["loss"].tobytes() == expected.tobytes()
    assert whole.predict(DATA).shape == (40, 3)


@pytest.mark.slow
def test_engines_agree() -> None:
    losses = []
    for engine in ENGINES:
        history = trainer(engine).fit(DATA, epochs=1, batch_size=8, progress=False)
        losses.append(history.steps["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_transform_is_for_training_alone() -> None:
    plain, mixed = trainer(batch_transform=None), trainer()
    assert plain.evaluate(DATA)["loss"] == mixed.evaluate(DATA)["loss"]
    options: Any = {"epochs": 1, "batch_size": 8, "progress": False}
    a, b = (t.fit(DATA, **options).steps["loss"] for t in (plain, mixed))
    assert a[0] != b[0]


def test_functions_of_ones_own(tmp_path: Path) -> None:
    own = trainer(batch_transform=lambda x, y: (x * 0, y))
    options: Any = {"epochs": 1, "batch_size": 8, "progress": False}
    history = own.fit(DATA, **options)
    assert history.steps["loss"][0] < 2
    own.save(tmp_path / "own.ckpt")
    with pytest.raises(CheckpointError, match="batch_transform"):
        cr.Trainer.load(tmp_path / "own.ckpt")
    cr.Trainer.load(tmp_path / "own.ckpt", batch_transform=nn.MixUp(num_classes=3))
    with pytest.raises(ArgumentError, match="inputs and the targets"):
        trainer(batch_transform=lambda x, y: x).fit(DATA, **options)
    with pytest.raises(ArgumentError, match="no weight of its own"):
        trainer().fit(DATA, class_weight="balanced", **options)
