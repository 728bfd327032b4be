"""The contents of a training report's sections, for the templates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import data as datasets
from chainrule import nn
from chainrule.data import Dataset
from chainrule.data.text import shown, texts_of
from chainrule.diagrams import svg
from chainrule.graph.node import Array
from chainrule.html.pictures import as_pictures, grey_or_colour, picture_shape
from chainrule.metrics.evaluation import Mistake
from chainrule.nn.first_use import Use, first_use
from chainrule.nn.summary import Summary
from chainrule.text.languages import language
from chainrule.text.numbers import number
from chainrule.viz import behind, curve, images
from chainrule.viz.report import charts
from chainrule.viz.report.charts import Figure, sentences
from chainrule.viz.report.predictions import Classified, Regressed
from chainrule.viz.words import Words

#: The worst mistakes.
MISTAKES = 24
#: Columns of a table's rows among them.
CELLS = 12
#: Pictures of neurons.
NEURONS = 128
#: Targets of a regression that get pictures.
TARGETS = 3
#: Rows of the table of epochs.
EPOCHS = 60
#: Figures of probes.
PROBES = 12
#: How opaque the colour of a cell may be, so that its text stays legible.
STRONGEST = 0.5


def settings(trainer: Any, options: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Return a training run's settings by name: data, loss, optimiser, options."""
    plan, loss = trainer.plan, trainer.loss
    if not isinstance(loss, nn.Module):
        loss = getattr(loss, "__name__", type(loss).__name__)
    entries: dict[str, Any] = {}
    if plan is not None:
        done = {"epochs": trainer.epoch, "steps": number(plan.steps_per_epoch)}
        entries["trained_on"] = number(plan.rows)
        entries["epoch_count"] = words["epochs_of"].format(**done)
        entries["batch_size"] = plan.batch_size
    entries |= {"loss": loss, "optimizer": trainer.optimizer, "engine": trainer.engine}
    entries |= {"seed": trainer.seed, "compile_time": _seconds(trainer.seconds_compile)}
    known = ("engine", "seed", "epochs", "batch_size")
    own = {k: v for k, v in options.items() if k not in known and v is not None}
    return entries | own


def totals(trainer: Any, network: Summary) -> dict[str, str]:
    """Return a network's numbers of parameters, FLOPs and steps, and training time."""
    return {
        "parameters": number(network.parameters),
        "flops": number(network.flops),
        "steps": number(trainer.optimizer.steps),
        "training_time": _seconds(trainer.seconds_training),
    }


def layers(network: Summary) -> list[dict[str, Any]]:
    """Return a report's table row for each layer of a network, in order."""
    shown = {"path": "layer", "kind": "kind", "output": "output"}
    shown |= {"parameters": "parameters", "flops": "flops"}
    return [{by: getattr(row, k) for k, by in shown.items()} for row in network.layers]


def network(model: Any, data: Any, spoken: str, title: str = "") -> Figure:
    """Return the picture of a network for a report, with a sample's numbers.

    Args:
        model: the network.
        data: as for ``model.picture``.
        spoken: the language of the caption.
        title: what it is called; empty for the name of its class.
    """
    with language(spoken):
        drawn = model.picture(data)
        drawn.title = title or drawn.title
        return Figure(" · ".join(svg.caption(drawn)), svg.picture(drawn))


def _seconds(value: float) -> str:
    return f"{number(float(value), 3)} s"


# -- classes and quantities --------------------------------------------------------


def strengths(result: Classified) -> Array:
    """Return the opacity of each confusion matrix cell, with few mistakes visible."""
    counts = result.confusion
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    diagonal = np.eye(len(counts), dtype=bool)
    strongest = np.where(diagonal, 1.0, max(0.05, shares[~diagonal].max(initial=0)))
    return STRONGEST * np.sqrt(shares / strongest)


def mistakes(
    data: Dataset,
    result: Classified | Regressed,
    worst_first: list[Mistake],
    source: Any,
) -> dict[str, Any]:
    """Return a report's worst predictions, as pictures or with their values."""
    worst, answers = (
        [m.row for m in worst_first],
        [result.answer(m) for m in worst_first],
    )
    section: dict[str, Any] = {"answers": answers, "pictures": [], "values": []}
    if not worst:
        return section
    texts = texts_of(data) is not None
    if picture_shape(data.x.shape[1:]) is not None and not texts:
        uris = grey_or_colour(as_pictures(data.x[worst]))
        return section | {"pictures": uris}
    lines, format = data.lines, data.format
    if lines is not None:
        answers = [{"line": int(lines[a.pop("row")]), **a} for a in answers]
    if source and lines is not None and format is not None:
        target = target_names(data, {"target": "", "target_n": ""})
        rows = datasets.rows_of(Path(source), format, lines[worst].tolist())
        rows = [{k: v for k, v in row.items() if k not in target} for row in rows]
    elif texts:
        rows = [shown(data, row) for row in worst]
    elif data.feature_names is not None:
        rows = [
            dict(zip(data.feature_names, row.tolist()))
            for row in data.x[worst].astype(np.float64)
        ]
    else:
        rows = []
    values = [dict([*row.items()][:CELLS]) for row in rows]
    return section | {"answers": answers, "values": values}


def target_names(data: Dataset, words: Words) -> list[str]:
    """Return the names of a regression's targets, from the file or numbered."""
    targets = int(np.prod(data.y.shape[1:]))
    target = (data.format or {}).get("target")
    names = [target] if isinstance(target, str) else list(target or ())
    if len(names) == targets:
        return [str(name) for name in names]
    if targets == 1:
        return [words["target"]]
    return [words["target_n"].format(i + 1) for i in range(targets)]


# -- curves ------------------------------------------------------------------------


def curves(trainer: Any, words: Words) -> list[Figure]:
    """Return charts of loss, metrics and learning rate by epochs and steps."""
    history, figures = trainer.history, []
    for i, panel in enumerate(curve.panels(history, words) if history.epochs else []):
        caption = words["of_epochs"].format(name=panel.name)
        figures.append(charts.lines(panel, f"curve{i}", caption, words))
    losses = history.steps["loss"]
    if len(losses) > 1:
        figures.append(_over_steps({"": losses}, "loss", words["loss"], words))
    return figures


def probes(trainer: Any, words: Words) -> dict[str, Figure]:
    """Return a chart for each kind of training probe with one number a step.

    Layers come in the order of the network, behind what is of the whole network.
    """
    curves: dict[str, dict[str, Array]] = {}
    names = [name for name, _ in trainer.model.named_modules()]

    def place(item: tuple[str, Array]) -> int:
        layer = item[0].partition("/")[2]
        while layer not in names:
            layer = layer.rpartition(".")[0]
        return names.index(layer)

    for key, numbers in sorted(trainer.history.steps.items(), key=place):
        kind, _, layer = key.partition("/")
        if key != "loss" and numbers.ndim == 1 and len(numbers):
            curves.setdefault(kind, {})[layer or words["whole"]] = numbers
    return {
        kind: _over_steps(steps, f"probe{i}", curve.named(kind, words), words)
        for i, (kind, steps) in enumerate([*curves.items()][:PROBES])
    }


def _over_steps(steps: Mapping[str, Array], key: str, up: str, words: Words) -> Figure:
    panel, remarks = charts.of_steps(steps, key, up, words)
    heading = "of_layers" if len(panel.lines) > 1 else "of_steps"
    remarks += [words["noise"]] * (key == "loss")
    caption = sentences(words, words[heading].format(name=up), *remarks)
    drawn = (
        steps
        if len(steps) == 1
        else {line.label: steps[line.label] for line in panel.lines}
    )
    table = behind.of_steps(drawn, words["step"], up)
    return charts.lines(panel, f"steps-{key}", caption, words, table)


def epochs(trainer: Any) -> list[dict[str, Any]]:
    """Return rows of a training history, evenly chosen if there are many."""
    rows = trainer.history.epochs
    keys = dict.fromkeys(key for row in rows for key in row)
    numbers = [key for key in keys if curve.column(rows, key) is not None]
    picked = np.linspace(0, len(rows) - 1, min(len(rows), EPOCHS)).round().astype(int)
    return [{key: rows[i].get(key) for key in numbers} for i in picked]


# -- the network -------------------------------------------------------------------


def weights(trainer: Any, row: tuple[int, ...]) -> dict[str, Any] | None:
    """Return the first layer's weights as images, or None if inputs are no images."""
    linear = (m for m in trainer.model.modules() if isinstance(m, nn.Linear))
    first, shape = next(linear, None), picture_shape(row)
    if first is None or shape is None or first.in_features != int(np.prod(row)):
        return None
    if first_use(trainer.model, row) is Use.INDICES:
        return None
    w = first.weight.numpy().astype(np.float64)
    order = np.arange(len(w))
    if len(w) > NEURONS:
        order = np.argsort(-np.linalg.norm(w, axis=1), kind="stable")[:NEURONS]
    pictures = as_pictures(w[order].reshape(-1, *row))
    bound = float(np.quantile(np.abs(pictures), 0.998))  # beyond: the ends' colours
    ends = [(number(own.min()), number(own.max())) for own in pictures]
    return {
        "of": len(w),
        "colour": shape[0] == 3,
        "bound": bound,
        "scale": images.colour_scale(),
        "neurons": list(zip(order.tolist(), images.diverging(pictures, bound), ends)),
    }
