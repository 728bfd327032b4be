"""The loader: batches of a data set, for loops of one's own and for a Trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Generator as Generated
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from typing import Any

import numpy as np

from chainrule.data import Dataset as Arrays
from chainrule.data import Stream
from chainrule.data.own_rows import TOGETHER, Generators, tried
from chainrule.errors import ArgumentError
from chainrule.random import Generator, randint
from chainrule.text import _
from chainrule.util import validation
from chainrule.utils.data.collate import default_collate, default_convert
from chainrule.utils.data.dataset import (
    IterableDataset,
    Samples,
    TensorDataset,
    as_pair,
)
from chainrule.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from chainrule.utils.data.workers import Workers

#: Samplers that draw from their ``generator``.
_RANDOM = RandomSampler, SubsetRandomSampler, WeightedRandomSampler


@dataclass(frozen=True)
class _Alone:
    """A request for samples whose order and neighbours shall not matter.

    Attributes:
        indices: of the samples.
        trial: whether it asks too if reading draws random numbers; else that is an
            error.
    """

    indices: list[Any]
    trial: bool = False


class DataLoader:
    """A loader of batches, as ``torch.utils.data.DataLoader``.

    Args:
        dataset: with ``__getitem__`` and ``__len__``, or an ``IterableDataset``.
        batch_size: samples of a batch; None for single samples.
        shuffle: whether the order is drawn anew in each pass.
        sampler: the order instead, an iterable of indices.
        batch_sampler: the batches instead, an iterable of lists of indices.
        num_workers: processes that make the batches; 0 for none.
        collate_fn: makes a batch of a list of samples; ``default_collate`` by default.
        pin_memory: without an effect on the CPU.
        drop_last: whether a last batch that is smaller is left out.
        timeout: seconds to wait for a batch of a process; 0 for any time.
        worker_init_fn: called in each process, with its number.
        multiprocessing_context: how processes start: ``"fork"``, ``"spawn"``, ….
        generator: where the order comes from.
        prefetch_factor: batches that each process makes ahead; 2 by default.
        persistent_workers: whether the processes stay after a pass.

    A Trainer takes a loader of pairs (inputs, targets) as its data, each of which may
    be a dictionary or a tuple. A data set of two tensors is then shuffled by the
    Trainer, and every other one is read as a stream, whose rows the Trainer puts
    together to batches of ``batch_size``; their order comes from the Trainer's seed and
    the epoch, where the loader has no generator of its own. ``set_epoch(epoch)`` of the
    data set or a sampler is called before each pass, where there is one.

    Of several processes that train together each reads the samples that it computes
    with, and no others. With a ``collate_fn``, an ``IterableDataset``, or samples that
    draw random numbers, each reads all samples of the loader, and a warning says so.

    Raises:
        ArgumentError: arguments that exclude each other; a size that is none.

    >>> import chainrule as cr
    >>> from chainrule.utils.data import TensorDataset
    >>> data = TensorDataset(cr.arange(5), cr.arange(5) * 2)
    >>> for x, y in DataLoader(data, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [0, 1] [0, 2]
    [2, 3] [4, 6]
    [4] [8]
    """

    def __init__(
        self,
        dataset: Samples[Any] | Iterable[Any],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
    ) -> None:
        self.dataset: Any = dataset
        self.generator = generator
        self.num_workers = validation.whole("num_workers", num_workers, least=0)
        self.timeout = validation.number("timeout", timeout, least=0)
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = 2
        if prefetch_factor is not None:
            self.prefetch_factor = validation.whole("prefetch_factor", prefetch_factor)
        self.persistent_workers = persistent_workers
        self.drop_last = validation.truth("drop_last", drop_last)
        self._iterable = isinstance(dataset, IterableDataset)
        self._workers: Workers | None = None
        self._first: Any = None  # request of the pass that has begun last
        self._check(batch_size, shuffle, sampler, batch_sampler)
        self.batch_size = None if batch_sampler is not None else batch_size
        if self.batch_size is not None:
            validation.whole("batch_size", batch_size)
        self.sampler: Any = sampler
        if sampler is None and not self._iterable:
            kind = partial(RandomSampler, generator=generator)
            self.sampler = kind(dataset) if shuffle else SequentialSampler(dataset)
        if batch_sampler is None and self.batch_size and not self._iterable:
            batch_sampler = BatchSampler(self.sampler, self.batch_size, self.drop_last)
        self.batch_sampler: Any = batch_sampler
        single = self.batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if single else default_collate)

    def _check(
        self, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any
    ) -> None:
        ordered, shuffled = sampler is not None, bool(shuffle)
        batched = batch_sampler is not None
        others = batch_size != 1 or shuffled or ordered or self.drop_last
        in_turn = _("an IterableDataset")
        pairs = [
            (self._iterable and shuffled, "shuffle", in_turn),
            (self._iterable and ordered, "sampler", in_turn),
            (self._iterable and batched, "batch_sampler", in_turn),
            (shuffled and ordered, "shuffle", "sampler"),
            (batched and others, "batch_sampler", "batch_size, shuffle, sampler …"),
            (batch_size is None and self.drop_last, "drop_last", "batch_size=None"),
        ]
        for wrong, name, other in pairs:
            if wrong:
                raise ArgumentError(
                    _("{name} has no meaning beside {other}.", name=name, other=other),
                    expected=_("one of both"),
                    got=_("{name}, and {other}", name=name, other=other),
                    fix=_("leave one of them out"),
                )

    # -- passes ------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        return self._batches(self._requests())

    def _batches(self, requests: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches of requests, made here or by the loader's processes."""
        if not self.num_workers:
            fetch = self._fetching()
            try:
                for request in requests:
                    yield fetch(request)
            except StopIteration:
                return
            return
        workers = self._workers or self._start()
        self._workers = workers if self.persistent_workers else None
        try:
            yield from workers.batches(requests, self.prefetch_factor)
        finally:
            if not self.persistent_workers:
                workers.close()

    def _start(self) -> Workers:
        seed = int(randint(0, 2**31, (), generator=self.generator).item())
        return Workers(
            self._fetching,
            self.dataset,
            self.num_workers,
            seed,
            start=self.worker_init_fn,
            method=self.multiprocessing_context,
            timeout=self.timeout,
        )

    def _requests(self) -> Iterator[Any]:
        """Yield what each batch is requested by: its indices, or nothing."""
        if self._iterable:
            return repeat(None)
        single = self.batch_sampler is None
        return self._noted(iter(self.sampler if single else self.batch_sampler))

    def _noted(self, requests: Iterator[Any]) -> Iterator[Any]:
        """Yield requests, and keep the first one."""
        for request in requests:
            self._first = request if self.batch_sampler is None else [*request]
            yield self._first
            break
        yield from requests

    def _fetching(self) -> Callable[[Any], Any]:
        """Return the function that makes a batch; StopIteration ends a pass."""
        if not self._iterable:
            return self._by_index()
        samples, size = iter(self.dataset), self.batch_size

        def following(__: Any) -> Any:
            if size is None:
                return self.collate_fn(next(samples))
            batch = list(islice(samples, size))
            if not batch or (self.drop_last and len(batch) < size):
                raise StopIteration
            return self.collate_fn(batch)

        return following

    def _by_index(self) -> Callable[[Any], Any]:
        """Return the function that makes a batch of samples by index."""
        generators: Generators | None = None

        def fetch(index: Any) -> Any:
            nonlocal generators
            if not isinstance(index, _Alone):
                return self._fetch(index)
            read = partial(self._alone, index.indices)
            if index.trial:
                return tried(self.dataset, read)
            generators = generators or Generators(self.dataset)
            return generators.read(read)

        return fetch

    def _alone(self, indices: list[Any]) -> list[Any]:
        """Return the items with some samples: their batch, or each by itself."""
        if self.batch_sampler is not None:
            return [self._fetch(indices)]
        return [self._fetch(index) for index in indices]

    def _fetch(self, index: Any) -> Any:
        try:
            return self._made(index)
        except StopIteration as error:  # which would end a pass in silence
            raise RuntimeError(_("a sample raised StopIteration")) from error

    def _made(self, index: Any) -> Any:
        """Return the batch of a request: its index, or its indices."""
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[index])
        plain = self.collate_fn is default_collate
        if plain and type(self.dataset) is TensorDataset:
            return list(self.dataset[list(index)])
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(list(index)))
        return self.collate_fn([self.dataset[i] for i in index])

    def __len__(self) -> int:
        if not self._iterable:
            by_batch = self.batch_sampler is not None
            return len(self.batch_sampler if by_batch else self.sampler)
        count, size = len(self.dataset), self.batch_size or 1
        return count // size if self.drop_last else -(-count // size)

    def _end(self) -> None:
        """End the processes that stay after a pass."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_workers": None}  # as it is sent to another process

    # -- a Trainer's data --------------------------------------------------------------

    def to_data(self) -> Arrays | Stream:
        """Return the loader's data as a Trainer reads them."""
        plain = self.collate_fn is default_collate and self.batch_sampler is not None
        in_rows = isinstance(self.sampler, RandomSampler | SequentialSampler)
        if plain and in_rows and type(self.dataset) is TensorDataset:
            known = type(self.batch_sampler) is BatchSampler
            whole = getattr(self.sampler, "_count", None) is None
            if known and whole and len(self.dataset.tensors) == 2:
                return self.dataset.to_data()
        batched = self.batch_size is not None or self.batch_sampler is not None
        return Stream(_Passes(self), batched=batched, name="loader")


class _Passes:
    """The passes of a loader, in an order that a training run can have again.

    A sampler of the library without a generator of its own draws the order of an epoch
    from (seed, epoch) of the run, so that a run that goes on within an epoch takes the
    rows that are left.

    Args:
        loader: of pairs.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self._numbers: tuple[int, int] | None = None
        self._drawn: Generator | None = None  # of a pass whose sampler has none

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Set the seed and the epoch of the next pass; tell samplers and data."""
        self._numbers = seed, epoch
        loader = self.loader
        told = [loader.batch_sampler, loader.sampler, loader.dataset]
        told.append(getattr(loader.batch_sampler, "sampler", None))
        for item in {id(item): item for item in told}.values():
            if hasattr(item, "set_epoch"):
                item.set_epoch(epoch)
        if hasattr(loader.dataset, "set_epoch"):
            loader._end()  # processes that stay have data of the epoch before

    def draws(self) -> dict[str, Any]:
        """Return the states of the generators that the order of a pass comes from."""
        return {k: generator.state() for k, generator in self._generators().items()}

    def load_draws(self, state: dict[str, Any]) -> None:
        """Restore the states of the loader's own generators."""
        generators = self._generators()
        for name, value in state.items():
            generators[name].load_state(value)

    def _generators(self) -> dict[str, Generator]:
        sampler = getattr(self.loader.batch_sampler, "sampler", self.loader.sampler)
        found = {
            "loader": self.loader.generator,
            "sampler": getattr(sampler, "generator", None),
        }
        return {
            k: g
            for k, g in found.items()
            if isinstance(g, Generator) and g is not self._drawn
        }

    @property
    def first_number(self) -> Any:
        """The index of the first sample of the pass that has begun last."""
        single = self.loader.batch_sampler is None
        return self.loader._first if single else self.loader._first[0]

    def __call__(self) -> Iterator[tuple[Any, Any]]:
        with self._order():
            yield from map(as_pair, self.loader)

    @contextmanager
    def _order(self) -> Iterator[None]:
        """Give a sampler without a generator that of the pass."""
        numbers, self._numbers = self._numbers, None
        sampler = getattr(self.loader.batch_sampler, "sampler", self.loader.sampler)
        drawn = isinstance(sampler, _RANDOM) and sampler.generator is None
        if numbers is None or not drawn:
            yield
            return
        seed = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
        sampler.generator = self._drawn = Generator(int(seed[0]))
        try:
            yield
        finally:
            sampler.generator = None

    def numbered(self) -> _NumberedPasses | None:
        """Return the passes with numbers of samples, where each can be read alone.

        A function that makes batches of its own may mix samples, and so may a subclass.
        """
        loader = self.loader
        single = loader.batch_sampler is None
        alone = default_convert if single else default_collate
        own = type(loader).__iter__ is not DataLoader.__iter__
        if loader._iterable or loader.collate_fn is not alone or own:
            return None
        return _NumberedPasses(self)


class _NumberedPasses:
    """The passes of a loader, of which some samples alone are read.

    Args:
        passes: of a loader of samples by their index.
    """

    def __init__(self, passes: _Passes) -> None:
        self._passes, self._loader = passes, passes.loader
        self.dataset = self._loader.dataset
        self.orders = list[Any](passes._generators().values())
        # Without batches a request is the index of one sample.
        self._single = self._loader.batch_sampler is None
        self.together = 1 if self._single else self._loader.batch_size or TOGETHER

    def numbers(self) -> Generated[Any]:
        with self._passes._order():
            requests = self._loader._requests()
            yield from requests if self._single else chain.from_iterable(requests)

    def trial(self, number: Any) -> tuple[Any, bool]:
        [([item], draws)] = self._loader._batches([_Alone([number], trial=True)])
        return as_pair(item), draws

    def fetch(self, requests: Iterable[Any]) -> Iterator[Any]:
        made = self._loader._batches(map(_Alone, requests))
        return map(as_pair, chain.from_iterable(made))
