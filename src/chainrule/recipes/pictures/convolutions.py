"""Filters and feature maps of convolutional networks, for several recipes."""

from __future__ import annotations

import math

import numpy as np

import chainrule as cr
from chainrule import nn, viz
from chainrule.recipes.experiment import Experiment
from chainrule.text import _, ngettext


def feature_maps(model: nn.Sequential, pixels: np.ndarray) -> list[np.ndarray]:
    """Return a CNN's feature maps ReLU(z) by convolution, (maps, h, w), of an image.

    Args:
        model: layers in a row; a ReLU stands behind each convolution.
        pixels: of one grey image, a row.
    """
    a, maps = cr.tensor(pixels[None]), []
    last = max(i for i, layer in enumerate(model) if isinstance(layer, nn.Conv2d))
    with cr.no_grad():
        for layer, __ in zip(model, range(last + 1)):
            a = layer(a)
            if isinstance(layer, nn.Conv2d):
                maps.append(a.relu().numpy()[0])
    return maps


def draw_features(
    experiment: Experiment, model: nn.Sequential, pixels: np.ndarray
) -> None:
    """Draw the first filters of a CNN, and the feature maps of an image.

    Args:
        experiment: draws ``filters.png`` and ``maps.png``.
        model, pixels: as for :func:`feature_maps`; the image is square.
    """
    first = next(layer for layer in model if isinstance(layer, nn.Conv2d))
    filters = first.weight.numpy()[:, 0]
    columns = min(len(filters), 16)
    lines = math.ceil(len(filters) / columns)
    experiment.draw(
        "filters",
        viz.gallery.images,
        filters,
        columns=columns,
        signed=True,
        size=(7.0, 0.3 + lines * 7.0 / columns),
        title=_(
            "the filters of the first convolution (red: ink excites, blue: ink "
            "inhibits)"
        ),
    )
    maps = feature_maps(model, pixels)
    rows = max(map(len, maps)) // 8
    side = round(len(pixels) ** 0.5)
    blocks, titles = [[[pixels.reshape(side, side)]]], [_("digit")]
    for i, images in enumerate(maps, 1):
        scaled = images / max(float(images.max()), 1e-9)
        width = math.ceil(len(images) / rows)
        blocks.append(
            [list(scaled[k : k + width]) for k in range(0, len(images), width)]
        )
        count, *size = images.shape
        titles.append(
            ngettext(
                "convolution {i}: {n} map of {height} × {width}",
                "convolution {i}: {n} maps of {height} × {width}",
                n=count,
                i=i,
                height=size[0],
                width=size[1],
            )
        )
    experiment.draw(
        "maps",
        viz.gallery.mosaics,
        blocks,
        titles=titles,
        colours="magma",
        size=(7.4, 0.5 + rows * 7.4 / sum(len(block[0]) for block in blocks)),
        title=_(
            "the feature maps that one digit makes: a = ReLU(z) of each "
            "convolution, the brightest place of each is 1"
        ),
    )
