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
from chainrule.errors import DataError
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

    def sample(self, number: Any) -> Any:
        """Return a sample, read in this process."""
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
    if source.sequence and not source.batched and not callable(make):
        return _Sequence(make)
    return make.numbered() if hasattr(make, "numbered") else None


def read_alone(source: Source) -> bool:
    """Return whether some of a source's samples can be read without the others.

    They can where they have numbers, and reading the first one draws nothing. All
    processes ask, and get the same answer.

    Raises:
        EngineError: the first sample is not the same in all processes.
    """
    samples, draws, content = numbered(source), True, 0
    if samples is not None:
        generators = Generators(samples.dataset, samples.orders)
        outer = generators.states()
        with closing(samples.numbers()) as order:
            for number in islice(order, 1):
                before = generators.states()
                item = samples.sample(number)
                draws = generators.moved(before)
                __, names, parts = next(source.pieces(iter([item]), lambda: False))
                content = digest(mapped(parts.__getitem__, names))
        generators.restore(outer)
    if processes.most(draws)[0]:
        return False
    processes.require_same(
        {_("the first sample of '{name}'", name=source.name): f"{content:016x}"},
        _("give the data set the same samples in each process"),
    )
    return True


class _Sequence:
    """A sequence of samples, as a source whose samples have numbers."""

    together = 32

    def __init__(self, samples: Any) -> None:
        self.dataset, self.orders = samples, list[Any]()

    def numbers(self) -> Generator[int]:
        yield from range(len(self.dataset))

    def sample(self, number: int) -> Any:
        return self.dataset[number]

    def fetch(self, requests: Iterable[Sequence[int]]) -> Iterator[Any]:
        generators = Generators(self.dataset)
        for request in requests:
            yield from generators.read(lambda some=request: self._read(some))

    def _read(self, request: Sequence[int]) -> list[Any]:
        return [self.dataset[number] for number in request]


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

    def requests() -> Iterator[list[Any]]:
        few, turn, start = samples.together, number, number * rows
        with closing(samples.numbers()) as order:
            skipped = sum(1 for __ in islice(order, start))
            if skipped < start:
                return
            while block := list(islice(order, rows)):
                chosen = wanted(turn, len(block))
                plans.append((start, block, chosen))
                for first in range(0, len(chosen), few):
                    yield [block[i] for i in chosen[first : first + few]]
                turn, start = turn + 1, start + len(block)

    form = (named(types[0], "x"), named(types[1], "y"))
    kinds = leaves(types[0], "x") | leaves(types[1], "y")
    pieces = source.pieces(iter(samples.fetch(requests())), stopped)
    piece = next(pieces, None)  # which asks for the rows of the first block
    if not plans and not number and not stopped():
        raise source.empty()
    while plans:
        start, numbers, chosen = plans.popleft()
        whole = {
            name: np.empty((len(chosen), *map(int, kind.shape)), kind.dtype.numpy)
            for name, kind in kinds.items()
        }
        done = 0
        while done < len(chosen):
            if piece is None:
                return  # nobody wants more
            __, names, parts = piece
            row, before = start + int(chosen[done]), done
            source.check_like_first(row, form, kinds, names, parts)
            done += len(next(iter(parts.values())))
            for name, part in parts.items():
                whole[name][before:done] = part
            piece = next(pieces, None)
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
