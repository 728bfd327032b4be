"""Ctrl-C ends a run between two steps, with everything saved."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

import chainrule as cr
from chainrule.compiled_program import CompiledProgram
from chainrule.training.interrupt import Interrupt

from .conftest import Make, same


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("at", [1, 3, 4, 6])
def test_twice_leaves_a_state_that_can_be_resumed(
    make: Make, data: cr.data.Dataset, engine: str, at: int
) -> None:
    """The second Ctrl-C hits when the weights have moved and nothing else has."""
    run, runs = CompiledProgram.run, 0

    def interrupted(program: CompiledProgram, *args: Any, **options: Any) -> Any:
        nonlocal runs
        made = run(program, *args, **options)
        runs += 1
        if runs == at:
            raise KeyboardInterrupt
        return made

    trainer, whole = (make(engine=engine, dropout=0.3) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CompiledProgram, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(data, epochs=2, batch_size=16, progress=False)
    assert trainer.optimizer.steps == len(trainer.history) < at
    trainer.resume(data, progress=False)
    history = whole.fit(data, epochs=2, batch_size=16, progress=False)
    assert same(trainer.model, whole.model)
    assert trainer.history.steps["loss"].tolist() == history.steps["loss"].tolist()


def test_twice_interrupts_at_once() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.pending
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_ones_own_stay() -> None:
    noted: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *args: noted.append(args))
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert len(noted) == 1
        assert not interrupt.pending
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_may_train(make: Make, data: cr.data.Dataset) -> None:
    trainer = make()
    thread = threading.Thread(
        target=lambda: trainer.fit(data, epochs=1, progress=False)
    )
    thread.start()
    thread.join()
    assert trainer.finished
