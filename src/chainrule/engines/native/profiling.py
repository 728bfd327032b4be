"""Measure each step of an entry point, on the machine as it is at the moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.engines import Buffer
from chainrule.engines.native.emit import Clock
from chainrule.engines.native.roof import roof
from chainrule.engines.schedule.profile import Profile
from chainrule.engines.threads import available_cores
from chainrule.graph.node import Array
from chainrule.graph.types import Sizes

if TYPE_CHECKING:
    from chainrule.engines.native.executable import NativeExecutable

#: µs of a round, about, and its steps at most.
ROUND, MOST = 2e3, 500
#: Seconds of rounds with each number of threads, and how many there are at least. Each
#: step's fastest round counts: others use the machine.
SECONDS, ROUNDS = 0.7, 5


def profile(
    executable: NativeExecutable,
    compiled_for: Callable[..., Any],
    entry: str,
    inputs: Mapping[str, Array | Buffer],
    sizes: Sizes,
) -> Profile:
    """See :meth:`NativeExecutable.profile`.

    Args:
        compiled_for: compiles the entry point, given sizes and its text.
    """
    largest = {name: sizes[name] for name in sorted(sizes)}
    clock: Clock = {}
    emitted = executable.emitted(entry, largest, clock)
    compiled = compiled_for(largest, emitted)
    schedule = emitted.schedule
    steps = max(1, min(MOST, int(ROUND / max(schedule.cost, 1.0))))
    each = executable.program.entries[entry].each
    given = {k: _rows(v, steps) if k in each else v for k, v in inputs.items()}
    held = {name: array.copy() for name, array in executable.state.items()}

    outer = [clock[s.node] for s in schedule.steps if s.node in clock and not s.free]

    def measured(threads: int) -> tuple[float, float, int, Array]:
        """Seconds of the fastest round and of a tick, and the fewest ticks."""
        rounds: list[tuple[float, Array]] = []
        end = time.perf_counter() + SECONDS
        while len(rounds) < ROUNDS or time.perf_counter() < end:
            compiled.ticks[:] = 0
            started = time.perf_counter()
            compiled.run(given, steps, sizes, threads)
            seconds = time.perf_counter() - started
            ticks = compiled.ticks.copy()
            rounds.append((seconds, ticks))
            for name, array in held.items():
                np.copyto(executable.state[name], array)
        seconds, ticks = min(rounds, key=lambda made: made[0])
        each = seconds / max(ticks[clock[None]], 1)
        every = np.array([ticks for _, ticks in rounds])
        every[:, ::2] -= every[:, 1::2]  # without waiting
        every[:, clock[None]] -= every[:, outer].sum(1)  # what is between the nodes
        return seconds, each, threads, every.min(0)

    asked = executable.threads
    numbers = sorted({1, available_cores()}) if asked is None else [asked]
    made = min(map(measured, numbers), key=lambda made: made[0])
    seconds, each, threads, ticks = made
    state = sum(held[name].nbytes for name in executable.program.entries[entry].state)
    spent = ticks * each * 1e6 / steps
    return Profile(
        replace(schedule.on(threads), sizes=sizes),
        {node: float(spent[place]) for node, place in clock.items()},
        {node: float(spent[place + 1]) for node, place in clock.items()},
        seconds * 1e6 / steps,
        roof(threads, compiled.arena_bytes + state),
    )


def _rows(given: Array | Buffer, steps: int) -> Array:
    """A row for each step, from the first again where there are not enough."""
    rows = np.asarray(given.held if isinstance(given, Buffer) else given)
    return np.resize(rows, (steps, *rows.shape[1:]))
