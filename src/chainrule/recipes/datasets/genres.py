"""Six genres of music by measured features: a data file of pyAudioAnalysis.

581 pieces of recordings, 138 features each, of six genres. The features are
standardised already, by all rows. Pieces of one recording may stand on both sides of a
split, and nothing in the data tells: figures flatter all classifiers alike.

Source: Giannakopoulos 2015, "pyAudioAnalysis: an open-source Python library for audio
signal analysis".
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

GENRES = ("blues", "classical", "electronic", "jazz", "rap", "rock")
#: Where the package's folder has the file.
FILE = "data/models/knn_musical_genre_6"


class PlainUnpickler(pickle.Unpickler):
    """An unpickler of numbers, texts and lists, which refuses to call anything."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function that a pickle file names, for safety.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"{module}.{name} has no place in data")


def read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read music features (581, 138), float32, and genres 0 … 5, int32.

    Args:
        file: two pickled lists, of features and of genres.

    Raises:
        UnpicklingError: the file would call something.
    """
    with file.open("rb") as stream:
        x, y = PlainUnpickler(stream).load(), PlainUnpickler(stream).load()
    return np.array(x, np.float32), np.array(y).astype(np.int32)
