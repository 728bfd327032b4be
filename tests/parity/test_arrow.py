"""Tables of pyarrow and polars, and Parquet files: read as those of pandas are."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
from pyarrow import parquet

import chainrule as cr
from chainrule.data import Dataset, Stream
from chainrule.data.adapter import as_column
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    ChainruleWarning,
    DataError,
    DTypeError,
)

pytestmark = pytest.mark.parity

N = 24
ZONE = dt.timezone(dt.timedelta(hours=2))
DAY = dt.datetime(2024, 1, 30, 22)


def gaps(values: list[Any]) -> list[Any]:
    return [None if i % 5 == 3 else v for i, v in enumerate(values)]


TEXTS, BOOLS = ["uvw"[i % 3] for i in range(N)], [i % 3 == 0 for i in range(N)]
DECIMALS = [Decimal(i) / 4 for i in range(N)]
DATES = [(DAY + dt.timedelta(days=i)).date() for i in range(N)]
TIMES = [DAY + dt.timedelta(hours=7 * i) for i in range(N)]
IN_ZONE = [time.replace(tzinfo=ZONE) for time in TIMES]
#: A column of each kind that a table may have, from Python objects.
CELLS: dict[str, tuple[list[Any], pa.DataType]] = {
    "int8": ([i % 7 for i in range(N)], pa.int8()),
    "uint16": ([3 * i % 50 for i in range(N)], pa.uint16()),
    "int64 with gaps": (gaps([i * i for i in range(N)]), pa.int64()),
    "2**40": ([2**40 + i for i in range(N)], pa.int64()),
    "float": ([i / 8 for i in range(N)], pa.float32()),
    "double with gaps": (gaps([i / 7 for i in range(N)]), pa.float64()),
    "bool": (BOOLS, pa.bool_()),
    "bool with gaps": (gaps(BOOLS), pa.bool_()),
    "text": (TEXTS, pa.string()),
    "large text with gaps": (gaps(TEXTS), pa.large_string()),
    "dictionary": (gaps(TEXTS), pa.dictionary(pa.int8(), pa.string())),
    "decimal": (DECIMALS, pa.decimal128(10, 2)),
    "decimal with gaps": (gaps(DECIMALS), pa.decimal128(10, 2)),
    "date": (DATES, pa.date32()),
    "date with gaps": (gaps(DATES), pa.date32()),
    "time": (TIMES, pa.timestamp("us")),
    "time in a zone": (gaps(IN_ZONE), pa.timestamp("ms", "Asia/Taipei")),
}

Make = Callable[[pa.Table], Any]


def saved(table: pa.Table) -> Path:
    parquet.write_table(table, "saved.parquet")
    return Path("saved.parquet")


#: The same table elsewhere; pandas' own columns are what the others are held to.
PLACES: dict[str, Make] = {
    "pyarrow": lambda table: table,
    "pyarrow in chunks": lambda t: pa.concat_tables([t.slice(0, 5), t.slice(5)]),
    "pyarrow batch": lambda table: table.combine_chunks().to_batches()[0],
    "polars": polars.from_arrow,
    "pandas of arrow": lambda table: table.to_pandas(types_mapper=pandas.ArrowDtype),
    "parquet": saved,
}


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_column_has_one_meaning(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = pa.table({k: pa.array(v, t) for k, (v, t) in CELLS.items()})
    table = table.append_column("y", pa.array(["no", "yes"] * (N // 2)))
    expected = Dataset.from_frame(table.to_pandas(), target="y")
    given = PLACES[place](table)
    read = Dataset.from_parquet if place == "parquet" else Dataset.from_frame
    data = read(given, target="y")
    assert data.feature_names == expected.feature_names
    assert data.format == expected.format
    assert data.x.stored.tobytes() == expected.x.stored.tobytes()
    assert (data.y == expected.y).all()
    assert data.report.notes() == expected.report.notes()
    again = cr.data.read(given, format=expected.format)
    assert again.x.stored.tobytes() == expected.x.stored.tobytes()


NESTED: dict[str, tuple[list[Any], pa.DataType]] = {
    "list": ([[i] for i in range(N)], pa.list_(pa.int64())),
    "list of one length": ([[i, i] for i in range(N)], pa.list_(pa.int64(), 2)),
    "struct": ([{"a": i} for i in range(N)], pa.struct([("a", pa.int64())])),
    "bytes": ([bytes([i]) for i in range(N)], pa.binary()),
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("place", ["pyarrow", "polars", "pandas of arrow", "parquet"])
def test_nested_columns_are_refused_with_a_reason(
    kind: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values, type_ = NESTED[kind]
    table = pa.table({"odd": pa.array(values, type_), "y": [0.5 * i for i in range(N)]})
    read = Dataset.from_parquet if place == "parquet" else Dataset.from_frame
    with pytest.raises(DataError, match="'odd' holds no single values"):
        read(PLACES[place](table), target="y")


# -- memory --------------------------------------------------------------------------

X, Y = np.arange(40, dtype=np.float32), np.arange(40, dtype=np.int32) % 3
ROWS = X.reshape(10, 4)
LISTS = pa.FixedSizeListArray.from_arrays(pa.array(X), 4)
TWICE = pa.FixedSizeListArray.from_arrays(LISTS, 5)
FLOAT = pandas.ArrowDtype(pa.float32())

#: Features in Arrow's memory, and the array whose memory it is.
SHARED: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "a chunked column": (lambda: pa.table({"x": X})["x"], X),
    "an array": (lambda: pa.array(X), X),
    "a part of one": (lambda: pa.array(X).slice(8), X[8:]),
    "polars": (lambda: polars.Series(X), X),
    "pandas of arrow": (lambda: pandas.Series(pa.array(X), dtype=FLOAT), X),
    "a table of one column": (lambda: pa.table({"x": X}), X[:, None]),
    "a frame of one column": (lambda: polars.DataFrame({"x": X}), X[:, None]),
    "lists of one length": (lambda: LISTS, ROWS),
    "a part of the lists": (lambda: LISTS.slice(3), ROWS[3:]),
    "a table of lists": (lambda: pa.table({"x": LISTS}), ROWS),
    "lists of lists": (lambda: TWICE, X.reshape(2, 5, 4)),
    "an array of polars": (lambda: polars.Series(ROWS), ROWS),
}


@pytest.mark.parametrize("kind", SHARED)
def test_no_copy_where_the_layout_allows(kind: str) -> None:
    make, expected = SHARED[kind]
    data = Dataset(make(), np.zeros(len(expected), np.int32))
    np.testing.assert_array_equal(data.x.stored, expected)
    assert data.x.stored.dtype == np.float32
    if not kind.endswith("polars"):  # which aligns memory of its own
        assert np.shares_memory(data.x.stored, X)
    given = make()
    column = given["x"] if hasattr(given, "columns") else given
    assert np.shares_memory(np.asarray(data.x.stored), Dataset(column, data.y).x.stored)


def test_targets_and_several_inputs_share_memory() -> None:
    table = pa.table({"x": X, "y": Y})
    data = Dataset({"a": table["x"], "b": polars.Series(X)}, table["y"])
    assert np.shares_memory(data.y, Y)
    assert np.shares_memory(data.x["a"].stored, X)


def test_lists_with_gaps_are_refused() -> None:
    for values in ([[1.0, 2.0], None], [[1.0, None], [2.0, 3.0]]):
        with pytest.raises(ChainruleError):
            Dataset(pa.array(values, pa.list_(pa.float32(), 2)), [0, 1])
    with pytest.raises(DTypeError):
        Dataset(pa.table({"x": [[1.0], [2.0, 3.0]]}), [0, 1])


# -- Parquet -------------------------------------------------------------------------


def test_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pandas.DataFrame(
        {"a": range(N), "k": [*"uvw"] * (N // 3), "y": np.arange(N) / 2}
    )
    frame.iloc[:10].to_parquet("one.parquet")
    frame.iloc[10:].to_parquet("two.parquet")
    both = ["one.parquet", "two.parquet"]
    data = Dataset.from_parquet(both, target="y", dtype={"a": "number"})
    assert data.feature_names == ("a", "k=u", "k=v", "k=w")
    assert (data.x.stored[:, 0] == frame.a).all()
    assert data.lines.tolist() == [*range(N)]
    rows = cr.data.rows_of(both, data.format, data.lines[11:12])
    assert rows == [{"a": "11", "k": "w", "y": "5.5", "__index_level_0__": "11"}] or (
        rows == [{"a": "11", "k": "w", "y": "5.5"}]
    )
    some = Dataset.from_parquet(both, target="y", columns=("k", "y"))
    assert some.feature_names == ("k=u", "k=v", "k=w")
    stream = Stream.from_parquet(both, target="y", dtype={"a": "number"})
    assert np.concatenate([x for x, __ in stream.blocks(7)]).tobytes() == (
        data.x.stored.tobytes()
    )
    trainer = cr.Trainer(
        cr.nn.Linear(4, 1), loss=cr.nn.MSELoss(), optimizer=cr.optim.SGD(lr=1e-4)
    )
    trainer.fit(data, epochs=1, batch_size=8, progress=False)
    assert trainer.predict(cr.data.read("one.parquet", format=data.format).x).shape == (
        (10, 1)
    )


def test_bad_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parquet.write_table(pa.table({"a": [1.0], "y": [1.0]}), "good.parquet")
    parquet.write_table(pa.table({"b": [1.0], "y": [1.0]}), "other.parquet")
    none = pa.array([], pa.int8())
    parquet.write_table(pa.table({"a": none, "y": none}), "empty.parquet")
    whole = Path("good.parquet").read_bytes()
    Path("half.parquet").write_bytes(whole[: len(whole) // 2])
    Path("text.parquet").write_text("a,y\n1,2\n")
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (3, {}, ArgumentError, "not a path"),
        ([], {}, ArgumentError, "not a path"),
        ("none.parquet", {}, DataError, "There is no"),
        ("half.parquet", {}, DataError, "half.parquet"),
        ("text.parquet", {}, DataError, "cannot be read"),
        ("empty.parquet", {}, DataError, "is empty"),
        (["good.parquet", "other.parquet"], {}, DataError, "other columns"),
        ("good.parquet", {"columns": ["q"]}, DataError, "no column 'q'"),
        ("good.parquet", {"columns": "a"}, ArgumentError, "list of names"),
        ("good.parquet", {"target": "z"}, DataError, "no column 'z'"),
    ]
    for path, options, error, text in cases:
        with pytest.raises(error, match=text):
            Dataset.from_parquet(path, **{"target": "y", **options})


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ArgumentError, match=r"(?s)pyarrow.*chainrule\[parquet\]"):
        Dataset.from_parquet(tmp_path / "a.parquet", target="y")


LARGE = [2**60 + i for i in range(4)] * 3
MAKERS: dict[str, Make] = {
    "pyarrow": lambda table: table,
    "sliced": lambda table: pa.concat_tables([table, table]).slice(12),
    "polars": polars.from_arrow,
    "pandas": lambda table: table.to_pandas(types_mapper=pandas.ArrowDtype),
    "nullable": lambda table: table.to_pandas(
        types_mapper={pa.int64(): pandas.Int64Dtype()}.get
    ),
}


@pytest.mark.parametrize("gaps", [0, 1])
@pytest.mark.parametrize("kind", MAKERS)
def test_large_whole_numbers_stay_apart(kind: str, gaps: int) -> None:
    """In float64 all four would be one category, and one class."""
    ids = [*LARGE[: 12 - gaps], *[None] * gaps]
    make = MAKERS[kind]
    frame = make(pa.table({"id": ids, "y": [i / 3 for i in range(12)]}))
    data = Dataset.from_frame(frame, target="y", dtype={"id": "category"})
    assert data.feature_names[:4] == tuple(f"id={n}" for n in LARGE[:4])
    assert (data.x[:4, :4] == np.eye(4)).all()
    data = Dataset.from_frame(frame, target="id", task="classification")
    assert data.class_names == tuple(map(str, LARGE[:4]))
    assert data.y.tolist() == [0, 1, 2, 3] * 3 if not gaps else len(data) == 11


def test_one_row_of_large_whole_numbers() -> None:
    frame = pandas.DataFrame({"id": LARGE, "a": np.arange(12.0), "y": [0.5, 1, 2] * 4})
    data = Dataset.from_frame(frame, target="y", dtype={"id": "category"})
    for i in range(4):  # a frame of numbers alone has its rows as float64
        row = as_column(frame[["id", "a"]][i : i + 1], data)
        assert (row[:] == data.x[i : i + 1]).all()


def test_columns_that_float64_would_round() -> None:
    frame = pandas.DataFrame({"id": LARGE, "a": np.arange(12.0)})
    with pytest.warns(ChainruleWarning, match="(?s)float64.*1152921504606846977"):
        Dataset(frame, np.zeros(12))
    assert Dataset(frame[["id"]], np.zeros(12)).x.stored.dtype == np.int64


def test_nullable_columns_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pandas.DataFrame(
        {"n": pandas.array([1, 2], "Int64"), "b": pandas.array([True, False])}
    )
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert Dataset(frame, [1, 2]).x[:].tolist() == [[1, 1], [2, 0]]
