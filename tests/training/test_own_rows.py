"""Steps that take the rows of their batches, as in several processes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.data.adapter import batches
from chainrule.engines import Parts
from chainrule.graph.types import DType
from chainrule.training.block import divided, gathered
from chainrule.training.data_adapter import DatasetAdapter, GatheredAdapter
from chainrule.training.state import Plan
from chainrule.util import processes

from .conftest import Make, pixels, same, without_time

ROWS = 51
FLOATS = {"x": DType.float32}


def in_memory(directory: Path) -> Any:
    return pixels(ROWS)


def mapped(directory: Path) -> Any:
    data, file = pixels(ROWS), directory / "x.npy"
    np.save(file, data.x.stored)
    stored = np.load(file, mmap_mode="r")
    return cr.data.Dataset(stored, data.y, scale=data.x.scale, classes=data.classes)


def streamed(directory: Path) -> Any:
    data = pixels(ROWS)
    return cr.data.Stream(
        lambda: zip(data.x.stored, data.y), scale=data.x.scale, classes=data.classes
    )


@pytest.mark.filterwarnings("ignore:Each of 2 processes reads all rows")
@pytest.mark.parametrize("kind", [in_memory, mapped, streamed])
@pytest.mark.parametrize("turns", [1, 2])
def test_rows_or_their_numbers(
    kind: Any,
    turns: int,
    make: Make,
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same steps, to the bit, with a smaller last batch."""
    made = []
    for count in (1, 2):
        monkeypatch.setattr(processes, "count", lambda count=count: count)
        trainer = make(engine=engine, optimizer=optim.Adam(lr=0.01), dropout=0.3)
        trainer.fit(
            kind(tmp_path),
            epochs=2,
            batch_size=8,
            accumulate_grad_batches=turns,
            validation=pixels(20),
            progress=False,
        )
        made.append(trainer)
    assert same(made[0].model, made[1].model)
    assert without_time(made[0].history.epochs) == without_time(made[1].history.epochs)


def test_weights_of_rows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for count in (1, 2):
        monkeypatch.setattr(processes, "count", lambda count=count: count)
        trainer = make(engine="numpy", optimizer=optim.SGD(lr=0.1))
        weights = np.linspace(0.1, 2, ROWS)
        trainer.fit(pixels(ROWS), epochs=1, sample_weight=weights, progress=False)
        made.append(trainer)
    assert same(made[0].model, made[1].model)


class Half:
    """A program of which this process has the second half of each batch."""

    def share(self, entry: str, rows: int) -> np.ndarray:
        return np.arange(rows // 2, rows)

    def put(self, *args: Any) -> Any:
        raise AssertionError("rows are not placed as a whole")


def halves(adapter: Any, plan: Plan) -> list[Any]:
    """Return the inputs of all steps of an epoch for that program."""
    program: Any = Half()
    adapter.bind(program)
    block = adapter.next_block(plan, 0, 0)
    works, step = [], 0
    while block is not None:
        while step < block.end:
            work = block.work(step, 3)
            works.append(work)
            step += work.steps
        block = adapter.next_block(plan, 0, step)
    adapter.close()
    return works


def test_a_process_keeps_the_rows_of_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory all are there; of a file the others are not read."""
    monkeypatch.setattr(processes, "count", lambda: 2)
    x = np.arange(45.0, dtype=np.float32)[:, None]
    data = cr.data.Dataset(x, x)
    plan = Plan(0, 1, 8, 45, 0)
    whole = halves(DatasetAdapter(data, 0), plan)
    part = halves(GatheredAdapter(data, 0, None, 1, 16), plan)

    def second_half(works: list[Any]) -> list[float]:
        seen = []
        for work in works:
            rows = work.inputs["x"].shape[1]
            own = work.inputs["x"][slice(None), slice(rows // 2, rows), slice(None)]
            seen += own.reshape(-1).tolist()
        return seen

    assert second_half(whole) == second_half(part)
    assert len(second_half(part)) == 5 * 4 + 3
    for work in part:
        assert not work.inputs["x"].complete
        with pytest.raises(IndexError, match="rows of another process"):
            np.asarray(work.inputs["x"])


def test_parts_of_parts() -> None:
    array = np.arange(24).reshape(6, 4)
    parts = gathered(array, np.array([[5, 0], [1, 3], [2, 4]]), "note")
    assert isinstance(parts, Parts)
    assert parts.complete
    assert (parts.shape, parts.nbytes, len(parts)) == ((3, 2, 4), 24 * 8, 3)
    assert np.array_equal(np.asarray(parts)[0], array[[5, 0]])
    cut = parts.steps(1, 2, 4).astype(np.float32)
    assert cut.shape == (4, 2, 4)
    assert cut[1:, :1, 2:].tolist() == [[[10, 11]], [[0, 0]], [[0, 0]]]
    assert cut.note == "note 1+2"
    rows, order = divided(np.array([4, 9, 1, 7]), np.arange(4))
    assert rows[order].tolist() == [4, 9, 1, 7]


def test_the_comparison_of_evaluated_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal bytes are other numbers in another dtype, or with another scale."""
    told: list[Any] = []

    def compare(parts: Any, fix: str) -> None:
        told.append(parts)

    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "require_same", compare)
    stored, y = np.arange(200, 220, dtype=np.uint8)[:, None], np.arange(20)
    for x, scale in ((stored, 0.5), (stored, 0.25), (stored.view(np.int8), 0.5)):
        with closing(batches(cr.data.Dataset(x, y, scale=scale), 8, FLOATS)) as made:
            next(made)
    assert len({str(parts) for parts in told}) == 3
