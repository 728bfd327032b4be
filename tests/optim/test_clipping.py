"""Gradient clipping, in a step and in a loop of one's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError
from tests.mistakes import explained
from tests.ways import ENGINES, WAYS


def parameters(*gradients, dtype="float64"):
    """A parameter of zeros for each gradient."""
    made = []
    for g in gradients:
        array = np.asarray(g, dtype)
        p = cr.tensor(np.zeros_like(array), requires_grad=True)
        p.grad = cr.tensor(array)
        made.append(p)
    return made


def clipped(gradients, **limits) -> list[list[float]]:
    """What SGD with η = 1 subtracts."""
    held = parameters(*gradients)
    optim.SGD(held, lr=1.0, **limits).step()
    return [(0.0 - p.numpy()).tolist() for p in held]


def test_values_are_clipped_before_the_norm() -> None:
    """The other way round (3, 4) would give (0.6, 0.8)."""
    made = clipped([[3.0, 4.0]], clip_norm=1.0, clip_value=3.0)
    np.testing.assert_allclose(made[0], [math.sqrt(0.5)] * 2, rtol=1e-6)
    # Then one infinite element does not make everything else vanish.
    (made,) = clipped([[math.inf, 1.0]], clip_norm=10.0, clip_value=2.0)
    assert made == [2.0, 1.0]


@pytest.mark.parametrize("engine", WAYS)
def test_the_functions_are_the_options(engine: str) -> None:
    """A loop of one's own comes to the same bits as clip_norm and clip_value."""

    def run(by_hand: bool) -> list[np.ndarray]:
        cr.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 2))
        limits = {} if by_hand else {"clip_norm": 0.5, "clip_value": 0.1}
        optimizer = optim.Adam(model.parameters(), lr=0.1, **limits)
        loss_of = nn.MSELoss()

        def step(x, y):
            model.zero_grad()
            loss_of(model(x), y).backward()
            if by_hand:
                optim.clip_grad_value_(model.parameters(), 0.1)
                optim.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return x.sum()

        compiled = step if engine == "eager" else cr.compile(step, engine=engine)
        rng = np.random.default_rng(0)
        for _ in range(3):
            x, y = rng.normal(size=(8, 3)), 5 * rng.normal(size=(8, 2))
            compiled(cr.tensor(x.astype("float32")), cr.tensor(y.astype("float32")))
        return [p.numpy() for p in model.parameters()]

    for a, b in zip(run(True), run(False), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", WAYS)
def test_limits_change_without_compiling_anew(engine: str) -> None:
    w = cr.tensor(np.zeros(2), requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0, clip_norm=math.inf, clip_value=math.inf)

    def step(g):
        w.grad = g
        before = w * 1.0
        optimizer.step()
        return before - w

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    g = cr.tensor(np.array([3.0, 4.0]))
    assert run(g).tolist() == [3.0, 4.0]
    optimizer.clip_norm = 1.0
    np.testing.assert_allclose(run(g).tolist(), [0.6, 0.8], rtol=1e-6)
    optimizer.clip_norm, optimizer.clip_value = 100.0, 3.5
    np.testing.assert_allclose(run(g).tolist(), [3.0, 3.5], rtol=1e-15)
    if engine != "eager":
        assert len(run.programs) == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_the_norm_does_not_depend_on_threads(threads: int) -> None:
    pytest.importorskip("llvmlite", reason="llvmlite has no wheel here")

    def norm(threads: int) -> bytes:
        rng = np.random.default_rng(0)
        model = nn.Linear(300, 256)
        for p in model.parameters():
            p.grad = cr.tensor(rng.normal(size=p.shape).astype("float32"))

        def measure(a, b):
            model.weight.grad, model.bias.grad = a, b
            return optim.clip_grad_norm_(model.parameters(), 1.0), model.weight.grad

        run = cr.compile(measure, engine="native", threads=threads)
        grads = [p.grad for p in model.parameters()]
        return b"".join(t.numpy().tobytes() for t in run(*grads))

    assert norm(threads) == norm(2)


@pytest.mark.parametrize("engine", ENGINES)
def test_clipping_leaves_the_layout_of_weights_alone(engine: str) -> None:
    """The engines lay weights and moments as before: clipping adds no copies."""
    if engine not in WAYS:
        pytest.skip("llvmlite has no wheel here")

    def compiled(**limits):
        model = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 2))
        for name, p in model.named_parameters():
            p.name = name
        optimizer = optim.SGD(
            model.named_parameters(), lr=0.1, momentum=0.9, weight_decay=0.1, **limits
        )

        def step(x):
            model.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
            return x.sum()

        run = cr.compile(step, engine=engine)
        run(cr.tensor(np.ones((4, 3), np.float32)))
        (program,) = run.programs
        held = program.executable
        laid_out = held.weights if engine == "numpy" else set(held.blocked)
        entries = held.entries if engine == "numpy" else held.prepared.entries
        nodes = [
            node.attrs.get("composite", node.primitive.name)
            for node in entries["step"].graph.nodes
            for _ in range(node.attrs.get("members", 1))
        ]
        return laid_out, nodes.count("copy"), nodes

    plain, both = compiled(), compiled(clip_norm=1.0, clip_value=0.5)
    assert plain[:2] == both[:2]
    assert {"0.weight", "0.weight.velocity"} <= both[0]
    for nodes in (plain[2], both[2]):
        assert nodes.count("sgd_update") == 4
    assert "clip_elements" not in plain[2]
    assert "sqrt" not in plain[2]


def test_parameters_of_two_dtypes() -> None:
    """The norm is taken in the wider one; each gradient stays in its own."""
    a, b = parameters([3.0], dtype="float32")[0], parameters([4.0])[0]
    norm = optim.clip_grad_norm_([a, b], 1.0)
    assert (norm.dtype.name, norm.item()) == ("float64", 5.0)
    assert (a.grad.dtype.name, b.grad.dtype.name) == ("float32", "float64")
    assert b.grad.item() == pytest.approx(0.8, rel=1e-6)
    a, b = parameters([3.0], dtype="float32")[0], parameters([4.0])[0]
    optim.SGD([a, b], lr=1.0, clip_norm=1.0).step()
    assert (a.item(), b.item()) == pytest.approx((-0.6, -0.8), rel=1e-6)


def test_a_limit_may_be_an_argument_of_a_compiled_function() -> None:
    (w,) = parameters([0.0, 0.0])

    def clip(g, limit):
        w.grad = g
        norm = optim.clip_grad_norm_(w, limit)
        return norm, w.grad

    run = cr.compile(clip, engine="numpy")
    g = cr.tensor(np.array([3.0, 4.0]))
    for limit in (1.0, 2.5):
        norm, made = run(g, cr.tensor(np.float64(limit)))
        assert norm.item() == 5.0
        np.testing.assert_allclose(made.numpy(), np.array([3, 4]) * limit / 5, 1e-6)
    assert len(run.programs) == 1


def test_without_gradients_there_is_nothing_to_clip() -> None:
    w = cr.tensor([1.0], requires_grad=True)
    assert optim.clip_grad_norm_([w], 1.0).item() == 0.0
    optim.clip_grad_value_([w], 1.0)
    assert w.grad is None
    a, b = parameters([3.0, 4.0], [1.0])
    b.grad = None
    optim.SGD([a, b], lr=1.0, clip_norm=1.0).step()
    assert b.item() == 0.0
    np.testing.assert_allclose(a.numpy(), [-0.6, -0.8], rtol=1e-6)


def test_the_gradients_of_a_step_stay_as_they_were() -> None:
    (w,) = parameters([3.0, 4.0])
    optim.SGD([w], lr=1.0, clip_norm=1.0).step()
    assert w.grad.tolist() == [3.0, 4.0]


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "optim.SGD(clip_norm=0.0)": "clip_norm > 0",
        "optim.SGD(clip_norm=-1)": "clip_norm=-1",
        "optim.Adam(clip_value=math.nan)": "clip_value > 0",
        "optim.Adam(clip_value='1')": "clip_value > 0",
        "optim.AdamW(clip_norm=True)": "clip_norm > 0",
        "optim.clip_grad_norm_(parameters([1.0]), 0)": "max_norm > 0",
        "optim.clip_grad_value_(parameters([1.0]), -1)": "clip_value > 0",
        "optim.clip_grad_norm_([1.0], 1.0)": r"model\.parameters\(\)",
        "optim.clip_grad_norm_(1.0, 1.0)": r"model\.parameters\(\)",
        "optim.clip_grad_norm_(nn.Linear(2, 1), 1.0)": "parameters",
        "optim.clip_grad_norm_([], 0)": "max_norm > 0",
        "optim.clip_grad_value_([], '1')": "clip_value > 0",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())
