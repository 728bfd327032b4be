"""Tables as people have them: what is seen, what is asked, what is refused."""

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from chainrule.data import Dataset, Stream, examine, progress, read, read_csv, rows_of
from chainrule.data.tables import file, inference
from chainrule.data.tables.cells import Cells, MissingValues
from chainrule.data.tables.columns import Date, InvalidCellError
from chainrule.data.tables.file import File
from chainrule.errors import ArgumentError, ChainruleError, DataError, NonFiniteError
from tests.data.saying import says

Reader = Callable[..., Dataset]
MANY = range(60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.fixture
def reads(path: Path) -> Reader:
    """Write a text and read it; the target is y unless another is named."""

    def call(text: str | bytes, **options: Any) -> Dataset:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_csv(path, **({"target": "y"} | options))

    return call


@pytest.fixture
def refuses(reads: Reader) -> Callable[..., ChainruleError]:
    def call(text: str | bytes, **options: Any) -> ChainruleError:
        with pytest.raises(ChainruleError) as caught:
            reads(text, **options)
        return caught.value

    return call


def table(*columns: str, mark: str = ",") -> str:
    """A table of 60 rows; ``{i}`` in a cell is the number of the row."""
    heads, cells = zip(*(column.split("=", 1) for column in columns), strict=True)
    made = [mark.join(heads)]
    for i in MANY:
        row = [eval(f"f'''{cell} '''", {"i": i})[:-1] for cell in cells]
        made.append(mark.join(row))
    return "\n".join(made) + "\n"


Y = "y={i % 7 + 0.5}"


# -- what is seen ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "names", "first"),
    [
        ("a={i * 3 % 7}", ["a"], [[0], [3]]),
        ("a={-i}e-1", ["a"], [[0], [-0.1]]),
        ("a=${i + 1},100.00", ["a"], [[1100], [2100]]),
        ("a={i} %", ["a"], [[0], [1]]),
        ("a=1 {i + 100},5", ["a"], [[1100.5], [1101.5]]),
        ("a=1.{i + 100},00 €", ["a"], [[1100], [1101]]),
        ("a={'-' if i == 1 else i * 2}", ["a", "a is missing"], [[0, 0], [60, 1]]),
        ("a={'?' if i == 1 else i * 2}", ["a", "a is missing"], [[0, 0], [60, 1]]),
        ("a={'NA' if i == 1 else i * 2}", ["a", "a is missing"], [[0, 0], [60, 1]]),
        ("a={'uv'[i % 2]}", ["a=u", "a=v"], [[1, 0], [0, 1]]),
        ("a={i % 2 == 1}", ["a=False", "a=True"], [[1, 0], [0, 1]]),
        ("a={'' if i == 1 else 'u'}", ["a=u", "a=(missing)"], [[1, 0], [0, 1]]),
        (
            "a=u{i % 30 if i > 29 else 0}",
            ["a=u0", "a=(other)"],
            [[1, 0], [1, 0]],
        ),
        ("a=2000-01-{i % 28 + 1:02}", ["a", "a weekday"], [[0, 5], [1, 6]]),
        ("a=3.{i % 12 + 1}.1999", ["a", "a month", "a weekday"], None),
        ("a={i % 28 + 1:02}/02/2000 0{i % 9}:30", ["a", "a weekday", "a hour"], None),
    ],
)
def test_what_a_column_is(
    reads: Reader, column: str, names: list[str], first: Any
) -> None:
    made = reads(table(column, Y, mark=";"))
    assert list(made.feature_names or ()) == names
    assert made.x.stored.dtype == np.float32
    if first is not None:
        np.testing.assert_allclose(made.x[:2], first, rtol=2e-2)
    assert made.lines is not None
    assert made.lines.tolist() == [i + 2 for i in MANY]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("={i}", "first column has no name: row numbers"),
        ("Unnamed: 0={i * 3}", "first column has no name: row numbers"),
        ("n={i}", "column 'n' is left out: it counts the rows"),
        ("n={i + 1}", "column 'n' is left out: it counts the rows"),
        ("PassengerId={i * 7919 % 101}", "column 'PassengerId' is left out: an id"),
        ("name=person {i}", "60 different texts in 60 rows"),
        ("one=1", "'1' in all rows"),
        ("none=", "empty in all rows"),
        ("name=n{i // 2}", "30 different texts, each in few rows"),
    ],
)
def test_columns_that_tell_nothing(reads: Reader, column: str, said: str) -> None:
    made = reads(table(column, "a={i % 5}", Y))
    assert made.feature_names == ("a",)
    assert made.report is not None
    assert said in " ".join(made.report.notes())
    name = column.partition("=")[0]
    if name and not name.startswith("none"):
        kept = reads(table(column, "a={i % 5}", Y), dtype={name: "category"})
        assert kept.feature_names[0].startswith(f"{name}=")
    assert reads(table("a={i % 5}", "b={i % 4}", Y), dtype={"b": "id"}).x.shape[1] == 1


def test_targets(reads: Reader) -> None:
    made = reads("a,y\n1,dog\n2, cat \n3,dog\n4,\n")
    assert (made.class_names, made.y.tolist()) == (("cat", "dog"), [1, 0, 1])
    assert made.report is not None
    assert made.report.notes() == ["1 of 4 rows left out, whose target is missing"]
    numbers = "a,y,b\n1,10,3\n2,9,4\n3,10,5\n4,NA,6\n"
    made = reads(numbers)
    assert (made.y.tolist(), made.y.dtype) == ([[10], [9], [10]], np.float32)
    made = reads(numbers, task="classification")
    assert (made.class_names, made.y.tolist()) == (("9", "10"), [1, 0, 1])
    assert reads(numbers, classes=["10", "9", "1"]).y.tolist() == [0, 1, 0]
    assert reads(numbers, target=["b", "y"]).y.tolist() == [[3, 10], [4, 9], [5, 10]]
    signs = reads("a,y\n1,+\n2,-\n3,+\n")
    assert (signs.class_names, signs.y.tolist()) == (("+", "-"), [0, 1, 0])


def test_missing_features(reads: Reader, refuses: Any) -> None:
    text = "a,k,y\n1,u,1\n,v,2\n4,,3\n7,u,4\n"
    made = reads(text)
    assert made.feature_names == ("a", "a is missing", "k=u", "k=v", "k=(missing)")
    assert made.x[1].tolist() == [4, 1, 0, 1, 0]
    assert made.report.filled == {"a": 1, "k": 1}
    made = reads(text, missing="drop")
    assert made.y.tolist() == [[1], [4]]
    assert made.report.lines == [3, 4]
    says(refuses(text, missing="error"), "line 3, column 'a'", "each cell", "", "fill")
    made = reads("a,y\n1,1\n-9,2\n3,3\n", missing_values=["-9.0"])
    assert made.x[1].tolist() == [2, 1]


def test_a_date_that_marks_a_missing_value(reads: Reader) -> None:
    text = "d,y\n1900-01-01,1\n2000-01-02,2\n2000-01-04,3\n"
    made = reads(text, missing_values=["1900-01-01"])
    assert made.feature_names[0] == "d"
    assert made.x[:, 0].tolist() == [2, 1, 3]  # the first one is the others' mean
    assert made.report.filled == {"d": 1}


def test_a_number_beside_texts_has_no_decimal_mark() -> None:
    cells = Cells.of(np.array(["30,5", 1.234, None, 7, True], object))
    numbers = cells.numbers(",")[cells.codes]
    np.testing.assert_array_equal(numbers, [30.5, 1.234, np.nan, 7, np.nan])


def test_a_number_is_no_date() -> None:
    column = Date("d", "ISO8601", (), (0.0,))
    cells = Cells.of(np.array([981173100.0, np.nan]))
    with pytest.raises(InvalidCellError) as raised:
        column.encode(cells, MissingValues())
    assert raised.value.row == 0
    assert column.encode(Cells.of(np.array([np.nan])), MissingValues()).missing.all()


def test_lines_count_in_the_file(reads: Reader, path: Path) -> None:
    text = 'k,b,y\n"two\nlines",1,0\n\n \nu,2,1\n"a\n\n\nb",3,0\nu,4,0'
    made = reads(text)
    assert made.lines.tolist() == [2, 6, 7, 11]
    assert made.format is not None
    found = rows_of(path, made.format, made.lines[[3, 0]])
    assert found == [
        {"k": "u", "b": "4", "y": "0"},
        {"k": "two\nlines", "b": "1", "y": "0"},
    ]
    with pytest.raises(DataError, match="no row on line 3"):
        rows_of(path, made.format, [3])
    train, test = made.split(2, seed=0)
    assert sorted([*train.lines, *test.lines]) == [2, 6, 7, 11]
    assert train[:1].lines.tolist() == train.lines[:1].tolist()


def test_delimiters_encodings_and_packing(path: Path) -> None:
    chinese = table("甲={i % 9}", "乙={'貓狗'[i % 2]}", "y={['好', '不好'][i % 2]}")
    western = table("größe={i % 9}", "art={'äö'[i % 2]}", "y={'ße'[i % 2]}")
    for text, encodings in (
        (chinese, ("utf-8", "utf-8-sig", "utf-16", "cp950")),
        (western, ("utf-8", "latin-1", "cp1252")),
    ):
        names = text.split("\n")[0].split(",")
        for encoding in encodings:
            for mark in ",;\t|":
                path.write_bytes(text.replace(",", mark).encode(encoding))
                made = read_csv(path, target="y")
                assert (made.feature_names or ())[0] == names[0]
                assert made.x[:, 0].tolist() == [i % 9 for i in MANY]
                again = read_csv(path, target="y", delimiter=mark, encoding=encoding)
                assert again.feature_names == made.feature_names
    content = chinese.encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", content)
    for whole in (
        *(gzip.compress(content), bz2.compress(content), lzma.compress(content)),
        packed.getvalue(),
    ):
        path.write_bytes(whole)
        assert read_csv(path, target="y").class_names == ("不好", "好")
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match="cannot be read"):
            read_csv(path, target="y")


def test_headers(reads: Reader) -> None:
    text = "".join(f"{i % 9}.5,{'uv'[i % 2]}\n" for i in MANY)
    made = reads(text, header=False, target="column 2")
    assert (made.feature_names, len(made)) == (("column 1",), 60)
    lines = table("r=r{i}", "a={i % 5}", Y).splitlines()  # R names no row numbers
    made = reads("\n".join(["a,y", *lines[1:]]))
    assert (made.feature_names, made.x[3, 0]) == (("a",), 3)
    made = reads(table("a={i % 5}", "a={i % 4}", ".={i % 3}", Y))
    assert made.feature_names == ("a", "a.1", ".")
    assert "a second column 'a' is called 'a.1'" in made.report.notes()
    assert reads(" a ,y \r1,2\r\r2,3").feature_names == ("a",)


def test_blocks_do_not_matter(reads: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    text = table("a={i if i % 9 else ''}", 'k="{i % 4}\n"', "d=2020-1-{i % 28 + 1}", Y)
    whole = reads(text)
    for size in (7, 999):
        monkeypatch.setattr(file, "BLOCK", size)
        made = reads(text)
        np.testing.assert_array_equal(made.x[:], whole.x[:], strict=True)
        np.testing.assert_array_equal(made.lines, whole.lines)
        assert made.format == whole.format


def test_numbers_with_gaps_come_as_numbers(path: Path) -> None:
    path.write_text(table("a={i if i % 5 else ''}", "k={'uv'[i % 2]}", Y))
    (chunk,) = File.of(path).chunks(["a", "k"], {"a"})
    assert chunk.cells["a"].values is not None
    assert [chunk.cells["a"].text(row) for row in (4, 5)] == ["4", ""]
    assert chunk.cells["k"].text(1) == "v"


# -- what is asked ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what", "answer"),
    [
        (
            table("a={'free' if i == 50 else i * 3}", Y),
            "column 'a' holds 59 numbers, and texts",
            {"dtype": {"a": "number"}},
        ),
        (
            table('a="1,{i + 100}"', "y={i * 2}"),
            "comma may be a decimal mark",
            {"decimal": "."},
        ),
        (
            table("a={i % 9 + 1}/02/2003", Y),
            "the day may stand before the month",
            {"dtype": {"a": "dmy"}},
        ),
        (
            table("a=\"{i}{[',5', '.5'][i % 2]}\"", Y),
            "decimal points and decimal commas",
            {"dtype": {"a": "number"}},
        ),
        (
            table("a={'$€'[i % 2]}{i}", Y),
            "different units",
            {"dtype": {"a": "number"}},
        ),
        (
            table("a={i % 5}", "y=about {i}"),
            "would have 60 classes in 60 rows",
            {"task": "classification"},
        ),
        (
            table("0.5={i % 5}", "u={'uv'[i % 2]}"),
            "looks like a row",
            {"header": False},
        ),
        (
            table("0.5={i % 5}", "Adelie=bird {i % 9}", "2.5={i % 3}", "7={i % 4}"),
            "looks like a row",
            {"header": False},
        ),
        (
            table("a={i % 5}", "y=\"${i % 50 + 1},{i + 100}.00{'x' * (i == 9)}\""),
            "column 'y' holds 59 numbers, and texts",
            {"dtype": {"y": "number"}},
        ),
    ],
)
def test_questions(
    reads: Reader, path: Path, text: str, what: str, answer: dict[str, Any]
) -> None:
    target = text.split("\n")[0].split(",")[1] if text[0] == "0" else "y"
    with pytest.raises(DataError) as caught:
        reads(text, target=target)
    assert what in caught.value.what
    assert next(iter(answer)) in str(caught.value.fix)
    found = examine(path, target=target if target == "y" else None)
    assert [what in question.what for question in found.questions] == [True]
    assert {k: found.settings[k] for k in answer} == answer
    made = reads(text, target=found.target, **found.settings)
    header = "header" in answer
    assert len(made) == 60 + header - (answer == {"dtype": {"y": "number"}})


def test_what_an_examination_tells(path: Path) -> None:
    path.write_text(
        table(
            "id={i + 5}",
            "size={'' if i == 3 else i % 7}",
            "when=2020-02-{i % 28 + 1:02}",
            "city={'uvw'[i % 3]}",
            "class={i % 2}",
            "spare={i % 4}.5",
        )
    )
    found = examine(path)
    assert (found.target, found.task, found.rows) == ("class", "classification", 60)
    assert found.classes == {"0": 30, "1": 30}
    assert found.settings == {"task": "classification"}
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds["when"] == "date"
    assert kinds["city"] == "category"
    (size,) = [column for column in found.columns if column.name == "size"]
    assert (size.missing, size.distinct, size.examples[0]) == (1, 7, "0")
    assert found.features == 1 + 1 + 2 + 3 + 1  # size and its gaps, dates, cities …
    assert any("column 'id' is left out" in note for note in found.notes)
    assert examine(path, target="spare").task == "regression"
    assert examine(path, target="city").classes == {"u": 20, "v": 20, "w": 20}
    frame = pandas.read_csv(path)
    assert examine(frame).target == "class"


def test_all_rows_are_looked_at(reads: Reader, refuses: Any) -> None:
    """Row 2,001 differs from the first 2,000."""
    rows = [f"{i % 9},{i % 7 + 0.5}\n" for i in range(5000)]
    rows[4000] = "many,1\n"
    error = refuses("a,y\n" + "".join(rows))
    says(error, "4,999 numbers, and texts", "answer", "'many' in line 4002", "dtype")
    rows[4000] = ",1\n"
    assert reads("a,y\n" + "".join(rows)).feature_names == ("a", "a is missing")


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


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what", "got"),
    [
        (b"", "is empty", "nothing"),
        (b"\n \r\n\t\n", "is empty", "nothing"),
        (b"a,y\n", "has no rows", "a,y"),
        (b"a,y\n\n\n", "has no rows", "a,y"),
        (
            b"a,y\n1,2\n3\n4,5,6\n",
            "another number of cells",
            "1 in line 3, 3 in line 4",
        ),
        (b'a,y\n"\n\n",2\n3\n', "another number of cells", "1 in line 5"),
        (b'a,y\n1,"2\n3,4\n', "cannot be read", "line 2: unexpected end"),
        (b'a,y\n1,"2"3\n', "cannot be read", "line 2: ',' expected"),
        (b'a,y\n1,"' + b"2" * 200_000, "cannot be read", "line 2: field larger"),
        (b"a,y\n1,\x00\n", "cannot be read", "a NUL"),
        (b"PK\3\4 no archive", "cannot be read", "BadZipFile"),
        (b"\x1f\x8b no gzip", "cannot be read", "BadGzipFile"),
        (b"y\n1\n", "has no features", "the columns y"),
        (b"a,b\n1,2\n", "no column 'y', the target", "'y'"),
        (b"a,y\n1,\n2,\n", "target 'y' of 't.csv' is empty", "2 empty cells"),
        (b"a,y\n1,dog\n2,dog\n", "names one class only", "dog"),
    ],
)
def test_what_is_no_table(refuses: Any, content: bytes, what: str, got: str) -> None:
    error = refuses(content)
    assert isinstance(error, DataError)
    says(error, what, "", got, "")


def test_bad_text(refuses: Any) -> None:
    error = refuses(b"a,y\n1,2\n\xe9,1\n", encoding="utf-8")
    says(error, "not text in utf-8", "utf-8", "line 3", "cp950")


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e39", "-1e39", "1e400"])
def test_numbers_that_are_not_finite(
    reads: Reader, refuses: Any, path: Path, text: str
) -> None:
    for row in (f"{text},0", f"2,{text}"):
        error = refuses(f"a,y\n1,1\n{row}\n")
        says(error, "not finite", "answer", f"{text!r} in line 3", "missing_values=[")
    answer = examine(path).settings["missing_values"]
    assert len(reads(f"a,y\n1,1\n2,{text}\n", missing_values=answer)) == 1
    old = reads("a,y\n1,1\n2,5\n")
    path.write_text(f"a,y\n1,1\n2,{text}\n")
    with pytest.raises(NonFiniteError, match="line 3, column 'y'"):
        read(path, format=old.format)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"target": 3}, "target is not a list"),
        ({"target": ""}, "target names no column"),
        ({"target": None}, "No column is named as the target"),
        ({"target": ["a", "a"]}, "target has a name twice"),
        ({"features": ["y"]}, "both a feature and the target"),
        ({"features": []}, "features names no column"),
        ({"features": ["q"]}, "no column 'q', a feature"),
        ({"dtype": {"q": "id"}}, "no column 'q', in dtype"),
        ({"dtype": {"a": "int8"}}, "has no such choice"),
        ({"dtype": "number"}, "dtype does not say"),
        ({"dtype": {"k": "number"}}, "has no numbers"),
        ({"dtype": {"k": "date"}}, "holds no dates"),
        ({"target": "k", "task": "regression"}, "has no numbers"),
        ({"task": "both"}, "task has no such choice"),
        ({"classes": ["a"]}, "fewer than two classes"),
        ({"classes": ["a", "b"], "task": "regression"}, "no classes"),
        ({"task": "classification", "target": ["a", "y"]}, "Several targets"),
        ({"missing": "mean"}, "missing has no such choice"),
        ({"missing_values": 3}, "missing_values is not a list"),
        ({"unknown": "drop"}, "unknown has no such choice"),
        ({"decimal": ";"}, "decimal has no such choice"),
        ({"delimiter": "::"}, "delimiter is not one"),
        ({"delimiter": "1"}, "delimiter is not one"),
        ({"encoding": "klingon"}, "no such text encoding"),
        ({"header": "yes"}, "header is either on or off"),
    ],
)
def test_arguments_refused(refuses: Any, options: dict[str, Any], what: str) -> None:
    assert what in refuses("a,k,y\n1,u,3\n2,v,4\n", **options).what


def test_files_that_never_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BLOCK", 1 << 12)
    monkeypatch.setattr(file, "LONGEST", 1 << 14)
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,y\n1," + b"2" * (1 << 20))
    with pytest.raises(DataError, match=r"(?s)line 2: a row of more than"):
        read_csv(path, target="y")
    monkeypatch.setattr(file, "MOST", 100)
    path.write_bytes(b",".join(b"c%d" % i for i in range(101)) + b"\n1\n")
    with pytest.raises(DataError, match="too many columns"):
        read_csv(path, target="y")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        for place in ("/dev/zero", tmp_path / "pipe.csv"):
            with pytest.raises(DataError, match="no CSV file"):
                read_csv(place, target="y")


def test_progress_is_told(path: Path) -> None:
    path.write_text(table("a={i % 5}", Y))
    told = []
    with progress(lambda *what: told.append(what)):
        read_csv(path, target="y")
    size = path.stat().st_size
    assert told == [(path, 0, size), (path, size, size), (path, size, size)]


def test_memory_does_not_grow_with_columns_that_are_left_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12,000 texts that are an id are counted up to a limit, and not remembered."""
    path.write_text("id,y\n1,2\n2,3\n")
    read_csv(path, target="y")  # imports count too
    monkeypatch.setattr(file, "BLOCK", 1 << 16)
    monkeypatch.setattr(inference, "COUNTED", 200)
    with path.open("w") as out:
        out.write("id,y\n")
        out.writelines(f"name {i} {'x' * 390},{i % 7}\n" for i in range(12_000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="no features"):
            read_csv(path, target="y")
        assert tracemalloc.get_traced_memory()[1] < 4e6  # of a file of 5 MB
    finally:
        tracemalloc.stop()


def test_without_pandas(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("a,y\n1,2\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ArgumentError) as caught:
        read_csv(path, target="y")
    says(caught.value, "pandas", "extra data", "ModuleNotFound", "'chainrule[data]'")


def test_a_stream(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(
        table(
            "a={i if i % 5 else ''}", "k={'uvw'[i % 3]}", "y={'no' if i % 4 else 'yes'}"
        )
    )
    whole = read_csv(path, target="y")
    monkeypatch.setattr(file, "BLOCK", 100)
    stream = Stream.from_csv(path, target="y")
    assert (stream.format, stream.name) == (whole.format, whole.name)
    assert (stream.class_names, stream.feature_names) == (
        whole.class_names,
        whole.feature_names,
    )
    for _ in range(2):
        x, y = (np.concatenate(part) for part in zip(*stream.blocks(7), strict=True))
        np.testing.assert_array_equal(x, whole.x.stored, strict=True)
        np.testing.assert_array_equal(y, whole.y, strict=True)
    path.write_text(path.read_text().replace("\n7,", "\nseven,"))
    with pytest.raises(DataError, match="line 9, column 'a'"):
        list(stream.blocks(1))


@pytest.mark.parametrize(
    "content",
    [
        "y,b,a\nNA,2,\n3,,1\n\n0,nan,inf\n",
        "a,b,y\n1,u,3\n4,v,6\n1,2,cat\n4,5,dog\n",
    ],
)
def test_no_row_has_all_of_its_targets(tmp_path: Path, content: str) -> None:
    """The answers that are proposed lead to data; where none do, that is said."""
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match="no row that can be used"):
        examine(tmp_path / "t.csv", target=["y", "b"])


def test_texts_in_a_column_of_numbers_count_as_missing(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'none' if i % 4 == 0 else i}\n" for i in range(40))
    (tmp_path / "t.csv").write_text("x,y\n" + rows)
    found = examine(tmp_path / "t.csv", target="x", dtype={"y": "number"})
    assert [c.missing for c in found.columns] == [0, 10]


def test_infinity_after_infinity(tmp_path: Path) -> None:
    """It is asked about, in cells and in names, and NumPy does not warn."""
    (tmp_path / "cells.csv").write_text("x,y\ninf,1\ninf,2\n")
    with pytest.raises(ChainruleError, match="not finite"):
        read_csv(tmp_path / "cells.csv", target="y")
    (tmp_path / "names.csv").write_text("inf,1e999,x\n1,2,3\n3,5,4\n")
    assert examine(tmp_path / "names.csv").rows == 3


def test_a_format_is_understood_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service reads a row at a time: what checks formats is built once."""
    import pydantic

    frame = pandas.DataFrame({"a": [1.0, 2, 4], "k": [*"uvu"], "y": [1.0, 2.5, 3]})
    data = Dataset.from_frame(frame, target="y")
    read(frame, format=data.format, target=False)
    monkeypatch.setattr(pydantic, "TypeAdapter", None)
    made = read(frame[:1], format=data.format, target=False)
    assert np.array_equal(made.x[:], data.x[:1])
