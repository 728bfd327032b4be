"""The students of a class: names from a file, and names of their files.

>>> [file_name(7, name) for name in ("Ada Lovelace", "陳 小明", "../x")]
['007-ada-lovelace', '007-陳-小明', '007-x']
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from chainrule.data.files import checked_path, opened
from chainrule.errors import ArgumentError, DataError
from chainrule.runs import toml
from chainrule.text import _, ngettext, tr

#: Students of one class, and characters of a name.
MOST, LONGEST = 500, 80


def same(name: str) -> str:
    """Return a name in the form by which two spellings of it are compared."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def file_name(number: int, name: str) -> str:
    """Return the name of a student's files, without ending: number and name."""
    words = re.sub(r"[\W_]+", "-", same(name)).strip("-")
    return f"{number:03}-{words[:40]}".rstrip("-")


def numbered(count: int) -> list[str]:
    """Return names for students of whom only the number is known.

    Raises:
        ArgumentError: no students, or too many.
    """
    _refuse_size(count, f"--count {count}")
    return [tr("Student {number}", number=i) for i in range(1, count + 1)]


def read_names(path: Path) -> list[str]:
    """Read the names of a class from a text file, one a line.

    Raises:
        DataError: no such file, none of text, or a name that cannot be one.
        ArgumentError: nobody, or too many.
    """
    fix = _("write a text file with one name a line")
    with opened(checked_path(path, _("list of names")), _("a text file"), fix) as file:
        content = file.read(toml.BYTES_AT_MOST + 1)
    text = toml.decoded(content, path.name, _("a text file in UTF-8, one name a line"))
    names: list[str] = []
    lines: dict[str, int] = {}
    for i, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        name = " ".join(line.split())
        if not name:
            continue
        _refuse_odd(path.name, i, name)
        if same(name) in lines:
            raise DataError(
                _(
                    "{file}, line {line}: this name is there twice.",
                    file=path.name,
                    line=i,
                ),
                expected=_("each student once"),
                got=_(
                    "{name}, also in line {other}", name=name, other=lines[same(name)]
                ),
                fix=_("add what tells them apart, such as a number of the class list"),
            )
        lines[same(name)] = i
        names.append(name)
    _refuse_size(len(names), path.name)
    return names


def _refuse_odd(file: str, line: int, name: str) -> None:
    kinds = {unicodedata.category(sign) for sign in name}
    if len(name) <= LONGEST and not kinds & {"Cc", "Cf", "Cs", "Co"}:
        return
    raise DataError(
        _("{file}, line {line}: this is no name.", file=file, line=line),
        expected=_("one name a line, of at most {many} characters", many=LONGEST),
        got=f"{name!r:.60}",
    )


def _refuse_size(many: int, got: str) -> None:
    if not 1 <= many <= MOST:
        raise ArgumentError(
            _("A class has 1 to {most} students.", most=MOST),
            expected=_("--count 30, or --names FILE with one name a line"),
            got=ngettext("{got}: {n} student", "{got}: {n} students", n=many, got=got),
        )
