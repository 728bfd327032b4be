"""Optimisers within compiled functions: several steps, reads, changes, refusals."""

from __future__ import annotations

import gc
import signal
import threading
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.errors import ArgumentError, ChainruleError, GraphError
from chainrule.graph.types import ArrayType, DType
from tests.ways import ENGINES, WAYS

KINDS = [k for k in optim.OPTIMIZERS.values() if k.rows_alone != "only"]
SCHEDULES = {
    "a number": lambda: 0.1,
    "StepLR": lambda: optim.StepLR(0.1, 2, 0.5, unit="step"),
    "PiecewiseConstantLR": lambda: optim.PiecewiseConstantLR(
        0.1, [1, 4], [0.3, 0.05], unit="step"
    ),
    "MultiStepLR": lambda: optim.MultiStepLR(0.1, [1, 4], 0.5, unit="step"),
    "ExponentialLR": lambda: optim.ExponentialLR(0.1, 0.5, unit="step"),
    "CosineAnnealingLR": lambda: optim.CosineAnnealingLR(0.1, T_max=9, unit="step"),
    "OneCycleLR": lambda: optim.OneCycleLR(0.1, total_steps=12),
    "LinearWarmup": lambda: optim.LinearWarmup(0.1, steps=5),
    "ReduceLROnPlateau": lambda: optim.ReduceLROnPlateau(0.1),
}


def made(way: str, function: Any) -> Any:
    return function if way == "eager" else cr.compile(function, engine=way)


def parameter(*numbers: float) -> cr.Tensor:
    return cr.tensor(np.array(numbers), requires_grad=True)


# -- several steps ---------------------------------------------------------------------


def several(way: str, kind: Any, lr: Any, **given: Any) -> tuple[Any, ...]:
    """Two calls of three steps, the rates and counts in front of and behind each."""
    w = parameter(1.0, -2.0, 0.5)
    optimizer = kind([w], lr=lr, **given)

    def run(x: cr.Tensor) -> Any:
        seen = []
        for _ in range(3):
            seen += [x * optimizer.lr, x * optimizer.steps]
            optimizer.zero_grad()
            ((w - x) ** 2 * x).sum().backward()
            optimizer.step()
        return [*seen, x * optimizer.param_groups[0]["lr"], x * optimizer.steps]

    run = made(way, run)
    calls = [run(cr.tensor(np.array([1.0, 2.0, i]))) for i in range(2)]
    return w.numpy(), np.array([[t.numpy() for t in seen] for seen in calls]), optimizer


@pytest.mark.parametrize(("kind", "engine"), [*zip(KINDS, cycle(ENGINES))])
def test_each_of_several_steps_has_its_scalars(kind: Any, engine: str) -> None:
    given = {"lr_decay": 0.5} if kind is optim.Adagrad else {}
    eager, compiled = (several(way, kind, 0.1, **given) for way in ("eager", engine))
    np.testing.assert_allclose(eager[0], compiled[0], rtol=1e-12)
    np.testing.assert_allclose(eager[1], compiled[1], rtol=1e-14)
    assert eager[2].steps == compiled[2].steps == 6


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_and_its_rate(schedule: Any) -> None:
    eager, compiled = (several(w, optim.SGD, schedule()) for w in ("eager", "numpy"))
    np.testing.assert_allclose(eager[0], compiled[0], rtol=1e-12)
    np.testing.assert_allclose(eager[1], compiled[1], rtol=1e-14)


def test_a_reading_beyond_the_end_is_asked_for_only_where_it_is_read() -> None:
    class Ends(optim.Schedule):
        def __call__(self, step: int) -> float:
            assert step < 2, "nobody asked"
            return self.lr

    w = parameter(1.0)
    optimizer = optim.SGD([w], lr=Ends(0.5))

    @cr.compile(engine="numpy")
    def two(x: cr.Tensor) -> cr.Tensor:
        for _ in range(2):
            w.grad = x
            optimizer.step()
        return x

    two(cr.tensor(np.ones(1)))
    assert (w.item(), optimizer.steps) == (0.0, 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_many_runs_of_two_optimisers_with_different_counts(engine: str) -> None:
    """Two steps of one and one of the other, five times in one call of the engine."""

    def build() -> tuple[Any, ...]:
        a, b = parameter(1.0), parameter(2.0)
        one = optim.Adam([a], lr=optim.ExponentialLR(0.1, 0.9, unit="step"))
        other = optim.NAdam([b], lr=0.1)

        def step(x: cr.Tensor) -> Any:
            for _ in range(2):
                one.zero_grad()
                (a * x * b.detach()).sin().sum().backward()
                one.step()
            other.zero_grad()
            (b * x * a.detach()).sin().sum().backward()
            other.step()
            return {"loss": a.detach().sum() * one.steps + other.steps}

        return a, b, one, other, step

    xs = np.linspace(0.5, 1.5, 5)[:, None]
    a, b, one, other, step = build()
    eager = [step(cr.tensor(x))["loss"].item() for x in xs]
    c, d, first, second, step = build()
    each = Input("x", ArrayType((1,), DType.float64), each=True)
    program = CompiledProgram([trace_entry("step", step, [each])], engine=engine)
    made = program.run("step", {"x": xs}, steps=5)["loss"]
    np.testing.assert_allclose(made, eager, rtol=1e-12)
    np.testing.assert_allclose([a.item(), b.item()], [c.item(), d.item()], rtol=1e-12)
    assert (first.steps, second.steps) == (one.steps, other.steps) == (10, 5)


def test_steps_within_loops_and_branches_are_refused() -> None:
    w = parameter(1.0)
    w.grad = cr.tensor(np.ones(1))
    optimizer = optim.Adam([w])

    def step(carry: cr.Tensor, _: Any = None) -> Any:
        optimizer.step()
        return carry, carry

    x = cr.tensor(np.ones(1))
    for within in (
        lambda: cr.scan(step, x, length=3)[0],
        lambda: cr.cond(x.sum() > 0, step, step, x)[0],
        lambda: cr.while_loop(
            lambda s: s.sum() < 9, lambda s: step(s)[0], x, max_steps=3
        ),
    ):
        for run in (within, cr.compile(within, engine="numpy")):
            with pytest.raises(GraphError, match="optimiser's step") as caught:
                run()
            assert "for i in range(n)" in str(caught.value.fix)
    assert (optimizer.steps, w.item()) == (0, 1.0)


# -- reading ---------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_read_is_what_is_there_at_each_call(engine: str) -> None:
    groups = [
        {"params": [("a", parameter(1.0))], "lr": 0.5, "momentum": 0.5},
        {"params": [("b", parameter(1.0))]},
    ]
    optimizer = optim.SGD(groups, lr=0.25, momentum=0.75, clip_norm=1.0)
    first = optimizer.param_groups[0]
    reads = {
        "lr": lambda: optimizer.lr,
        "steps": lambda: optimizer.steps,
        "a power": lambda: 1 - 0.9**optimizer.steps,
        "whole": lambda: optimizer.steps % 2 + optimizer.steps // 2,
        "group lr": lambda: first["lr"],
        "momentum": lambda: optimizer.momentum,
        "group": lambda: first["momentum"] + dict(first)["dampening"],
        "options": lambda: optimizer.options["momentum"],
        "a choice": lambda: 2.0 if optimizer.nesterov else 3.0,
        "a limit": lambda: optimizer.clip_norm or 7.0,
        "a schedule": lambda: optimizer.schedule(3),
        "its attribute": lambda: optimizer.schedule.lr,
        "of a group": lambda: first.schedule(3),
        "moments": lambda: sum(len(m) for m in optimizer.state.values()),
    }
    changes = [
        lambda: setattr(optimizer, "lr", optim.StepLR(0.5, 2, 0.5, unit="step")),
        lambda: setattr(optimizer, "steps", 5),
        lambda: setattr(optimizer, "momentum", 0.125),
        lambda: setattr(optimizer.schedule, "lr", 0.0625),
        lambda: first.__setitem__("lr", 0.375),
        lambda: first.__setitem__("momentum", 0.25),
        lambda: setattr(optimizer, "clip_norm", None),
        lambda: setattr(optimizer, "momentum", 0.0),
        lambda: setattr(optimizer, "lr", 0.75),
        lambda: optimizer.load_state_dict(before),
    ]
    before = optimizer.state_dict()
    x = cr.tensor(np.ones(2))
    compiled = {
        name: cr.compile(lambda x, read=read: x * read(), engine=engine)
        for name, read in reads.items()
    }
    for change in [lambda: None, *changes]:
        change()
        for name, read in reads.items():
            np.testing.assert_allclose(
                compiled[name](x).numpy(), read(), 1e-15, 0, name
            )
    assert len(compiled["lr"].programs) == len(compiled["steps"].programs) == 1


def test_a_schedule_that_a_function_finds_outside() -> None:
    schedule = optim.StepLR(0.5, 2, 0.5, unit="step")
    optimizer = optim.SGD([parameter(1.0)], lr=schedule)
    at_three = cr.compile(lambda x: x * schedule(3), engine="numpy")
    now = cr.compile(lambda x: x * schedule(optimizer.steps), engine="numpy")
    x = cr.tensor(np.ones(1))
    for steps, gamma in ((0, 0.5), (3, 0.5), (3, 0.25)):
        schedule.gamma, optimizer.steps = gamma, steps
        assert at_three(x).item() == schedule(3)
        assert now(x).item() == optimizer.lr


def test_counts_stay_integers() -> None:
    optimizer = optim.SGD([parameter(1.0)])
    optimizer.steps = 2
    numbers = cr.tensor([10, 20, 30, 40])

    @cr.compile(engine="numpy")
    def f() -> Any:
        t = optimizer.steps
        return t, t + 1, numbers[t], numbers + t, t / 2, t * 0.5

    made = f()
    assert [t.tolist() for t in made] == [2, 3, 30, [12, 22, 32, 42], 1.0, 1.0]
    kinds = ["int64", "int64", numbers.dtype.name, numbers.dtype.name]
    assert [t.dtype.name for t in made] == [*kinds, "float32", "float32"]


READINGS_THAT_DECIDE = {
    "float(o.lr)": "another at each call",
    "f'{o.lr:.3f}'": "another at each call",
    "1 if o.steps > 3 else 2": "where\\(\\) instead of if",
    "range(o.steps)": "another at each call",
    "optim.OneCycleLR(0.1, 9)(o.steps)": "where\\(\\) instead of if",
    "o.state_dict()": "state_dict is set or called",
    "o.settings()": "settings is set or called",
}


@pytest.mark.parametrize("read", READINGS_THAT_DECIDE)
def test_a_number_that_decides_what_the_graph_is(read: str) -> None:
    o = optim.SGD([parameter(1.0)], lr=0.5)

    def f(x: cr.Tensor) -> cr.Tensor:
        eval(read, {"o": o, "optim": optim})
        return x

    with pytest.raises((ArgumentError, TypeError), match=READINGS_THAT_DECIDE[read]):
        cr.compile(f, engine="numpy")(cr.ones(1))


# -- changing --------------------------------------------------------------------------

CHANGES = {
    "o.lr = 0.1": "lr",
    "o.lr *= 0.5": "",
    "o.momentum = 0.5": "momentum",
    "o.momentum = 0.9": "momentum",
    "o.steps = 3": "steps",
    "o.clip_norm = None": "clip_norm",
    "o.anything = 1": "anything",
    "o.schedule = optim.StepLR(0.1, 2)": "lr",
    "o.schedule.lr = 0.5": "lr",
    "o.schedule.learnt = {}": "learnt",
    "o.param_groups[0]['lr'] = 0.5": "param_groups",
    "o.param_groups[0]['lr'] *= 0.5": "",
    "o.param_groups[0]['momentum'] = 0.5": "param_groups",
    "o.load_state_dict(kept)": "load_state_dict",
    "o.attach_parameters([('w', w)])": "attach_parameters",
    "o.bind_schedules(3)": "bind_schedules",
    "o.observe({})": "observe",
    "o.state['param0']['velocity'] = w": "",
    "o.params['w'] = w": "",
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_in_a_compiled_function_are_refused(change: str) -> None:
    w = parameter(1.0)
    o = optim.SGD([w], lr=0.5, momentum=0.9, clip_norm=4.0)
    kept = o.state_dict()

    def f(g: cr.Tensor) -> cr.Tensor:
        w.grad = g
        o.step()
        exec(change, {"o": o, "w": w, "optim": optim, "kept": kept})
        return g

    run, g = cr.compile(f, engine="numpy"), cr.tensor(np.ones(1))
    for _ in range(2):
        with pytest.raises((ArgumentError, TypeError)) as caught:
            run(g)
        assert CHANGES[change] in str(caught.value)
    assert o.steps == 0
    assert str(o.state_dict()) == str(kept)
    o.momentum = 0.0  # a trace that failed leaves no trace
    w.grad = g
    o.step()
    assert w.item() == 0.5


def test_an_optimiser_of_the_function_itself_is_its_own() -> None:
    """Made, changed and asked within the function, as it happens at each call."""

    def f(x: cr.Tensor) -> Any:
        w = x.clone().requires_grad_()
        o = optim.Adam([w], lr=optim.ExponentialLR(0.5, 0.5, unit="step"))
        for _ in range(2):
            o.zero_grad()
            (w * w).sum().backward()
            o.step()
        o.lr, o.betas = 0.25, (0.5, 0.5)
        (w * w).sum().backward()
        o.step()
        return w.detach(), x * o.lr * o.steps

    x = cr.tensor(np.array([1.0, -2.0]))
    compiled = cr.compile(f, engine="numpy")
    for _ in range(2):
        for a, b in zip(f(x), compiled(x)):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)


def test_a_rule_can_change_once_its_function_is_gone() -> None:
    w = parameter(1.0)
    o = optim.SGD([w], lr=0.5)

    def f(g: cr.Tensor) -> cr.Tensor:
        w.grad = g
        o.step()
        return g

    cr.compile(f, engine="numpy")(cr.tensor(np.ones(1)))
    gc.collect()
    o.momentum = 0.5
    f(cr.tensor(np.ones(1)))
    assert (w.item(), o.steps) == (0.0, 2)


@pytest.mark.parametrize("engine", ENGINES[:1])
def test_a_rule_that_changes_between_and_within_fits(engine: str) -> None:
    """Between two calls of fit it is compiled anew; within one it is refused."""
    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    data = cr.data.Dataset(x, x.sum(1, keepdims=True))

    def trained(momentum: float) -> Any:
        cr.manual_seed(0)
        trainer = cr.Trainer(
            nn.Linear(3, 1),
            loss=nn.MSELoss(),
            optimizer=optim.SGD(lr=0.1),
            engine=engine,
        )
        trainer.fit(data, epochs=1, batch_size=4, progress=False)
        trainer.optimizer.momentum = momentum
        trainer.fit(data, epochs=1, batch_size=4, progress=False)
        return trainer

    plain, moving = trained(0.0), trained(0.9)
    a, b = (t.history.steps["loss"] for t in (plain, moving))
    assert (a[:5] == b[:5]).all()
    assert a[6] != b[6]
    assert moving.optimizer.steps == 8

    class Switch(cr.training.Callback):
        def on_chunk(self, trainer: Any) -> None:
            trainer.optimizer.momentum = 0.0

    with pytest.raises(ArgumentError, match="update rule"):
        moving.fit(data, epochs=9, batch_size=4, progress=False, callbacks=Switch())
    assert moving.optimizer.steps == len(moving.history.steps["loss"])


# -- refusals --------------------------------------------------------------------------


def standing(*optimizers: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i, o in enumerate(optimizers):
        found |= {f"{i}.steps": o.steps, f"{i}.lr": o.lr}
        for name, p in o.params.items():
            found[f"{i}.{name}"] = p.numpy().tolist()
            found[f"{i}.{name}.grad"] = None if p.grad is None else p.grad.tolist()
            for key, t in o.state[name].items():
                found[f"{i}.{name}.{key}"] = t.numpy().tolist()
    own = cr.random.default_generator
    return found | {"draws": own.counter.item()}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("of", [lambda i: i.expand(0, 3), lambda i: i[:2]])
def test_a_check_of_some_indices_is_none_of_all(engine: str, of: Any) -> None:
    """A state is written behind the check of all that is read, not of a part of it."""
    table, state, read = cr.zeros(4, 2), cr.zeros(3), nn.functional.embedding

    @cr.compile(engine=engine)
    def run(rows: cr.Tensor) -> cr.Tensor:
        first = read(of(rows), table).sum()
        state.add_(1.0 + first)
        return read(rows, table).sum() + state.sum()

    run(cr.tensor([0, 1, 2]))
    with pytest.raises(ArgumentError):
        run(cr.tensor([0, 1, 9]))
    assert state.tolist() == [1.0] * 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cleared", [True, False])
def test_a_refused_call_changes_nothing(engine: str, cleared: bool) -> None:
    a, b = parameter(1.0, 2.0, 3.0), parameter(4.0)
    one = optim.AdamW([a], lr=optim.ExponentialLR(0.5, 0.5, unit="step"))
    other = optim.SGD([b], lr=0.5, momentum=0.5)

    def step(place: cr.Tensor) -> cr.Tensor:
        for _ in range(2):
            if cleared:
                one.zero_grad()
            noise = cr.rand(3, dtype="float64")
            (a * a * noise).sum().backward()
            one.step()
        (b * a[place] * one.lr).sum().backward()
        other.step()
        return a.sum()

    run = cr.compile(step, engine=engine)
    for before in range(3):  # with an eager gradient, with the engine's, and so on
        if before != 1:
            a.grad, b.grad = cr.tensor([1.0] * 3), cr.tensor([2.0])
            a.grad, b.grad = a.grad.double(), b.grad.double()
        held = standing(one, other)
        for _ in range(2):
            with pytest.raises(ChainruleError):
                run(np.array([7]))
            assert standing(one, other) == held
        run(np.array([1]))
        assert one.steps == 2 * other.steps == 2 * (before + 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_of_many_steps_stands_in_front_of_the_one_refused(engine: str) -> None:
    a = parameter(1.0, 2.0)
    o = optim.Adam([a], lr=optim.ExponentialLR(0.5, 0.5, unit="step"))

    def step(place: cr.Tensor) -> Any:
        for _ in range(2):
            o.zero_grad()
            (a[place] * a).sum().backward()
            o.step()
        return {"loss": a.sum().detach()}

    each = Input("place", ArrayType((), DType.int64), each=True)
    program = CompiledProgram([trace_entry("step", step, [each])], engine=engine)
    places = np.array([0, 1, 0, 5, 0])
    with pytest.raises(ChainruleError):
        program.run("step", {"place": places}, steps=5)
    seen = standing(o)
    assert o.steps == 6
    a.copy_(np.array([1.0, 2.0]))
    o.load_state_dict(optim.Adam([a], lr=o.schedule).state_dict())
    program.run("step", {"place": places[:3]}, steps=3)
    assert standing(o) == seen


def test_an_eager_step_that_is_refused_changes_nothing() -> None:
    a, b = parameter(1.0, 2.0), parameter(3.0)
    o = optim.SGD([a, b], lr=0.5, momentum=0.5)
    a.grad = cr.tensor(np.ones(2))
    for wrong in (cr.tensor(np.ones(3)), cr.tensor(np.ones(1, np.float32))):
        b.grad = wrong
        held = standing(o)
        with pytest.raises(ChainruleError):
            o.step()
        assert standing(o) == held
    with pytest.raises(ZeroDivisionError):
        o.step(lambda: 1 / 0)
    assert standing(o) == held
    b.grad = None
    o.step()
    assert (o.steps, a.tolist()) == (1, [0.5, 1.5])


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_comes_before_or_behind_a_step(way: str) -> None:
    """Wherever it comes, parameters, moments and the count are those of one moment."""
    width = 50_000
    w = cr.tensor(np.ones(width), requires_grad=True)
    v = cr.tensor(np.ones(width), requires_grad=True)
    o = optim.SGD([w, v], lr=0.0078125, momentum=0.5)
    one = cr.tensor(np.ones(width))

    def step(x: cr.Tensor) -> cr.Tensor:
        w.grad, v.grad = x, x
        o.step()
        return x.sum()

    run = made(way, step)
    run(one)
    main = threading.main_thread().ident
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for delay in np.linspace(0.001, 0.008, 12):
            kill = partial(signal.pthread_kill, main, signal.SIGINT)
            timer = threading.Timer(delay, kill)
            with suppress(KeyboardInterrupt):
                timer.start()
                while True:
                    run(one)
            timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    velocity, place = 0.0, 1.0
    for _ in range(o.steps):
        velocity = 0.5 * velocity + 1.0
        place -= 0.0078125 * velocity
    for tensor in (w, v):
        np.testing.assert_allclose(tensor.numpy(), place, rtol=1e-9)
