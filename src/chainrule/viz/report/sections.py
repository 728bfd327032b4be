"""The sections of a report: each gives its HTML, or None if it has nothing to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.formatting import is_share
from chainrule.graph.node import Array
from chainrule.nn.summary import summary
from chainrule.viz import curve, fonts
from chainrule.viz.report import charts, images, page
from chainrule.viz.report.charts import number, percent
from chainrule.viz.report.page import Html, el
from chainrule.viz.report.results import Classified, Regressed
from chainrule.viz.report.words import Words, sentences

#: More classes than this are a picture instead of a table.
MATRIX = 20
#: Rows of long tables that are shown first.
FEW = 15
#: The worst mistakes.
MISTAKES = 24
#: Pictures of neurons.
NEURONS = 128
#: Weights beyond this quantile have the colours of its ends.
_BOUND = 0.998
#: Targets of a regression that get pictures.
TARGETS = 3
#: Rows of the table of epochs.
EPOCHS = 60
#: Figures of probes.
PROBES = 12


@dataclass
class Subject:
    """What a report is about.

    Attributes:
        trainer: a Trainer.
        data: what it was measured on.
        words: the language.
        options: settings to show.
        measured: the loss and the metrics on ``data``.
        classes: its predictions as classes, or None.
        quantities: its predictions as quantities, or None.
    """

    trainer: Any
    data: Dataset
    words: Words
    options: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    classes: Classified | None = None
    quantities: Regressed | None = None

    def section(self, key: str, *inner: object, see: str | None = None) -> Html:
        """A section: a heading, what to see in it, the rest, where the book has it."""
        words = self.words
        return el(
            "section",
            el("h2", words[key], id=f"{key}-heading"),
            el("p", see or words[f"{key}.see"]),
            *inner,
            el("p", words["book"].format(words[f"{key}.book"]), class_="book"),
            id=key,
            aria_labelledby=f"{key}-heading",
        )


def glance(s: Subject) -> Html:
    """Headline figures and settings."""
    words, trainer = s.words, s.trainer
    tiles = [(curve.named("loss", words), number(float(s.measured["loss"])))]
    for key, value in s.measured.items():
        if key != "loss" and isinstance(value, int | float | np.number):
            tiles.append((curve.named(key, words), shown(key, float(value))))
    parameters = sum(int(p.size) for p in trainer.model.parameters())
    tiles += [
        (words["parameters"], f"{parameters:,}"),
        (words["steps"], f"{trainer.optimizer.steps:,}"),
        (words["training_time"], f"{trainer.seconds_training:.1f} s"),
    ]
    listed = [el("li", el("b", value), el("span", name)) for name, value in tiles]
    pairs = [
        inner
        for name, value in settings(s)
        for inner in (el("dt", name), el("dd", fonts.shorten(str(value), 400)))
    ]
    see = words["glance.see"].format(n=f"{len(s.data):,}", name=s.data.name)
    return s.section(
        "glance",
        el("ul", *listed, class_="tiles"),
        el("h3", words["settings"]),
        el("dl", *pairs),
        see=see,
    )


def settings(s: Subject) -> Iterable[tuple[str, Any]]:
    """What decided the run, by name."""
    words, trainer, plan = s.words, s.trainer, s.trainer.plan
    shape = " × ".join(map(str, s.data.x.shape[1:])) or "1"
    measured = {"name": s.data.name, "n": f"{len(s.data):,}", "shape": shape}
    yield words["data"], words["rows_of"].format(**measured)
    if plan is None:
        yield words["trained_on"], words["untrained"]
    else:
        done = {"epochs": trainer.epoch, "steps": f"{plan.steps_per_epoch:,}"}
        yield words["trained_on"], f"{plan.rows:,}"
        yield words["epoch_count"], words["epochs_of"].format(**done)
        yield words["batch_size"], plan.batch_size
    loss = trainer.loss
    yield words["loss"], loss if isinstance(loss, nn.Module) else _name(loss)
    yield words["optimizer"], trainer.optimizer
    yield words["engine"], trainer.engine
    yield words["seed"], trainer.seed
    yield words["compile_time"], f"{trainer.seconds_compile:.2f} s"
    known = ("engine", "seed", "epochs", "batch_size")
    yield from (
        (k, v) for k, v in s.options.items() if k not in known and v is not None
    )


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def shown(key: str, value: float) -> str:
    """A metric's value for people."""
    return percent(value) if is_share(key) else number(value)


# -- curves ------------------------------------------------------------------------


def curves(s: Subject) -> Html | None:
    """Loss, metrics and learning rate over the epochs, and the loss of each step."""
    words, history = s.words, s.trainer.history
    figures = []
    for i, panel in enumerate(curve.panels(history, words) if history.epochs else []):
        caption = words["of_epochs"].format(name=panel.name)
        figures.append(charts.lines(panel, f"curve{i}", caption, words))
    losses = history.steps["loss"]
    if len(losses) > 1:
        figures.append(_over_steps(s, {words["loss"]: losses}, "loss", words["loss"]))
    return (
        s.section("curves", el("div", *figures, class_="figures")) if figures else None
    )


def gradients(s: Subject) -> Html | None:
    """The gradient's length in each layer, over the steps."""
    found = _probes(s).get("grad_norm")
    if not found:
        return None
    name = s.words["grad_norm"]
    drawn = _over_steps(s, found, "grad_norm", name)
    return s.section("gradients", drawn)


def probes(s: Subject) -> Html | None:
    """Whatever else was watched, a figure for each kind."""
    kinds = [kind for kind in _probes(s) if kind != "grad_norm"][:PROBES]
    figures = [
        _over_steps(s, _probes(s)[kind], f"probe{i}", curve.named(kind, s.words))
        for i, kind in enumerate(kinds)
    ]
    return (
        s.section("probes", el("div", *figures, class_="figures")) if figures else None
    )


def _probes(s: Subject) -> dict[str, dict[str, Array]]:
    """Kind → layer → numbers, of the probes that give one number a step.

    Layers come in the order of the network, behind what is of the whole network.
    """
    found: dict[str, dict[str, Array]] = {}
    names = [name for name, _ in s.trainer.model.named_modules()]

    def place(item: tuple[str, Array]) -> int:
        layer = item[0].partition("/")[2]
        while layer not in names:
            layer = layer.rpartition(".")[0]
        return names.index(layer)

    for key, values in sorted(s.trainer.history.steps.items(), key=place):
        kind, _, layer = key.partition("/")
        if key != "loss" and values.ndim == 1 and len(values):
            found.setdefault(kind, {})[layer or s.words["whole"]] = values
    return found


def _over_steps(s: Subject, steps: dict[str, Array], key: str, up: str) -> Html:
    panel, remarks = charts.of_steps(steps, key, up, s.words)
    heading = "of_layers" if len(panel.lines) > 1 else "of_steps"
    if key == "loss":
        remarks.append(s.words["noise"])
    caption = sentences(s.words, s.words[heading].format(name=up), *remarks)
    return charts.lines(panel, f"steps-{key}", caption, s.words)


def epochs(s: Subject) -> Html | None:
    """The history as a table."""
    rows, words = s.trainer.history.epochs, s.words
    if not rows:
        return None
    keys = [
        key
        for key in dict.fromkeys(key for row in rows for key in row)
        if curve.column(rows, key) is not None
    ]
    picked = np.unique(np.linspace(0, len(rows) - 1, EPOCHS).round().astype(int))
    cells = []
    for i in picked:
        row = rows[i]
        cells.append([_cell(key, row.get(key)) for key in keys])
    caption = words["epochs_caption"].format(shown=len(picked), all=len(rows))
    name = s.trainer.history.validation_name
    held = {**words, "validation": words.get(name, name)}
    heading = [_heading(key, held) for key in keys]
    return s.section("epochs", page.table(caption, heading, cells))


def _heading(key: str, words: Words) -> str:
    kind, name = curve.split(key)
    return (
        f"{words[kind]} {curve.named(name, words)}" if kind else curve.named(key, words)
    )


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if key == "epoch":
        return str(value)
    return (
        f"{value:.2f}" if key == "seconds" else shown(curve.split(key)[1], float(value))
    )


# -- the network -------------------------------------------------------------------


def network(s: Subject) -> Html:
    """Layers and parameters."""
    words = s.words
    found = summary(s.trainer.model, s.data)
    rows = [
        [row.path, row.kind, row.output, f"{row.parameters:,}", f"{row.flops:,}"]
        for row in found.layers
    ]
    heading = [words[k] for k in ("layer", "kind", "output", "parameters", "flops")]
    totals = {"parameters": f"{found.parameters:,}", "flops": f"{found.flops:,}"}
    caption = words["network_caption"].format(**totals)
    return s.section("network", page.table(caption, heading, rows, texts=3))


def weights(s: Subject) -> Html | None:
    """The first layer's weights as pictures, where inputs are pictures."""
    words, row = s.words, s.data.x.shape[1:]
    first = next(
        (m for m in s.trainer.model.modules() if isinstance(m, nn.Linear)),
        None,
    )
    shape = images.picture_shape(row)
    if first is None or shape is None or first.in_features != int(np.prod(row)):
        return None
    w = first.weight.numpy().astype(np.float64)
    order = np.arange(len(w))
    if len(w) > NEURONS:
        order = np.argsort(-np.linalg.norm(w, axis=1), kind="stable")[:NEURONS]
    pictures = images.as_pictures(w[order].reshape(-1, *row))
    bound = float(np.quantile(np.abs(pictures), _BOUND))
    items = []
    for i, uri, own in zip(order, images.diverging(pictures, bound), pictures):
        low, high = number(own.min()), number(own.max())
        alt = words["weights_alt"].format(i=i, low=low, high=high)
        picture = el("img", src=uri, alt=alt, class_="pixels", loading="lazy")
        items.append(el("li", picture, str(i)))
    ends = {"low": f"≤ {number(-bound)}", "high": f"≥ {number(bound)}"}
    label = words["weights_scale"].format(**ends)
    bar = el("img", src=images.colour_scale(), alt=label)
    parts = [
        el("p", ends["low"], bar, ends["high"], class_="scale"),
        el("ul", *items, class_="weights"),
    ]
    if len(w) > NEURONS:
        some = words["weights_some"].format(shown=NEURONS, all=len(w))
        parts.insert(0, el("p", some))
    if shape[0] == 3:
        return s.section("weights", *parts, see=words["weights.see_colour"])
    return s.section("weights", *parts)
