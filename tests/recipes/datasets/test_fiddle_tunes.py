"""fiddle_tunes: notes by hand, pieces, classes, the collections."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.datasets import fiddle_tunes

from ..runs import needing

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


def test_the_notes_of_a_tune() -> None:
    """Heights count steps from C; broken rhythm, triplets, halves, octaves, rests."""
    f = Fraction
    assert fiddle_tunes.notes(TUNE) == [
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
    tune = fiddle_tunes.notes(TUNE)
    rows, owners = fiddle_tunes.pieces([tune])
    assert (rows.shape, owners.tolist()) == ((1, fiddle_tunes.LENGTH, 4), [0])
    usual = Counter(d for _, d, _ in tune).most_common(1)[0][0]
    assert rows[0, : len(tune), 3].tolist() == [1] * len(tune)
    assert rows[0, len(tune) :].sum() == 0
    heights = [0 if h is None else h - 6 + 15 for h, _, _ in tune]
    assert rows[0, : len(tune), 0].tolist() == heights
    assert rows[0, : len(tune), 2].tolist() == [int(first) for _, _, first in tune]
    for (_, duration, _), number in zip(tune, rows[0, :, 1]):
        kind = str(duration / usual)
        known = fiddle_tunes.DURATIONS[number - 1] if number <= 12 else "other"
        assert known == (kind if kind in fiddle_tunes.DURATIONS else "other")


@pytest.mark.parametrize(("bars", "pieces"), [(6, 1), (16, 2), (25, 3), (40, 5)])
def test_pieces_of_a_tune(bars: int, pieces: int) -> None:
    """All notes once, pieces of whole bars of about one length."""
    tune = fiddle_tunes.notes("X:1\nK:C\n" + "CDEF GABc|" * bars)
    parts = fiddle_tunes.cut(tune)
    assert len(parts) == pieces
    assert [note for part in parts for note in tune[part]] == tune
    lengths = [len(tune[part]) for part in parts]
    assert all(length % 8 == 0 for length in lengths)
    assert max(lengths) - min(lengths) <= 8
    assert max(lengths) <= fiddle_tunes.LENGTH


def test_neither_key_nor_unit_of_length_matters() -> None:
    """A tune a third higher in notes twice as long is the same to the network."""
    low = "X:1\nK:C\n" + "CDE F2G|A>B c2 C|" * 3
    high = "X:1\nK:E\n" + "E2F2G2 A4B2|c2>d2 e4 E2|" * 3
    rows, _ = fiddle_tunes.pieces([fiddle_tunes.notes(low), fiddle_tunes.notes(high)])
    assert (rows[0] == rows[1]).all()


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
    assert fiddle_tunes.dance(f"X:1\n{head}\nK:C\nCDE|\n") == label


@needing("music21")
def test_the_data() -> None:
    folder = Experiment("music").folder("music21", "") / "corpus"
    tunes, labels = fiddle_tunes.read(folder)
    steps = [tuple(step for step, _, _ in tune) for tune in tunes]
    assert len(set(steps)) == len(tunes) == len(labels)
    counts = dict(zip(fiddle_tunes.DANCES, np.bincount(labels).tolist()))
    assert counts == {"reel": 670, "jig": 450, "hornpipe": 428}
