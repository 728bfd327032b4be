"""The programs of ``examples/``: a training step of ours against eager PyTorch's.

    python benchmarks/run.py programs        # all ten
    python benchmarks/run.py lstm            # one

Ours is the example as it stands, compiled for the native engine; PyTorch's is the same
step as one would best write it (``peers/torch_programs.py``). Both start from the same
weights. First PyTorch's takes some steps with the random numbers that ours has drawn,
and the losses must agree; for the timing it draws its own. Where there are several ways
or numbers of threads, PyTorch gets the fastest.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
#: Program → the ways in which PyTorch may do it, and the bar.
PROGRAMS = {
    "micrograd": (("micrograd",), "> 1"),
    "makemore": (("makemore",), "> 1"),
    "nielsen": (("nielsen",), "> 1"),
    "physics_informed": (("physics_informed",), "> 1"),
    "maml": (("maml",), "> 1"),
    "vae": (("vae",), "> 1"),
    "gan": (("gan",), "> 1"),
    "lstm": (("lstm", "lstm_kernel"), "> 1"),
    "transformer": (("transformer",), ""),
    "sweep": (("sweep",), "> 1"),
}
CHECKED = 10  # steps whose losses must agree
TOLERANCE = 1e-4
TURN = 0.02  # seconds of a turn, about

Update = Callable[[int], Any]


class OurDraw:
    """Chainrule's random numbers as PyTorch's tensors."""

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Any:
        return self._torch("uniform", *shape, low=low, high=high)

    def normal(self, *shape: int, mean: float = 0.0, std: float = 1.0) -> Any:
        return self._torch("normal", *shape, mean=mean, std=std)

    def randint(self, high: int, *shape: int) -> Any:
        return self._torch("randint", 0, high, shape)

    @staticmethod
    def _torch(name: str, *args: Any, **settings: Any) -> Any:
        import torch

        import chainrule as cr

        return torch.tensor(getattr(cr, name)(*args, **settings).numpy())


def example(name: str) -> Any:
    """The module in ``examples/``."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(name: str, engine: str | None) -> tuple[Any, Update]:
    """The example's model and the function that takes step i."""
    model, update = example(name).setup(engine)
    if name == "sweep":
        restart, model = model, None
        restart(0.01)
    return model, update


def losses(update: Update, steps: int) -> np.ndarray:
    return np.array([np.ravel(_numbers(update(i))) for i in range(steps)], float)


def _numbers(made: Any) -> list[float]:
    """The losses of one step; a game has one for each player."""
    return [float(loss) for loss in (made if isinstance(made, tuple) else (made,))]


def seconds(update: Update, steps: int) -> float:
    """The shortest of a few rounds, a step."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        for i in range(steps):
            update(i)
        found.append((time.perf_counter() - started) / steps)
    return min(found)


def fastest(ways: dict[str, Update], threads: int) -> tuple[str, int, Update]:
    """The way and the number of threads with which PyTorch is fastest."""
    import torch

    found = []
    for way, update in ways.items():
        for number in sorted({1, threads}):
            torch.set_num_threads(number)
            losses(update, 5)
            found.append((seconds(update, 10), way, number))
    _, way, number = min(found)
    torch.set_num_threads(number)
    return way, number, ways[way]


def program_row(name: str, threads: int, rounds: int, turns: Any) -> dict:
    """Times of one program, ours and PyTorch's in turns."""
    if hasattr(os, "sched_setaffinity"):  # an example leaves the number to the engine
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    from peers import torch_programs

    module = example(name)
    _, update = ours(name, "native")
    mine = losses(update, CHECKED)
    ways: dict[str, Update] = {}
    for way in PROGRAMS[name][0]:
        model, _ = ours(name, None)
        peer = getattr(torch_programs, way)
        theirs = losses(peer(module, model, OurDraw()), CHECKED)
        worst = float(np.max(np.abs(mine - theirs) / np.abs(theirs)))
        assert worst < TOLERANCE, f"{way}: the losses of the two differ by {worst}"
        ways[way] = peer(module, model, torch_programs.Draw())
    way, number, other = fastest(ways, threads)
    losses(update, 20)  # the engine tries its numbers of threads
    count = max(1, int(TURN / seconds(other, 3)))
    made = turns(
        lambda: [update(i) for i in range(count)],
        lambda: [other(i) for i in range(count)],
        rounds,
        count,
    )
    names = ["Chainrule, native engine", f"PyTorch eager ({way}, {number} threads)"]
    return made | {"names": names}
