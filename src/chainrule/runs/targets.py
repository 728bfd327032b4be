"""``[data] target_transform``: the last layer of a regression, and its loss."""

from __future__ import annotations

from typing import Any

from chainrule import nn
from chainrule.data import Dataset
from chainrule.errors import ChainruleError
from chainrule.nn.losses.base import ElementwiseLoss
from chainrule.nn.targets import TransformedTarget
from chainrule.runs.problems import Problem, ProblemError
from chainrule.runs.values import show

_KEY = ("data", "target_transform")
_LAYERS = {"log": nn.LogTarget, "quantile": nn.QuantileTarget}


def last_layer(
    train: Dataset, kind: str, before: str, standardize: bool
) -> nn.Module | None:
    """The layer that gives targets their unit back; None where they have it.

    Args:
        train: the data that it is measured on.
        kind: ``"none"``, ``"log"`` or ``"quantile"``.
        before: the class of the network's last layer of its file.
        standardize: whether numbers are standardised.

    Raises:
        ProblemError: a transform of classes, or behind a layer that has a range.
    """
    # An activation at the end says itself in which range the output lies.
    plain = before == "Linear"
    if kind != "none" and (train.classes is not None or not plain):
        got = f"layers that end in {before}"
        raise ProblemError(
            Problem(
                _KEY,
                "it is for a quantity that a network's last Linear gives.",
                expected='a target of numbers, and layers that end in "Linear"',
                got=f"{train.classes} classes" if train.classes is not None else got,
                fix="leave it away",
            )
        )
    if train.classes is not None or not plain or (kind == "none" and not standardize):
        return None
    where = ("model", "standardize") if kind == "none" else _KEY
    if train.y.ndim != 2:
        raise ProblemError(
            Problem(
                where,
                "a regression's output is scaled back column by column.",
                expected="targets of shape (n, outputs)",
                got=show(train.y.shape),
                fix="leave it away",
            )
        )
    if kind == "none":
        return nn.Unstandardize.of(train.y)
    try:
        return _LAYERS[kind].of(train.y)
    except ChainruleError as error:
        raise ProblemError(Problem.of(error, *_KEY)) from error


def loss_for(loss: Any, last: nn.Module) -> Any:
    """The loss of a network that ends in this layer.

    Several targets count alike, each by its own spread: in one sum of errors, those of
    the largest numbers would be all that is learnt.

    Raises:
        ProblemError: a loss that measures no errors of quantities.
    """
    if not isinstance(last, TransformedTarget):
        return loss
    if isinstance(last, nn.Unstandardize):
        several = last.num_features > 1 and isinstance(loss, ElementwiseLoss)
        return nn.TransformedTargetLoss(loss, last) if several else loss
    try:
        return nn.TransformedTargetLoss(loss, last)
    except ChainruleError as error:
        raise ProblemError(
            Problem(
                _KEY,
                "this loss compares no transformed targets.",
                expected="MSELoss, L1Loss, HuberLoss or SmoothL1Loss in [loss]",
                got=type(loss).__name__,
                fix="leave [loss] away, or target_transform",
            )
        ) from error
