"""The units of a small dense network as a drawing in LaTeX, by TikZ."""

from __future__ import annotations

from chainrule.diagrams.units import Units
from chainrule.explanation.latex import in_latex
from chainrule.text.numbers import number

#: Centimetres between columns, between units, and of a unit's radius.
ACROSS, DOWN, RADIUS = 3.4, 1.2, 0.36


def drawing(units: Units) -> str:
    """Return units and their weights as a ``tikzpicture``, numbered as on paper.

    A line is a weight; thick and thin, solid and dashed for minus, as print has no
    colours. The biases stand below their units.
    """
    lines = [r"\begin{tikzpicture}[every node/.style={font=\footnotesize}]"]
    for i, column in enumerate(units.columns):
        if column.weights is None:
            continue
        top = float(abs(column.weights).max()) or 1.0
        before = units.columns[i - 1].size
        for r in range(column.size):
            for c in range(before):
                weight = float(column.weights[r, c])
                kind = "" if weight >= 0 else ",dashed"
                wide = 0.3 + 0.9 * abs(weight) / top
                lines.append(
                    rf"\draw[line width={wide:.2f}pt{kind}] "
                    rf"{_at(i - 1, c, before)} -- {_at(i, r, column.size)};"
                )
    most = max(column.size for column in units.columns)
    for i, column in enumerate(units.columns):
        x, y = _place(i, 0, most)
        lines.append(
            rf"\node at ({x:.2f},{y + 0.75:.2f}) {{{in_latex(column.symbol)}}};"
        )
        for k in range(column.size):
            lines.append(
                rf"\draw[fill=white] {_at(i, k, column.size)} circle ({RADIUS});"
            )
            if column.biases is not None:
                x, y = _place(i, k, column.size)
                bias = number(float(column.biases[k]), 3)
                lines.append(rf"\node at ({x:.2f},{y - 0.55:.2f}) {{$b={bias}$}};")
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _place(i: int, k: int, size: int) -> tuple[float, float]:
    return ACROSS * i, DOWN * ((size - 1) / 2 - k)


def _at(i: int, k: int, size: int) -> str:
    x, y = _place(i, k, size)
    return f"({x:.2f},{y:.2f})"
