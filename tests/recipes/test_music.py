"""music: pickles that are refused, notes by hand, the tunes, a kill, the figures."""

from __future__ import annotations

import pickle
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, music

from .runs import check, needing

RECIPE = "music"

needs_data = needing("pyAudioAnalysis", "music21", "sklearn")

TUNE = """\
X: 7
T: G is no note, and neither is the A of a title
M:6/8
L:1/8
R:jig
K:G
"^4"G3 {AB}c2>B|(3def g'/ A,//z3/2|
c:|d<e !fine!f [K:D]B% a comment: A B C
"""


def test_a_pickle_that_calls_something_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "features"
    file.write_bytes(pickle.dumps([[1.0], [2.0]]) + pickle.dumps([0.0, 1.0]))
    x, y = music.genres(file)
    assert (x.tolist(), y.tolist()) == ([[1.0], [2.0]], [0, 1])
    for thing in (print, np.float64(1.0), Path("a")):
        file.write_bytes(pickle.dumps(thing))
        with pytest.raises(pickle.UnpicklingError, match="has no place in data"):
            music.genres(file)


def test_the_notes_of_a_tune() -> None:
    """Heights count steps from C; broken rhythm, triplets, halves, octaves, rests."""
    f = Fraction
    assert music.notes(TUNE) == [
        (4, f(3), True),
        (7, f(3), False),  # c2> is 2 · 3/2, and the B that follows half of itself
        (6, f(1, 2), False),
        (8, f(2, 3), True),
        (9, f(2, 3), False),
        (10, f(2, 3), False),
        (18, f(1, 2), False),
        (-2, f(1, 4), False),
        (None, f(3, 2), False),
        (7, f(1), True),
        (8, f(1, 2), True),
        (9, f(3, 2), False),
        (10, f(1), False),
        (6, f(1), False),
    ]


def test_rows_of_a_tune() -> None:
    tune = music.notes(TUNE)
    rows, owners = music.rows_of([tune])
    assert (rows.shape, owners.tolist()) == ((1, music.LENGTH, 4), [0])
    usual = Counter(d for _, d, _ in tune).most_common(1)[0][0]
    assert rows[0, : len(tune), 3].tolist() == [1] * len(tune)
    assert rows[0, len(tune) :].sum() == 0
    heights = [0 if h is None else h - 6 + 15 for h, _, _ in tune]
    assert rows[0, : len(tune), 0].tolist() == heights
    assert rows[0, : len(tune), 2].tolist() == [int(first) for _, _, first in tune]
    for (_, duration, _), number in zip(tune, rows[0, :, 1]):
        kind = str(duration / usual)
        known = music.DURATIONS[number - 1] if number <= 12 else "other"
        assert known == (kind if kind in music.DURATIONS else "other")


@pytest.mark.parametrize(("bars", "pieces"), [(6, 1), (16, 2), (25, 3), (40, 5)])
def test_pieces_of_a_tune(bars: int, pieces: int) -> None:
    """All notes once, pieces of whole bars of about one length."""
    tune = music.notes("X:1\nK:C\n" + "CDEF GABc|" * bars)
    parts = music.cut(tune)
    assert len(parts) == pieces
    assert [note for part in parts for note in tune[part]] == tune
    lengths = [len(tune[part]) for part in parts]
    assert all(length % 8 == 0 for length in lengths)
    assert max(lengths) - min(lengths) <= 8
    assert max(lengths) <= music.LENGTH


def test_neither_key_nor_unit_of_length_matters() -> None:
    """A tune a third higher in notes twice as long is the same to the network."""
    low = "X:1\nK:C\n" + "CDE F2G|A>B c2 C|" * 3
    high = "X:1\nK:E\n" + "E2F2G2 A4B2|c2>d2 e4 E2|" * 3
    rows, _ = music.rows_of([music.notes(low), music.notes(high)])
    assert (rows[0] == rows[1]).all()


@needs_data
def test_the_data() -> None:
    audio = Experiment("music").folder("pyAudioAnalysis", "")
    x, y = music.genres(audio / "data/models/knn_musical_genre_6")
    assert x.shape == (581, 138)
    assert np.bincount(y).tolist() == [100, 99, 100, 94, 96, 92]
    assert len(np.unique(x, axis=0)) == 581
    tunes, labels = music.dances(Experiment("music").folder("music21", "") / "corpus")
    heights = [tuple(height for height, _, _ in tune) for tune in tunes]
    assert len(set(heights)) == len(tunes) == len(labels)
    counts = dict(zip(music.DANCES, np.bincount(labels).tolist()))
    assert counts == {"reel": 670, "jig": 450, "hornpipe": 428}


def test_parts_have_their_share_of_each_class() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 20])
    dealt = music.folds(y, [0, 1])
    for part in range(5):
        assert np.bincount(y[dealt == part]).tolist() == [10, 6, 4]
    assert (dealt == music.folds(y, [0, 1])).all()
    assert (dealt != music.folds(y, [0, 2])).any()


@pytest.mark.parametrize(
    ("head", "label"),
    [
        ("T:Acacia -- Reel\nM:2/4\nR:reel", 0),
        ("T: The Ladies of Carrick.\nM:6/8\nR: Double jig ", 1),
        ("T:Acacia\nR:hornpipe", 2),
        ("T:Moll Roe's -- Jig\nM:9/8\nR:jig", None),
        ("T:Nagle's last -- Jig\nM:2/4\nR:jig", None),
        ("T:Lotus Club -- Clog\nM:C|\nR:reel", None),
        ("T:Castles in the Air -- Jig\nM:2/4\nR:reel", None),
        ("T:A Slip\nM:9/8\nR:slip jig", None),
        ("T:A Reel\nM:2/4", None),
    ],
)
def test_what_a_tune_is(head: str, label: int | None) -> None:
    assert music.dance(f"X:1\n{head}\nK:C\nCDE|\n") == label


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_what_follows_the_end_says_nothing(engine: str) -> None:
    """Rows behind the last note may hold anything but for the mark that they are."""
    cr.manual_seed(0)
    scores = cr.compile(music.Tune().eval(), engine=engine, threads=1)
    rows, _ = music.rows_of([music.notes(TUNE)])
    other = rows.copy()
    other[:, 30:, :3] = 1
    told = scores(cr.tensor(rows)).numpy()
    np.testing.assert_allclose(scores(cr.tensor(other)).numpy(), told, atol=1e-6)
    other[:, 5, 1] = 1 + other[:, 5, 1] % 12
    assert np.abs(scores(cr.tensor(other)).numpy() - told).max() > 1e-4


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
    assert dances["accuracy"] > dances["most"] + 0.1
    assert "architecture" in whole["text"]
    check(whole, "genres", "dances")
