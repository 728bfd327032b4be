"""Whole numbers stay what they are, or it is said: from any data to any module."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data.column import unrepresentable
from chainrule.errors import ArgumentError, ChainruleError, ChainruleWarning
from chainrule.graph.types import DType
from chainrule.nn.first_use import first_use, input_dtype

TIMES = 1_700_000_000 + np.arange(40) * 7
SCALED = (TIMES - TIMES.mean()) / TIMES.std()


def fitted(model: nn.Module, data: Any, engine: str = "numpy") -> cr.Trainer:
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), engine=engine
    )
    trainer.fit(data, epochs=1, batch_size=4, progress=False)
    return trainer


# -- which dtype a module gets ---------------------------------------------------------


class Own(nn.Module):
    """A module of one's own: a function of it and its input."""

    def __init__(self, function: Callable[[Any, cr.Tensor], cr.Tensor]) -> None:
        self.function = function
        self.table = nn.Embedding(9, 2)
        self.linear = nn.Linear(3, 2)
        self.weight = nn.Parameter(cr.ones(9, 2))
        self.dense = nn.Parameter(cr.ones(3, 2))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.function(self, x)


F = nn.functional
#: Modules whose first reader takes indices, whatever happens to them before.
INDICES: dict[str, Any] = {
    "embedding": lambda m, x: m.table(x).sum(1),
    "reshaped": lambda m, x: m.table(x.reshape(-1, 3).flip(1)).sum(1),
    "shifted": lambda m, x: m.table((x + 1) % 9).sum(1),
    "masked": lambda m, x: (m.table(x) * (x != 0)[:, :, None]).sum(1),
    "indexed": lambda m, x: m.weight[x].sum(1),
    "one hot": lambda m, x: F.one_hot(x, 9).astype("float32").sum(1) @ m.weight,
    "a column": lambda m, x: m.table(x[:, 0]) + m.linear(x),
    "converted": lambda m, x: m.table(x.astype("int64")).sum(1),
}
#: Modules that compute with floats.
FLOATS: dict[str, Any] = {
    "linear": lambda m, x: m.linear(x),
    "product": lambda m, x: x @ m.dense,
    "grey values": lambda m, x: m.linear(x / 255),
    "integers first": lambda m, x: m.linear(x * 2 - 1),
    "moved": lambda m, x: m.linear(x[:, [2, 0, 1]]),
    "masked": lambda m, x: m.linear(cr.where(x > 3, x, 0)),
    "relu": lambda m, x: F.relu(x.astype("float32")) @ m.dense,
}


@pytest.mark.parametrize("name", INDICES)
def test_indices_stay_integers(name: str) -> None:
    model = Own(INDICES[name])
    x = np.random.default_rng(0).integers(0, 8, (16, 3))
    y = np.zeros((16, 2), np.float32)
    wanted = model(cr.tensor(x)).numpy()
    for dtype in ("uint8", "int16", "int32", "int64", "uint32"):
        trainer = cr.Trainer(
            model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), engine="numpy"
        )
        assert np.allclose(trainer.predict(x.astype(dtype)), wanted, atol=1e-6)
    trainer.fit((x, y), epochs=1, batch_size=8, progress=False)
    trainer.evaluate((x, y))
    far = x + 2**32  # which int32 would wrap round to x
    if name not in ("shifted", "a column", "one hot"):
        with pytest.raises(ChainruleError):
            trainer.predict(far)


@pytest.mark.parametrize("name", FLOATS)
def test_floats_stay_floats(name: str) -> None:
    """In these modules integers of few bits would overflow."""
    model = Own(FLOATS[name])
    x = np.random.default_rng(0).integers(0, 255, (16, 3)).astype(np.uint8)
    wanted = model(cr.tensor(x.astype(np.float32))).numpy()
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), engine="numpy"
    )
    for dtype in ("uint8", "int64", "float32", "float64"):
        assert np.allclose(trainer.predict(x.astype(dtype)), wanted, rtol=1e-5)
    row = (3,)
    assert input_dtype(model, row, DType.uint8) is DType.float32


def test_fractions_and_indices() -> None:
    """Floats are indices where they are whole, and where floats are not taken."""
    y = np.zeros((4, 2), np.float32)
    trainer = cr.Trainer(
        Own(INDICES["embedding"]),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.1),
        engine="numpy",
    )
    whole = np.array([[1.0, 2.0, 3.0]] * 4)
    assert np.array_equal(trainer.predict(whole), trainer.predict(whole.astype(int)))
    for wrong in (0.5, 2.0**31, -(2.0**40)):
        with pytest.raises(ArgumentError, match="numbers of rows"):
            trainer.predict(whole + wrong)
        with pytest.raises(ArgumentError, match="numbers of rows"):
            trainer.fit((whole + wrong, y), epochs=1, batch_size=2, progress=False)
    mixed = Own(lambda m, x: m.table(x[:, 0].astype("int64")) + m.linear(x))
    whole[:, 1:] += 0.5
    trainer = fitted(mixed, (whole, y))
    assert trainer.predict(whole).shape == (4, 2)


# -- numbers that float32 has not ------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_what_a_dtype_has_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    types = ("int8", "uint16", "int32", "uint32", "int64", "uint64", "f4", "f8", "?")
    for name in types:
        dtype = np.dtype(name)
        bits = rng.integers(1, 65, 50)
        numbers = [int(rng.integers(0, 2**63)) * 2 >> int(64 - b) for b in bits]
        numbers += [2**24, 2**24 + 1, 2**53 + 1, 2**63 - 1, 2**64 - 1]
        if dtype.kind in "iu":
            top = np.iinfo(dtype).max
            numbers = [min(n, top) for n in numbers]
        if dtype.kind in "if":
            numbers += [-n for n in numbers]
        if dtype.kind == "f":
            numbers += [0.5, 1e30, 16777216.5]
        stored = np.array(numbers, dtype)
        for target in map(np.dtype, (np.float32, np.float64)):
            wide = dtype.kind != "f" or dtype.itemsize > target.itemsize
            lost = [n for n in stored if wide and is_lost(n, target)]
            assert unrepresentable(stored, target) == (lost[0] if lost else None)
            for n in stored:  # none of them hides another
                found = unrepresentable(np.array([n], dtype), target) is not None
                assert found == (wide and is_lost(n, target)), (n, target)


def is_lost(n: Any, target: np.dtype) -> bool:
    """Whether a number is whole, and another one in a dtype, by Python's integers."""
    if isinstance(n, np.bool_) or n != int(n):
        return False
    if isinstance(n, np.floating) and abs(n) > 2**53:
        return False
    return int(target.type(int(n))) != int(n)


def entries(trainer: cr.Trainer, x: Any, y: Any) -> dict[str, Callable[[], Any]]:
    return {
        "predict": lambda: trainer.predict(x),
        "evaluate": lambda: trainer.evaluate((x, y)),
        "data set": lambda: trainer.predict(cr.data.Dataset(x, y)),
        "fit": lambda: trainer.fit((x, y), epochs=1, batch_size=8, progress=False),
        "validation": lambda: trainer.fit(
            (np.zeros((8, 1), np.float32), y[:8]),
            epochs=1,
            batch_size=8,
            progress=False,
            validation=(x, y),
        ),
        "stream": lambda: trainer.predict(cr.data.Stream(lambda: zip(x, y))),
        "stream fit": lambda: trainer.fit(
            cr.data.Stream(lambda: zip(x, y)), epochs=1, batch_size=8, progress=False
        ),
    }


IDS = 2**24 + np.arange(16)[:, None]


@pytest.mark.parametrize(
    "x", [IDS, IDS.astype(np.int32), IDS.astype(np.float64)], ids=["i8", "i4", "f8"]
)
def test_rounding_is_said(x: Any) -> None:
    y = np.zeros((16, 1), np.float32)

    def trainer() -> cr.Trainer:
        return cr.Trainer(
            Own(lambda m, x: x * m.dense[0, 0]),
            loss=nn.MSELoss(),
            optimizer=optim.SGD(lr=1e-30),
            engine="numpy",
        )

    for name in entries(trainer(), x, y):
        with pytest.warns(ChainruleWarning, match="become others in float32"):
            entries(trainer(), x, y)[name]()
    lists = x.tolist()
    with pytest.warns(ChainruleWarning, match="become others in float32"):
        trainer().predict(lists)
    with pytest.warns(ChainruleWarning, match="become others in float32"):
        trainer().predict(cr.data.Dataset(lists, y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer().predict(x - 2**24)
        trainer().predict(x * 64 - 2**30 if x.dtype != np.int32 else x - 2**24)


def test_features_keep_whole_numbers() -> None:
    for stored in (
        IDS,
        IDS.tolist(),
        IDS.astype(float),
        [[float(i)] for i in IDS[:, 0]],
    ):
        data = cr.data.Dataset(stored, np.arange(16))
        assert np.array_equal(data.x[:], IDS)
        first, _ = data.split(1, seed=0)
        assert first.x.dtype == data.x.dtype == np.float64
        batches = [x for x, _ in data.batches(4, shuffle=False)]
        assert np.array_equal(np.concatenate(batches), IDS)
    assert cr.data.Dataset(np.arange(16)[:, None], np.arange(16)).x.dtype == np.float32


def test_tables_keep_whole_numbers(tmp_path: Any) -> None:
    frame = pandas.DataFrame({"t": TIMES[::-1] ** 1, "k": 1.5, "y": SCALED})
    frame["k"] = np.linspace(0, 1, 40)
    frame = frame.sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "t.csv", index=False)
    read = cr.data.read_csv(tmp_path / "t.csv", target="y")
    for data in (
        read,
        cr.data.Dataset.from_frame(frame, target="y"),
        cr.data.read(tmp_path / "t.csv", format=read.format),
    ):
        assert data.feature_names == ("t", "k")
        assert np.array_equal(data.x[:][:, 0], frame["t"])
    small = frame.assign(t=np.arange(40) * 3 % 40)
    assert cr.data.Dataset.from_frame(small, target="y").x.dtype == np.float32


# -- Standardize ---------------------------------------------------------------------


SOURCES: dict[str, Any] = {
    "list": TIMES.tolist(),
    "floats in a list": [[float(t)] for t in TIMES],
    "int64": TIMES[:, None],
    "int32": TIMES[:, None].astype(np.int32),
    "float64": TIMES[:, None].astype(np.float64),
    "Column": cr.data.Column(TIMES[:, None]),
    "Dataset": cr.data.Dataset(TIMES[:, None], SCALED).x,
}


@pytest.mark.parametrize("source", SOURCES)
def test_standardize_of_times(source: str) -> None:
    layer = nn.Standardize.of(SOURCES[source])
    for x in (TIMES, TIMES.astype(np.int32), TIMES.astype(np.float64)):
        made = layer(cr.tensor(x[:, None])).numpy()[:, 0]
        assert made.dtype == np.float32
        assert abs(made - SCALED).max() < 1e-6


def test_a_network_that_begins_with_standardize(engine: str) -> None:
    y = SCALED[:, None].astype(np.float32)
    for x in (SOURCES["int64"], SOURCES["float64"]):
        cr.manual_seed(0)
        model = nn.Sequential(nn.Standardize.of(x), nn.Linear(1, 1))
        trainer = fitted(model, (x, y), engine)
        wanted = model[1](cr.tensor(y)).numpy()
        assert abs(trainer.predict(x) - wanted).max() < 1e-6
        loss = float(((wanted - y) ** 2).mean())
        assert trainer.evaluate((x, y))["loss"] == pytest.approx(loss, rel=1e-5)
    model.load_state_dict(model.state_dict())
    assert model[0].mean.dtype is DType.float64


def test_what_comes_from_outside_of_a_module_is_not_its_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An exception out of a signal handler, before the module is called."""

    def late(*args: object, **options: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("chainrule.nn.first_use.mode", late)
    with pytest.raises(TimeoutError):
        first_use(nn.Linear(3, 2), (3,))
