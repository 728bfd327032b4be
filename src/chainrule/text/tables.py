"""Small text tables: aligned lines for a terminal, HTML for a notebook."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from chainrule.errors import visible
from chainrule.text.numbers import width

Table = Sequence[Sequence[str]]

#: What a line is never broken within: a Chinese character, a word or what words are
#: equal to, and the marks and spaces that stand behind it.
_PIECES = re.compile(
    r"[（「『《\[]*(?:[{0}]|[^\s{0}]+(?: [=≤] [^\s{0}]+)*)"
    r"[，。；：、）」』》？！\]]*\s*".replace("{0}", r"\u2e80-\u9fff\uf900-\uffef")
)


def shorten(text: str, columns: int) -> str:
    """Return a text as one line, cut to a number of terminal columns.

    >>> shorten("accuracy of the third kind", 12), shorten("正確率與召回率", 9)
    ('accuracy of…', '正確率與…')
    """
    text = visible(text[: 2 * columns + 1])  # a mark takes no column of its own
    if width(text) <= columns:
        return text
    while width(text) > columns - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def text_table(table: Table, left: int = 0) -> list[str]:
    """Return a table as aligned lines, the first ``left`` columns to the left.

    >>> text_table([["layer", "size"], ["0", "12"]], left=1)
    ['layer  size', '0        12']
    """
    table = [[visible(cell) for cell in line] for line in table]
    widths = [max(map(width, column)) for column in zip(*table)]

    def padded(cell: str, columns: int, i: int) -> str:
        room = " " * (columns - width(cell))
        return cell + room if i < left else room + cell

    return ["  ".join(map(padded, line, widths, range(len(line)))) for line in table]


def wrapped(text: str, columns: int) -> list[str]:
    """Return a text in lines of limited width; Chinese breaks between characters.

    No line begins with a mark that closes or ends with one that opens, and no English
    word is cut.

    >>> wrapped("a longer text", 8), wrapped("梯度下降，收斂", 8)
    (['a longer', 'text'], ['梯度下', '降，收斂'])
    >>> wrapped("收斂 [預設]", 6)
    ['收斂', '[預設]']
    """
    lines, line = [], ""
    for piece in _PIECES.findall(text):
        if width(line + piece.rstrip()) > columns and line.strip():
            lines.append(line.rstrip())
            line, piece = "", piece.lstrip()
        line += piece
    return [*lines, line.rstrip()]


def html_table(table: Table, links: Sequence[str] = ()) -> str:
    """Return a table as HTML, the first row as its head.

    Args:
        table: its cells.
        links: the address that the first cell of each row but the head leads to.

    >>> html_table([["a<b"], ["1"]])
    '<table><thead><tr><th>a&lt;b</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>'
    """

    def line(cells: Sequence[str], kind: str, link: str = "") -> str:
        texts = [html.escape(cell) for cell in cells]
        if link:
            texts[0] = f'<a href="{html.escape(link)}">{texts[0]}</a>'
        return f"<tr>{''.join(f'<{kind}>{text}</{kind}>' for text in texts)}</tr>"

    rows = table[1:]
    leads = links or [""] * len(rows)
    head = line(table[0], "th")
    body = "".join(line(row, "td", to) for row, to in zip(rows, leads, strict=True))
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
