"""What the XLA engine has beside the contract: JAX, its switches and its processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.engines import capabilities, load_engine, resolve_engine
from chainrule.engines.xla import backend, executable, lower
from chainrule.engines.xla.control import NESTED
from chainrule.errors import ArgumentError, EngineError
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.elementwise import tanh
from chainrule.primitives.indexing import take
from chainrule.tensor import wrap
from chainrule.training.block import DataAdapter
from tests.conformance.test_dtypes import PRIMITIVES

#: Where the vocabulary is declared; other modules and tests have some for themselves.
OURS = ("chainrule.primitives", "chainrule.composites")


def run_python(code: str) -> str:
    """Run code in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_primitive_has_a_row() -> None:
    missing = [
        p.values[0].name
        for p in PRIMITIVES
        if p.values[0].rule.__module__.startswith(OURS)
        and p.values[0] not in lower.LOWERINGS
        and p.values[0] not in NESTED
    ]
    assert missing == []


def test_a_primitive_without_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused when the program is loaded, also within a loop."""
    monkeypatch.delitem(lower.LOWERINGS, tanh)
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with pytest.raises(EngineError, match="cannot compute 'tanh'") as caught:
        cr.compile(model, engine="xla")(cr.ones(1, 2))
    assert "'1'" in str(caught.value)

    def step(carry: cr.Tensor, x: cr.Tensor) -> Any:
        return (carry + x).tanh(), x

    loop = cr.compile(lambda x: cr.scan(step, x[0], x)[0], engine="xla")
    with pytest.raises(EngineError, match="cannot compute 'tanh'"):
        loop(cr.ones(3))


def test_importing_loads_no_jax() -> None:
    code = """
        import sys
        import chainrule as cr
        from chainrule.engines import resolve_engine
        cr.compile(lambda x: x * 2)(cr.ones(3))
        print(resolve_engine("auto") in ("native", "numpy"), "jax" in sys.modules)
    """
    assert run_python(code).split() == ["True", "False"]


def test_in_a_forked_process() -> None:
    code = """
        import os, warnings
        warnings.simplefilter("ignore")
        import chainrule as cr
        f = cr.compile(lambda x: x * 2, engine="xla")
        f(cr.ones(2))
        child = os.fork()
        if child == 0:
            try:
                f(cr.ones(2))
            except cr.errors.EngineError as error:
                print("refused:", "forked" in str(error), "spawn" in str(error))
            import sys; sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        print(f(cr.ones(2)).tolist())
    """
    lines = run_python(code).splitlines()
    assert lines == ["refused: True True", "[2.0, 2.0]"]


def test_without_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"chainrule\[xla\]"):
        resolve_engine("xla")


def test_threads_are_refused() -> None:
    assert not capabilities("xla").threads
    with pytest.raises(EngineError, match="number of threads"):
        cr.compile(lambda x: x + 1, engine="xla", threads=2)(cr.ones(2))


def test_arrays_are_the_users_after_a_call() -> None:
    """JAX reads an array's memory later: what is changed then does not reach it."""
    f = cr.compile(lambda a, x: (a @ a, x * 2), engine="xla")
    a, x = np.ones((600, 600), np.float32), np.zeros(400_000, np.float32)
    for _ in range(3):
        __, y = f(a, x)
        x[:] = 1
        assert not y.numpy().any()
        x[:] = 0


def training(rows: int, p: float = 0.0) -> CompiledProgram:
    """A step of a network with dropout, whose batches come as rows."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(p), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    inputs = [
        Input("x", ArrayType((rows, 4), DType.float32), each=True),
        Input("y", ArrayType((rows,), DType.int64), each=True),
    ]
    return CompiledProgram([trace_entry("step", step, inputs)], engine="xla")


def test_how_a_run_is_divided_changes_no_bit(rng: np.random.Generator) -> None:
    x = rng.normal(size=(40, 6, 4)).astype(np.float32)
    y = rng.integers(0, 3, (40, 6))
    losses = []
    for cuts in ([40], [1] * 40, [1, 2, 17, 20], [16, 24]):
        program, start, found = training(6, 0.2), 0, []
        for n in cuts:
            part = {"x": x[start : start + n], "y": y[start : start + n]}
            found.append(np.asarray(program.run("step", part, steps=n)))
            start += n
        losses.append(np.concatenate(found))
    for other in losses[1:]:
        np.testing.assert_array_equal(other, losses[0])


def test_the_pace_of_a_trainer_changes_no_bit(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of one step, such as the first of each, rounds as others do."""
    x = rng.normal(size=(96, 20))
    y = rng.integers(0, 4, 96)
    take = DataAdapter.take
    found = []
    for pace in (16, 1, 3):
        monkeypatch.setattr(
            DataAdapter, "take", lambda self, state, most, n=pace: take(self, state, n)
        )
        cr.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(20, 16),
            nn.LayerNorm(16),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(16, 4),
        )
        trainer = cr.Trainer(
            model.to("float64"),
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=1e-2),
            engine="xla",
        )
        trainer.fit((x, y), epochs=3, batch_size=8, progress=False)
        weights = [p.numpy() for p in model.parameters()]
        found.append([trainer.history.steps["loss"], *weights])
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [1, 5, 300])
def test_a_refused_step_within_a_block(steps: int, rng: np.random.Generator) -> None:
    program, other = training(6), training(6)
    x = rng.normal(size=(steps + 1, 6, 4)).astype(np.float32)
    y = rng.integers(0, 3, (steps + 1, 6))
    y[-1, 3] = 7
    with pytest.raises(ArgumentError, match="label"):
        program.run("step", {"x": x, "y": y}, steps=steps + 1)
    assert program.executable.completed == steps
    other.run("step", {"x": x[:-1], "y": y[:-1]}, steps=steps)
    for a, b in zip(program.tensors.values(), other.tensors.values()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_error_says_which_index() -> None:
    def pick(x: cr.Tensor, i: cr.Tensor) -> cr.Tensor:
        return wrap(take(x.value, i.value))

    f = cr.compile(pick, engine="xla")
    f(cr.ones(4), np.array([0, 3]))
    with pytest.raises(ArgumentError, match="from 0 to 9"):
        f(cr.ones(4), np.array([0, 9]))


def test_compiled_functions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "FUNCTIONS_AT_MOST", 2)
    traced = trace_entry(
        "double",
        lambda x: x * 2,
        [Input("x", ArrayType((SymbolicDim("N"),), DType.float32))],
    )
    program = CompiledProgram([traced], engine="xla")
    for size in (3, 4, 5, 6, 3):
        made = program.run("double", {"x": np.ones(size, np.float32)})
        assert np.asarray(made).tolist() == [2.0] * size
    loaded: Any = program.executable
    assert len(loaded._compiled) == len(loaded._steps) == 2


def test_pooling_adds_nothing_by_index(rng: np.random.Generator) -> None:
    """Its derivative is a choice: an addition by index is a loop in XLA."""
    pools = [(2, 2, 0), (3, 2, 1), (2, 3, 0), ((3, 1), (1, 2), (1, 0))]
    for window, stride, padding in pools:
        layer = nn.MaxPool2d(window, stride, padding)
        x = Input("x", ArrayType((2, 3, 9, 10), DType.float64))

        def gradient(x: cr.Tensor, layer: nn.Module = layer) -> cr.Tensor:
            return cr.grad(lambda t: (layer(t) ** 3).sum())(x)

        program = CompiledProgram([trace_entry("main", gradient, [x])], engine="xla")
        graph = program.executable.entries["main"].graph
        names = {n.primitive.name for n in graph.nodes}
        assert "window_max_pullback" in names
        assert "scatter_add_along" not in names
        array = rng.integers(-3, 4, (2, 3, 9, 10)).astype(float)  # with ties
        wanted = gradient(cr.tensor(array)).numpy()
        got = np.asarray(program.run("main", {"x": array}))
        np.testing.assert_array_equal(got, wanted)


def test_channels_last_inside(rng: np.random.Generator) -> None:
    """What stands between convolutions is computed in their order, and is right."""
    model = nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(
            nn.ConvTranspose2d(4, 4, 3, 2),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 4, 3, groups=2),
        ),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)),
    ).to(cr.float64)
    x = rng.normal(size=(5, 2, 6, 6))
    found = []
    for engine in ("numpy", "xla"):

        @cr.compile(engine=engine)
        def gradients(x: cr.Tensor) -> list[cr.Tensor]:
            model.zero_grad()
            loss = (model(x) ** 2).sum()
            loss.backward()
            return [loss, *[p.grad + 0 for p in model.parameters()]]

        found.append([t.numpy() for t in gradients(x)])
    for wanted, got in zip(*found, strict=True):
        scale = np.abs(wanted).max() + 1e-3
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * scale)


def test_jax_arrays_go_in(engine: str) -> None:
    x = jnp.arange(3.0)
    assert cr.compile(lambda t: t * 2, engine=engine)(x).tolist() == [0.0, 2.0, 4.0]
    assert jax.config.jax_enable_x64 is False


def test_an_entry_without_inputs() -> None:
    from chainrule.graph.emit import trace
    from chainrule.primitives.movement import full

    graph = trace(lambda: [full(2.0, DType.float32, (3,))], [], name="main")
    program = Program({"main": Entry("main", graph, (), (), (), {}, 1)})
    (made,) = load_engine("xla", program).run("main", {}, steps=None, sizes={})
    assert made.numpy().tolist() == [2.0, 2.0, 2.0]
    assert "xla" in repr(made)


def test_a_result_of_bfloat16_is_found_not_finite() -> None:
    f = cr.compile(lambda x: x * 1, engine="xla")
    for numbers, finite in (([1.0, np.nan], False), ([1.0, 2.0], True)):
        made: Any = f(cr.tensor(numbers, dtype=cr.bfloat16))._stored_or_array("xla")
        assert made.dtype.name == "bfloat16"
        assert made.is_finite() is finite


def test_errors_of_steps_that_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is prepared anew says what its functions' records mean."""
    monkeypatch.setattr(executable, "FUNCTIONS_AT_MOST", 2)
    traced = trace_entry(
        "pick",
        lambda i: cr.arange(4.0)[i],
        [Input("i", ArrayType((SymbolicDim("N"),), DType.int64), each=True)],
    )
    program = CompiledProgram([traced], engine="xla")
    program.run("pick", {"i": [0]})
    program.run("pick", {"i": [0, 1]})
    program.run("pick", {"i": [[0], [1]]}, steps=2)
    program.run("pick", {"i": [0, 1, 2]})  # the step of one row is forgotten here
    with pytest.raises(ArgumentError, match="out of range"):
        program.run("pick", {"i": [[0], [9]]}, steps=2)


def test_a_step_larger_than_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before it has the state, which XLA would lose on the way."""
    total = cr.tensor(np.zeros(3))

    @cr.compile(engine="xla")
    def step(x: cr.Tensor) -> cr.Tensor:
        total.copy_(total + 1)
        return (x[:, None] + x).sort(dim=0)[0].cumsum(0).max()

    step(cr.ones(3))
    monkeypatch.setattr(backend, "memory", lambda: 1 << 20)
    with pytest.raises(EngineError, match="needs more memory than there is"):
        step(cr.ones(2000))
    assert total.tolist() == [1.0, 1.0, 1.0]
    assert step(cr.ones(3)).item() == 6.0
    assert total.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("reverse", [False, True])
def test_running_sums_of_what_was_padded(reverse: bool) -> None:
    def f(x: cr.Tensor) -> cr.Tensor:
        padded = nn.functional.pad(x, (1, 1))
        return (padded.flip(1) if reverse else padded).cumsum(1)

    def slope(x: cr.Tensor) -> cr.Tensor:
        return cr.grad(lambda x: x.reshape(1, 3).cumsum(1)[0, 1])(x)

    one, three = cr.ones(1, 1), cr.ones(3)
    assert cr.compile(f, engine="xla")(one).tolist() == [[0.0, 1.0, 1.0]]
    assert cr.compile(slope, engine="xla")(three).tolist() == [1.0, 1.0, 0.0]


def test_equal_elements_keep_their_order() -> None:
    x = cr.tensor([1.0, 0.0, 1.0, 2.0, 0.0, 1.0])

    @cr.compile(engine="xla")
    def orders(x: cr.Tensor) -> list[cr.Tensor]:
        return [x.argsort(descending=down, stable=True) for down in (False, True)]

    up, down = orders(x)
    assert up.tolist() == [1, 4, 0, 2, 5, 3]
    assert down.tolist() == [3, 0, 2, 5, 1, 4]


def test_what_was_read_outlives_the_runs_that_replace_it() -> None:
    total = cr.tensor([1.0, 2.0])

    @cr.compile(engine="xla")
    def step() -> cr.Tensor:
        total.copy_(total + 1)
        return total.sum()

    step()
    (program,) = step.programs
    (name,) = program.tensors
    before: Any = program.executable.read(name)
    step()
    assert np.asarray(before).tolist() == [2.0, 3.0]
    assert total.tolist() == [3.0, 4.0]


def test_the_derivative_of_a_window_goes_to_its_nan() -> None:
    x = cr.tensor([[[1.0, np.nan, 3.0, 4.0, 2.0, 5.0]]])
    slope = cr.grad(lambda x: nn.functional.max_pool1d(x, 3, 2, 1).sum())
    wanted = slope(x).tolist()
    assert wanted == [[[0.0, 2.0, 0.0, 0.0, 0.0, 1.0]]]
    assert cr.compile(slope, engine="xla")(x).tolist() == wanted


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_large_maxima_keep_nan(dtype: str, rng: np.random.Generator) -> None:
    """XLA's own drops NaN from large reductions on CPUs; infinities are numbers."""
    numbers = rng.normal(size=(40, 8, 64)).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf, 3e38, -3e38):
        numbers[rng.random(numbers.shape) < 0.005] = value
    numbers[:, :, 7], numbers[5, 3:], numbers[:6, 2] = -np.inf, np.inf, 1.0
    x = cr.tensor(numbers).to(getattr(cr, dtype))

    def maxima(x: cr.Tensor) -> Any:
        found = [x.amax(axes) for axes in (0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2))]
        found += [
            x.amin(0),
            *(nn.functional.max_pool2d(x[None], n) for n in (2, (8, 64))),
        ]
        return [a.float() for a in found]

    got, wanted = cr.compile(maxima, engine="xla")(x), maxima(x)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_mask_does_not_hide_nan(dtype: str) -> None:
    """XLA takes a product with a converted truth value for a choice."""
    x = cr.tensor([np.nan, np.inf, -np.inf, 2.0]).to(getattr(cr, dtype))

    @cr.compile(engine="xla")
    def masked(mask: cr.Tensor, x: cr.Tensor) -> Any:
        product = mask.to(x.dtype) * x, (x > 3).to(x.dtype) * (1 / (x - x))
        return [a.float() for a in product]

    given, made = masked(cr.tensor([False] * 4), x)
    np.testing.assert_array_equal(given.numpy(), [np.nan, np.nan, np.nan, 0])
    np.testing.assert_array_equal(made.numpy(), [np.nan, np.nan, np.nan, np.nan])


def test_of_conditions_that_fail_the_first_is_told() -> None:
    rows, scores = cr.arange(3.0), cr.ones((2, 3))

    @cr.compile(engine="xla")
    def both(index: cr.Tensor, label: cr.Tensor) -> cr.Tensor:
        return rows[index].sum() + nn.functional.cross_entropy(scores, label)

    right = cr.tensor([0, 1])
    for index, label, said in (
        (right + 7, right, "index"),
        (right, right + 7, "label"),
    ):
        with pytest.raises(ArgumentError, match=said):
            both(index, label)
    with pytest.raises(ArgumentError, match="index"):
        both(right + 7, right + 7)


def test_threads_prepare_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step's conditions mean is known to the one that was traced."""
    loaded, at_sizes = training(6).executable, executable.at_sizes

    def slowly(*given: Any) -> Any:
        time.sleep(0.05)
        return at_sizes(*given)

    monkeypatch.setattr(executable, "at_sizes", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda __: loaded.prepare("step", {}), range(4)))
    assert len({id(step) for step in found}) == 1
