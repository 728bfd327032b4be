"""Training steps on 1, 2 and 4 processes of one machine, with the engine ``xla``.

    pip install -e '.[xla]'
    python benchmarks/scaling.py --rounds 3

The recipe's GPT with batches of one size, divided over the processes. Each round starts
every number of processes in turn. Printed are medians over the rounds, with the least
and the greatest: the time of a step, and the processor time of a step in all processes
together, which a busy machine changes less. On a CPU that has fewer cores than there
are processes this measures what dividing and exchanging cost, and no gain in speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

#: Windows of 64 characters a step, steps of a run, and runs that are measured.
BATCH, STEPS, RUNS = 16, 16, 4


def measured() -> dict[str, Any]:
    """Time training steps in this process, which may be one of several."""
    import chainrule as cr
    from chainrule import optim
    from chainrule.engines import resolve_engine
    from chainrule.recipes.gpt import GPT, Settings
    from chainrule.training import compile_program

    resolve_engine("xla")
    cr.manual_seed(0)
    model = GPT(64, Settings(layers=2))
    adamw = optim.AdamW(lr=1e-3)

    def train(window: cr.Tensor) -> dict[str, cr.Tensor]:
        loss = model.loss(window)
        model.zero_grad()
        loss.backward()
        adamw.step()
        return {"loss": loss}

    program = compile_program(
        {"train": train},
        {"window": "i32[N,65]"},
        model=model,
        optimizers=[adamw],
        each=["window"],
        engine="xla",
    )
    shape = STEPS, BATCH, 65
    windows = np.random.default_rng(0).integers(0, 64, shape).astype(np.int32)

    def run() -> None:
        made = program.run("train", {"window": windows}, steps=STEPS)
        np.asarray(made["loss"])

    run()
    wall, processor = time.perf_counter(), time.process_time()
    for __ in range(RUNS):
        run()
    steps = STEPS * RUNS
    return {
        "seconds": (time.perf_counter() - wall) / steps,
        "processor": (time.process_time() - processor) / steps,
        "bytes": sum(p.numel() for p in model.parameters()) * 4,
    }


def started(count: int) -> dict[str, float]:
    """Return the times of a step on so many processes."""
    start = [sys.executable]
    if count > 1:
        start += ["-m", "chainrule", "launch", "-n", str(count), "--"]
    result = subprocess.run(
        [*start, str(Path(__file__).resolve()), "--measure"],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in result.stdout.splitlines() if '"seconds"' in line]
    rows = [json.loads(line[line.index("{") :]) for line in lines]
    assert len(rows) == count, result.stdout
    return {
        "seconds": max(row["seconds"] for row in rows),
        "processor": sum(row["processor"] for row in rows),
        "bytes": rows[0]["bytes"],
    }


def shown(values: list[float]) -> str:
    """Return a median of milliseconds with the least and the greatest."""
    low, middle, high = (1e3 * f(values) for f in (min, median, max))
    return f"{middle:7.1f} [{low:.1f}, {high:.1f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--measure", action="store_true", help="in this process")
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measured()), flush=True)
        return
    rows: dict[int, list[dict[str, float]]] = {n: [] for n in asked.processes}
    for __ in range(asked.rounds):
        for count, row in rows.items():
            row.append(started(count))
    first = next(iter(rows.values()))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {BATCH} windows")
    print(f"a step; {first[0]['bytes'] / 1e6:.2f} MB of gradients; ms a step\n")
    print("processes   time                      processor time, all")
    for count, row in rows.items():
        times = [shown([r[key] for r in row]) for key in ("seconds", "processor")]
        print(f"{count:9}   {times[0]:25} {times[1]}")


if __name__ == "__main__":
    main()
