"""Composites: operations made of primitives, such as softmax, with a formula.

A composite's derivative is that of its body, unless the composite declares another one.
Importing this package fills the registry.
"""

from chainrule.composites import (
    activations,
    checkpoint,
    control,
    elementary,
    losses,
    normalization,
)

__all__ = [
    "activations",
    "checkpoint",
    "control",
    "elementary",
    "losses",
    "normalization",
]
