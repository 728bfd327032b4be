"""One peer at one workload, in a process of its own, that works when it is asked to.

    python -m frameworks.worker FOLDER WORKLOAD PEER VARIANT THREADS

It says how it is ready, then reads the number of a turn from each line of standard
input and answers with the seconds that the turn took. Between two turns it waits for
the next line, so that one peer at a time computes. A core that has rested is slow for
some hundredths of a second, and its caches hold what others left: each turn begins with
work that is not timed. ``process`` is one turn: it trains, looks at the test set after
each epoch, and ends.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from frameworks.workloads import CHECKED, TEST, Job

#: Seconds of work before a turn is timed, and that it is timed for at least.
WARM = 0.1
#: What a peer has and found, and what makes a turn of a number ready to be run.
Made = tuple[dict[str, Any], Callable[[int], Callable[[], Any]]]


def training(peer: Any, job: Job, *how: Any) -> Made:
    """Steps on batches; found is the mean loss of the first ones, without dropout."""
    work = job.work.without_dropout()
    model = peer.Training(replace(job, work=work), *how)
    found = float(np.mean(model.run(job.order(0)[:CHECKED])))
    if work != job.work:
        model = peer.Training(job, *how)

    def prepare(turn: int) -> Callable[[], Any]:
        return functools.partial(model.run, job.order(turn))

    return {"parameters": model.parameters, "found": found}, prepare


def inference(peer: Any, job: Job, *how: Any) -> Made:
    """Calls with one batch each; found is the mean size of the first scores."""
    model, batch, calls = peer.Inference(job, *how), job.work.batch, job.work.turn
    x = job.features[: 64 * batch].reshape(64, batch, *job.work.shape)
    found = float(np.mean(np.abs(model(x[0]))))

    def run() -> None:
        for call in range(calls):
            model(x[call % 64])

    return {"parameters": model.parameters, "found": found}, lambda turn: run


def process(peer: Any, job: Job, *how: Any) -> dict[str, Any]:
    """Epochs over all samples but the test set's, and the share of it that is right."""
    model, batch, right = peer.Training(job, *how), job.work.batch, 0.0
    x, y = job.features[-TEST:], job.y[-TEST:]
    rng = np.random.default_rng(0)
    for _ in range(job.work.turn):
        rows = rng.permutation(len(job.x) - TEST).astype(np.int32)
        model.run(rows.reshape(-1, batch))
        right = float(np.mean(model.predict(x).argmax(1) == y))
    return {"parameters": model.parameters, "found": right}


def seconds(run: Callable[[], Any]) -> float:
    """Of one run, in the middle of others."""
    _while(run)
    runs, taken = _while(run)
    return taken / runs


def _while(run: Callable[[], Any]) -> tuple[int, float]:
    """Runs until some time has passed; how many, and how much."""
    started, runs, taken = time.perf_counter(), 0, 0.0
    while taken < WARM:
        run()
        runs, taken = runs + 1, time.perf_counter() - started
    return runs, taken


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    folder, name, peer, variant, threads = sys.argv[1:]
    module = importlib.import_module(f"frameworks.peers.{peer}")
    job = Job.load(Path(folder), name)
    how = variant, int(threads) or None
    if job.work.kind == "process":
        answer(**process(module, job, *how))
        return
    make = inference if job.work.kind == "inference" else training
    started = time.perf_counter()
    ready, prepare = make(module, job, *how)
    prepare(0)()
    built = time.perf_counter() - started
    answer(**ready, built=built)
    for line in sys.stdin:
        answer(seconds=seconds(prepare(int(line))))


if __name__ == "__main__":
    main()
