"""Captions: what is to be seen in a picture, in a sentence with its numbers.

The sentence stands beside the function that draws, and is worked out from what is
drawn; so is the table of its numbers (:mod:`.behind`)::

    @seen(lambda values: tr("{n} bars.", n=len(values)), behind.of_bars)
    def bars(figure, values): …
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from chainrule.html.pictures import as_pictures
from chainrule.text import ngettext, tr, translated
from chainrule.text.numbers import number, percent
from chainrule.viz.behind import Behind

Draw = TypeVar("Draw", bound=Callable[..., Any])
_SENTENCES: dict[Callable[..., Any], Callable[..., str]] = {}
_TABLES: dict[Callable[..., Any], Callable[..., Behind | None]] = {}
#: Of more points than this the neighbours of the first ones are looked for.
_POINTS = 1000


def seen(
    sentence: Callable[..., str], table: Callable[..., Behind | None] | None = None
) -> Callable[[Draw], Draw]:
    """Declare the sentence of a drawing function, and its table: decorate it.

    Args:
        sentence: from the function's arguments but the figure to a text in the language
            in use.
        table: from the same arguments to the table behind what is drawn; None for what
            has none, such as images.
    """

    def declare(draw: Draw) -> Draw:
        _SENTENCES[draw] = sentence
        if table is not None:
            _TABLES[draw] = table
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


def table_of(draw: Callable[..., Any], *args: Any, **options: Any) -> Behind | None:
    """Return the table behind what a function draws; None: nothing is declared.

    >>> from chainrule.viz import gallery
    >>> table_of(gallery.bars, {"tree": 0.9, "network": 0.96}).rows
    [['tree', '0.9'], ['network', '0.96']]
    """
    table = _TABLES.get(draw)
    return None if table is None else table(*args, **options)


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence, in the language in use."""
    return ", ".join(map(translated, names))


def neighbours(places: Any, labels: Any) -> str:
    """Return the share of points whose nearest other point has the same label."""
    p, known = np.asarray(places, float)[:_POINTS], np.asarray(labels)[:_POINTS]
    apart = ((p[:, None] - p[None]) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    return percent(float((known[apart.argmin(1)] == known).mean()))


def classes(labels: Any) -> str:
    """Return how many classes there are among labels, as words."""
    return ngettext("{n} class", "{n} classes", n=len(np.unique(labels)))


# -- of the gallery --------------------------------------------------------------------


def of_images(
    rows: Any, *, columns: int = 10, titles: Any = (), signed: bool = False
) -> str:
    """Return what is to be seen in images in a grid."""
    rows = np.asarray(rows, float)
    if signed:
        most = number(float(np.abs(rows).max()), 3)
        return tr(
            ngettext(
                "An image: red is positive, blue negative, white 0. The largest number"
                " is {most}.",
                "{n} images: red is positive, blue negative, white 0, each on a scale"
                " of its own. The largest number of all is {most}.",
                n=len(rows),
                most=most,
            )
        )
    told = tr(
        ngettext(
            "An image of numbers from {low} to {high}.",
            "{n} images, {columns} in a row, of numbers from {low} to {high}.",
            n=len(rows),
            columns=min(columns, len(rows)),
            low=number(float(rows.min()), 3),
            high=number(float(rows.max()), 3),
        )
    )
    if rows.ndim != 3 and as_pictures(rows[:1]).ndim == 4:  # colours stay
        return told
    each = tr(
        ngettext(
            "It goes from black, its least number, to white, its largest.",
            "Each goes from black, its least number, to white, its largest.",
            n=len(rows),
        )
    )
    return f"{told} {each}"


def of_rows(groups: Mapping[str, Any]) -> str:
    """Return what is to be seen in labelled rows of images."""
    return tr(
        ngettext(
            "Rows of {n} image, from top to bottom: {names}. Black is 0, white is 1.",
            "Rows of {n} images, from top to bottom: {names}. Black is 0, white is 1.",
            n=max(len(group) for group in groups.values()),
            names=listed(groups),
        )
    )


def of_mosaics(parts: Any, *, titles: Any = (), colours: str = "gray") -> str:
    """Return what is to be seen in blocks of images."""
    blocks = "; ".join(
        tr(
            "{rows} × {n} of {height} × {width} pixels",
            rows=len(part),
            n=len(part[0]),
            height=np.shape(part[0][0])[0],
            width=np.shape(part[0][0])[1],
        )
        for part in parts
    )
    return tr(
        "Images, block by block: {blocks}. Dark is 0, bright is 1.", blocks=blocks
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
    values = {"all": number(int(m.sum())), "right": number(int(np.trace(m)))}
    if not beside.any():
        return tr("All {all} lie on the diagonal: none is taken for another.", **values)
    told = tr("{right} of {all} lie on the diagonal.", **values)
    if not np.trace(m):
        told = tr(ngettext("{n:,} error.", "{n:,} errors.", n=int(beside.sum())))
    return f"{told} {_worst(beside, place)}"


def _worst(errors: Any, place: Callable[[int], dict[str, str]]) -> str:
    """Return which errors are the most frequent, all of those that are."""
    most = int(errors.max())
    places = [place(int(i)) for i in np.flatnonzero(errors == errors.max())]
    pairs = "; ".join(tr("{row} taken for {column}", **p) for p in places[:3])
    times = ngettext("{n:,} time", "{n:,} times", n=most)
    if errors.sum() == 1:
        return tr("The only error: {pair}.", pair=pairs)
    if len(places) == 1:
        return tr("The most frequent error: {pair}, {times}.", pair=pairs, times=times)
    if len(places) <= 3:
        return tr(
            "The most frequent errors, {times} each: {pairs}.", times=times, pairs=pairs
        )
    return tr(
        "{n} errors are the most frequent, {times} each.", n=len(places), times=times
    )


def of_lines(
    curves: Mapping[str, Any], *, across: str = "", up: str = "", log: Any = None
) -> str:
    """Return what is to be seen in a line chart: both ends of each curve, its range."""
    told = []
    for name, curve in [*curves.items()][:6]:
        y = np.asarray(curve[1] if isinstance(curve, tuple) else curve, float)
        ends = {"name": translated(name), "first": number(float(y[0]), 3)}
        ends["last"] = number(float(y[-1]), 3)
        low, high = float(np.nanmin(y)), float(np.nanmax(y))
        if len(y) == 1:
            said = tr("{name}: {first}, a single point", **ends)
        elif {low, high} <= {float(y[0]), float(y[-1])}:
            said = tr("{name}: from {first} to {last}", **ends)
        else:
            span = {"low": number(low, 3), "high": number(high, 3)}
            said = tr(
                "{name}: from {first} to {last}, between {low} and {high}",
                **ends,
                **span,
            )
        told.append(said)
    if (more := len(curves) - len(told)) > 0:
        told.append(tr("and {more} more", more=more))
    return tr("{curves}.", curves="; ".join(told))


def of_points(
    places: Any, labels: Any, *, names: Any = (), across: str = "", up: str = ""
) -> str:
    """Return what is to be seen in a scatter plot: how its classes come apart."""
    return tr(
        "{points} of {classes}. The nearest other point is of the same class for"
        " {share} of them.",
        points=ngettext("{n:,} point", "{n:,} points", n=len(np.asarray(labels))),
        classes=classes(labels),
        share=neighbours(places, labels),
    )


def of_bars(values: Mapping[str, float], *, across: str = "", low: Any = 0.0) -> str:
    """Return what is to be seen in a bar chart: its largest and its smallest value."""
    most, least = max(values.values()), min(values.values())
    told = tr(
        "The largest: {top}, {most}. The smallest: {low}, {least}.",
        top=listed(name for name, value in values.items() if value == most),
        most=number(float(most), 3),
        low=listed(name for name, value in values.items() if value == least),
        least=number(float(least), 3),
    )
    if least >= 0:
        return told
    return f"{told} {tr('Bars below 0 are orange.')}"


def of_returns(episodes: Any, *, width: int = 50) -> str:
    """Return what is to be seen in an agent's returns: the first ones and the last."""
    gained = np.asarray(episodes, float)[:, 1]
    some = min(width, max(1, len(gained) // 4))
    return tr(
        ngettext(
            "{n:,} episode, a point: {last}.",
            "{n:,} episodes, a point each. The line is the mean of the last {some}: it"
            " goes from {first} to {last}.",
            n=len(gained),
            some=some,
            first=number(float(gained[:some].mean()), 3),
            last=number(float(gained[-some:].mean()), 3),
        )
    )


def of_film(frames: Any, **options: Any) -> str:
    """Return what is to be seen in a film of an episode."""
    return tr(
        ngettext(
            "One episode of the trained agent, in {n} frame.",
            "One episode of the trained agent, in {n} frames.",
            n=len(frames),
        )
    )


def of_regions(trainer: Any, data: Any, title: str = "") -> str:
    """Return what is to be seen in a classifier's regions."""
    return tr(
        "{samples} of {classes}; a place has the colour of its most probable class.",
        samples=ngettext("{n:,} sample", "{n:,} samples", n=len(data)),
        classes=classes(data.y),
    )
