"""Named sizes: one program for all of them, for every primitive and every axis.

Each size that occurs in an example gets a name, wherever it stands in the types and in
the attributes. What the rule admits must run on every engine, for sizes that grow and
shrink, with its derivative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule.composites.composite import Composite
from chainrule.engines import load_engine
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.interpret import evaluate
from chainrule.graph.primitive import REFERENCES, Primitive, registered
from chainrule.graph.types import ArrayType, DType, SymbolicDim, resolve
from tests.conformance.cases import (
    Array,
    Case,
    Example,
    examples_of,
    is_long,
    materialise,
)
from tests.conformance.test_engines import (
    ENGINES,
    assert_close,
    joined,
    program_of,
    with_derivatives,
)

#: Examples of a primitive, so many at most.
EXAMPLES = 6
#: Sizes of them that have a name at once; all of them with the slow tests.
SOME = 2
#: Primitives that no rule can admit over a size without a number, and why.
WITHOUT = {
    "constant": "its numbers are written down",
    "call": "its body is another program's",
    "cond": "its cases have branches with numbers for sizes",
    "scan": "its cases have bodies with numbers for sizes",
    "checkpoint": "its cases have bodies with numbers for sizes",
}


@dataclass(frozen=True)
class Named:
    """An example with a name for one of its sizes."""

    example: Example
    size: int
    name: str
    types: tuple[ArrayType, ...]
    attrs: dict[str, Any]

    def fitting(self, turn: int, rng: np.random.Generator) -> tuple[int, list[Array]]:
        """A size, and inputs for it; the example's where an index fits that alone."""
        e = self.example
        for n in ((self.size, 2 * self.size + 3, 1)[turn], self.size):
            types = [t.at({self.name: n}) for t in self.types]
            drawn = materialise(e.primitive, e.case, e.dtype, rng, types=types)
            attrs = {k: resolve(a, {self.name: n}) for k, a in self.attrs.items()}
            try:
                REFERENCES[e.primitive](*drawn, **attrs)
            except ArgumentError:
                continue
            return n, drawn
        raise AssertionError(f"{e} does not run for its own size")


def replaced(item: Any, size: int, name: str) -> Any:
    """The item with the name for every size that is equal."""
    if isinstance(item, tuple):
        return tuple(replaced(part, size, name) for part in item)
    same = isinstance(item, int) and not isinstance(item, bool) and item == size
    return SymbolicDim(name) if same else item


def named(example: Example, start: int) -> Iterator[Named]:
    """What the rule admits, each with a name of its own."""
    given = example.attrs.get("shape", example.attrs.get("dim", ()))
    given = given if isinstance(given, tuple) else (given,)
    sizes = {int(d) for t in example.types for d in t.shape} | set(given)
    for size in sorted(d for d in sizes if d > 1):
        name = f"N{start}"
        types = [
            ArrayType(replaced(t.shape, size, name), t.dtype) for t in example.types
        ]
        attrs = dict(example.attrs)
        for k, item in attrs.items():
            if isinstance(item, tuple) or k == "dim":
                attrs[k] = replaced(item, size, name)
        for variant in (attrs, example.attrs):
            made = Named(example, size, name, tuple(types), variant)
            try:
                out = example.primitive.output_types(types, variant)
            except (ChainruleError, TypeError, AssertionError):
                continue
            shapes = [t.shape for t in (*types, *out)]
            if not types or any(isinstance(d, SymbolicDim) for s in shapes for d in s):
                yield made
                start += 1
                break


def all_named(primitive: Primitive) -> list[Named]:
    found: list[Named] = []
    for example in examples_of(primitive, (DType.float32,))[:EXAMPLES]:
        found += named(example, len(found))
    return found


PRIMITIVES = [pytest.param(p, id=p.name) for p in registered().values() if p.examples()]


#: Elementwise primitives are one loop, whatever they compute: an eighth of them do.
ELEMENTWISE = [p for p in PRIMITIVES if p.values[0].elementwise]
FAST = [p for p in PRIMITIVES if p not in ELEMENTWISE] + ELEMENTWISE[::8]
FAST = [p for p in FAST if not is_long(p.values[0])]


@pytest.mark.parametrize("primitive", FAST)
def test_one_program_serves_every_size(
    primitive: Primitive, rng: np.random.Generator
) -> None:
    chosen = all_named(primitive)
    if not chosen:
        mine = examples_of(primitive)
        assert primitive.name in WITHOUT or not any(t.shape for t in mine[0].types)
        return
    # A composite that has a size in its body has it on every engine.
    engines = ENGINES[:1] if isinstance(primitive, Composite) else ENGINES
    check(primitive, chosen[:: -(-len(chosen) // SOME)], (1, 0), rng, engines)


@pytest.mark.slow
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_one_program_serves_all_sizes(
    primitive: Primitive, rng: np.random.Generator
) -> None:
    # Larger than before, too: the engine plans anew, for elementwise nodes like others.
    turns = (1, 0, 2) if primitive.elementwise else (0, 1, 2)
    check(primitive, all_named(primitive), turns, rng)


def check(
    primitive: Primitive,
    chosen: list[Named],
    turns: tuple[int, ...],
    rng: np.random.Generator,
    engines: Sequence[str] = ENGINES,
) -> None:
    graphs = [
        with_derivatives(
            Example(primitive, Case(v.example.case.inputs, v.attrs), v.example.dtype),
            v.types,
            order=1,
        )
        for v in chosen
    ]
    whole = joined(graphs)
    program = program_of(whole)
    loaded = {engine: load_engine(engine, program, threads=2) for engine in engines}
    for turn in turns:
        sizes: dict[str, int] = {}
        arrays: list[Array] = []
        for variant, graph in zip(chosen, graphs):
            n, drawn = variant.fitting(turn, rng)
            sizes[variant.name] = n
            for value in graph.inputs[len(drawn) :]:
                shape = resolve(value.shape, sizes)
                drawn.append(np.asarray(rng.uniform(-1, 1, shape), value.dtype.numpy))
            arrays += drawn
        wanted = evaluate(whole, arrays, sizes)
        names = {v.name or "": a for v, a in zip(whole.inputs, arrays)}
        for engine, executable in loaded.items():
            got = executable.run("main", names, steps=1, sizes=sizes)
            for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
                assert_close(g[0], w, f"{engine}, {sizes}, output {i}")
