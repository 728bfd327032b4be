"""Every primitive and composite on every engine: values, first and second derivatives.

One graph per example holds the result, its pull-back of a random cotangent and, where
that can be differentiated again, the pull-back of the pull-back. An engine must give
what the NumPy references give for that graph. The graphs of one primitive are run as
one program: starting a compiler takes longer than what it compiles.

Pull-backs consist of primitives again, so some examples' are enough: :func:`order_of`.
A composite may be a chain of primitives in one loop: a quarter of these run as machine
code. All of them are tested with the slow tests.
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from chainrule.autodiff import inline, vjp
from chainrule.composites.composite import Composite
from chainrule.engines import capabilities, load_engine
from chainrule.engines.schedule.maps import composite_loop
from chainrule.graph.emit import trace
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Value
from chainrule.graph.primitive import DERIVATIVES, registered
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType
from tests.conformance.cases import Example, examples_of, is_long

#: Differences that rounding explains: elementary functions within a few units in the
#: last place, sums in another order.
TOLERANCE = {np.dtype("float32"): 2e-6, np.dtype("float64"): 4e-15}
#: Graphs of one program, so many at most.
TOGETHER = 12

ENGINES = ["numpy"]
if importlib.util.find_spec("llvmlite") is not None:  # it has no wheel everywhere
    ENGINES.append("native")


def runs_as_code(example: Example) -> bool:
    """Whether the fast tests run a primitive's examples as machine code.

    Of composites that are one loop a quarter do, and those with numbers as attributes,
    which another loop's code must not be taken for.
    """
    primitive = example.primitive
    if not isinstance(primitive, Composite) or example.attrs:
        return True
    chain = composite_loop(primitive, example.types, example.attrs) is not None
    return not chain or zlib.crc32(primitive.name.encode()) % 4 == 0


def program_of(graph: Graph) -> Program:
    names = tuple(v.name or "" for v in graph.inputs)
    entry = Entry("main", graph, names, (), (), {}, len(graph.outputs))
    return Program({"main": entry})


def threads_on(engine: str, number: int) -> int | None:
    """The number of threads, for an engine that takes one."""
    return number if capabilities(engine).threads else None


def joined(graphs: Sequence[Graph]) -> Graph:
    """One graph with the inputs and the outputs of all."""

    def function(*values: Value) -> list[Value]:
        made, rest = list[Value](), list(values)
        for graph in graphs:
            made += inline(graph, [rest.pop(0) for _ in graph.inputs])
        return made

    return trace(function, [v.type for g in graphs for v in g.inputs], name="main")


def with_derivatives(
    example: Example, types: Sequence[ArrayType], *, order: int
) -> Graph:
    """The example's outputs and pull-backs as one graph; cotangents are inputs too."""
    inputs = len(types)
    outputs = example.primitive.output_types(types, example.attrs)
    floats = [i for i, t in enumerate(types) if t.dtype.is_float]
    seeds = [t for t in outputs if t.dtype.is_float]
    differentiable = example.primitive in DERIVATIVES and floats and seeds
    extra = seeds if differentiable and order else []
    needed = [t.dtype.is_float for t in types]

    def first(*arguments: Value) -> tuple[Value, ...]:
        inner, rest = arguments[:inputs], list(arguments[inputs:])
        full = [rest.pop(0) if t.dtype.is_float else None for t in outputs]
        back = vjp(example.apply, inner, full, needed, {})
        return tuple(g for g in back if g is not None)

    def function(*values: Value) -> list[Value]:
        made = list(example.apply(*values[:inputs]))
        if not extra:
            return made
        back = first(*values)
        made += back
        if order == 2:
            twice = [*needed, *(True for _ in seeds)]
            made += [
                g for g in vjp(first, values, list(back), twice, {}) if g is not None
            ]
        return made

    return trace(function, [*types, *extra], name="main", tracked=True)


def assert_close(got: np.ndarray, wanted: np.ndarray, what: str) -> None:
    assert got.shape == wanted.shape, what
    assert got.dtype == wanted.dtype, what
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, err_msg=what)
        return
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    np.testing.assert_allclose(
        got, wanted, rtol=0, atol=TOLERANCE[wanted.dtype] * scale * 8, err_msg=what
    )


def order_of(i: int, example: Example) -> int | None:
    """Return the order of a primitive's i-th example's derivatives; None: no example.

    The first example has its derivative. Others have values of more sizes where a
    primitive is elementwise, every second one of those that are not its derivative too.
    Pull-backs consist of primitives: those of the second order, and of long composites
    the rest, are for the slow tests.
    """
    if is_long(example.primitive):  # values alone, of the first
        return None if i else 0
    if example.dtype is DType.float64:  # every second one: float32 comes before it
        return 0 if i == 1 else None
    return int(i == 0 or (i % 4 == 0 and not example.primitive.elementwise))


def full_order(i: int, example: Example) -> int:
    """Return the highest order that the engines agree about in the example's dtype."""
    return 1 if example.dtype is DType.float64 else 2


def batches(order: Callable[[int, Example], int | None]) -> list[object]:
    """The examples of each primitive with their orders, some at a time."""
    found: list[object] = []
    for primitive in registered().values():
        pairs = [(e, order(i, e)) for i, e in enumerate(examples_of(primitive))]
        mine = [(e, n) for e, n in pairs if n is not None]
        for i in range(0, len(mine), TOGETHER):
            name = f"{primitive.name}-{i // TOGETHER}" if i else primitive.name
            found.append(pytest.param(mine[i : i + TOGETHER], id=name))
    return found


@pytest.mark.parametrize("mine", batches(order_of))
def test_engines_agree_with_the_references(
    mine: list[tuple[Example, int]], rng: np.random.Generator
) -> None:
    check(mine, rng, ENGINES if runs_as_code(mine[0][0]) else ENGINES[:1])


@pytest.mark.slow
@pytest.mark.parametrize("mine", batches(full_order))
def test_engines_agree_in_all_examples(
    mine: list[tuple[Example, int]], rng: np.random.Generator
) -> None:
    check(mine, rng)


@np.errstate(all="ignore")  # second derivatives may overflow, on all engines alike
def check(
    mine: list[tuple[Example, int]],
    rng: np.random.Generator,
    engines: Sequence[str] = ENGINES,
) -> None:
    graphs = [with_derivatives(e, e.types, order=order) for e, order in mine]
    arrays: list[np.ndarray] = []
    wanted: list[tuple[str, np.ndarray]] = []
    for (example, _), graph in zip(mine, graphs):
        drawn = example.draw(rng)
        for value in graph.inputs[len(drawn) :]:
            drawn.append(np.asarray(rng.uniform(-1, 1, value.shape), value.dtype.numpy))
        made = evaluate(graph, drawn)
        wanted += [(f"output {i} of {example}", a) for i, a in enumerate(made)]
        arrays += drawn
    whole = joined(graphs)
    program = program_of(whole)
    names = {v.name or "": a for v, a in zip(whole.inputs, arrays)}
    for engine in engines:
        executable = load_engine(engine, program, threads=threads_on(engine, 2))
        got = executable.run("main", names, steps=1, sizes={})
        for mine_, (what, want) in zip(got, wanted, strict=True):
            assert_close(np.asarray(mine_)[0], want, f"{engine}: {what}")
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
        assert_nothing_is_written_behind(executable)


def assert_nothing_is_written_behind(executable) -> None:
    compiled = executable._compiled["main"]
    assert (compiled.arena[compiled.arena_bytes :] == 0xFF).all()
    for call in executable._calls.values():
        for i, memory in call._returned:
            whole = memory.base
            end = memory.ctypes.data + memory.nbytes - whole.ctypes.data
            assert not whole[end:].any(), f"behind output {i}"


def test_a_wrong_lowering_is_found(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each engine: the row of another primitive."""
    from chainrule.engines.numpy import lower

    def fails(name: str) -> None:
        primitive = registered()[name]
        mine = [(example, 2) for example in examples_of(primitive)[:3]]
        with pytest.raises(AssertionError, match=f"of {name}"):
            check(mine, rng)

    monkeypatch.setitem(lower.UFUNCS, registered()["sin"], np.cos)
    fails("sin")
    if "native" in ENGINES:
        from chainrule.engines.native.loops import kernels
        from chainrule.engines.native.math import scalar

        monkeypatch.setattr(kernels, "_known", {})  # what is compiled already is right
        table = scalar.SCALAR
        monkeypatch.setitem(table, registered()["cos"], table[registered()["sin"]])
        fails("cos")
