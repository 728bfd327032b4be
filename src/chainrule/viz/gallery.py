"""Drawing functions for recipes: images, matrices, curves, points, animations.

Each draws into a figure of matplotlib, so that a recipe can pass it on by name::

    study.draw("samples", gallery.images, digits, title="what it has made up")
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.html.pictures import as_pictures
from chainrule.text import _, translated
from chainrule.text.tables import wrapped
from chainrule.viz import behind, drawing, seen
from chainrule.viz.curve import log_helps


def picture(
    how: Callable[..., Any],
    *args: Any,
    size: tuple[float, float],
    what: str = "picture",
    **options: Any,
) -> bytes:
    """Return the picture that a drawing function draws, as a PNG file.

    Args:
        how: one of the functions of this module, or of your own.
        args, options: for it.
        size: width and height in inches.
        what: what the picture is, for messages.

    Raises:
        ArgumentError: there is no matplotlib.
    """
    return picture_with_words(how, *args, size=size, what=what, **options)[0]


def picture_with_words(
    how: Callable[..., Any],
    *args: Any,
    size: tuple[float, float],
    what: str = "picture",
    **options: Any,
) -> tuple[bytes, str]:
    """Return a picture as :func:`picture` does, and the words that stand in it.

    Args:
        how, args, options, size, what: as there.

    Raises:
        ArgumentError: there is no matplotlib.
    """
    drawing.need_matplotlib(what)
    with drawing.figure(drawing.PAPER, *size) as figure:
        how(figure, *args, **options)
        png = drawing.png(figure, what)
        return png, drawing.words(figure)


def film(
    how: Callable[..., Any],
    frames: Iterable[Any],
    *,
    size: tuple[float, float],
    seconds: float = 0.1,
    what: str = "film",
    **options: Any,
) -> bytes:
    """Return a GIF animation of the frames that a drawing function draws.

    Args:
        how: draws one frame into a figure of matplotlib.
        frames: what it is given, one after the other; at least one.
        size: width and height in inches.
        seconds: that each picture stays.
        what: what the film is, for messages.
        options: for ``how``.

    Raises:
        ArgumentError: there is no matplotlib, or no frame.
    """
    drawing.need_matplotlib(what)
    from PIL import Image  # matplotlib needs it too

    shots = []
    with drawing.figure(drawing.PAPER, *size) as figure:
        for frame in frames:
            figure.clear()
            how(figure, frame, **options)
            shot = Image.open(io.BytesIO(drawing.png(figure, what, dpi=72)))
            shots.append(shot.convert("RGB").quantize(64))
    if not shots:
        raise ArgumentError(
            _("The {what} has no frames.", what=what),
            expected=_("one at least"),
            got=_("none"),
        )
    file, timing = io.BytesIO(), {"duration": round(1000 * seconds), "loop": 0}
    shots[0].save(file, "GIF", save_all=True, append_images=shots[1:], **timing)
    return file.getvalue()


@seen.seen(seen.of_images)
def images(
    figure: Any,
    rows: Any,
    *,
    columns: int = 10,
    titles: Sequence[str] = (),
    signed: bool = False,
) -> None:
    """Draw array rows as images in a grid: grey, coloured, or signed.

    Args:
        figure: what to draw into.
        rows: (n, h, w), (n, c, h, w) or (n, h·w).
        columns: how many stand side by side.
        titles: a short one above each.
        signed: whether 0 is white, such as for weights; every image has a scale of its
            own.
    """
    rows = np.asarray(rows)
    shown = rows if rows.ndim == 3 else as_pictures(rows)
    columns = min(columns, len(shown))
    places = figure.subplots(math.ceil(len(shown) / columns), columns, squeeze=False)
    for axes in places.reshape(-1):
        axes.set_axis_off()
    for i, (axes, image) in enumerate(zip(places.reshape(-1), shown)):
        bound = float(np.abs(image).max()) or 1.0
        scale = {"vmin": -bound, "vmax": bound} if signed else {}
        colours = "RdBu_r" if signed else "gray"
        axes.imshow(image, cmap=colours, interpolation="nearest", **scale)
        if i < len(titles):
            axes.set_title(translated(titles[i]), fontsize=8, pad=2)


@seen.seen(seen.of_rows)
def rows(figure: Any, groups: Mapping[str, Any]) -> None:
    """Draw groups of grey images in a figure, a labelled row for each group.

    Args:
        figure: what to draw into.
        groups: (n, h·w) or (n, h, w) by the names of the rows, as many images in each.
    """
    shown = {
        name: np.asarray(group) if np.ndim(group) == 3 else as_pictures(group)
        for name, group in groups.items()
    }
    most = max(len(group) for group in shown.values())
    places = figure.subplots(len(shown), most, squeeze=False)
    for line, (name, group) in zip(places, shown.items()):
        for axes in line:
            axes.set(xticks=[], yticks=[], frame_on=False)
        for axes, image in zip(line, group):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        line[0].set_ylabel(
            translated(name), rotation=0, ha="right", va="center", fontsize=9
        )


def mosaic(rows: Sequence[Sequence[Any]]) -> np.ndarray:
    """Return rows of equal images as one array, with gaps of NaN between them."""
    side = np.shape(rows[0][0])[0]
    gap, step = 1 + side // 10, side + 1 + side // 10
    canvas = np.full((len(rows) * step - gap, len(rows[0]) * step - gap), np.nan)
    for i, row in enumerate(rows):
        for k, image in enumerate(row):
            place = slice(i * step, i * step + side), slice(k * step, k * step + side)
            canvas[place] = image
    return canvas


@seen.seen(seen.of_mosaics)
def mosaics(
    figure: Any,
    parts: Sequence[Sequence[Sequence[Any]]],
    *,
    titles: Sequence[str] = (),
    colours: str = "gray",
) -> None:
    """Draw blocks of images side by side; the first block is grey.

    Args:
        figure: what to draw into.
        parts: the blocks, each rows of square images (h, h) of one size.
        titles: a short one above each block.
        colours: of the other blocks, a colour map's name.
    """
    shares = [len(part[0]) for part in parts]
    places = figure.subplots(1, len(parts), squeeze=False, width_ratios=shares)[0]
    for i, (axes, part) in enumerate(zip(places, parts)):
        grey = colours if i else "gray"
        axes.imshow(mosaic(part), cmap=grey, vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[], facecolor="#7fa6c9", anchor="W")
        axes.grid(visible=False)
        if i < len(titles):
            room = figure.get_figwidth() * shares[i] / sum(shares)
            title = "\n".join(wrapped(translated(titles[i]), max(6, int(room / 0.075))))
            axes.set_title(title, fontsize=8, pad=3, loc="left")


@seen.seen(seen.of_heat, behind.of_heat)
def heat(
    figure: Any,
    matrix: Any,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    across: str = "",
    up: str = "",
    signed: bool = False,
    numbers: str = "",
) -> None:
    """Draw a matrix as a heat map: attention, a table of values, a confusion matrix.

    Args:
        figure: what to draw into.
        matrix: (m, n).
        rows, columns: names along its sides.
        across, up: what the sides are.
        signed: whether 0 is white.
        numbers: a format such as ``".2f"``, or ``"d"`` for whole numbers, to write each
            number into its cell.
    """
    written, matrix = np.asarray(matrix), np.asarray(matrix, float)
    axes = figure.subplots()
    bound = float(np.nanmax(np.abs(matrix))) or 1.0
    scale = {"vmin": -bound, "vmax": bound, "cmap": "RdBu_r"} if signed else {}
    drawn = axes.imshow(matrix, aspect="auto", interpolation="nearest", **scale)
    axes.grid(visible=False)
    axes.set(xlabel=translated(across), ylabel=translated(up))
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        if len(names):
            axis.set_ticks(
                range(len(names)), labels=list(map(translated, names)), fontsize=8
            )
    if numbers:
        for (i, j), value in np.ndenumerate(matrix):
            colour = "white" if drawn.norm(value) < 0.6 and not signed else "black"
            text = format(written[i, j], numbers)
            how = {"ha": "center", "va": "center", "color": colour, "fontsize": 7}
            axes.text(j, i, text, **how)
    figure.colorbar(drawn, ax=axes)


@seen.seen(seen.of_lines, behind.of_lines)
def lines(
    figure: Any,
    curves: Mapping[str, Any],
    *,
    across: str = "",
    up: str = "",
    log: bool | None = None,
) -> None:
    """Draw a line chart of curves by name, each (n,) or a pair (x, y).

    Args:
        figure: what to draw into.
        curves: by their names.
        across, up: what the axes are.
        log: a logarithmic axis upwards; by default where it helps.
    """
    from matplotlib.ticker import MaxNLocator

    axes, heights, places = figure.subplots(), [], []
    for i, (name, curve) in enumerate(curves.items()):
        x, y = curve if isinstance(curve, tuple) else (1 + np.arange(len(curve)), curve)
        i %= len(drawing.DASHES)
        look = {"color": drawing.PAPER.lines[i]}
        axes.plot(
            x,
            y,
            label=translated(name),
            linestyle=(0, drawing.DASHES[i] or None),
            marker=drawing.MARKERS[i] if len(y) == 1 else None,  # else it has no line
            **look,
        )
        heights.append(np.asarray(y, float))
        places.append(np.asarray(x, float))
    axes.set(xlabel=translated(across), ylabel=translated(up))
    if places and all((x == x.round()).all() for x in places):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if log or (log is None and log_helps(*heights)):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    if len(curves) > 1:
        drawing.legend(axes)


@seen.seen(seen.of_points, behind.of_points)
def points(
    figure: Any,
    places: Any,
    labels: Any,
    *,
    names: Sequence[str] = (),
    across: str = "",
    up: str = "",
) -> None:
    """Draw a scatter plot of points (n, 2) coloured by their labels (n,)."""
    import matplotlib

    places, labels = np.asarray(places), np.asarray(labels)
    axes = figure.subplots()
    classes = np.unique(labels)
    signs: set[str] = set()
    for i, label in enumerate(classes):
        mine = places[labels == label]
        name = names[int(label)] if len(names) else str(label)
        sign = len(str(label)) == 1 and str(label).isalnum()
        if sign:
            signs.add(str(label))
        look = {"marker": f"${label}$" if sign else "o"}
        colour = drawing.PAPER.lines[i % len(drawing.PAPER.lines)]
        with matplotlib.rc_context({"text.parse_math": True}):  # "$3$" is a sign then
            axes.scatter(
                *mine.T,
                s=18,
                color=colour,
                label=translated(name),
                linewidths=0,
                **look,
            )
    axes.set(xlabel=translated(across), ylabel=translated(up))
    own = {str(names[int(c)]) if len(names) else str(c) for c in classes}
    if len(classes) <= 16 and own != signs:  # a digit is drawn as itself
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)


@seen.seen(seen.of_bars, behind.of_bars)
def bars(
    figure: Any,
    values: Mapping[str, float],
    *,
    across: str = "",
    low: float | None = 0.0,
) -> None:
    """Draw a horizontal bar chart of values by name.

    Args:
        figure: what to draw into.
        values: by name. Negative ones have a colour of their own.
        across: what the values are.
        low: where the axis begins; None where values decide.
    """
    axes = figure.subplots()
    names, lengths = list(values), list(values.values())
    colours = [drawing.PAPER.lines[int(length < 0)] for length in lengths]
    drawn = axes.barh(range(len(names)), lengths, color=colours)
    axes.bar_label(drawn, fmt="%.4g", padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), labels=list(map(translated, names)))
    axes.invert_yaxis()
    axes.set_axisbelow(True)
    axes.margins(x=0.15)  # room for the numbers at both ends
    axes.set(xlabel=translated(across), xlim=(low, None))
