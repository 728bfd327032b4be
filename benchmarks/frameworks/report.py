"""What was measured as text, as a table for a page, and as plots."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from chainrule.engines.threads import available_cores
from chainrule.version import __version__
from frameworks.peers import PEERS


def header(threads: int, rounds: int) -> dict[str, Any]:
    """Where, with what and when: a figure without it tells nothing."""
    packages = sorted({"numpy"}.union(*(p.packages for p in PEERS.values())))
    versions = {"chainrule": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "machine": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": available_cores(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "threads": threads,
        "rounds": rounds,
        "date": time.strftime("%Y-%m-%d"),
        "versions": versions,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def heading(head: dict[str, Any]) -> str:
    """The header in lines."""
    versions = ", ".join(f"{k} {v}" for k, v in head["versions"].items())
    return (
        f"{head['machine']}, {head['cores']} cores ({head['system']}), up to "
        f"{head['threads']} threads, {head['rounds']} rounds, {head['date']}, load "
        f"{head['load']}\n{versions}\n"
    )


def block(row: dict[str, Any]) -> str:
    """One row in lines: each way's times, and the ratios."""
    lines = [f"{row['workload']}: {row['title']}"]
    for way in row["ways"]:
        made = f"   compiled in {way['compiled']:.1f} s" if "compiled" in way else ""
        lines.append(
            f"  {way['way']:34} {_number(way['median']):>8} {row['unit']} "
            f"[{_number(way['p10'])} … {_number(way['p90'])}]{made}"
        )
    lines += [f"  {way}: {why}" for way, why in row["failed"].items()]
    for peer, ratio in row["ratios"].items():
        mark = ", the fastest peer" if peer == row["fastest"] else ""
        lines.append(f"  {PEERS[peer].title} over ours: {_ratio(ratio)}{mark}")
    for bar in row["bars"]:
        said = {True: "reached", False: "not reached", None: "not measured"}
        who = PEERS[bar["against"]].title if bar["against"] in PEERS else "fastest"
        lines.append(f"  bar: {who} ≥ {bar['least']:g} ×, {said[bar['reached']]}")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Three digits that count.

    >>> _number(8.1234), _number(104.7), _number(20400.0)
    ('8.12', '105', '20,400')
    """
    return f"{float(f'{value:.3g}'):,.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _ratio(ratio: dict[str, Any]) -> str:
    return f"{ratio['median']:.2f} × [{ratio['p10']:.2f} … {ratio['p90']:.2f}]"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table for a page."""
    lines = ["| workload | ours | peers | fastest peer over ours | bar |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        ours, best = row["ways"][0], {r["way"] for r in row["ratios"].values()}
        others = [w for w in row["ways"][1:] if w["way"] in best]
        peers = ", ".join(f"{w['way']} {_number(w['median'])}" for w in others)
        fastest = _ratio(row["ratios"][row["fastest"]]) if row["fastest"] else ""
        bars = "; ".join(f"≥ {bar['least']:g}" for bar in row["bars"])
        unit = row["unit"]
        cells = row["title"], f"{_number(ours['median'])} {unit}", peers, fastest, bars
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Time against width and batch, a picture each group that was measured."""
    from matplotlib.figure import Figure

    written = []
    for group, unit in ("width", "hidden units a layer"), ("batch", "samples a batch"):
        points = [row for row in rows if row["group"] == group]
        if not points:
            continue
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        lines: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for row in points:
            best = {r["way"] for r in row["ratios"].values()}
            for number, way in enumerate(row["ways"]):
                if number == 0 or way["way"] in best:
                    lines.setdefault(way["peer"], []).append((row["x"], way))
        for peer, found in lines.items():
            x, ways = zip(*found)
            low, middle, high = (
                [way[key] for way in ways] for key in ("p10", "median", "p90")
            )
            (line,) = axes.plot(x, middle, "o-", label=PEERS[peer].title)
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2)
        axes.set(xscale="log", yscale="log", xlabel=unit, ylabel="µs a step")
        axes.set_xticks([row["x"] for row in points], [row["x"] for row in points])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
        written.append(folder / f"{group}.svg")
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(written[-1], metadata={"Date": None})
    return written
