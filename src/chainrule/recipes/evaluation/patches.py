"""Receptive fields of a CNN, and the image patches that excite feature maps most."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.errors import ArgumentError
from chainrule.text import _


def receptive_field(layers: Iterable[nn.Module], image: int) -> tuple[int, int]:
    """Return a CNN unit's receptive field: side r, and step j between units.

        r ← r + (k − 1)·j,   j ← j·s

    for each convolution and pooling with square windows k in steps of s. Unit i sees
    the pixels i·j … i·j + r − 1. Behind a linear layer a unit sees the whole image.

    Args:
        layers: in their order; further ones treat each unit by itself.
        image: the side of the image.

    Raises:
        ArgumentError: a layer has padding, dilation or windows that are not square.

    >>> receptive_field([nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5)], 28)
    (14, 2)
    """
    side, step = 1, 1
    for layer in layers:
        if isinstance(layer, nn.Linear):
            return image, image
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            window, stride = layer.kernel_size, layer.stride
            stride = window if stride is None else stride
            plain = layer.padding == 0 and getattr(layer, "dilation", 1) == 1
            if not (isinstance(window, int) and isinstance(stride, int) and plain):
                raise ArgumentError(
                    _("The receptive field of this layer is not computed."),
                    expected=_("square windows without padding and dilation"),
                    got=repr(layer),
                )
            side, step = side + (window - 1) * step, step * stride
    return side, step


@dataclass(frozen=True)
class Patches:
    """The image patches that excite each feature map most, the strongest first.

    Attributes:
        images: the numbers of the images, (maps, count).
        rows, columns: the upper left pixels, (maps, count).
        side: the side of a patch.
        activations: z of the units that see the patches, (maps, count).
        deviations: the standard deviation of z over all units and images, (maps,).
    """

    images: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    side: int
    activations: np.ndarray
    deviations: np.ndarray

    def cut(self, images: np.ndarray) -> np.ndarray:
        """Return the patches, cut out of the images: (maps, count, r, r)."""
        offsets = np.arange(self.side)
        rows = self.rows[..., None, None] + offsets[:, None]
        columns = self.columns[..., None, None] + offsets
        return images[self.images[..., None, None], 0, rows, columns]


def strongest_patches(
    activations: Callable[[np.ndarray], Any],
    images: np.ndarray,
    side: int,
    step: int,
    *,
    count: int = 9,
) -> Patches:
    """Find the image patches that excite each feature map most, one an image.

    Args:
        activations: images (n, 1, h, w) → z, (n, maps, rows, columns) or (n, maps).
        images: (n, 1, h, w), evaluated 500 at a time.
        side, step: the :func:`receptive_field` of a unit.
        count: the patches of a map.
    """
    best, where, sums, squares, units = [], [], 0.0, 0.0, 0
    for first in range(0, len(images), 500):
        with cr.no_grad():
            z = np.asarray(activations(images[first : first + 500]), np.float64)
        z = z.reshape(*z.shape[:2], -1)
        best.append(z.max(2))
        where.append(z.argmax(2))
        sums, squares = sums + z.sum((0, 2)), squares + (z**2).sum((0, 2))
        units += len(z) * z.shape[2]
    largest, position = np.concatenate(best), np.concatenate(where)
    chosen = np.argsort(-largest, axis=0, kind="stable")[:count]
    row, column = np.divmod(
        np.take_along_axis(position, chosen, 0), (images.shape[3] - side) // step + 1
    )
    return Patches(
        images=chosen.T,
        rows=row.T * step,
        columns=column.T * step,
        side=side,
        activations=np.take_along_axis(largest, chosen, 0).T,
        deviations=np.sqrt(squares / units - (sums / units) ** 2),
    )
