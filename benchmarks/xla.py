"""The engine ``xla`` beside a training step written by hand in JAX.

    pip install -e '.[xla]'
    python benchmarks/xla.py --rounds 15

Both sides train the workloads of ``benchmarks/frameworks`` from the same weights on the
same batches: ours is a Trainer's program, theirs the jitted ``lax.scan`` over the steps
of a turn (or the jitted step) of ``frameworks/peers/jax.py``, its state donated, its
data on the device, in the layout that is fastest there. Both compute the norms of the
weights' gradients, which a Trainer records. They run in one process and take turns, on
the threads that they are given (``XLA_FLAGS=--xla_cpu_multi_thread_eigen=false`` for
one). Printed is the ratio of each round's processor times, Chainrule over JAX: the
median, and the 10th and 90th percentile in brackets. Below 1 Chainrule is faster. A
turn ends when its losses have been fetched.

    python benchmarks/xla.py --losses

prints instead how far apart the losses of a recipe's first hundred steps are, as the
largest relative difference: those of two engines in float32; those of one engine from
weights that were moved by a unit in the last place (the largest of some draws), which
is what no other order of sums can stay below; and those of two engines in float64. For
classifiers also the largest error of a weight's gradient beside float64, in units of
2⁻²⁴ of its norm, for each engine.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
import numpy as np
import recipe_losses
from frameworks.peers import chainrule as ours
from frameworks.peers import jax as theirs
from frameworks.workloads import ALL, Job

import chainrule as cr

#: Workload → steps of a turn, and JAX's fastest variants: no scan of convolutions.
WORKLOADS: dict[str, tuple[int, tuple[str, ...]]] = {
    "textbook-32": (200, ("in-out", "out-in")),
    "tabular": (2000, ("in-out", "out-in")),
    "cnn": (4, ("nhwc step",)),
    "gpt": (4, ("in-out",)),
}
#: Recipes whose losses are compared.
RECIPES = ["mnist", "gru", "gpt", "cnn", "gan"]


def job_of(name: str, turn: int) -> Job:
    """A workload with random data of its kind, and random weights."""
    work, rng = replace(ALL[name], turn=turn), np.random.default_rng(0)
    if work.data == "numbers":
        x = rng.normal(size=(4096, *work.shape)).astype(np.float32)
        y = rng.integers(2, size=4096).astype(np.float32)
    elif work.data == "text":
        x = rng.integers(work.classes, size=(4096, *work.shape), dtype=np.int32)
        y = rng.integers(work.classes, size=(4096, *work.shape), dtype=np.int32)
    else:
        x = rng.integers(256, size=(4096, *work.shape)).astype(np.uint8)
        y = rng.integers(work.classes, size=4096, dtype=np.int32)
    weights = ours.build(work.layers).state_dict()
    return Job(work, x, y, {k: np.array(v) for k, v in weights.items()})


def timed(run: Any, order: Any) -> float:
    """Return the processor's seconds of a turn, all threads together."""
    started = time.process_time()
    run(order)
    return time.process_time() - started


def compare(name: str, rounds: int) -> dict[str, Any]:
    """Time both sides of a workload in turns; JAX's fastest variant counts."""
    turn, variants = WORKLOADS[name]
    job = job_of(name, turn)
    mine = ours.Training(job, "xla", None)
    peers = {v: theirs.Training(job, v, 1, norms=True) for v in variants}
    first = np.asarray(mine.run(job.order(0)), np.float64)
    gaps = {
        v: float(np.max(np.abs(np.asarray(p.run(job.order(0))) / first - 1)))
        for v, p in peers.items()
    }
    times: dict[str, list[float]] = {v: [] for v in ("", *variants)}
    for i in range(rounds + 1):
        order = job.order(i)
        for which in times:
            run = mine.run if not which else peers[which].run
            times[which].append(timed(run, order))
    best = min(variants, key=lambda v: float(np.median(times[v][1:])))
    ratios = np.array(times[""][1:]) / np.array(times[best][1:])
    return {
        "workload": name,
        "ratio": [float(np.percentile(ratios, q)) for q in (50, 10, 90)],
        "ms": {
            v or "chainrule": float(np.median(t[1:])) / turn * 1e3
            for v, t in times.items()
        },
        "variant": best,
        "losses apart": gaps[best],
        "seconds compile": mine.program.seconds_compile,
    }


def losses_apart(name: str, draws: int) -> dict[str, Any]:
    """How far apart the losses of a recipe's first steps are, and why."""
    losses, apart = recipe_losses.losses, recipe_losses.apart
    native = losses(name, "native", cr.float32)
    moved = [recipe_losses.moved(seed) for seed in range(draws)]
    exact = losses(name, "native", cr.float64)
    row: dict[str, Any] = {
        "recipe": name,
        "xla and native": apart(losses(name, "xla", cr.float32), native),
        "numpy and native": apart(losses(name, "numpy", cr.float32), native),
        "native, weights moved by 1 ulp": max(
            apart(losses(name, "native", cr.float32, change), native)
            for change in moved
        ),
        "xla and native, float64": apart(losses(name, "xla", cr.float64), exact),
    }
    if name == "cnn":
        smooth = recipe_losses.without_kinks
        row["xla and native, without kinks"] = apart(
            losses(name, "xla", cr.float32, smooth),
            losses(name, "native", cr.float32, smooth),
        )
    if name in recipe_losses.NETWORKS:
        row["gradients, 2⁻²⁴"] = {
            engine: max(recipe_losses.gradient_errors(name, engine))
            for engine in ("native", "numpy", "xla")
        }
    return row


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", help="of the table, or recipes")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--losses", action="store_true")
    parser.add_argument("--draws", type=int, default=3, help="of moved weights")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = []
    for name in arguments.workloads or (RECIPES if arguments.losses else WORKLOADS):
        if arguments.losses:
            row = losses_apart(name, arguments.draws)
            for key, value in row.items():
                shown = f"{value:.1e}" if isinstance(value, float) else value
                print(f"{key:32}", shown, flush=True)
        else:
            row = compare(name, arguments.rounds)
            median, low, high = row["ratio"]
            print(f"{name:12} {median:.2f} ({low:.2f} to {high:.2f})", row, flush=True)
        found.append(row)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
