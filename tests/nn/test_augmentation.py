"""Layers that change images in training: beside NumPy, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.nn.functional as F
from chainrule import errors, nn, optim
from chainrule.nn.sampling import sample
from tests.ways import ENGINES

LAYERS = [
    nn.RandomHorizontalFlip(),
    nn.RandomVerticalFlip(),
    nn.RandomCrop((7, 9), padding=2),
    nn.RandomCrop((7, 9), padding=(0, 3), padding_mode="edge"),
    nn.RandomAffine(20, (0.2, 0.1), (0.8, 1.3)),
    nn.RandomRotation((-90, 45)),
    nn.RandomErasing(),
]
IMAGES = np.random.default_rng(0).standard_normal((64, 2, 7, 9)).astype(np.float32)
#: Places near 8 are known to 1e-6, and between two pixels numbers differ by up to 6.
ROUNDING = 1e-5


def changed(layer: nn.Module, x: Any = IMAGES, seed: int = 0) -> np.ndarray:
    cr.manual_seed(seed)
    return layer(cr.tensor(x)).numpy()


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_in_evaluation_nothing_changes(layer: nn.Module) -> None:
    x = cr.tensor(IMAGES)
    assert layer.eval()(x) is x
    assert (layer.train()(x).numpy() != IMAGES).any()


@pytest.mark.one_in(2)
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_every_engine_draws_the_same(layer: nn.Module) -> None:
    made = []
    for engine in ENGINES:
        cr.manual_seed(5)
        run = cr.compile(lambda x: layer(x), engine=engine)
        made.append([run(IMAGES).numpy() for _ in range(2)])
    np.testing.assert_allclose(made[0], made[1], rtol=0, atol=ROUNDING)
    assert (made[0][0] != made[0][1]).any()  # another draw at every call
    np.testing.assert_allclose(
        changed(layer, seed=5), made[0][0], rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_channels_move_together(layer: nn.Module) -> None:
    x = np.repeat(IMAGES[:, :1], 3, axis=1)
    made = changed(layer, x)
    assert (made == made[:, :1]).all()


@pytest.mark.parametrize(
    ("layer", "axis"), [(nn.RandomHorizontalFlip(), 3), (nn.RandomVerticalFlip(), 2)]
)
def test_flips(layer: nn.Module, axis: int) -> None:
    made, turned = changed(layer), np.flip(IMAGES, axis)
    flipped = (made == turned).all((1, 2, 3))
    assert ((made == IMAGES).all((1, 2, 3)) != flipped).all()
    assert 16 < flipped.sum() < 48  # of 64; outside once in 30,000 seeds


@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_crops_are_shifts_and_all_of_them_come(mode: Any) -> None:
    layer = nn.RandomCrop((7, 9), padding=(1, 2), padding_mode=mode)
    x = np.tile(IMAGES[:1], (600, 1, 1, 1))
    made = changed(layer, x)
    padded = np.pad(IMAGES[0], ((0, 0), (1, 1), (2, 2)), mode=mode)
    each = [padded[:, i : i + 7, j : j + 9] for i in range(3) for j in range(5)]
    counts = [int((made == one).all((1, 2, 3)).sum()) for one in each]
    assert sum(counts) == 600
    assert min(counts) > 15  # 40 are expected
    assert max(counts) < 70


def test_a_smaller_crop() -> None:
    layer = nn.RandomCrop(5)
    made = changed(layer)
    for image, part in zip(IMAGES, made):
        places = [
            (i, j)
            for i in range(3)
            for j in range(5)
            if (image[:, i : i + 5, j : j + 5] == part).all()
        ]
        assert len(places) == 1
    assert (layer.eval()(cr.tensor(IMAGES)).numpy() == IMAGES[:, :, 1:6, 2:7]).all()
    with pytest.raises(errors.ShapeError, match=r"images of at least 8 × 8"):
        nn.RandomCrop(8)(cr.tensor(IMAGES))


def bilinear(image: np.ndarray, row: float, column: float) -> np.ndarray:
    """A pixel of (C, H, W) between the four around it; outside 0."""
    i, j = int(np.floor(row)), int(np.floor(column))
    made = np.zeros(len(image))
    for di in (0, 1):
        for dj in (0, 1):
            a, b = i + di, j + dj
            share = (1 - abs(row - a)) * (1 - abs(column - b))
            if 0 <= a < image.shape[1] and 0 <= b < image.shape[2]:
                made += share * image[:, a, b]
    return made


@pytest.mark.parametrize(
    ("degrees", "scale"), [(30.0, 1.0), (-75.0, 0.7), (0.0, 1.4), (180.0, 2.0)]
)
def test_turned_and_scaled_by_hand(degrees: float, scale: float) -> None:
    """Where a pixel comes from: the inverse map, in complex numbers."""
    x = IMAGES[:1]
    made = changed(nn.RandomAffine((degrees, degrees), scale=(scale, scale)), x)
    back = np.exp(-1j * np.deg2rad(degrees)) / scale
    for i in range(7):
        for j in range(9):
            place = complex(j - 4, -(i - 3)) * back  # upwards is positive
            wanted = bilinear(x[0], 3 - place.imag, 4 + place.real)
            np.testing.assert_allclose(made[0, :, i, j], wanted, rtol=0, atol=3e-6)


def test_a_quarter_turn_is_exact() -> None:
    x = IMAGES[:, :, :, :7]
    made = changed(nn.RandomRotation((90, 90)), x)
    np.testing.assert_allclose(made, np.rot90(x, axes=(2, 3)), rtol=0, atol=3e-6)


def test_how_far_images_move() -> None:
    """The brightest place of a wide white dot moves by up to 20 % and 10 %."""
    x = np.zeros((2000, 1, 21, 21), np.float32)
    x[:, 0, 10, 10] = 1
    made = changed(nn.RandomAffine(0, translate=(0.2, 0.1)), x)[:, 0]
    at = np.arange(21) - 10
    across, down = (made.sum(1) @ at, made.sum(2) @ at)
    for moved, most in ((across, 4.2), (down, 2.1)):
        assert np.abs(moved).max() <= most + 1e-5
        assert abs(moved.mean()) < 0.2
        assert moved.std() == pytest.approx(most / 3**0.5, rel=0.05)


def test_erased_rectangles() -> None:
    layer = nn.RandomErasing(0.75, (0.1, 0.3), (0.5, 2.0), value=7.0)
    x = np.zeros((2000, 1, 30, 40), np.float32)
    made = changed(layer, x)[:, 0] == 7
    areas, chosen = made.sum((1, 2)), made.any((1, 2))
    assert abs(chosen.mean() - 0.75) < 0.04
    rows, columns = made.any(2).sum(1), made.any(1).sum(1)
    assert (areas == rows * columns).all()  # what is covered is a rectangle
    shares = areas[chosen] / 1200
    assert shares.min() > 0.08
    assert shares.max() < 0.33
    assert abs(shares.mean() - 0.2) < 0.01
    ratio = np.log(rows[chosen] / columns[chosen])
    assert abs(ratio).max() < np.log(2.3)
    assert abs(ratio.mean()) < 0.05
    seen = made.mean(0)  # every pixel is covered now and then, the middle most often
    assert seen.min() > 0
    assert seen[15, 20] > 2 * seen[0, 0]


def test_a_run_is_exact_and_evaluation_leaves_images_alone() -> None:
    """A run in two halves, and in other chunks, is the same run."""
    x, y = IMAGES, np.arange(64) % 2

    def trainer() -> cr.Trainer:
        cr.manual_seed(0)
        layers = nn.RandomCrop((7, 9), 1), nn.RandomAffine(9), nn.RandomErasing()
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(126, 2))
        loss, adam = nn.CrossEntropyLoss(), optim.Adam(lr=0.01)
        return cr.Trainer(model, loss=loss, optimizer=adam, engine="numpy")

    whole, halves = trainer(), trainer()
    whole.fit((x, y), epochs=4, batch_size=16, progress=False)
    for _ in range(2):
        halves.fit((x, y), epochs=2, batch_size=16, progress=False)
    for name, weights in whole.model.state_dict().items():
        assert (weights == halves.model.state_dict()[name]).all()
    plain = nn.Sequential(*list(whole.model)[3:])
    assert (whole.predict(x) == plain(cr.tensor(x)).numpy()).all()


# -- sampling at places ----------------------------------------------------------------


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("engine", [None, *ENGINES])
def test_grid_sample_pixel_by_pixel(engine: str | None, align: bool) -> None:
    rng = np.random.default_rng(1)
    grid = rng.uniform(-1.4, 1.4, (3, 4, 5, 2)).astype(np.float32)

    def read(x: Any, grid: Any) -> Any:
        return F.grid_sample(x, grid, align_corners=align)

    run = read if engine is None else cr.compile(read, engine=engine)
    made = run(cr.tensor(IMAGES[:3]), cr.tensor(grid)).numpy()
    for n in range(3):
        for i in range(4):
            for j in range(5):
                x, y = (grid[n, i, j].astype(float) + 1) / 2
                row, column = (y * 6, x * 8) if align else (y * 7 - 0.5, x * 9 - 0.5)
                wanted = bilinear(IMAGES[n], row, column)
                np.testing.assert_allclose(made[n, :, i, j], wanted, rtol=0, atol=1e-5)


def test_what_is_outside_and_what_is_nearest() -> None:
    x = cr.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    rows, columns = cr.tensor([[[-9.0, 0.6, 9.0]]]), cr.tensor([[[-9.0, 0.4, 0.0]]])
    assert sample(x, rows, columns, "nearest", "border").tolist() == [[[[1, 3, 3]]]]
    assert sample(x, rows, columns, "nearest").tolist() == [[[[0, 3, 0]]]]
    made = sample(x, rows, columns, padding_mode="border").numpy()
    np.testing.assert_allclose(made, [[[[1, 1 + 0.4 + 1.2, 3]]]], rtol=1e-6)


def test_derivatives_of_pixels_and_places() -> None:
    x = cr.tensor(IMAGES[:2], dtype="float64")
    # Away from whole pixels, where the slope jumps.
    at = np.random.default_rng(2).uniform(0.1, 0.9, (2, 3, 4, 2)) + 2
    grid = cr.tensor((2 * at + 1) / [9, 7] - 1)
    report = cr.check_gradients(lambda x, g: F.grid_sample(x, g).sin(), x, grid)
    assert report.counts() == {"agrees": len(report.rows)}
    assert report.worst.error < 1e-7


def test_affine_grid_is_the_map_of_the_middles() -> None:
    theta = np.random.default_rng(3).standard_normal((2, 2, 3))
    for align, x, y in (
        (False, [-2 / 3, 0, 2 / 3], [-0.5, 0.5]),
        (True, [-1, 0, 1], [-1, 1]),
    ):
        made = F.affine_grid(theta, (2, 1, 2, 3), align).numpy()
        for i in range(2):
            for j in range(3):
                wanted = theta @ [x[j], y[i], 1]
                np.testing.assert_allclose(made[:, i, j], wanted, atol=1e-12)
    identity = F.affine_grid([[[1.0, 0, 0], [0, 1, 0]]] * 64, IMAGES.shape)
    made = F.grid_sample(IMAGES, identity).numpy()
    np.testing.assert_allclose(made, IMAGES, rtol=0, atol=3e-6)


# -- mistakes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nn.RandomHorizontalFlip(1.5), "p ≤ 1"),
        (lambda: nn.RandomCrop(0), "size"),
        (lambda: nn.RandomCrop(3, padding=-1), "padding"),
        (lambda: nn.RandomCrop(3, padding_mode="reflect"), "constant"),
        (lambda: nn.RandomAffine(-3), "degrees"),
        (lambda: nn.RandomAffine((3, -3)), r"\(least, most\)"),
        (lambda: nn.RandomAffine(0, (0.1, 1.5)), "translate"),
        (lambda: nn.RandomAffine(0, 0.1), r"\(across, down\)"),
        (lambda: nn.RandomAffine(0, scale=(0.0, 1.0)), "scale"),
        (lambda: nn.RandomErasing(scale=(0.3, 0.2)), r"\(least, most\)"),
        (lambda: nn.RandomErasing(ratio="ab"), "ratio"),
        (lambda: nn.RandomErasing(value=float("nan")), "value"),
        (lambda: nn.RandomErasing()(cr.zeros(3, 784)), r"\(N, C, H, W\)"),
        (lambda: F.grid_sample(cr.zeros(1, 1, 2, 2), cr.zeros(1, 2, 2)), "places"),
        (lambda: F.affine_grid(cr.zeros(1, 3, 2), (1, 1, 2, 2)), r"\(N, 2, 3\)"),
        (lambda: F.grid_sample(IMAGES, cr.zeros(64, 1, 1, 2), "cubic"), "bilinear"),
    ],
)
def test_mistakes(make: Any, says: str) -> None:
    with pytest.raises(errors.ChainruleError, match=says):
        make()
