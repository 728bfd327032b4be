"""The charts of a training report, as SVG with captions and legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.graph.node import Array
from chainrule.metrics.evaluation import Importance
from chainrule.text.numbers import number, percent
from chainrule.text.tables import shorten
from chainrule.viz import behind, curve, decision_regions, drawing
from chainrule.viz.behind import Behind
from chainrule.viz.curve import Line, Panel
from chainrule.viz.report.predictions import Classified, Regressed
from chainrule.viz.words import Words

#: Inches.
_SIZE = (4.2, 2.9)
#: Groups of steps that a line over steps is drawn from.
_GROUPS = 240
#: Points of a scatter plot.
_POINTS = 1000
#: Classes in the legend of decision regions.
_NAMED = 30


@dataclass(frozen=True)
class Key:
    """An entry of a chart's legend: label, colour, and dashes or point shape."""

    label: str
    colour: str
    dashes: str = ""
    shape: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart in a training report: an ``<svg>`` element with caption and legend.

    Attributes:
        caption: what is to be seen.
        svg: the element.
        legend: its entries; none for a single curve.
        table: the numbers behind it; None where another table of the page has them.
    """

    caption: str
    svg: str
    legend: Sequence[Key] = ()
    table: Behind | None = None


def sentences(words: Words, *parts: str) -> str:
    """Return parts of a caption joined as sentences."""
    if len(parts) == 1:
        return parts[0]
    return "".join(map(words["sentence"].format, parts)).rstrip()


def lines(
    panel: Panel,
    name: str,
    caption: str,
    words: Words,
    table: Behind | None = None,
) -> Figure:
    """Return a line chart for a report, with a legend if there are several curves."""
    with drawing.figure(drawing.PAGE, *_SIZE) as figure:
        curve.draw(figure.subplots(), panel, drawing.PAGE, legend=False)
        picture = drawing.svg(figure, name, _described(panel, words))
    keys = []
    for i, line in enumerate(panel.lines):
        i %= len(drawing.COLOURS)
        dashes = " ".join(f"{2.5 * part:g}" for part in drawing.DASHES[i])
        keys.append(Key(line.label, f"var(--cr-{i + 1})", dashes=dashes))
    return Figure(caption, picture, keys if len(keys) > 1 else (), table)


def of_steps(
    steps: Mapping[str, Array], name: str, up: str, words: Words
) -> tuple[Panel, list[str]]:
    """Return a plot of numbers by training steps, and remarks for its caption.

    Long runs are drawn as means of groups of steps, a single line with their extremes
    as a band; of many lines the first, the last and some between are taken.
    """
    remarks = []
    chosen, most = list(steps), len(drawing.COLOURS)
    size = -(-max(map(len, steps.values())) // _GROUPS)
    if size > 1:
        kind = "band" if len(chosen) == 1 else "means"
        remarks.append(words[kind].format(n=size))
    if len(chosen) > most:
        picked = np.linspace(0, len(chosen) - 1, most).round().astype(int)
        remarks.append(words["some_lines"].format(shown=most, all=len(chosen)))
        chosen = [chosen[i] for i in picked]
    curves = [_grouped(label, steps[label], len(chosen) == 1) for label in chosen]
    return Panel(name, up, words["step"], up, tuple(curves)), remarks


def heat(result: Classified, words: Words) -> Figure:
    """Return a heat map of the confusion matrix of many classes, for a report."""
    from matplotlib.colors import to_rgb

    counts, classes = result.confusion, len(result.names)
    picture = np.zeros((classes, classes, 4))
    picture[..., :3] = to_rgb(drawing.COLOURS[1][1])
    diagonal = np.arange(classes)
    picture[diagonal, diagonal, :3] = to_rgb(drawing.COLOURS[0][1])
    picture[..., 3] = np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1))
    right = int(np.trace(counts))
    label = words["matrix_alt"].format(n=classes, right=right, all=len(result.truth))
    with drawing.figure(drawing.PAGE, 5.6, 5.4) as figure:
        axes = figure.subplots()
        axes.imshow(picture, interpolation="nearest", resample=False)
        axes.grid(visible=False)
        axes.set(xlabel=words["predicted"], ylabel=words["true"])
        drawn = drawing.svg(figure, "matrix", label)
    return Figure(words["matrix_picture"].format(n=classes), drawn)


def fit(result: Regressed, i: int, words: Words, data: str) -> list[Figure]:
    """Return charts of predictions against true values, and of residuals."""
    name, r2 = result.names[i], result.measures()[i]["r2"]
    error, short = result.residuals[:, i], shorten(name, 30)
    drawn = _some(np.abs(error))
    y, predicted = result.truth[drawn, i], result.predicted[drawn, i]
    few = words["some_points"].format(shown=len(y), all=len(result.truth))
    table = _of_predictions(result, i, words)
    more = [few] if len(drawn) < len(error) else []
    spread = {"mean": number(error.mean()), "std": number(error.std())}
    middle = (float(y.mean()),) * 2
    true, said = words["true"], words["predicted"]
    both = [f"{short}, {kind}" for kind in (true, said)]
    texts = {"name": name, "data": data, "r2": number(r2), **spread}
    figures = []
    for kind, across, up, slope, axis in (
        ("fit", y, predicted, 1, both),
        ("residual", predicted, predicted - y, 0, [both[1], words["residual"]]),
    ):
        with drawing.figure(drawing.PAGE, *_SIZE) as figure:
            axes = figure.subplots()
            look = {"markersize": 3, "alpha": 0.55, "markeredgewidth": 0}
            axes.plot(across, up, "o", color=drawing.PAGE.lines[0], **look)
            at = middle if slope else (0, 0)
            axes.axline(at, slope=slope, color=drawing.PAGE.ink, linewidth=1)
            axes.locator_params(nbins=5)
            axes.set(xlabel=axis[0], ylabel=axis[1])
            alt = words[f"{kind}_alt"].format(**texts)
            picture = drawing.svg(figure, f"{kind}{i}", alt)
        caption = words[f"{kind}_caption"].format(**texts)
        shown = sentences(words, caption, *more)
        figures.append(Figure(shown, picture, table=table if slope else None))
    return figures


def bars(ranked: Sequence[Importance], metric: str, words: Words) -> Figure:
    """Return a bar chart of the input columns' importance, with their spread."""
    rows = [(item.column, item.mean, item.std) for item in ranked]
    names, mean, spread = zip(*rows)
    with drawing.figure(drawing.PAGE, 6.0, 0.7 + 0.27 * len(rows)) as figure:
        axes, places = figure.subplots(), range(len(rows))
        look = {"color": drawing.PAGE.lines[0], "ecolor": drawing.PAGE.ink}
        axes.barh(places, mean, xerr=spread, height=0.6, **look)
        axes.set_yticks(places, [shorten(name, 32) for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(words["importance_up"].format(curve.named(metric, words)))
        alt = "; ".join(f"{name} {number(m)} ± {number(s)}" for name, m, s in rows)
        picture = drawing.svg(figure, "bars", alt)
    head = ["", words["results.mean"], words["results.spread"]]
    body = [[name, number(m), number(s)] for name, m, s in rows]
    return Figure(words["importance_caption"], picture, table=Behind(head, body))


def plane(trainer: Any, data: Dataset, names: Sequence[str], words: Words) -> Figure:
    """Return a chart of a classifier's decision regions over two features."""
    from matplotlib.colors import to_hex

    features = data.feature_names or ("x₁", "x₂")
    with drawing.figure(drawing.PAGE, 5.6, 4.6) as figure:
        axes = figure.subplots()
        drawn = decision_regions.draw_regions(axes, trainer, data)
        ring = len(axes.get_legend_handles_labels()[0]) > len(drawn)
        axes.set(xlabel=shorten(features[0], 40), ylabel=shorten(features[1], 40))
        alt = words["regions_alt"].format(name=data.name)
        picture = drawing.svg(figure, "plane", alt)
    colours = decision_regions.class_colours(len(names))
    keys = [
        Key(names[c], to_hex(colours[c]), shape="●■◆▲▼✚✖★◀⬟"[c % len(drawing.MARKERS)])
        for c in drawn[:_NAMED]
    ]
    keys += [Key(words["ring"], "inherit", shape="◯")] * ring
    return Figure(words["regions_caption"].format(name=data.name), picture, keys)


# -- internals ---------------------------------------------------------------------


def _of_predictions(result: Regressed, i: int, words: Words) -> Behind:
    """Return the table of a target: true value, prediction, and their difference."""
    picked = behind.chosen(len(result.truth))
    columns = result.truth[:, i], result.predicted[:, i], result.residuals[:, i]
    rows = [
        [str(row), *(number(float(column[row])) for column in columns)]
        for row in picked
    ]
    head = [words[key] for key in ("row", "true", "predicted", "residual")]
    return Behind(head, rows, behind.thinned(len(rows), len(result.truth)))


def _described(panel: Panel, words: Words) -> str:
    """Return a description of a chart in words: first and last value of each curve."""
    show = percent if panel.percent else number
    parts = []
    for line in panel.lines:
        finite = line.y[np.isfinite(line.y)]
        label = line.label or panel.name
        if len(finite):
            ends = {"first": show(finite[0]), "last": show(finite[-1])}
            parts.append(words["line_alt"].format(name=label, **ends))
        else:
            parts.append(f"{label}: {words['nothing_finite']}")
    return words["curve_alt"].format(name=panel.name, lines="; ".join(parts))


def _grouped(label: str, values: Array, band: bool) -> Line:
    """Return a curve over training steps, as means of groups if there are many."""
    steps = len(values)
    size = -(-steps // _GROUPS)
    ends = np.arange(size, steps + size, size, dtype=np.float64)
    groups = [
        g[np.isfinite(g)]
        for g in np.split(values.astype(np.float64), ends[:-1].astype(int))
    ]
    low, mean, high = (
        np.array([f(g) if len(g) else np.nan for g in groups])
        for f in (np.min, np.mean, np.max)
    )
    return Line(
        label, np.minimum(ends, steps), mean, (low, high) if band and size > 1 else None
    )


def _some(size: Array) -> Array:
    """Return the indices of the points to draw in a chart: some, and the largest."""
    n = len(size)
    if n <= _POINTS:
        return np.arange(n)
    even = np.linspace(0, n - 1, _POINTS * 9 // 10).astype(int)
    return np.union1d(even, np.argsort(size)[-_POINTS // 10 :])
