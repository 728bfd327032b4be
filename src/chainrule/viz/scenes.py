"""Drawings of classical reinforcement-learning environments from observations.

Each is ``scene(figure, observation)``, a frame of :func:`.gallery.film`; and how well
an agent did over the episodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.text import tr, translated
from chainrule.viz import behind, drawing, seen


@seen.seen(seen.of_film)
def cart_pole(figure: Any, seen: Any, *, title: str = "") -> None:
    """Draw a cart with a pole, from position, speed, angle (rad) and angular speed.

    It ends at ±2.4 or at 12°, both of which are marked.
    """
    place, __, angle, __ = np.asarray(seen, float)
    axes = _stage(figure, (-2.6, 2.6), (-0.4, 1.3), title)
    axes.plot([-2.4, 2.4], [0, 0], color=_ink(), linewidth=1)
    axes.vlines([-2.4, 2.4], -0.1, 0.1, color=_ink(), linewidth=2)
    for limit in np.radians([-12, 12]):
        _rod(axes, (place, 0.1), limit, 1.0, color="0.85", linewidth=1)
    cart = [place - 0.25, place + 0.25, place + 0.25, place - 0.25]
    axes.fill(cart, [-0.1, -0.1, 0.1, 0.1], color=drawing.PAPER.lines[0])
    _rod(axes, (place, 0.1), angle, 1.0, color=drawing.PAPER.lines[1], linewidth=4)


@seen.seen(seen.of_film)
def acrobot(figure: Any, seen: Any, *, title: str = "") -> None:
    """Draw an acrobot's two links, from cosine and sine of both angles.

    It ends once the tip is above the line. Angles are from straight down, the second
    one relative to the first link.
    """
    c1, s1, c2, s2 = np.asarray(seen, float)[:4]
    first = np.arctan2(s1, c1)
    second = first + np.arctan2(s2, c2)
    axes = _stage(figure, (-2.2, 2.2), (-2.2, 2.2), title)
    axes.plot([-2.2, 2.2], [1, 1], color=_ink(), linewidth=1, linestyle="--")
    middle = _rod(axes, (0.0, 0.0), np.pi - first, 1.0, linewidth=4)
    colour = drawing.PAPER.lines[1]
    _rod(axes, middle, np.pi - second, 1.0, color=colour, linewidth=4)
    axes.plot(*zip((0.0, 0.0), middle), "o", color=_ink())


@seen.seen(seen.of_film)
def pendulum(figure: Any, seen: Any, *, title: str = "") -> None:
    """Draw a pendulum, from cosine and sine of its angle from straight up."""
    cosine, sine, __ = np.asarray(seen, float)
    axes = _stage(figure, (-1.2, 1.2), (-1.2, 1.2), title)
    _rod(axes, (0.0, 0.0), -np.arctan2(sine, cosine), 1.0, linewidth=6)
    axes.plot([0], [0], "o", color=_ink())


@seen.seen(seen.of_returns, behind.of_returns)
def returns(figure: Any, episodes: Any, *, width: int = 50) -> None:
    """Draw the return of each reinforcement-learning episode, with moving average.

    Args:
        figure: what to draw into.
        episodes: (n, 2 or more): the step at an episode's end, and its return.
        width: over how many the mean is; of few episodes, over a quarter of them.
    """
    episodes = np.asarray(episodes, float)
    width = min(width, max(1, len(episodes) // 4))
    mean = np.convolve(episodes[:, 1], np.ones(width) / width, "valid")
    axes, colours = figure.subplots(), drawing.PAPER.lines
    axes.plot(*episodes[:, :2].T, ".", color=colours[0], markersize=2, alpha=0.4)
    axes.plot(
        episodes[width - 1 :, 0],
        mean,
        color=colours[1],
        label=tr("mean of {width}", width=width),
    )
    axes.set(xlabel=tr("step in the environment"), ylabel=tr("return of an episode"))
    drawing.legend(axes)


#: By the name that gymnasium has for the environment.
SCENES: dict[str, Callable[..., None]] = {
    "CartPole-v1": cart_pole,
    "Acrobot-v1": acrobot,
    "Pendulum-v1": pendulum,
}


def _ink() -> str:
    return drawing.PAPER.ink


def _stage(
    figure: Any, across: tuple[float, float], up: tuple[float, float], title: str
) -> Any:
    axes = figure.subplots()
    axes.set(xlim=across, ylim=up, aspect="equal", title=translated(title))
    axes.set_axis_off()
    return axes


def _rod(
    axes: Any, foot: tuple[float, float], angle: float, length: float, **look: Any
) -> tuple[float, float]:
    """Draw a rod in a scene at an angle clockwise from upright; return its end."""
    end = foot[0] + length * np.sin(angle), foot[1] + length * np.cos(angle)
    look = {"color": drawing.PAPER.lines[0]} | look
    axes.plot(*zip(foot, end), solid_capstyle="round", **look)
    return float(end[0]), float(end[1])
