"""Symbolic derivation of back-propagation for any feed-forward network.

``network`` reads descriptions such as ``2-3tanh-1sigmoid``; ``activations`` and
``objectives`` are tables of functions and losses; ``formulas`` has every equation,
``elements`` those of single numbers; ``steps`` puts them in order, with the reasons.
"""

from __future__ import annotations

from chainrule.book.derivation.derivation import Derivation, derive
from chainrule.book.derivation.network import Network
from chainrule.book.derivation.steps import Step

__all__ = ["Derivation", "Network", "Step", "derive"]
