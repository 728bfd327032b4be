"""Captions: what is to be seen in a picture, in a sentence with its numbers.

The sentence stands beside the function that draws, and is worked out from what is
drawn::

    @seen(lambda values: tr("{n} bars.", n=len(values)))
    def bars(figure, values): …
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from chainrule.text import tr, translated
from chainrule.text.numbers import number, percent

Draw = TypeVar("Draw", bound=Callable[..., Any])
_SENTENCES: dict[Callable[..., Any], Callable[..., str]] = {}
#: Of more points than this the neighbours of the first ones are looked for.
_POINTS = 1000


def seen(sentence: Callable[..., str]) -> Callable[[Draw], Draw]:
    """Declare the sentence of a drawing function: decorate it.

    Args:
        sentence: from the function's arguments but the figure to a text in the language
            in use.
    """

    def declare(draw: Draw) -> Draw:
        _SENTENCES[draw] = sentence
        return draw

    return declare


def sentence_of(draw: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Return what is to be seen in what a function draws; empty: nothing is declared.

    >>> from chainrule.viz import gallery
    >>> print(sentence_of(gallery.bars, {"tree": 0.9, "network": 0.96}))
    The largest: network, 0.96. The smallest: tree, 0.9.
    """
    sentence = _SENTENCES.get(draw)
    return "" if sentence is None else sentence(*args, **options)


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence, in the language in use."""
    return ", ".join(map(translated, names))


def neighbours(places: Any, labels: Any) -> str:
    """Return the share of points whose nearest other point has the same label."""
    p, known = np.asarray(places, float)[:_POINTS], np.asarray(labels)[:_POINTS]
    apart = ((p[:, None] - p[None]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    return percent(float((known[apart.argmin(1)] == known).mean()))


# -- of the gallery --------------------------------------------------------------------


def of_images(
    rows: Any, *, columns: int = 10, titles: Any = (), signed: bool = False
) -> str:
    """Return what is to be seen in images in a grid."""
    rows = np.asarray(rows, float)
    if signed:
        most = number(float(np.abs(rows).max()), 3)
        return tr(
            "{n} images: red is positive, blue negative, white 0, each on a scale of"
            " its own. The largest number of all is {most}.",
            n=len(rows),
            most=most,
        )
    return tr(
        "{n} images, {columns} in a row, of numbers from {low} to {high}.",
        n=len(rows),
        columns=min(columns, len(rows)),
        low=number(float(rows.min()), 3),
        high=number(float(rows.max()), 3),
    )


def of_rows(groups: Mapping[str, Any]) -> str:
    """Return what is to be seen in labelled rows of images."""
    return tr(
        "Rows of {n} images, from top to bottom: {names}.",
        n=max(len(group) for group in groups.values()),
        names=listed(groups),
    )


def of_mosaics(parts: Any, *, titles: Any = (), colours: str = "gray") -> str:
    """Return what is to be seen in blocks of images."""
    side = np.shape(parts[0][0][0])
    blocks = "; ".join(
        tr("{rows} rows of {n}", rows=len(part), n=len(part[0])) for part in parts
    )
    return tr(
        "Images of {height} × {width} pixels: {blocks}.",
        height=side[0],
        width=side[1],
        blocks=blocks,
    )


def of_heat(
    matrix: Any,
    *,
    rows: Any = (),
    columns: Any = (),
    across: str = "",
    up: str = "",
    signed: bool = False,
    numbers: str = "",
) -> str:
    """Return what is to be seen in a matrix: what is right, and what is confused."""
    m = np.asarray(matrix, float)

    def place(index: int) -> dict[str, str]:
        i, j = map(int, np.unravel_index(index, m.shape))
        return {
            "row": translated(rows[i]) if len(rows) else str(i),
            "column": translated(columns[j]) if len(columns) else str(j),
        }

    if numbers != "d" or m.shape[0] != m.shape[1]:
        top, low = int(m.argmax()), int(m.argmin())
        return tr(
            "Largest: {most} (row {row}, column {column}). Smallest: {least}.",
            most=number(float(m.flat[top]), 3),
            least=number(float(m.flat[low]), 3),
            **place(top),
        )
    beside = m - np.diag(np.diag(m))
    most = int(beside.argmax())
    values = {"all": number(int(m.sum())), "wrong": number(int(beside.sum()))}
    values |= {"right": number(int(np.trace(m)))}
    if not beside.any():
        return tr("All {all} lie on the diagonal: none is taken for another.", **values)
    worst = {"count": number(int(beside.flat[most])), **place(most)}
    if not np.trace(m):
        return tr(
            "{wrong} errors. The most frequent: {row} taken for {column}, {count}"
            " times.",
            **values,
            **worst,
        )
    return tr(
        "{right} of {all} lie on the diagonal. The most frequent error: {row} taken for"
        " {column}, {count} times.",
        **values,
        **worst,
    )


def of_lines(
    curves: Mapping[str, Any], *, across: str = "", up: str = "", log: Any = None
) -> str:
    """Return what is to be seen in a line chart: both ends of each curve, its range."""
    told = []
    for name, curve in [*curves.items()][:6]:
        y = np.asarray(curve[1] if isinstance(curve, tuple) else curve, float)
        told.append(
            tr(
                "{name} goes from {first} to {last}, between {low} and {high}",
                name=translated(name),
                first=number(float(y[0]), 3),
                last=number(float(y[-1]), 3),
                low=number(float(np.nanmin(y)), 3),
                high=number(float(np.nanmax(y)), 3),
            )
        )
    return tr("{curves}.", curves="; ".join(told))


def of_points(
    places: Any, labels: Any, *, names: Any = (), across: str = "", up: str = ""
) -> str:
    """Return what is to be seen in a scatter plot: how its classes come apart."""
    return tr(
        "{n} points of {kinds} classes. The nearest other point is of the same class"
        " for {share} of them.",
        n=number(len(np.asarray(labels))),
        kinds=len(np.unique(labels)),
        share=neighbours(places, labels),
    )


def of_bars(values: Mapping[str, float], *, across: str = "", low: Any = 0.0) -> str:
    """Return what is to be seen in a bar chart: its largest and its smallest value."""
    ordered = sorted(values, key=lambda name: values[name])
    return tr(
        "The largest: {top}, {most}. The smallest: {low}, {least}.",
        top=translated(ordered[-1]),
        most=number(float(values[ordered[-1]]), 3),
        low=translated(ordered[0]),
        least=number(float(values[ordered[0]]), 3),
    )


def of_returns(episodes: Any, *, width: int = 50) -> str:
    """Return what is to be seen in an agent's returns: the first ones and the last."""
    gained = np.asarray(episodes, float)[:, 1]
    some = min(width, len(gained))
    return tr(
        "{n} episodes. The mean return of the first {some} is {first}, of the last"
        " {some} it is {last}.",
        n=number(len(gained)),
        some=some,
        first=number(float(gained[:some].mean()), 3),
        last=number(float(gained[-some:].mean()), 3),
    )


def of_film(frames: Any, **options: Any) -> str:
    """Return what is to be seen in a film of an episode."""
    return tr("One episode of the trained agent, in {n} frames.", n=len(frames))


def of_regions(trainer: Any, data: Any, title: str = "") -> str:
    """Return what is to be seen in a classifier's regions."""
    return tr(
        "{n} samples of {kinds} classes; a place has the colour of its most probable"
        " class.",
        n=number(len(data)),
        kinds=len(np.unique(data.y)),
    )
