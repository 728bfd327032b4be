"""Rendering of a training report's HTML pages with Jinja templates."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from chainrule.errors import visible
from chainrule.html.arrays import POLICY
from chainrule.text.numbers import measure, number, percent, width
from chainrule.text.tables import shorten
from chainrule.version import __version__
from chainrule.viz import curve, drawing, images
from chainrule.viz.report import glossary, results
from chainrule.viz.words import Words, read_words

#: More classes than this are a picture instead of a table.
MATRIX = 20
#: Rows of long tables that are shown first.
FEW = 15
#: Rem that a picture takes at least, if it has them: else its words are too small.
PICTURE = 34
#: More pictures of networks than this are folded.
FOLDED = 2


@lru_cache(maxsize=4)
def environment(lang: str) -> Any:
    """Return the Jinja environment for report pages, which escapes all values.

    It compiles its templates, which takes longer than a page, and is kept.
    """
    import jinja2
    from markupsafe import Markup

    def plain(value: Any) -> Any:
        return value if isinstance(value, Markup) else visible(str(value))

    def columns(text: str) -> Any:
        """Return text in which a wide character takes two columns in any font."""
        wide = Markup('<span class="wide">{}</span>').format
        return Markup("").join(
            wide(character) if width(character) == 2 else character
            for character in visible(text)
        )

    words = read_words(lang)
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("chainrule.viz"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    templates.filters |= {"number": number, "percent": percent, "cut": shorten}
    templates.filters |= {"width": width, "columns": columns, **_of_columns(words)}
    templates.filters |= {
        "plain": glossary.text_of,
        "abbreviations": lambda text: glossary.abbreviations(text, lang),
    }
    templates.globals |= {
        "w": words,
        "lang": lang,
        "colours": drawing.COLOURS,
        "policy": Markup(POLICY),
        "version": __version__,
        "FEW": FEW,
        "MATRIX": MATRIX,
        "FOLDED": FOLDED,
        "PICTURE": PICTURE,
    }
    return templates


def _of_columns(words: Words) -> dict[str, Callable[..., Any]]:
    """Return the Jinja filters that format a report's tables."""

    def heading(key: str, validation: str) -> str:
        """Return the heading of a training history's column."""
        kind, name = curve.split(key)
        called = curve.named(name, words)
        own = validation if kind == "validation" else kind
        return f"{words.get(own, own)} {called}" if kind else called

    def shown(key: str, value: Any) -> str:
        """Return a report table's cell as text, formatted by its column."""
        if isinstance(value, str):
            return shorten(value, 40)
        if key in ("epoch", "row", "line"):
            return str(value)
        return measure(curve.split(key)[1], value)

    def table(
        rows: Sequence[Mapping[str, Any]],
        beside: Sequence[Mapping[str, Any]] = (),
        validation: str = "validation",
    ) -> dict[str, Any]:
        """Return a report table's head, rows and kinds as text, and its width in rem.

        That is about how wide it is, in rem: where there is less, it scrolls.
        """
        head = [heading(key, validation) for key in rows[0]]
        texts = [[shown(k, v) for k, v in row.items()] for row in rows]
        first = [*rows[0].values()]
        if beside:
            head += [shorten(name, 40) for name in beside[0]]
            first += beside[0].values()
        for text, more in zip(texts, beside):
            text += [shown("", value) for value in more.values()]
        kinds = ["" if isinstance(value, str) else "number" for value in first]
        return {"head": head, "rows": texts, "kinds": kinds, "room": _room(head, texts)}

    def columned(behind: Any) -> dict[str, Any]:
        """Return the table behind a chart as a report's table."""
        head, rows = behind.head, behind.rows
        kinds = ["", *["number"] * (len(head) - 1)]
        return {"head": head, "rows": rows, "kinds": kinds, "room": _room(head, rows)}

    return {"heading": heading, "shown": shown, "table": table, "columned": columned}


def _room(head: Sequence[str], rows: Sequence[Sequence[str]]) -> float:
    """Return about how wide a table of texts is, in rem."""
    return sum(1.25 + 0.5 * max(map(width, column)) for column in zip(head, *rows))


def _rendered(lang: str, template: str, content: Mapping[str, Any]) -> str:
    now = datetime.datetime.now().astimezone().isoformat(" ", "minutes")
    return environment(lang).get_template(template).render(content, now=now)


def render_experiment(
    lang: str,
    *,
    title: str,
    summary: str,
    references: Sequence[Mapping[str, Any]],
    blocks: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any] | None = None,
    commands: Sequence[tuple[str, str]] = (),
    lesson: str = "",
    note: str = "",
    pages: str = "",
) -> str:
    """Return the HTML page of a recipe's report.

    Args:
        lang: the language of what the page adds.
        title, summary: of the recipe.
        references: ``key``, ``value``, ``at_least`` or ``at_most``, ``reached`` and
            ``source`` of each figure that it is held against.
        blocks: in their order, those of the run's report, as dictionaries.
        result: what the recipe returned, plain data, shown as tables.
        commands: what to do next, each with its command.
        lesson: what the recipe says of itself.
        note: what the reader must know of the run before all else.
        pages: the links to pages beside the report, HTML of :mod:`.pages`.
    """
    shown = [
        {
            **block,
            "text": block["text"].split("\n"),
            "png": block["png"] and images.png_uri(block["png"]),
            "room": min(PICTURE, images.width(block["png"]) / 16),
        }
        for block in blocks
    ]
    drawn = "\n".join(block["words"] for block in blocks)
    words = read_words(lang)
    called = [
        {**r, "key": results.path_named(r["key"].split("."), words, title)}
        for r in references
    ]
    content = {"title": title, "summary": summary, "references": called}
    content |= {
        "results": results.tables(result or {}, words, title),
        "commands": commands,
    }
    content |= {"lesson": lesson.splitlines(), "note": note, "words": drawn}
    content["pages"] = _markup(pages)
    return _rendered(lang, "study.html.jinja", {**content, "blocks": shown})


def render(lang: str, content: Mapping[str, Any]) -> str:
    """Return the HTML page of a training run's report."""
    made = {**content, "pages": _markup(content["pages"])}
    return _rendered(lang, "report.html.jinja", made)


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)
