"""Programs on engines: state, replacement, several entry points, chunks, threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.errors import (
    ArgumentError,
    ChainruleWarning,
    EngineError,
    GradientError,
    ShapeError,
)
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.indexing import take
from chainrule.tensor import wrap

N = SymbolicDim("N")


#: New state that reads the old one elsewhere than where it is written.
ELSEWHERE = {
    "product": lambda w: w @ w,
    "transpose": lambda w: w - 2 * w.T,
    "flip": lambda w: w - 2 * w.flip(0),
    "rows": lambda w: w - w.sum(axis=0),
    "running": lambda w: w.cumsum(axis=0),
    "picked": lambda w: w[cr.tensor([(5 * i) % len(w) for i in range(len(w))])],
    "softmax": lambda w: w.softmax(axis=1) - w,
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("size", [6, 96])
def test_state_that_is_read_at_other_places(engine, name, size) -> None:
    """It may not be overwritten while it is read, and is replaced all the same."""
    rule, rng = ELSEWHERE[name], np.random.default_rng(0)
    w = cr.tensor(rng.uniform(-1, 1, (size, size)).astype(np.float32))
    wanted = cr.tensor(w.numpy())

    def step():
        w.copy_(rule(w))
        return w.sum()

    run = cr.compile(step, engine=engine)
    for _ in range(3):
        run()
        wanted = rule(wanted)
        scale = np.abs(wanted.numpy()).max()
        np.testing.assert_allclose(w.numpy(), wanted.numpy(), rtol=0, atol=1e-5 * scale)


def network(*sizes: int, dtype: str = "float32") -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b, dtype=dtype), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def training(model, data, labels, engine, *, threads=None, optimizer=None):
    """Train, evaluate and predict as one program; batches come as row indices."""
    optimizer = optimizer or optim.AdamW(lr=1e-2)
    optimizer.attach_parameters(model.named_parameters())
    loss_function = nn.CrossEntropyLoss()
    names = {id(p): n for n, p in model.named_parameters()}

    def train(x, y, index):
        rows = wrap(take(x.value, index.value)).astype("float32") * (1 / 255)
        model.zero_grad()
        loss = loss_function(model(rows), wrap(take(y.value, index.value)))
        loss.backward()
        norm = (model[0].weight.grad * model[0].weight.grad).sum().sqrt()
        optimizer.step()
        return {"loss": loss, "norm": norm}

    def predict(rows):
        return model(rows)

    given = [
        Input("x", ArrayType(data.shape, DType.uint8)),
        Input("y", ArrayType(labels.shape, DType.int32)),
        Input("index", ArrayType((N,), DType.int32), each=True),
    ]
    rows = Input("rows", ArrayType((N, data.shape[1]), DType.float32))
    return CompiledProgram(
        [
            trace_entry("train", train, given, names),
            trace_entry("predict", predict, [rows], names),
        ],
        engine=engine,
        threads=threads,
    )


@pytest.fixture
def digits():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (200, 48)).astype(np.uint8)
    return x, rng.integers(0, 10, 200).astype(np.int32)


def run_training(
    engine, digits, *, chunk, threads=None, batch=13, sizes=(48, 128, 32, 10)
):
    cr.manual_seed(3)
    model = network(*sizes)
    x, y = digits
    program = training(model, x, y, engine, threads=threads)
    order = np.random.default_rng(1).integers(0, 200, (12, batch)).astype(np.int32)
    losses = []
    for start in range(0, 12, chunk):
        made = program.run(
            "train",
            {"x": x, "y": y, "index": order[start : start + chunk]},
            steps=min(chunk, 12 - start),
        )
        losses += made["loss"].tolist()
    return losses, model.state_dict(), program, model


def test_chunks_do_not_change_a_bit(engine, digits):
    _, one, _, _ = run_training(engine, digits, chunk=1)
    _, many, _, _ = run_training(engine, digits, chunk=5)
    for name in one:
        assert one[name].tobytes() == many[name].tobytes(), name


def test_threads_do_not_change_a_bit(engine, digits):
    if engine == "numpy":
        pytest.skip("the NumPy engine leaves threads to its BLAS")
    runs = [
        run_training(engine, digits, chunk=4, threads=t, batch=b, sizes=s)[1]
        for b, s in ((13, (48, 128, 32, 10)), (1, (48, 160, 7, 10)))
        for t in (1, 2, 3)
    ]
    for group in (runs[:3], runs[3:]):
        for other in group[1:]:
            for name in group[0]:
                assert group[0][name].tobytes() == other[name].tobytes(), name


def test_entry_points_share_the_state_and_any_batch_size_fits(engine, digits):
    _, weights, program, model = run_training(engine, digits, chunk=6)
    rng = np.random.default_rng(5)
    for n in (1, 4, 40):
        rows = rng.random((n, 48)).astype(np.float32)
        scores = program.run("predict", {"rows": rows})
        np.testing.assert_allclose(
            scores, model(cr.tensor(rows)).numpy(), rtol=1e-5, atol=1e-6
        )
    assert all(np.array_equal(weights[k], v) for k, v in model.state_dict().items())


def test_writing_a_parameter_reaches_the_engine(engine, digits):
    _, _, program, model = run_training(engine, digits, chunk=12)
    rows = np.random.default_rng(5).random((3, 48)).astype(np.float32)
    before = program.run("predict", {"rows": rows})
    with cr.no_grad():
        model[4].bias.copy_(model[4].bias.detach() + 1.0)
    after = program.run("predict", {"rows": rows})
    np.testing.assert_allclose(after, before + 1.0, rtol=1e-5, atol=1e-5)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("outputs", [7, 16, 48, 64, 96, 128, 130])
def test_weights_survive_their_layout(engine, outputs):
    cr.manual_seed(0)
    model = network(9, outputs, 3)
    x = np.random.default_rng(0).integers(0, 256, (20, 9)).astype(np.uint8)
    y = np.zeros(20, np.int32)
    with pytest.warns(ChainruleWarning, match="leaves the weights"):
        frozen = optim.SGD(lr=0.0)
    program = training(model, x, y, engine, optimizer=frozen)
    before = model.state_dict()
    index = np.arange(20, dtype=np.int32).reshape(4, 5)
    program.run("train", {"x": x, "y": y, "index": index}, steps=4)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_states_can_change_places(engine):
    a, b = cr.tensor([1.0, 2.0]), cr.tensor([3.0, 4.0])

    @cr.compile(engine=engine)
    def swap():
        old = a.clone()
        a.copy_(b)
        b.copy_(old)
        return a + 0.0

    np.testing.assert_array_equal(swap().numpy(), [3, 4])
    assert (a.tolist(), b.tolist()) == ([3, 4], [1, 2])
    swap()
    assert (a.tolist(), b.tolist()) == ([1, 2], [3, 4])


def test_a_state_may_be_read_after_it_was_replaced(engine):
    count = cr.tensor(np.int32(5))

    @cr.compile(engine=engine)
    def tick(x):
        before = count + 0
        count.copy_(count + 1)
        return before, count * x, x.T @ x

    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    before, after, square = tick(x)
    assert int(before) == 5
    np.testing.assert_array_equal(after.numpy(), 6 * x)
    np.testing.assert_array_equal(square.numpy(), x.T @ x)
    assert int(count) == 6


def test_an_operand_that_is_also_seen_transposed_is_not_overwritten(engine):
    @cr.compile(engine=engine)
    def f(x):
        y = x * 2.0
        return y + y.T

    x = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    np.testing.assert_allclose(f(x).numpy(), 2 * x + 2 * x.T, rtol=1e-6)


def test_a_large_constant_is_an_input_of_the_graph(engine):
    table = np.random.default_rng(0).random((30, 3)).astype(np.float32)

    @cr.compile(engine=engine)
    def f(x):
        return cr.tensor(table) @ x

    x = np.ones((3, 2), np.float32)
    np.testing.assert_allclose(f(x).numpy(), table @ x, rtol=1e-6)
    assert any("30,3" in str(v.type) for v in f.graph(x).inputs)


def test_an_index_outside_is_an_error_and_not_a_crash(engine, digits):
    _, _, program, _ = run_training(engine, digits, chunk=12)
    x, y = digits
    for bad in (200, -1, 10**6):
        index = np.full((1, 4), bad, np.int32)
        with pytest.raises(ArgumentError, match="row that does not exist"):
            program.run("train", {"x": x, "y": y, "index": index}, steps=1)


def test_wrong_inputs_are_named(engine, digits):
    _, _, program, _ = run_training(engine, digits, chunk=12)
    with pytest.raises(ShapeError, match="another shape of 'rows'"):
        program.run("predict", {"rows": np.zeros((3, 47), np.float32)})
    with pytest.raises(ArgumentError, match="needs the input 'rows'"):
        program.run("predict", {})


def test_eager_history_cannot_be_compiled_in(engine):
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    computed = w * 2.0
    with pytest.raises(GradientError, match=r"detach\(\)"):
        cr.compile(lambda x: x * computed, engine=engine)(np.ones(2, np.float32))


def test_unknown_engines_are_refused(engine):
    with pytest.raises(EngineError, match=f"no engine '{engine}s'"):
        cr.compile(lambda x: x, engine=f"{engine}s")(np.ones(2, np.float32))


def test_a_whole_array_sum_is_the_same_for_any_threads(engine):
    if engine == "numpy":
        pytest.skip("the NumPy engine leaves the order to NumPy")
    x = np.random.default_rng(0).normal(size=(313, 229)).astype(np.float32)
    sums = [
        cr.compile(lambda x: (x * x).sum(), engine=engine, threads=t)(x).numpy()
        for t in (1, 2, 3, 4)
    ]
    assert len({s.tobytes() for s in sums}) == 1
    assert float(sums[0]) == pytest.approx(
        float((x.astype(float) ** 2).sum()), rel=1e-6
    )


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (64, 1), (128, 5)])
def test_a_weight_that_was_read_does_not_change_afterwards(engine, shape):
    layer = nn.Linear(shape[1], shape[0], bias=False)
    layer.load_state_dict({"weight": np.ones(shape, np.float32)})

    @cr.compile(engine=engine)
    def step(x):
        made = layer(x)
        layer.weight.copy_(layer.weight * 2.0)
        return made

    x = np.ones((2, shape[1]), np.float32)
    step(x)
    before = layer.weight.numpy()
    step(x)
    np.testing.assert_array_equal(before, np.full(shape, 2, np.float32))
    np.testing.assert_array_equal(layer.weight.numpy(), np.full(shape, 4, np.float32))


def test_a_state_may_become_a_weight_as_it_was(engine):
    layer, kept = nn.Linear(3, 3, bias=False), cr.tensor(np.zeros((3, 3), np.float32))
    first = layer.weight.numpy().copy()

    @cr.compile(engine=engine)
    def step(x):
        made = layer(x)
        kept.copy_(layer.weight)
        layer.weight.copy_(layer.weight * 2.0)
        return made

    step(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(kept.numpy(), first)
    step(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(kept.numpy(), 2 * first)
