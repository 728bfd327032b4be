"""Sides train the same system in turns, so that all meet the same machine.

A side is a generator function of a :class:`Trial`: it yields when it is set up, then
after every piece of its training, and returns what it has reached. What it does behind
the last ``yield`` (measuring) is not timed; our compiling is. With one thread the
seconds are those of the processor, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import threadpoolctl

import chainrule as cr
from chainrule.recipes import Experiment
from chainrule.training import Callback

Run = Generator[None, None, dict[str, float]]


class Pause(Callback):
    """Ends a run after each epoch, to go on with later."""

    def on_epoch(self, trainer: cr.Trainer) -> None:
        trainer.stop()


def epochs(
    trainer: cr.Trainer, train: Any, *, epochs: int, batch_size: int
) -> Generator[None, None, None]:
    """Train an epoch at a time."""
    how: Any = {"epochs": epochs, "batch_size": batch_size, "progress": False}
    yield
    trainer.fit(train, callbacks=Pause(), **how)
    yield
    while not trainer.finished:
        trainer.resume(train, callbacks=Pause(), progress=False)
        yield


class Trial(Experiment):
    """What a side runs in.

    A recipe that trains a Trainer as a stage gets it back untrained, and
    :meth:`epochs` trains it. Nothing is evaluated on the way.

    Attributes:
        train, budget: the last Trainer's data; its epochs and batch_size.
    """

    def fit(self, name: str, trainer: cr.Trainer, train: Any, **how: Any) -> cr.Trainer:
        self.train = train
        self.budget = {key: how[key] for key in ("epochs", "batch_size")}
        self._epochs = epochs(trainer, train, **self.budget)
        return trainer

    def epochs(self) -> Generator[None, None, None]:
        """Train the last stage an epoch at a time."""
        return self._epochs


Side = Callable[[Trial], Run]
#: Samples and labels to learn from, and to ask about.
Data = Callable[[Trial], tuple[Any, Any, Any, Any]]


def fitted(make: Callable[[Trial], Any], data: Data) -> Side:
    """A side of scikit-learn, whose ``fit`` is one piece."""

    def side(trial: Trial) -> Run:
        x, y, asked, truth = data(trial)
        rows, new = x.reshape(len(x), -1), asked.reshape(len(asked), -1)
        model = make(trial)
        yield
        model.fit(rows, y)
        yield
        return {"accuracy": float(model.score(new, truth))}

    return side


def arguments(what: str | None, **more: Any) -> argparse.Namespace:
    """The command line: seeds, threads, how much of it, and more.

    Args:
        what: the program's docstring.
        more: further options, by name.
    """
    how: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = argparse.ArgumentParser(description=what, **how)
    for name, option in more.items():
        parser.add_argument(name if "choices" in option else f"--{name}", **option)
    add = parser.add_argument
    add("--seeds", type=int, default=3)
    add("--threads", type=int, default=1)
    add("--quick", action="store_true", help="a small budget: shows that it runs")
    add("--pieces", type=int, help="the seconds alone, of so many pieces")
    add("--json", action="store_true", help="everything, as JSON")
    return parser.parse_args()


def race(
    sides: dict[str, Side], pieces: int | None = None, **how: Any
) -> dict[str, tuple[float, dict[str, float]]]:
    """Seconds of training and what was reached, by side.

    Args:
        sides: by name.
        pieces: that each trains at most; it has reached nothing then.
        how: of each side's :class:`Trial`.
    """
    going = {name: side(Trial(**how)) for name, side in sides.items()}
    for run in going.values():
        next(run)
    seconds, made, reached = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0), {}
    clock = time.process_time if how["threads"] == 1 else time.perf_counter
    while len(reached) < len(sides):
        for name, run in going.items():
            if name in reached:
                continue
            if made[name] == pieces:
                run.close()
                reached[name] = {}
                continue
            began = clock()
            try:
                next(run)
            except StopIteration as end:
                reached[name] = end.value
            else:
                seconds[name] += clock() - began
                made[name] += 1
    return {name: (seconds[name], reached[name]) for name in sides}


def compare(
    given: argparse.Namespace, recipe: str, what: str, sides: dict[str, Side]
) -> None:
    """Race for each seed; print quality, seconds, and their ratio to the first side."""
    rows: dict[str, list[Any]] = {name: [] for name in sides}
    put = (lambda *_, **__: None) if given.json else print
    put(f"{what}; {given.threads} threads, in turns{', quick' * given.quick}")
    how: Any = {"name": recipe, "engine": "native", "threads": given.threads}
    for seed in range(given.seeds):
        how |= {"seed": seed, "quick": given.quick}
        with threadpoolctl.threadpool_limits(given.threads):
            found = race(sides, given.pieces, **how)
        for name, (seconds, reached) in found.items():
            rows[name].append({"seconds": seconds, **reached})
            told = ", ".join(f"{k} {v:.4g}" for k, v in reached.items())
            put(f"  seed {seed}  {name:18} {seconds:7.1f} s   {told}", flush=True)
    first = np.array([row["seconds"] for row in rows[next(iter(rows))]])
    if given.json:
        print(json.dumps({"what": what, "threads": given.threads, "sides": rows}))
    for name, mine in rows.items():
        ratios = np.array([row["seconds"] for row in mine]) / first
        spread = f"{np.median(ratios):6.2f} × the seconds ({span(ratios)})"
        reached = [
            f"{key} {span([row[key] for row in mine])}" for key in list(mine[0])[1:]
        ]
        put(f"  {name:26} {'; '.join([spread, *reached])}")


def span(values: Any) -> str:
    """The smallest and the largest."""
    return f"{min(values):.4g} … {max(values):.4g}"
