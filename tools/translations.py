"""The catalogues of translations: ``tools/translations.py update|missing|compile``.

``update`` reads every text off the source, adds those that a catalogue has not,
removes those that are gone, and compiles. ``missing`` lists the texts that have no
translation and are shown in English. ``compile`` makes the binary catalogues alone,
which an editable install does as well.

A text is the first argument of ``_``, ``tr``, ``say`` or ``joined``, a literal; or
stands in the help of the command line, or in the description of run files. The first
two of ``ngettext`` are one text, singular and plural. A plural that stood alone until
now gives its translation to the two.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "chainrule"
#: What speaks beside the package: what ``chainrule bench`` runs.
BENCHMARKS = ROOT / "benchmarks" / "frameworks"
CATALOGUES = PACKAGE / "locale"
FUNCTIONS = ("_", "tr", "say", "joined")
_PLACEHOLDER = re.compile(r"\{(\w+)((?:![rsa])?(?::[^{}]*)?)\}")

Text = str | tuple[str, str]


class _Plain(Catalog):
    """A catalogue whose file changes with its texts alone: a header without dates."""

    @classmethod
    def of(cls, catalog: Catalog) -> _Plain:
        """Return a catalogue with the texts of another one."""
        made = cls(locale=catalog.locale, charset="utf-8", fuzzy=False)
        made.header_comment = catalog.header_comment
        for message in catalog:
            if message.id:
                made[message.id] = message
        return made

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """The headers that say how to read the file."""
        kept = ("Language", "Plural-Forms", "MIME-Version", "Content-Type")
        kept += ("Content-Transfer-Encoding",)
        return [pair for pair in super().mime_headers if pair[0] in kept]

    @mime_headers.setter
    def mime_headers(self, headers: list[tuple[str, str]]) -> None:
        self._set_mime_headers(headers)


def catalogues() -> list[Path]:
    """Return the catalogues, one a language."""
    return sorted(CATALOGUES.glob("*/LC_MESSAGES/*.po"))


def texts() -> Iterator[tuple[Text, str]]:
    """Yield every text with the file that it stands in."""
    for folder in (PACKAGE, BENCHMARKS):
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            place = path.relative_to(PACKAGE if folder is PACKAGE else ROOT).as_posix()
            yield from ((text, place) for text in literals(tree))
    yield from described()


def literals(tree: ast.Module) -> Iterator[Text]:
    """Yield the texts of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="ngettext"),
                args=[
                    ast.Constant(value=str(one)),
                    ast.Constant(value=str(many)),
                    *_,
                ],
            ):
                yield one, many
            case ast.Call(
                func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]
            ):
                if name in FUNCTIONS and text:
                    yield text
            case _:
                pass


def described() -> Iterator[tuple[Text, str]]:
    """Yield the texts that are documentation elsewhere: of commands, of run files."""
    from chainrule.cli import cli, speaking
    from chainrule.lab import choices
    from chainrule.runs import reference

    for text, module in speaking.texts(cli):
        yield text, "/".join(module.split(".")[1:]) + ".py"
    yield from ((text, "cli/speaking.py") for text in speaking.CLICK)
    yield from ((text, "runs/reference.py") for text in reference.texts())
    yield from ((text, "lab/choices.py") for text in choices.texts())


def template() -> Catalog:
    """Return a catalogue of all texts, without translations."""
    found = Catalog(charset="utf-8")
    for text, place in texts():
        if text:
            found.add(text, locations=[(place, None)])  # type: ignore[list-item]
    return found


def read(path: Path) -> Catalog:
    """Return a catalogue as it is in its file."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def placeholders(text: str) -> dict[str, str]:
    """Return the names in the braces of a text, with their formats.

    Raises:
        ValueError: a name has two formats.
    """
    found: dict[str, str] = {}
    for name, form in _PLACEHOLDER.findall(text):
        if found.setdefault(name, form) != form:
            raise ValueError(f"{name!r} has two formats in {text!r}")
    return found


def update(path: Path) -> None:
    """Bring a catalogue to the texts of the source; translations stay."""
    whole = read(path)
    alone = {m.id: m.string for m in whole if isinstance(m.id, str)}
    whole.update(template(), no_fuzzy_matching=True)
    for message in whole:
        if isinstance(message.id, tuple) and not any(message.string):
            said = alone.get(message.id[1])
            if said and whole.num_plurals == 1:  # else the other forms are unknown
                message.string = (said,)
    whole.obsolete.clear()
    whole.fuzzy = False
    with path.open("wb") as file:
        write_po(file, _Plain.of(whole), width=88, sort_by_file=True)


def compile_catalogue(path: Path) -> None:
    """Write the binary catalogue beside a catalogue."""
    whole = read(path)
    for message in [m for m in whole if m.id and not any(m.string)]:
        whole.delete(message.id)  # of two forms the first would stand for both
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, whole)


def missing(path: Path) -> list[str]:
    """Return the texts of the source that a catalogue does not translate."""
    whole = read(path)
    found = []
    for message in template():
        known = whole.get(message.id) if message.id else None
        said = known.string if known else ""
        if message.id and not (any(said) if isinstance(said, tuple) else said):
            place = message.locations[0][0]
            found.append(f"{place}: {message.id}")
    return found


def main() -> int:
    """Run one of the commands on every catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("update", "missing", "compile"))
    command = parser.parse_args().command
    for path in catalogues():
        if command == "update":
            update(path)
        if command in ("update", "compile"):
            compile_catalogue(path)
        if command in ("update", "missing"):
            left = missing(path)
            print(f"{path.parent.parent.name}: {len(left)} texts without translation")
            if command == "missing":
                print(*(f"  {text}" for text in left), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
