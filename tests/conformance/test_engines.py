"""Every primitive and region on every engine: values, first and second derivatives.

One graph per example holds the result, its pull-back of a random cotangent and, where
that can be differentiated again, the pull-back of the pull-back. An engine must give
what the NumPy references give for that graph.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from chainrule.autodiff import pull_back
from chainrule.engines import load_engine
from chainrule.graph.build import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.primitive import DERIVATIVES
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType, Size
from tests.conformance.cases import Example, all_cases

#: Differences that rounding explains: elementary functions within a few units in the
#: last place, sums in another order.
TOLERANCE = {np.dtype("float32"): 2e-6, np.dtype("float64"): 4e-15}

native = pytest.param(
    "native",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("llvmlite") is None,
        reason="llvmlite has no wheel here",
    ),
)
ENGINES = ["numpy", native]


def program_of(graph: Graph) -> Program:
    names = tuple(v.name or "" for v in graph.inputs)
    entry = Entry("main", graph, names, (), (), {}, len(graph.outputs))
    return Program({"main": entry})


def derivatives(example: Example) -> Graph:
    """The example's outputs, pull-back and second pull-back as one graph."""
    types = example.types
    inputs = len(types)
    outputs = example.out_types
    floats = [i for i, t in enumerate(types) if t.dtype.is_float]
    cotangents = [t for t in outputs if t.dtype.is_float]
    differentiable = example.primitive in DERIVATIVES and floats and cotangents

    def function(*values):
        xs, gs = values[:inputs], list(values[inputs:])
        ys = example.apply(*xs)
        made = list(ys)
        if not differentiable:
            return made
        needed = [t.dtype.is_float for t in types]

        def first(*arguments):
            inner, seeds = arguments[:inputs], list(arguments[inputs:])
            full = [seeds.pop(0) if t.dtype.is_float else None for t in outputs]
            back = pull_back(example.apply, inner, full, needed, {})
            return tuple(g for g in back if g is not None)

        back = first(*xs, *gs)
        made += back
        made += [
            g
            for g in pull_back(
                first, (*xs, *gs), list(back), [*needed, *(True for _ in gs)], {}
            )
            if g is not None
        ]
        return made

    extra = cotangents if differentiable else []
    return trace(function, [*types, *extra], name="main", tracked=True)


def assert_close(got, wanted, what: str) -> None:
    assert got.shape == wanted.shape, what
    assert got.dtype == wanted.dtype, what
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, err_msg=what)
        return
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(
        got, wanted, rtol=0, atol=TOLERANCE[wanted.dtype] * scale * 8, err_msg=what
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("example", all_cases())
def test_engine_agrees_with_the_references(example: Example, engine: str, rng) -> None:
    graph = derivatives(example)
    arrays = example.draw(rng)
    while len(arrays) < len(graph.inputs):
        t = graph.inputs[len(arrays)].type
        arrays.append(np.asarray(rng.uniform(-1, 1, t.shape), t.dtype.numpy))
    wanted = evaluate(graph, arrays)
    executable = load_engine(engine, program_of(graph), threads=2)
    names = {v.name or "": a for v, a in zip(graph.inputs, arrays)}
    got = executable.run("main", names, steps=1, sizes={})
    for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
        assert_close(g[0], w, f"output {i} of {len(wanted)}")
    if engine == "native":
        assert_bits_do_not_depend_on_threads(executable, names, got)


def assert_bits_do_not_depend_on_threads(executable, names, got) -> None:
    for threads in (1, 3):
        executable.threads = threads
        # Whoever reads before the others have written shall not find their old numbers.
        executable._compiled["main"].arena[:] = 0xFF
        again = executable.run("main", names, steps=1, sizes={})
        for i, (a, b) in enumerate(zip(got, again, strict=True)):
            what = f"output {i} with {threads} threads and with 2"
            assert a.tobytes() == b.tobytes(), what


def symbolic_examples():
    """Examples whose first axes can be N: the same leading size for every input."""
    for param in all_cases((DType.float32,)):
        example = param.values[0]
        leading = {t.shape[:1] for t in example.types}
        fits = example.primitive.elementwise or example.primitive.name in (
            "softmax",
            "log_softmax",
            "cross_entropy",
        )
        if fits and len(leading) == 1 and leading != {()} and leading != {(0,)}:
            yield param


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("example", list(symbolic_examples()))
def test_one_graph_serves_every_batch_size(example: Example, engine: str, rng) -> None:
    if example.attrs.get("axis") == 0:
        pytest.skip("the example works along the batch axis itself")
    types = [ArrayType((Size("N"), *t.shape[1:]), t.dtype) for t in example.types]
    graph = trace(lambda *v: example.apply(*v), types, name="main")
    executable = load_engine(engine, program_of(graph), threads=2)
    drawn = example.draw(rng)
    for n in (5, 2, 1, 9):  # larger than before, too: the engine plans anew
        arrays = [np.resize(a, (n, *a.shape[1:])) for a in drawn]
        names = {v.name or "": a for v, a in zip(graph.inputs, arrays)}
        (got,) = executable.run("main", names, steps=1, sizes={"N": n})[:1]
        (wanted,) = evaluate(graph, arrays)[:1]
        assert_close(got[0], wanted, f"N = {n}")
