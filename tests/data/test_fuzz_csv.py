"""Hostile CSV files: a clear error, or the numbers that the csv module sees."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Stream, read, read_csv
from tests.data.hostile import bounded_memory, damaged, few, many, outcome

FILES = [
    b"a,b,y\n1,2,3\n4,5,6\n-7.5,8e2,.5\n",
    b"a,b,y\r\n1,2,cat\r\n4,5,dog\r\n",
    b"\xef\xbb\xbfa,b,y\n1,u,3\n4,v,6\n",
    b'a,"b",y\n"1","x\ny",3\n"4","p,q","6"\n',
    b"y,b,a\nNA,2,\n3,,1\n\n0,nan,inf\n",
    "a,b,y\n1,貓,好\n2,狗,不好\n".encode(),
    b"a;b;y\n1;2;3\n",
    b"a\tb\ty\n1\t2\t3\n4\t\t6\n",
    b"y,a\n1,2\n3,4\n",
]
WORDS = [
    *(b",", b"\n", b"\r", b'"', b'""', b" ", b"\t", b";", b"\0", b"\xff", b"\xc3"),
    *(b"nan", b"inf", b"1e400", b"1e-400", b"9" * 30, b"-", b"NA", b"\xef\xbb\xbf"),
    *(b"\n\n", b",,", b"\r\n", b"True", b"1_0", b"0x1", "１".encode(), b"\x0b\x0c\x85"),
]
TEXT = st.text('ay,"\n\r \t019.-eE;', max_size=40).map(
    lambda rest: ("a,y\n" + rest).encode()
)
INPUT = damaged(FILES, WORDS) | TEXT | st.binary(max_size=40)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "categorical": st.sampled_from(["a", "b", {"b": ["u", "v"]}]),
        "features": st.sampled_from([["a"], ["b", "a"]]),
        "classes": st.sampled_from([True, False, ["cat", "dog"]]),
        "missing": st.sampled_from(["drop", "mean", {"a": 1.0}]),
        "delimiter": st.sampled_from([";", "\t", " "]),
        "dtype": st.just("float64"),
        "encoding": st.sampled_from(["utf-16", "cp950", "latin-1"]),
    },
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "fuzz.csv"


def check(path: Path, content: bytes, options: dict[str, Any]) -> None:
    made: Any = outcome(path, content, lambda: read_csv(path, target="y", **options))
    if made is None:
        return
    assert np.isfinite(made.x[:]).all()
    if "missing" not in options and "categorical" not in options:
        compare(content, options, made)
    # The format that was learned reads the same file in the same way.
    again = read(path, format=made.format)
    assert again.format == made.format
    np.testing.assert_array_equal(again.x.stored, made.x.stored, strict=True)
    np.testing.assert_array_equal(again.y, made.y, strict=True)
    if len(content) % 8 == 0:
        stream = Stream.from_csv(path, target="y", **options)
        x = np.concatenate([x for x, _ in stream.blocks(2)])
        np.testing.assert_array_equal(x, made.x.stored, strict=True)


def compare(content: bytes, options: dict[str, Any], made: Any) -> None:
    """Numbers and classes, cell by cell, against Python's csv module."""
    text = content.decode(options.get("encoding", "utf-8-sig"))
    delimiter = options.get("delimiter", ",")
    spaced = delimiter != " "
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=spaced)
    rows = [[cell.strip() for cell in row] for row in reader]
    header, *rows = [row for row in rows if len(row) > 1 or any(row)]
    assert len(rows) == len(made)
    for i, name in enumerate(made.feature_names):
        column = header.index(name)
        wanted = np.array([float(row[column]) for row in rows], made.x.dtype)
        np.testing.assert_array_equal(made.x[:, i], wanted)
    cells = [row[header.index("y")] for row in rows]
    if made.class_names:
        assert [made.class_names[label] for label in made.y] == cells
    else:
        wanted = np.array([[float(cell)] for cell in cells], made.y.dtype)
        np.testing.assert_array_equal(made.y, wanted)


@few
@given(INPUT, OPTIONS)
def test_a_few(path: Path, content: bytes, options: dict[str, Any]) -> None:
    check(path, content, options)


@pytest.mark.slow
def test_many(path: Path) -> None:
    def body(content: bytes, options: dict[str, Any]) -> None:
        check(path, content, options)

    with bounded_memory():
        many(given(INPUT, OPTIONS)(body))()
