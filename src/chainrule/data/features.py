"""Features without targets, for prediction."""

from typing import NamedTuple

import numpy as np

from chainrule.data.column import Column
from chainrule.data.dataset import Dataset


class Features(NamedTuple):
    """Features without targets, for prediction.

    Attributes:
        x: the features, a `Column`.
        names: the name of each row: its line in a table, its file among images.
    """

    x: Column
    names: tuple[str, ...]

    @classmethod
    def of(cls, x: np.ndarray, scale: float | None) -> "Features":
        """Make features from an array, with row numbers as names, and check them."""
        n = len(x) if x.ndim else 1
        data = Dataset(x, np.zeros(n, np.int32), scale=scale)
        return cls(data.x, tuple(f"row {i}" for i in range(n)))
