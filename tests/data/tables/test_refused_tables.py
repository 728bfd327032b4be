"""Tables as people have them: what is refused, and what it costs."""

import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from chainrule.data import Dataset, Stream, examine, progress, read, read_csv
from chainrule.data.tables import file, inference
from chainrule.errors import ArgumentError, ChainruleError, DataError, NonFiniteError
from tests.data.saying import says

from .conftest import Reader, Y, table

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
