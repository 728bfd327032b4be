"""Small tables for people: as aligned text in a terminal, as HTML in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence

from chainrule.errors import visible

Table = Sequence[Sequence[str]]


def text_table(table: Table, left: int = 0) -> list[str]:
    """Headings and rows as aligned lines, the first ``left`` columns to the left.

    >>> text_table([["layer", "size"], ["0", "12"]], left=1)
    ['layer  size', '0        12']
    """
    table = [[visible(cell) for cell in line] for line in table]
    widths = [max(map(len, column)) for column in zip(*table)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        )
        for line in table
    ]


def html_table(table: Table) -> str:
    """Headings and rows as a small HTML table.

    >>> html_table([["a<b"], ["1"]])
    '<table><thead><tr><th>a&lt;b</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    """

    def line(cells: Sequence[str], kind: str) -> str:
        inner = "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    head, body = line(table[0], "th"), "".join(line(row, "td") for row in table[1:])
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
