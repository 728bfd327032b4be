"""A class of thirty: the time to make and to mark it, and which slips are named.

    python benchmarks/classroom.py --seeds 4

Students of ``tests/book/classroom/simulated.py`` work with NumPy alone: every seventh
only rounds, every seventh copies one number wrong, each of the others makes one slip,
dealt out evenly over kinds and quantities. Six networks with four losses, a class a
network and seed. Times are by the processor's clock; files are written to the disk.

A slip is *named* where the report has it among the slips of the first wrong answer, and
all that follows has its point; *alone*, where it names no other one that gives the same
numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chainrule.book.classroom import classroom, mark_class
from tests.book.classroom.simulated import CLASSES, Tally, hand_in, tally

MANY = 30


def one_class(which: int, seed: int, total: Tally) -> tuple[float, float]:
    """Make and mark a class; return the seconds of both."""
    spec, loss, samples = CLASSES[which]
    names = [f"Student {i}" for i in range(1, MANY + 1)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "class"
        start = time.process_time()
        classroom(spec, names, loss, seed=1000 * seed, samples=samples).save(folder)
        made = time.process_time() - start
        planted = hand_in(folder, np.random.default_rng(seed))
        start = time.process_time()
        report = mark_class(folder)
        report.save(folder)
        marked = time.process_time() - start
        tally(report, planted, total)
    return made, marked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--classes", type=int, default=len(CLASSES))
    options = parser.parse_args()
    total, seconds = Tally(), list[float]()
    for which in range(options.classes):
        for seed in range(options.seeds):
            made, marked = one_class(which, seed, total)
            seconds.append(made + marked)
            print(*CLASSES[which], f"made {made:.2f} s, marked {marked:.2f} s")
    result = {
        "seconds": {"median": statistics.median(seconds), "most": max(seconds)},
        "planted": sum(total.planted.values()),
        "named": sum(total.named.values()),
        "alone": sum(total.alone.values()),
    }
    for slip, many in sorted(total.planted.items()):
        print(f"{slip:24} {many:5} {total.named[slip]:5} {total.alone[slip]:5}")
    print(*total.missed, sep="\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
