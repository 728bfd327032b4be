"""What an eager operation costs beside NumPy's own time, on arrays of (4, 4) float32.

``python benchmarks/operations.py`` prints microseconds: Chainrule's, NumPy's, and the
difference, without and with a derivative recorded. The shortest of many short rounds
counts, by the processor's clock, so that other work on the machine does not.
"""

from __future__ import annotations

import argparse
import functools
import json
import timeit
from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np

import chainrule as cr

OPERATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "x + y": (lambda x, y: x + y, lambda a, b: a + b),
    "x + 1.0": (lambda x, y: x + 1.0, lambda a, b: a + 1.0),
    "x * y": (lambda x, y: x * y, lambda a, b: a * b),
    "x.exp()": (lambda x, y: x.exp(), lambda a, b: np.exp(a)),
    "x.relu()": (lambda x, y: x.relu(), lambda a, b: np.maximum(a, 0)),
    "x.sum()": (lambda x, y: x.sum(), lambda a, b: a.sum()),
    "x.sum(0)": (lambda x, y: x.sum(0), lambda a, b: a.sum(0)),
    "x @ y": (lambda x, y: x @ y, lambda a, b: a @ b),
    "x.reshape(2, 8)": (lambda x, y: x.reshape(2, 8), lambda a, b: a.reshape(2, 8)),
    "x[0]": (lambda x, y: x[0], lambda a, b: a[0]),
}


def microseconds(function: Callable[[], Any], rounds: int) -> float:
    times = timeit.repeat(function, timer=process_time, number=300, repeat=rounds)
    return min(times) / 300 * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    a, b = (rng.random((4, 4), np.float32) for _ in range(2))
    made: dict[str, dict[str, float]] = {}
    for grad in (False, True):
        x, y = cr.tensor(a, requires_grad=grad), cr.tensor(b)
        for name, (ours, numpys) in OPERATIONS.items():
            mine = microseconds(functools.partial(ours, x, y), args.rounds)
            theirs = microseconds(functools.partial(numpys, a, b), args.rounds)
            label = f"{name}, recorded" if grad else name
            made[label] = {"ours": mine, "numpy": theirs, "over": mine - theirs}
    if args.json:
        print(json.dumps(made))
        return
    for label, row in made.items():
        print(f"{label:28}" + "".join(f"{k} {v:5.2f}   " for k, v in row.items()))


if __name__ == "__main__":
    main()
