"""The network of a run: the layers of its file, with the sizes that the data tell.

A size that is left out is read off what comes before: each layer is tried on two
samples of zeros, and what it gives is what the next one takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import ChainruleError
from chainrule.graph.build import no_grad
from chainrule.primitives.rules import show
from chainrule.runs import consistency, factory, schema
from chainrule.runs.classes import layers
from chainrule.runs.factory import ProblemError
from chainrule.runs.problems import Problem
from chainrule.tensor import Tensor

#: Samples of a trial.
TRIED = 2


def build(
    settings: Mapping[str, Any], train: Dataset, outputs: tuple[int, ...]
) -> nn.Sequential:
    """The network with its initial weights.

    Args:
        settings: of ``[model]``.
        train: the data that it learns from; they tell the sizes.
        outputs: the shape of what the loss takes of one sample.

    Raises:
        ProblemError: layers that do not fit the data or each other, and networks that
            would not fit into memory.
    """
    made: list[nn.Module] = []
    sample = Tensor(np.zeros((TRIED, *train.x.shape[1:]), np.float32))
    given = settings["layers"]
    standardize = settings["standardize"]
    if standardize is None:
        standardize = _is_table(train) and given[0]["class"] != "Embedding"
    if standardize:
        made.append(_standardize(train))
    last = max((i for i, item in enumerate(given) if _sized(item)), default=None)
    total = 0
    for i, item in enumerate(given):
        size = outputs[-1] if i == last and outputs else None
        options = _completed(item, sample.shape, size)
        weights = consistency.weights_of(item["class"], options)
        total += weights
        if total > schema.WEIGHTS_AT_MOST:
            raise ProblemError(consistency.too_large(i, item["class"], weights, total))
        layer = factory.layer(i, {"class": item["class"], "options": options})
        sample = _tried(layer, sample, i)
        made.append(layer)
    _check_outputs(sample.shape[1:], outputs, len(given) - 1)
    if not any(True for layer in made for _ in layer.parameters()):
        raise ProblemError(
            Problem(
                ("model", "layers"),
                "the network has no weights to learn.",
                expected='a layer with weights, such as "Linear"',
                got=", ".join(item["class"] for item in given),
                fix='add { class = "Linear", out_features = 16 }',
            )
        )
    # An activation at the end says itself in which range the output lies.
    if standardize and train.classes is None and given[-1]["class"] == "Linear":
        made.append(_unstandardize(train))
    return nn.Sequential(*made)


def _sized(item: Mapping[str, Any]) -> bool:
    return "out_features" in layers().options(item["class"])


def _completed(
    item: Mapping[str, Any], shape: tuple[Any, ...], outputs: int | None
) -> dict[str, Any]:
    """A layer's options, with the sizes that were left out.

    Inputs are the last axis of what comes; the features of a batch normalisation are
    the axis behind the samples.
    """
    options = dict(item["options"])
    for name, option in layers().options(item["class"]).items():
        if not option.size or name in options or not option.required:
            continue
        if name == "out_features":
            if outputs is not None:
                options[name] = outputs
        elif len(shape) > 1:
            channels = item["class"] in ("BatchNorm1d", "GroupNorm", "InstanceNorm1d")
            axis = 1 if channels else -1
            options[name] = int(shape[axis])
    return options


def _tried(layer: nn.Module, sample: Tensor, number: int) -> Tensor:
    """What the layer makes of the sample."""
    if layer.takes_indices():
        sample = sample.astype("int32")
    try:
        with no_grad(), np.errstate(all="ignore"):
            made = layer.eval()(sample)
            layer.train()
    except ChainruleError as error:
        raise ProblemError(Problem.of(error, "model", "layers", number)) from error
    return made


def _is_table(train: Dataset) -> bool:
    """Whether the data are rows of numbers out of a file."""
    kind = (train.format or {}).get("kind")
    return kind in ("csv", "npz") and len(train.x.shape) == 2


def _standardize(train: Dataset) -> nn.Module:
    if len(train.x.shape) != 2:
        raise ProblemError(
            Problem(
                ("model", "standardize"),
                "it is for tables, one number a feature.",
                expected="features of shape (n, columns)",
                got=f"shape {show(train.x.shape)}; grey values come as 0 … 1 already",
                fix="leave it away",
            )
        )
    columns = train.x.shape[1]
    layer, mean, std = nn.Standardize(columns), np.zeros(columns), np.ones(columns)
    for i in range(columns):  # one by one: float64 of all of them would be large
        column = train.x[:, i].astype(np.float64)
        # Categories and markers stay 0 and 1: a rare one would be very far out.
        if not ((column == 0) | (column == 1)).all():
            constant = column.min() == column.max()
            mean[i], std[i] = column.mean(), 1 if constant else column.std()
    layer.mean.copy_(mean)
    layer.std.copy_(std)
    return layer


def _unstandardize(train: Dataset) -> nn.Module:
    if train.y.ndim != 2:
        raise ProblemError(
            Problem(
                ("model", "standardize"),
                "a regression's output is scaled back column by column.",
                expected="targets of shape (n, outputs)",
                got=show(train.y.shape),
                fix="leave it away",
            )
        )
    return nn.Unstandardize.of(train.y)


def _check_outputs(made: tuple[Any, ...], wanted: tuple[int, ...], last: int) -> None:
    """Refuse a network that gives something else than the data need."""
    if made == wanted:
        return
    fix = "leave out_features of the last layer away: it follows from the data"
    if len(made) > len(wanted):
        fix = 'begin with "Flatten", which makes a row of each sample'
    raise ProblemError(
        Problem(
            ("model", "layers", last),
            "the network's output does not fit the data.",
            expected=f"{show(wanted)} for each sample",
            got=show(made),
            fix=fix,
        )
    )
