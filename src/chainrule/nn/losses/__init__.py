"""Losses: the deviation of the prediction ŷ from the target y (2.5).

Every loss takes ``(prediction, target)`` in this order and has a ``reduction``:
``"mean"``, ``"sum"`` or ``"none"``.
"""

from chainrule.nn.losses.base import ElementwiseLoss, Loss, check_takes_weights
from chainrule.nn.losses.checks import check_labels, targets_checked

__all__ = [
    "ElementwiseLoss",
    "Loss",
    "check_labels",
    "check_takes_weights",
    "targets_checked",
]
