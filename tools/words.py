"""Gather what is said in other languages: ``tools/words.py [--check] [FOLDER…]``.

Every text in ``tr("…")``, every text of the command line's help and of the page about
run files, and every template of an error or a recipe's line (``messages.py``), needs a
line in one of ``locale/zh_TW/*.po``: those of the package, and of
``benchmarks/frameworks``. What is missing (in these folders) is printed as lines to be
filled in. Without ``--check``, ``chainrule.mo`` and ``templates.json`` are written
beside them.
"""

from __future__ import annotations

import ast
import io
import json
import string
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

sys.path.insert(0, str(Path(__file__).resolve().parent))
from messages import PACKAGE, files, parsed, place, shown, templates

FOLDER = PACKAGE / "locale" / "zh_TW"
MADE = FOLDER / "chainrule.mo"
SHAPED = FOLDER / "templates.json"


@cache
def texts() -> dict[str, str]:
    """Every text that is translated, with the place where it stands."""
    found: dict[str, str] = {}
    for path in files():
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("tr", "Words")
                and node.args
            ):
                for text in _strings(node.args[0]):
                    found.setdefault(text, f"{place(path)}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "kinks":
                for text in _strings(node.value):  # what a primitive declares
                    found.setdefault(text, f"{place(path)}:{node.lineno}")
    for text, module in helps():
        found.setdefault(text, "/".join(module.split(".")[1:]) + ".py:0")
    return found


def helps() -> Iterator[tuple[str, str]]:
    """What the help of the command line says, click, and the texts about run files."""
    sys.path.insert(0, str(PACKAGE.parent))
    from chainrule.cli import cli, speaking
    from chainrule.runs import reference, template

    yield from ((text, module) for text, module in speaking.texts(cli) if text)
    yield from ((text, speaking.__name__) for text in speaking.CLICK)
    yield from ((text, template.__name__) for text in template.texts())
    yield from ((text, reference.__name__) for text in reference.texts())


def _strings(node: ast.expr) -> Iterator[str]:
    """The texts that an argument may be: one, or one of two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)


class Plain(Catalog):
    """A catalogue that is the same whichever Babel writes it."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """The headers, without the version of the program."""
        return [pair for pair in super().mime_headers if pair[0] != "Generated-By"]

    @mime_headers.setter
    def mime_headers(self, headers: list[tuple[str, str]]) -> None:
        self._set_mime_headers(headers)


@cache
def everything() -> dict[str, str]:
    """All kinds: texts for ``tr``, templates for ``retold`` and ``reprinted``."""
    made = templates()
    return made["errors"] | made["recipes"] | texts()


def gathered() -> Catalog:
    """All lines of all files."""
    always = datetime(2026, 1, 1, tzinfo=UTC)  # the same file from the same lines
    whole = Plain(
        locale="zh_TW", charset="utf-8", creation_date=always, revision_date=always
    )
    for path in sorted(FOLDER.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_TW"):
                if message.id and message.string:
                    whole.add(message.id, message.string)
    return whole


def compiled() -> bytes:
    """What stands in ``chainrule.mo``: the texts for ``tr``."""
    out, known = io.BytesIO(), texts()
    held = gathered()
    for message in list(held):
        if message.id and message.id not in known:
            held.delete(message.id)
    write_mo(out, held)
    return out.getvalue()


def shaped() -> bytes:
    """What stands in ``templates.json``: pairs by their kind; errors say ``tr`` too."""
    held, kinds = gathered(), templates()
    made = {t: p for t, p in texts().items() if " " in t and shown(t)}
    kinds["errors"] = kinds["errors"] | made
    parts: list[str] = []
    for kind, known in kinds.items():
        pairs = sorted([m.id, m.string] for m in held if m.id in known)
        lines = ",\n".join(json.dumps(pair, ensure_ascii=False) for pair in pairs)
        parts.append(f"{json.dumps(kind)}: [\n{lines}\n]")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def problems(*folders: str) -> list[str]:
    """What is missing, or says something else in its braces."""
    whole, found = gathered(), []
    for text, where in everything().items():
        message = whole.get(text)
        if folders and not where.startswith(folders):
            continue
        if message is None:
            found.append(f'#: {where}\nmsgid "{_quoted(text)}"\nmsgstr ""\n')
        elif _braces(text) != _braces(str(message.string)):
            found.append(f"# other braces than in English, {where}: {text!r}\n")
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _braces(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def main() -> int:
    """Write or check the files."""
    folders = [name for name in sys.argv[1:] if name != "--check"]
    missing = problems(*folders)
    print("\n".join(missing), end="")
    made = {MADE: compiled(), SHAPED: shaped()}
    for file, content in made.items():
        if "--check" not in sys.argv[1:]:
            file.write_bytes(content)
        elif not file.exists() or file.read_bytes() != content:
            print(f"{file.name} is not that of the .po files: python tools/words.py")
            return 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
