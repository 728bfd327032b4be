"""Sources of streams with a position, or none: a run goes on with the very next row."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Stream
from chainrule.data.positions import portable, restored
from chainrule.errors import ArgumentError, CheckpointError, DataError
from chainrule.training import Callback

from .resuming import StopAt, check_resumed, cut, small_blocks, trainer, weights

pytestmark = pytest.mark.usefixtures("small_blocks")
__all__ = ["small_blocks"]

#: Five blocks of 8 rows, of two steps each, and one of 3 rows.
ROWS = 43
CUTS = (1, 5, 11, 24)


def sample(i: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(i)
    return draw.normal(size=2).astype("f4"), draw.normal(size=1).astype("f4")


class Sequence:
    """Samples by their index, which are counted."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < ROWS:
            raise IndexError(i)
        self.read.append(i)
        return sample(i)


class Stateful:
    """Samples in another order in each pass; it knows where it stands."""

    def __init__(self, sizes: int = 1) -> None:
        self.passes, self.at, self.sizes = 0, 0, sizes
        self.read: list[int] = []
        self.loaded = False

    def __iter__(self) -> Iterator[Any]:
        if not self.loaded:
            self.passes, self.at = self.passes + 1, 0
        self.loaded = False
        order = np.random.default_rng(self.passes).permutation(ROWS)
        while self.at < ROWS:
            rows = order[self.at : self.at + self.sizes]
            self.at += self.sizes
            self.read += rows.tolist()
            parts = zip(*map(sample, rows.tolist()), strict=True)
            x, y = (np.stack(part) for part in parts)
            yield (x, y) if self.sizes > 1 else (x[0], y[0])

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self.passes, "at": np.array(self.at), "kind": ("own", None)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state["kind"] == ("own", None)
        self.passes, self.at, self.loaded = state["passes"], int(state["at"]), True


class Epochs:
    """Samples in an order that the epoch says."""

    def __init__(self, name: str) -> None:
        self.epoch = 0
        setattr(self, name, self.tell)

    def tell(self, *numbers: int) -> None:
        self.epoch = numbers[-1]

    def __iter__(self) -> Iterator[Any]:
        order = np.random.default_rng(self.epoch).permutation(ROWS)
        return map(sample, order.tolist())


def function() -> Iterator[Any]:
    return map(sample, range(ROWS))


SOURCES: dict[str, Any] = {
    "function": lambda: Stream(function),
    "list": lambda: Stream([sample(i) for i in range(ROWS)]),
    "sequence": lambda: Stream(Sequence()),
    "set_epoch": lambda: Stream(Epochs("set_epoch")),
    "start_epoch": lambda: Stream(Epochs("start_epoch")),
    "state_dict": lambda: Stream(Stateful()),
    "state_dict of batches": lambda: Stream(Stateful(5), batched=True),
    "function of objects with state_dict": lambda: Stream(lambda: Stateful()),
}


#: Those that differ little from others are left to the slow tests.
SLOW = ("list", "set_epoch", "function of objects with state_dict")


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=[pytest.mark.slow] * (k in SLOW)) for k in SOURCES],
)
def test_a_run_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    check_resumed(SOURCES[kind], tmp_path, CUTS if "dict" in kind else CUTS[1:4])


@pytest.mark.parametrize("kind", ["sequence", "state_dict", "state_dict of batches"])
def test_a_pass_is_begun_again_and_again(kind: str) -> None:
    """A run that is cut within the first block may be so a second time."""
    begin, seen = None, []
    for __ in range(3):
        with closing(SOURCES[kind]().positions(8, begin)) as blocks:
            (x, __), first, *__ = next(blocks)
        seen.append(x.tolist())
        begin = begin if first is None else first
    assert seen[0] == seen[1] == seen[2]


def test_what_knows_its_position_is_not_read_again(tmp_path: Path) -> None:
    sequence, stateful = Sequence(), Stateful(5)
    for source, batched in ((sequence, False), (stateful, True)):
        make = partial(Stream, source, batched=batched)
        trained = cut(make, tmp_path / str(batched), 8, 2)
        source.read = []
        trained.resume(make(), callbacks=StopAt(11), progress=False)
    # From the block of the steps 7 and 8 on; the first sample is looked at.
    assert sequence.read == [0, *range(24, ROWS)]
    assert len(stateful.read) == 5 + ROWS - 25


def test_other_rows_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    shift = 0

    def rows() -> Iterator[Any]:
        return (sample(i + shift) for i in range(ROWS))

    trained = cut(lambda: Stream(rows), tmp_path, 7, 2)
    before, shift = weights(trained), 1
    with pytest.raises(DataError, match="does not give the rows that it gave"):
        trained.resume(Stream(rows), progress=False)
    assert weights(trained) == before
    assert trained.state.updates == 7
    shift = 0
    trained.resume(Stream(rows), progress=False)
    assert trained.finished


class SavesAt(Callback):
    """Saves a run in its course, at a number of updates."""

    def __init__(self, updates: int, save: Callable[[cr.Trainer], Any]) -> None:
        self.updates, self.save = updates, save

    def on_chunk(self, trainer: Any) -> None:
        if trainer.state.updates == self.updates:
            self.save(trainer)


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("at", [1, 7, 11, 12])  # an epoch has 11 steps
@pytest.mark.parametrize("kind", ["function", "state_dict"])
def test_a_run_is_saved_in_its_course(
    kind: str, at: int, copied: bool, tmp_path: Path
) -> None:
    """A checkpoint of a moment holds where the stream stood then, as a copy does."""
    place, shift = tmp_path / "moment.ckpt", 0
    copies: list[cr.Trainer] = []

    def rows() -> Iterator[Any]:
        return (sample(i + shift) for i in range(ROWS))

    def source() -> Stream:
        return Stream(rows if kind == "function" else Stateful())

    def save(trained: cr.Trainer) -> None:
        if copied:
            copies.append(copy.deepcopy(trained))
        else:
            trained.save(place)

    whole = trainer(2)
    options: Any = {"epochs": 3, "batch_size": 4, "progress": False}
    whole.fit(source(), callbacks=SavesAt(at, save), **options)
    again = copies[0] if copied else cr.Trainer.load(place)
    assert again.state.updates == at
    if kind == "function" and at != 11:
        shift = 1
        with pytest.raises(DataError, match="does not give the rows that it gave"):
            again.resume(source(), progress=False)
        shift = 0
    again.resume(source(), progress=False)
    assert weights(again) == weights(whole)


def test_a_random_order_is_refused_within_an_epoch(tmp_path: Path) -> None:
    def rows() -> Iterator[Any]:
        return map(sample, np.random.default_rng().permutation(ROWS).tolist())

    trained = cut(lambda: Stream(rows), tmp_path, 7, 2)
    with pytest.raises(DataError, match="start_epoch"):
        trained.resume(Stream(rows), progress=False)


def test_a_state_is_the_same_out_of_a_checkpoint() -> None:
    state = {"a": [1, 2.5, None, True], "b": {"c": (1, ("x", np.arange(3)))}}
    again = restored(portable(state))
    assert again["a"] == state["a"]
    assert again["b"]["c"][1][0] == "x"
    assert again["b"]["c"][1][1].tolist() == [0, 1, 2]


def test_a_state_that_no_file_can_hold(tmp_path: Path) -> None:
    class Odd(Stateful):
        def state_dict(self) -> dict[str, Any]:
            return {"file": object()}

    with pytest.raises(ArgumentError, match=r"(?s)position.*state_dict\(\)\['file'\]"):
        list(Stream(lambda: Odd()).blocks(8))
    with pytest.raises(ArgumentError, match="position"):
        portable({1: 2})


@pytest.mark.parametrize(
    "change", [{"epoch": "0"}, {"position": []}, {"number": 1.0}, {"more": 1}]
)
def test_a_checkpoint_with_another_position(tmp_path: Path, change: Any) -> None:
    trained = cut(lambda: Stream(function), tmp_path, 3, 2)
    trained.state.source = trained.state.source | change
    with pytest.raises(CheckpointError, match="where its stream stood"):
        trained.resume(Stream(function), progress=False)


def test_two_passes_of_a_sequence_at_once() -> None:
    stream = Stream(Sequence())
    a, b = stream.positions(8), stream.positions(16)
    assert [next(a)[2]["rows"], next(b)[2]["rows"], next(a)[2]["rows"]] == [8, 16, 16]
    a.close()
    b.close()


def test_a_trainer_takes_validation_from_a_sequence() -> None:
    data = Stream(Sequence())
    trained = cr.Trainer(
        cr.nn.Linear(2, 1), loss=cr.nn.MSELoss(), optimizer=cr.optim.SGD(lr=0.01)
    )
    trained.fit(data, epochs=1, validation=data, progress=False)
    assert (
        trained.evaluate(data)["loss"] == trained.history.epochs[0]["validation_loss"]
    )


class Growing:
    """Each pass has eight samples more than the one before."""

    def __init__(self) -> None:
        self.rows = 0

    def start_epoch(self, seed: int, epoch: int) -> None:
        self.rows = 8 * (epoch + 2)

    def __iter__(self) -> Iterator[Any]:
        return map(sample, range(self.rows or 16))


def test_epochs_of_different_lengths(tmp_path: Path) -> None:
    """The last steps of the second epoch are beyond the first one."""
    check_resumed(lambda: Stream(Growing()), tmp_path, (9, 10, 16))
