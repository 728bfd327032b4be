"""music: padding, the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import music
from chainrule.recipes.datasets import fiddle_tunes
from tests.ways import ENGINES

from .datasets.test_fiddle_tunes import TUNE
from .runs import check, needing

RECIPE = "music"

needs_data = needing("pyAudioAnalysis", "music21", "sklearn")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_follows_the_end_says_nothing(engine: str) -> None:
    """Rows behind the last note may hold anything but for the mark that they are."""
    cr.manual_seed(0)
    scores = cr.compile(music.TuneNetwork().eval(), engine=engine, threads=1)
    rows, _ = fiddle_tunes.pieces([fiddle_tunes.notes(TUNE)])
    other = rows.copy()
    other[:, 30:, :3] = 1
    expected = scores(cr.tensor(rows)).numpy()
    np.testing.assert_allclose(scores(cr.tensor(other)).numpy(), expected, atol=1e-6)
    other[:, 5, 1] = 1 + other[:, 5, 1] % 12
    assert np.abs(scores(cr.tensor(other)).numpy() - expected).max() > 1e-4


@needs_data
def test_the_quick_run(whole: dict[str, Any]) -> None:
    genres, dances = whole["result"]["genres"], whole["result"]["dances"]
    rivals = [name for name in genres["splits"][0] if name != "network"]
    best = max(np.mean([row[name] for row in genres["splits"]]) for name in rivals)
    assert genres["best"] == pytest.approx(best)
    assert genres["ahead"] == pytest.approx(genres["accuracy"] - best)
    assert genres["accuracy"] > 0.6
    confusion = np.array(dances["confusion"])
    counts = [-(-count // 5) for count in dances["counts"].values()]
    assert confusion.sum(1).tolist() == counts
    assert dances["accuracy"] == pytest.approx(np.trace(confusion) / sum(counts))
    assert dances["accuracy"] > max(counts) / sum(counts) + 0.1
    assert "architecture" in whole["text"]
    check(whole, "dances")
