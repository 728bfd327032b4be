"""Activation functions that change their input, such as ``F.relu_``."""

from __future__ import annotations

from chainrule.nn import activations, random_activations
from chainrule.nn.function import in_place

__all__ = [
    "celu_",
    "elu_",
    "hardtanh_",
    "leaky_relu_",
    "relu_",
    "rrelu_",
    "selu_",
    "threshold_",
]

celu_ = in_place(activations.celu)
elu_ = in_place(activations.elu)
hardtanh_ = in_place(activations.hardtanh)
leaky_relu_ = in_place(activations.leaky_relu)
relu_ = in_place(activations.relu)
rrelu_ = in_place(random_activations.rrelu)
selu_ = in_place(activations.selu)
threshold_ = in_place(activations.threshold)
