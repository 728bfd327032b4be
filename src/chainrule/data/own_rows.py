"""Reading of those samples of a source alone that a process computes with.

Where several processes run one program each needs its own rows of a batch. A source
whose samples have numbers (:class:`Numbered`) is asked for these. Which rows a process
has depends on how many there are in a block: so the numbers of a block come first.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np

from chainrule.compilation.guards.dependencies import DependencyScan
from chainrule.compilation.guards.fingerprints import fingerprint
from chainrule.compilation.guards.system_draws import system_draws
from chainrule.data.checksums import digest
from chainrule.data.source import Pair, Source, Stopped
from chainrule.errors import DataError, warn
from chainrule.random import Generator as Draws
from chainrule.random import default_generator
from chainrule.text import _
from chainrule.util import processes
from chainrule.util.pytree import leaves, mapped, named

#: Of a block's number and the number of its rows: those that are wanted, sorted.
Wanted = Callable[[int, int], np.ndarray]
#: What gets and puts the state of a generator of random numbers.
Access = tuple[Callable[[], Any], Callable[[Any], None]]
T = TypeVar("T")
#: Times that samples are read again where somebody has drawn meanwhile: another thread
#: may have.
ATTEMPTS = 3
#: Samples that are asked for at a time: looking whether they draw takes a while.
TOGETHER = 32


class Numbered(Protocol):
    """A source whose samples have numbers, so that some of them can be read alone.

    Attributes:
        dataset: what the samples are read from.
        orders: the generators of random numbers that the order comes from.
        together: how many are asked for at a time, at most.
    """

    dataset: Any
    orders: list[Any]
    together: int

    def numbers(self) -> Generator[Any]:
        """Return the numbers of the samples of one pass, in its order."""
        ...

    def trial(self, number: Any) -> tuple[Any, bool]:
        """Return an item with a sample, and whether reading it draws random numbers."""
        ...

    def fetch(self, requests: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """Return the items with the samples of all requests, in their order.

        Raises:
            DataError: reading a sample draws random numbers.
        """
        ...


def numbered(source: Source) -> Numbered | None:
    """Return a stream's source with numbers of samples; None where it has none."""
    make: Any = source.make
    if hasattr(make, "numbered"):
        return make.numbered()
    by_index = source.sequence and not source.batched and not callable(make)
    return None if not by_index or source.is_stateful(make) else NumberedSequence(make)


#: Why each of several processes reads all rows of a stream, and what to do about it.
_WHY = (
    (
        _("reading a sample draws random numbers, which depend on the samples before"),
        _("np.random.default_rng([seed, index]) in __getitem__ depends on the index"),
    ),
    (
        _("its first sample is another one when it is read again"),
        _("let a sample depend on its index, and on set_epoch(epoch), alone"),
    ),
    (
        _("its samples cannot be asked for by their index, one by one"),
        _("a data set with __getitem__ and __len__, and without a collate_fn"),
    ),
)


def read_alone(source: Source) -> bool:
    """Return whether some of a source's samples can be read without the others.

    They can where they have numbers, and reading the first one again, alone, draws
    nothing and gives what it gave in a batch. All processes ask, and get the same
    answer; the first one says why, if not.

    Raises:
        EngineError: the first sample is not the same in all processes.
    """
    samples, why, content = numbered(source), len(_WHY), 0
    if samples is not None:
        first = source.first()
        draws, again = _tried(source, samples)
        rows = [mapped(lambda part: part[:1], pair) for pair in (first, again)]
        known, content = map(digest, rows)
        why = 1 if draws else 2 if content != known else 0
    why = int(processes.most(why)[0])
    if not why:
        processes.require_same(
            {_("the first sample of '{name}'", name=source.name): f"{content:016x}"},
            _("give the data set the same samples in each process"),
        )
    elif processes.count() > 1 and processes.is_writer():
        reason, fix = _WHY[why - 1]
        warn(
            _(
                "Each of {count} processes reads all rows of '{name}', and keeps its "
                "own: {reason}.",
                count=processes.count(),
                name=source.name,
                reason=reason,
            ),
            expected=_("samples that each process can read alone"),
            fix=fix,
        )
    return not why


def _tried(source: Source, samples: Numbered) -> tuple[bool, Pair]:
    """Return whether reading the first sample again draws, and its rows."""
    generators, draws = Generators(samples.dataset, samples.orders), False

    def items() -> Iterator[Any]:
        nonlocal draws
        item, draws = samples.trial(source.first_number)
        yield item

    outer = generators.states()
    try:
        __, names, parts = next(source.pieces(items(), lambda: False))
    finally:
        generators.restore(outer)
    return draws, mapped(parts.__getitem__, names)


def tried(dataset: Any, read: Callable[[], T]) -> tuple[T, bool]:
    """Return what a function reads of a data set, and whether it drew for that.

    What is drawn from comes back to the state that it was in.
    """
    generators = Generators(dataset)
    before = generators.states()
    try:
        made = read()
        return made, generators.moved(before)
    finally:
        generators.restore(before)


class NumberedSequence:
    """A sequence of samples, as a source whose samples have numbers.

    Args:
        samples: the sequence.
        read: makes an item of a sample.
    """

    together = TOGETHER

    def __init__(self, samples: Any, read: Callable[[Any], Any] = lambda item: item):
        self.dataset, self.orders = samples, list[Any]()
        self._read_item = read

    def numbers(self) -> Generator[int]:
        yield from range(len(self.dataset))

    def trial(self, number: int) -> tuple[Any, bool]:
        return tried(self.dataset, lambda: self._read_item(self.dataset[number]))

    def fetch(self, requests: Iterable[Sequence[int]]) -> Iterator[Any]:
        generators = Generators(self.dataset)
        for request in requests:
            items, error = generators.read(lambda some=request: self._read(some))
            yield from items
            if error is not None:
                raise error

    def _read(self, request: Sequence[int]) -> tuple[list[Any], Exception | None]:
        """Return the items in front of one that fails, and its error."""
        items = list[Any]()
        try:
            for number in request:
                items.append(self._read_item(self.dataset[number]))
        except Exception as error:  # noqa: BLE001 - raised when it is its turn
            return items, error
        return items, None


def own_blocks(
    source: Source,
    rows: int,
    number: int,
    types: Pair,
    stopped: Stopped,
    wanted: Wanted,
) -> Generator[tuple[Pair, list[Any], np.ndarray]]:
    """Yield the wanted rows of the blocks of one pass over a source with numbers.

    Args:
        source: of a stream.
        rows: of a block; the last one is smaller.
        number: of the first block.
        types: of a row of x, and of a row of y.
        stopped: whether nobody wants more.
        wanted: gives the rows of a block that are wanted.

    Returns:
        A generator of the wanted rows, of the numbers of all samples of the block, and
        of where in it the wanted rows are.
    """
    samples = numbered(source)
    assert samples is not None
    plans = deque[tuple[int, list[Any], np.ndarray]]()  # of blocks that are asked for
    sizes = deque[int]()  # of the items that are asked for
    read = 0  # of this process' rows, those of earlier blocks

    def requests() -> Iterator[list[Any]]:
        few, turn, start = samples.together, number, number * rows
        with closing(samples.numbers()) as order:
            skipped = sum(1 for __ in islice(order, start))
            if skipped < start:
                raise source.ended(skipped, start)
            while block := list(islice(order, rows)):
                chosen = wanted(turn, len(block))
                plans.append((start, block, chosen))
                for first in range(0, len(chosen), few):
                    request = [block[i] for i in chosen[first : first + few]]
                    sizes.extend(
                        [len(request)] if source.batched else [1] * len(request)
                    )
                    yield request
                turn, start = turn + 1, start + len(block)

    def place(count: int) -> int:
        """Return which row of the pass a row that this process reads is."""
        left = count - read
        for start, __, chosen in ([current] if current else []) + [*plans]:
            if left < len(chosen):
                return start + int(chosen[left])
            left -= len(chosen)
        return number * rows + count  # nothing is asked for any more

    current: tuple[int, list[Any], np.ndarray] | None = None
    form = (named(types[0], "x"), named(types[1], "y"))
    kinds = leaves(types[0], "x") | leaves(types[1], "y")
    pieces = source.pieces(iter(samples.fetch(requests())), stopped, place=place)
    piece = next(pieces, None)  # which asks for the rows of the first block
    if not plans and not number and not stopped():
        raise source.empty()
    while plans:
        current = plans.popleft()
        start, numbers, chosen = current
        whole = {
            name: np.empty((len(chosen), *map(int, kind.shape)), kind.dtype.numpy)
            for name, kind in kinds.items()
        }
        done = 0
        while done < len(chosen):
            if piece is None and stopped():
                return
            row, before = start + int(chosen[done]), done
            asked = sizes.popleft()
            count = 0 if piece is None else len(next(iter(piece[2].values())))
            if piece is None or count != asked:
                raise source.other_count(row, asked, count)
            __, names, parts = piece
            source.check_like_first(row, form, kinds, names, parts)
            done += asked
            for name, part in parts.items():
                whole[name][before:done] = part
            piece = next(pieces, None)
        read += done
        current = None
        yield mapped(whole.__getitem__, form), numbers, chosen


class Generators:
    """The generators of random numbers that reading a sample may draw from.

    Of samples that draw none can be left out: what one draws depends on those before.

    Args:
        dataset: with ``__getitem__``.
        others: further generators.
    """

    def __init__(self, dataset: Any, others: Iterable[Any] = ()) -> None:
        self._all: list[Access] = [
            (random.getstate, random.setstate),
            (np.random.get_state, np.random.set_state),
            _of_ours(default_generator),
            (system_draws, _kept),
        ]
        if (torch := sys.modules.get("torch")) is not None:
            self._all.append(_of_torch(torch))
        scan = DependencyScan(_item, {"dataset": dataset})
        for item in (*scan.objects(), *others):
            self._all += _of_object(item)

    def states(self) -> list[Any]:
        """Return the states of the random number generators."""
        return [get() for get, __ in self._all]

    def moved(self, before: list[Any]) -> bool:
        """Return whether random numbers were drawn since these states."""
        return fingerprint(self.states()) != fingerprint(before)

    def restore(self, states: list[Any]) -> None:
        """Put the random number generators back to these states."""
        for (__, put), state in zip(self._all, states, strict=True):
            put(state)

    def read(self, read: Callable[[], T]) -> T:
        """Return what a function reads that draws no random numbers.

        Raises:
            DataError: it does.
        """
        for __ in range(ATTEMPTS):
            before = self.states()
            made = read()
            if not self.moved(before):
                return made
        raise DataError(
            _(
                "Some samples draw random numbers as they are read, and the first one "
                "does not: of several processes each reads its own, so it would draw "
                "others than one process does."
            ),
            expected=_("samples that all draw, or none"),
            got=_("another state of a random number generator than before"),
            fix=_(
                "let a sample depend on its index alone: "
                "np.random.default_rng([seed, index]) in __getitem__"
            ),
        )


def _item(dataset: Any, index: Any) -> Any:
    """Read a sample: the function whose dependencies count."""
    return dataset.__getitem__(index)


def _of_torch(torch: Any) -> Access:
    """Return what gets and puts the state of PyTorch's generator, as bytes."""

    def get() -> bytes:
        return torch.get_rng_state().numpy().tobytes()

    def put(state: bytes) -> None:
        torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))

    return get, put


def _kept(state: Any) -> None:
    """Leave the system's random numbers, which have no state to go back to."""


def _of_ours(generator: Draws) -> Access:
    """Return what gets and puts the state of a generator of this library.

    Another thread may be tracing a function that draws: there is no state then.
    """

    def state() -> Any:
        traced = generator.counter.value.array is None
        return None if traced else generator.state()

    return state, generator.load_state


def _of_object(item: Any) -> Iterator[Access]:
    """Yield what gets and puts an object's state, if it generates random numbers."""
    if isinstance(item, random.SystemRandom):
        return
    if isinstance(item, random.Random):
        yield item.getstate, item.setstate
    elif isinstance(item, np.random.RandomState):
        yield item.get_state, item.set_state
    elif isinstance(item, np.random.Generator):
        bits: Any = item.bit_generator
        yield lambda: bits.state, lambda state: setattr(bits, "state", state)
    elif isinstance(item, Draws):
        yield _of_ours(item)
    elif (torch := sys.modules.get("torch")) and isinstance(item, torch.Generator):
        yield item.get_state, item.set_state
