"""Tables of 200,000 users beside PyTorch's: steps of rows, and weights drawn.

    python benchmarks/recommender.py                # on 1 and on 2 threads
    python benchmarks/recommender.py --rounds 3 --users 2000

A step looks up 1,024 users and items, 64 numbers each, and updates both tables:
``SparseAdam`` on both sides, ours compiled for either engine, and eager. Losses must
agree after the rounds. All take turns; each round gives one ratio, ours over PyTorch's.
Printed are the median of the ratios and, in brackets, the smallest and the largest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule import nn, optim

ITEMS, WIDTH, BATCH, STEPS = 1000, 64, 1024, 10

Step = Callable[[int], float]


def data(users: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two tables to begin with; users, items and ratings of fifty batches."""
    rng = np.random.default_rng(0)
    tables = [rng.standard_normal((n, WIDTH)).astype("f4") for n in (users, ITEMS)]
    rows = [rng.integers(0, n, (50, BATCH)) for n in (users, ITEMS)]
    return tables, [*rows, rng.standard_normal((50, BATCH)).astype("f4")]


def ours(way: str, threads: int, users: int) -> Step:
    """A step of ours: eager, or compiled for an engine."""
    tables, batches = data(users)
    one, two = (
        nn.Embedding.from_pretrained(t, freeze=False, sparse=True) for t in tables
    )
    optimizer = optim.SparseAdam([one.weight, two.weight], lr=1e-3)

    def step(user: Any, item: Any, rating: Any) -> Any:
        loss = (((one(user) * two(item)).sum(-1) - rating) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run: Any = step
    if way != "eager":
        run = cr.compile(step, engine=way, threads=threads)  # type: ignore[call-overload]
    return lambda k: run(*(cr.tensor(b[k % 50]) for b in batches)).item()


def theirs(threads: int, users: int) -> Step:
    """A step of PyTorch's."""
    torch.set_num_threads(threads)
    torch.sparse.check_sparse_tensor_invariants.disable()
    tables, batches = data(users)
    one, two = (
        torch.nn.Embedding.from_pretrained(torch.tensor(t), freeze=False, sparse=True)
        for t in tables
    )
    optimizer = torch.optim.SparseAdam([one.weight, two.weight], lr=1e-3)
    rows = [torch.tensor(b) for b in batches]

    def step(k: int) -> float:
        user, item, rating = (r[k % 50] for r in rows)
        loss = (((one(user) * two(item)).sum(-1) - rating) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def seconds(function: Callable[[], Any]) -> float:
    """The time of a call."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def told(what: str, ours: list[float], theirs: list[float]) -> None:
    """Print the ratios of the rounds."""
    ratios = np.divide(ours, theirs)
    line = f"{np.median(ratios):6.2f} ({ratios.min():.2f} … {ratios.max():.2f})"
    print(f"{what:28} {1e3 * np.median(ours):9.2f} ms  × {line}", flush=True)


def steps(threads: int, users: int, rounds: int) -> None:
    """Race in steps."""
    sides = {way: ours(way, threads, users) for way in ("native", "numpy", "eager")}
    sides["PyTorch"] = theirs(threads, users)
    times: dict[str, list[float]] = {name: [] for name in sides}
    last: dict[str, float] = {}
    for first in range(rounds + 1):
        for name, step in sides.items():
            turn = range(first * STEPS, (first + 1) * STEPS)
            begun = time.perf_counter()
            for k in turn:
                last[name] = step(k)
            if first:
                times[name].append((time.perf_counter() - begun) / STEPS)
    for name, loss in last.items():
        assert abs(loss - last["PyTorch"]) <= 1e-3 * last["PyTorch"], name
        told(f"step, {name}, {threads} thread(s)", times[name], times["PyTorch"])


def weights(users: int, rounds: int) -> None:
    """Race in weights."""
    mine: list[float] = []
    other: list[float] = []
    for __ in range(rounds + 1):
        mine.append(seconds(lambda: nn.Embedding(users, WIDTH)))
        other.append(seconds(lambda: torch.nn.Embedding(users, WIDTH)))
    told("weights of the users", mine[1:], other[1:])


def main() -> None:
    """Race."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    given = parser.parse_args()
    for threads in given.threads:
        steps(threads, given.users, given.rounds)
    weights(given.users, given.rounds)


if __name__ == "__main__":
    main()
