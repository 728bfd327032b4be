"""Profiling of the native engine: the time of each step of an entry point."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.engines import Buffer
from chainrule.engines.native.emit.entry_points import Clock
from chainrule.engines.native.runtime.roofline import roof
from chainrule.engines.schedule.profile import Profile
from chainrule.engines.schedule.schedule import Schedule
from chainrule.engines.threads import available_cores
from chainrule.errors import EngineError
from chainrule.graph.node import Array
from chainrule.text import _

#: µs of a round, about, and its steps at most.
ROUND, MOST = 2e3, 500
#: Seconds of rounds with each number of threads, and how many there are at least. Each
#: step's fastest round counts: others use the machine.
SECONDS, ROUNDS = 0.7, 5


def profile(
    schedule: Schedule,
    clock: Clock,
    compiled: Any,
    calls: Callable[[int, int], Any],
    state: Mapping[str, Array],
    inputs: Mapping[str, Array | Buffer],
    asked: int | None,
) -> Profile:
    """Measure the time of each node of an entry point's machine code.

    Args:
        schedule: what runs.
        clock: where its ticks stand.
        compiled: the entry point, which counts them.
        calls: what runs it, given a number of steps and of threads.
        state: of the whole program; it stays as it is.
        inputs: with rows for as many steps as there are.
        asked: how many threads shall run it; None: what measures best.
    """
    steps = max(1, min(MOST, int(ROUND / max(schedule.cost, 1.0))))
    entry = compiled.entry
    saved = {name: array.copy() for name, array in state.items()}
    outer = [clock[s.node] for s in schedule.steps if s.node in clock and not s.free]

    def measured(threads: int) -> tuple[float, float, int, Array]:
        """Measure an entry point on some threads; return the fastest round's times."""
        rounds: list[tuple[float, Array]] = []
        call = calls(steps, threads)
        end = time.perf_counter() + SECONDS
        while len(rounds) < ROUNDS or time.perf_counter() < end:
            # Each round has the rows that follow, as in training: none are near.
            which = np.arange(len(rounds) * steps, (len(rounds) + 1) * steps)
            inputs_of_run = {
                k: _rows(v, which) if k in entry.each else v for k, v in inputs.items()
            }
            compiled.ticks[:] = 0
            started = time.perf_counter()
            try:
                call.run(inputs_of_run, steps)
                seconds = time.perf_counter() - started
            finally:
                for name, array in saved.items():
                    np.copyto(state[name], array)
            rounds.append((seconds, compiled.ticks.copy()))
        seconds, ticks = min(rounds, key=lambda measurement: measurement[0])
        if not ticks[clock[None]]:
            raise EngineError(
                _(
                    "The steps of a program are measured by a counter of the "
                    "processor, and this one stands still."
                ),
                expected=_("x86-64 or ARM64"),
                got=platform.machine(),
                fix=_("measure the whole call, by time.perf_counter()"),
            )
        each = seconds / ticks[clock[None]]
        every = np.array([ticks for __, ticks in rounds])
        every[:, ::2] -= every[:, 1::2]  # without waiting
        every[:, clock[None]] -= every[:, outer].sum(1)  # what is between the nodes
        return seconds, each, threads, every.min(0)

    numbers = sorted({1, available_cores()}) if asked is None else [asked]
    measurement = min(map(measured, numbers), key=lambda measurement: measurement[0])
    seconds, each, threads, ticks = measurement
    touched = compiled.arena_bytes + sum(saved[name].nbytes for name in entry.state)
    spent = ticks * each * 1e6 / steps
    return Profile(
        schedule.on(threads),
        {node: float(spent[place]) for node, place in clock.items()},
        {node: float(spent[place + 1]) for node, place in clock.items()},
        seconds * 1e6 / steps,
        roof(threads, touched),
    )


def _rows(array: Array | Buffer, which: Array) -> Array:
    """Return rows of an input array by index, wrapping around at the end."""
    rows = np.asarray(array.data if isinstance(array, Buffer) else array)
    return rows[which % len(rows)]
