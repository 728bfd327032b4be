"""Optimisers and learning-rate schedules."""

from chainrule.optim.optimizer import SGD, Adam, AdamW, Optimizer
from chainrule.optim.schedules import OneCycleLR, Schedule

__all__ = ["SGD", "Adam", "AdamW", "OneCycleLR", "Optimizer", "Schedule"]
