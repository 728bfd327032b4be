"""Windows of time series: views, targets that line up, no leak across a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    ChainruleWarning,
    DataError,
    NonFiniteError,
)
from chainrule.runs.trained import Trained

from .resuming import check_resumed, small_blocks

__all__ = ["small_blocks"]

SERIES = np.arange(40, dtype=np.float32).reshape(20, 2)
FRAME = pandas.DataFrame(
    {
        "shop": ["b", "a"] * 10,
        "day": np.repeat(pandas.date_range("2024-01-01", periods=10), 2),
        "sold": SERIES[:, 0],
        "price": SERIES[:, 1],
    }
)


def test_windows_are_views_of_the_series() -> None:
    data = Dataset.windows(SERIES, 4, horizon=2, stride=3)
    assert data.x.shape == (5, 4, 2)
    assert data.y.shape == (5, 2, 2)
    assert np.shares_memory(data.x.stored, SERIES)
    assert np.shares_memory(data.split(0.6, shuffle=False)[0].x.stored, SERIES)
    for i, line in enumerate(data.lines):
        assert line == 3 * i + 4
        np.testing.assert_array_equal(data.x[i], SERIES[line - 4 : line])
        np.testing.assert_array_equal(data.y[i], SERIES[line : line + 2])


@pytest.mark.parametrize(
    ("horizon", "targets", "shape"),
    [
        *((1, None, (16, 2)), (1, 1, (16, 1)), (1, ["price"], (16, 1))),
        *((3, "price", (14, 3)), (3, ("price", "sold"), (14, 3, 2))),
    ],
)
def test_shapes_of_targets(horizon: int, targets: Any, shape: tuple[int, ...]) -> None:
    frame = FRAME[["sold", "price"]]
    data = Dataset.windows(frame, 4, horizon=horizon, targets=targets)
    assert data.y.shape == shape
    assert data.of_windows.columns == ("sold", "price")
    first = np.asarray(data.y[0]).reshape(horizon, -1)[:, 0]
    column = "sold" if targets is None else "price"
    assert first.tolist() == frame[column][4 : 4 + horizon].tolist()


def test_several_series() -> None:
    data = Dataset.windows(FRAME, 3, targets="sold", group="shop", time="day")
    assert data.x.shape == (14, 3, 2)
    rows = FRAME.iloc[data.lines]  # predictions belong to these
    assert data.y[:, 0].tolist() == rows.sold.tolist()
    for i, line in enumerate(data.lines):
        own = FRAME[FRAME.shop == FRAME.shop[line]]
        before = own[own.day < FRAME.day[line]].tail(3)
        assert data.x[i][:, 0].tolist() == before.sold.tolist()
    short = pandas.concat([FRAME, FRAME.tail(1).assign(shop="c")])
    assert len(Dataset.windows(short, 3, group="shop", time="day")) == 14


@given(
    rows=st.integers(8, 40),
    length=st.integers(1, 5),
    horizon=st.integers(1, 4),
    stride=st.integers(1, 3),
    gap=st.integers(0, 4),
    share=st.floats(0.2, 0.9),
    groups=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_leak_across_a_split(
    rows: int,
    length: int,
    horizon: int,
    stride: int,
    gap: int,
    share: float,
    groups: int,
) -> None:
    series = np.arange(rows * groups, dtype=np.float32)
    group = series.astype(int) % groups
    try:
        data = Dataset.windows(
            series, length, horizon=horizon, stride=stride, group=group
        )
        first, second = data.split(share, shuffle=False, gap=gap)
    except ChainruleError:
        return
    for of in range(groups):
        chosen = [part.of_windows.groups == of for part in (first, second)]
        if not all(c.any() for c in chosen):
            continue
        held = max(first.x[chosen[0]].max(), first.y[chosen[0]].max())
        assert second.y[chosen[1]].min() >= held + groups * (1 + gap)


def test_a_split_loses_only_what_would_leak() -> None:
    data = Dataset.windows(SERIES, 4, horizon=1)
    first, second = data.split(0.5, shuffle=False)
    assert len(first) + len(second) == len(data)
    first, second = Dataset.windows(SERIES, 4, horizon=3).split(6, shuffle=False)
    assert first.lines.max() + 3 == second.lines.min()
    __, later = data.split(0.5, shuffle=False, gap=2)
    assert later.lines.min() == data.lines[8] + 2


def test_windows_are_not_split_at_random() -> None:
    data = Dataset.windows(SERIES, 4)
    for call in (lambda: data.split(0.5), lambda: next(data.folds(3))):
        with pytest.raises(ArgumentError, match=r"(?s)overlap.*shuffle=False"):
            call()


def test_other_rows_are_split_in_order() -> None:
    data = Dataset(SERIES, np.arange(20) % 2)
    first, second = data.split(0.5, shuffle=False, gap=3)
    assert (len(first), len(second)) == (10, 7)
    assert np.shares_memory(second.x.stored, SERIES)
    with pytest.raises(ArgumentError, match="stratify"):
        data.split(0.5, shuffle=False, stratify=True)
    with pytest.raises(ArgumentError, match="gap=1"):
        data.split(0.5, gap=1)
    with pytest.raises(ArgumentError, match="Cannot split"):
        data.split(0.5, shuffle=False, gap=10)


def net(length: int = 4) -> cr.Trainer:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * length, 2))
    adam, loss = optim.Adam(lr=0.01), nn.MSELoss()
    return cr.Trainer(model, loss=loss, optimizer=adam, engine="numpy")


@pytest.mark.usefixtures("small_blocks")
def test_training_gathers_what_a_copy_holds() -> None:
    data = Dataset.windows(SERIES / 40, 4)
    trained, copied = net(), net()
    options: Any = {"epochs": 3, "batch_size": 4, "progress": False}
    trained.fit(data, validation=data, **options)
    copied.fit(Dataset(data.x.stored.copy(), data.y.copy()), **options)
    losses = [t.history.steps["loss"].tobytes() for t in (trained, copied)]
    assert losses[0] == losses[1]
    assert trained.predict(data).shape == (16, 2)


@pytest.mark.usefixtures("small_blocks")
def test_a_run_on_windows_goes_on_bit_for_bit(tmp_path: Any) -> None:
    draw = np.random.default_rng(0).normal(size=46).astype("f4")
    data = Dataset.windows(draw, 2)

    def flat() -> Dataset:
        part = data[:]
        part.x = cr.data.Column(data.x.stored[..., 0])
        return part

    check_resumed(flat, tmp_path, (1, 5, 12))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"length": 0}, ArgumentError, "length"),
        ({"horizon": 0}, ArgumentError, "horizon"),
        ({"stride": 1.5}, ArgumentError, "stride"),
        ({"length": 20}, DataError, r"(?s)shorter.*21 rows.*20 rows"),
        ({"targets": "solt"}, DataError, "did you mean 'sold'"),
        ({"targets": 4}, DataError, "no column 4"),
        ({"group": "store"}, DataError, "no column 'store'"),
        ({"time": "shop"}, DataError, r"(?s)no date.*row 0: b"),
        ({"group": [1, 2]}, ArgumentError, r"(?s)each row.*20 values.*2"),
    ],
)
def test_what_is_refused(options: Any, error: Any, text: str) -> None:
    frame = FRAME.drop(columns=[] if options.get("time") else ["shop", "day"])
    given: dict[str, Any] = {"length": 3, **options}
    if options.get("time"):
        frame = frame.drop(columns="day")
    with pytest.raises(error, match=text):
        Dataset.windows(frame, **given)


def test_gaps_and_odd_series_are_refused() -> None:
    series = SERIES.copy()
    series[7, 1] = np.nan
    with pytest.raises(NonFiniteError, match="row 7, column 1"):
        Dataset.windows(series, 3)
    with pytest.raises(ArgumentError, match="one row for each moment"):
        Dataset.windows(SERIES.reshape(2, 5, 4), 3)
    with pytest.raises(ArgumentError, match="no names"):
        Dataset.windows(SERIES, 3, group="shop")
    with pytest.raises(ChainruleError, match="real numbers"):
        Dataset.windows(FRAME, 3)
    with pytest.raises(DataError, match=r"sort_values\('day'\)"):
        Dataset.windows(FRAME[::-1], 3, group="shop", time="day")


def test_whole_numbers_stay_what_they_are() -> None:
    series = 2**24 + np.arange(9)
    data = Dataset.windows(series, 3)
    assert (data.x.stored[:, :, 0] == [series[i : i + 3] for i in range(6)]).all()
    assert (data.y[:, 0] == series[3:]).all()
    assert Dataset.windows(np.arange(9), 3).x.dtype == np.float32
    with pytest.warns(ChainruleWarning, match="float64"):
        Dataset.windows(2**53 + np.arange(9), 3)


def test_times_as_texts_are_dates() -> None:
    """In the order of the alphabet 9/1/2024 is in front of 9/2/2023."""
    days = [f"2024-0{i}-28 0{9 - i}:00" for i in range(1, 8)]
    assert len(Dataset.windows(np.arange(7.0), 3, time=days)) == 4
    with pytest.raises(DataError, match=r"row 3: .*2024-03"):
        Dataset.windows(np.arange(7.0), 3, time=[*days[:3], days[2], *days[4:]])
    with pytest.raises(DataError, match=r"(?s)no date.*row 0: 9/1/2024"):
        Dataset.windows(np.arange(3.0), 1, time=["9/1/2024", "9/2/2023", "9/3/2023"])


@pytest.mark.parametrize("gap", [None, np.nan, pandas.NA, pandas.NaT])
def test_a_row_without_a_group_is_refused(gap: Any) -> None:
    group = np.array(["a"] * 4 + [gap] * 4, object)
    with pytest.raises(DataError, match=r"(?s)no series.*row 4"):
        Dataset.windows(np.arange(8.0), 2, group=group)


def test_groups_are_told_apart_by_value() -> None:
    group = np.array([1, "1"] * 4, object)
    data = Dataset.windows(np.arange(8.0), 2, group=group)
    assert data.y[:, 0].tolist() == [4.0, 6.0, 5.0, 7.0]
    data = Dataset.windows(np.arange(8.0), 2, group=[10, 9] * 4)
    assert data.lines.tolist() == [5, 7, 4, 6]


def test_windows_of_other_columns_are_refused(tmp_path: Any) -> None:
    """An array of windows has no names: columns would be taken by their place."""
    frame, loss = FRAME[["sold", "price"]], nn.MSELoss()
    data = Dataset.windows(frame, 3, targets="sold")
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 1))
    trainer = cr.Trainer(model, loss=loss, optimizer=optim.SGD(lr=1e-6))
    trainer.fit(data, epochs=1, batch_size=4, progress=False)
    trainer.save(tmp_path / "run.ckpt")
    swapped = Dataset.windows(frame[["price", "sold"]], 3, targets="sold")
    other = Dataset.windows(frame, 3, targets="price")
    for trained in (trainer, cr.Trainer.load(tmp_path / "run.ckpt")):
        assert (trained.predict(data[:2]) == trained.predict(data)[:2]).all()
        with pytest.raises(DataError, match=r"(?s)other columns.*sold, price.*price, "):
            trained.predict(swapped)
        with pytest.raises(DataError, match=r"(?s)other targets.*sold.*price"):
            trained.evaluate(other)
        trained.predict(data.x)  # an array counts by place, as ever
    run = Trained.load(tmp_path / "run.ckpt")
    assert run.format_for(tmp_path / "new.npz") == {"kind": "npz"}
    with pytest.raises(ArgumentError, match="NPZ"):
        run.format_for(tmp_path / "new.csv")
