"""``chainrule book``."""

from __future__ import annotations

import click

from chainrule.cli.common import cli, command, tell

EXAMPLES = """\b
Examples:
  chainrule book
  chainrule book 3.4 --lang zh-TW
  chainrule book 2.7 --json
"""


@cli.command(
    epilog=EXAMPLES, short_help="Look up what shows and what tests the textbook."
)
@click.argument("section", required=False)
@click.option(
    "--lang",
    type=click.Choice(["en", "zh-TW"]),
    default="en",
    show_default=True,
    help="Language of titles and notes.",
)
@command
def book(section: str | None, lang: str, as_json: bool) -> int:
    """Look up the textbook: what shows and what tests each thing that it says.

    Every formula, table row, step, question and exercise of chapters 1 to 3, or of one
    SECTION such as 3.4.2, with the command or name that shows it, the test that holds
    it, and a note where the book is silent or wrong.
    """
    from chainrule import book as index

    found = index.entries(section)
    text = index.page(section, lang)
    tell({"entries": index.to_json(found)}, as_json, text)
    return 0
