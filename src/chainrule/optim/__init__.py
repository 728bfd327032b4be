"""Optimisers, learning-rate schedules, gradient clipping."""

from chainrule.optim.adaptive import Adagrad, Adam, AdamW, RMSprop
from chainrule.optim.clipping import clip_grad_norm_, clip_grad_value_
from chainrule.optim.decays import (
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    StepLR,
)
from chainrule.optim.groups import ParamGroup
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.plateau import ReduceLROnPlateau
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import (
    SCHEDULES,
    LinearWarmup,
    OneCycleLR,
    build_schedule,
)
from chainrule.optim.sgd import SGD

#: Every optimiser by its name, for checkpoints and runs from a file.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__: kind for kind in (SGD, RMSprop, Adagrad, Adam, AdamW)
}

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "ParamGroup",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
    "build_schedule",
    "clip_grad_norm_",
    "clip_grad_value_",
]
