"""Construction of a run file's network, with layer sizes inferred from data.

A size that is left out is read off what comes before: each layer is tried on two
samples of zeros, and what it gives is what the next one takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.data.tables.texts import FIRST, PADDING, Texts
from chainrule.data.text import texts_of
from chainrule.graph.context import no_grad
from chainrule.nn.first_use import Use, first_use
from chainrule.primitives.rules import show
from chainrule.runs.layers import Layer, with_weights
from chainrule.runs.problems import Problem, at
from chainrule.runs.schema import Run
from chainrule.runs.values import to_toml
from chainrule.tensor import Tensor, tensor
from chainrule.text import _, ngettext

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
    """Build a run file's network with initial weights, its sizes inferred from data.

    Args:
        settings: of the run.
        train: the data that it learns from; they tell the sizes.
        outputs: the shape of what the loss takes of one sample.

    Raises:
        Problem: layers that do not fit the data or each other, and networks that would
            not fit into memory.
    """
    layers: list[Layer] = settings.model.layers
    standardize, texts = settings.model.standardize, texts_of(train)
    if standardize is None:
        standardize = texts is not None or _has_columns(train, layers[0])
    built: list[nn.Module] = []
    if texts is not None:
        _check_texts(layers[0], texts)
    elif standardize:
        built.append(_standardize(train))
    sample: Any = tensor(np.zeros((TRIED, *train.x.shape[1:]), np.float32))
    sized = [i for i, layer in enumerate(layers) if "out_features" in layer.known()]
    total = 0
    for i, layer in enumerate(layers):
        wanted = outputs[-1] if sized and i == sized[-1] and outputs else None
        with at("model", "layers", i):
            shape = () if isinstance(sample, tuple) else sample.shape
            sizes = _sizes(layer, shape, wanted, texts)
            total = with_weights(total, layer, {**layer.sizes(), **sizes})
            if texts is not None and layer.name == "Embedding":
                sizes = {"padding_idx": PADDING, **layer.options, **sizes}
            built.append(layer.build(**sizes))
            sample = _tried(built[-1], sample)
        after = layers[i + 1].name if i + 1 < len(layers) else None
        if isinstance(sample, tuple) and after != "Steps":  # its states end here
            built.append(nn.Steps("all"))
            sample = built[-1](sample)
    assert not isinstance(sample, tuple)  # of the last layer: Steps is behind it
    _check_outputs(sample.shape[1:], outputs, layers)
    if not any(True for layer in built for __ in layer.parameters()):
        raise Problem(
            ("model", "layers"),
            _("the network has no weights to learn."),
            expected=_('a layer with weights, such as "Linear"'),
            got=", ".join(str(layer.name) for layer in layers),
            fix=_('add { class = "Linear", out_features = 16 }'),
        )
    transform = getattr(settings.data, "target_transform", "none")
    last = _last(train, transform, str(layers[-1].name), standardize)
    return nn.Sequential(*built, *([] if last is None else [last]))


def places(model: nn.Sequential, layers: Sequence[Layer]) -> dict[str, int]:
    """Return which of a run file's layers each module of its network is, by name.

    Modules that the file does not name, which scale data or take sequences apart, are
    left out.
    """
    found: dict[str, int] = {}
    for name, module in model.named_children():
        at_next = len(found)
        if at_next < len(layers) and type(module).__name__ == layers[at_next].name:
            found[name] = at_next
    return found


def _sizes(
    layer: Layer, shape: tuple[Any, ...], outputs: int | None, texts: Texts | None
) -> dict[str, int]:
    """Return the sizes that a run file omits for a layer, inferred from shapes."""
    sizes: dict[str, int] = {}
    if layer.of_sequences and len(shape) != 3:
        raise Problem(
            (),
            _("{name} reads sequences.", name=layer.name),
            expected=_("steps and features: (T, features) for each sample"),
            got=show(shape[1:]),
            fix=_(
                '{ class = "Unflatten", dim = 1, unflattened_size = [-1, 1] } '
                "makes steps of the columns of a table"
            ),
        )
    for name in layer.open_sizes():
        if name == "num_embeddings":
            sizes[name] = _numbers(texts)
            continue
        if name == "out_features":
            if outputs is not None:
                sizes[name] = outputs
        elif len(shape) > 1:
            sizes[name] = int(shape[1 if layer.name in CHANNELS_FIRST else -1])
    return sizes


def _numbers(texts: Texts | None) -> int:
    """Return the size of an embedding layer for a text data set's vocabulary."""
    if texts is not None:
        return FIRST + len(texts.vocabulary)
    raise Problem(
        (),
        _("Embedding needs the key 'num_embeddings'."),
        expected=_("how many things there are; for texts it follows"),
        got=_("nothing"),
        fix=_("num_embeddings = the largest number in the data, and one more"),
    )


def _check_texts(first: Layer, texts: Texts) -> None:
    """Refuse a network for texts whose first layer is no embedding of all tokens."""
    rows = first.options.get("num_embeddings", _numbers(texts))
    if first.name == "Embedding" and rows >= _numbers(texts):
        return
    raise Problem(
        ("model", "layers", 0),
        _("texts are numbers of words, which the first layer has to look up."),
        expected=_(
            '"Embedding" in front, of at least {texts:,} rows', texts=_numbers(texts)
        ),
        got=to_toml({"class": first.name, **first.options}),
        fix=_(
            'begin with { class = "Embedding", embedding_dim = 32 }; its rows follow'
        ),
    )


def _tried(layer: nn.Module, sample: Any) -> Any:
    """Return a layer's output for a sample, to infer the next layer's sizes."""
    one = isinstance(sample, Tensor)  # of a GRU there are two
    if one and first_use(layer, sample.shape[1:]) is Use.INDICES:
        sample = sample.astype("int32")
    with no_grad(), np.errstate(all="ignore"):
        output = layer.eval()(sample)
        layer.train()
    return output


def _check_outputs(
    outputs: tuple[Any, ...], wanted: tuple[int, ...], layers: Sequence[Layer]
) -> None:
    """Refuse a run file's network whose output shape does not suit the data."""
    if outputs == wanted:
        return
    fix = _("leave out_features of the last layer away: it follows from the data")
    if len(outputs) > len(wanted):
        fix = _('begin with "Flatten", which makes a row of each sample')
        if any(layer.of_sequences or layer.name == "Embedding" for layer in layers):
            fix = _('put "Steps" before the last layer: the last step of each sequence')
    raise Problem(
        ("model", "layers", len(layers) - 1),
        _("the network's output does not fit the data."),
        expected=_("{wanted} for each sample", wanted=show(wanted)),
        got=show(outputs),
        fix=fix,
    )


# -- scales of the data ----------------------------------------------------------------


def _has_columns(train: Dataset, first: Layer) -> bool:
    """Return whether a run's data are columns of numbers, to be standardised."""
    kind = (train.format or {}).get("kind")
    axes = 3 if first.of_sequences else 2
    right = kind in ("csv", "npz") and len(train.x.shape) == axes
    return right and first.name != "Embedding"


def _standardize(train: Dataset) -> nn.Module:
    if len(train.x.shape) not in (2, 3):
        raise Problem(
            ("model", "standardize"),
            _("it is for tables and sequences, one number a feature."),
            expected=_("features of shape (n, columns) or (n, steps, columns)"),
            got=_(
                "shape {shape}; grey values come as 0 … 1 already",
                shape=show(train.x.shape),
            ),
            fix=_("leave it away"),
        )
    columns = train.x.shape[-1]
    layer, mean, std = nn.Standardize(columns), np.zeros(columns), np.ones(columns)
    for i in range(columns):  # one by one: float64 of all of them would be large
        column = train.x[..., i].astype(np.float64)
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
    """Return the layer that a run appends to restore its targets' unit, or None.

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
        got = _("layers that end in {before}", before=before)
        raise Problem(
            ("data", "target_transform"),
            _("it is for a quantity that a network's last Linear gives."),
            expected=_('a target of numbers, and layers that end in "Linear"'),
            got=got
            if train.classes is None
            else ngettext("{n} class", "{n} classes", n=train.classes),
            fix=_("leave it away"),
        )
    with at("data", "target_transform"):
        return TRANSFORMS[transform].of(train.y)
