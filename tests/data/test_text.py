"""Texts as numbers of their words or characters: formulas, formats, and mistakes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import read, read_text, rows_of
from chainrule.data.tables.texts import Texts, words
from chainrule.data.text import shown
from chainrule.errors import ArgumentError, ChainruleError, DataError

SAID = (
    "said,mood\n"
    '"So good, SO good!",up\n'
    "so bad,down\n"
    "good,up\n"
    '"bad, bad, bad day",down\n'
    ",up\n"
)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    path = tmp_path / "said.csv"
    path.write_text(SAID, encoding="utf-8")
    return path


# -- numbers ---------------------------------------------------------------------------


def test_numbers_by_hand(said: Path) -> None:
    """bad 4, "," 3, good 3, so 3; the mark and the day come up once."""
    data = read_text(said, text="said", target="mood", length=5)
    bad, comma, good, so, other = 2, 3, 4, 5, 1
    assert data.x.stored.dtype == np.int32
    assert data.x.stored.tolist() == [
        [so, good, comma, so, good],  # its end is cut
        [0, 0, 0, so, bad],
        [0, 0, 0, 0, good],
        [bad, comma, bad, comma, bad],
        [0, 0, 0, 0, 0],
    ]
    assert (data.class_names, data.y.tolist()) == (("down", "up"), [1, 0, 1, 0, 1])
    assert data.feature_names is None
    whole = read_text(said, text="said", target="mood")
    assert whole.x.stored[3].tolist() == [bad, comma, bad, comma, bad, other]
    assert shown(whole, 3) == {"said": "bad , bad , bad □"}
    few = read_text(said, text="said", target="mood", vocabulary=1, length=2)
    assert few.x.stored.tolist() == [[1, 1], [1, 2], [0, 1], [2, 1], [0, 0]]


def test_what_is_said_about_it(said: Path) -> None:
    report = read_text(said, text="said", target="mood", length=2).report
    assert report is not None
    assert report.notes() == [
        "the vocabulary of 'said' has 4 of 6 words, 86.7% of what the texts hold",
        "2 texts are cut behind the first 2 words",
    ]


def test_the_length_leaves_most_texts_whole(tmp_path: Path) -> None:
    lines = ["a " * (1 + i % 19) for i in range(95)] + ["a " * 700] * 5
    path = tmp_path / "long.csv"
    path.write_text("t,y\n" + "".join(f"{t},{i % 2}\n" for i, t in enumerate(lines)))
    assert read_text(path, text="t", target="y").x.shape == (100, 19)
    lines += ["a " * 700]
    path.write_text("t,y\n" + "".join(f"{t},{i % 2}\n" for i, t in enumerate(lines)))
    assert read_text(path, text="t", target="y").x.shape == (101, 500)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("don't “stop” it’s 3.5 €", "don't|“|stop|”|it’s|3|.|5|€"),
        ("'quoted' rock'n'roll", "'|quoted|'|rock'n'roll"),
        ("a-b_c\td\u3000e", "a|-|b|_|c|d|e"),
        ("我愛NLP。真的", "我|愛|NLP|。|真|的"),
        ("ひらカタカナ", "ひ|ら|カタカナ"),
        ("हिन्दी भाषा", "हिन्दी|भाषा"),
        ("สวัสดี ครับ", "สวัสดี|ครับ"),
        ("👍👍 ok", "👍|👍|ok"),
        ("", ""),
    ],
)
def test_words(text: str, cut: str) -> None:
    assert words(text) == cut.split("|") if cut else words(text) == []


def test_characters_and_their_forms() -> None:
    column = Texts("t", "characters", 9, ())
    assert column.cut(" É\t\n a") == ["é", " ", "a"]
    assert column.cut("e\u0301") == ["é"]  # one way to write it is the other
    assert Texts("t", "characters", 9, (), lowercase=False).cut("É") == ["É"]
    assert Texts("t", "characters", 5, ("a", "b")).shown([0, 0, 2, 3, 1]) == "ab□"


def test_a_vocabulary_is_of_the_most_frequent_ones(tmp_path: Path) -> None:
    """Against a count of its own, on texts drawn by Zipf's law."""
    rng = np.random.default_rng(0)
    rows = [[f"w{k}" for k in rng.zipf(1.5, rng.integers(1, 20))] for _ in range(500)]
    path = tmp_path / "z.csv"
    lines = (f"{' '.join(row)},{i % 2}\n" for i, row in enumerate(rows))
    path.write_text("t,y\n" + "".join(lines))
    data = read_text(path, text="t", target="y", vocabulary=50, length=20)
    count = Counter(word for row in rows for word in row)
    kept = sorted(count, key=lambda w: (-count[w], w))[:50]
    assert data.format is not None
    assert data.format["columns"][0]["vocabulary"] == kept
    for row, own in zip(rows, data.x.stored.tolist()):
        numbers = [kept.index(w) + 2 if w in kept else 1 for w in row]
        assert own == [0] * (20 - len(row)) + numbers


# -- again -----------------------------------------------------------------------------


def test_another_file_is_read_in_the_same_way(said: Path, tmp_path: Path) -> None:
    data = read_text(said, text="said", target="mood", length=3)
    format = json.loads(json.dumps(data.format))
    assert format["kind"] == "text"
    again = read(said, format=format)
    assert (again.x.stored == data.x.stored).all()
    assert (again.y == data.y).all()
    new = tmp_path / "new.csv"
    new.write_text("n,said\n1,good news\n2,\n", encoding="utf-8")
    x, names = read(new, format=format, target=False)
    assert x.stored.tolist() == [[0, 4, 1], [0, 0, 0]]
    assert (x.stored.dtype, names) == (np.int32, ("line 2", "line 3"))
    new.write_text("said,mood\ngood news,up\n", encoding="utf-8")
    report = read(new, format=format).report
    assert report is not None
    assert "1 word or character is not in the vocabulary" in report.notes()
    assert data.lines is not None
    assert rows_of(said, format, data.lines[3:4]) == [
        {"said": "bad, bad, bad day", "mood": "down"}
    ]


def test_frames_and_other_targets() -> None:
    pandas = pytest.importorskip("pandas")
    texts = ["a b", "b a", None, "b"] * 3
    frame = pandas.DataFrame({"t": texts, "y": np.arange(12) / 4, "z": range(12)})
    data = read_text(frame, text="t", target="y")
    assert data.x.stored[:4].tolist() == [[3, 2], [2, 3], [0, 0], [0, 2]]
    assert (data.classes, data.y.shape) == (None, (12, 1))
    assert read_text(frame, text="t", target=["y", "z"]).y.shape == (12, 2)
    coded = read_text(frame, text="t", target="z", task="classification", dtype=None)
    assert coded.classes == 12


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp950"])
def test_chinese(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "c.tsv"
    rows = ["這本書很好看\t好", "這部電影不好看\t壞"] * 5
    path.write_text("評語\t評價\n" + "\n".join(rows) + "\n", encoding=encoding)
    by_word, by_character = (
        read_text(path, text="評語", target="評價", units=units)
        for units in ("words", "characters")
    )
    assert by_word.x.shape == (10, 7)
    assert (by_word.x.stored == by_character.x.stored).all()
    assert shown(by_character, 1) == {"評語": "這部電影不好看"}
    assert by_word.class_names == ("壞", "好")


# -- mistakes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("t,y\na,u\na,v\n", "the same text in all rows"),
        ("t,y\n,u\n,v\n", "is empty"),
        ("t,y\nab,u\nba,v\n", "comes up twice"),
        ("u,y\na b,u\nb a,v\n", "no column 't', the text"),
        ("t,y\na b,u\nb a,u\n", "names one class only"),
        ("t,y\na,b,c,d\n", "another number of cells"),
    ],
)
def test_tables_that_tell_nothing(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=what):
        read_text(tmp_path / "a.csv", text="t", target="y")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"units": "word"}, "no such choice"),
        ({"length": 0}, "length must be"),
        ({"length": 10**9}, "length must be"),
        ({"length": "3"}, "length must be"),
        ({"vocabulary": 0}, "vocabulary must be"),
        ({"lowercase": "no"}, "on or off"),
        ({"text": None}, "no column to predict"),
        ({"text": "mood"}, "no column to predict"),
        ({"target": None}, "No column is named"),
        ({"task": "both"}, "no such choice"),
    ],
)
def test_arguments(said: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(ArgumentError, match=what):
        read_text(said, **{"text": "said", "target": "mood", **options})


@pytest.mark.parametrize(
    "wrong",
    [
        {"vocabulary": [1]},
        {"length": 0},
        {"length": 10**12},
        {"units": "letters"},
        {"kind": "texts"},
        {"lowercase": None},
        {"more": 1},
    ],
)
def test_formats_that_no_reader_made(said: Path, wrong: dict[str, Any]) -> None:
    format = read_text(said, text="said", target="mood").format
    assert format is not None
    format["columns"][0] |= wrong
    with pytest.raises(ArgumentError, match="none that a reader of tables made"):
        read(said, format=format, target=False)


def test_a_table_larger_than_memory(said: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("chainrule.data.files.memory", lambda: 1000)
    monkeypatch.setattr("chainrule.data.tables.table_reader.SMALL", 1000)
    with pytest.raises(ChainruleError, match=r"(?s)too large.*half of what there is"):
        read_text(said, text="said", target="mood", length=100)
