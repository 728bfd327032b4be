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
from chainrule.text import tr, translated
from chainrule.text.numbers import width
from chainrule.version import __version__
from chainrule.viz.drawing import PAPER, figure, legible
from frameworks.peers import PEERS
from frameworks.rounds import told
from frameworks.workloads import ALL


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
    text = tr(
        "{machine} ({system}), cores: {cores}, threads at most: {threads}, "
        "rounds: {rounds}, {date}",
        **{key: value for key, value in head.items() if key != "versions"},
    )
    if head["load"] is not None:
        text += tr(", load {load}", load=f"{head['load']:.2f}")
    return f"{text}\n{versions}\n"


def block(row: dict[str, Any]) -> str:
    """One row in lines: each way's times, and the ratios."""
    lines = [tr("{name}: {what}", name=row["workload"], what=_title(row))]
    for way in row["ways"]:
        name = told(way["way"])
        line = (
            f"  {name}{' ' * (34 - width(name))} {_number(way['median']):>8} "
            f"{_unit(row)} [{_number(way['p10'])} … {_number(way['p90'])}]"
        )
        if "compiled" in way:
            seconds = f"{way['compiled']:.1f}"
            line += f"   {tr('compiled in {seconds} s', seconds=seconds)}"
        lines.append(line)
    for way, why in row["failed"].items():
        lines.append(f"  {tr('{name}: {what}', name=told(way), what=translated(why))}")
    for peer, ratio in row["ratios"].items():
        best = peer == row["fastest"]
        text = tr(
            "{peer} over ours: {ratio}", peer=PEERS[peer].title, ratio=_ratio(ratio)
        )
        lines.append(f"  {text}{tr(', the fastest peer') if best else ''}")
    for bar in row["bars"]:
        peer, reached = PEERS.get(bar["against"]), bar["reached"]
        said = {
            True: tr("reached"),
            False: tr("not reached"),
            None: tr("not measured"),
        }
        text = tr(
            "bar: {who} ≥ {least} ×, {said}",
            who=peer.title if peer else tr("fastest"),
            least=f"{bar['least']:g}",
            said=said[reached],
        )
        lines.append(f"  {text}")
    return "\n".join(lines) + "\n"


def _title(row: dict[str, Any]) -> str:
    """A row's title in the language in use; the row has it in English."""
    return ALL[row["workload"]].title()


def _unit(row: dict[str, Any]) -> str:
    units = {"µs/step": tr("µs/step"), "µs/call": tr("µs/call"), "s": tr("s")}
    return units[row["unit"]]


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
    head = tr("workload"), tr("ours"), tr("peers"), tr("fastest peer over ours")
    lines = [f"| {' | '.join(head)} | {tr('bar')} |", "|---|---|---|---|---|"]
    for row in rows:
        ours, best = row["ways"][0], {r["way"] for r in row["ratios"].values()}
        others = [w for w in row["ways"][1:] if w["way"] in best]
        peers = tr(", ").join(
            tr("{way} {median}", way=told(w["way"]), median=_number(w["median"]))
            for w in others
        )
        fastest = _ratio(row["ratios"][row["fastest"]]) if row["fastest"] else ""
        bars = tr("; ").join(f"≥ {bar['least']:g}" for bar in row["bars"])
        mine = f"{_number(ours['median'])} {_unit(row)}"
        cells = _title(row), mine, peers, fastest, bars
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Time against width and batch, a picture each group that was measured."""
    written = []
    for group in "width", "batch":
        points = [row for row in rows if row["group"] == group]
        if points:
            written.append(folder / f"{group}.svg")
            folder.mkdir(parents=True, exist_ok=True)
            with legible(tr("pictures")), figure(PAPER, 6, 4) as made:
                _draw(made.add_subplot(), group, points)
                made.savefig(written[-1], metadata={"Date": None})
    return written


def _draw(axes: Any, group: str, points: Sequence[dict[str, Any]]) -> None:
    """A line each peer, by its best way; a band between the percentiles."""
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
    across = tr("hidden units a layer") if group == "width" else tr("samples a batch")
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=tr("µs a step"))
    axes.set_xticks([row["x"] for row in points], [row["x"] for row in points])
    axes.minorticks_off()
    axes.legend()
