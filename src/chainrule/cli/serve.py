"""``chainrule serve``: a run as a web service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.engines import engine_names
from chainrule.text import tr

EXAMPLES = """\b
Examples:
  chainrule serve runs/houses
  chainrule serve digits.safetensors --port 0
  curl -H 'Content-Type: text/csv' --data-binary @new.csv \\
    http://127.0.0.1:8000/predict
"""


@cli.command(epilog=EXAMPLES, short_help="Serve a run's predictions over HTTP.")
@click.argument("run", type=click.Path(path_type=Path))
@speaking.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at; by default this machine alone reaches it.",
)
@speaking.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port; 0 takes any that is free.",
)
@speaking.option(
    "--largest",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="MiB of the largest request.",
)
@speaking.option(
    "--read-timeout",
    type=click.FloatRange(0, min_open=True),
    default=20,
    show_default=True,
    help="Seconds in which a request must come; 1,000 bytes have one more.",
)
@speaking.option(
    "--engine",
    type=click.Choice(engine_names()),
    default="auto",
    show_default=True,
    help="What computes.",
)
@command
def serve(
    run: Path,
    host: str,
    port: int,
    largest: int,
    read_timeout: float,
    engine: Any,
    as_json: bool,
) -> int:
    """Serve predictions over HTTP until Ctrl-C or SIGTERM.

    RUN is the directory of a run, a checkpoint, or a program file. Rows go to /predict
    as JSON or CSV and come back as predictions; /explain shows a training step on one
    row, /schema the columns as OpenAPI, /health what is served. A file that is replaced
    is served from then on, and no request is lost.
    """
    from chainrule.serving import server

    if not server.is_loopback(host):
        say(tr("Everybody who can reach {host} can send requests.", host=host))

    def started(url: str) -> None:
        tell({"url": url}, as_json, tr("Serving {run} at {url}", run=run, url=url))
        sys.stdout.flush()

    server.serve(
        run,
        host,
        port,
        engine=engine,
        largest=largest << 20,
        read_timeout=read_timeout,
        started=started,
    )
    return 0
