"""Decision regions: a classifier's predictions over the plane of two features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from chainrule.compilation.modes import mode
from chainrule.data import Dataset
from chainrule.errors import ArgumentError, visible
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.metrics.evaluation import require_one
from chainrule.nn import Module, output_semantics
from chainrule.tensor import tensor
from chainrule.text import _, ngettext, translated
from chainrule.text.catalogue import current
from chainrule.text.tables import shorten
from chainrule.training import Trainer
from chainrule.util.atomic_files import replace
from chainrule.viz import drawing, gallery, seen
from chainrule.viz.words import read_words

#: A Trainer, or a function of an array (n, 2), such as a module.
Classifier = Trainer | Callable[[Any], Any]

#: Points a side at which the classifier is asked.
_GRID = 240
#: Points of the data that are drawn; more hide what lies under them.
_POINTS = 2000
#: More classes than this have no legend.
_NAMED = 12
_WHAT = _("picture of the decision regions")


def save_decision_regions(
    trainer: Classifier, data: Dataset, path: str | Path, *, title: str = ""
) -> None:
    """Save a picture of a classifier's decision regions and data as a PNG file.

    Each place has the colour of its most probable class, the stronger the more
    probable it is; where two classes are equally probable it is pale. A line is where
    the prediction changes: one straight line is all that a single neuron can draw
    (1.3, 2.8). Points that are predicted wrongly have a ring.

    Args:
        trainer: a Trainer; or any function of an array (n, 2), such as a module, that
            gives (n, classes) probabilities or scores, or (n,) or (n, 1) probabilities
            of class 1 among the classes 0 and 1.
        data: rows of two features, and labels.
        path: where to write.
        title: above the picture.

    Raises:
        ArgumentError: rows that are not two features, targets that are not labels, an
            answer of another shape, or no matplotlib.
        SaveError: the file cannot be written.

    Warns:
        ChainruleWarning: no installed font has some of the characters.
    """
    picture = gallery.picture(
        draw_decision_regions, trainer, data, title, size=(5.6, 4.6), what=_WHAT
    )
    replace(Path(path), picture, _WHAT)


@seen.seen(seen.of_regions)
def draw_decision_regions(
    figure: Any, trainer: Classifier, data: Dataset, title: str = ""
) -> None:
    """Draw a classifier's decision regions with the data into a matplotlib figure."""
    _check(data)
    if isinstance(trainer, Trainer):
        data = cast("Dataset", trainer.like(data))
    names = class_names(data, getattr(trainer, "class_names", None))
    features = data.feature_names or ("x₁", "x₂")
    axes = figure.subplots()
    drawn = draw_regions(axes, trainer, data)
    handles, labels = axes.get_legend_handles_labels()
    known = [shorten(names[c] if c < len(names) else str(c), 24) for c in drawn]
    if len(drawn) <= _NAMED:
        place = {"loc": "outside lower center", "ncols": min(4, len(handles))}
        ring = read_words(current())["ring"]
        legend = figure.legend(handles, labels, **place)
        for text, label in zip(legend.get_texts(), [*known, ring]):
            text.set_text(label)
    axes.set(xlabel=visible(features[0]), ylabel=visible(features[1]))
    figure.suptitle(shorten(translated(title), 60))


def draw_regions(axes: Any, trainer: Classifier, data: Dataset) -> list[int]:
    """Draw decision regions and data into matplotlib axes; return the classes drawn.

    Returns:
        The classes that have points, in the order of the legend; an entry for the
        ring follows where there is one.
    """
    points = data.x[...].astype(np.float64)
    low, high = points.min(0), points.max(0)
    margin = np.where(high > low, 0.12 * (high - low), 1.0)
    low, high = low - margin, high + margin
    across, up = (np.linspace(*ends, _GRID) for ends in zip(low, high))
    places = np.stack([a.ravel() for a in np.meshgrid(across, up)], axis=1)
    shares = probabilities(trainer, places.astype(data.x.dtype))
    labels = labels_of(data.y)
    colours = class_colours(max(shares.shape[1], int(labels.max()) + 1))
    winner = shares.argmax(1)
    strength = _strength(shares, winner)[:, None]
    picture = 1 - strength * (1 - colours[winner])
    axes.imshow(
        picture.reshape(_GRID, _GRID, 3),
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    _draw_borders(axes, across, up, shares)
    axes.grid(visible=False)
    step = -(-len(points) // _POINTS)
    said = probabilities(trainer, data.x[::step]).argmax(1)
    return _draw_points(axes, points[::step], labels[::step], said, colours)


def probabilities(trainer: Classifier, x: Array) -> Array:
    """Predict (n, classes) probabilities of points, for a map of decision regions.

    Where the answer is no number, all classes are equal.

    Raises:
        ArgumentError: an answer that is no score a class and no probability.
    """
    if isinstance(trainer, Trainer):
        try:
            predicted = trainer.predict(x, output="probabilities")
        except ArgumentError:  # scores that only decide, as a hinge's
            raw = trainer.predict(x)
            cut = output_semantics.threshold(trainer.loss)
            predicted = output_semantics.decide(tensor(raw), cut).numpy()
            if raw.ndim > 1 and raw.shape[1] > 1:
                predicted = np.eye(raw.shape[1])[predicted]
    elif isinstance(trainer, Module):
        with no_grad(), mode(trainer, training=False):
            predicted = trainer(tensor(x))
    else:
        predicted = trainer(tensor(x))
    scores = np.asarray(predicted, np.float64)
    if scores.ndim == 2 and scores.shape[1] > 1 and len(scores) == len(x):
        sums = scores.sum(1)
        if scores.min() >= 0 and np.allclose(sums, 1, atol=1e-3):
            return scores
        with np.errstate(invalid="ignore"):
            powers = np.exp(scores - scores.max(1, keepdims=True))
            shares = powers / powers.sum(1, keepdims=True)
        return np.nan_to_num(shares, nan=1 / scores.shape[1])
    scores = np.nan_to_num(scores, nan=0.5)
    if scores.size == len(x) and scores.min() >= 0 and scores.max() <= 1:
        ones = scores.reshape(-1)
        return np.stack([1 - ones, ones], axis=1)
    raise ArgumentError(
        _("Decision regions need a classifier."),
        expected=ngettext(
            "({n}, classes) scores, or {n} probability of class 1",
            "({n}, classes) scores, or {n} probabilities of class 1",
            n=len(x),
        ),
        got=_(
            "shape {shape}, from {scores:.3g} to {max_scores:.3g}",
            shape=scores.shape,
            scores=np.min(scores),
            max_scores=np.max(scores),
        ),
        fix=_("end the network in one score a class, or in Sigmoid() for two classes"),
    )


def labels_of(y: Array) -> Array:
    """Return (n,) class numbers from labels: numbers, ±1, or one-hot rows.

    >>> labels_of(np.array([[1.0], [-1.0]])), labels_of(np.array([[0, 1], [1, 0]]))
    (array([1, 0]), array([1, 0]))

    Raises:
        ArgumentError: targets that are something else.
    """
    one_hot = y.ndim == 2 and y.shape[1] > 1 and ((y == 0) | (y == 1)).all()
    if one_hot and (y.sum(1) == 1).all():
        return y.argmax(1)
    flat = y.reshape(-1)
    if flat.size == len(y) and (flat == np.rint(flat)).all():
        if set(np.unique(flat).tolist()) <= {-1, 1}:
            return (flat > 0).astype(np.intp)
        if flat.min() >= 0:
            return flat.astype(np.intp)
    raise ArgumentError(
        _("Decision regions need labels."),
        expected=_("one class a row: its number from 0, ±1, or a one-hot row"),
        got=_(
            "{dtype} of shape {shape}, from {min:g} to {max:g}",
            dtype=y.dtype,
            shape=y.shape,
            min=y.min(),
            max=y.max(),
        ),
        fix=_("number the classes: numpy.unique(y, return_inverse=True)[1]"),
    )


def class_names(data: Dataset, chosen: Any = None) -> list[str]:
    """Return a data set's class names: given ones, its own, or class numbers."""
    names = chosen or data.class_names
    if names:
        return [str(name) for name in names]
    classes = data.classes or int(labels_of(data.y).max()) + 1
    return [str(c) for c in range(classes)]


def class_colours(classes: int) -> Array:
    """Return a colour for each class: (classes, 3) numbers from 0 to 1."""
    from matplotlib.colors import hsv_to_rgb, to_rgb

    fixed = [to_rgb(light) for light, __, __ in drawing.COLOURS]
    if classes <= len(fixed):
        return np.array(fixed[:classes])
    hues = np.arange(classes) / classes
    value = np.where(np.arange(classes) % 2, 0.55, 0.8)
    return hsv_to_rgb(np.stack([hues, np.full(classes, 0.75), value], axis=1))


# -- internals ---------------------------------------------------------------------


def _check(data: Dataset) -> None:
    require_one(data)
    if data.x.shape[1:] != (2,):
        raise ArgumentError(
            _("Decision regions are drawn for two features."),
            expected=_("x of shape (n, 2)"),
            got=f"{data.x.shape}",
            fix=_("choose two columns: Dataset(x[:, :2], y), and train on those"),
        )
    labels_of(data.y)


def _strength(shares: Array, winner: Array) -> Array:
    """Return a region's colour strength, 0.12 … 0.55, by the winner's probability."""
    best = shares[np.arange(len(shares)), winner]
    even = 1 / shares.shape[1]
    return 0.12 + 0.43 * np.clip((best - even) / (1 - even), 0, 1)


def _draw_borders(axes: Any, across: Array, up: Array, shares: Array) -> None:
    """Draw the borders between a classifier's decision regions."""
    ink = drawing.PAPER.ink
    for c in range(shares.shape[1]):
        lead = shares[:, c] - np.delete(shares, c, axis=1).max(1)
        if lead.min() < 0 < lead.max():
            grid = lead.reshape(len(up), len(across))
            axes.contour(across, up, grid, levels=[0.0], colors=ink, linewidths=0.8)


def _draw_points(
    axes: Any, points: Array, labels: Array, said: Array, colours: Array
) -> list[int]:
    """Draw data points in class colours, with a ring if predicted wrongly."""
    size = 34 if len(points) <= 300 else 12
    look: dict[str, Any] = {"zorder": 3, "clip_on": False}
    classes = np.unique(labels).tolist()
    for c in classes:
        marker = drawing.MARKERS[c % len(drawing.MARKERS)]
        look |= {"s": size, "edgecolors": "white", "linewidths": 0.7, "marker": marker}
        axes.scatter(*points[labels == c].T, color=[colours[c]], label="?", **look)
    wrong = points[labels != said]
    if len(wrong):
        look |= {"s": 4 * size, "edgecolors": drawing.PAPER.ink, "linewidths": 1.2}
        look |= {"facecolors": "none", "marker": "o"}
        axes.scatter(*wrong.T, label="?", **look)
    return classes
