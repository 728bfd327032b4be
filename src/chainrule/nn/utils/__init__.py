"""``nn.utils``: gradients, vectors of parameters, reparametrised weights, sequences.

| file | what it holds |
|---|---|
| `rnn` | sequences of several lengths, padded and packed |
| `weights` | weight and spectral normalisation |
| `vectors` | all parameters as one vector |

Limits of gradients are those of :mod:`chainrule.optim`.
"""

from chainrule.nn.utils import rnn
from chainrule.nn.utils.vectors import parameters_to_vector, vector_to_parameters
from chainrule.nn.utils.weights import (
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)
from chainrule.optim.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]
