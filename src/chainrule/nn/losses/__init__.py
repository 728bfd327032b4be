"""Losses: how far the prediction ŷ is from the truth y (2.5).

Every loss takes ``(prediction, target)`` in this order and has a ``reduction``:
``"mean"``, ``"sum"`` or ``"none"``.
"""

from chainrule.nn.losses.base import ElementwiseLoss, Loss
from chainrule.nn.losses.binary import BCELoss, BCEWithLogitsLoss
from chainrule.nn.losses.checks import check_labels
from chainrule.nn.losses.classes import CrossEntropyLoss
from chainrule.nn.losses.distances import (
    HalfMSELoss,
    HalfSquaredErrorLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
)
from chainrule.nn.losses.divergence import KLDivLoss
from chainrule.nn.losses.margins import HingeLoss, MultiMarginLoss, PerceptronLoss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "ElementwiseLoss",
    "HalfMSELoss",
    "HalfSquaredErrorLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "MultiMarginLoss",
    "PerceptronLoss",
    "check_labels",
]
