"""``chainrule lab``: build, train and open up a network in the browser."""

from __future__ import annotations

import sys
import time
import webbrowser
from pathlib import Path
from typing import Any

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.text import _, ngettext, tr
from chainrule.text.catalogue import current

EXAMPLES = """\b
Examples:
  chainrule lab
  chainrule lab mnist
  chainrule lab houses.toml
  chainrule lab model.onnx
  chainrule lab mine.py:Net
  chainrule lab --out runs/circles --no-browser
  chainrule lab mnist --export site
"""


@cli.command(epilog=EXAMPLES, short_help="Build and train a network in the browser.")
@click.argument("target", required=False)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of runs and uploads.  [default: one of its own under runs]",
)
@speaking.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port; 0 takes any that is free.  [default: the first free one from 8642]",
)
@speaking.option(
    "--browser/--no-browser",
    default=True,
    show_default=True,
    help="Open the page in the browser.",
)
@speaking.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    help="Serve nothing: train the network, and write the recorded run as a page, "
    "index.html in this folder.",
)
@command
def lab(
    target: str | None,
    out: Path | None,
    port: int | None,
    browser: bool,
    export: Path | None,
    as_json: bool,
) -> int:
    """Build, train and open up a network on a page of this machine, until Ctrl-C.

    TARGET is what is opened: a run file, the name of a recipe that trains one network,
    the directory of a run, a checkpoint, an ONNX file, a Python file with a network
    (FILE.py or FILE.py:NAME), a text (FILE.txt, gpt or names) that a network reads
    character by character, or a link that another lab gave.

    A Python file is run, as python would run it. The page itself runs none.

    Only this machine reaches the page, by the address with its token. A network trains
    in a process of its own, at full speed; runs are kept in the folder, for chainrule
    predict, evaluate and train --resume.

    With --export the network is trained at once, from its start, and what the lab would
    show of it is written as a page in one file, which needs no server.
    """
    if export is not None:
        if out is not None or port is not None:
            raise ArgumentError(
                _("--export serves nothing, and writes the page alone."),
                expected=_("neither --out nor --port beside it"),
                got="--port" if out is None else "--out",
                fix=_("leave it out"),
            )
        return _exported(target, export, as_json)
    from chainrule.lab import doorway, server

    link = ""
    if target is not None and "#run=" in target:
        link, target = f"#{target.partition('#')[2]}", None
    folder = out or Path("runs", f"lab-{time.strftime('%Y%m%d-%H%M%S')}")

    doors: list[Path] = []

    def started(url: str) -> None:
        url += link
        text = tr("The lab is at {url}   (Ctrl-C ends it)", url=url)
        tell({"url": url, "folder": str(folder)}, as_json, text)
        if sys.stdout is not None:
            sys.stdout.flush()
        if browser:
            doors.append(doorway.write(folder, url))
            webbrowser.open(doors[0].as_uri())

    try:
        saved = server.serve(
            folder, port, target=target, started=started, failed=_failed
        )
    finally:
        for door in doors:
            doorway.remove(door)
    if saved is not None:
        say(tr("What was trained is in {folder}", folder=saved))
    return 0


def _failed(error: dict[str, Any]) -> None:
    """Say in the terminal why a network could not be built; the page says it too."""
    language = current()
    for problem in error.get("problems") or [error]:
        what, *answers = (
            problem.get(key, {}).get(language)
            for key in ("what", "expected", "got", "fix")
        )
        names = dict(zip(("expected", "got", "fix"), answers))
        said = ChainruleError(what, **names)
        say(tr("Error: {message}", message=said.translated()))


def _exported(target: str | None, folder: Path, as_json: bool) -> int:
    from chainrule.lab import site

    path, recording = site.export(target, folder)
    size = path.stat().st_size
    lines = [
        tr(
            "The page is {path} ({size} kB): {moments} of {steps}, and {samples} with "
            "the equations.",
            path=path,
            size=f"{size / 1000:,.0f}",
            moments=ngettext("{n} moment", "{n} moments", n=len(recording.steps)),
            steps=ngettext("{n:,} step", "{n:,} steps", n=recording.steps[-1]),
            samples=ngettext("{n} sample", "{n} samples", n=recording.samples),
        )
    ]
    if recording.left_out:
        text = tr(
            ngettext(
                "{n} more sample found no room.",
                "{n} more samples found no room.",
                n=recording.left_out,
            )
        )
        lines.append(text)
    if recording.same is not None:
        lines.append(
            tr("It ends at the weights of the run.")
            if recording.same
            else tr(
                "It does not end at the weights of the run, which was trained by "
                "another version, on another machine, or with other data."
            )
        )
    report = {
        "path": str(path),
        "bytes": size,
        "steps": recording.steps,
        "samples": recording.samples,
        "left_out": recording.left_out,
        "same": recording.same,
    }
    tell(report, as_json, "\n".join(lines))
    return 0
