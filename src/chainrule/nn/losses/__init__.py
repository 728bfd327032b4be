"""Losses: how far the prediction ŷ is from the truth y (2.5).

Every loss takes ``(prediction, target)`` in this order and has a ``reduction``:
``"mean"``, ``"sum"`` or ``"none"``.
"""

from chainrule.nn.losses.base import ElementwiseLoss, Loss
from chainrule.nn.losses.binary import (
    BCELoss,
    BCEWithLogitsLoss,
    MultiLabelSoftMarginLoss,
)
from chainrule.nn.losses.checks import check_labels, targets_checked
from chainrule.nn.losses.classes import CrossEntropyLoss, NLLLoss
from chainrule.nn.losses.distances import (
    HalfMSELoss,
    HalfSquaredErrorLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    PoissonNLLLoss,
    SmoothL1Loss,
)
from chainrule.nn.losses.divergence import KLDivLoss
from chainrule.nn.losses.margins import (
    HingeEmbeddingLoss,
    HingeLoss,
    MultiMarginLoss,
    PerceptronLoss,
    SoftMarginLoss,
)
from chainrule.nn.losses.pairs import (
    CosineEmbeddingLoss,
    GaussianNLLLoss,
    MarginRankingLoss,
    TripletMarginLoss,
)

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "ElementwiseLoss",
    "GaussianNLLLoss",
    "HalfMSELoss",
    "HalfSquaredErrorLoss",
    "HingeEmbeddingLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PerceptronLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "check_labels",
    "targets_checked",
]
