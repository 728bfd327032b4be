"""Features of samples without targets, for prediction."""

from typing import NamedTuple

import numpy as np

from chainrule.data.column import Column
from chainrule.data.dataset import Dataset


class Features(NamedTuple):
    """Features of samples without targets, for prediction, and names of the rows.

    Attributes:
        x: the features, a `Column`.
        names: the name of each row: its line in a table, its file among images.
    """

    x: Column
    names: tuple[str, ...]

    @classmethod
    def of(cls, x: np.ndarray, scale: float | None) -> "Features":
        """Make features for prediction from an array, with checks and row names."""
        n = len(x) if x.ndim else 1
        data = Dataset(x, np.zeros(n, np.int32), scale=scale)
        return cls(data.x, tuple(f"row {i}" for i in range(n)))
