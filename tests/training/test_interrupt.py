"""Ctrl-C ends a run between two steps, with everything saved."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

import chainrule as cr
from chainrule.training.interrupt import Interrupt

from .conftest import Make


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
