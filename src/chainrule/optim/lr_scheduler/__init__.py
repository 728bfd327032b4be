"""Learning-rate schedulers that one steps, as in PyTorch.

    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=30)
    for epoch in range(epochs):
        for x, y in batches:
            …
            optimizer.step()
        scheduler.step()

Each sets ``group["lr"]`` of its optimiser's groups, also of one whose steps are
compiled. The formulas are those of :mod:`chainrule.optim.schedules`, where they are
there too: such a schedule is a part of the optimiser, and needs no steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.optim.lr_scheduler.base import LRScheduler
from chainrule.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from chainrule.optim.lr_scheduler.cyclic import (
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
)
from chainrule.optim.lr_scheduler.formula import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from chainrule.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

#: PyTorch's old name of the base class.
_LRScheduler = LRScheduler

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__)
