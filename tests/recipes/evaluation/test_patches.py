"""Receptive fields by derivatives, and patches by giving them to the network alone."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn
from chainrule.recipes import hierarchy
from chainrule.recipes.evaluation.patches import receptive_field, strongest_patches


@pytest.fixture(params=[end for end, __ in hierarchy.LAYERS.values()])
def layers(request: pytest.FixtureRequest) -> nn.Sequential:
    """The first layers of a network, up to z of one of them."""
    cr.manual_seed(0)
    return hierarchy.network()[1 : request.param]


def test_receptive_field(layers: nn.Sequential) -> None:
    """The pixels that change a unit are those of the arithmetic: in range, and all."""
    side, step = receptive_field(layers, 28)
    rng = np.random.default_rng(0)
    seen = np.zeros((28, 28), bool)
    last = 0
    for _ in range(12):  # what a pooling leaves out differs from image to image
        image = cr.tensor(rng.random((1, 1, 28, 28)).astype("f4"))
        z = layers(image)
        last = z.shape[-1] - 1 if z.ndim == 4 else 0
        weights = rng.standard_normal(z.shape).astype("f4")
        if z.ndim == 4:
            weights[:, :, :last], weights[:, :, :, :last] = 0, 0

        def weighted(x: cr.Tensor, w: np.ndarray = weights) -> cr.Tensor:
            return (layers(x) * w).sum()

        seen |= cr.grad(weighted)(image).numpy()[0, 0] != 0
    rows, columns = np.nonzero(seen.any(1))[0], np.nonzero(seen.any(0))[0]
    start = last * step
    assert (rows[0], rows[-1] + 1) == (start, start + side)
    assert (columns[0], columns[-1] + 1) == (start, start + side)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 1, 3, padding=1),
        nn.Conv2d(1, 1, (3, 5)),
        nn.MaxPool2d(2, dilation=2),
        nn.AvgPool2d(3, stride=(1, 2)),
    ],
)
def test_layers_that_are_refused(layer: nn.Module) -> None:
    with pytest.raises(errors.ArgumentError, match="square windows") as caught:
        receptive_field([layer], 28)
    assert caught.value.got == repr(layer)


def test_strongest_patches(layers: nn.Sequential) -> None:
    """Each patch, cut out and given to the network alone, excites as was said."""
    images = cr.data.mnist()[1].x[:600].reshape(-1, 1, 28, 28)
    side, step = receptive_field(layers, 28)
    patches = strongest_patches(layers, images, side, step, count=3)
    z = np.concatenate([layers(part).numpy() for part in np.split(images, 2)])
    z = z.reshape(600, z.shape[1], -1)
    np.testing.assert_allclose(patches.deviations, z.std((0, 2)), rtol=1e-4)
    best = -np.sort(-z.max(2), axis=0)[:3].T
    np.testing.assert_allclose(patches.activations, best, rtol=1e-6)
    cut = patches.cut(images)
    assert cut.shape == (z.shape[1], 3, side, side)
    alone = layers(cut.reshape(-1, 1, side, side)).numpy().reshape(*best.shape, -1)
    maps = np.arange(len(best))
    np.testing.assert_allclose(alone[maps, :, maps], best, atol=1e-4)
