"""The network of a run: the layers of its file, with the sizes that the data tell.

A size that is left out is read off what comes before: each layer is tried on two
samples of zeros, and what it gives is what the next one takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import ChainruleError
from chainrule.graph.build import no_grad
from chainrule.primitives.rules import show
from chainrule.runs import consistency, targets
from chainrule.runs.problems import Problem, ProblemError
from chainrule.runs.schema import Layer, Model
from chainrule.tensor import Tensor

#: Samples of a trial.
TRIED = 2
#: Layers whose features are the axis behind the samples; of others it is the last one.
CHANNELS_FIRST = (
    *("BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "GroupNorm", "InstanceNorm1d"),
)


def build(
    settings: Model, train: Dataset, outputs: tuple[int, ...], transform: str = "none"
) -> nn.Sequential:
    """The network with its initial weights.

    Args:
        settings: the section ``[model]``.
        train: the data that it learns from; they tell the sizes.
        outputs: the shape of what the loss takes of one sample.
        transform: of the targets of a regression, ``[data] target_transform``.

    Raises:
        ProblemError: layers that do not fit the data or each other, and networks that
            would not fit into memory.
    """
    made: list[nn.Module] = []
    sample = Tensor(np.zeros((TRIED, *train.x.shape[1:]), np.float32))
    layers: list[Layer] = settings.layers
    standardize = settings.standardize
    if standardize is None:
        standardize = _is_table(train) and layers[0].name != "Embedding"
    if standardize:
        made.append(_standardize(train))
    sized = [i for i, layer in enumerate(layers) if "out_features" in layer.known()]
    total = 0
    for i, layer in enumerate(layers):
        wanted = outputs[-1] if sized and i == sized[-1] and outputs else None
        sizes = _sizes(layer, sample.shape, wanted)
        total += (weights := consistency.weights_of({**layer.sizes(), **sizes}))
        if total > consistency.WEIGHTS_AT_MOST:
            raise ProblemError(consistency.too_large(i, layer.name, weights, total))
        made.append(layer.build(i, **sizes))
        sample = _tried(made[-1], sample, i)
    _check_outputs(sample.shape[1:], outputs, len(layers) - 1)
    if not any(True for layer in made for _ in layer.parameters()):
        raise ProblemError(
            Problem(
                ("model", "layers"),
                "the network has no weights to learn.",
                expected='a layer with weights, such as "Linear"',
                got=", ".join(layer.name for layer in layers),
                fix='add { class = "Linear", out_features = 16 }',
            )
        )
    last = targets.last_layer(train, transform, layers[-1].name, standardize)
    if last is not None:
        made.append(last)
    return nn.Sequential(*made)


def _sizes(layer: Layer, shape: tuple[Any, ...], outputs: int | None) -> dict[str, int]:
    """The sizes of a layer that were left out: of what comes, or of what is wanted."""
    found: dict[str, int] = {}
    for name in layer.open_sizes():
        if name == "out_features":
            if outputs is not None:
                found[name] = outputs
        elif len(shape) > 1:
            found[name] = int(shape[1 if layer.name in CHANNELS_FIRST else -1])
    return found


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
