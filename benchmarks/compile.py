"""What tracing and compiling cost: in size, beside an older checkout, and again.

    python benchmarks/compile.py                       # all of it
    python benchmarks/compile.py trainer --base PATH   # beside the checkout at PATH

``unrolled``  tracing and compiling a training step of an LSTM of 20 … 160 unrolled
              steps: the time, and the time a step, which must not grow;
``scalars``   the same for graphs of 2,500 … 10,000 scalar nodes;
``trainer``   the first ``fit`` of the textbook's Trainer, of one step: all of it, and
              what of it is Python (all but LLVM's parsing, optimising and emitting);
``kept``      the same in a process that finds its code in the cache;
``sweep``     twenty such Trainers one after the other in one process;
``search``    twenty networks of other depths, widths and batches, as a search tries.

Each figure is of fresh processes, which take turns. Printed is the shortest time of all
rounds, by the processor's clock, so that other work on the machine counts little, and
in brackets the 10th and 90th percentile.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RUNS = 20
LENGTHS = (20, 40, 80, 160)
NODES = (2500, 5000, 10000)

# -- in a process of its own -----------------------------------------------------------


class Llvm:
    """Seconds spent within LLVM: parsing, checking, optimising, emitting, linking."""

    def __init__(self) -> None:
        from llvmlite import binding

        self.seconds = 0.0
        self._time(binding, "parse_assembly")
        self._time(binding, "create_mcjit_compiler")
        self._time(binding.ModuleRef, "verify")
        self._time(binding.ModuleRef, "link_in")
        self._time(binding.TargetMachine, "emit_object")
        self._time(binding.ExecutionEngine, "add_object_file")
        self._time(binding.ExecutionEngine, "finalize_object")
        for name in ("ModulePassManager", "FunctionPassManager"):
            self._time(getattr(binding.newpassmanagers, name), "run")

    def _time(self, place: Any, name: str) -> None:
        call = getattr(place, name)

        def timed(*args: Any, **settings: Any) -> Any:
            started = time.process_time()
            try:
                return call(*args, **settings)
            finally:
                self.seconds += time.process_time() - started

        setattr(place, name, timed)


def unrolled(length: int) -> dict[str, float]:
    """A training step of ``examples/lstm.py``, unrolled."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    import lstm

    lstm.LENGTH = length
    _, update = lstm.setup("native", unrolled=True)
    return timed(lambda: update(0).item())


def scalars(nodes: int) -> dict[str, float]:
    """A function of so many scalar nodes."""
    import chainrule as cr

    def function(x: Any) -> Any:
        y = x
        for _ in range(nodes // 4):
            y = (y * x + x).tanh() - x
        return y

    step = cr.compile(function, engine="native")
    return timed(lambda: step(cr.tensor(0.5)).item())


def textbook() -> Any:
    """The textbook's Trainer (3.2.3)."""
    import chainrule as cr
    from chainrule import nn, optim

    cr.manual_seed(0)
    widths = (784, 128), (128, 64), (64, 10)
    first, second, third = (nn.Linear(*pair) for pair in widths)
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
    return cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-3),
        engine="native",
        seed=0,
        threads=1,
    )


def fit(trainer: Any) -> None:
    """One step, and the loss of one batch of validation."""
    x = np.arange(64 * 784, dtype=np.float32).reshape(64, 784) / (64 * 784)
    y = np.arange(64, dtype=np.uint8) % 10
    data = (x[:32], y[:32]), (x[32:], y[32:])
    trainer.fit(data[0], epochs=1, batch_size=32, validation=data[1], progress=False)


def trainer(_: int) -> dict[str, float]:
    made = textbook()
    return timed(lambda: fit(made))


def kept(_: int) -> dict[str, float]:
    return trainer(0)


def sweep(_: int) -> dict[str, float]:
    """Return the first Trainer's time and the mean of the others'."""
    return one_by_one([textbook() for _ in range(RUNS)])


def search(_: int) -> dict[str, float]:
    """Return the time of a first network and the mean of others, of other shapes."""
    import chainrule as cr
    from chainrule import nn, optim

    random, made = np.random.default_rng(0), []
    for seed in range(RUNS):
        widths = [784, *random.integers(8, 128, random.integers(1, 4)), 10]
        layers: list[Any] = []
        for inputs, outputs in itertools.pairwise(map(int, widths)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        loss, adam = nn.CrossEntropyLoss(), optim.AdamW(lr=1e-3)
        model = nn.Sequential(*layers[:-1])
        made.append(cr.Trainer(model, loss=loss, optimizer=adam, seed=seed))
    return one_by_one(made)


def one_by_one(trainers: list[Any]) -> dict[str, float]:
    """Return the first Trainer's time and the mean of the others'."""
    times = [timed(lambda trainer=trainer: fit(trainer)) for trainer in trainers]
    rest = times[1:]
    return {
        "first": times[0]["whole"],
        "later": sum(t["whole"] for t in rest) / len(rest),
        "later, in LLVM": sum(t["whole"] - t["python"] for t in rest) / len(rest),
    }


def timed(run: Callable[[], object]) -> dict[str, float]:
    """The processor's seconds of a run, and those of them that LLVM did not take."""
    llvm = Llvm()
    started = time.process_time()
    run()
    whole = time.process_time() - started
    return {"whole": whole, "python": whole - llvm.seconds}


CHILDREN = {f.__name__: f for f in (unrolled, scalars, trainer, kept, sweep, search)}

# -- who starts them -------------------------------------------------------------------


def measured(name: str, size: int, checkout: Path) -> dict[str, float]:
    """One measurement in a fresh process, with the package of a checkout."""
    command = [sys.executable, __file__, "--child", name, str(size)]
    env = os.environ | {"PYTHONPATH": str(checkout / "src")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # as pip does
    env["CHAINRULE_CACHE"] = os.environ["CHAINRULE_CACHE"] if name == "kept" else "0"
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def figures(rounds: list[dict[str, float]], key: str) -> dict[str, float]:
    """The shortest of the times and their spread, in seconds."""
    values = [r[key] for r in rounds]
    low, high = np.percentile(values, [10, 90])
    return {"best": min(values), "p10": low, "p90": high}


def jobs(
    names: list[str], base: Path | None, shortest: bool
) -> dict[str, tuple[str, int, Path]]:
    """What to measure: name, size and checkout, by label."""
    ours = HERE.parent
    made: dict[str, tuple[str, int, Path]] = {}
    for name in names:
        sizes = {"unrolled": LENGTHS, "scalars": NODES}.get(name, (0,))
        for size in sizes[:1] if shortest else sizes:
            label = f"{name} {size}" if size else name
            made[label] = name, size, ours
            if base is not None and name in ("trainer", "kept", "sweep", "search"):
                made[f"{label}, base"] = name, size, base
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CHILDREN))
    parser.add_argument("--base", type=Path, help="another checkout, to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shortest", action="store_true", help="one size of each")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        name, size = args.child
        print(json.dumps(CHILDREN[name](int(size))))
        return
    if unknown := set(args.names) - set(CHILDREN):
        parser.error(f"no {sorted(unknown)}; there are {', '.join(CHILDREN)}")
    work = jobs(args.names or list(CHILDREN), args.base, args.shortest)
    rounds: dict[str, list[dict[str, float]]] = {label: [] for label in work}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CHAINRULE_CACHE"] = cache
        for checkout in {checkout for *_, checkout in work.values()}:
            measured("kept", 0, checkout)  # writes bytecode and machine code
        for _ in range(args.rounds):
            for label, job in work.items():
                rounds[label].append(measured(*job))
    made = {
        label: {key: figures(found, key) for key in found[0]}
        for label, found in rounds.items()
    }
    if args.json:
        print(json.dumps(made))
        return
    for label, row in made.items():
        size = work[label][1]
        for key, times in row.items():
            best, low, high = (times[k] * 1e3 for k in ("best", "p10", "p90"))
            each = f"   {best / size:7.3f} ms each" if size else ""
            spread = f"[{low:.0f} … {high:.0f}]"
            print(f"{label:16} {key:16} {best:8.1f} ms {spread:16}{each}")
        for key in row if f"{label}, base" in made else ():
            ratio = row[key]["best"] / made[f"{label}, base"][key]["best"]
            print(f"{label:16} {key:16} {ratio:8.2f} × base")


if __name__ == "__main__":
    main()
