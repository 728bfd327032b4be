"""Image data from folders, one for each class, with a check of their number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.errors import DataError
from chainrule.text import _


def read_images(root: str | Path, *, fewest: int = 5, **options: Any) -> Any:
    """Read a folder of images by class as a :class:`chainrule.data.Dataset`.

    Args:
        root: a folder with a folder of images for each class.
        fewest: the images that a class has at least.
        options: for :func:`chainrule.data.image_folder`.

    Raises:
        DataError: no such folder, a file that is no image, fewer than two classes, or
            too few images of one.
    """
    dataset = cr.data.image_folder(root, **options)
    names = dataset.class_names or ()
    counts = np.bincount(dataset.y, minlength=len(names))
    if len(names) < 2 or counts.min() < fewest:
        raise DataError(
            _("There are too few images to learn from and to test with."),
            expected=_("two kinds at least, with {FEWEST} images each", FEWEST=fewest),
            got=", ".join(f"{name}: {count}" for name, count in zip(names, counts)),
            fix=_(
                "put {FEWEST} images at least into the folder of each kind",
                FEWEST=fewest,
            ),
        )
    return dataset
