"""``chainrule book``: a look-up in the textbook's index."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, say, tell
from chainrule.text import tr

EXAMPLES = """\b
Examples:
  chainrule book
  chainrule book 3.4 --lang zh-TW
  chainrule book delta
  chainrule book 梯度消失
  chainrule book 3.8 clipping --json
  chainrule book 2.7 --out pictures
"""


@cli.command(
    epilog=EXAMPLES, short_help="Look up what shows and what tests the textbook."
)
@click.argument("words", metavar="[SECTION] [WORD]...", nargs=-1)
@speaking.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw the table of 2.5.1 or 2.7 into this folder.",
)
@command
def book(words: tuple[str, ...], out: Path | None, as_json: bool) -> int:
    """Search the textbook's index: what shows and what tests each statement.

    Every formula, table row, step, question and exercise of chapters 1 to 3, or of one
    SECTION such as 3.4.2, with the command or name that shows it, the test that holds
    it, and a note where the book is silent or wrong. A WORD is looked for in titles,
    formulas, notes and names, in English and Chinese; of several all must be there.
    """
    from chainrule import book as index
    from chainrule.book import searching

    section = None
    if words and searching.looks_like_section(words[0]):
        section, words = unicodedata.normalize("NFKC", words[0]), words[1:]
    entries = index.search(*words, section=section) if words else index.entries(section)
    text = index.text(entries) if words else index.page(section)
    written: list[str] = []
    if out is not None:
        from chainrule.book import pictures

        numbers = [entry.section for entry in entries] or ([section] if section else [])
        written = [str(path) for path in pictures.save(numbers, out)]
    files = {"files": written} if written else {}
    tell({"entries": index.to_json(entries), **files}, as_json, text)
    if written and not as_json:
        say("\n" + tr("Written: {files}", files=tr(", ").join(written)))
    return 0
