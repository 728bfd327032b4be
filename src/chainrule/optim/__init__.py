"""Optimisers, learning-rate schedules, gradient clipping.

One file an optimiser (``sgd.py``, ``adam.py``, ``lbfgs.py`` …): its arguments with
their checks, its moments, its scalars and its rule. What they have in common:

- ``arguments.py``: fields with checks, for optimisers and schedules
- ``rule.py``: the update rule as an operation of the graph, and as a formula
- ``rule_optimizer.py``: parameters, moments, the step by a rule
- ``row_updates.py``: the step where a gradient is of a table's rows alone
- ``optimizer.py``: the base class of those that are written with a step of their own
- ``hyper_parameters.py``, ``groups.py``, ``parameters.py``: options, groups of
  parameters, and what ``params=`` may be
- ``state.py``: saving and loading
- ``schedule.py``, ``schedules.py``, ``better.py``: learning rates
- ``lr_scheduler.py``: schedulers that one steps, as in PyTorch
- ``clipping.py``: limits of gradients
"""

from typing import TYPE_CHECKING, Any

from chainrule.errors import unknown_name
from chainrule.optim.adadelta import Adadelta
from chainrule.optim.adagrad import Adagrad
from chainrule.optim.adam import Adam, AdamW
from chainrule.optim.adamax import Adamax
from chainrule.optim.clipping import clip_grad_norm_, clip_grad_value_
from chainrule.optim.groups import ParamGroup
from chainrule.optim.lbfgs import LBFGS
from chainrule.optim.nadam import NAdam
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.radam import RAdam
from chainrule.optim.rmsprop import RMSprop
from chainrule.optim.rule_optimizer import RuleOptimizer
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import (
    SCHEDULES,
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    PiecewiseConstantLR,
    ReduceLROnPlateau,
    StepLR,
    build_schedule,
)
from chainrule.optim.sgd import SGD
from chainrule.optim.sparse_adam import SparseAdam
from chainrule.util.pytorch_hints import OPTIM

from chainrule.optim import lr_scheduler  # isort: skip - which reads the schedules

#: Every optimiser that can be part of a compiled step by its name, for checkpoints and
#: runs from a file.
OPTIMIZERS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, NAdam, RAdam),
        SparseAdam,
    )
}

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearWarmup",
    "MultiStepLR",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "ParamGroup",
    "PiecewiseConstantLR",
    "RAdam",
    "RMSprop",
    "ReduceLROnPlateau",
    "RuleOptimizer",
    "Schedule",
    "SparseAdam",
    "StepLR",
    "build_schedule",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name of the module; suggest another."""
        raise unknown_name(__name__, name, __all__, OPTIM)
