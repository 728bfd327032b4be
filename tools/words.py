"""Gather what is said in other languages: ``python tools/words.py [--check]``.

Every text in ``tr("…")`` needs a line in one of ``locale/zh_TW/*.po``. Without
``--check`` the ``chainrule.mo`` beside them is written, and what is missing is printed
as lines to be filled in.
"""

from __future__ import annotations

import ast
import io
import string
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "chainrule"
FOLDER = PACKAGE / "locale" / "zh_TW"
MADE = FOLDER / "chainrule.mo"


def texts() -> dict[str, str]:
    """Every text that is translated, with the place where it stands."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "tr"
                and node.args
            ):
                place = f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
                for text in _strings(node.args[0]):
                    found.setdefault(text, place)
            if isinstance(node, ast.keyword) and node.arg == "kinks":
                place = f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
                for text in _strings(node.value):  # what a primitive declares
                    found.setdefault(text, place)
    return found


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
    """What stands in ``chainrule.mo``."""
    out = io.BytesIO()
    write_mo(out, gathered())
    return out.getvalue()


def problems() -> list[str]:
    """What is missing, or says something else in its braces."""
    whole, found = gathered(), []
    for text, place in texts().items():
        message = whole.get(text)
        if message is None:
            found.append(f'#: {place}\nmsgid "{_quoted(text)}"\nmsgstr ""\n')
        elif _braces(text) != _braces(str(message.string)):
            found.append(f"# other braces than in English, {place}: {text!r}\n")
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _braces(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def main() -> int:
    """Write or check the file."""
    missing = problems()
    print("\n".join(missing), end="")
    if "--check" not in sys.argv[1:]:
        MADE.write_bytes(compiled())
    elif not MADE.exists() or MADE.read_bytes() != compiled():
        print("chainrule.mo is not that of the .po files: python tools/words.py")
        return 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
