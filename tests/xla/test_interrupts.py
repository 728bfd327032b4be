"""What a user has set for JAX, and interrupts of a step on it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.engines.xla import executable
from chainrule.errors import ArgumentError, EngineError
from tests.xla.test_engine import run_python, training


def test_the_users_jax_is_not_changed() -> None:
    code = """
        import jax, jax.numpy as jnp, numpy as np
        import chainrule as cr
        y = cr.compile(lambda x: x * 2, engine="xla")(cr.ones(3, dtype="float64"))
        assert y.dtype is cr.float64
        print(jnp.arange(3).dtype, jnp.ones(2, np.float64).dtype, jnp.zeros(1).dtype)
    """
    assert run_python(code).split() == ["int32", "float32", "float32"]


SWITCHES = {
    "strict types": lambda: jax.numpy_dtype_promotion("strict"),
    "no broadcasts": lambda: jax.numpy_rank_promotion("raise"),
    "no jit": lambda: jax.disable_jit(),
    "nan": lambda: jax.debug_nans(True),
    "infinity": lambda: jax.debug_infs(True),
    "no transfers": lambda: jax.transfer_guard("disallow"),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_the_users_switches(name: str, rng: np.random.Generator) -> None:
    """What a user sets for JAX code of their own changes no program of ours."""
    x = rng.normal(size=(6, 4)).astype(np.float32)
    y = rng.integers(0, 3, 6)
    with SWITCHES[name]():
        program = training(6)
        program.run("step", {"x": x[None], "y": y[None]}, steps=1)
        with pytest.raises(ArgumentError, match="label"):
            program.run("step", {"x": x, "y": y + 7})
        loss = program.run("step", {"x": x * np.inf, "y": y})
        assert np.isnan(np.asarray(loss))
        known = next(iter(program.tensors.values()))
        assert np.isnan(known.numpy()).any()
        assert jax.config.jax_enable_x64 is False


def test_the_device_that_a_user_chose() -> None:
    code = """
        import os
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
        import jax
        import chainrule as cr
        other = jax.devices()[1]
        with jax.default_device(other):
            f = cr.compile(lambda x: x * 2, engine="xla")
            print(f(f(cr.ones(2))).tolist())
            print(f.programs[0].executable.placement.whole.device_set == {other})
    """
    assert run_python(code).splitlines() == ["[4.0, 4.0]", "True"]


def test_an_interrupt_behind_a_step_leaves_it_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The state is that of so many steps as the optimiser says."""
    w = cr.tensor([1.0, 2.0], requires_grad=True)
    sgd = optim.SGD([w], lr=0.5)

    @cr.compile(engine="xla")
    def step(x: cr.Tensor) -> cr.Tensor:
        w.grad = x
        sgd.step()
        return x.sum()

    @contextmanager
    def late() -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    step(cr.ones(2))
    with monkeypatch.context() as patched:
        patched.setattr(executable, "undisturbed", late)
        with pytest.raises(KeyboardInterrupt):
            step(cr.ones(2))
    assert (sgd.steps, w.tolist()) == (2, [0.0, 1.0])
    step(cr.ones(2))
    assert (sgd.steps, w.tolist()) == (3, [-0.5, 0.5])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_exceptions_of_any_signals_handler() -> None:
    """They find the state before a step or behind it, though a step has taken it."""
    total = cr.tensor(np.zeros(1000))

    @cr.compile(engine="xla")
    def step() -> cr.Tensor:
        total.copy_(total + 1)
        return total.sum()

    class LateError(Exception):
        """What the handler raises."""

    def late(*__: object) -> None:
        raise LateError

    step()
    met, before = 0, signal.signal(signal.SIGALRM, late)
    try:
        for i in range(150):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + i * 1e-5)
                while True:
                    step()
            except LateError:
                met += 1
            assert signal.getsignal(signal.SIGALRM) is late
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert met == 150
    assert jax.config.jax_enable_x64 is False
    known = float(total[0])
    assert step().item() == 1000 * (known + 1)


class Failed:
    """What a run that has failed on the device gives, as soon as it is read."""

    def __int__(self) -> int:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    def __array__(self, *kind: Any, **how: Any) -> np.ndarray:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")


def test_a_failed_run_says_why_though_its_steps_are_not_known() -> None:
    total, table = cr.zeros(2), cr.ones(4, 2)

    @cr.compile(engine="xla")
    def pick(i: cr.Tensor) -> cr.Tensor:
        total.copy_(total + table[i])
        return total.sum()

    pick(cr.tensor(0))
    (program,) = pick.programs
    loaded: Any = program.executable
    (function,) = loaded._compiled.values()
    compiled = function.compiled
    function.compiled = lambda *given: (*compiled(*given)[:2], Failed(), Failed())
    with pytest.raises(EngineError, match="memory ran out"):
        pick(cr.tensor(1))
    assert loaded.completed == 0
    function.compiled = compiled
    assert pick(cr.tensor(1)).item() == 6.0
