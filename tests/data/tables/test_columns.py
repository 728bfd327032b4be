"""Tables as people have them: what is seen, and what is asked."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from chainrule.data import examine, read_csv, rows_of
from chainrule.data.tables import file
from chainrule.data.tables.cells import Cells, MissingValues
from chainrule.data.tables.columns import Date, InvalidCellError
from chainrule.data.tables.file import File
from chainrule.data.tables.parquet import is_parquet
from chainrule.errors import DataError
from tests.data.saying import says

from .conftest import MANY, Reader, Y, table

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


@pytest.mark.parametrize("end", ["", "PAR1", "4,PAR1"])
def test_a_column_may_begin_like_a_parquet_file(path: Path, end: str) -> None:
    path.write_text("PAR1a,b,y\n1,,3\nNA,5,6\n7,8,9\n" + end)
    assert not is_parquet(path)
    if not end:
        names = ("PAR1a", "PAR1a is missing", "b", "b is missing")
        assert read_csv(path, target="y").feature_names == names
        assert examine(path, target="y").settings is not None


@pytest.mark.parametrize(
    "content",
    [
        b"PAR1\x15\x04" + bytes(20) + b"\x08\0\0\0PAR1",
        b"PAR1\x15\x04" + bytes(20),  # cut off
        b"PAR1\x15",
        b"PAR1a" + bytes(20) + b"\x08\0\0\0PAR1",  # encrypted columns
    ],
)
def test_parquet_files_are_known_by_their_marks(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert is_parquet(path)


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
            table("0.5={i % 5}", "1.25={i % 7}", "u={'uv'[i % 2]}"),
            "looks like a row",
            {"header": False},
        ),
        (
            table("0={i % 5}", "5={i % 7}", "u={'uv'[i % 2]}"),
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


@pytest.mark.parametrize("names", ["2019,2020", "0,1,2", "10,20,30", "1990,2000,2010"])
def test_counted_columns_are_names(path: Path, names: str) -> None:
    """Years, and numbers of columns: nothing is asked."""
    columns = [f"{name}={{i % {k + 3}}}" for k, name in enumerate(names.split(","))]
    path.write_text(table(*columns, "kind={'uv'[i % 2]}"))
    found = examine(path, target="kind")
    assert found.questions == ()
    assert found.rows == 60


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
