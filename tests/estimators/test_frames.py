"""Frames: columns of categories, dates and gaps, as pandas and polars have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainrule.errors import DataError
from chainrule.sklearn import ChainruleClassifier, ChainruleRegressor

ROWS = 120


def table() -> tuple[pd.DataFrame, np.ndarray]:
    """A table in which the target is the colour's number, and the day's."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 3, ROWS)
    size = rng.normal(size=ROWS)
    days = rng.integers(0, 300, ROWS)
    frame = pd.DataFrame(
        {
            "colour": pd.Categorical.from_codes(colour, ["red", "green", "blue"]),
            "code": pd.Categorical(colour * 100),
            "size": np.where(rng.random(ROWS) < 0.1, np.nan, size),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D"),
            "word": np.array(["one", "two", "three"])[rng.integers(0, 3, ROWS)],
        }
    )
    return frame, colour * 2.0 + days / 100


def test_columns_of_all_kinds() -> None:
    X, y = table()
    model = ChainruleRegressor(max_iter=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.feature_names_in_.tolist() == list(X)
    names = model._features.names(model.feature_names_in_)
    assert {"colour=red", "code=200", "size is missing", "word=two"} <= set(names)
    # By an array the columns count by their places.
    with pytest.warns(UserWarning, match="valid feature names"):
        by_place = model.predict(X.to_numpy(object))
    np.testing.assert_allclose(by_place, model.predict(X), rtol=1e-5)


def test_an_unknown_category_and_a_new_gap_are_taken() -> None:
    X, y = table()
    model = ChainruleRegressor(max_iter=5, random_state=0).fit(X, y)
    new = X[:3].assign(word="four", size=[np.nan, 0.0, 1.0])
    assert np.isfinite(model.predict(new)).all()


def test_numbers_with_gaps() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    gone = rng.random(200) < 0.3
    y = np.where(gone, 3.0, X[:, 0])
    X[gone, 0] = np.nan
    model = ChainruleRegressor(max_iter=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95  # that a number is missing is a feature
    X[0, 1] = np.nan  # no gap in training: the mean stands in
    assert np.isfinite(model.predict(X)).all()
    filled = X.copy()
    filled[0, 1] = model._features.means[1]
    np.testing.assert_allclose(model.predict(X), model.predict(filled))


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    X, y = table()
    frame = polars.DataFrame(
        {"word": X["word"].tolist(), "colour": X["colour"].astype(str).tolist()}
    ).with_columns(polars.col("colour").cast(polars.Categorical))
    model = ChainruleRegressor(max_iter=60, random_state=0).fit(frame, y)
    assert model.score(frame, y) > 0.5


def test_columns_that_changed() -> None:
    X, y = table()
    model = ChainruleRegressor(max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={"size": "length"}))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[list(X)[::-1]])
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X.drop(columns="word"))
    with pytest.raises(DataError, match="size"):
        model.predict(X.assign(size="large"))


def test_numbers_of_pandas() -> None:
    frame = pd.DataFrame({"a": pd.array([1, 2, None] * 20, dtype="Int64"), "b": True})
    y = np.array([0, 1, 1] * 20)
    model = ChainruleClassifier(random_state=0, max_iter=60).fit(frame, y)
    assert model.score(frame, y) == 1.0


def test_weights_of_rows_of_a_table() -> None:
    X, y = table()
    counts: Any = (np.arange(ROWS) % 2).astype(float)
    model = ChainruleRegressor(max_iter=2, random_state=0).fit(X, y, counts)
    assert np.isfinite(model.predict(X)).all()


def test_nothing_is_learnt_of_rows_of_a_table_without_weight() -> None:
    X, y = table()
    X["word"] = np.where(np.arange(ROWS) < 60, X["word"], "last")
    X["size"] = np.where(np.arange(ROWS) < 60, 1.0 * np.arange(ROWS), np.nan)
    counts: Any = (np.arange(ROWS) < 60) * 1.0
    options: dict[str, Any] = {"max_iter": 2, "random_state": 0}
    model = ChainruleRegressor(**options).fit(X, y, counts)
    alone = ChainruleRegressor(**options).fit(X[:60], y[:60])
    assert model._features.schema == alone._features.schema
    np.testing.assert_allclose(model.predict(X), alone.predict(X), rtol=1e-6)


@pytest.mark.parametrize("learnt", ["bool", "int64", "float64", "boolean", "object"])
def test_truth_values_are_numbers(learnt: str) -> None:
    """A column of truth values is the same one as numbers, with gaps or not."""
    X, y = table()
    flags = np.arange(ROWS) % 3 == 0
    forms = {
        kind: X.assign(flag=pd.array(flags, "boolean") if kind == "boolean" else column)
        for kind in ("bool", "int64", "float64", "boolean", "object")
        for column in [flags.astype(kind if kind != "boolean" else "bool")]
    }
    model = ChainruleRegressor(max_iter=3, random_state=0).fit(forms[learnt], y)
    expected = model.predict(forms[learnt])
    for frame in forms.values():
        np.testing.assert_array_equal(model.predict(frame), expected)
    other = model.predict(X.assign(flag=~flags))
    assert not np.allclose(other, expected)
    gone = model.predict(X.assign(flag=np.where(flags, np.nan, False)))
    missing = model.predict(X.assign(flag=np.where(flags, None, False)))
    np.testing.assert_array_equal(gone, missing)


def test_columns_named_by_numbers_by_their_places() -> None:
    X, y = table()
    X.columns = range(X.shape[1])
    model = ChainruleRegressor(max_iter=3, random_state=0).fit(X, y)
    by_place = model.predict(X.to_numpy(object))
    np.testing.assert_allclose(by_place, model.predict(X), rtol=1e-5)
