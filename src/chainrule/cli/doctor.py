"""``chainrule doctor``: what is wrong with a training, and what helps."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, tell
from chainrule.text import _, tr, translated
from chainrule.text.tables import wrapped
from chainrule.util import atomic_files

EXAMPLES = """\b
Examples:
  chainrule doctor mnist
  chainrule doctor gan
  chainrule doctor houses.toml --fix
  chainrule doctor runs/houses --html diagnosis.html
  chainrule doctor houses.toml --json
  chainrule doctor houses.toml --save diagnosis.json
  chainrule doctor diagnosis.json
  chainrule doctor --list
"""
#: Columns of the text of ``--list``.
WIDE = 78


@cli.command(epilog=EXAMPLES, short_help="Say what is wrong with a training.")
@click.argument("target", metavar="FILE|RECIPE|RUN", required=False)
@speaking.option(
    "--fix", "fixing", is_flag=True, help="Try the proposed changes, on copies."
)
@speaking.option(
    "--html",
    type=click.Path(path_type=Path),
    help="Write the diagnosis as a page to this file.",
)
@speaking.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Write the diagnosis as one file to hand to somebody else.",
)
@speaking.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="The budget; it is turned into numbers of steps.  [default: 10]",
)
@speaking.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads of the native engine; results do not depend on it.",
)
@speaking.option(
    "--full", is_flag=True, help="Run a study at its full settings, not its quick ones."
)
@speaking.option(
    "--stages",
    type=click.IntRange(1),
    help="Stages of a study that are examined.  [default: 3]",
)
@speaking.option("--list", "listing", is_flag=True, help="List all symptoms.")
@command
def doctor(
    target: str | None,
    fixing: bool,
    html: Path | None,
    save: Path | None,
    seconds: float | None,
    threads: int | None,
    full: bool,
    stages: int | None,
    listing: bool,
    as_json: bool,
) -> int:
    """Examine a training and name what is wrong, by which numbers, and what helps.

    The data, the network's graph, the initial weights and a trial run are looked at,
    and what is suspected is tried on copies. Nothing of yours is changed. The same seed
    gives the same diagnosis.

    The target is a run file, the name of a recipe, the directory of a run, or a
    checkpoint; or a diagnosis that --save wrote. A recipe with several networks is run
    in its quick form: each Trainer is examined before it is trained, and of loops that
    have no single loss, such as a GAN's, weights and listed losses are looked at.
    """
    if listing:
        _list(as_json)
        return 0
    if target is None:
        raise click.MissingParameter(
            param_type="argument", param_hint="FILE|RECIPE|RUN"
        )
    from chainrule.runs import diagnosing

    diagnosis = diagnosing.diagnosed(
        target, seconds=seconds, threads=threads, full=full, stages=stages
    )
    if fixing and not diagnosis.interrupted:
        diagnosis.fix()
    if html is not None:
        atomic_files.replace(html, diagnosis.to_html().encode(), _("page"))
    if save is not None:
        diagnosis.save(save)
    tell(diagnosis.to_dict(), as_json, str(diagnosis))
    return 130 if diagnosis.interrupted else 0


def _list(as_json: bool) -> None:
    """Print all symptoms: how each looks, why, what helps, and where to read on."""
    from chainrule.doctor import labels, registered

    lines: list[str] = []
    for symptom in registered():
        lines.append(f"{symptom.code} ({labels.component(symptom.component)})")
        for label, text in (
            (tr("looks:"), symptom.looks),
            (tr("cause:"), symptom.why),
            (tr("fix:"), symptom.fix),
            (tr("source:"), symptom.reference),
        ):
            for i, line in enumerate(wrapped(f"{label} {translated(text)}", WIDE)):
                lines.append(("  " if i == 0 else "    ") + line)
        lines.append("")
    known = [symptom.to_dict() for symptom in registered()]
    tell({"symptoms": known}, as_json, "\n".join(lines).rstrip())
