"""Warnings, before a run, of data, networks and losses that do not suit each other.

The rules look at the ends of a network where they can be read off: a ``Sequential`` of
the framework's own layers. Of a module of the user's own nothing is said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule import nn
from chainrule.data import Column, Dataset
from chainrule.errors import warn
from chainrule.graph.node import Array
from chainrule.nn import Module, output_semantics
from chainrule.nn.targets import TransformedTarget
from chainrule.text import _

#: Layers that take away the scale of what they are given, or take no measurements.
_SCALING = (
    *(nn.Standardize, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm),
    nn.Embedding,
)
#: Layers that change no number.
_PASSING = (nn.Flatten, nn.Unflatten, nn.Dropout)
#: Last layers whose outputs lie between 0 and 1.
_UNIT = (nn.Softmax, nn.Sigmoid)
#: So many features a row may be an image.
_PIXELS = 64
#: A column is large from this mean or this standard deviation on.
_LARGE = 100.0
#: How many numbers are looked at.
_LOOKED_AT = 200_000


def warn_of(data: Dataset, model: Module, loss: Any) -> None:
    """Warn of common mistakes in data, model and loss before training.

    Warns:
        ChainruleWarning: grey values that nothing scales; features or targets of a
            regression with a column whose mean or standard deviation is beyond ±100,
            and no layer that standardises them; a Standardize that nobody measured;
            targets that the last layer cannot reach; a loss of transformed targets
            behind a layer that does not transform back; samples that a layer takes for
        the steps of a sequence.
    """
    layers = [x for x in output_semantics.layers(model) if not isinstance(x, _PASSING)]
    first, last = (layers[0], layers[-1]) if layers else (model, model)
    x, y = _Columns.of(data.x), _Columns.of(data.y)
    _steps_first(layers)
    _not_measured(first, x, nn.Standardize)
    _not_measured(last, y, nn.Unstandardize)
    if data.x.scale is None and _grey_values(data.x.stored, first):
        return
    regression = output_semantics.is_regression(loss)
    if regression and isinstance(last, _UNIT) and (y.low < 0 or y.high > 1):
        name = type(last).__name__
        warn(
            _(
                "Targets as far as {low:.4g} cannot be reached by outputs between "
                "0 and 1.",
                low=y.high if y.high > 1 else y.low,
            ),
            expected=_("targets from 0 to 1"),
            got=_(
                "targets from {low:.4g} to {high:.4g}, and a network that ends "
                "in {name}",
                low=y.low,
                high=y.high,
                name=name,
            ),
            fix=_(
                "remove the {name}: a regression ends in nn.Linear, or in "
                "nn.Unstandardize.of(train.y)",
                name=name,
            ),
        )
        regression = False
    if isinstance(loss, nn.TransformedTargetLoss) and _bare(last, TransformedTarget):
        name = type(loss.target).__name__
        warn(
            _(
                "The loss transforms what the network gives, as if it were in the "
                "unit of the targets."
            ),
            expected=_("a network that ends in nn.{name}.of(train.y)", name=name),
            got=_("one that ends in {kind}", kind=type(last).__name__),
            fix=_("give the network and the loss the same nn.{name}", name=name),
        )
        regression = False
    table = data.x.scale is None and data.x.stored.ndim == 2
    sizes: list[str] = []
    fixes: list[str] = []
    if table and _bare(first, _SCALING) and (size := x.large("feature")):
        sizes.append(str(size))
        fixes.append(_("nn.Standardize.of(train.x) as the first layer"))
    scales = nn.Unstandardize, TransformedTarget
    if regression and _bare(last, scales) and (size := y.large("target")):
        sizes.append(str(size))
        fixes.append(_("nn.Unstandardize.of(train.y) as the last layer"))
    if sizes:
        warn(
            _(
                "Numbers this large are hardly learnt as they are: training is slow, "
                "diverges, or ends in nonsense."
            ),
            expected=_(
                "columns whose mean and standard deviation are within ±{LARGE:g}",
                LARGE=_LARGE,
            ),
            got="; ".join(sizes),
            fix="; ".join(fixes),
        )


def _steps_first(layers: list[Module]) -> None:
    """Warn of an attention layer that would attend across a batch's samples."""
    for layer in layers:
        if isinstance(layer, nn.TransformerEncoderLayer | nn.TransformerEncoder):
            attentions = (
                m for m in layer.modules() if isinstance(m, nn.MultiheadAttention)
            )
            if all(attention.batch_first for attention in attentions):
                continue
            warn(
                _(
                    "Batches have their samples first, and this layer takes the "
                    "first axis for the steps of a sequence: samples would look at "
                    "one another."
                ),
                expected=_("batch_first=True in a network that a Trainer trains"),
                got=repr(layer).partition("\n")[0],
                fix="nn.TransformerEncoderLayer(…, batch_first=True)",
            )


def _bare(layer: Module, scaling: Any) -> bool:
    """Return whether a network's layer is built in and does not scale its input."""
    ours = type(layer).__module__.startswith("chainrule.")
    return ours and not isinstance(layer, scaling)


class _Columns(NamedTuple):
    """Each data column's mean and deviation, and the extremes of all, for warnings."""

    means: Array
    deviations: Array
    low: float
    high: float

    @classmethod
    def of(cls, rows: Column | Array) -> _Columns:
        """Compute the statistics of data columns, on rows sampled evenly."""
        width = max(1, int(np.prod(rows.shape[1:])))
        step = -(-len(rows) * width // _LOOKED_AT)
        table = np.asarray(rows[::step], np.float64).reshape(-1, width)
        return cls(table.mean(axis=0), table.std(axis=0), table.min(), table.max())

    def large(self, what: str) -> str:
        """Describe the first data column with unscaled, large numbers; or ""."""
        is_large = (abs(self.means) > _LARGE) | (self.deviations > _LARGE)
        if not is_large.any():
            return ""
        i = int(is_large.argmax())
        name = f"{what} {i}" if len(is_large) > 1 else f"the {what}"
        mean, deviation = self.means[i], self.deviations[i]
        return _(
            "{name} with mean {mean:.4g} and standard deviation {deviation:.4g}",
            name=name,
            mean=mean,
            deviation=deviation,
        )


def _not_measured(
    layer: Module, columns: _Columns, kind: type[nn.Standardize | nn.Unstandardize]
) -> None:
    """Warn of a scaling layer whose statistics were not measured from the data."""
    if not isinstance(layer, kind):
        return
    if layer.mean.numpy().any() or (layer.std.numpy() != 1).any():
        return
    if (abs(columns.means) < 0.1).all() and (abs(columns.deviations - 1) < 0.1).all():
        return
    name, right = kind.__name__, f"nn.{kind.__name__}.of(train.{layer.column})"
    warn(
        _("This {name} was never measured: it changes nothing.", name=name),
        expected=right,
        got=_(
            "nn.{name}({num_features}) with mean 0 and std 1",
            name=name,
            num_features=layer.num_features,
        ),
        fix=_("{right} reads the means and deviations off the data", right=right),
    )


def _grey_values(stored: Array, first: Module) -> bool:
    """Return whether data are images from 0 to 255 that the network does not scale."""
    pixels = int(np.prod(stored.shape[1:]))
    image = stored.ndim > 2 or pixels >= _PIXELS
    if not image or isinstance(first, _SCALING):
        return False
    some = stored[: max(1, 100_000 // max(1, pixels))]
    low, high = some.min(), some.max()
    if low < 0 or not 64 < high <= 255 or (some % 1 != 0).any():
        return False
    warn(
        _(
            "These look like images whose grey values nothing scales; training "
            "on numbers this large is slow or diverges."
        ),
        expected=_("features of about −1 to 1"),
        got=_(
            "{dtype} from {low} to {high}, and a first layer {kind}",
            dtype=stored.dtype,
            low=low,
            high=high,
            kind=type(first).__name__,
        ),
        fix=_(
            "cr.data.Dataset(x, y, scale=1/255) for training and test data, or "
            "begin the network with nn.Standardize.of(x)"
        ),
    )
    return True
