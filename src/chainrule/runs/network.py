"""The network of a run: the layers of its file, with the sizes that the data tell.

A size that is left out is read off what comes before: each layer is tried on two
samples of zeros, and what it gives is what the next one takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.graph.build import no_grad
from chainrule.primitives.rules import show
from chainrule.runs.problems import Problem, at
from chainrule.runs.schema import Layer, Run, with_weights
from chainrule.tensor import Tensor

#: Samples of a trial.
TRIED = 2
#: Layers whose features are the axis behind the samples; of others it is the last one.
CHANNELS_FIRST = (
    *("BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d"),
    *("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"),
)
#: The last layers of ``[data] target_transform``.
TRANSFORMS = {"log": nn.LogTarget, "quantile": nn.QuantileTarget}


def build(settings: Run, train: Dataset, outputs: tuple[int, ...]) -> nn.Sequential:
    """The network with its initial weights.

    Args:
        settings: of the run.
        train: the data that it learns from; they tell the sizes.
        outputs: the shape of what the loss takes of one sample.

    Raises:
        Problem: layers that do not fit the data or each other, and networks that would
            not fit into memory.
    """
    layers: list[Layer] = settings.model.layers
    standardize = settings.model.standardize
    if standardize is None:
        standardize = _is_table(train) and layers[0].name != "Embedding"
    made: list[nn.Module] = [_standardize(train)] if standardize else []
    sample = Tensor(np.zeros((TRIED, *train.x.shape[1:]), np.float32))
    sized = [i for i, layer in enumerate(layers) if "out_features" in layer.known()]
    total = 0
    for i, layer in enumerate(layers):
        wanted = outputs[-1] if sized and i == sized[-1] and outputs else None
        with at("model", "layers", i):
            sizes = _sizes(layer, sample.shape, wanted)
            total = with_weights(total, layer, {**layer.sizes(), **sizes})
            made.append(layer.build(**sizes))
            sample = _tried(made[-1], sample)
    _check_outputs(sample.shape[1:], outputs, len(layers) - 1)
    if not any(True for layer in made for _ in layer.parameters()):
        raise Problem(
            ("model", "layers"),
            "the network has no weights to learn.",
            expected='a layer with weights, such as "Linear"',
            got=", ".join(str(layer.name) for layer in layers),
            fix='add { class = "Linear", out_features = 16 }',
        )
    transform = getattr(settings.data, "target_transform", "none")
    last = _last(train, transform, str(layers[-1].name), standardize)
    return nn.Sequential(*made, *([] if last is None else [last]))


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


def _tried(layer: nn.Module, sample: Tensor) -> Tensor:
    """What the layer makes of the sample."""
    if layer.takes_indices():
        sample = sample.astype("int32")
    with no_grad(), np.errstate(all="ignore"):
        made = layer.eval()(sample)
        layer.train()
    return made


def _check_outputs(made: tuple[Any, ...], wanted: tuple[int, ...], last: int) -> None:
    """Refuse a network that gives something else than the data need."""
    if made == wanted:
        return
    fix = "leave out_features of the last layer away: it follows from the data"
    if len(made) > len(wanted):
        fix = 'begin with "Flatten", which makes a row of each sample'
    raise Problem(
        ("model", "layers", last),
        "the network's output does not fit the data.",
        expected=f"{show(wanted)} for each sample",
        got=show(made),
        fix=fix,
    )


# -- scales of the data ----------------------------------------------------------------


def _is_table(train: Dataset) -> bool:
    """Whether the data are rows of numbers out of a file."""
    kind = (train.format or {}).get("kind")
    return kind in ("csv", "npz") and len(train.x.shape) == 2


def _standardize(train: Dataset) -> nn.Module:
    if len(train.x.shape) != 2:
        raise Problem(
            ("model", "standardize"),
            "it is for tables, one number a feature.",
            expected="features of shape (n, columns)",
            got=f"shape {show(train.x.shape)}; grey values come as 0 … 1 already",
            fix="leave it away",
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


def _last(
    train: Dataset, transform: str, before: str, standardize: bool
) -> nn.Module | None:
    """The layer that gives a regression's targets their unit back, where it needs one.

    Args:
        train: the data that it is measured on.
        transform: of the targets.
        before: the class of the network's last layer. An activation says itself in
            which range the output lies.
        standardize: whether numbers are standardised.
    """
    quantity = train.classes is None and before == "Linear"
    if transform == "none":
        with at("model", "standardize"):
            return nn.Unstandardize.of(train.y) if standardize and quantity else None
    if not quantity:
        got = f"layers that end in {before}"
        raise Problem(
            ("data", "target_transform"),
            "it is for a quantity that a network's last Linear gives.",
            expected='a target of numbers, and layers that end in "Linear"',
            got=got if train.classes is None else f"{train.classes} classes",
            fix="leave it away",
        )
    with at("data", "target_transform"):
        return TRANSFORMS[transform].of(train.y)
