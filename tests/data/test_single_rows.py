"""A row alone is read as it is among others, whatever gives it and what it holds."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import polars
import pytest

import chainrule as cr
from chainrule.data.adapter import as_column
from chainrule.data.tables import cells
from chainrule.errors import ChainruleError, DataError

pyarrow: Any = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install it")
N = 40
TIMES = [
    datetime.datetime(2020 + i % 4, 1 + i % 12, 1 + i % 28, i % 24, 3 * i % 60)
    for i in range(N)
]


def some(values: Any, missing: bool) -> Any:
    """Values as objects, of which some are missing, or as they are."""
    if not missing:
        return values
    return [None if i % 5 == 2 else v for i, v in enumerate(values)]


def columns(missing: bool) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    whole, texts = rng.integers(0, 99, N).tolist(), rng.choice([*"abcd"], N).tolist()
    written = {f: [t.strftime(f) for t in TIMES] for f in ("%d.%m.%Y", "%b %d, %Y")}
    return {
        "float": some((rng.normal(size=N) * 100).tolist(), missing),
        "narrow": rng.normal(size=N).astype(np.float32),
        "whole": some(whole, missing),
        "large": [2**55 + i for i in whole],
        "nullable": pandas.array(some(whole, missing), "Int64"),
        "truth": [i % 3 == 0 for i in range(N)],
        "mixed": some([[1, True, 0, "b", 2.5][i % 5] for i in whole], missing),
        "text": some(texts, missing),
        "category": pandas.Categorical(some(texts, missing)),
        "coded": pandas.Categorical(some([n % 7 for n in whole], missing)),
        "price": [f"${n * 1000:,}.50" for n in whole],
        "moment": pandas.to_datetime(some(TIMES, missing)),
        "zoned": pandas.to_datetime(some(TIMES, missing)).tz_localize("Asia/Taipei"),
        "iso": some([t.isoformat(" ") for t in TIMES], missing),
        "iso with a zone": [
            f"{t.isoformat()}{'Z' if t.day % 2 else '-03:30'}" for t in TIMES
        ],
        **{f: some(texts, missing) for f, texts in written.items()},
    }


def as_dict(row: pandas.DataFrame) -> dict[str, Any]:
    return {str(name): row[name].iloc[0] for name in row}


def as_objects(row: pandas.DataFrame) -> dict[str, Any]:
    return {
        k: v.item() if isinstance(v, np.generic) else v for k, v in as_dict(row).items()
    }


ROWS: dict[str, Callable[[pandas.DataFrame], Any]] = {
    "a frame": lambda row: row,
    "a row of a frame": lambda row: row.iloc[0],
    "a dictionary": as_dict,
    "a dictionary of Python's objects": as_objects,
    "a dictionary of columns": lambda row: {k: [v] for k, v in as_dict(row).items()},
    "polars": polars.from_pandas,
    "pyarrow": lambda row: pyarrow.Table.from_pandas(row, preserve_index=False),
}


def table(names: list[str], missing: bool) -> pandas.DataFrame:
    given = columns(missing)
    frame = pandas.DataFrame({name: given[name] for name in names})
    return frame.assign(y=np.arange(N) / N)


@pytest.mark.parametrize("policy", ["fill", "error"])
@pytest.mark.parametrize("kind", [*columns(missing=False)])
def test_a_row_of_any_kind(kind: str, policy: Any) -> None:
    frame = table([kind, "float"] if kind != "float" else [kind], policy == "fill")
    options: Any = {"dtype": {kind: "category"}} if kind == "large" else {}
    data = cr.data.Dataset.from_frame(frame, target="y", missing=policy, **options)
    x = frame.drop(columns="y")
    for i in (0, 1, 2, 7):
        row = x.iloc[i : i + 1].reset_index(drop=True)
        for name, make in ROWS.items():
            if name == "a row of a frame" and kind == "large":
                continue  # pandas rounds it, as a row has one type
            found = as_column(make(row), data).stored
            np.testing.assert_array_equal(found, data.x[i : i + 1], err_msg=name)
            assert found.dtype == data.x.dtype


def test_numbers_that_a_frame_has_as_categories_are_codes() -> None:
    """Of a target they are classes; what ``dtype`` and ``task`` say stays so."""
    frame = pandas.DataFrame(
        {
            "zip": pandas.Categorical([900, 100, 300] * 4),
            "share": pandas.Categorical([0.5, 1.5, 2.0] * 4),
            "age": [7, 3, 8] * 4,
            "kind": pandas.Categorical([1, 0] * 6),
        }
    )
    data = cr.data.Dataset.from_frame(frame, target="kind", dtype={"share": "number"})
    names = ("zip=100", "zip=300", "zip=900", "share", "age")
    assert data.feature_names == names
    assert data.x[:2].tolist() == [[0, 0, 1, 0.5, 7], [1, 0, 0, 1.5, 3]]
    assert data.class_names == ("0", "1")
    of_numbers = cr.data.Dataset.from_frame(frame, target="kind", task="regression")
    assert of_numbers.y[:2].tolist() == [[1], [0]]
    new = pandas.DataFrame({"zip": [300], "share": [2.0], "age": [5]})
    assert as_column(new, data).stored.tolist() == [[0, 1, 0, 2.0, 5]]


def test_large_whole_numbers_beside_floats_are_not_rounded() -> None:
    """A frame's row as a Series has one type, which whole numbers may not fit."""
    frame = table(["float", "large"], missing=False)
    options: Any = {"dtype": {"large": "category"}}
    data = cr.data.Dataset.from_frame(frame, target="y", **options)
    row = frame.drop(columns="y").iloc[3:4]
    np.testing.assert_array_equal(as_column(row, data).stored, data.x[3:4])


@pytest.mark.parametrize("kind", [*columns(missing=False)])
def test_a_row_needs_no_pass_over_columns(kind: str, monkeypatch: Any) -> None:
    """What pandas does for a whole column takes longer than to read a row."""
    frame = table([kind], missing=False)
    data = cr.data.Dataset.from_frame(
        frame, target="y", dtype={"large": "category"} if kind == "large" else {}
    )
    row = frame.drop(columns="y").iloc[:1]
    rows = [make(row) for make in ROWS.values()]

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pass over a column")

    for name in ("to_datetime", "factorize", "Series"):
        monkeypatch.setattr(pandas, name, refused)
    for given in rows:
        as_column(given, data)


@pytest.mark.parametrize("moment", ["now", "today"])
@pytest.mark.parametrize("kind", ["iso", "iso with a zone", "%d.%m.%Y"])
def test_the_present_is_no_date(kind: str, moment: str) -> None:
    """pandas reads these words as the moment at which it does."""
    frame = table([kind], missing=False)
    data = cr.data.Dataset.from_frame(frame, target="y")
    for n in (1, 30):
        with pytest.raises(DataError, match="cannot be used") as error:
            as_column(pandas.DataFrame({kind: [moment] * n}), data)
        assert moment in str(error.value)


@pytest.mark.parametrize(
    "cell", ["the 3rd", "30.02.2020", "2020-02-30", "2020-01-01 24:00", "1.5", 5]
)
def test_what_is_no_date_is_refused_alone_as_among_others(cell: Any) -> None:
    for kind in ("iso", "%d.%m.%Y"):
        frame = table([kind], missing=False)
        data = cr.data.Dataset.from_frame(frame, target="y")
        said = []
        for n in (1, 30):
            with pytest.raises(ChainruleError) as error:
                as_column({kind: [cell] * n}, data)
            said.append(str(error.value))
        assert said[0] == said[1]


ZONES = ["", "Z", "+08:00", "-0530", "+14:00", "-23:59", "+24:00", "+05:60", "z", "+08"]


@pytest.mark.parametrize("format", cells.DATES)
def test_dates_are_those_of_pandas(format: str) -> None:
    """Few texts go another way than many; texts with slips of the pen among them."""
    draw = random.Random(format)
    for _ in range(300):
        year = draw.choice([1, 2, 1677, 1970, 1999, 2024, 2262, 9999])
        time = datetime.datetime(year, 1, 1) + datetime.timedelta(
            draw.randrange(364), draw.randrange(86_400), draw.choice([0, 0, 5, 123456])
        )
        text = time.strftime(format)
        if format == cells.ISO:
            text = time.isoformat(sep=draw.choice(" T"))
            text = text[: draw.choice([10, 16, 19, 26])] + draw.choice(ZONES)
        if draw.random() < 0.3:
            at = draw.randrange(len(text))
            slip = draw.choice("0123456789 -:.,/TapmPMAZ٣é\t")
            text = text[:at] + slip + text[at + draw.randrange(2) :]
        made = cells.dated([text.strip()], format)
        wanted = pandas.to_datetime(
            [text.strip()], format=format, errors="coerce", utc=True
        )
        np.testing.assert_array_equal(
            made.astype("M8[us]"), wanted.tz_localize(None).to_numpy().astype("M8[us]")
        )


@pytest.mark.parametrize("nanoseconds", [False, True])
def test_dates_far_away(nanoseconds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows have those that one row has; pandas 2 takes them for missing."""
    known = pandas.to_datetime

    def to_datetime(texts: list[str], **options: Any) -> Any:
        dates = known(texts, **options)
        return dates.where(dates.year < 2262).as_unit("ns")

    if nanoseconds:
        monkeypatch.setattr(pandas, "to_datetime", to_datetime)
    days = ["31.12.9999", "01.02.2024", "", "30.02.2024", "1500"]
    zoned = ["9999-01-02T10:00Z", "2024-02-01", "", "2024-02-30", "x"]
    for texts, form in ((days, "%d.%m.%Y"), (zoned, cells.ISO)):
        one = [cells.dated([text], form)[0] for text in texts]
        assert [str(date)[:4] for date in one] == ["9999", "2024", "NaT", "NaT", "NaT"]
        np.testing.assert_array_equal(cells.dated(texts * 9, form), one * 9)
