"""What it costs to be watched by the lab: the same run with and without.

    python benchmarks/lab.py             # circles and MNIST
    python benchmarks/lab.py circles

Both train by the native engine on one thread, in turns; watched, everything is worked
out and packed that a page would get, and goes nowhere. The ratio is that of CPU time of
the training, its median with the quartiles over the turns. A page that draws it all is
another process, and takes another core.
"""

from __future__ import annotations

import argparse
import io
import json
import queue
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

TURNS = 9


def dense(units: list[int], activation: str) -> list[Any]:
    """Dense layers of a run file."""
    layers: list[Any] = []
    for n in units:
        layers += [{"class": "Linear", "out_features": n}, activation]
    return [*layers, "Linear"]


RUNS: dict[str, dict[str, Any]] = {
    "circles": {
        "data": {"source": "circles", "samples": 400, "noise": 0.1},
        "model": {"layers": dense([6, 4], "Tanh")},
        "optimizer": {"class": "Adam", "lr": 0.01},
        "training": {"epochs": 1500, "batch_size": 16, "threads": 1},
    },
    "mnist": {
        "data": {"source": "mnist"},
        "model": {"layers": dense([128, 64], "ReLU")},
        "optimizer": {"class": "Adam", "lr": 0.001},
        "training": {"epochs": 2, "batch_size": 32, "threads": 1},
    },
}


class Nowhere(io.RawIOBase):
    """What takes all that is said, and forgets it."""

    def write(self, data: Any) -> int:
        """Take it."""
        return len(data)


def seconds(run: dict[str, Any], watched: bool, epochs: int) -> tuple[float, float]:
    """CPU seconds of training, and the last loss, which shows that it is the same."""
    from chainrule.lab.settings import run_file
    from chainrule.lab.state import Stage
    from chainrule.lab.watching import View
    from chainrule.lab.worker import Watch, Worker
    from chainrule.runs import Session

    session = Session.begin(run_file(run, Path("nowhere")), Path("nowhere"))
    callbacks = []
    if watched:
        worker = Worker(queue.Queue(), Nowhere())
        worker.session, worker.stage = session, Stage.TRAINING
        worker.view = View(session, worker.tell)
        worker.view.show(all_of_it=True)
        callbacks.append(Watch(worker))
    parts, trainer = session.parts, session.trainer
    options = {
        **session.origin.fit_options(parts.train),
        "validation": parts.validation,
        "progress": False,
    }
    trainer.fit(parts.train, **{**options, "epochs": 1})  # compiles
    begun = time.process_time()
    trainer.fit(parts.train, **{**options, "epochs": epochs}, callbacks=callbacks)
    return time.process_time() - begun, float(trainer.history.steps["loss"][-1])


def measured(
    name: str, turns: int = TURNS, epochs: int | None = None
) -> dict[str, Any]:
    """The ratio of watched to unwatched, over turns."""
    run = RUNS[name]
    count: int = run["training"]["epochs"] if epochs is None else epochs
    ratios: list[float] = []
    alone: list[float] = []
    for turn in range(turns):
        order = (False, True) if turn % 2 else (True, False)
        found = {watched: seconds(run, watched, count) for watched in order}
        assert found[True][1] == found[False][1], "watching changed the run"
        ratios.append(found[True][0] / found[False][0])
        alone.append(found[False][0])
    quartiles = np.quantile(ratios, (0.25, 0.75)).tolist()
    return {
        "run": name,
        "ratio": statistics.median(ratios),
        "quartiles": quartiles,
        "seconds": statistics.median(alone),
        "turns": turns,
    }


def main() -> None:
    """Measure the runs that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", default=[*RUNS], choices=[*RUNS, []])
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for name in given.runs or RUNS:
        result = measured(name, given.turns)
        if given.json:
            print(json.dumps(result))
        else:
            low, high = result["quartiles"]
            print(f"{name}: {result['ratio']:.3f} ({low:.3f} … {high:.3f})", flush=True)


if __name__ == "__main__":
    main()
