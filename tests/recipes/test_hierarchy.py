"""hierarchy: what units see, edges, ascent and patches, each worked out another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, hierarchy

from .runs import check

RECIPE = "hierarchy"

STUDY = Experiment("hierarchy", engine="numpy", threads=1)


@pytest.fixture
def model() -> hierarchy.Network:
    cr.manual_seed(0)
    return hierarchy.Network()


@pytest.mark.parametrize("layer", range(4))
def test_what_a_unit_sees(model: hierarchy.Network, layer: int) -> None:
    """The pixels that change a unit are those of the arithmetic: in range, and all."""
    side, step = hierarchy.field(layer)
    rng = np.random.default_rng(0)
    seen = np.zeros((28, 28), bool)
    last = 0
    for _ in range(12):  # what a pooling leaves out differs from image to image
        image = cr.tensor(rng.random((1, 1, 28, 28)).astype("f4"))
        z = model.seen(image, layer)
        last = z.shape[-1] - 1 if z.ndim == 4 else 0
        weights = rng.standard_normal(z.shape).astype("f4")
        if z.ndim == 4:
            weights[:, :, :last], weights[:, :, :, :last] = 0, 0

        def told(x: cr.Tensor, w: Any = weights) -> cr.Tensor:
            return (model.seen(x, layer) * w).sum()

        seen |= cr.grad(told)(image).numpy()[0, 0] != 0
    rows, columns = np.nonzero(seen.any(1))[0], np.nonzero(seen.any(0))[0]
    start = last * step
    assert (rows[0], rows[-1] + 1) == (start, start + side)
    assert (columns[0], columns[-1] + 1) == (start, start + side)


def test_an_input_of_that_size_is_one_unit(model: hierarchy.Network) -> None:
    for layer in range(4):
        side = hierarchy.field(layer)[0]
        z = model.seen(cr.zeros(1, 1, side, side), layer)
        assert z.flatten(1).shape == (1, z.shape[1])


def test_slopes_and_ridges_by_least_squares() -> None:
    rng = np.random.default_rng(1)
    kernels = rng.standard_normal((6, 5, 5))
    down, right = np.indices((5, 5)) - 2.0
    kernels[0] = 3 * right - 1  # ink to the right
    kernels[1] = -2.0 * down  # ink above
    kernels[2] = 2 - right**2  # an upright stroke
    found = hierarchy.edges(kernels)
    one = np.ones(25)
    slope = np.stack([one, right.ravel(), down.ravel()], 1)
    ridge = [one, (right**2).ravel(), (right * down).ravel(), (down**2).ravel()]
    for kernel, told in zip(kernels.reshape(6, 25), found):
        for columns, name in ((slope, "edge"), (np.stack(ridge, 1), "stroke")):
            left = np.linalg.lstsq(columns, kernel, rcond=None)[1]
            share = 1 - left.sum() / ((kernel - kernel.mean()) ** 2).sum()
            assert told[name] == pytest.approx(share, abs=1e-9)
    assert found[0]["degrees"] == pytest.approx(0)
    assert found[1]["degrees"] == pytest.approx(90)
    assert [f["edge"] > 0.99 for f in found[:3]] == [True, True, False]


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_the_ascent_ends_at_the_top(engine: str, model: hierarchy.Network) -> None:
    """Layer 1 is linear: without μ the best input is w/(s λ), cut to 0 … 1."""
    experiment = Experiment(engine=engine, threads=1)
    scale = np.linspace(0.2, 0.5, 8)
    climb = hierarchy.climber(experiment, model, 0, scale)
    x, small, smooth = cr.full((8, 1, 5, 5), 0.1), cr.tensor(0.7), cr.tensor(0.0)
    for _ in range(60):
        x = climb(x, small, smooth)
    w = model.convolutions[0].weight.numpy()[:, 0] / scale[:, None, None]
    np.testing.assert_allclose(x.numpy()[:, 0], np.clip(w / 0.7, 0, 1), atol=1e-5)


def test_neighbours_are_joined(model: hierarchy.Network) -> None:
    """With μ the top is where the derivative that NumPy makes of the formula is 0."""
    scale = np.full(8, 0.3)
    climb = hierarchy.climber(STUDY, model, 0, scale)
    x, small, smooth = cr.full((8, 1, 5, 5), 0.1), cr.tensor(0.3), cr.tensor(0.2)
    for _ in range(300):
        x = climb(x, small, smooth)
    made = x.numpy()[:, 0].astype("f8")
    w = model.convolutions[0].weight.numpy()[:, 0] / 0.3
    apart = np.zeros_like(made)
    for axis in (1, 2):
        steps = np.diff(made, axis=axis)
        before, behind = [(0, 0)] * 3, [(0, 0)] * 3
        before[axis], behind[axis] = (0, 1), (1, 0)
        apart += np.pad(steps, behind) - np.pad(steps, before)
    slope = w - 0.3 * made - 0.2 * apart
    inside = (made > 1e-3) & (made < 1 - 1e-3)
    assert inside.sum() > 20
    np.testing.assert_allclose(slope[inside], 0, atol=1e-4)
    assert (slope[made == 0] <= 1e-6).all()
    assert (slope[made == 1] >= -1e-6).all()


@pytest.mark.parametrize("layer", range(4))
def test_the_nearest_patches(model: hierarchy.Network, layer: int) -> None:
    """Each patch, cut out and given to the network alone, excites as was said."""
    images = cr.data.mnist()[1].x[:500].reshape(-1, 1, 28, 28)
    look = hierarchy.look_at(STUDY, model, layer)
    found = hierarchy.excited(look, layer, images)
    side = hierarchy.field(layer)[0]
    z = look(images).reshape(500, len(found["patches"]), -1)
    for c, (places, heights) in enumerate(zip(found["patches"], found["heights"])):
        best = np.sort(z[:, c].max(1))[::-1][: hierarchy.BEST]
        np.testing.assert_allclose(heights, best, rtol=1e-6)
        i, top, left = places[0]
        patch = images[i, :, top : top + side, left : left + side]
        alone = look(patch[None]).reshape(-1)[c]
        assert alone == pytest.approx(heights[0], abs=1e-4)
    np.testing.assert_allclose(found["deviation"], z.std((0, 2)), rtol=1e-4)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert result["accuracy"] > 0.9
    assert [layer["sees"] for layer in result["layers"]] == [5, 14, 24, 28]
    train, test = (part.take(1000) for part in cr.data.mnist())
    means = np.stack([train.x[:][train.y == d].mean(0) for d in range(10)])
    apart = ((test.x[:][:, None] - means) ** 2).sum(2).argmin(1)
    assert result["apart"][0] == pytest.approx((apart == test.y).mean())
    assert f"{result['accuracy']:.2%}" in whole["text"]
    assert result["apart"] == sorted(result["apart"])  # they rise layer by layer
    layers = (f"layer-{i}" for i in (1, 2, 3, 4))
    check(whole, "kernels", "apart", *(f"maps-{i}" for i in (1, 2, 3)), *layers)
