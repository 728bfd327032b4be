"""Tables that come after the first one, and frames of other libraries."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from chainrule.data import Dataset, read, read_csv, rows_of
from chainrule.errors import ArgumentError, DataError
from tests.data.saying import says

from .conftest import MANY, Reader, Y, table

# -- again -----------------------------------------------------------------------------


def test_another_table(reads: Reader, path: Path) -> None:
    old = reads(
        table("a={i if i % 5 else ''}", "k={'uv'[i % 2]}", "d=2020-02-{i % 28 + 1}", Y)
    )
    assert old.format is not None
    format = json.loads(json.dumps(old.format))
    path.write_text("d;k;a\n2020-02-03;w;\n2020-02-04;u;2\n")
    x, names = read(path, format=format, target=False)
    assert names == ("line 2", "line 3")
    mean = np.float32(np.mean([i for i in MANY if i % 5]))
    at = {name: i for i, name in enumerate(old.feature_names or ())}
    assert x[0, at["a"]] == mean
    assert x[0, at["a is missing"]] == 1
    assert x[0, [at["k=u"], at["k=v"]]].tolist() == [0, 0]
    assert x[1, [at["k=u"], at["k=v"]]].tolist() == [1, 0]
    path.write_text("d,k,a,y\n2020-02-03,w,,1\n2020-02-04,w,2,2\n")
    again = read(path, format=format)
    assert again.report is not None
    assert again.report.unknown == {"k": {"w": 2}}
    assert "2 cells are texts that were not there in training" in str(
        again.report.notes()
    )
    for text, said in (
        ("k,a\nu,1\n", "no column 'd'"),
        ("d,k,a\n2020-02-03,u,x\n", "line 2, column 'a'"),
        ("d,k,a\n3.2.2020,u,1\n", "line 2, column 'd'"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read(path, format=format, target=False)
    path.write_text("d,k,a\n2020-02-03,u,1\n")
    with pytest.raises(DataError, match="no column 'y', the target"):
        read(path, format=format)


def test_unknown_texts_and_classes(reads: Reader, path: Path) -> None:
    old = reads("k,y\nu,1\nv,2\nu,3\n", unknown="error")
    path.write_text("k,y\nw,1\n")
    with pytest.raises(DataError) as caught:
        read(path, format=old.format)
    says(caught.value, "not there in training", "one of u, v", "'w'", "'other'")
    old = reads("a,y\n1,dog\n2,cat\n")
    path.write_text("a,y\n1,pig\n")
    with pytest.raises(DataError, match="line 2, column 'y'"):
        read(path, format=old.format)
    rare = reads(table("k={'u' if i < 30 else i}", Y))
    assert rare.feature_names == ("k=u", "k=(other)")
    assert rare.x[:, 1].sum() == 30
    assert rare.report.notes() == ["30 cells are rare texts: k 30"]
    path.write_text("k,y\n40,1\nw,2\n")
    report = read(path, format=rare.format).report
    assert (report.rare, report.unknown) == ({"k": 1}, {"k": {"w": 1}})


@pytest.mark.parametrize(
    "change",
    [
        {"columns": 3},
        {"columns": [{"kind": "number"}]},
        {"columns": [{"kind": "number", "name": "a", "mean": "high"}]},
        {"columns": [{"kind": "other", "name": "a"}]},
        {"extra": 1},
        {"header": "yes"},
        {"targets": [{"kind": "classes", "name": "y", "classes": 3}]},
    ],
)
def test_formats_that_no_reader_made(
    reads: Reader, path: Path, change: dict[str, Any]
) -> None:
    format = reads("a,y\n1,2\n3,4\n").format
    with pytest.raises(ArgumentError, match="none that a reader of tables made"):
        read(path, format={**(format or {}), **change})


def test_a_table_in_an_unknown_format(path: Path) -> None:
    path.write_text("a,b\n1,2\n3,4\n")
    x, _ = read(path, format={"kind": "csv"}, target=False)
    assert x[:].tolist() == [[1, 2], [3, 4]]


# -- frames ----------------------------------------------------------------------------


def frame() -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "a": [i / 7 if i % 5 else None for i in MANY],
            "n": [i % 6 for i in MANY],
            "flag": [i % 3 == 0 for i in MANY],
            "text": ["uv"[i % 2] if i % 7 else None for i in MANY],
            "price": [f"${i % 9 + 1},000.50" for i in MANY],
            "when": pandas.date_range("2020-01-31", periods=60, freq="7h"),
            "const": 1,
            "y": [i % 4 + 0.25 for i in MANY],
        }
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_read_as_files_are(path: Path, library: str) -> None:
    kind_of = pytest.importorskip(library).DataFrame
    given = frame()
    given.to_csv(path, index=False)
    wanted = read_csv(path, target="y")
    columns = {name: given[name].tolist() for name in given}
    columns["text"] = [text if isinstance(text, str) else None for text in given.text]
    kind = given if library == "pandas" else kind_of(columns)
    made = Dataset.from_frame(kind, target="y")
    assert made.feature_names == wanted.feature_names
    np.testing.assert_allclose(made.x[:], wanted.x[:], rtol=1e-6)
    np.testing.assert_array_equal(made.y, wanted.y)
    assert made.lines.tolist() == list(MANY)
    assert made.report.left_out == wanted.report.left_out
    for other in (path, kind):
        again = read(other, format=made.format)
        np.testing.assert_allclose(again.x[:], wanted.x[:], rtol=1e-6)
    assert rows_of(kind, made.format, [3])[0]["text"] == "v"


class Lazy:
    """A frame that knows its columns and holds none of them."""

    columns = ("a", "y")

    def __getitem__(self, name: str) -> None:
        raise TypeError("not subscriptable")


def test_what_is_no_frame() -> None:
    two = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    later = pandas.DataFrame({"a": [1, [2]], "y": [1, 2]})
    for given, error in (
        *((3, ArgumentError), (two, ArgumentError)),
        ({"a": [1], "y": [1, 2]}, ArgumentError),
        (Lazy(), ArgumentError),
        *((later, DataError), ({"a": [[1], [2]], "y": [1, 2]}, DataError)),
        ({"a": [[1], [2, 3]], "y": [1, 2]}, DataError),
    ):
        with pytest.raises(error):
            Dataset.from_frame(given, target="y")
    with pytest.raises(DataError, match="'inf' in row 1"):
        Dataset.from_frame(
            pandas.DataFrame({"a": [1.0, np.inf], "y": [1, 2]}), target="y"
        )
