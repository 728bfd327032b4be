"""The units of a small dense network, drawn one by one with their numbers.

Lines are weights, and there is one for each weight. What stands in a column is one
value of the graph: its units are filled by their numbers, and their rings are ∂ℒ/∂z.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from chainrule.diagrams.element import cut, element, linked, px
from chainrule.html.arrays import COLD, WARM, Array, colours
from chainrule.text import tr
from chainrule.text.numbers import number
from chainrule.text.numbers import width as columns_of

#: Pixels between columns, between units, and of a unit's radius.
ACROSS, DOWN, RADIUS = 170, 58, 19
#: So many lines between two columns have their weights written on them.
LINES = 9


@dataclass(frozen=True, eq=False)
class Column:
    """A column of units.

    Attributes:
        symbol: x, a⁽¹⁾ or ŷ.
        names: of the modules or operations that it stands for.
        size: how many units.
        numbers: of the first sample, where they are known.
        errors: ∂ℒ/∂z of the first sample, where they are known.
        biases: one a unit, where there are some.
        weights: from the units of the column before (columns) to these (rows).
        link: where in the page its symbol leads, such as ``#layer-1``.
    """

    symbol: str
    names: Sequence[str]
    size: int
    numbers: Array | None = None
    errors: Array | None = None
    biases: Array | None = None
    weights: Array | None = None
    link: str = ""


@dataclass(frozen=True, eq=False)
class Units:
    """The columns of units of a dense network, in running order."""

    columns: Sequence[Column]

    def caption(self) -> str:
        """Return a sentence that says how units and lines are to be read."""
        parts = [tr("Lines are weights.")]
        if any(c.numbers is not None for c in self.columns):
            parts.append(tr("Units are filled by their numbers for the first sample."))
        if any(c.errors is not None for c in self.columns):
            parts.append(tr("Rings are δ = ∂ℒ/∂z."))
        return " ".join([*parts, tr("Red is positive, blue negative.")])


def drawing(units: Units, about: str) -> str:
    """Return units and their weights as an ``<svg>`` element."""
    most = max(column.size for column in units.columns)
    rows = max(len(column.names) for column in units.columns)
    names = [cut(line) for column in units.columns for line in column.names]
    across = max([ACROSS, *(columns_of(line) * 6.4 + 16 for line in names)])
    width = across * len(units.columns)
    height = DOWN * most + 44 + 15 * rows
    places = [
        [
            (
                across * (i + 0.5),
                30 + DOWN * (most - column.size) / 2 + DOWN * (k + 0.5),
            )
            for k in range(column.size)
        ]
        for i, column in enumerate(units.columns)
    ]
    parts: list[str] = []
    for i, column in enumerate(units.columns[1:], 1):
        if column.weights is not None:
            parts += _weights(column.weights, places[i - 1], places[i])
    for i, column in enumerate(units.columns):
        parts += _units(column, places[i])
        x = across * (i + 0.5)
        head = escape(column.symbol)
        head = f'<text x="{px(x)}" y="20" text-anchor="middle">{head}</text>'
        parts.append(linked(head, column.link))
        for k, line in enumerate(column.names):
            parts.append(
                f'<text x="{px(x)}" y="{px(48 + DOWN * most + 15 * k)}" font-size="11"'
                f' text-anchor="middle" opacity=".8">{escape(cut(line))}</text>'
            )
    links = any(column.link for column in units.columns)
    return element(width, height, about, "".join(parts), links=links)


def _weights(
    weights: Array,
    left: Sequence[tuple[float, float]],
    right: Sequence[tuple[float, float]],
) -> Iterator[str]:
    finite = np.abs(weights[np.isfinite(weights)])
    top = float(finite.max(initial=0.0)) or 1.0
    written: list[str] = []
    for r, (x2, y2) in enumerate(right):
        for c, (x1, y1) in enumerate(left):
            weight = float(weights[r, c])
            share = min(abs(weight) / top, 1.0) if np.isfinite(weight) else 1.0
            ink = _css(WARM if weight > 0 else COLD)
            yield (
                f'<line x1="{px(x1 + RADIUS)}" y1="{px(y1)}" x2="{px(x2 - RADIUS)}"'
                f' y2="{px(y2)}" stroke="{ink}"'
                # White, as numbers near 0 are, would not be seen on white.
                f' stroke-opacity="{0.35 + 0.65 * share:.2f}"'
                f' stroke-width="{0.6 + 1.9 * share:.2f}">'
                f"<title>w[{r}, {c}] = {number(weight)}</title></line>"
            )
            if weights.size <= LINES:
                # Lines that cross have their numbers at different places.
                at = 0.3 + 0.3 * (c / max(len(left) - 1, 1))
                x = x1 + RADIUS + (x2 - x1 - 2 * RADIUS) * at
                written.append(
                    f'<text x="{px(x)}" y="{px(y1 + (y2 - y1) * at - 4)}"'
                    f' text-anchor="middle" font-size="11">{number(weight, 3)}</text>'
                )
    yield from written


def _units(column: Column, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    known, errors = column.numbers, column.errors
    fills = None if known is None else colours(known)
    rings = None if errors is None else colours(errors)
    for k, (x, y) in enumerate(places):
        at = f'cx="{px(x)}" cy="{px(y)}"'
        lines = [f"{column.symbol}[{k}]"]
        if known is not None:
            lines[0] += f" = {number(known[k])}"
        if errors is not None:
            lines.append(f"δ[{k}] = {number(errors[k])}")
        if column.biases is not None:
            lines.append(f"b[{k}] = {number(column.biases[k])}")
        fill = 'fill="currentColor" fill-opacity=".06"'
        ring = ""
        if fills is not None:
            fill = f'fill="{_css(fills[k])}"'
        if rings is not None:
            ring = (
                f'<circle {at} r="{RADIUS - 2}" fill="none" stroke-width="4"'
                f' stroke="{_css(rings[k])}"/>'
            )
        number_ = ""
        if known is not None and fills is not None:
            dark = float(fills[k] @ np.array([0.3, 0.59, 0.11])) < 140
            number_ = (
                f'<text x="{px(x)}" y="{px(y + 3.5)}" text-anchor="middle"'
                f' font-size="10" style="fill:{"#fff" if dark else "#111"}">'
                f"{number(known[k], 2)}</text>"
            )
        bias = ""
        if column.biases is not None and column.size <= 12:
            bias = (
                f'<text x="{px(x)}" y="{px(y + RADIUS + 10)}" text-anchor="middle"'
                f' font-size="10" opacity=".8">b {number(column.biases[k], 3)}</text>'
            )
        title = escape("\n".join(lines))
        yield (
            f"<g><title>{title}</title>"
            f'<circle {at} r="{RADIUS}" {fill} stroke="currentColor"'
            f' stroke-opacity=".6"/>{ring}{number_}{bias}</g>'
        )


def _css(colour: Array) -> str:
    return "#{:02x}{:02x}{:02x}".format(*map(int, colour))
