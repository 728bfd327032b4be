"""Changes of a training as a diff of the run file that describes it.

Lines are edited in place, so that comments and order stay. What comes out is parsed
again: it must say what the file said, but for the changes, or there is no diff.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.doctor import Change
from chainrule.errors import ChainruleError
from chainrule.runs import toml
from chainrule.runs.file import RunFile, parse

#: A line of one key: indentation, key and sign; value; comment.
_LINE = re.compile(r"^(\s*[\w.\"'-]+\s*=\s*)(.*?)(\s*#.*)?$")
#: Sections that a change gives as a whole, where it names a class.
_WHOLE = ("loss", "optimizer", "schedule")


def diff(run: RunFile, changes: Iterable[Change]) -> str | None:
    """Return changes as a unified diff of a run file; None where it cannot say them.

    Settings of the command line count as those of the file: their keys are added.

    >>> run = parse('data.source = "moons"\\nmodel.layers = ["Linear"]\\n'
    ...             "[optimizer]\\nlr = 10.0  # fast")
    >>> def no(setup): pass
    >>> low = Change("", "", "", no, settings={"optimizer": {"lr": 0.1}})
    >>> print(diff(run, [low]))
    --- run.toml
    +++ run.toml
    @@ -3,2 +3,2 @@
     [optimizer]
    -lr = 10.0  # fast
    +lr = 0.1  # fast
    """
    text = changed(run, changes)
    if text is None:
        return None
    lines = difflib.unified_diff(
        run.text.splitlines(), text.splitlines(), run.name, run.name, "", "", 1, ""
    )
    return "\n".join(line.rstrip() for line in lines)


def changed(run: RunFile, changes: Iterable[Change]) -> str | None:
    """Return a run file's text with changes; None where it cannot say them."""
    wanted: dict[str, dict[str, Any]] = {}
    whole: set[str] = set()
    for change in changes:
        if change.settings is None:
            return None
        for section, values in change.settings.items():
            if section in _WHOLE and (not values or "class" in values):
                whole.add(section)
                wanted[section] = {}
            wanted.setdefault(section, {}).update(values)
    text = edited(run.text, wanted, whole)
    if text is None:
        return None
    try:
        parse(text, name=run.name, folder=run.folder)
    except ChainruleError:
        return None
    return text


def edited(
    text: str, wanted: Mapping[str, Mapping[str, Any]], whole: Iterable[str] = ()
) -> str | None:
    """Return a TOML text with other values; None where lines cannot be edited.

    Args:
        text: of the file.
        wanted: values by section and key.
        whole: sections that shall have no other keys.
    """
    before = tomllib.loads(text)
    after = {k: dict(v) if isinstance(v, dict) else v for k, v in before.items()}
    lines: list[str | None] = list(text.split("\n"))
    places = toml.lines_of(text)
    added: dict[str, list[str]] = {}
    for section, values in wanted.items():
        there = after.setdefault(section, {})
        if not isinstance(there, dict):
            return None
        for key in [k for k in there if section in whole and k not in values]:
            lines[places[section, key] - 1] = None
            del there[key]
        for key, value in values.items():
            if key not in there:
                added.setdefault(section, []).append(f"{key} = {_shown(value)}")
            else:
                place = places[section, key] - 1
                match = _LINE.match(lines[place] or "")
                if match is None:
                    return None
                lines[place] = f"{match[1]}{_shown(value)}{match[3] or ''}"
            there[key] = value
        if not there:
            del after[section]
    for section, new in added.items():
        header = next(
            (i for i, line in enumerate(lines) if _opens(line, section)), None
        )
        if header is None:
            told = [f"{section}.{line}" for line in new]
            dotted = any(k[0] == section for k in places if len(k) > 1)
            if dotted:  # keys such as optimizer.lr stand in front of all sections
                lines[:0] = told
            else:
                while lines and lines[-1] == "":
                    lines.pop()
                lines += ["", f"[{section}]", *new, ""]
        else:
            lines[header + 1 : header + 1] = new
    made = "\n".join(line for line in lines if line is not None)
    try:
        said = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        return None
    return made if _plain(said) == _plain(after) else None


def _opens(line: str | None, section: str) -> bool:
    return line is not None and line.partition("#")[0].strip() == f"[{section}]"


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without empty sections, which say nothing."""
    return {k: v for k, v in document.items() if v != {}}


def _shown(value: Any) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, str | bool):
        return json.dumps(value)
    return repr(value)
