"""Rows without targets: what there is to predict."""

from typing import NamedTuple

import numpy as np

from chainrule.data.column import Column
from chainrule.data.dataset import Dataset


class Features(NamedTuple):
    """Rows to predict: features without targets.

    Attributes:
        x: the features, a `Column`.
        names: what to call each row: its line in a table, its file among images.
    """

    x: Column
    names: tuple[str, ...]

    @classmethod
    def of(cls, x: np.ndarray, scale: float | None) -> "Features":
        """Rows with numbers for names, checked as those of a data set are."""
        n = len(x) if x.ndim else 1
        data = Dataset(x, np.zeros(n, np.int32), scale=scale)
        return cls(data.x, tuple(f"row {i}" for i in range(n)))
