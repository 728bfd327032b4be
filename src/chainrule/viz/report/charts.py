"""The figures of a report, as SVG with captions and legends of the page's own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.graph.node import Array
from chainrule.viz import curve, decision_regions, drawing
from chainrule.viz.curve import Line, Panel
from chainrule.viz.report import page
from chainrule.viz.report.page import Html, el
from chainrule.viz.report.results import Classified, Regressed
from chainrule.viz.report.words import Words, sentences

#: Inches.
_SIZE = (5.0, 3.3)
#: Groups of steps that a line over steps is drawn from.
_GROUPS = 240
#: Lines that can be told apart.
_LINES = len(drawing.COLOURS)
#: Points of a scatter plot.
_POINTS = 1000
#: Classes in the legend of decision regions.
_NAMED = 30


def number(value: float) -> str:
    """A number for people.

    >>> number(0.123456), number(2.0), number(float("nan"))
    ('0.1235', '2', '–')
    """
    if np.isnan(value):
        return "–"
    return f"{value:.4g}".replace("inf", "∞").replace("-", "−")


def percent(share: float, digits: int = 2) -> str:
    r"""A share for people.

    >>> percent(0.98765)  # with a narrow space
    '98.77\u202f%'
    """
    return "–" if np.isnan(share) else f"{share:.{digits}%}".replace("%", "\u202f%")


def lines(panel: Panel, name: str, caption: str, words: Words) -> Html:
    """A panel of curves; with more than one line, a legend."""
    with drawing.figure(drawing.page(), *_SIZE) as figure:
        curve.draw(figure.subplots(), panel, drawing.page(), legend=False)
        made = drawing.svg(figure, name, _described(panel, words))
    labels = [line.label for line in panel.lines]
    names = [page.legend(labels)] if len(labels) > 1 else []
    return page.figure(Html(made), caption, *names)


def of_steps(
    steps: dict[str, Array], name: str, up: str, words: Words
) -> tuple[Panel, list[str]]:
    """Numbers a step as a panel, and what its caption has to say about it.

    Long runs are drawn as means and extremes of groups of steps; of many lines the
    first, the last and some between are taken.
    """
    remarks = []
    chosen = list(steps)
    if len(chosen) > _LINES:
        picked = np.linspace(0, len(chosen) - 1, _LINES).round().astype(int)
        note = words["some_lines"].format(shown=_LINES, all=len(chosen))
        chosen = [chosen[i] for i in picked]
        remarks.append(note)
    made = [_grouped(label, steps[label]) for label in chosen]
    size = -(-max(map(len, steps.values())) // _GROUPS)
    if size > 1:
        remarks.insert(0, words["band"].format(n=size))
    return Panel(name, up, words["step"], up, tuple(made)), remarks


def heat(result: Classified, words: Words) -> Html:
    """The confusion matrix of many classes as a picture."""
    classes = len(result.names)
    rows = result.confusion.sum(1, keepdims=True)
    shares = result.confusion / np.maximum(rows, 1)
    picture = np.zeros((classes, classes, 4))
    picture[..., :3] = _rgb(drawing.COLOURS[1][1])
    diagonal = np.arange(classes)
    picture[diagonal, diagonal, :3] = _rgb(drawing.COLOURS[0][1])
    picture[..., 3] = np.sqrt(shares)
    right = int(np.trace(result.confusion))
    label = words["matrix_alt"].format(n=classes, right=right, all=len(result.truth))
    with drawing.figure(drawing.page(), 5.6, 5.4) as figure:
        axes = figure.subplots()
        axes.imshow(picture, interpolation="nearest", resample=False)
        axes.grid(visible=False)
        axes.set(xlabel=words["predicted"], ylabel=words["true"])
        made = drawing.svg(figure, "matrix", label)
    return page.figure(Html(made), words["matrix_picture"].format(n=classes))


def fit(result: Regressed, i: int, name: str, words: Words) -> list[Html]:
    """Predictions against true values, and residuals against predictions."""
    error = result.residuals[:, i]
    drawn = _some(np.where(np.isfinite(error), np.abs(error), 0))
    y, predicted = result.truth[drawn, i], result.predicted[drawn, i]
    few = words["some_points"].format(shown=len(y), all=len(result.truth))
    more = [few] if len(drawn) < len(error) else []
    r2 = number(result.measures()[i, 0])
    spread = {"mean": number(error.mean()), "std": number(error.std())}
    with drawing.figure(drawing.page(), *_SIZE) as figure:
        axes = figure.subplots()
        _points(axes, y, predicted)
        middle = float(y.mean())
        axes.axline((middle, middle), slope=1, color=drawing.page().ink, linewidth=1)
        axes.set(xlabel="y", ylabel="ŷ")
        label = words["fit_alt"].format(name=name, r2=r2)
        first = Html(drawing.svg(figure, f"fit{i}", label))
    with drawing.figure(drawing.page(), *_SIZE) as figure:
        axes = figure.subplots()
        _points(axes, predicted, predicted - y)
        axes.axhline(0, color=drawing.page().ink, linewidth=1)
        axes.set(xlabel="ŷ", ylabel=words["residual"])
        label = words["residual_alt"].format(name=name, **spread)
        second = Html(drawing.svg(figure, f"residual{i}", label))
    fits = words["fit_caption"].format(name=name)
    errors = words["residual_caption"].format(name=name)
    return [
        page.figure(first, sentences(words, fits, *more)),
        page.figure(second, sentences(words, errors, *more)),
    ]


def plane(trainer: Any, data: Dataset, names: list[str], words: Words) -> Html:
    """The decision regions of two features; the picture has paper of its own."""
    palette = drawing.paper(what="picture of the decision regions")
    with drawing.figure(palette, 5.6, 4.6) as figure:
        axes = figure.subplots()
        classes = decision_regions.draw_regions(axes, trainer, data, palette)
        axes.set(xlabel="x₁", ylabel="x₂")
        picture = base64.b64encode(drawing.png(figure)).decode()
    colours = map(_hex, decision_regions.class_colours(classes))
    shown = [page.sample(*each) for each in zip(range(classes), colours, names)]
    image = el(
        "img",
        src=f"data:image/png;base64,{picture}",
        alt=words["regions_alt"].format(name=data.name),
    )
    parts = [words["regions_caption"].format(name=data.name)]
    parts += map(words["pair"].format, ("x₁", "x₂"), data.feature_names or ())
    caption = sentences(words, *parts)
    return page.figure(image, caption, el("ul", *shown[:_NAMED], class_="legend"))


# -- internals ---------------------------------------------------------------------


def _described(panel: Panel, words: Words) -> str:
    """The curves in words: where each begins and ends."""
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


def _grouped(label: str, values: Array) -> Line:
    """A line over steps from 1, by groups where there are many of them."""
    steps = len(values)
    numbers = np.arange(1, steps + 1, dtype=np.float64)
    if steps <= _GROUPS:
        y = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
        return Line(label, numbers, y)
    size = -(-steps // _GROUPS)
    groups = [values[i : i + size] for i in range(0, steps, size)]
    kept = [g[np.isfinite(g)].astype(np.float64) for g in groups]
    low, mean, high = (
        np.array([f(g) if len(g) else np.nan for g in kept])
        for f in (np.min, np.mean, np.max)
    )
    middle = np.array([numbers[i : i + size].mean() for i in range(0, steps, size)])
    return Line(label, middle, mean, (low, high))


def _some(size: Array) -> Array:
    """So many indices as a picture shows: evenly chosen, and those of great size."""
    n = len(size)
    if n <= _POINTS:
        return np.arange(n)
    even = np.linspace(0, n - 1, _POINTS * 9 // 10).astype(int)
    return np.union1d(even, np.argsort(size)[-_POINTS // 10 :])


def _points(axes: Any, x: Array, y: Array) -> None:
    colour = drawing.page().lines[0]
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    axes.plot(x, y, "o", color=colour, markersize=3, alpha=0.55, markeredgewidth=0)


def _hex(colour: Array) -> str:
    return "#" + bytes(np.rint(255 * colour).astype(np.uint8)).hex()


def _rgb(colour: str) -> Sequence[float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
