"""Twenty real tables: the command line's defaults beside scikit-learn's.

    python benchmarks/tables                      # all, five splits: an hour
    python benchmarks/tables --tables wine,iris --seeds 1 --processes 2
    python benchmarks/tables --trouble            # the same with trouble planted
    python benchmarks/tables --json > new.json    # for machines
    python benchmarks/tables --peer old.json      # scikit-learn's figures from there

For each table and seed a fifth of the rows is held out. Ours is what a new user gets:
``chainrule new``, ``train``, ``evaluate`` and ``predict`` with nothing but the file and
the target. The peer is ``MLPClassifier`` or ``MLPRegressor`` with its defaults behind
StandardScaler, OneHotEncoder and SimpleImputer; beside it the same with the targets
of regressions scaled. Scores are accuracy or R², worked out here from the predictions
for the held-out rows; a row without a prediction is a wrong one. Ranks are over the
mean scores, ties shared.

With ``--trouble`` the same files are written as other people's are: decimal commas,
currency signs, dates, ids, text among numbers. Each must end in a right model or in a
question that says what to do.
"""

import argparse
import collections
import contextlib
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import contest
import numpy as np
import trouble
from sources import GROUPS, TABLES, split, write

#: Those that trouble is planted into, unless others are named.
TROUBLED = ["penguins", "autompg", "gapminder"]
#: Scores closer than this are ties.
TIE = 0.0005


def compare(name: str, seed: int, with_peer: bool) -> dict[str, Any]:
    """One table and one split."""
    table = TABLES[name]
    train, held = split(table, seed)
    made: dict[str, Any] = {"table": name, "seed": seed, "task": table.task}
    with tempfile.TemporaryDirectory(prefix="tables-") as place:
        folder = Path(place)
        write(train, folder / "train.csv", table.style)
        write(held, folder / "held.csv", table.style)
        new = held.drop(columns=table.target)
        write(new, folder / "new.csv", table.style)
        session = contest.commands(
            folder, "train.csv", "held.csv", "new.csv", [table.target]
        )
    made |= {
        "ours": None,
        "ran": session.done,
        "failure": session.failure,
        "evaluate": session.measured,
        "seconds": session.seconds,
        "said": session.said,
    }
    if session.done:
        found = [session.predicted.get(str(row), (None,))[0] for row in held.index]
        made["ours"] = contest.score(table, train, held, found)
        made["without"] = found.count(None)
    if with_peer:
        started = time.perf_counter()
        others = contest.peer(table, train, held).tolist()
        made["peer"] = contest.score(table, train, held, others)
        made["peer seconds"] = time.perf_counter() - started
        if not table.classifies:
            others = contest.peer(table, train, held, scaled=True).tolist()
        made["scaled peer"] = contest.score(table, train, held, others)
    return made


def suffer(name: str, seed: int, kind: str) -> dict[str, Any] | None:
    """One table with one kind of trouble; None where it cannot have it."""
    table = TABLES[name]
    train, held = split(table, seed)
    case = trouble.case(table, train, held, seed)
    made: dict[str, Any] = {"table": name, "seed": seed, "trouble": kind}
    try:
        trouble.plant(kind, case)
    except trouble.UnfitError:
        return None
    with tempfile.TemporaryDirectory(prefix="tables-") as place:
        files = case.write(Path(place))
        session = contest.commands(Path(place), *files, case.targets, case.edit)
    score = None
    if session.done:
        nothing = (None,) * max(1, len(case.targets))
        found = [session.predicted.get(str(row), nothing) for row in held.index]
        score = contest.score(table, train, held, [row[0] for row in found])
    return made | {
        "outcome": trouble.outcome(case, session),
        "score": score,
        "peer": clean_peer(name, seed),
        "evaluate": session.measured,
        "failure": session.failure,
        "said": session.said,
        "unsaid": bool(case.column and case.column not in session.said),
    }


@functools.cache
def clean_peer(name: str, seed: int) -> float:
    """The peer's score on a table without trouble."""
    table = TABLES[name]
    train, held = split(table, seed)
    made = contest.peer(table, train, held, scaled=not table.classifies)
    return contest.score(table, train, held, made.tolist())


def ranks(scores: dict[str, float | None]) -> dict[str, float]:
    """Ranks of some scores, the best 1; ties share, what failed is last.

    >>> ranks({"ours": 0.9, "peer": 0.8}), ranks({"ours": 0.9, "peer": 0.9})
    ({'ours': 1.0, 'peer': 2.0}, {'ours': 1.5, 'peer': 1.5})
    """
    values = {name: -np.inf if s is None else s for name, s in scores.items()}

    def rank(mine: float) -> float:
        better = sum(other > mine + TIE for other in values.values())
        equal = sum(
            abs(other - mine) <= TIE or other == mine for other in values.values()
        )
        return better + (equal + 1) / 2

    return {name: rank(value) for name, value in values.items()}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean scores of each table, and mean ranks over all."""
    tables: dict[str, Any] = {}
    for name in dict.fromkeys(row["table"] for row in rows):
        mine = [row for row in rows if row["table"] == name]
        ours = [row["ours"] for row in mine]
        failed = [row["failure"] for row in mine if not row["ran"]]
        differ = [
            row
            for row in mine
            if row["ran"] and not row["without"]
            if abs(row["ours"] - row["evaluate"]) > 1e-3
        ]
        tables[name] = {
            "task": mine[0]["task"],
            "ours": None if failed else float(np.mean(ours)),
            "peer": float(np.mean([row["peer"] for row in mine])),
            "scaled peer": float(np.mean([row["scaled peer"] for row in mine])),
            "spread": float(np.std([(row["ours"] or 0) - row["peer"] for row in mine])),
            "ran": f"{len(mine) - len(failed)}/{len(mine)}",
            "seconds": float(np.mean([row["seconds"] for row in mine])),
            "peer seconds": float(np.mean([row["peer seconds"] for row in mine])),
            "without": sum(row.get("without", 0) for row in mine),
            "evaluate differs": len(differ),
            "failure": failed[0] if failed else "",
        }
    return {
        "tables": tables,
        "mean rank": mean_ranks(tables, "peer"),
        "mean rank, targets scaled": mean_ranks(tables, "scaled peer"),
        "rows": rows,
    }


def mean_ranks(tables: dict[str, Any], peer: str) -> dict[str, float]:
    """Mean ranks over all tables of ours and of a peer."""
    names = ("ours", peer)
    made = [ranks({name: row[name] for name in names}) for row in tables.values()]
    return {name: float(np.mean([row[name] for row in made])) for name in names}


def printed(made: dict[str, Any]) -> str:
    """The comparison as text."""
    lines = [
        f"{'table':14} {'score':>8} {'ours':>8} {'peer':>8} {'scaled':>8} "
        f"{'ours − peer':>18} {'ran':>5} {'s':>6} {'peer s':>6}"
    ]
    for name, row in made["tables"].items():
        failed = row["ours"] is None
        ours = "failed" if failed else f"{row['ours']:.4f}"
        gap = (
            "" if failed else f"{row['ours'] - row['peer']:+.4f} ± {row['spread']:.4f}"
        )
        kind = "accuracy" if row["task"] == "classification" else "R²"
        lines.append(
            f"{name:14} {kind:>8} {ours:>8} {row['peer']:>8.4f} "
            f"{row['scaled peer']:>8.4f} {gap:>18} {row['ran']:>5} "
            f"{row['seconds']:>6.1f} {row['peer seconds']:>6.1f}"
        )
        for key, text in (
            ("without", "rows without a prediction"),
            ("evaluate differs", "splits where evaluate gives another score"),
        ):
            lines += [f"{'':14} {row[key]} {text}"] if row[key] else []
        lines += [f"{'':14} {row['failure']}"] if row["failure"] else []
    for key in ("mean rank", "mean rank, targets scaled"):
        both = ", ".join(f"{name} {value:.3f}" for name, value in made[key].items())
        lines.append(f"{key}: {both}")
    return "\n".join(lines)


def verdicts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What came of each kind of trouble in each table."""
    clean = {
        row["table"]: max(row["score"] or -np.inf, row["peer"])
        for row in rows
        if row["trouble"] == "none"
    }
    for row in rows:
        row["outcome"] = trouble.judged(row, clean.get(row["table"], row["peer"]))
    counts = collections.Counter(row["outcome"] for row in rows)
    return {"outcomes": dict(counts), "rows": rows}


def printed_verdicts(made: dict[str, Any]) -> str:
    """The outcomes as text: a row a kind, a column a table; * is right but not said."""
    rows = made["rows"]
    tables = list(dict.fromkeys(row["table"] for row in rows))
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        mark = "*" if row["outcome"] == "right" and row["unsaid"] else ""
        cells.setdefault(row["trouble"], {})[row["table"]] = row["outcome"] + mark
    lines = [f"{'trouble':18}" + "".join(f"{name:>12}" for name in tables)]
    for kind in [kind for kind in trouble.KINDS if kind in cells]:
        own = cells[kind]
        lines.append(f"{kind:18}" + "".join(f"{own.get(n, '–'):>12}" for n in tables))
    lines += [f"{count:4} {name}" for name, count in made["outcomes"].items()]
    for row in rows:
        if row["outcome"] != "right":
            score = "" if row["score"] is None else f" (score {row['score']:.3f})"
            lines.append(f"{row['table']}, {row['trouble']}: {row['outcome']}{score}")
            lines += [f"    {row['failure']}"] if row["failure"] else []
    return "\n".join(lines)


def known(path: Path | None) -> dict[tuple[str, int], dict[str, Any]]:
    """The peer's figures from an earlier result."""
    rows = json.loads(path.read_text())["rows"] if path else []
    return {(row["table"], row["seed"]): row for row in rows}


def results(
    jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]], processes: int
) -> Iterator[Any]:
    """What all jobs give, in order, with a word on standard error about each."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(processes))
        for number, (future, job) in enumerate(
            [(pool.submit(job[0], *job[1]), job) for job in jobs], 1
        ):
            made = future.result()
            print(f"{number}/{len(jobs)} {job[1]}", file=sys.stderr, flush=True)
            yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tables", help="names or a group, by commas", default="")
    parser.add_argument("--seeds", type=int, help="splits a table")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--trouble", action="store_true", help="plant trouble")
    parser.add_argument("--kinds", default="", help="of trouble, by semicolons")
    parser.add_argument("--peer", type=Path, help="an earlier result")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    usual = ",".join(TROUBLED) if args.trouble else "twenty"
    wanted = (args.tables or usual).split(",")
    names = [name for item in wanted for name in GROUPS.get(item, [item])]
    kinds = args.kinds.split(";") if args.kinds else list(trouble.KINDS)
    unknown = (set(names) - set(TABLES)) | (set(kinds) - set(trouble.KINDS))
    if unknown:
        known_names = ", ".join([*GROUPS, *TABLES, *trouble.KINDS])
        parser.error(f"no {sorted(unknown)}; there are {known_names}")
    if args.trouble:
        tried = [
            (n, s, k) for n in names for s in range(args.seeds or 1) for k in kinds
        ]
        jobs = [(suffer, job) for job in tried]
        rows = [row for row in results(jobs, args.processes) if row]
        made, text = verdicts(rows), printed_verdicts
    else:
        old = known(args.peer)
        tried = [
            (n, s)
            for n in names
            for s in range(5 if args.seeds is None else args.seeds)
        ]
        jobs = [(compare, (*job, job not in old)) for job in tried]
        rows = []
        for row in results(jobs, args.processes):
            before = old.get((row["table"], row["seed"]), {})
            rows.append({k: v for k, v in before.items() if "peer" in k} | row)
        made, text = summary(rows), printed
    print(json.dumps(made, indent=1) if args.json else text(made))


if __name__ == "__main__":
    main()
