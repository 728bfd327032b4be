"""A graph of every primitive through a program file: the same bits on each engine."""

from __future__ import annotations

import io

import numpy as np
import pytest

import chainrule as cr
from chainrule.compilation.portable.file import save_program
from chainrule.compilation.portable.function import Portable
from chainrule.engines import load_engine
from chainrule.graph.emit import trace
from chainrule.graph.types import DType
from chainrule.util.pytree import Leaf
from tests.conformance.cases import Example, all_cases, every, examples_of
from tests.conformance.test_engines import ENGINES, program_of


def through_a_file(example: Example, rng: np.random.Generator, engine: str) -> None:
    names = [f"x{i}" for i in range(len(example.types))]
    graph = trace(lambda *v: example.apply(*v), example.types, name="main")
    for name, value in zip(names, graph.inputs):
        value.name = name
    outputs = [f"y{i}" for i in range(len(graph.outputs))]
    nest = tuple(Leaf(i) for i in range(len(outputs)))
    file = io.BytesIO()
    save_program(Portable(graph, names, {}, outputs, structure=nest), file)
    file.seek(0)
    arrays = example.draw(rng, ties=True)
    got = cr.load_program(file, engine=engine).run(arrays)
    executable = load_engine(engine, program_of(graph), threads=1)
    inputs = dict(zip(names, arrays))
    wanted = executable.run("main", inputs, steps=1, sizes={})
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b[0])


def first(example: Example) -> bool:
    """Whether an example is of its primitive's first case."""
    return example.case is examples_of(example.primitive)[0].case


@every(all_cases((DType.float32,), first))
def test_an_example(example: Example, rng: np.random.Generator) -> None:
    through_a_file(example, rng, "numpy")


@pytest.mark.slow
@every(all_cases())
def test_everything(example: Example, rng: np.random.Generator) -> None:
    for engine in ENGINES:
        through_a_file(example, rng, engine)
