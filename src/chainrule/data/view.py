"""The view of a data set in a notebook: its first images, or the head of its table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.data.column import Column
from chainrule.html.pictures import as_pictures, grey_or_colour, picture_shape
from chainrule.html.views import COLUMNS, gallery, paragraph, table, view
from chainrule.text import tr
from chainrule.text.numbers import number
from chainrule.util.pytree import leaves

#: Pictures, and rows of a table.
PICTURES, HEAD = 16, 6


def dataset_view(data: Any) -> str:
    """Return a data set as HTML: images with labels, a table's head, or its inputs."""
    head = paragraph(repr(data))
    if not isinstance(data.x, Column) or not isinstance(data.y, np.ndarray):
        parts = {**leaves(data.x, "x"), **leaves(data.y, "y")}
        rows = [[name, str(a.shape), str(a.dtype)] for name, a in parts.items()]
        titles = [tr("name"), tr("shape"), tr("type")]
        return view(head, table([titles, *rows], left=True))
    if picture_shape(data.x.shape[1:]) is not None and len(data) and not _named(data):
        pictures = grey_or_colour(as_pictures(data.x[:PICTURES]))
        return view(
            head, gallery(pictures, [_target(data, y) for y in data.y[:PICTURES]])
        )
    if len(data.x.shape) != 2:
        return view(head)
    return view(head, table([*_rows(data)], len(data)))


def _named(data: Any) -> bool:
    """Return whether the features are columns of a table, not the pixels of images."""
    return data.feature_names is not None


def _rows(data: Any) -> Iterator[list[str]]:
    """Yield the head of a data set's table, and its first rows, features first."""
    several = data.y.ndim == 2
    width = data.y.shape[1] if several else 1
    room = max(COLUMNS - width, 1)  # so that a wide table shows the target
    features = data.feature_names or [f"x{i}" for i in range(data.x.shape[1])]
    targets = data.target_names or (
        [f"y{i}" for i in range(width)] if width > 1 else [tr("target")]
    )
    cut = len(features) > room
    yield [*targets, *features] if cut else [*features, *targets]
    for x, y in zip(data.x[:HEAD], data.y[:HEAD]):
        numbers = [number(v) for v in x[:COLUMNS].tolist()]
        answers = [_target(data, v) for v in (y[:COLUMNS] if several else [y])]
        yield [*answers, *numbers] if cut else [*numbers, *answers]


def _target(data: Any, y: Any) -> str:
    """Return a target as text: the name of its class, or a number."""
    if np.ndim(y):
        return ""
    if data.class_names is not None and np.issubdtype(type(y), np.integer):
        return str(data.class_names[int(y)])
    return number(y)
