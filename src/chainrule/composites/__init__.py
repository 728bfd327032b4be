"""Composites: named operations made of primitives, with a formula and a source.

A composite's derivative is that of its body, unless the composite declares another one.
Importing this package fills the registry.
"""

from chainrule.composites import (
    activations,
    control,
    elementary,
    losses,
    normalization,
)

__all__ = [
    "activations",
    "control",
    "elementary",
    "losses",
    "normalization",
]
