"""Data sets: samples by their index, or one after another."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from chainrule.data import Dataset as Arrays
from chainrule.data import Stream
from chainrule.data.own_rows import NumberedSequence
from chainrule.errors import ArgumentError
from chainrule.random import Generator, randperm
from chainrule.tensor import Tensor
from chainrule.text import _

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    T = TypeVar("T")

Sample = TypeVar("Sample", covariant=True)


class Samples(Protocol[Sample]):
    """A protocol for samples by their index: a data set, a list, a range."""

    def __getitem__(self, index: Any, /) -> Sample:
        """Return a sample."""
        ...


def as_pair(sample: Any) -> tuple[Any, Any]:
    """Return a sample, or a batch, as a Trainer's pair (inputs, targets) of arrays.

    Raises:
        ArgumentError: no pair.
    """
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise ArgumentError(
            _("A Trainer takes a loader of pairs."),
            expected=_(
                "(inputs, targets), each of which may be a dictionary or a tuple"
            ),
            got=f"{sample!r:.80}",
            fix=_("samples that are pairs: ((a, b), y); or collate_fn=… gives them"),
        )
    return _arrays(sample[0]), _arrays(sample[1])


def _arrays(item: Any) -> Any:
    """Return arrays in place of tensors, and tuples in place of lists of these."""
    if isinstance(item, Tensor):
        return item.numpy()
    if isinstance(item, dict):
        return {key: _arrays(part) for key, part in item.items()}
    parts = isinstance(item, list) and any(isinstance(p, Tensor | dict) for p in item)
    if isinstance(item, tuple) or parts:
        return tuple(map(_arrays, item))
    return item


class Dataset(Generic[T]):
    """The base class of data sets; a subclass defines ``__getitem__``.

    ``dataset[i]`` is sample i; most define ``__len__`` too, the number of samples.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         return i * i
    >>> [Squares()[i] for i in range(len(Squares()))]
    [0, 1, 4]
    """

    def __getitem__(self, index: Any) -> T:
        raise ArgumentError(
            _("{kind} has no samples.", kind=type(self).__name__),
            expected=_("a method __getitem__(self, index)"),
            fix=_("define it in the class"),
        )

    def __add__(self, other: Dataset[T]) -> ConcatDataset[T]:
        return ConcatDataset([self, other])

    def to_data(self) -> Arrays | Stream:
        """Return the samples, pairs (inputs, targets), as a Trainer reads them."""
        return Stream(_Pairs(self), name=type(self).__name__)


class IterableDataset(Dataset[T]):
    """The base class of data sets that give samples one after another.

    A subclass defines ``__iter__``. In the processes of a loader each has a copy: what
    each gives is decided by :func:`get_worker_info`.
    """

    def __iter__(self) -> Iterator[T]:
        raise ArgumentError(
            _("{kind} has no samples.", kind=type(self).__name__),
            expected=_("a method __iter__(self)"),
            fix=_("define it in the class"),
        )

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])

    def to_data(self) -> Arrays | Stream:
        return Stream(_InTurn(self), name=type(self).__name__)


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of as many rows; sample i is row i of each.

    Args:
        tensors: of one size along the first axis.

    Raises:
        ArgumentError: no tensors, something else, or other numbers of rows.

    >>> import chainrule as cr
    >>> TensorDataset(cr.tensor([1.0, 2.0]), cr.tensor([3, 4]))[1]
    (tensor(2.), tensor(4))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors or not all(isinstance(t, Tensor) for t in tensors):
            raise ArgumentError(
                _("TensorDataset takes tensors."),
                expected="TensorDataset(x, y)",
                got=", ".join(type(t).__name__ for t in tensors) or _("none"),
                fix=_("cr.tensor(array) for each array"),
            )
        sizes = [t.shape[0] if t.shape else None for t in tensors]
        if None in sizes or len(set(sizes)) > 1:
            raise ArgumentError(
                _("The tensors of a data set have as many rows."),
                expected=_("one size along the first axis"),
                got=", ".join(str(t.shape) for t in tensors),
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def to_data(self) -> Arrays | Stream:
        if len(self.tensors) != 2:
            return super().to_data()
        x, y = (t.numpy() for t in self.tensors)
        return Arrays(x, y)


class StackDataset(Dataset[Any]):
    """Data sets side by side: a sample is a tuple, or a dictionary, of theirs.

    Args:
        args: data sets of one length, for tuples.
        kwargs: the same by name, for dictionaries.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        parts = list(args) or list(kwargs.values())
        sizes = {len(part) for part in parts}
        if (args and kwargs) or len(sizes) != 1:
            raise ArgumentError(
                _("StackDataset takes data sets of one length."),
                expected=_("by position, or by name"),
                got=", ".join(map(str, sorted(sizes))) or _("none"),
            )
        self.datasets: Any = kwargs or args
        self._length = sizes.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: part[index] for name, part in self.datasets.items()}
        return tuple([part[index] for part in self.datasets])

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T]):
    """Data sets one behind another, as one.

    Args:
        datasets: with lengths.

    >>> both = ConcatDataset([range(2), range(3)])
    >>> len(both), both[-1]
    (5, 2)
    """

    def __init__(self, datasets: Iterable[Samples[T]]) -> None:
        self.datasets: list[Any] = list(datasets)
        if not self.datasets or any(_is_iterable(d) for d in self.datasets):
            raise ArgumentError(
                _("ConcatDataset joins data sets with lengths."),
                expected=_("one at least"),
                got=", ".join(type(d).__name__ for d in self.datasets) or _("none"),
                fix=_("ChainDataset for those that give one sample after another"),
            )
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index: Any) -> T:
        i = index + len(self) if index < 0 else index
        if not 0 <= i < len(self):
            raise IndexError(f"{index} of {len(self)}")
        which = bisect.bisect_right(self.cumulative_sizes, i)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][i - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T]):
    """Data sets that give one sample after another, one behind another.

    Args:
        datasets: each an :class:`IterableDataset`.
    """

    def __init__(self, datasets: Iterable[Iterable[T]]) -> None:
        self.datasets: list[Any] = list(datasets)

    def __iter__(self) -> Iterator[T]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


class Subset(Dataset[T]):
    """Some samples of a data set, by their indices.

    Args:
        dataset: the data set.
        indices: of the samples, in their order.
    """

    def __init__(self, dataset: Samples[T], indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class _Passes:
    """The passes over a data set's samples, as pairs of arrays.

    Args:
        dataset: which may have ``set_epoch(epoch)``, called before each pass.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        if hasattr(dataset, "set_epoch"):
            self.set_epoch = dataset.set_epoch


class _InTurn(_Passes):
    """The passes over samples that come one after another."""

    def __call__(self) -> Iterator[tuple[Any, Any]]:
        return map(as_pair, self.dataset)


class _Pairs(_Passes):
    """The passes over samples by index."""

    def __call__(self) -> Iterator[tuple[Any, Any]]:
        if not hasattr(self.dataset, "__len__"):
            raise ArgumentError(
                _("A Trainer needs to know how many samples a data set has."),
                expected=_("a method __len__"),
                got=type(self.dataset).__name__,
                fix=_("define it in the class, or make it an IterableDataset"),
            )
        return (as_pair(self.dataset[i]) for i in range(len(self.dataset)))

    def numbered(self) -> NumberedSequence:
        """Return the samples with their numbers, where each can be read alone."""
        return NumberedSequence(self.dataset, as_pair)


def random_split(
    dataset: Samples[T],
    lengths: Sequence[float],
    generator: Generator | None = None,
) -> list[Subset[T]]:
    """Split a data set at random into parts of given lengths.

    Args:
        dataset: with a length.
        lengths: numbers of samples with the sum of all; or shares with the sum 1, whose
            rest goes round the parts.
        generator: where the order comes from.

    Raises:
        ArgumentError: lengths with another sum.

    >>> import chainrule as cr
    >>> g = cr.Generator().manual_seed(0)
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25], generator=g)]
    [8, 2]
    """
    samples: Any = dataset
    total = len(samples)
    counts = [int(n) for n in lengths]
    if sum(lengths) <= 1 and math.isclose(sum(lengths), 1):
        counts = [math.floor(total * share) for share in lengths]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    if sum(counts) != total or any(n < 0 for n in counts):
        raise ArgumentError(
            _("The parts have all samples together."),
            expected=_("lengths with the sum {total}, or shares with 1", total=total),
            got=f"{list(lengths)!r:.80}",
        )
    order = randperm(total, generator=generator).tolist()
    ends = itertools.accumulate(counts)
    return [Subset(dataset, order[end - n : end]) for n, end in zip(counts, ends)]


def _is_iterable(dataset: Any) -> bool:
    """Return whether a data set gives samples one after another, without indices."""
    return isinstance(dataset, IterableDataset)
