"""Two sides train the same system in turns, so that both meet the same machine.

A side is a generator function of (seed, threads): it yields when it is set up, then
after every piece of its training, and returns what it has reached. What it does behind
the last ``yield`` (measuring) is not timed. With one thread the seconds are those of
the processor, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

Side = Callable[[int, int], Generator[None, None, dict[str, float]]]


def race(
    sides: dict[str, Side], seed: int, threads: int
) -> dict[str, tuple[float, dict[str, float]]]:
    """Seconds of training and what was reached, by side."""
    going = {name: side(seed, threads) for name, side in sides.items()}
    for run in going.values():
        next(run)
    seconds, reached = dict.fromkeys(sides, 0.0), {}
    clock = time.process_time if threads == 1 else time.perf_counter
    while len(reached) < len(sides):
        for name, run in going.items():
            if name in reached:
                continue
            began = clock()
            try:
                next(run)
            except StopIteration as end:
                reached[name] = end.value
            else:
                seconds[name] += clock() - began
    return {name: (seconds[name], reached[name]) for name in sides}


def compare(what: str, sides: dict[str, Side]) -> None:
    """Race for each seed; print quality, seconds, and their ratio to the first side."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    print(f"{what}; {given.threads} threads, in turns")
    rows: dict[str, list[Any]] = {name: [] for name in sides}
    for seed in range(given.seeds):
        for name, (seconds, reached) in race(sides, seed, given.threads).items():
            rows[name].append((seconds, *reached.values()))
            told = ", ".join(f"{k} {v:.4g}" for k, v in reached.items())
            print(f"  seed {seed}  {name:18} {seconds:7.1f} s   {told}", flush=True)
    first = np.array(rows[next(iter(rows))])
    for name, row in rows.items():
        table = np.array(row)
        ratio = np.median(table[:, 0] / first[:, 0])
        spread = ", ".join(f"{c.min():.4g} … {c.max():.4g}" for c in table.T[1:])
        print(f"  {name:26} {ratio:5.2f} × the seconds; {spread}")
