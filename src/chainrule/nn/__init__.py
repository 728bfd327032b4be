"""Neural networks: layers, containers, losses and initialisation."""

from typing import TYPE_CHECKING, Any

from chainrule.errors import MissingAttributeError
from chainrule.nn import functional, init
from chainrule.nn.activations import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Heaviside,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from chainrule.nn.arguments import hint
from chainrule.nn.attention import CausalSelfAttention, MultiheadAttention
from chainrule.nn.augmentation import (
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
)
from chainrule.nn.cache import KVCache
from chainrule.nn.containers import (
    ModuleDict,
    ModuleList,
    Sequential,
)
from chainrule.nn.convolution import (
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
)
from chainrule.nn.layers import (
    Dropout,
    Dropout1d,
    Dropout2d,
    Embedding,
    Flatten,
    Identity,
    Linear,
    PixelShuffle,
    Steps,
    Transpose,
    Unflatten,
    Upsample,
)
from chainrule.nn.losses.alignment import CTCLoss
from chainrule.nn.losses.base import Loss
from chainrule.nn.losses.binary import (
    BCELoss,
    BCEWithLogitsLoss,
    MultiLabelSoftMarginLoss,
)
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
from chainrule.nn.losses.divergence import GaussianKLDivLoss, KLDivLoss
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
from chainrule.nn.module import (
    Module,
    Parameter,
)
from chainrule.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from chainrule.nn.perceptron import (
    Perceptron,
)
from chainrule.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)
from chainrule.nn.positions import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
)
from chainrule.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from chainrule.nn.scaling import (
    Standardize,
)
from chainrule.nn.stateless import (
    functional_call,
)
from chainrule.nn.targets import (
    LogTarget,
    QuantileTarget,
    TransformedTargetLoss,
    Unstandardize,
)
from chainrule.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from chainrule.text import _

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "CTCLoss",
    "CausalSelfAttention",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianKLDivLoss",
    "GaussianNLLLoss",
    "GroupNorm",
    "HalfMSELoss",
    "HalfSquaredErrorLoss",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Heaviside",
    "HingeEmbeddingLoss",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "KLDivLoss",
    "KVCache",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositions",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "LogTarget",
    "Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "Perceptron",
    "PerceptronLoss",
    "PixelShuffle",
    "PoissonNLLLoss",
    "QuantileTarget",
    "RMSNorm",
    "RNNCell",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "ReLU",
    "ReLU6",
    "RotaryPositions",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositions",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Standardize",
    "Steps",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TransformedTargetLoss",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Transpose",
    "TripletMarginLoss",
    "Unflatten",
    "Unstandardize",
    "Upsample",
    "functional",
    "functional_call",
    "init",
]

if not TYPE_CHECKING:  # type checkers know the names

    def __getattr__(name: str) -> Any:
        """Raise an error for an unknown name, and suggest the intended one."""
        text = _("module 'chainrule.nn' has no attribute {name!r}", name=name)
        raise MissingAttributeError(text, hint(name, "nn", __all__), name=name)
