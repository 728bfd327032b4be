"""A large CSV file: how soon a command shows life, and how much memory it takes.

    python benchmarks/large_table.py                    # 200 MB, a few minutes
    python benchmarks/large_table.py --megabytes 20 --json

The file has numbers, categories, dates and a few missing cells. ``chainrule new``,
``train`` (one epoch) and ``predict`` run in processes of their own. Measured are the
seconds until the first byte on standard error, the seconds in all and those of the
processor, and the largest resident memory of the process, in MB (10⁶ bytes).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

#: Rows that are made at a time.
BLOCK = 5_000
NUMBERS = [f"reading {i + 1}" for i in range(16)]
CITIES = [f"city {i + 1}" for i in range(300)]
COLOURS = ["red", "green", "blue", "grey"]


def make(path: Path, size: int) -> int:
    """Write a table of ``size`` bytes; returns how many rows it has.

    Eight blocks of rows come again and again, which is quick to write.
    """
    random = np.random.default_rng(0)
    blocks = ["".join(lines(random)) for _ in range(8)]
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join([*NUMBERS, "city", "colour", "day", "price"]) + "\n")
        while file.tell() < size:
            file.write(blocks[count % len(blocks)])
            count += 1
    return count * BLOCK


def lines(random: np.random.Generator) -> Iterator[str]:
    """The lines of a block of rows."""
    x = random.normal(size=(BLOCK, len(NUMBERS)))
    price = 100 + 10 * (x[:, 0] * x[:, 1] + np.maximum(x[:, 2], 0))
    cells = np.char.mod("%.6f", x)
    cells[random.random(x.shape) < 0.005] = ""
    days = np.datetime64("2020-01-01") + random.integers(0, 1500, BLOCK).astype("m8[D]")
    columns = [
        *cells.T,
        random.choice(CITIES, BLOCK),
        random.choice(COLOURS, BLOCK),
        days.astype(str),
        np.char.mod("%.2f", price),
    ]
    yield from (",".join(row) + "\n" for row in zip(*columns))


def measure(folder: Path, *args: str) -> dict[str, Any]:
    """Run a command of chainrule; times and memory."""
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "chainrule", *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    first, said = None, bytearray()
    with child.stderr as stderr:
        while part := os.read(stderr.fileno(), 1 << 16):
            first = first or time.perf_counter() - started
            said += part
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "first sign": first,
        "seconds": time.perf_counter() - started,
        "cpu seconds": usage.ru_utime + usage.ru_stime,
        "peak MB": usage.ru_maxrss * unit / 1e6,
        "exit code": child.returncode,
        "said": said.decode("utf-8", "replace")[-400:],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="large-") as place:
        folder = Path(place)
        with ProcessPoolExecutor(1) as pool:  # a child's peak counts its parent's size
            making = pool.submit(make, folder / "large.csv", args.megabytes * 10**6)
            rows = making.result()
        size = (folder / "large.csv").stat().st_size
        made: dict[str, Any] = {"rows": rows, "megabytes": size / 1e6}
        for name, command in {
            "new": ["new", "run.toml", "--data", "large.csv", "--target", "price"],
            "train": ["train", "run.toml", "--epochs", "1", "--out", "run"],
            "predict": ["predict", "run", "large.csv", "--out", "predicted.csv"],
        }.items():
            made[name] = measure(folder, *command)
    if args.json:
        print(json.dumps(made, indent=1))
        return
    print(f"{made['megabytes']:.0f} MB, {rows:,} rows")
    for name in ("new", "train", "predict"):
        row = made[name]
        first = "never" if row["first sign"] is None else f"{row['first sign']:.1f} s"
        print(
            f"  {name:8} first sign {first:>7}   {row['seconds']:6.1f} s "
            f"({row['cpu seconds']:.1f} s of processor)   "
            f"peak {row['peak MB']:,.0f} MB   exit code {row['exit code']}"
        )
        if row["exit code"]:
            print(f"    {row['said']}")


if __name__ == "__main__":
    main()
