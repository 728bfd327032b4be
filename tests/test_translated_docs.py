"""The documents in Traditional Chinese show the code and the links of the English ones.

English is the source; pages in ``docs/zh-TW`` and ``README.zh-TW.md`` are translations
of what learners read. Their blocks are the same but for comments and for what is
printed, whose figures are the same; their links lead to the same pages and pictures,
or to the translations of these. A figure that was measured is the same on all pages.

The English pages run before every merge (``test_docs.py``), the Chinese ones in the
slow tests. ``python tests/test_docs.py --write docs/zh-TW/*.md`` writes their outputs
anew.
"""

from __future__ import annotations

import io
import os
import re
import tokenize
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import (
    DOCUMENTS,
    ROOT,
    Block,
    blocks,
    problem,
    skipped_where_absent,
)
from tests.test_package import documents

#: English and Chinese documents, by their paths.
PAIRS = {"README.md": "README.zh-TW.md"} | {
    f"docs/{path.as_posix()}": f"docs/zh-TW/{path.as_posix()}"
    for path in (
        path.relative_to(ROOT / "docs" / "zh-TW")
        for path in sorted((ROOT / "docs" / "zh-TW").rglob("*.md"))
    )
}


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


# -- what two translations have in common --------------------------------------------


def prose(document: str) -> str:
    """Return a document with empty lines in the place of its blocks."""
    return re.sub(
        r"^```.*?^```$", lambda b: "\n" * b[0].count("\n"), document, flags=re.S | re.M
    )


def code(block: Block) -> str:
    """Return a block without the words of its comments; of outputs, the figures."""
    named = re.match(r"# [\w-]+\.\w+\n", block.text)
    kept = named[0] if named else ""
    if block.language == "python":
        return kept + _without_comments(block.text)
    if block.language in ("sh", "toml"):
        return kept + re.sub(r"(?m)(^|(?<= ))# .*$", "#", block.text)
    if block.language in ("text", "console"):
        lines = block.text.splitlines()
        commands = [line for line in lines if line.startswith("$ ")]
        return "\n".join([*commands, *sorted(figures(block.text))])
    return block.text


def _without_comments(text: str) -> str:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + "#"
    return "\n".join(lines)


def links(name: str) -> list[str]:
    """Return where the links of a document lead, as paths of the project."""
    found: list[str] = []
    for link in re.findall(r"\]\(([^)]*)\)", prose(read(name))):
        if "://" in link:
            found.append(link)
            continue
        page, _, heading = link.partition("#")
        path = (ROOT / name).parent / page if page else ROOT / name
        place = Path(os.path.normpath(path)).relative_to(ROOT).as_posix()
        assert (ROOT / place).exists(), f"{name}: {link}"
        if heading:  # by its number, as its words are translated
            titles = slugs(read(place))
            assert heading in titles, f"{name}: {link}"
            place += f"#{titles.index(heading)}"
        found.append(place)
    return found


def translated(link: str) -> str:
    """Return where a link of an English page leads on the Chinese one."""
    page, mark, heading = link.partition("#")
    path = Path(page)
    drawn = path.parent / "zh-TW" / path.name  # a picture with Chinese words
    if path.suffix == ".png" and (ROOT / drawn).exists():
        return drawn.as_posix()
    return PAIRS.get(page, page) + mark + heading


def slugs(document: str) -> list[str]:
    """Return what a link writes behind ``#`` for each heading."""
    titles = re.findall(r"(?m)^#+ (.*)$", prose(document))
    return [
        re.sub(r"[^\w\- ]", "", title.lower().strip()).replace(" ", "-")
        for title in titles
    ]


def figures(text: str) -> list[str]:
    return re.findall(r"(?<![A-Za-z0-9_.])[0-9](?:[0-9.,]*[0-9])?", text)


def measured(document: str) -> dict[str, list[str]]:
    """Return the figures of the cells of tables that have a marker, by its name."""
    cells = re.findall(r"\|([^|]*)<!-- measured: ([^>]*) -->[^|]*\|", prose(document))
    return {name: figures(cell) for cell, name in cells}


def unlike(english: str, chinese: str) -> dict[str, tuple[Any, Any]]:
    """Return the parts of two documents that differ: as they should be, as they are.

    The first link of each page leads to the other language.
    """
    wanted, found = read(english), read(chinese)
    parts = {
        "code": [[(b.language, code(b)) for b in blocks(d)] for d in (wanted, found)],
        "links": [
            list(map(translated, links(english)[1:])),
            links(chinese)[1:],
        ],
        "measured": [measured(wanted), measured(found)],
    }
    return {part: (a, b) for part, (a, b) in parts.items() if a != b}


@pytest.mark.parametrize("pair", PAIRS.items(), ids=list(PAIRS))
def test_both_languages_show_the_same(pair: tuple[str, str]) -> None:
    for part, (wanted, found) in unlike(*pair).items():
        assert found == wanted, part
    for here, there in pair, pair[::-1]:
        assert links(here)[0] == there


def test_a_figure_is_that_of_the_page_of_all_figures() -> None:
    """Where a page shows a figure that was measured, it is that of the page of all."""
    whole = measured(read("docs/measured/figures.md"))
    assert len(whole) > 10
    for path in documents():
        for marker, found in measured(path.read_text("utf-8")).items():
            assert found, (path, marker)
            assert set(found) <= set(whole[marker]), (path, marker)


def test_links_lead_somewhere() -> None:
    for path in documents():
        links(path.relative_to(ROOT).as_posix())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        skipped_where_absent(chinese, ROOT / chinese)
        for english, chinese in PAIRS.items()
        if english in DOCUMENTS
    ],
)
def test_outputs_in_chinese(name: str) -> None:
    assert not problem(name)


# -- the tests themselves ------------------------------------------------------------

ENGLISH = """\
# Title

[繁體中文](../zh-TW/learn/first-network.md)

It took 12 steps, see [the design](first-network.md#title).

```python
# step.py
x = "# no comment"  # a word
print(x)
```
```text
2 words
```

| a | b |
|---|---|
| 2.5 to 3 <!-- measured: times --> | 1 |
"""
CHINESE = """\
# 標題

[English](../../learn/first-network.md)

走了 12 步，見[設計](first-network.md#標題)。

```python
# step.py
x = "# no comment"  # 一個詞
print(x)
```
```text
2 個字
```

| 甲 | 乙 |
|---|---|
| 2.5 到 3 <!-- measured: times --> | 1 |
"""


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("見", "請見", []),
        ("一個詞", "一句話", []),
        ("2 個字", "2 字", []),
        ("2 個字", "3 個字", ["code"]),
        ("print(x)", "print(y)", ["code"]),
        ('"# no', '"# not', ["code"]),
        ("step.py", "stop.py", ["code"]),
        ("```text\n2 個字\n```\n", "", ["code"]),
        ("(first-network.md#標題)", "(../../learn/first-network.md)", ["links"]),
        ("first-network.md#標題", "first-network.md", ["links"]),
        ("first-network.md#標題", "explore.md", ["links"]),
        ("2.5 到 3", "3 到 2.5", ["measured"]),
        ("measured: times", "measured: time", ["measured"]),
    ],
)
def test_a_change_in_one_language_alone_is_seen(
    old: str, new: str, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {
        "docs/learn/first-network.md": ENGLISH,
        "docs/zh-TW/learn/first-network.md": CHINESE.replace(old, new),
    }
    real = read
    monkeypatch.setitem(globals(), "read", lambda name: here.get(name) or real(name))
    assert list(unlike(*here)) == parts


def test_a_link_to_no_heading_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = (
        "[a](explore.md)\n\n# One graph\n\n[here](#one-graph), [there](#two-graphs)\n"
    )
    monkeypatch.setitem(globals(), "read", lambda _: lost)
    with pytest.raises(AssertionError, match="#two-graphs"):
        links("docs/learn/first-network.md")
