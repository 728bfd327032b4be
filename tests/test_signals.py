"""A signal's handler uses the library, or raises an exception in the middle of it."""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines import threads
from chainrule.errors import EngineError


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_signal_handler_calls_into_the_library(engine: str) -> None:
    """Eager code and other programs run; the one that it interrupted may refuse."""
    w = cr.tensor(np.zeros(3000, np.float32))

    @cr.compile(engine=engine)
    def step(x: cr.Tensor) -> cr.Tensor:
        w.copy_(w + x)
        return x.sum()

    other = cr.compile(lambda x: (x * x).sum(), engine=engine)
    x = cr.tensor(np.ones(3000, np.float32))
    four = cr.tensor([2.0])
    seen = {"right": 0, "refused": 0, "own": 0, "odd": 0}

    def handler(*_: Any) -> None:
        y = cr.tensor([3.0], requires_grad=True)
        (y * y).sum().backward()
        assert y.grad is not None
        assert y.grad.tolist() == [6.0]
        for function, argument in ((other, four), (step, x)):
            try:
                wanted = 4.0 if function is other else 3000.0
                assert function(argument).item() == wanted
                seen["own" if function is step else "right"] += 1
            except EngineError as error:
                seen["refused" if "signal handler" in str(error) else "odd"] += 1
        signal.setitimer(signal.ITIMER_REAL, 0.0017)  # now, so that it is not its own

    step(x), other(four)
    steps = 1
    saved = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        while seen["right"] < 40 and steps < 100_000:
            assert step(x).item() == 3000.0
            (four * 2).sin()
            steps += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, saved)
    assert seen["right"] > 0
    assert seen["odd"] == 0
    assert (w.numpy() == steps + seen["own"]).all()


class InterruptionError(Exception):
    """What the handler raises."""


@pytest.mark.parametrize("made", [False, True])
def test_an_exception_beside_a_run(engine: str, made: bool) -> None:
    """Of a signal's handler, say: weight and gradient are those of the engine."""
    w = cr.tensor([1.0], requires_grad=True)

    @cr.compile(engine=engine)
    def step() -> None:
        (w * 2).sum().backward()
        with cr.no_grad():
            w.add_(1)

    step()
    step()  # the first one had found no gradient
    assert w.grad.item() == 4  # type: ignore[union-attr]
    (entry,) = step.programs[-1].entries.values()
    whole = entry._executable

    class Cut:
        completed = 0

        def run(self, *given: Any, **how: Any) -> None:
            if made:
                whole.run(*given, **how)
                self.completed = 1
            raise InterruptionError

    entry._executable = Cut()  # type: ignore[assignment]
    with pytest.raises(InterruptionError):
        step()
    entry._executable = whole
    assert w.grad is not None
    assert (w.item(), w.grad.item()) == ((4, 6) if made else (3, 4))
    step()
    assert (w.item(), w.grad.item()) == ((5, 8) if made else (4, 6))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_step_that_is_interrupted_has_been_made_or_not(engine: str) -> None:
    """The tensors show what the next step goes on from, weights and gradients."""
    w = cr.tensor(np.zeros(64, np.float32), requires_grad=True)

    @cr.compile(engine=engine)
    def step(x: cr.Tensor) -> cr.Tensor:
        for _ in range(30):
            x = x @ x * 0.5 + x
        (w * 2).sum().backward()
        with cr.no_grad():
            w.copy_(w + 1 + 0 * x[0])
        return x

    def handler(*_: Any) -> None:
        raise InterruptionError

    x = cr.tensor(np.eye(64, dtype=np.float32) * 1e-3)
    step(x)
    interrupted = made = 0
    saved = signal.signal(signal.SIGALRM, handler)
    try:
        for i in range(60):
            before = w.numpy()[0], w.grad.numpy()[0]  # type: ignore[union-attr]
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-4 * (1 + i % 9))
                step(x)
                while True:
                    time.sleep(0.001)
            except InterruptionError:
                interrupted += 1
            shown = w.numpy()[0], w.grad.numpy()[0]  # type: ignore[union-attr]
            assert shown[0] - before[0] in (0, 1)
            made += shown[0] > before[0]
            step(x)
            after = w.numpy()[0], w.grad.numpy()[0]  # type: ignore[union-attr]
            assert after == (shown[0] + 1, shown[1] + 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, saved)
    assert interrupted == 60
    assert made > 0


def _interrupted_at_once() -> bool:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _delays() -> bool:
    came: list[bool] = []

    def block() -> None:
        with threads.uninterrupted, threads.uninterrupted:
            signal.raise_signal(signal.SIGINT)
            came.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    return bool(came)


def test_an_exception_where_a_block_begins_or_ends_leaves_ctrl_c() -> None:
    """As a handler of an alarm raises it: at any line of the block's two ends."""
    ends = type(threads.uninterrupted)
    codes = {ends.__enter__.__code__, ends.__exit__.__code__, ends._end.__code__}
    events = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal events
        if frame.f_code not in codes:
            return None
        events += 1
        if events == where:
            raise InterruptionError
        return trace

    def block() -> None:
        with threads.uninterrupted, threads.uninterrupted:
            pass

    before = sys.gettrace()
    for where in itertools.count(1):
        events = 0
        sys.settrace(trace)
        try:
            with contextlib.suppress(InterruptionError):
                block()
        finally:
            sys.settrace(before)
        if events < where:
            break  # it came to its end
        assert _delays(), where
        assert _interrupted_at_once(), where
    assert where > 20


def test_a_block_that_is_gone_delays_nothing() -> None:
    def gone() -> None:
        threads.uninterrupted.__enter__()

    gone()
    assert _interrupted_at_once()
    gone()
    assert _delays()
    assert _interrupted_at_once()
