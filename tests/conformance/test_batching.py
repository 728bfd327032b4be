"""Every primitive for many samples at once, beside a loop over the samples."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.autodiff import cotangents
from chainrule.graph.batching import apply_to_samples
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.tensor import wrap
from tests.conformance.cases import Example, all_cases, every
from tests.conformance.derivatives import differentiable, is_float

SAMPLES = 3
#: Inputs up to which every choice of those that differ is tried.
ALL_CHOICES = 4


def some_inputs(example: Example) -> bool:
    return bool(example.types)


def _choices(example: Example) -> list[tuple[bool, ...]]:
    """Which inputs differ from sample to sample: each choice of at least one.

    Of many inputs, so many choices that of any two inputs each differs in one of them
    in which the other does not; and all.
    """
    count = len(example.types)
    if count <= ALL_CHOICES:
        return [c for c in itertools.product((False, True), repeat=count) if any(c)]
    bits = range((count - 1).bit_length())
    by_digit = [tuple(bool(i >> b & 1) for i in range(count)) for b in bits]
    others = [tuple(not flag for flag in choice) for choice in by_digit]
    return [*by_digit, *others, (True,) * count]


def _drawn(example: Example, batched: tuple[bool, ...], rng: Any) -> list[Any]:
    """The inputs of all samples: stacked where they differ."""
    draws = [example.draw(rng) for __ in range(SAMPLES)]
    return [
        np.stack([draw[i] for draw in draws]) if flag else draws[0][i]
        for i, flag in enumerate(batched)
    ]


def _looped(example: Example, arrays: list[Any], batched: tuple[bool, ...]) -> Any:
    each = [
        example.reference([a[s] if b else a for a, b in zip(arrays, batched)])
        for s in range(SAMPLES)
    ]
    return [np.stack(parts) for parts in zip(*each)]


@every(all_cases(only=some_inputs))
def test_samples_at_once_are_the_samples_one_by_one(
    example: Example, rng: np.random.Generator
) -> None:
    for batched in _choices(example):
        arrays = _drawn(example, batched, rng)
        expected = _looped(example, arrays, batched)
        values = [Value(a) for a in arrays]
        attrs = example.attrs
        eager = apply_to_samples(example.primitive, values, batched, SAMPLES, attrs)

        def function(*inputs: Value, batched: tuple[bool, ...] = batched) -> Any:
            return apply_to_samples(
                example.primitive, inputs, batched, SAMPLES, example.attrs
            )

        graph = trace(function, [v.type for v in values])
        traced = evaluate(graph, arrays)
        for want, now, later in zip(expected, eager, traced, strict=True):
            assert now.array is not None
            assert now.dtype.numpy == want.dtype == later.dtype, batched
            tolerance = 1e-12 if want.dtype == np.float64 else 2e-6
            for got in (now.array, later):
                assert got.shape == want.shape, batched
                np.testing.assert_allclose(
                    got, want, rtol=tolerance, atol=tolerance, err_msg=str(batched)
                )


@every(all_cases(only=lambda e: differentiable(e) and some_inputs(e)))
def test_rows_of_a_jacobian_that_was_recorded_outside(
    example: Example, rng: np.random.Generator
) -> None:
    """Way back for many cotangents at once, the way forwards before and eagerly."""
    xs = example.draw(rng)
    values = [Value(np.asarray(x), tracked=is_float(x)) for x in xs]
    outputs = [y for y in example.apply(*values) if y.dtype.is_float and y.tracked]
    if not outputs:
        return
    shapes = [(SAMPLES, *y.shape) for y in outputs]
    us = [
        cr.tensor(rng.standard_normal(shape), dtype=y.dtype)
        for shape, y in zip(shapes, outputs)
    ]

    def pulled(*us: cr.Tensor) -> list[cr.Tensor]:
        roots = dict(zip(outputs, [u.value for u in us]))
        known = cotangents(roots, stop=values)
        return [wrap(known[v]) for v in values if v in known]

    at_once = cr.vmap(pulled)(*us)
    one_by_one = [pulled(*[u[i] for u in us]) for i in range(SAMPLES)]
    tolerance = 1e-12 if example.out_types[0].dtype is DType.float64 else 2e-5
    for got, want in zip(at_once, zip(*one_by_one), strict=True):
        stacked = np.stack([w.detach().numpy() for w in want])
        scale = max(1.0, float(np.abs(stacked).max(initial=0)))
        np.testing.assert_allclose(
            got.detach(), stacked, rtol=tolerance, atol=tolerance * scale
        )
