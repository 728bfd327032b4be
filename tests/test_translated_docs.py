"""The documents in Traditional Chinese say what the English ones do.

A page in ``docs/zh-TW`` has the headings, paragraphs, items, tables, links, numbers and
names in code of the page of its name in ``docs``, and its blocks, but for comments and
what is printed. So whoever changes a page in one language alone is told where the other
one stays behind. A figure that was measured is the same on all pages that show it.

What runs in English is not run again: a Chinese page runs only where Chainrule itself
speaks among its outputs. After a change of words,
``python tests/test_docs.py --write docs/zh-TW/*.md`` writes them anew.
"""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po

from tests.test_docs import (
    ROOT,
    SOURCE,
    Block,
    blocks,
    problem,
    skipped_without_llvmlite,
)
from tests.test_package import documents

PAGES = sorted(path.name for path in (ROOT / "docs" / "zh-TW").glob("*.md"))
#: English and Chinese documents, by their paths.
PAIRS = {"README.md": "README.zh-TW.md"} | {
    f"docs/{name}": f"docs/zh-TW/{name}" for name in PAGES
}
pairs = pytest.mark.parametrize("pair", PAIRS.items(), ids=list(PAIRS))


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


# -- what two translations have in common --------------------------------------------


def prose(document: str) -> str:
    """A document with empty lines in the place of its blocks."""

    def empty(block: re.Match[str]) -> str:
        return "\n" * block[0].count("\n")

    return re.sub(r"^```.*?^```$", empty, document, flags=re.S | re.M)


def shape(document: str) -> list[str]:
    """Headings with their levels, blocks, paragraphs, items, rows, quotes, in order."""
    found: list[str] = []
    starts = {block.line - 1: block.language for block in blocks(document)}
    inside = False
    for number, line in enumerate(prose(document).split("\n"), 1):
        if number in starts:
            found.append("block " + starts[number])
        kind = re.match(r"#+ |- |\||> ", line)
        if kind:
            found.append(kind[0].strip())
        elif line and not inside:
            found.append("paragraph")
        inside = bool(line) and line[0] not in "#|"
    return found


def code(block: Block) -> str:
    """A block without the words of its comments, and without what is printed."""
    named = re.match(r"# [\w-]+\.\w+\n", block.text)
    kept = named[0] if named else ""
    if block.language == "python":
        return kept + _without_comments(block.text)
    if block.language in ("sh", "toml"):
        return kept + re.sub(r"(?m)(^|(?<= ))# .*$", "#", block.text)
    if block.language == "console":
        lines = block.text.splitlines()
        return "\n".join(line for line in lines if line.startswith("$ "))
    return "" if block.language == "text" else block.text


def _without_comments(text: str) -> str:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + "#"
    return "\n".join(lines)


def links(name: str) -> list[str]:
    """Where the links of a document lead, as paths of the project."""
    found: list[str] = []
    for link in re.findall(r"\]\(([^)]*)\)", prose(read(name))):
        if "://" in link:
            found.append(link)
            continue
        page, _, heading = link.partition("#")
        path = (ROOT / name).parent / page if page else ROOT / name
        place = Path(os.path.normpath(path)).relative_to(ROOT).as_posix()
        if heading:  # by its place, as its words are translated
            titles = slugs(read(place))
            assert heading in titles, f"{name}: {link}"
            place += f"#{titles.index(heading)}"
        found.append(place)
    return found


def led_on(link: str) -> str:
    """Where a link of an English page leads on the Chinese one."""
    page, mark, heading = link.partition("#")
    return PAIRS.get(page, page) + mark + heading


def slugs(document: str) -> list[str]:
    """What a link writes behind ``#`` for each heading."""
    titles = re.findall(r"(?m)^#+ (.*)$", prose(document))
    return [
        re.sub(r"[^\w\- ]", "", title.lower().strip()).replace(" ", "-")
        for title in titles
    ]


def figures(text: str) -> list[str]:
    """The numbers of a text, in order."""
    return re.findall(r"(?<![A-Za-z0-9_.])[0-9](?:[0-9.,]*[0-9])?", text)


def bare(document: str) -> str:
    """What is said: a document without blocks, code and the targets of links."""
    return re.sub(r"`[^`]+`|\]\([^)]*\)|<!--.*?-->", "", prose(document))


def numbers(document: str) -> list[list[str]]:
    """The numbers of each section, each once; those in code stand elsewhere."""
    return [
        sorted(set(figures(section))) for section in re.split(r"(?m)^#", bare(document))
    ]


def rows(document: str) -> list[list[list[str]]]:
    """The numbers of each cell of each row of a table."""
    return [
        [sorted(figures(cell)) for cell in line.strip("| ").split("|")]
        for line in bare(document).split("\n")
        if line.lstrip().startswith("|")
    ]


def measured(document: str) -> dict[str, list[str]]:
    """What a cell of a table says was measured, in order, by the name of its marker."""
    cells = re.findall(r"\|([^|]*)<!-- measured: ([^>]*) -->[^|]*\|", prose(document))
    return {name: figures(cell) for cell, name in cells}


def skeleton(name: str) -> dict[str, Any]:
    """What two translations of one document have in common."""
    document = read(name)
    text = prose(document)
    return {
        "shape": shape(document),
        "code": [(block.language, code(block)) for block in blocks(document)],
        "inline code": Counter(re.findall(r"`([^`]+)`", text)),
        "links": links(name)[1:],  # the first leads to the other language
        "numbers": numbers(document),
        "rows": rows(document),
        "measured": measured(document),
        "markers": Counter(re.findall(r"<!-- measured: ([^>]*) -->", text)),
    }


def unlike(english: str, chinese: str) -> dict[str, tuple[Any, Any]]:
    """The parts of two documents that differ, as they should be and as they are."""
    wanted, found = skeleton(english), skeleton(chinese)
    wanted["links"] = [led_on(link) for link in wanted["links"]]
    return {
        part: (wanted[part], found[part])
        for part in wanted
        if wanted[part] != found[part]
    }


@pairs
def test_both_languages_say_the_same(pair: tuple[str, str]) -> None:
    for part, (wanted, found) in unlike(*pair).items():
        assert found == wanted, part


@pairs
def test_each_begins_with_a_link_to_the_other(pair: tuple[str, str]) -> None:
    for (here, there), language in (pair, "繁體中文"), (pair[::-1], "English"):
        link = os.path.relpath(there, os.path.dirname(here) or ".").replace(os.sep, "/")
        first = re.search(r"\[[^]]*\]\([^)]*\)", read(here))
        assert first
        assert first[0] == f"[{language}]({link})"


@pytest.mark.parametrize("name", PAIRS)
def test_a_figure_is_that_of_the_page_of_all_figures(name: str) -> None:
    """Where a page shows some of what was measured, it is in ``docs/measured.md``."""
    whole = measured(read("docs/measured.md"))
    assert len(whole) > 10
    for marker, found in measured(read(name)).items():
        assert found, marker
        assert set(found) <= set(whole[marker]), marker


def test_links_lead_somewhere() -> None:
    for path in documents():
        name = path.relative_to(ROOT).as_posix()
        for link in links(name):
            page = link.partition("#")[0]
            assert "://" in link or (ROOT / page).exists(), f"{name}: {link}"


# -- outputs -------------------------------------------------------------------------


def shown(name: str) -> list[str]:
    """The outputs that a document shows."""
    return [b.text for b in blocks(read(name)) if b.language in ("text", "console")]


@cache
def sentences() -> list[str]:
    """The longest piece between the braces of what is said in two languages."""
    found: list[str] = []
    for path in (SOURCE / "chainrule" / "locale").glob("*/LC_MESSAGES/*.po"):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_TW"):
                longest = max(re.split(r"\{[^{}]*\}", str(message.id)), key=len)
                if len(longest) > 15:  # shorter ones may be anybody's words
                    found.append(longest.strip())
    return found


def spoken(outputs: list[str]) -> list[str]:
    """What among English outputs may be said in Chinese."""
    lines = [" ".join(text.split()) for text in outputs]
    return [said for said in sentences() if any(said in line for line in lines)]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        pytest.param(
            *pair, marks=skipped_without_llvmlite(pair[1], ROOT / pair[1]).marks
        )
        for pair in PAIRS.items()
    ],
    ids=list(PAIRS),
)
def test_outputs(english: str, chinese: str, tmp_path: Path) -> None:
    """A page is not run that shows what the English one does, and no words of ours."""
    if shown(chinese) != shown(english) or spoken(shown(english)):
        assert not problem(chinese, tmp_path)


@pairs
def test_outputs_that_are_only_shown_have_the_same_figures(
    pair: tuple[str, str],
) -> None:
    """A block without its command, which stands in another one, is not run."""
    for one, other in zip(*[map(_unrun, blocks(read(name))) for name in pair]):
        assert sorted(figures(one)) == sorted(figures(other))


def _unrun(block: Block) -> str:
    run = block.language != "console" or "$ " in block.text
    return "" if run else block.text


# -- the tests themselves ------------------------------------------------------------

ENGLISH = """\
# Title

[繁體中文](zh-TW/tour.md)

It took 12 steps, see [the design](design.md#one-graph) and `optim.SGD`.

- an item

```python
# step.py
x = "# no comment"  # a word
print(x)
```
```text
# no comment
```

| a | b |
|---|---|
| 0.5 | 1 |
| 2.5 to 3 <!-- measured: times --> | 1 |
"""
CHINESE = """\
# 標題

[English](../tour.md)

走了 12 步，見[設計](design.md#一張計算圖)與 `optim.SGD`。

- 一項

```python
# step.py
x = "# no comment"  # 一個詞
print(x)
```
```text
# 這裡說中文
```

| 甲 | 乙 |
|---|---|
| 0.5 | 1 |
| 2.5 到 3 <!-- measured: times --> | 1 |
"""


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("見", "請見", []),
        ("一個詞", "一句話", []),
        ("12", "13", ["numbers"]),
        ("0.5", "0.6", ["numbers", "rows"]),
        ("| 0.5 | 1 |", "| 1 | 0.5 |", ["rows"]),
        ("2.5 到 3", "3 到 2.5", ["measured"]),
        ("2.5 到 3", "2.5 與 3", []),
        ("measured: times", "measured: time", ["measured", "markers"]),
        ("optim.SGD", "optim.Adam", ["inline code"]),
        ("- 一項\n", "- 一項\n- 又一項\n", ["shape"]),
        ("- 一項\n", "一段\n", ["shape"]),
        ("# 標題", "## 標題", ["shape"]),
        ("| 0.5 | 1 |\n", "| 0.5 | 1 |\n| 0.5 | 1 |\n", ["shape", "rows"]),
        ("print(x)", "print(y)", ["code"]),
        ('"# no', '"# not', ["code"]),
        ("step.py", "stop.py", ["code"]),
        ("```text\n# 這裡說中文\n```\n", "", ["shape", "code"]),
        ("(design.md#一張計算圖)", "(../design.md#one-graph)", ["links"]),
        ("design.md#一張計算圖", "design.md#區域", ["links"]),
        ("design.md#一張計算圖", "loops.md", ["links"]),
    ],
)
def test_a_change_in_one_language_alone_is_seen(
    old: str, new: str, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"docs/tour.md": ENGLISH, "docs/zh-TW/tour.md": CHINESE.replace(old, new)}
    real = read
    monkeypatch.setitem(globals(), "read", lambda name: here.get(name) or real(name))
    assert list(unlike(*here)) == parts


def test_a_link_to_no_heading_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = "[a](b.md)\n\n# One graph\n\n[here](#one-graph), [there](#two-graphs)\n"
    monkeypatch.setitem(globals(), "read", lambda _: lost)
    with pytest.raises(AssertionError, match="#two-graphs"):
        links("docs/tour.md")


def test_what_chainrule_says_is_seen() -> None:
    """It may go on in the next line, and have anything in its braces."""
    says = "cut: the derivative ends here: detach() or\n  no_grad() (slopes.py:3)\n"
    assert spoken(["1\n", says]) == ["the derivative ends here: detach() or no_grad()"]
    assert not spoken(["loss 0.5, gradients: 3 layers\n"])
