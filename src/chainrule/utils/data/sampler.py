"""Samplers: the order in which a loader takes the samples of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from chainrule.errors import ArgumentError
from chainrule.random import Generator, multinomial, randint, randperm
from chainrule.tensor import as_tensor
from chainrule.text import _
from chainrule.util import validation

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    T = TypeVar("T")


class Sampler(Generic[T]):
    """The base class of samplers; a subclass defines ``__iter__``, over indices."""

    def __iter__(self) -> Iterator[T]:
        raise ArgumentError(
            _("{kind} has no order.", kind=type(self).__name__),
            expected=_("a method __iter__(self)"),
            fix=_("define it in the class"),
        )


class SequentialSampler(Sampler[int]):
    """The samples in their order.

    Args:
        data_source: the data set.
    """

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The samples in an order that is drawn anew each time.

    Args:
        data_source: the data set.
        replacement: whether a sample can come twice.
        num_samples: how many; all by default.
        generator: where the order comes from.
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source, self.replacement = data_source, replacement
        self._count = num_samples
        if num_samples is not None:
            self._count = validation.whole("num_samples", num_samples)
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """The number of samples of one pass of the sampler."""
        return len(self.data_source) if self._count is None else self._count

    def __iter__(self) -> Iterator[int]:
        total, left = len(self.data_source), self.num_samples
        while left > 0:
            if self.replacement:
                drawn = randint(0, total, (left,), generator=self.generator)
            else:
                drawn = randperm(total, generator=self.generator)[:left]
            yield from drawn.tolist()
            left -= len(drawn)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The samples of a subset, in a new random order at each pass.

    Args:
        indices: of the samples.
        generator: where the order comes from.
    """

    def __init__(
        self, indices: Sequence[int], generator: Generator | None = None
    ) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        order = randperm(len(self.indices), generator=self.generator).tolist()
        return iter([self.indices[i] for i in order])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Samples that are drawn in proportion to weights.

    Args:
        weights: a number ≥ 0 for each sample.
        num_samples: how many are drawn.
        replacement: whether a sample can come twice.
        generator: where the draws come from.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        self.weights = as_tensor(weights, dtype="float64")
        self.num_samples = validation.whole("num_samples", num_samples)
        self.replacement, self.generator = replacement, generator

    def __iter__(self) -> Iterator[int]:
        options = {"replacement": self.replacement, "generator": self.generator}
        return iter(multinomial(self.weights, self.num_samples, **options).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in batches.

    Args:
        sampler: the other one.
        batch_size: indices of a batch.
        drop_last: whether a last batch that is smaller is left out.

    >>> list(BatchSampler(SequentialSampler(range(5)), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self, sampler: Iterable[int], batch_size: int, drop_last: bool
    ) -> None:
        self.sampler: Any = sampler
        self.batch_size = validation.whole("batch_size", batch_size)
        self.drop_last = validation.truth("drop_last", drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)
