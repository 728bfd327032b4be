"""Layers, networks and losses."""

from chainrule.nn.layers import Dropout, Linear, ReLU, Sigmoid, Softmax, Tanh
from chainrule.nn.losses import CrossEntropyLoss, MSELoss
from chainrule.nn.module import Module, Parameter, Sequential

__all__ = [
    "CrossEntropyLoss",
    "Dropout",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
