"""Row numbers of splits and folds, against counting by hand and against fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.splitting import class_counts, folds, shuffled, stratified_halves


@pytest.mark.parametrize(
    ("sizes", "count", "wanted"),
    [
        ([50, 30, 20], 10, [5, 3, 2]),
        ([50, 30, 20], 25, [13, 7, 5]),  # 12.5, 7.5, 5: the first of equal remainders
        ([10, 10, 10], 10, [4, 3, 3]),
        ([98, 2], 10, [9, 1]),  # 9.8, 0.2: the second class is in both parts
        ([98, 2], 90, [89, 1]),  # 88.2, 1.8: not 88 and 2, which would leave none
        ([4, 4, 4], 2, [1, 1, 0]),  # three classes do not fit into two rows
        ([4, 4, 4], 10, [4, 3, 3]),  # nor into the two that are left
    ],
)
def test_class_counts_by_hand(sizes: list[int], count: int, wanted: list[int]) -> None:
    assert class_counts(sizes, count) == wanted


@given(st.lists(st.integers(2, 40), min_size=1, max_size=12), st.data())
def test_class_counts_are_near_their_share(
    sizes: list[int], data: st.DataObject
) -> None:
    total, k = sum(sizes), len(sizes)
    count = data.draw(st.integers(1, total - 1))
    counts = class_counts(sizes, count)
    assert sum(counts) == count
    assert all(0 <= n <= size for n, size in zip(counts, sizes, strict=True))
    if count >= k:
        assert min(counts) >= 1
    if total - count >= k:
        assert all(n < size for n, size in zip(counts, sizes, strict=True))
    shares = [Fraction(size * count, total) for size in sizes]
    roomy = all(
        1 <= share <= size - 1 for share, size in zip(shares, sizes, strict=True)
    )
    if roomy:  # nothing had to be moved: the largest remainder, exactly
        assert all(abs(n - s) < 1 for n, s in zip(counts, shares, strict=True))
        up = [s - int(s) for n, s in zip(counts, shares, strict=True) if n > s]
        down = [s - int(s) for n, s in zip(counts, shares, strict=True) if n < s]
        assert not up or not down or min(up) >= max(down)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=60), st.integers(0, 9))
def test_stratified_halves_deal_every_row_once(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    first, rest = stratified_halves(y, len(y) // 2, seed)
    assert sorted([*first, *rest]) == list(range(len(y)))
    sizes = np.bincount(y)
    sizes = sizes[sizes > 0].tolist()
    counts = np.bincount(y[first], minlength=4)[np.unique(y)].tolist()
    assert counts == class_counts(sizes, len(y) // 2)
    # Both keep the order of the shuffle.
    place = np.argsort(shuffled(len(y), seed))
    assert (np.diff(place[first]) > 0).all()
    assert (np.diff(place[rest]) > 0).all()


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=60),
    st.integers(2, 8),
    st.booleans(),
)
def test_folds_differ_by_one_row_at_most(
    labels: list[int], k: int, stratify: bool
) -> None:
    y = np.array(labels)
    k = min(k, len(y))
    held = []
    for rest, fold in folds(len(y), k, 0, y if stratify else None):
        assert sorted([*rest, *fold]) == list(range(len(y)))
        held.append(fold)
    assert sorted(np.concatenate(held)) == list(range(len(y)))
    sizes = [len(fold) for fold in held]
    assert max(sizes) - min(sizes) <= 1
    if stratify:
        for label in set(labels):
            counts = [int((y[fold] == label).sum()) for fold in held]
            assert max(counts) - min(counts) <= 1
