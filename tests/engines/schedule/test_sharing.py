"""Shares and keys, held against what they mean: which thread touches which byte."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chainrule.engines.schedule.layout import StridedView, in_order
from chainrule.engines.schedule.sharing import Partition, partition_of, pattern_of
from chainrule.graph.node import Value
from chainrule.graph.types import DType

MEMORY = Value(None, (96,), DType.float32)


def view(shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0):
    return StridedView(MEMORY, shape, strides, (offset,) if offset else ())


def views() -> list[StridedView]:
    """Ways to look at 96 elements: whole, turned, cut, repeated, merged."""
    found = [view((96,), (1,))]
    for shape in ((4, 24), (24, 4), (4, 6, 4), (2, 4, 12), (4, 1, 24)):
        orders = itertools.permutations(range(len(shape)))
        found += [view(shape, in_order(shape, axes)) for axes in orders]
    found += [
        view((4, 12), (24, 1)),
        view((4, 12), (24, 1), 12),
        view((4, 12), (24, 2)),
        view((4, 24), (0, 1)),
        view((4, 6), (24, 4)),
        view((2, 24), (48, 1)),
    ]
    return found


def partitions(shown: StridedView) -> list[Partition]:
    return [
        Partition(axis, unit_size, size // unit_size)
        for axis, size in enumerate(shown.shape)
        for unit_size in (1, 2, 3, 6, 12, 24)
        if size % unit_size == 0 and size // unit_size > 1
    ]


def touched(
    shown: StridedView, partition: Partition, threads: int
) -> list[frozenset[int]]:
    """The elements of memory that each thread touches."""
    where = np.arange(96)
    start = shown.offset[0] if shown.offset else 0
    steps = tuple(s * where.itemsize for s in shown.strides)
    places = np.lib.stride_tricks.as_strided(where[start:], shown.shape, steps)
    parts: list[frozenset[int]] = []
    for t in range(threads):
        low = partition.units * t // threads * partition.unit_size
        high = partition.units * (t + 1) // threads * partition.unit_size
        part = np.take(places, range(low, high), partition.axis)
        parts.append(frozenset(part.ravel().tolist()))
    return parts


DIVIDED = [(v, s) for v in views() for s in partitions(v)]


@pytest.mark.parametrize("threads", [2, 3])
def test_equal_keys_mean_that_threads_keep_to_their_own(threads: int) -> None:
    """No thread touches what another one touches under an equal key."""
    by_key: dict[object, list[list[frozenset[int]]]] = {}
    for shown, partition in DIVIDED:
        key = pattern_of(shown, partition, 4, "memory")
        if key is not None:
            by_key.setdefault(key, []).append(touched(shown, partition, threads))
    assert sum(len(parts) > 1 for parts in by_key.values()) > 10
    for key, accesses in by_key.items():
        for mine, theirs in itertools.product(accesses, repeat=2):
            for t, u in itertools.permutations(range(threads), 2):
                assert not mine[t] & theirs[u], key


def test_a_share_is_found_again_by_its_key() -> None:
    found = 0
    for shown, partition in DIVIDED:
        key = pattern_of(shown, partition, 4)
        again = partition_of(shown, key, 4)
        if key is None:
            continue
        found += 1
        assert again is not None
        assert touched(shown, again, 3) == touched(shown, partition, 3)
    assert found > 50


def test_memory_that_is_repeated_is_nobodys() -> None:
    assert pattern_of(view((4, 24), (0, 1)), Partition(0, 1, 4), 4) is None


def test_blocks_are_divided_by_whole_blocks() -> None:
    blocked = StridedView(MEMORY, (8, 12), (12, 1), blocking=4)
    assert pattern_of(blocked, Partition(0, 4, 2), 4) == ("rows", 2, 192)
    assert pattern_of(blocked, Partition(0, 2, 4), 4) is None
    assert pattern_of(blocked, Partition(1, 6, 2), 4) is None
    assert partition_of(blocked, ("rows", 2, 192), 4) == Partition(0, 4, 2)
