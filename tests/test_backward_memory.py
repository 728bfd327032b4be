"""What is held while a derivative is taken, counted in arrays of one size.

NumPy tells tracemalloc of its memory, so the peak is exact. What a walk needs at once
follows from the program: the cotangents of the values that something behind the walk
has read and whose producer is still ahead. It never follows from the length.
"""

import gc
import tracemalloc
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule.autodiff import cotangents
from chainrule.graph.apply import constant
from chainrule.graph.graph import ancestors
from chainrule.graph.primitive import DERIVATIVES
from chainrule.primitives.elementwise import tanh

F = cr.nn.functional
#: Large beside the objects around it: nodes, values, the map.
ELEMENTS = 1 << 14
ARRAY = ELEMENTS * 4
#: What one derivative rule works with, beyond the cotangents that wait.
AT_WORK = 4


def leaf(seed: int = 0) -> cr.Tensor:
    numbers = np.random.default_rng(seed).uniform(0.1, 0.9, (128, ELEMENTS // 128))
    return cr.tensor(numbers.astype("float32"), requires_grad=True)


def added(function: Callable[[], object]) -> float:
    """The peak of memory during a call beyond what was held before it, in arrays."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        function()
        return (tracemalloc.get_traced_memory()[1] - before) / ARRAY
    finally:
        tracemalloc.stop()


# -- one form, 40 and 400 of it --------------------------------------------------------

FORMS: dict[str, Callable[[cr.Tensor], cr.Tensor]] = {
    "a chain": lambda y: y.tanh(),
    "a product with a number": lambda y: y * 0.99,
    "a residual": lambda y: (y + y.sin()) * 0.5,
    "a value read by several": lambda y: (y * y + y.sin()) * y * 0.4,
    "a matrix product": lambda y: (y @ y.T) * 0.01,
    "views": lambda y: y.T.reshape(-1).flip(0).reshape(128, -1),
    "pieces": lambda y: cr.cat([p * 2.0 for p in y.chunk(2)]) * 0.5,
    "a composite": lambda y: F.softmax(y, 1),
    "a composite of many nodes": lambda y: F.layer_norm(y, (y.shape[1],)),
    "a choice": lambda y: cr.where(y > 0.5, y, y * 0.5),
}
WAYS = {
    "backward": lambda loss, x: loss.backward(),
    "retain_graph": lambda loss, x: loss.backward(retain_graph=True),
    "gradients": lambda loss, x: cr.gradients(loss, [x]),
}


def built(form: Callable[[cr.Tensor], cr.Tensor], x: cr.Tensor, n: int) -> cr.Tensor:
    for _ in range(n):
        x = form(x)
    return x.sum()


@pytest.mark.one_in(8)
@pytest.mark.parametrize(
    ("form", "way"),
    [
        *((form, "backward") for form in FORMS),
        *(("a value read by several", way) for way in WAYS if way != "backward"),
    ],
)
def test_a_walk_needs_the_same_for_any_length(form: str, way: str) -> None:
    def peak(n: int) -> float:
        x = leaf()
        loss = built(FORMS[form], x, n)
        return added(lambda: WAYS[way](loss, x))

    peak(1)  # rules of composites are traced
    few, many = peak(20), peak(60)
    assert few <= 6.1  # six arrays, and 200 bytes for each of 20 nodes
    assert many <= few + 2  # nodes are objects too: 200 bytes each


def test_four_hundred_nodes() -> None:
    x = leaf()
    loss = built(FORMS["a chain"], x, 400)
    assert added(loss.backward) <= 6


def test_the_derivative_of_a_function() -> None:
    x = leaf().detach()
    with cr.no_grad():
        forward = added(lambda: built(FORMS["a chain"], x, 40))
    assert forward <= 3

    def f(t: cr.Tensor) -> cr.Tensor:
        return built(FORMS["a chain"], t, 40)

    tape = 40
    assert added(lambda: cr.grad(f)(x)) <= tape + 6
    assert added(lambda: cr.vjp(f, x)[1](cr.tensor(1.0))) <= tape + 6


def test_what_an_evaluation_of_a_graph_needs() -> None:
    """A compiled function's graph, node by node: no more than it reads later."""

    def f(t: cr.Tensor) -> cr.Tensor:
        for _ in range(40):
            t = t.tanh()
        return t

    from chainrule.compilation.tracing import Input, trace_entry
    from chainrule.graph.interpret import evaluate

    x = leaf().detach()
    graph = trace_entry("f", f, [Input("x", x.value.type)]).entry.graph
    evaluate(graph, [x.numpy()])
    assert added(lambda: evaluate(graph, [x.numpy()])) <= 3


def test_a_recorded_derivative_is_kept_and_its_own_is_not() -> None:
    def peak(n: int) -> float:
        x = leaf()
        (slope,) = cr.gradients(built(FORMS["a chain"], x, n), [x], create_graph=True)
        loss = slope.sum()
        return added(loss.backward)

    # The walk over the derivative meets the forward values' second cotangents.
    assert peak(20) <= 20 + 10
    x = leaf()
    loss = built(FORMS["a chain"], x, 20)
    loss.backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


# -- what the walk lets go -------------------------------------------------------------


def test_forward_values_go_as_the_walk_passes_them(monkeypatch) -> None:
    rule, held = DERIVATIVES[tanh], []

    def watched(*args, **kwargs):
        held.append(tracemalloc.get_traced_memory()[0])
        return rule(*args, **kwargs)

    monkeypatch.setitem(DERIVATIVES, tanh, watched)
    tracemalloc.start()
    try:
        x = leaf()
        loss = built(FORMS["a chain"], x, 30)
        loss.backward()
    finally:
        tracemalloc.stop()
    fallen = -np.diff(held)[2:] / ARRAY
    assert len(held) == 30
    assert fallen.min() > 0.95


@pytest.mark.parametrize("way", ["backward", "gradients"])
def test_nothing_is_left_but_the_gradient(way: str) -> None:
    x = leaf()
    loss = built(FORMS["a residual"], x, 10)
    ghosts = [weakref.ref(v) for n in ancestors([loss.value]) for v in n.inputs]
    gc.disable()
    try:
        WAYS[way](loss, x)
        alive = [v for ghost in ghosts if (v := ghost()) is not None]
    finally:
        gc.enable()
    # A number stretched to a shape is kept for the next time, and has no memory.
    own = {id(v) for v in alive if any(v.array.strides)}
    assert own == {id(x.value)}


# -- random graphs ---------------------------------------------------------------------

UNARY = [cr.Tensor.sin, cr.Tensor.tanh, cr.Tensor.sigmoid, cr.Tensor.neg]
BINARY = [cr.Tensor.add, cr.Tensor.mul, cr.Tensor.sub, cr.maximum]


class Program:
    """A random program: each line reads one or two of the last ``width`` values."""

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.leaves, count = int(draw.integers(1, 4)), int(draw.integers(20, 60))
        width = int(draw.integers(1, 6))
        self.lines: list[tuple[Callable[..., cr.Tensor], tuple[int, ...]]] = []
        for at in range(self.leaves, self.leaves + count):
            binary = draw.random() < 0.6
            low = max(0, at - width) if draw.random() < 0.95 else 0
            reads = tuple(int(i) for i in draw.integers(low, at, 1 + binary))
            how = (BINARY if binary else UNARY)[int(draw.integers(4))]
            self.lines.append((how, reads))

    def run(self, leaves: list[cr.Tensor]) -> cr.Tensor:
        values = list(leaves)
        for how, reads in self.lines:
            values.append(how(*(values[i] for i in reads)))
        return values[-1].sum()

    def waiting(self) -> int:
        """The most cotangents that are there at once, by the program's text."""
        last = self.leaves + len(self.lines) - 1
        reached, most = {last}, 1
        for at in range(last, self.leaves - 1, -1):
            if at in reached:
                reached |= set(self.lines[at - self.leaves][1])
            most = max(most, sum(1 for i in reached if i <= at))
        return most


def same_as_with_all_of_them(seed: int, way: str) -> None:
    program = Program(seed)
    leaves = [leaf(seed + i) for i in range(program.leaves)]
    loss = program.run(leaves)
    every = cotangents({loss.value: constant(1.0, "float32")})
    wanted = [every.get(x.value) for x in leaves]
    wanted = [None if g is None else g.array.copy() for g in wanted]
    del every
    assert added(lambda: WAYS[way](loss, leaves)) <= program.waiting() + AT_WORK
    for x, g in zip(leaves, wanted, strict=True):
        got = x.grad
        assert (got is None) == (g is None)
        assert got is None or got.numpy().tobytes() == g.tobytes()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("way", ["backward", "retain_graph"])
@pytest.mark.parametrize("seed", range(3))
def test_random_graphs(seed: int, way: str) -> None:
    same_as_with_all_of_them(seed, way)


@pytest.mark.slow
def test_many_random_graphs(turn: int | None) -> None:
    for seed in range(100, 700) if turn is None else range(100 + turn % 8, 700, 8):
        same_as_with_all_of_them(seed, ("backward", "retain_graph")[seed % 2])


def test_cotangents_that_are_wanted_stay() -> None:
    x = leaf()
    y = x.tanh()
    z = y * y
    loss = z.sum()
    root = {loss.value: constant(1.0, "float32")}
    every = cotangents(root)
    some = cotangents(root, keep={y.value}.__contains__)
    assert set(every) - set(some) == {loss.value, z.value}
    assert some[y.value].array.tobytes() == every[y.value].array.tobytes()
    found = cr.gradients(loss, [y, loss, x], retain_graph=True)
    assert [t.shape for t in found] == [y.shape, (), x.shape]
    assert found[1].item() == 1.0
