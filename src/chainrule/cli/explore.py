"""``chainrule explore``: the book's questions as small experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.text import _, tr
from chainrule.text.tables import text_table

EXAMPLES = """\b
Examples:
  chainrule explore
  chainrule explore learning-rate
  chainrule explore vanishing --lang zh-TW --out pictures
  chainrule explore depth --quick --seed 1
  chainrule explore convergence --json
  chainrule explore convergence --set rate=0.3 --set kappa=10
  chainrule explore clinic-1
  chainrule explore clinic-1 --ask gradients --ask weights
  chainrule explore clinic-1 --answer a
"""


@cli.command(epilog=EXAMPLES, short_help="Ask the textbook's questions by experiment.")
@click.argument("name", required=False)
@speaking.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    default=0,
    help="Of everything that is drawn.  [default: 0]",
)
@speaking.option(
    "--quick", is_flag=True, help="Less of it, where all takes more than five seconds."
)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for its picture and numbers.  [default: runs/explore/NAME]",
)
@speaking.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of an experiment: a parameter's value; more than once for more of them.",
)
@speaking.option(
    "--ask",
    "asks",
    multiple=True,
    metavar="WHAT",
    help="Of a clinic: show this of the patient; more than once for more of it.",
)
@speaking.option(
    "--answer",
    metavar="LETTER",
    help="Of a clinic: what is wrong; the doctor's view and the cured run follow.",
)
@command
def explore(
    name: str | None,
    seed: int,
    quick: bool,
    out: Path | None,
    settings: tuple[str, ...],
    asks: tuple[str, ...],
    answer: str | None,
    as_json: bool,
) -> int:
    """Run the textbook experiment or the clinic NAME, or list all of them.

    Each asks a question of the textbook, measures, and answers with what was found:
    where the book or theory expects something else, that stands beside it. It leaves
    NAME.png (with matplotlib installed) and NAME.json in its folder.

    A clinic is a network that trains badly: diagnose it yourself first. It shows what
    is asked for, and after the answer what the doctor says, and the cured run.
    """
    from chainrule.book import clinics, experiments

    if name is None:
        outlines, patients = experiments.experiments(), clinics.clinics()
        found = {"experiments": outlines, "clinics": patients}
        tell(found, as_json, _listed(outlines, patients))
        return 0
    if name in clinics.names():
        if settings:
            raise click.UsageError(tr("--set is of experiments."))
        return _clinic(name, seed, quick, out, asks, answer, as_json)
    if asks or answer:
        raise click.UsageError(tr("--ask and --answer are of clinics."))
    given = dict(map(_assigned, settings))
    parameters = experiments.find(name).PARAMETERS
    values: dict[str, Any] = experiments.checked(parameters, given)
    experiment = experiments.run(name, seed=seed, quick=quick, **values)
    written = experiment.save(out or Path("runs", "explore", name))
    tell(
        {**experiment.plain(), "files": [str(file) for file in written]},
        as_json,
        str(experiment),
    )
    if not as_json:
        _say_written(written)
    return 0


def _assigned(text: str) -> tuple[str, str]:
    """Return name and value of ``NAME=VALUE``."""
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(tr("--set takes NAME=VALUE, not {text}.", text=text))
    return name.strip(), value.strip()


def _clinic(
    name: str,
    seed: int,
    quick: bool,
    out: Path | None,
    asks: Sequence[str],
    answer: str | None,
    as_json: bool,
) -> int:
    """Show a patient, what is asked of it, or, after an answer, what it is."""
    from chainrule.book import clinics

    for ask in asks:
        clinics.checked_ask(ask)
    if answer is not None:
        clinics.checked_answer(answer)
    visit = clinics.run(name, seed=seed, quick=quick)
    folder = out or Path("runs", "explore", name)
    written = visit.save(folder, answered=answer is not None)
    parts = [visit.complaint()] if not asks and answer is None else []
    parts += [visit.shown(ask) for ask in asks]
    parts += [visit.answered(answer)] if answer is not None else []
    told = visit.plain(answered=answer is not None)
    told |= {"files": [str(file) for file in written]}
    tell(told, as_json, "\n\n".join(parts))
    if not as_json:
        _say_written(written)
    return 0


def _say_written(written: Sequence[Path]) -> None:
    say("\n" + tr("Written: {files}", files=tr(", ").join(map(str, written))))
    if len(written) == 1:
        say(tr("There is no picture: {fix}", fix=_("pip install 'chainrule[plot]'")))


def _listed(
    outlines: Sequence[dict[str, Any]], patients: Sequence[dict[str, Any]]
) -> str:
    lines: list[str] = []
    for heading, items in ((tr("experiment"), outlines), (tr("clinic"), patients)):
        rows = [
            (item["name"], item["title"], tr(", ").join(item["sections"]))
            for item in items
        ]
        head = heading, tr("what it is about"), tr("sections")
        lines += [line.rstrip() for line in text_table([head, *rows], left=3)]
        lines.append("")
    return "\n".join([*lines, tr("Do one with: chainrule explore NAME")])
