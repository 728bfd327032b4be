"""Layers, networks and losses."""

from typing import TYPE_CHECKING, Any

from chainrule.errors import nearest
from chainrule.nn import functional, init
from chainrule.nn.activations import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Step,
    Tanh,
)
from chainrule.nn.layers import Dropout, Embedding, Flatten, Linear
from chainrule.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HalfMSELoss,
    HalfSquaredErrorLoss,
    HingeLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    Loss,
    MSELoss,
    MultiMarginLoss,
    PerceptronLoss,
)
from chainrule.nn.module import Module, Parameter, Sequential
from chainrule.nn.normalization import (
    BatchNorm1d,
    LayerNorm,
    Standardize,
    Unstandardize,
)
from chainrule.nn.perceptron import Perceptron

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "HalfMSELoss",
    "HalfSquaredErrorLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "Module",
    "MultiMarginLoss",
    "Parameter",
    "Perceptron",
    "PerceptronLoss",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Step",
    "Tanh",
    "Unstandardize",
    "functional",
    "init",
]

#: What other libraries call it.
_ELSEWHERE = {
    "Dense": "Linear",
    "FullyConnected": "Linear",
    "ModuleList": "Sequential",
    "NLLLoss": "CrossEntropyLoss",
    "SmoothL1Loss": "HuberLoss",
    "Swish": "SiLU",
}

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Refuse a name that is not here, with the one that was probably meant."""
        text = f"module 'chainrule.nn' has no attribute {name!r}"
        near = _ELSEWHERE.get(name) or nearest(name, __all__)
        if name.startswith(("Conv", "MaxPool", "AvgPool")):
            text += (
                "; there are no convolutions: nn.Flatten() and nn.Linear take images"
            )
        elif near and not name.startswith("_"):
            text += f"; did you mean nn.{near}?"
        raise AttributeError(text, name=name)
