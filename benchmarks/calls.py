"""What a call of a compiled function and a step of the loop cost beside their numbers.

    python benchmarks/calls.py           # both
    python benchmarks/calls.py calls     # or loop

``calls``  the time of a call of a compiled function, less that of its machine code
           alone, in µs: the Python in between. The shortest of many short rounds.
``loop``   a step of ``training.Loop`` on the programs of ``examples/loop_gan.py`` and
           ``loop_actor.py``, over the same source and entry points in a ``for`` of
           Python with ``program.run``. The median of rounds in turns, with the 10th
           and 90th percentile.

By the processor's clock, one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import Loop

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CALLS = 200  # in a round
STEPS = 5000


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))


def two() -> tuple[Any, list[cr.Tensor]]:
    """Two arguments."""
    return lambda x, y: x + y, [cr.ones(4), cr.ones(4)]


def eight() -> tuple[Any, list[cr.Tensor]]:
    """Eight arguments."""
    return lambda *xs: sum(xs[1:], xs[0]), [cr.ones(4)] * 8


def parameters() -> tuple[Any, list[cr.Tensor]]:
    """A model of four parameters."""
    network = model()
    return lambda x: network(x).detach(), [cr.ones(2, 4)]


def derivable() -> tuple[Any, list[cr.Tensor]]:
    """The same, whose result remembers the call."""
    network = model()
    return lambda x: network(x), [cr.ones(2, 4)]


def training() -> tuple[Any, list[cr.Tensor]]:
    """A training step with Adam on a model of four parameters."""
    network = model()
    optimizer = optim.Adam(network.parameters())

    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = nn.MSELoss()(network(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, [cr.ones(2, 4), cr.ones(2, 4)]


FUNCTIONS = (two, eight, parameters, derivable, training)


def shortest(run: Callable[[], object], rounds: int) -> float:
    """µs of one run."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(CALLS):
            run()
        found.append((time.process_time() - started) / CALLS * 1e6)
    return min(found)


def calls(rounds: int) -> dict[str, dict[str, float]]:
    made = {}
    for kind in FUNCTIONS:
        function, arguments = kind()
        step = cr.compile(function, engine="native", threads=1)
        step(*arguments), step(*arguments)
        (program,) = step.programs
        (code,) = program.executable._compiled.values()  # type: ignore[attr-defined]
        whole = shortest(lambda step=step, a=arguments: step(*a), rounds)
        code.words[0] = 1
        engine = shortest(lambda c=code: c.function(c.address, 0, 1), rounds)
        title = (kind.__doc__ or "").rstrip(".")
        made[title] = {"call": whole, "engine": engine, "over": whole - engine}
    return made


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def bare(loop: Loop, steps: int) -> None:
    """What the loop does, without the loop."""
    program, source, state = loop.program, loop.source, loop.state
    for _ in range(steps):
        work = source.take(state, 1)
        if work is None:
            state.step = 0
            continue
        outputs = program.run(work.entry or loop.entry, work.inputs, steps=work.steps)
        state.step += 1
        state.updates += 1
        source.see(work, outputs)


def loops(rounds: int) -> dict[str, dict[str, float]]:
    made = {}
    for name in ("loop_gan", "loop_actor"):
        module = example(name)
        ours, other = module.make("native"), module.make("native")
        ours.run(updates=STEPS)
        bare(other, STEPS)
        times: list[list[float]] = []
        for _ in range(rounds):
            begun = time.process_time()
            ours.run(updates=ours.state.updates + STEPS)
            between = time.process_time()
            bare(other, STEPS)
            ended = time.process_time()
            times.append([between - begun, ended - between])
        mine, theirs = np.array(times).T / STEPS * 1e6
        low, middle, high = np.percentile(mine / theirs, [10, 50, 90])
        made[name] = {
            "loop": float(np.median(mine)),
            "bare": float(np.median(theirs)),
            "ratio": middle,
            "p10": low,
            "p90": high,
        }
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="calls, loop; both by default")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.names) - {"calls", "loop"}:
        parser.error(f"no {sorted(unknown)}; there are calls and loop")
    names = args.names or ["calls", "loop"]
    made: dict[str, dict[str, float]] = {}
    if "calls" in names:
        made |= calls(args.rounds)
    if "loop" in names:
        made |= loops(args.rounds)
    if args.json:
        print(json.dumps(made))
        return
    for title, row in made.items():
        print(f"{title:52}" + "".join(f"{k} {v:6.2f}   " for k, v in row.items()))


if __name__ == "__main__":
    main()
