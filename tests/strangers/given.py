"""Numbers of the programs: the same for every library, in its default dtype."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_state: dict[str, Any] = {}


def begin(dtype: str) -> None:
    """Begin the numbers of a program anew, as floats of a dtype."""
    _state.update(rng=np.random.default_rng(7), dtype=dtype)


def numbers(*shape: int) -> np.ndarray:
    """Normal numbers."""
    return np.asarray(_state["rng"].normal(size=shape), _state["dtype"])


def labels(classes: int, count: int) -> np.ndarray:
    """Whole numbers below a number of classes."""
    return _state["rng"].integers(0, classes, count)


def fill(model: Any) -> Any:
    """Give the parameters of a module normal numbers, in their order; return it."""
    package: Any = sys.modules[type(next(model.parameters())).__module__.split(".")[0]]
    with package.no_grad():
        for p in model.parameters():
            p.copy_(package.from_numpy(0.3 * numbers(*p.shape)).to(p.dtype))
    return model
