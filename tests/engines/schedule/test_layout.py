"""Views, held against NumPy's strides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chainrule.engines.schedule.layout import StridedView, _reshaped, in_order
from chainrule.graph.node import Value
from chainrule.graph.types import DType

SHAPES = [(24,), (4, 6), (2, 3, 4), (4, 1, 6), (2, 12), (1, 24, 1), (6, 4), (3, 8)]
MEMORY = np.arange(60)
ROOT = Value(None, (60,), DType.float32)


def shown(view: StridedView) -> np.ndarray:
    steps = tuple(s * MEMORY.itemsize for s in view.strides)
    return np.lib.stride_tricks.as_strided(MEMORY, view.shape, steps)


def sources() -> list[StridedView]:
    found = []
    for shape in SHAPES:
        for axes in itertools.permutations(range(len(shape))):
            strides = in_order(shape, axes)
            found.append(StridedView(ROOT, shape, strides))
            if shape[-1] != 1:  # a gap between rows
                wide = tuple(2 * s if s != 1 else s for s in strides)
                found.append(StridedView(ROOT, shape, wide))
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_reshape_shows_the_same_elements_in_the_same_order(shape) -> None:
    expressed = 0
    for source in sources():
        view = _reshaped(source, shape)
        if view is None:
            continue
        expressed += 1
        assert view.shape == shape
        np.testing.assert_array_equal(shown(view), shown(source).reshape(shape))
    assert expressed


def test_what_numpy_reshapes_without_a_copy_is_a_view_here() -> None:
    for source, shape in itertools.product(sources(), SHAPES):
        array = shown(source)
        if np.shares_memory(array.reshape(shape), MEMORY):
            assert _reshaped(source, shape) is not None, (source, shape)


def test_axes_stand_in_the_order_of_memory() -> None:
    for axes in itertools.permutations(range(3)):
        view = StridedView(ROOT, (2, 3, 4), in_order((2, 3, 4), axes))
        assert view.axes == axes
        assert view.dense
        wide = StridedView(ROOT, (2, 3, 4), tuple(2 * s for s in view.strides))
        assert not wide.dense
