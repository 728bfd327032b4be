"""What ``engines/README.md`` promises of every engine."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.engines import (
    Capabilities,
    Engine,
    Parts,
    capabilities,
    resolve_engine,
)
from chainrule.errors import ArgumentError, EngineError, ShapeError
from chainrule.graph.types import ArrayType, DType
from tests.engines.device import traffic


def program(engine: str) -> tuple[CompiledProgram, cr.Tensor]:
    """A sum that each step adds a picked number to, and gives with the number."""
    total = cr.tensor(np.zeros(1))
    table = cr.tensor(np.arange(1.0, 5.0))

    def step(index: cr.Tensor, scale: cr.Tensor) -> tuple[cr.Tensor, cr.Tensor]:
        number = table[index]
        total.copy_(total + number * scale)
        return number, total + 0

    inputs = [
        Input("index", ArrayType((1,), DType.int64), each=True),
        Input("scale", ArrayType((), DType.float64)),
    ]
    traced = trace_entry("step", step, inputs)
    return CompiledProgram([traced], engine=engine), total


def test_outputs_are_stacked_by_step(engine: str) -> None:
    made, total = program(engine)
    numbers, totals = made.run(
        "step", {"index": [[0], [3], [1]], "scale": 2.0}, steps=3
    )
    assert np.asarray(numbers).tolist() == [[1], [4], [2]]
    assert np.asarray(totals).tolist() == [[2], [10], [14]]
    numbers, totals = made.run("step", {"index": [[0]], "scale": 1.0}, steps=1)
    assert np.asarray(numbers).tolist() == [[1]]
    numbers, totals = made.run("step", {"index": [2], "scale": 1.0})
    assert np.asarray(numbers).tolist() == [3]
    assert np.asarray(totals).shape == (1,)
    assert total.tolist() == [18]


def test_rows_that_are_stored_are_counted_too(engine: str) -> None:
    made, total = program(engine)
    stored = made.put("step", "index", np.array([[0], [3]]))
    made.run("step", {"index": stored, "scale": 1.0}, steps=2)
    for steps in (1, 3, 40):
        with pytest.raises(ShapeError, match="for each step"):
            made.run("step", {"index": stored, "scale": 1.0}, steps=steps)
    counted = trace_entry(
        "step", lambda x: x + 1, [Input("x", ArrayType((), DType.float64), each=True)]
    )
    with pytest.raises(ShapeError, match="for each step"):
        CompiledProgram([counted], engine=engine).run("step", {"x": 1.0}, steps=2)
    assert total.tolist() == [5]


def test_inputs_in_parts(engine: str) -> None:
    """An engine of one process reads all of them."""
    made, total = program(engine)
    rows = np.array([[0], [3], [1]])
    parts = Parts(rows.shape, rows.dtype, rows.__getitem__, "rows")
    numbers, __ = made.run("step", {"index": parts, "scale": 2.0}, steps=3)
    assert np.asarray(numbers).tolist() == [[1], [4], [2]]
    assert total.tolist() == [14]
    assert made.share("step", 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("steps", [0, -1, True, 1.5])
def test_a_number_of_steps(engine: str, steps: Any) -> None:
    """Each engine would do something else with these: none is asked."""
    made, total = program(engine)
    with pytest.raises(ArgumentError, match="an integer, steps ≥ 1"):
        made.run("step", {"index": [[0]], "scale": 1.0}, steps=steps)
    assert total.tolist() == [0]


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_a_row_for_each_step(engine: str, rows: int) -> None:
    """An engine would read other memory behind too few, or cut rows in parts."""
    made, total = program(engine)
    index = np.zeros((rows, 1), np.int64)
    with pytest.raises(ShapeError, match="a row of 'index' for each step"):
        made.run("step", {"index": index, "scale": 1.0}, steps=3)
    assert total.tolist() == [0]


def test_a_number_that_is_stored(engine: str) -> None:
    made, __ = program(engine)
    index = made.put("step", "index", np.array([[0], [3]]))
    scale = made.put("step", "scale", np.array(2.0))
    assert scale.shape == ()
    for wanted in ([[2], [10]], [[12], [20]]):
        __, totals = made.run("step", {"index": index, "scale": scale}, steps=2)
        assert np.asarray(totals).tolist() == wanted


def test_a_result_is_a_snapshot(engine: str) -> None:
    made, __ = program(engine)
    first = made.run("step", {"index": [0], "scale": 1.0})
    state = made.executable.read(next(iter(made.slots)))
    for _ in range(3):
        made.run("step", {"index": [3], "scale": 1.0})
    assert [np.asarray(a).tolist() for a in first] == [[1], [1]]
    assert float(np.asarray(state)[0]) == 1.0


def test_steps_before_a_refused_one_count(engine: str) -> None:
    made, total = program(engine)
    with pytest.raises(ArgumentError):
        made.run("step", {"index": [[0], [3], [7], [1]], "scale": 1.0}, steps=4)
    assert made.executable.completed == 2
    assert total.tolist() == [5]
    with pytest.raises(ArgumentError):
        made.run("step", {"index": [-9], "scale": 1.0})
    assert made.executable.completed == 0
    assert total.tolist() == [5]


def test_an_optimiser_counts_the_steps_that_were_made(engine: str) -> None:
    cr.manual_seed(0)
    table = nn.Embedding(5, 3)
    optimizer = optim.Adam(table.parameters(), lr=0.1)

    def step(words: cr.Tensor) -> cr.Tensor:
        loss = table(words).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    words = Input("words", ArrayType((2,), DType.int64), each=True)
    made = CompiledProgram([trace_entry("step", step, [words])], engine=engine)
    with pytest.raises(ArgumentError):
        made.run("step", {"words": [[0, 1], [2, 4], [0, 5]]}, steps=3)
    assert optimizer.steps == 2
    made.run("step", {"words": [[0, 1]]}, steps=1)
    assert optimizer.steps == 3


#: A function, its arguments, and what comes out: equal, signs of zero included.
EXACT: dict[str, tuple[Any, list[Any], Any]] = {
    "int64": (lambda x: x * 3 + 1, [np.array([2**60])], np.array([3 * 2**60 + 1])),
    "uint64": (lambda x: x + 1, [np.array([2**63], "u8")], np.array([2**63 + 1], "u8")),
    "float64": (lambda x: x + 1, [np.array([2.0**-50])], np.array([1 + 2.0**-50])),
    "saturates": (
        lambda x: x.to(cr.int32),
        [np.array([1e20, -1e20, np.inf, np.nan, -2.7], "f4")],
        np.array([2**31 - 1, -(2**31), 2**31 - 1, 0, -2], "i4"),
    ),
    "maximum": (
        cr.maximum,
        [np.array([np.nan, 1, -np.inf], "f4"), np.array([1, np.nan, -np.inf], "f4")],
        np.array([np.nan, np.nan, -np.inf], "f4"),
    ),
    "zero": (
        lambda x: x * 2,
        [np.array([-0.0, 0.0], "f4")],
        np.array([-0.0, 0.0], "f4"),
    ),
    "empty": (lambda x: x.sum(axis=1), [np.zeros((2, 0), "f4")], np.zeros(2, "f4")),
}


@pytest.mark.parametrize("name", EXACT)
def test_special_numbers(engine: str, name: str) -> None:
    function, arguments, wanted = EXACT[name]
    got = cr.compile(function, engine=engine)(*map(cr.tensor, arguments)).numpy()
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)
    if wanted.dtype.kind == "f":
        numbers = ~np.isnan(wanted)
        np.testing.assert_array_equal(
            np.signbit(got)[numbers], np.signbit(wanted)[numbers]
        )


def test_random_numbers_are_the_same(engine: str) -> None:
    def drawn(where: str) -> list[list[float]]:
        cr.manual_seed(3)
        f = cr.compile(lambda x: x + cr.rand_like(x), engine=where)
        return [f(cr.zeros(7)).tolist() for _ in range(2)]

    first, second = drawn(engine)
    assert first != second
    assert [first, second] == drawn("numpy")


def test_two_threads_in_one_program(engine: str) -> None:
    made, total = program(engine)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                made.run("step", {"index": [0], "scale": 1.0})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert total.tolist() == [100]


# -- the registry ----------------------------------------------------------------------


def test_an_installed_engine_does_not_change_auto(device: str) -> None:
    assert resolve_engine("auto") in ("native", "numpy")
    assert resolve_engine(device) == device


def test_capabilities_decide(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine does not say that it can do is refused, not tried."""
    made, __ = program(device)
    with pytest.raises(EngineError, match="makes no schedule"):
        _ = made.schedule
    registry = __import__("chainrule.engines").engines._registry
    load = registry[device].load
    few = Capabilities(host=False, threads=False, dtypes=frozenset({DType.float32}))
    monkeypatch.setitem(registry, device, Engine(load, capabilities=few))
    assert not capabilities(device).threads
    with pytest.raises(EngineError, match="number of threads"):
        cr.compile(lambda x: x + 1, engine=device, threads=2)(cr.ones(2))
    with pytest.raises(EngineError, match="float64"):
        cr.compile(lambda x: x + 1, engine=device)(cr.ones(2, dtype="float64"))
    with pytest.raises(EngineError, match="float64"):
        cr.compile(lambda x: x, engine=device)(cr.ones(2, dtype="float64"))

    def within(x: cr.Tensor) -> cr.Tensor:
        def body(carry: cr.Tensor, row: cr.Tensor) -> Any:
            carry = carry + row.astype("float64").sin().astype("float32")
            return carry, carry

        return cr.scan(body, x[0], x)[0]

    with pytest.raises(EngineError, match="float64"):
        cr.compile(within, engine=device)(cr.ones(2))
    assert cr.compile(lambda x: x + 1, engine=device)(cr.ones(2)).tolist() == [2, 2]


def test_a_chunk_waits_once(device: str) -> None:
    """Not once a step: an engine that runs ahead would stand still."""
    train, __ = cr.data.mnist()
    model = nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10))
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=0.1),
        engine=device,
    )
    trainer.fit(train[:2048], epochs=2, batch_size=8)
    assert trainer.state.updates == 512
    assert 0 < traffic.waits < 128
