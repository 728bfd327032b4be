"""Columns are found by their names, at whatever entry a table comes in."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, ChainruleError, DataError, ShapeError

#: Frames of several kinds, from columns by name.
KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pandas.DataFrame,
    "polars": lambda columns: pytest.importorskip("polars").DataFrame(columns),
}
Columns = dict[str, Any]


def table(rng: np.random.Generator, n: int = 12) -> Columns:
    """Columns of several types, whose sizes tell them apart."""
    types: tuple[Any, ...] = (np.float64, np.float32, np.int64, np.int16, bool)
    made = {}
    for i in range(int(rng.integers(2, 6))):
        numbers = rng.normal(size=n) * 2**i
        made[f"c{rng.integers(1000)}_{i}"] = numbers.astype(rng.choice(types))
    return made


def trained(train: Any, width: int, targets: int = 1) -> cr.Trainer:
    cr.manual_seed(1)
    trainer = cr.Trainer(
        nn.Linear(width, targets),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=1e-3),
        engine="numpy",
    )
    trainer.fit(train, epochs=1, batch_size=5, progress=False)
    return trainer


def shuffled(rng: np.random.Generator, columns: Columns, more: bool = False) -> Columns:
    if more:
        n = len(next(iter(columns.values())))
        columns = columns | {"further": rng.normal(size=n)}
    return {k: columns[k] for k in rng.permutation(list(columns)).tolist()}


def entries(trainer: cr.Trainer, frame: Any, x: Any, y: Any) -> list[Any]:
    """What a trained Trainer makes of a frame at each of its entries.

    Args:
        trainer: is not changed.
        frame: that is given.
        x: the same for the constructor of a Dataset.
        y: its targets.
    """
    made: list[Any] = [
        trainer.predict(frame),
        trainer.predict(cr.data.Dataset(x, y)),
        trainer.evaluate((frame, y))["loss"],
        trainer.evaluate(cr.data.Dataset(x, y))["loss"],
    ]
    path = io.BytesIO()
    trainer.save(path)
    for validation in ((frame, y), cr.data.Dataset(x, y)):
        again = cr.Trainer.load(io.BytesIO(path.getvalue()))
        weight = np.arange(1.0, len(y) + 1)
        history = again.fit(
            (frame, y),
            epochs=1,
            batch_size=5,
            validation=validation,
            sample_weight=weight,
            progress=False,
        )
        made += [history.epochs[-1]["validation_loss"], again.model.weight.numpy()]
        again.resume(
            (frame, y), epochs=2, validation=validation, sample_weight=weight,
            progress=False,
        )  # fmt: skip
        made.append(again.model.weight.numpy())
    return made


def same(first: list[Any], second: list[Any]) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("seed", "kind"), list(enumerate(KINDS)))
def test_order_and_further_columns_change_nothing(kind: str, seed: int) -> None:
    check_order(kind, seed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(12))
def test_order_and_further_columns_change_nothing_at_length(
    kind: str, seed: int
) -> None:
    check_order(kind, seed)


def check_order(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, make = table(rng), KINDS[kind]
    y = rng.normal(size=(12, 1)).astype(np.float32)
    plain = np.stack(list(columns.values()), axis=1)
    for train in ((make(columns), y), cr.data.Dataset(make(columns), y)):
        trainer = trained(train, len(columns))
        assert trainer.feature_names == tuple(columns)
        wanted = entries(trainer, plain, plain, y)
        for more in (False, True):
            other = make(shuffled(rng, columns, more))
            named = cr.data.Dataset(other, y).like(trainer.plan)
            assert np.array_equal(named.x[:], cr.data.Dataset(plain, y).x[:])
            assert same(entries(trainer, other, other, y), wanted)


@pytest.mark.parametrize(("seed", "kind"), list(enumerate(KINDS)))
def test_a_frame_that_was_read(kind: str, seed: int) -> None:
    """Texts, gaps and the target: the format of the first frame reads the others."""
    rng, make = np.random.default_rng(seed), KINDS[kind]
    city = rng.choice(["Tainan", "Taipei", "Hualien"], 12)
    columns = table(rng) | {"city": city.tolist(), "y": rng.normal(size=12)}
    columns = shuffled(rng, columns)
    data = cr.data.Dataset.from_frame(make(columns), target="y")
    trainer = trained(data, data.x.shape[1])
    wanted, loss = trainer.predict(data.x[:]), trainer.evaluate(data)["loss"]
    for more in (False, True):
        other = make(shuffled(rng, columns, more))
        assert np.array_equal(trainer.predict(other), wanted)
        assert trainer.evaluate(other)["loss"] == loss
        assert trainer.evaluate((other, data.y))["loss"] == loss
        rows = slice(0, 3)
        few = make({k: v[rows] for k, v in shuffled(rng, columns).items()})
        assert np.array_equal(trainer.predict(few), wanted[rows])
        assert trainer.format is not None
        for missing in (column["name"] for column in trainer.format["columns"]):
            left = {k: v for k, v in columns.items() if k != missing}
            with pytest.raises(DataError, match=f"no column '{missing}'"):
                trainer.predict(make(left))
    read = cr.data.Dataset.from_frame(make(shuffled(rng, columns)), target="y")
    assert np.array_equal(trainer.predict(read), wanted)
    assert trainer.evaluate(read)["loss"] == loss


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_are_not_there_are_named(kind: str) -> None:
    rng, make = np.random.default_rng(3), KINDS[kind]
    columns = table(rng)
    y = rng.normal(size=(12, 1)).astype(np.float32)
    trainer = trained((make(columns), y), len(columns))
    for gone in columns:
        for left in (
            {k: v for k, v in columns.items() if k != gone},
            {k + " 2" * (k == gone): v for k, v in columns.items()},
        ):
            frame: Any = make(left)
            calls = (
                lambda f=frame: trainer.predict(f),
                lambda f=frame: trainer.predict(cr.data.Dataset(f, y)),
                lambda f=frame: trainer.evaluate((f, y)),
                lambda f=frame: trainer.evaluate(cr.data.Dataset(f, y)),
                lambda f=frame: trainer.fit((f, y), epochs=1, progress=False),
                lambda f=frame: trainer.resume((f, y), epochs=3, progress=False),
                lambda f=frame: trainer.profile((f, y)),
                lambda f=frame: trainer.fit(
                    (make(columns), y),
                    epochs=1,
                    batch_size=5,
                    validation=(f, y),
                    progress=False,
                ),
            )
            for call in calls:
                with pytest.raises(DataError, match=f"no column '{gone}'"):
                    call()
    assert trainer.epoch == 1


def test_several_targets() -> None:
    """They are found by their names too; one alone cannot be mistaken."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 2))
    y = pandas.DataFrame(rng.normal(size=(9, 3)) * [1, 10, 100], columns=[*"pqr"])
    trainer = trained((x, y), 2, 3)
    assert trainer.plan is not None
    assert trainer.plan.target_names == ("p", "q", "r")
    loss = trainer.evaluate((x, y.to_numpy()))["loss"]
    for order in ("rqp", "qrp", "prqs"):
        other = y.assign(s=0.0)[[*order]]
        assert trainer.evaluate((x, other))["loss"] == loss
    with pytest.raises(DataError, match="no column 'q', in training a target"):
        trainer.evaluate((x, y.rename(columns={"q": "Q"})))
    whole = pandas.DataFrame(x, columns=["a", "b"]).join(y)
    data = cr.data.Dataset.from_frame(whole, target=["p", "q", "r"])
    other = cr.data.Dataset.from_frame(whole[[*"rbqap"]], target=["r", "q", "p"])
    trainer = trained(data, 2, 3)
    assert trainer.evaluate(other)["loss"] == trainer.evaluate(data)["loss"]
    one = trained((x, y[["p"]]), 2)
    assert one.evaluate((x, y[["p"]].rename(columns={"p": "P"})))["loss"] >= 0


def test_labels_by_the_names_of_classes() -> None:
    frame = pandas.DataFrame({"a": [1.0, 2, 3, 4, 5, 6], "k": [*"uvwuvw"]})
    data = cr.data.Dataset.from_frame(frame, target="k")
    cr.manual_seed(0)
    trainer = cr.Trainer(
        nn.Linear(1, 3),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1),
        engine="numpy",
    )
    trainer.fit(data, epochs=1, batch_size=2, progress=False)
    part = frame[frame["k"] != "u"]
    wanted = trainer.evaluate(data.rows([1, 2, 4, 5]))
    found = trainer.evaluate(cr.data.Dataset.from_frame(part, target="k"))
    assert found == wanted  # its labels 0 and 1 are 1 and 2 here
    strange = frame.assign(k=[*"uvxuvx"])
    with pytest.raises(DataError, match="classes that were not there in training: 'x'"):
        trainer.evaluate(cr.data.Dataset.from_frame(strange, target="k"))


def test_names_survive_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    columns = table(rng)
    y = pandas.DataFrame(rng.normal(size=(12, 2)), columns=["p", "q"])
    trainer = trained((pandas.DataFrame(columns), y), len(columns), 2)
    trainer.save(tmp_path / "run.ckpt")
    loaded = cr.Trainer.load(tmp_path / "run.ckpt")
    assert loaded.plan == trainer.plan
    plain = np.stack(list(columns.values()), axis=1)
    loaded.fit((plain, y.to_numpy()), epochs=1, batch_size=5, progress=False)
    assert loaded.feature_names == tuple(columns)  # arrays take no names away
    turned = pandas.DataFrame(shuffled(rng, columns))
    assert np.array_equal(loaded.predict(turned), loaded.predict(plain))


def test_a_dictionary_is_a_frame_where_columns_have_names() -> None:
    rng = np.random.default_rng(5)
    columns = table(rng)
    y = rng.normal(size=(12, 1)).astype(np.float32)
    frame = pandas.DataFrame(columns)
    trainer = trained((frame, y), len(columns))
    mixed = shuffled(rng, columns, more=True)
    assert np.array_equal(trainer.predict(mixed), trainer.predict(frame))
    assert trainer.evaluate((mixed, y)) == trainer.evaluate((frame, y))
    with pytest.raises(DataError):
        trainer.predict({"other": y})


def test_what_is_refused() -> None:
    twice = pandas.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    text = pandas.DataFrame({"a": [1.0], "b": ["x"]})
    uneven = {"a": [1.0], "b": [1.0, 2.0]}
    for frame, kind in (
        (twice, ArgumentError),
        (text, ChainruleError),
        (uneven, ShapeError),
    ):
        with pytest.raises(kind):
            cr.data.Dataset(frame, [[1.0]])
        with pytest.raises(kind):
            cr.data.Dataset([[1.0]], frame)
    with pytest.raises(ChainruleError, match="Column 'b' of x"):
        cr.data.Dataset(text, [[1.0]])


def test_rows_that_a_format_leaves_out_are_no_predictions() -> None:
    frame = pandas.DataFrame({"a": [1.0, 2, 3, 4], "b": [1.0, 3, 2, 9], "y": 1.0})
    frame["y"] = [0.5, 1.5, 2.5, 3.5]
    data = cr.data.Dataset.from_frame(frame, target="y", missing="drop")
    trainer = trained_small(data)
    frame.loc[1, "a"] = np.nan
    with pytest.raises(DataError, match="missing cells"):
        trainer.predict(frame)


def trained_small(data: Any) -> cr.Trainer:
    trainer = cr.Trainer(
        nn.Linear(2, 1),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=1e-3),
        engine="numpy",
    )
    trainer.fit(data, epochs=1, batch_size=2, progress=False)
    return trainer


def test_a_stream_of_other_names() -> None:
    x, y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    trainer = trained_small(cr.data.Dataset(x, y, feature_names=["a", "b"]))

    def stream(names: list[str]) -> cr.data.Stream:
        return cr.data.Stream(lambda: zip(x, y), feature_names=names)

    assert trainer.evaluate(stream(["a", "b"])) == trainer.evaluate((x, y))
    for call in (trainer.evaluate, trainer.predict):
        with pytest.raises(DataError, match="feature_names"):
            call(stream(["b", "a"]))


def test_pictures_and_importance_follow_the_names() -> None:
    from chainrule.metrics import R2
    from chainrule.metrics.evaluation import permutation_importance

    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2)).astype(np.float32)
    y = x[:, :1] * 5
    data = cr.data.Dataset(x, y, feature_names=["a", "b"])
    cr.manual_seed(0)
    trainer = trained_small(data)
    turned = cr.data.Dataset(x[:, ::-1], y, feature_names=["b", "a"])
    metric = R2().for_loss(trainer.loss)
    first, second = (
        {i.column: i.mean for i in permutation_importance(trainer, d, metric)}
        for d in (data, turned)
    )
    assert first == second
