"""Alignment, held against the references: what a part of a result depends on."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.engines.schedule import alignment
from chainrule.engines.schedule.alignment import aligned
from chainrule.graph.emit import trace
from tests.conformance.cases import Example, all_cases, every


def changed_beyond(array: np.ndarray, axis: int) -> np.ndarray:
    """Other numbers everywhere but at the first index of an axis."""
    other = array.copy()
    rest = [slice(None)] * array.ndim
    rest[axis] = slice(1, None)
    part = other[tuple(rest)]
    other[tuple(rest)] = np.roll(part.ravel(), 1).reshape(part.shape)
    return other


def check(example: Example, rng: np.random.Generator) -> int:
    """Change operands beyond a part of theirs; that part of the result stays."""
    graph = trace(example.apply, example.types, name="main")
    node = next((n for n in graph.nodes if n.primitive is example.primitive), None)
    if node is None:
        return 0
    arrays, tried = example.draw(rng), 0
    whole = example.reference(arrays)[0]
    for i, array in enumerate(arrays):
        for axis, to in enumerate(aligned(node, i)):
            if to is None:
                continue
            assert whole.shape[to] == array.shape[axis]
            if array.shape[axis] < 2 or array.size == 0:
                continue
            other = [*arrays[:i], changed_beyond(array, axis), *arrays[i + 1 :]]
            mine, after = (
                np.take(made, 0, to) for made in (whole, example.reference(other)[0])
            )
            np.testing.assert_array_equal(mine, after, f"operand {i}, axis {axis}")
            tried += 1
    return tried


@every(all_cases())
def test_a_part_of_a_result_needs_only_that_part(
    example: Example, rng: np.random.Generator
) -> None:
    check(example, rng)


def test_a_row_that_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    product = next(
        e.values[0]
        for e in all_cases()
        if e.values[0].primitive.name == "dot_general" and not e.values[0].empty
    )
    assert check(product, rng)
    monkeypatch.setitem(
        alignment._RULES,
        product.primitive,
        lambda node, i: (0,) * len(node.inputs[i].shape),
    )
    with pytest.raises(AssertionError):
        check(product, rng)
