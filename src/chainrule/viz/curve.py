"""Learning curves of a training run: losses, metrics and learning rate by epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, visible
from chainrule.graph.node import Array
from chainrule.text import _, ngettext, tr
from chainrule.text.catalogue import current
from chainrule.text.numbers import is_share
from chainrule.text.tables import shorten
from chainrule.util.atomic_files import replace
from chainrule.viz import drawing
from chainrule.viz.drawing import Palette
from chainrule.viz.words import Words, read_words

#: Columns of text that a name may take beside its axis.
_LONGEST = 44
#: Panels side by side.
_ACROSS = 3
#: More points than this are drawn without markers.
_MARKED = 60


@dataclass(frozen=True)
class Line:
    """A curve in a plot of learning curves: label, x, y and optional band."""

    label: str
    x: Array
    y: Array
    band: tuple[Array, Array] | None = None


@dataclass(frozen=True)
class Panel:
    """A plot of learning curves: one system of axes with its curves.

    Attributes:
        key: ``loss``, ``lr`` or the name of a metric.
        name: what is shown.
        across: what the horizontal axis says.
        up: what the vertical axis says.
        lines: at least one.
        percent: whether shares are shown as percentages.
    """

    key: str
    name: str
    across: str
    up: str
    lines: tuple[Line, ...]
    percent: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture of learning curves for a notebook.

    Attributes:
        svg: an ``<svg>`` element.
    """

    svg: str

    def _repr_html_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Picture(SVG, {len(self.svg):,} characters)"


def save_curve(history: Any, path: str | Path, *, title: str = "") -> None:
    """Save a training run's learning curves (loss, metrics, …) as a PNG file.

    An axis of positive numbers that span a factor of ten or more is logarithmic, except
    for shares and for the learning rate, whose shape counts. Numbers that are missing,
    NaN or infinite are gaps.

    Args:
        history: of a run with at least one finished epoch.
        path: where to write.
        title: above the picture.

    Raises:
        ArgumentError: nothing to draw, or no matplotlib.
        SaveError: the file cannot be written.

    Warns:
        ChainruleWarning: no installed font has some of the characters.
    """
    with (
        drawing.legible(_("learning curve")),
        _grid(drawing.PAPER, _checked(history)) as figure,
    ):
        across = figure.get_size_inches()[0]
        figure.suptitle(shorten(title, int(11 * across)))
        picture = drawing.png(figure, _("learning curve"))
    replace(Path(path), picture, _("learning curve"))


def show_curve(history: Any) -> Picture:
    """Return a training run's learning curves as a picture for a notebook.

    Args:
        history: of a run with at least one finished epoch.

    Raises:
        ArgumentError: nothing to draw, or no matplotlib.

    >>> from chainrule.training import History
    >>> history = History()
    >>> history.epochs += [{"epoch": 1, "train_loss": 0.5, "lr": 0.1, "seconds": 2}]
    >>> show_curve(history).svg[:28]
    '<svg viewBox="0 0 324 234" r'
    """
    shown = _checked(history)
    with _grid(drawing.PAGE, shown) as figure:
        names = tr(", ").join(panel.name for panel in shown)
        label = tr("Learning curves: {names}", names=names)
        return Picture(drawing.svg(figure, "curves", label))


def panels(history: Any, words: Words | None = None) -> list[Panel]:
    """Return the plots of learning curves: loss, metrics, changing learning rate.

    Args:
        history: its rows decide. A column ``train_…`` or ``validation_…`` belongs to
            the loss or metric named by the rest, shares such as accuracies to one panel
            together.
        words: of a language, else of the one in use; metrics without a word go by
            their own names.
    """
    rows, words = history.epochs, words or read_words(current())
    name = history.validation_name
    if name != "validation":
        words = {**words, "validation": words.get(name, name)}
    epochs = np.array([row["epoch"] for row in rows], np.float64)
    groups: dict[str, dict[tuple[str, str], Array]] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = column(rows, key)
        if key in ("epoch", "seconds") or values is None:
            continue
        kind, name = split(key)
        group = "shares" if is_share(name) else name
        groups.setdefault(group, {})[kind, name] = values
    if "lr" in groups and np.ptp(groups["lr"]["", "lr"]) == 0:
        del groups["lr"]
    order = sorted(groups, key=lambda group: (group != "loss", group == "lr"))
    return [_panel(epochs, groups[group], words) for group in order]


def named(metric: str, words: Words) -> str:
    """Return a metric's name in readers' words.

    >>> english = read_words("en")
    >>> named("top5", english), named("r2", english), named("my_metric", english)
    ('top-5 accuracy', 'R²', 'my metric')
    """
    if metric.startswith("top") and metric[3:].isdigit():
        return words["top"].format(metric[3:])
    return words.get(metric, visible(metric.replace("_", " ")))


def column(rows: Sequence[Mapping[str, Any]], key: str) -> Array | None:
    """Return a column of a training history as float64, or None if not numeric."""
    values = [row.get(key) for row in rows]
    present = [value for value in values if value is not None]
    if not present or not all(isinstance(v, int | float | np.number) for v in present):
        return None
    array = np.array([np.nan if v is None else float(v) for v in values])
    array[~np.isfinite(array)] = np.nan
    return array


def draw(axes: Any, panel: Panel, palette: Palette, *, legend: bool = True) -> None:
    """Draw a plot of learning curves into matplotlib axes."""
    factor = 100 if panel.percent else 1
    for i, line in enumerate(panel.lines):
        i %= len(palette.lines)
        look = {"color": palette.lines[i], "linestyle": (0, drawing.DASHES[i] or None)}
        if len(line.x) <= _MARKED:
            look["marker"] = drawing.MARKERS[i]
        if line.band is not None:
            low, high = (factor * edge for edge in line.band)
            axes.fill_between(
                line.x, low, high, color=palette.lines[i], alpha=0.2, linewidth=0
            )
        axes.plot(line.x, factor * line.y, clip_on=False, **look)
    axes.set_xlabel(visible(panel.across))
    axes.set_ylabel(visible(panel.up))
    _scale(axes, panel, factor)
    if legend and len(panel.lines) > 1:
        shown = axes.legend(axes.lines, ["?"] * len(panel.lines))
        for text, line in zip(shown.get_texts(), panel.lines):
            text.set_text(shorten(line.label, _LONGEST))  # "_…" is no order here


def log_helps(*values: Array) -> bool:
    """Return whether a logarithmic axis suits a plot's numbers.

    >>> log_helps(np.array([2.0, 0.1, np.nan])), log_helps(np.array([2.0, 0.5]))
    (True, False)
    """
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    return bool(every.size and every.min() > 0 and every.max() >= 10 * every.min())


def split(key: str) -> tuple[str, str]:
    """Split a history column's name: ``validation_top5`` → ``validation``, ``top5``."""
    kind, __, name = key.partition("_")
    return (kind, name) if name and kind in ("train", "validation") else ("", key)


# -- internals ---------------------------------------------------------------------


def _checked(history: Any) -> list[Panel]:
    shown = panels(history) if history.epochs and drawing.can_plot() else []
    if not shown:
        raise ArgumentError(
            _("There is no learning curve to draw."),
            expected=_("a finished epoch, and matplotlib"),
            got=ngettext(
                "{n} epoch, matplotlib: {can_plot}",
                "{n} epochs, matplotlib: {can_plot}",
                n=len(history.epochs),
                can_plot=drawing.can_plot(),
            ),
            fix=_("pip install 'chainrule[plot]'")
            if history.epochs
            else _("train first: trainer.fit(data, epochs=1)"),
        )
    return shown


@contextmanager
def _grid(palette: Palette, shown: Sequence[Panel]) -> Iterator[Any]:
    """Yield a figure of all plots of learning curves, up to three in a row."""
    across = min(len(shown), _ACROSS)
    down = -(-len(shown) // across)
    with drawing.figure(palette, 4.5 * across, 3.25 * down) as figure:
        places = figure.subplots(down, across, squeeze=False).reshape(-1)
        for axes, panel in zip(places, shown):
            draw(axes, panel, palette)
        for axes in places[len(shown) :]:
            axes.remove()
        yield figure


def _panel(
    epochs: Array, group: Mapping[tuple[str, str], Array], words: Mapping[str, str]
) -> Panel:
    """Return a plot with the learning curves of one group of metrics."""
    kinds = [
        words.get(kind, kind) for kind in dict.fromkeys(kind for kind, __ in group)
    ]
    names = list(dict.fromkeys(named(name, words) for __, name in group))
    lines = []
    for (kind, name), values in group.items():
        parts = [named(name, words)] * (len(names) > 1)
        parts += [words.get(kind, kind)] * (len(kinds) > 1)
        lines.append(Line(", ".join(parts), epochs, values))
    name = ", ".join(names)
    if len(kinds) == 1 and kinds[0]:
        name = words["of_kind"].format(kinds[0], name)
    __, first = next(iter(group))
    name = shorten(name, _LONGEST)
    up = words["in_percent"].format(name) if is_share(first) else name
    return Panel(first, name, words["epoch"], up, tuple(lines), is_share(first))


def _scale(axes: Any, panel: Panel, factor: float) -> None:
    """Set a learning curve's epoch axis, and a logarithmic axis if it suits."""
    from matplotlib.ticker import LogLocator, NullLocator

    last = int(max(line.x[-1] for line in panel.lines))
    axes.set_xlim(1 - (last == 1), last + (last == 1))
    axes.locator_params("x", integer=True, nbins=8 if last < 1000 else 5)
    every = factor * np.concatenate([line.y for line in panel.lines])
    if panel.percent or panel.key == "lr" or not log_helps(every):
        return
    every = every[np.isfinite(every)]
    decades = np.log10(every.max() / every.min())
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    between = (1.0, 2.0, 5.0) if decades < 3 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=between, numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
