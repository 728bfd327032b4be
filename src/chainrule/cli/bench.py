"""``chainrule bench``: speed compared with other frameworks."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

import chainrule
from chainrule import recipes
from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.cli.train import is_file
from chainrule.engines import engine_names, resolve_engine
from chainrule.errors import ArgumentError, visible_lines
from chainrule.text import _, tr

EXAMPLES = """\b
Examples:
  chainrule bench                              # the whole table, an hour or more
  chainrule bench textbook-32 lenet --rounds 7
  chainrule bench gpt --peers torch --json
  chainrule bench gpt --engine xla --peers jax # XLA by way of us, and by hand
  chainrule bench width batch --plot pictures  # time against width and batch
  chainrule bench --profile mnist              # where a training step's time goes
  chainrule bench --profile houses.toml --threads 1
"""


@cli.command(
    epilog=EXAMPLES, short_help="Measure training, beside others or step by step."
)
@click.argument("workloads", nargs=-1)
@speaking.option(
    "--profile",
    "target",
    metavar="RECIPE|FILE.toml",
    help="Measure the parts of its training step instead.",
)
@speaking.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Samples of that step, instead of its own.",
)
@speaking.option("--peers", help="Of jax, torch, keras, sklearn, onnxruntime: a,b,c.")
@speaking.option(
    "--rounds", type=click.IntRange(1), default=21, help="Turns of each (21)."
)
@speaking.option(
    "--threads", type=click.IntRange(1), help="At most so many for anybody."
)
@speaking.option(
    "--engine",
    type=click.Choice(engine_names()),
    help="Chainrule's engine (auto: native, where it can run).",
)
@speaking.option(
    "--plot",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw the groups 'width' and 'batch' into this folder.",
)
@command
def bench(
    workloads: tuple[str, ...],
    target: str | None,
    batch_size: int | None,
    peers: str | None,
    rounds: int,
    threads: int | None,
    engine: str | None,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Compare the speed of Chainrule and other frameworks on the same tasks.

    All start from the same weights, read the same batches in the same precision, and
    must find the same losses before they are timed; each gets the best settings known
    for it. A ratio is the fastest peer's median over ours, with the 10th and 90th
    percentile of the rounds.

    WORKLOADS are textbook-32, textbook-128, textbook-512, normed, deep, tabular, large,
    lenet, cnn, resnet, gpt, lstm, gru, inference, process; all of them by default. The
    groups width and batch are for plots.

    --engine measures another engine of Chainrule. What it takes to compile stands
    apart; the losses of a turn are fetched before its time is read.

    With --profile it shows how one training step is planned and what each part takes:
    what is fused into one loop, which threads do it and in which phase, bytes, FLOPs,
    predicted and measured time, and the share of the roof: of what this machine
    reaches at most, which is measured too.

    The table needs a checkout of the source. The peers come with
    pip install -e '.[bench]', best in an environment of its own; one that is not
    installed is left out.
    """
    from chainrule.engines.threads import available_cores

    if target is not None:
        _check_alone(workloads, peers, engine, folder)
        return _profile(target, batch_size, threads, as_json)
    if batch_size is not None:
        raise click.UsageError(tr("--batch-size goes with --profile."))
    chosen = resolve_engine(engine or "auto")
    ours = "" if chosen == resolve_engine("auto") else chosen
    report, turns = _harness("report"), _harness("rounds")
    names = turns.chosen(workloads)
    taking, missing = turns.taking_part(peers.split(",") if peers else None)
    for title, packages in missing.items():
        no = tr(", ").join(packages)
        say(
            tr(
                "{title} is left out: no {packages} here. Install the peers with: "
                "pip install -e '.[bench]'",
                title=title,
                packages=no,
            )
        )
    threads = threads or available_cores()
    head = {**report.header(threads, rounds), "engine": chosen}
    if not as_json:
        click.echo(visible_lines(report.heading(head)))
    rows: list[dict[str, Any]] = []
    for name in names:
        rows.append(turns.measure(name, taking, threads, rounds, say, ours))
        if not as_json:
            click.echo(visible_lines(report.block(rows[-1])))
    pictures = report.plot(rows, folder) if folder else []
    result = {**head, "rows": rows, "missing": missing, "pictures": pictures}
    tell(result, as_json, "\n".join([report.markdown(rows), *map(str, pictures)]))
    return 0


def _check_alone(workloads: tuple[str, ...], *options: Any) -> None:
    """Refuse a framework comparison's options together with ``--profile``."""
    if workloads or any(option is not None for option in options):
        raise click.UsageError(
            tr(
                "--profile measures a recipe or a file alone: leave workloads, "
                "--peers, --engine and --plot away."
            )
        )


def _profile(
    target: str, batch_size: int | None, threads: int | None, as_json: bool
) -> int:
    """Measure the parts of a training step (``bench --profile``) on training data."""
    from chainrule.runs import FromRecipe, load

    options = {"batch_size": batch_size, "threads": threads}
    if is_file(target):
        origin = load(Path(target), options)
    elif recipes.kind(target) == "study":
        raise ArgumentError(
            _(
                "The recipe {target!r} is a study: it has no one step to measure.",
                target=target,
            ),
            expected=_("a recipe that trains, or a TOML file"),
            got=target,
            fix=_("chainrule bench --profile mnist"),
        )
    else:
        origin = FromRecipe.of(target, options)
    parts = origin.parts()
    trainer = origin.trainer(parts)
    parts = parts.for_loss(trainer.loss)
    size = origin.fit_options(parts.train)["batch_size"]
    profile = trainer.profile(parts.train, batch_size=size)
    tell({"profile": target, **profile.plain()}, as_json, str(profile))
    return 0


def _harness(module: str) -> Any:
    """Import a module of ``benchmarks/frameworks``, which only a clone contains."""
    folder = Path(chainrule.__file__).resolve().parents[2] / "benchmarks"
    if not (folder / "frameworks").is_dir():
        raise ArgumentError(
            _("What runs the other frameworks is not part of the installed package."),
            expected=_("a checkout of the source, with its folder benchmarks"),
            got=_("no {folder}", folder=folder),
            fix=_("pip install -e '.[bench]' in a checkout, and run it from there"),
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return importlib.import_module(f"frameworks.{module}")
