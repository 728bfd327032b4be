"""Side by side with others: ratios with their spread.

    python benchmarks/run.py                 # every row, a few minutes
    python benchmarks/run.py numpy-32        # one row
    python benchmarks/run.py programs        # the rows of benchmarks/programs.py
    python benchmarks/run.py --json          # for machines

Whole workloads beside other frameworks are what ``chainrule bench`` measures.

Each row runs in a process of its own. Within it, ours and the peer take turns, round
after round, from the same weights on the same batches in the same precision with the
same number of threads; each round gives one ratio. Printed are the median of the
ratios and, in brackets, their 10th and 90th percentile. A machine that does other work
at the same time shows as a wide bracket: then the figures tell little, but for those of
one thread by the processor's clock (``--threads 1 --clock cpu``), which does not count
the time of others.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from programs import PROGRAMS, program_row

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = time.perf_counter
REST = 0.1  # seconds between turns: other libraries' threads spin on for a while


def job(batch: int, steps: int) -> tuple:
    """Images, labels, batches and initial weights of one row."""
    from ours import network

    import chainrule as cr

    train, _ = cr.data.mnist()
    x, y = np.ascontiguousarray(train.x.stored), train.y
    cr.manual_seed(0)
    rows = np.random.default_rng(0).permutation(len(x))
    order = np.resize(rows, (steps, batch)).astype(np.int32)
    return x, y, order, network().state_dict()


def turns(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int, steps: int
) -> dict:
    """Times of both, in turns, in µs a step."""
    ours(), peer()
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        pair = []
        for run in (ours, peer):
            time.sleep(REST)
            started = clock()
            run()
            pair.append((clock() - started) / steps * 1e6)
        times.append((pair[0], pair[1]))
    ours_us, peer_us = np.array(times).T
    return {"ours": ours_us.tolist(), "peer": peer_us.tolist(), "unit": "µs/step"}


def numpy_row(batch: int, threads: int, rounds: int) -> dict:
    """Our NumPy engine against the loop written by hand, at training."""
    from ours import Ours
    from peers.numpy_loop import Peer

    steps = max(50, 6400 // batch)
    x, y, order, weights = job(batch, steps)
    mine = Ours(x, y, weights, threads)
    other = Peer(x, y, batch, weights, threads)
    first = np.asarray(mine.run(order)), np.asarray(other.run(order))
    worst = float(np.max(np.abs(first[0] - first[1]) / first[1]))
    assert worst < 1e-3, f"the losses of the two differ by {worst}: not the same job"
    made = turns(lambda: mine.run(order), lambda: other.run(order), rounds, steps)
    return made | {"names": [mine.name, other.name]}


def eager_row(threads: int, rounds: int) -> dict:
    """Eager forward and backward pass at B = 32 against PyTorch's."""
    import torch
    from ours import Eager
    from peers.torch_eager import Peer

    import chainrule as cr

    torch.set_num_threads(threads)
    x, y, order, weights = job(32, 1)
    rows = x[order[0]] * np.float32(1 / 255)
    labels = y[order[0]]
    mine, other = Eager(weights), Peer(weights)
    a = cr.tensor(rows), cr.tensor(labels)
    b = torch.from_numpy(rows), torch.from_numpy(labels.astype(np.int64))
    count = 50

    def ours() -> None:
        for _ in range(count):
            mine.forward_backward(*a)

    def peer() -> None:
        for _ in range(count):
            other.forward_backward(*b)

    made = turns(ours, peer, rounds, count)
    return made | {"names": [mine.name, "PyTorch eager"]}


def import_row(threads: int, rounds: int) -> dict:
    """``import chainrule`` against ``import numpy``, in fresh processes, in ms.

    Both from bytecode, which pip writes as it installs and an editable checkout at its
    first import.
    """
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def seconds(module: str) -> float:
        code = (
            "import time; t = time.perf_counter(); "
            f"import {module}; print(time.perf_counter() - t)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
        return float(done.stdout)

    seconds("chainrule"), seconds("numpy")
    pairs = [(seconds("chainrule"), seconds("numpy")) for _ in range(rounds)]
    ours, peer = (np.array(pairs) * 1e3).T
    names = ["import chainrule", "import numpy"]
    return {
        "ours": ours.tolist(),
        "peer": peer.tolist(),
        "unit": "ms",
        "names": names,
    }


#: row → (what it runs, what the figure is, how ratio and bar read)
ROWS = {
    "numpy-32": (
        lambda t, r: numpy_row(32, t, r),
        "training, B = 32: the NumPy engine over a NumPy loop by hand",
        "ours/peer",
        "≤ 1.2",
    ),
    "numpy-128": (
        lambda t, r: numpy_row(128, t, r),
        "training, B = 128: the NumPy engine over a NumPy loop by hand",
        "ours/peer",
        "≤ 1.2",
    ),
    "eager": (
        eager_row,
        "forward + backward, B = 32: eager tensors over PyTorch eager",
        "ours/peer",
        "≤ 2",
    ),
    "import": (
        import_row,
        "import chainrule − import numpy",
        "difference",
        "≤ 60 ms",
    ),
} | {
    name: (
        lambda t, r, name=name: program_row(name, t, r, turns),
        f"examples/{name}.py, a step: PyTorch eager over the native engine",
        "peer/ours",
        bar,
    )
    for name, (_, bar) in PROGRAMS.items()
}
#: Names for several rows.
GROUPS = {"programs": list(PROGRAMS)}


def figures(made: dict, kind: str) -> np.ndarray:
    """One figure a round."""
    ours, peer = np.array(made["ours"]), np.array(made["peer"])
    if kind == "difference":
        return ours - peer
    return ours / peer if kind == "ours/peer" else peer / ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; default all")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # within a row's own process
    args = parser.parse_args()
    if args.row:
        global clock
        clock = CLOCKS[args.clock]
        run = ROWS[args.row][0]
        print(json.dumps(run(args.threads, args.rounds)))
        return
    rows = [row for name in args.rows for row in GROUPS.get(name, [name])]
    unknown = set(rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {sorted(unknown)}; there are {', '.join(ROWS)}")
    collected = {}
    env = os.environ | {
        name: str(args.threads)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    }
    for row in rows or ROWS:
        _, title, kind, bar = ROWS[row]
        command = [sys.executable, __file__, "--row", row]
        command += ["--threads", str(args.threads), "--rounds", str(args.rounds)]
        command += ["--clock", args.clock]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        if done.returncode:
            sys.exit(f"{row} failed:\n{done.stderr}")
        made = json.loads(done.stdout.splitlines()[-1])
        values = figures(made, kind)
        low, middle, high = np.percentile(values, [10, 50, 90])
        unit = " ms" if kind == "difference" else " ×"
        ours, peer = np.median(made["ours"]), np.median(made["peer"])
        collected[row] = {
            "title": title,
            "figure": kind,
            "median": middle,
            "p10": low,
            "p90": high,
            "bar": bar,
            "ours": ours,
            "peer": peer,
            "unit": made["unit"],
            "threads": args.threads,
            "clock": args.clock,
        }
        if not args.json:
            print(title)
            print(
                f"  {middle:.2f}{unit} [{low:.2f} … {high:.2f}]"
                + (f"   bar {bar}" if bar else "")
            )
            a, b = made["names"]
            print(f"  {a} {ours:.0f}, {b} {peer:.0f} {made['unit']} (medians)\n")
    if args.json:
        print(json.dumps(collected, indent=2))


if __name__ == "__main__":
    main()
