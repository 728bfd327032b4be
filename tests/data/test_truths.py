"""Columns of truth values, as each way in spells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

import chainrule as cr
from chainrule.data.adapter import as_column
from chainrule.data.tables.columns import Category
from chainrule.errors import DataError

TRUTHS = [True, False, True, True, False] * 6


def read(tmp_path: Path, values: list[Any], **options: Any) -> cr.data.Dataset:
    """A column as it stands in a file, read as a category."""
    lines = [f"{v},{i}" for i, v in enumerate(values)]
    (tmp_path / "t.csv").write_text("\n".join(["k,y", *lines]))
    kinds: Any = {"k": "category"}
    return cr.data.read_csv(tmp_path / "t.csv", target="y", dtype=kinds, **options)


#: How the truth values of a training table are spelled.
TRAINED: dict[str, tuple[str, str]] = {
    "Python": ("True", "False"),
    "JSON": ("true", "false"),
    "spreadsheets": ("TRUE", "FALSE"),
    "numbers": ("1", "0"),
}
#: How later ones are given.
GIVEN: dict[str, Any] = {
    "truth values": lambda v: v,
    "numpy": np.array,
    "numbers": lambda v: [int(x) for x in v],
    "floats": lambda v: [float(x) for x in v],
    "texts": lambda v: [str(x) for x in v],
    "small letters": lambda v: [str(x).lower() for x in v],
    "large letters": lambda v: [str(x).upper() for x in v],
    "nullable": lambda v: pandas.array(v, "boolean"),
    "a polars series": polars.Series,
    "objects with a gap's neighbour": lambda v: np.array(v, object),
}


@pytest.mark.parametrize("unknown", ["other", "error"])
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("trained", TRAINED)
def test_truth_values(tmp_path: Path, trained: str, given: str, unknown: Any) -> None:
    yes, no = TRAINED[trained]
    data = read(tmp_path, [yes if v else no for v in TRUTHS], unknown=unknown)
    for n in (1, len(TRUTHS)):
        frame = {"k": GIVEN[given](TRUTHS[:n])}
        np.testing.assert_array_equal(as_column(frame, data).stored, data.x[:n])
        again = cr.data.read({**frame, "y": [0.5] * n}, format=data.format)
        assert not again.report.unknown


def test_a_frame_of_truth_values_and_a_file(tmp_path: Path) -> None:
    data = cr.data.Dataset.from_frame({"k": TRUTHS, "y": np.arange(30)}, target="y")
    (tmp_path / "new.csv").write_text("k\n1\nfalse\nTRUE\n0\n")
    found = cr.data.read(tmp_path / "new.csv", format=data.format, target=False)
    wanted = as_column({"k": [True, False, True, False]}, data).stored
    np.testing.assert_array_equal(found.x.stored, wanted)
    assert len(np.unique(wanted, axis=0)) == 2


def test_a_gap_is_none_and_a_mark_of_gaps_stays_one(tmp_path: Path) -> None:
    values = ["True", "False", ""] * 10
    data = read(tmp_path, values, missing_values=["0"])
    found = as_column({"k": [None, "0", 1, True]}, data).stored
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize(
    "values", [["yes", "true"], ["0", "1", "2"], ["1", "a"], ["1"]]
)
def test_others_are_not_taken_for_truth_values(values: list[str]) -> None:
    assert not Category("k", tuple(values)).spellings
    assert not Category("k", tuple(values[:1]), rare=tuple(values[1:])).spellings


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    data = read(tmp_path, [str(v) for v in TRUTHS], unknown="error")
    for strange in ("2", "yes", 0.5, "1.0"):
        with pytest.raises(DataError, match="not there in training"):
            as_column({"k": [strange]}, data)
