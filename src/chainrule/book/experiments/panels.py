"""Drawing functions for the textbook experiments' pictures, on matplotlib axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.text.numbers import number
from chainrule.viz import drawing

COLOURS = drawing.PAPER.lines


def line(
    axes: Any, i: int, x: Any, y: Any, label: str = "", *, marked: bool = False
) -> None:
    """Draw the i-th line of a plot, with a distinct colour and dashes."""
    i %= len(COLOURS)
    look: dict[str, Any] = {"color": COLOURS[i], "label": label or None}
    if marked:
        look["marker"] = drawing.MARKERS[i]
    axes.plot(x, y, linestyle=(0, drawing.DASHES[i] or None), **look)


def points(axes: Any, i: int, x: Any, y: Any, label: str = "") -> None:
    """Draw the i-th series of a plot as points without a line."""
    look = {"color": COLOURS[i % len(COLOURS)], "label": label or None}
    axes.plot(x, y, drawing.MARKERS[i % len(COLOURS)], **look)


def path(axes: Any, i: int, places: Any, label: str = "") -> None:
    """Draw a gradient descent's path in the plane; a circle marks its start."""
    places, colour = np.asarray(places), COLOURS[i % len(COLOURS)]
    few = len(places) <= 60
    look = {"markersize": 2.5, "linewidth": 1.1, "marker": "." if few else None}
    axes.plot(*places.T, color=colour, label=label or None, **look)
    axes.plot(*places[0], "o", color=drawing.PAPER.ink, markersize=5, fillstyle="none")


def valley(
    axes: Any,
    height: Callable[[Any, Any], Any],
    across: tuple[float, float],
    up: tuple[float, float],
    levels: Any,
) -> None:
    """Draw the contours of a function of two numbers on a plot."""
    x, y = np.meshgrid(np.linspace(*across, 121), np.linspace(*up, 121))
    axes.contour(x, y, height(x, y), levels=levels, colors="0.75", linewidths=0.8)
    axes.set(xlim=across, ylim=up)


def logarithmic(*axes: Any) -> None:
    """Set plot axes (``axes.xaxis``, …) to logarithmic scale, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis in axes:
        getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axis.set_minor_formatter(NullFormatter())


def level(axes: Any, y: float, label: str = "") -> None:
    """Draw a thin horizontal line across a plot."""
    look = {"color": drawing.PAPER.ink, "linewidth": 0.8, "linestyle": (0, (1, 2))}
    axes.axhline(y, label=label or None, **look)


def quarters(last: int, parts: int = 4) -> list[int]:
    """Return whole places from 1 to about the last one, evenly spaced, for ticks.

    >>> quarters(20)
    [1, 5, 10, 15, 20]
    """
    step = max(1, round(last / parts))
    return sorted({1, *range(step, last + 1, step)})


def upright(axes: Any, x: float, label: str = "") -> None:
    """Draw a thin vertical line across a plot."""
    look = {"color": drawing.PAPER.ink, "linewidth": 0.8, "linestyle": (0, (1, 2))}
    axes.axvline(x, label=label or None, **look)


def words(axes: Any, title: str = "", across: str = "", up: str = "") -> None:
    """Set a plot's title and axis labels, and a legend if lines have names."""
    axes.set(title=title, xlabel=across, ylabel=up)
    if axes.get_legend_handles_labels()[0]:
        drawing.legend(axes, fontsize=8, frameon=True, framealpha=0.8, edgecolor="none")
