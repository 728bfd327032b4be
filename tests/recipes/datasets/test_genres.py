"""genres: pickles that are refused, and the data."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.datasets import genres

from ..runs import needing


def test_a_pickle_that_calls_something_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "features"
    file.write_bytes(pickle.dumps([[1.0], [2.0]]) + pickle.dumps([0.0, 1.0]))
    x, y = genres.read(file)
    assert (x.tolist(), y.tolist()) == ([[1.0], [2.0]], [0, 1])
    for thing in (print, np.float64(1.0), Path("a")):
        file.write_bytes(pickle.dumps(thing))
        with pytest.raises(pickle.UnpicklingError, match="has no place in data"):
            genres.read(file)


@needing("pyAudioAnalysis")
def test_the_data() -> None:
    audio = Experiment("music").folder("pyAudioAnalysis", "")
    x, y = genres.read(audio / genres.FILE)
    assert x.shape == (581, 138)
    assert np.bincount(y).tolist() == [100, 99, 100, 94, 96, 92]
    assert len(np.unique(x, axis=0)) == 581
