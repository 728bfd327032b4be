"""Regions: named operations made of primitives, with a formula and a source.

A region's derivative is that of its body, unless the region declares another one.
Importing this package fills the registry.
"""

from chainrule.regions import (
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
