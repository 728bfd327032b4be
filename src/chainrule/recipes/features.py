"""Filters and feature maps of convolutional networks."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule import nn, viz
from chainrule.recipes.experiment import Experiment
from chainrule.text import _


def feature_maps(model: nn.Sequential, pixels: np.ndarray) -> list[np.ndarray]:
    """Return each convolution's feature maps ReLU(z), (maps, h, w), for an image."""
    a, found = cr.tensor(pixels[None]), []
    left = sum(isinstance(layer, nn.Conv2d) for layer in model)
    for layer in model:
        if not left:
            break
        a = layer(a)
        if isinstance(layer, nn.Conv2d):
            found.append(a.relu().numpy()[0])
            left -= 1
    return found


def draw_features(
    experiment: Experiment, model: nn.Sequential, pixels: np.ndarray
) -> None:
    """Draw the first filters of a network, and the maps that an image makes.

    Args:
        experiment: draws ``filters.png`` and ``maps.png``.
        model: layers in a row; a ReLU stands behind each convolution.
        pixels: of one grey image, a row.
    """
    first = next(layer for layer in model if isinstance(layer, nn.Conv2d))
    filters = first.weight.numpy()[:, 0]
    columns = min(len(filters), 16)
    lines = -(-len(filters) // columns)
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
    with cr.no_grad():
        maps = feature_maps(model, pixels)
    rows = max(len(a) for a in maps) // 8
    side = round(len(pixels) ** 0.5)
    parts, titles = [[[pixels.reshape(side, side)]]], ["digit"]
    for a in maps:
        across = -(-len(a) // rows)
        shares = a / max(float(a.max()), 1e-9)
        parts.append([list(shares[k : k + across]) for k in range(0, len(a), across)])
        height, width = a.shape[1:]
        titles.append(f"{len(a)} maps of {height} × {width}")
    experiment.draw(
        "maps",
        viz.gallery.mosaics,
        parts,
        titles=titles,
        colours="magma",
        size=(7.4, 0.5 + rows * 7.4 / sum(len(part[0]) for part in parts)),
        title=_(
            "the feature maps that one digit makes: a = ReLU(z) of each "
            "convolution, the brightest place of each is 1"
        ),
    )
