"""A graph of every primitive, and of its derivative, through text and back."""

from __future__ import annotations

import numpy as np

from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.text import parse, to_text
from chainrule.graph.types import DType
from chainrule.graph.verify import verify
from tests.conformance.cases import Array, Example, all_cases, every
from tests.conformance.derivatives import cotangent_function, differentiable
from tests.conformance.test_rules import BATCHABLE


def there_and_back(graph: Graph, arrays: list[Array]) -> None:
    verify(graph)
    text = to_text(graph)
    again = parse(text)
    verify(again)
    assert to_text(again) == text
    before, after = evaluate(graph, arrays), evaluate(again, arrays)
    for old, new in zip(before, after, strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_array_equal(old, new)


@every(all_cases())
def test_round_trip(example: Example, rng: np.random.Generator) -> None:
    graph = trace(example.apply, example.types, name=example.primitive.name)
    there_and_back(graph, example.draw(rng, ties=True))


@every(all_cases((DType.float32,), differentiable))
def test_round_trip_of_the_derivative(
    example: Example, rng: np.random.Generator
) -> None:
    floats = [t for t in example.out_types if t.dtype.is_float]
    types = [*example.types, *floats]
    graph = trace(cotangent_function(example), types, name="vjp", tracked=True)
    us = [rng.standard_normal([*t.shape]).astype(t.dtype.numpy) for t in floats]
    there_and_back(graph, [*example.draw(rng), *us])


@every(BATCHABLE)
def test_round_trip_over_a_symbolic_batch(
    example: Example, types: list, attrs: dict, rng: np.random.Generator
) -> None:
    graph = trace(example.primitive, types, name="batch", attrs=attrs)
    assert "N" in to_text(graph)
    there_and_back(graph, example.draw(rng))
