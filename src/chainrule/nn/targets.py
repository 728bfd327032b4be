"""Target transforms for regression: losses compare transformed targets and outputs.

The network ends in a layer that turns what it has learnt, z, into the target's own
unit; the loss compares T(ŷ) with T(y). So predictions, metrics and errors stay in the
unit of the data, and the transform is part of the model and of its checkpoints.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.functions import maximum, minimum
from chainrule.graph.node import Array
from chainrule.graph.types import Shape
from chainrule.nn.arguments import Count, ReductionName, flag, positive_integers
from chainrule.nn.losses.base import ElementwiseLoss, Loss
from chainrule.nn.losses.checks import check_positive
from chainrule.nn.scaling import Measured, Scaling, moments
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.validation import instance

__all__ = ["LogTarget", "QuantileTarget", "TransformedTargetLoss", "Unstandardize"]

#: Up to how far beyond its neighbour a knot of a column of equal numbers lies.
_STEP = 1.0


class TransformedTarget(Measured):
    """Base class of last layers for regression that undo a transform T of the targets.

    A class of them defines :meth:`inverse` and :meth:`transform`, and :meth:`measure`.
    """

    column: ClassVar[str] = "y"

    def transform(self, y: Any) -> Tensor:
        """Transform regression targets, T(y), for the loss: mean 0, deviation 1."""
        return self._transform(self._check(y)).astype(self.dtype)

    def forward(self, z: Tensor) -> Tensor:
        """Compute the network's output T⁻¹(z), in the unit of the targets."""
        return self._inverse(self._check(z)).astype(self.dtype)

    def right_target(self, y: Any) -> Any:
        """Return the targets ``y`` after a check that their transform is defined."""
        return y

    def _transform(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def _inverse(self, z: Tensor) -> Tensor:
        raise NotImplementedError


class Unstandardize(TransformedTarget, Scaling):
    """z ↦ z · std + mean: the last layer of a regression whose targets have any scale.

    The network in front of it predicts standardised targets; metrics see them in their
    own unit, and so do losses, but for :class:`TransformedTargetLoss`, which lets each
    of several targets count alike.

    >>> import chainrule as cr
    >>> cr.nn.Unstandardize.of([100.0, 300.0])(cr.tensor([[0.5]]))
    tensor([[250.]])
    """

    def _transform(self, y: Tensor) -> Tensor:
        return (y - self.mean) / self.std

    def _inverse(self, z: Tensor) -> Tensor:
        return z * self.std + self.mean


class LogTarget(TransformedTarget):
    """z ↦ exp(z · std + mean): the last layer for targets that range over decades.

    The logarithms of the training targets have this mean and deviation; errors count
    by their ratio. Where some targets are 0 or negative it is

        T(y) = (sign(y) ln(1 + |y|) − mean)/std,

    which is log1p for y ≥ 0, and is defined for every number. Train with
    :class:`TransformedTargetLoss`.

    Args:
        num_features: the size of the last axis; :meth:`of` reads it off data.
        positive: whether T is the logarithm itself, for targets > 0 alone; :meth:`of`
            sees it.
        dtype: of the result.

    Source: scikit-learn, ``TransformedTargetRegressor(func=np.log1p, …)``; for negative
    numbers Hafner et al. 2023 (symlog).

    >>> import chainrule as cr
    >>> layer = cr.nn.LogTarget.of([1.0, 10.0, 100.0])
    >>> round(layer(cr.tensor([[0.0]])).item(), 4), layer.transform([[10.0]])
    (10.0, tensor([[0.]]))
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_features: Count | None = None,
        *,
        positive: bool = True,
        dtype: Any = None,
    ) -> None:
        self._set(num_features, dtype)
        self.positive = flag("LogTarget", _("positive"), positive)
        self.register_buffer("mean", np.zeros(self.num_features, self.dtype.numpy))
        self.register_buffer("std", np.ones(self.num_features, self.dtype.numpy))

    @classmethod
    def _options(cls, columns: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"positive": bool((columns > 0).all()), **options}

    def measure(self, columns: Array) -> None:
        """Set the mean and deviation of the targets' logarithms, from data."""
        logs = np.sign(columns) * np.log1p(np.abs(columns))
        if self.positive:
            logs = np.log(self.right_target(columns))
        mean, std = moments(logs)
        self.mean.copy_(mean)
        self.std.copy_(std)

    def right_target(self, y: Any) -> Any:
        """Return the targets ``y`` after a check that they are positive, if so set."""
        fix = _("nn.LogTarget.of(y, positive=False) takes every number")
        return (
            check_positive("LogTarget", _("the target"), y, fix) if self.positive else y
        )

    def _transform(self, y: Tensor) -> Tensor:
        if self.positive:
            return (y.log() - self.mean) / self.std
        # At 0 one of the two has the slope 1, the other 0.
        above, below = maximum(0.0, y), minimum(y, 0.0)
        return (above.log1p() - (-below).log1p() - self.mean) / self.std

    def _inverse(self, z: Tensor) -> Tensor:
        v = z * self.std + self.mean
        if self.positive:
            return v.exp()
        return maximum(0.0, v).expm1() - (-minimum(v, 0.0)).expm1()


class QuantileTarget(TransformedTarget):
    """z ↦ the quantile of the targets at Φ(z): the last layer for any distribution.

    T makes the training targets normal: piecewise linear between some of their
    quantiles and those of the normal distribution, and linear beyond them. Errors count
    by how many targets lie between. Train with :class:`TransformedTargetLoss`.

    Args:
        num_features: the size of the last axis; :meth:`of` reads it off data.
        n_quantiles: knots, at least 2; at most as many as there are different targets.
        dtype: of the result.

    Source: scikit-learn, ``QuantileTransformer(output_distribution="normal")``, which
    maps everything beyond the ends to one number.

    >>> import chainrule as cr
    >>> layer = cr.nn.QuantileTarget.of([1.0, 2.0, 4.0, 1000.0])
    >>> [round(y) for y in layer(layer.transform([[4.0], [1000.0], [2000.0]])).flatten()
    ...  .tolist()]
    [4, 1000, 2000]
    """

    values: Tensor
    scores: Tensor

    def __init__(
        self,
        num_features: Count | None = None,
        n_quantiles: Count = 100,
        *,
        dtype: Any = None,
    ) -> None:
        self._set(num_features, dtype)
        (self.n_quantiles,) = positive_integers(
            "QuantileTarget", n_quantiles=n_quantiles
        )
        if self.n_quantiles < 2:
            raise ArgumentError(
                _("QuantileTarget interpolates between knots."),
                expected="n_quantiles ≥ 2",
                got=f"n_quantiles={n_quantiles}",
            )
        line = np.linspace(-1, 1, self.n_quantiles)
        knots = np.tile(line, (self.num_features, 1)).astype(self.dtype.numpy)
        self.register_buffer("values", knots)
        self.register_buffer("scores", knots)

    @classmethod
    def _options(cls, columns: Array, options: dict[str, Any]) -> dict[str, Any]:
        most = max(len(np.unique(column)) for column in columns.T)
        wanted = options.get("n_quantiles", 100)
        right = isinstance(wanted, int) and wanted >= 2
        return options | ({"n_quantiles": max(2, min(wanted, most))} if right else {})

    def measure(self, columns: Array) -> None:
        """Set the quantiles of each target column, from data."""
        knots = [_knots(c, self.n_quantiles, self.dtype.numpy) for c in columns.T]
        values, scores = (np.stack(part) for part in zip(*knots))
        if (np.diff(values.astype(self.dtype.numpy)) <= 0).any():
            raise ArgumentError(
                _("QuantileTarget cannot tell neighbouring targets apart."),
                expected=_("targets that differ by more than rounding"),
                got=_("differences down to {min:.3g}", min=np.diff(values).min()),
                fix=_("nn.QuantileTarget.of(y, dtype='float64'), or fewer n_quantiles"),
            )
        self.values.copy_(values)
        self.scores.copy_(scores)

    def _transform(self, y: Tensor) -> Tensor:
        return _interpolated(y, self.values, self.scores)

    def _inverse(self, z: Tensor) -> Tensor:
        return _interpolated(z, self.scores, self.values)


def _knots(column: Array, count: int, kind: Any) -> tuple[Array, Array]:
    """Return a target column's distinct quantiles and their normal scores."""
    from statistics import NormalDist

    shares = (np.arange(count) + 0.5) / count
    normal = np.array([NormalDist().inv_cdf(share) for share in shares])
    quantiles = np.quantile(column, shares).astype(kind)
    values, place = np.unique(quantiles, return_inverse=True)
    scores = np.bincount(place, normal) / np.bincount(place)  # of equal ones the mean
    if len(values) == 1:  # a line through the one number that there is
        step = max(_STEP, abs(float(values[0])))
        return values[0] + step * (normal - scores[0]), normal
    at = np.linspace(0, len(values) - 1, count)
    indices = np.arange(len(values))
    return np.interp(at, indices, values), np.interp(at, indices, scores)


def _interpolated(x: Tensor, knots: Tensor, heights: Tensor) -> Tensor:
    """Interpolate linearly through the knots of target quantiles, column by column.

    It is a sum of ramps, each of which rises between two knots and is flat elsewhere,
    and goes on as a line beyond the first and the last knot.

    Args:
        x: (…, C).
        knots: (C, K), increasing.
        heights: (C, K).
    """
    x = x.unsqueeze(-1)
    left, right = knots[:, :-1], knots[:, 1:]
    slopes = (heights[:, 1:] - heights[:, :-1]) / (right - left)
    # Of a knot the derivative is that of the segment on its left.
    ramps = minimum(maximum(x, left), right) - left
    before = minimum(x - left[:, :1], 0.0) * slopes[:, :1]
    behind = maximum(x - right[:, -1:], 0.0) * slopes[:, -1:]
    beyond = (before + behind).squeeze(-1)
    return heights[:, 0] + (ramps * slopes).sum(-1) + beyond


class TransformedTargetLoss(ElementwiseLoss):
    """A loss of T(ŷ) and T(y): ℒ = loss(T(ŷ), T(y)), where T is that of the last layer.

    Args:
        loss: a loss for quantities, such as ``nn.MSELoss()``.
        target: the network's last layer, an :class:`Unstandardize`, a
            :class:`LogTarget` or a :class:`QuantileTarget`.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, of the whole.

    Raises:
        ArgumentError: another loss or layer; a target that has no T(y).

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> last = nn.LogTarget.of([1.0, 10.0, 100.0])
    >>> loss = nn.TransformedTargetLoss(nn.MSELoss(), last)
    >>> for y in (10.0, 1000.0):  # twice as much costs the same everywhere
    ...     print(round(loss(cr.tensor([[2 * y]]), cr.tensor([[y]])).item(), 4))
    0.1359
    0.1359
    """

    quantities: ClassVar[bool] = True

    def __init__(
        self,
        loss: Loss,
        target: TransformedTarget,
        *,
        reduction: ReductionName = "mean",
    ) -> None:
        instance("loss", loss, ElementwiseLoss, "nn.MSELoss()")
        instance("target", target, TransformedTarget, "nn.LogTarget.of(train.y)")
        if not loss.quantities:
            raise ArgumentError(
                _("TransformedTargetLoss measures quantities."),
                expected=_("a loss for quantities, such as nn.MSELoss()"),
                got=repr(loss),
                fix=_("nn.TransformedTargetLoss(nn.MSELoss(), last_layer)"),
            )
        if loss.reduction != "mean":
            raise ArgumentError(
                _("TransformedTargetLoss reduces the losses itself."),
                expected=_("a loss with reduction='mean', as it is by default"),
                got=f"reduction={loss.reduction!r}",
                fix=f"nn.TransformedTargetLoss(…, reduction={loss.reduction!r})",
            )
        super().__init__(reduction=reduction)
        self.loss, self.target = loss, copy.deepcopy(target)  # a part of two modules

    def right_target(self, y: Any, prediction_shape: Shape) -> Any:
        """Return the targets ``y`` after a check that their transform is defined."""
        return self.target.right_target(y)

    def pointwise(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of the transformed prediction and target, T(ŷ) and T(y)."""
        pair = self.target.transform(prediction), self.target.transform(target)
        return self.loss.pointwise(*pair)
