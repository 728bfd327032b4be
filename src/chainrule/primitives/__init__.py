"""The vocabulary of the graph: primitives and regions, each declared once.

One file a family. Importing this package fills the registry.
"""

from chainrule.primitives import (
    activations,
    control,
    conv,
    elementwise,
    indexing,
    losses,
    matmul,
    movement,
    normalization,
    random,
    reduce,
    updates,
)

__all__ = [
    "activations",
    "control",
    "conv",
    "elementwise",
    "indexing",
    "losses",
    "matmul",
    "movement",
    "normalization",
    "random",
    "reduce",
    "updates",
]
