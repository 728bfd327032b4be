"""Ctrl-C at any moment leaves no block open: what is computed next is right.

Python looks for signals where a function begins, such as the ``__exit__`` of a block.
The same work is interrupted at many of these moments, spread over all of them; then
eager code, derivatives and a new compilation have to give their numbers, and all that
blocks change has to be as it was.
"""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import CallError
from chainrule.graph import types
from chainrule.graph.context import context
from chainrule.nn.losses.checks import are_targets_checked
from chainrule.nn.uninitialized import is_skipping
from chainrule.util.blocks import opened, settled
from tests.training.moments import Moments, Place, traceable

#: Where blocks begin and end.
FILES = tuple(
    os.sep + name
    for name in (
        "util/blocks.py",
        "util/keywords.py",
        "graph/context.py",
        "graph/emit.py",
        "graph/body.py",
        "graph/types.py",
        "nn/module.py",
        "nn/stateless.py",
        "nn/traced.py",
        "nn/uninitialized.py",
        "nn/losses/checks.py",
        "compilation/modes.py",
        "compilation/tracing.py",
        "compilation/promotion.py",
        "compilation/guards/guards.py",
        "compilation/api.py",
        "engines/garbage.py",
        "operations/autocasting.py",
        "optim/rule_optimizer.py",
        "optim/hyper_parameters.py",
        "random/generator.py",
        "training/entries.py",
        "transforms/derivatives.py",
        "transforms/vectorization.py",
        "transforms/control.py",
        "transforms/recomputation.py",
        "tensor.py",
        "contextlib.py",
    )
)

Work = Callable[[], Callable[[], Any]]


def model() -> Any:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Tanh(), nn.Linear(3, 2))


def data() -> cr.data.Dataset:
    return cr.data.moons(16, seed=0)


def compiled() -> Callable[[], Any]:
    net = model()
    optimizer = optim.Adam(net.parameters(), lr=0.01)

    @cr.compile(engine="numpy")
    def step(x: Any, y: Any) -> Any:
        with cr.autocast():
            loss = nn.functional.cross_entropy(net(x), y)
        net.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(cr.ones(4, 2), cr.tensor([0, 1, 0, 1]))


def fitted() -> Callable[[], Any]:
    def fit() -> None:
        trainer = cr.Trainer(
            model(), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(lr=0.1),
            engine="numpy",
        )  # fmt: skip
        trainer.fit(data(), epochs=1, batch_size=8, validation=data(), progress=False)
        trainer.predict(data().x)

    return fit


def eager() -> Callable[[], Any]:
    net = model()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def train() -> None:
        for __ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(
                net(cr.ones(2, 2)), cr.tensor([0, 1])
            ).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    return train


def derived() -> Callable[[], Any]:
    x = cr.tensor([1.0, 2.0])

    def derive() -> None:
        cr.grad(lambda t: cr.grad(lambda s: (s * s * s).sum())(t).sum())(x)
        cr.vjp(lambda t: t * t, x)[1](x)
        cr.jvp(lambda t: t * t, (x,), (x,))
        cr.hessian(lambda t: (t * t * t).sum())(x)

    return derive


def mapped() -> Callable[[], Any]:
    rows = cr.ones(3, 2)
    return lambda: cr.vmap(cr.grad(lambda t: (t * t).sum()))(rows)


def looped() -> Callable[[], Any]:
    def loop() -> None:
        cr.scan(lambda c, x: (c + x, c * x), cr.tensor(0.0), cr.ones(4))
        cr.cond(cr.tensor(True), lambda x: x + 1, lambda x: x * 2, cr.ones(2))
        cr.while_loop(lambda i: i < 3, lambda i: i + 1, cr.tensor(0), max_steps=5)

    return loop


def called() -> Callable[[], Any]:
    net = model()
    weights = {k: v * 0 for k, v in net.state_dict().items()}

    def call() -> None:
        nn.functional_call(net, weights, cr.ones(2, 2))
        cr.summary(net, cr.ones(2, 2))
        cr.check_gradients(lambda x: (x * x).sum(), cr.ones(2, dtype="float64"))

    return call


def explained() -> Callable[[], Any]:
    net, x, y = model(), cr.ones(1, 2), cr.tensor([1])
    return lambda: cr.explain(net, x, y, nn.CrossEntropyLoss())


WORKS = [compiled, fitted, eager, derived, mapped, looped, called, explained]
#: All of them, but for those that take seconds now and then only.
SOME_OFTEN = [
    pytest.param(work, marks=pytest.mark.slow) if work in (compiled, fitted) else work
    for work in WORKS
]


def state() -> dict[str, Any]:
    """All that blocks change in a thread and a process."""
    return {
        **{
            k: v
            for k, v in context.__dict__.items()
            if k not in ("apart", "exceptions")
        },
        "blocks": opened.top,
        "sizes": (types._guess.sizes, types._guess.decided),
        "targets": are_targets_checked(),
        "no_init": is_skipping(),
        "collecting": gc.isenabled(),
        "errors": np.geterr(),
        "warnings": list(warnings.filters),
        "dtype": cr.get_default_dtype(),
    }


def right() -> None:
    """Compute what has known results."""
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    assert (x + 1).detach().numpy().tolist() == [2.0, 3.0]
    assert cr.compile(lambda t: t * t, engine="numpy")(x).tolist() == [1.0, 4.0]
    net = nn.Linear(2, 1)
    assert net.training
    assert net.weight.requires_grad


def is_end(place: Place) -> bool:
    """Whether a place is where a block ends, and perhaps nothing is undone yet."""
    code, __ = place
    return code.co_name in ("__exit__", "leave", "settle", "undo")


def moments(work: Work, most: int) -> list[tuple[Place, int]]:
    """Places of a work's blocks, each with the time at which it is met.

    Each place where blocks end, so many times, and twelve of all places.
    """
    watch = Moments(FILES)
    run, first = work(), work()
    first()  # what is imported and cached is not of interest
    watch.call(run)
    rng = np.random.default_rng(0)
    chosen: list[tuple[Place, int]] = []
    for place, met in watch.met.items():
        if is_end(place):
            times = rng.choice(met, min(met, most), replace=False) + 1
            chosen += [(place, int(time)) for time in times]
    places = [*watch.met]
    for i in rng.choice(len(places), 12, replace=False):
        chosen.append((places[i], int(rng.integers(1, watch.met[places[i]] + 1))))
    return chosen


# Python drops an interrupt that comes as a generator is thrown away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@traceable
@pytest.mark.parametrize("most", [3, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("work", SOME_OFTEN, ids=lambda work: work.__name__)
def test_ctrl_c_leaves_nothing_open(work: Work, most: int) -> None:
    met = 0
    for place, time in moments(work, most):
        run, before = work(), state()
        try:
            Moments(FILES, (place, time), KeyboardInterrupt).call(run)
        except KeyboardInterrupt as interrupt:  # a shell keeps it, and what it holds
            held = interrupt
            met += 1
            code = place[0]
            where = f"{code.co_filename}:{code.co_qualname}+{place[1]}, time {time}"
            assert state() == before, where
            right()
            del held
            run()
            assert state() == before, where
    assert met > 2 * most


def modes() -> tuple[bool, bool]:
    return cr.is_grad_enabled(), cr.is_autocast_enabled()


def without_grad() -> Generator[bool]:
    with cr.no_grad():
        yield cr.is_grad_enabled()
        yield cr.is_grad_enabled()


@pytest.mark.parametrize(
    ("make", "within"),
    [
        (cr.autocast, (True, True)),
        (cr.no_grad, (False, False)),
        (lambda: cr.set_grad_enabled(False), (False, False)),
        (cr.enable_grad, (True, False)),
    ],
)
def test_block_of_a_generator_ends_alone(
    make: Callable[[], Any], within: tuple[bool, bool]
) -> None:
    held = without_grad()
    next(held)
    try:
        with make():
            held.close()
            assert modes() == within
            assert (cr.ones(1, requires_grad=True) * 2).requires_grad is within[0]
        assert modes() == (True, False)
        assert opened.top is None
    finally:
        opened.top, context.grad = None, True  # where it fails, for other tests


def test_block_of_a_generator_outlives_those_around_it() -> None:
    with cr.autocast():
        held = without_grad()
        next(held)
    try:
        assert modes() == (False, False)
        assert next(held) is False
        held.close()
        assert modes() == (True, False)
        assert opened.top is None
    finally:
        opened.top, context.grad = None, True


def test_interrupt_settles_to_a_block_that_has_ended() -> None:
    held = without_grad()

    @settled
    def interrupted() -> None:
        cr.autocast().__enter__()  # its end is cut off
        held.close()
        raise KeyboardInterrupt

    next(held)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert modes() == (True, False)
        assert opened.top is None
    finally:
        opened.top, context.grad = None, True


def test_interrupt_that_became_an_error_ends_the_blocks_within() -> None:
    def cut_off() -> None:
        cr.autocast().__enter__()
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ValueError("aborted") from None

    with pytest.raises(ValueError, match="aborted"), cr.no_grad():
        cut_off()
    try:
        assert modes() == (True, False)
        assert opened.top is None
    finally:
        opened.top, context.autocast = None, False


def test_decorated_generator_is_in_its_block_while_it_runs() -> None:
    met: list[Any] = []

    @cr.no_grad()
    def generate(first: int) -> Any:
        try:
            met.append((yield first, cr.is_grad_enabled()))
            met.append(cr.is_grad_enabled())
            try:
                yield "second"
            except KeyError:
                yield cr.is_grad_enabled()
            return "end"
        finally:
            met.append(cr.is_grad_enabled())

    items = generate(3)
    assert next(items) == (3, False)
    assert cr.is_grad_enabled()
    assert items.send("sent") == "second"
    assert items.throw(KeyError()) is False
    assert cr.is_grad_enabled()
    with pytest.raises(StopIteration) as end:
        next(items)
    assert end.value.value == "end"
    assert met == ["sent", False, False]
    met.clear()
    items = generate(3)
    next(items)
    items.close()
    assert met == [False]
    assert cr.is_grad_enabled()


def test_decorated_coroutines_are_in_their_blocks_while_they_run() -> None:
    @cr.no_grad
    async def first() -> list[bool]:
        before = cr.is_grad_enabled()
        await asyncio.sleep(0)
        return [before, cr.is_grad_enabled()]

    @cr.autocast()
    async def second() -> tuple[bool, bool]:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return modes()

    async def both() -> list[Any]:
        return await asyncio.gather(first(), second(), first())

    assert asyncio.run(both()) == [[False, False], (True, True), [False, False]]
    assert modes() == (True, False)


def test_decorated_asynchronous_generator_is_refused() -> None:
    with pytest.raises(CallError, match="asynchronous generator"):

        @cr.no_grad()
        async def generate() -> Any:
            yield 1
