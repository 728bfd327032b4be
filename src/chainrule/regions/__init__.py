"""Regions: named operations made of primitives, with a formula and a source.

They stand above the chain rule: a region's derivative is its body's, unless it carries
one of its own. Importing this package fills the registry.
"""

from chainrule.regions import (
    activations,
    control,
    elementary,
    losses,
    normalization,
    updates,
)

__all__ = [
    "activations",
    "control",
    "elementary",
    "losses",
    "normalization",
    "updates",
]
