"""What a page asks for, as a run file: checked like one, and kept as one.

A page says sections of a run file as JSON. It may name data that come with the framework
or that were uploaded to this lab, and none that lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.runs import RunFile, parse
from chainrule.runs.data_section import NAMES
from chainrule.runs.values import key, to_toml
from chainrule.text import _

#: The sections that a page may say. Callbacks and output write files.
SECTIONS = ("data", "model", "loss", "optimizer", "schedule", "training")
#: The name that a lab's run has in messages and checkpoints.
NAME = "lab.toml"
#: Characters of the run file, most of them of layers.
LONGEST = 100_000


def run_file(said: Mapping[str, Any], folder: Path) -> RunFile:
    """Return the run file of what a page asks for, checked.

    Args:
        said: the sections.
        folder: the lab's own, where uploaded data are.

    Raises:
        RunFileError: all that is wrong with it.
        ArgumentError: sections that a page may not say; data that are not of this lab.
    """
    strange = [name for name in said if name not in SECTIONS]
    if strange or not all(isinstance(part, dict) for part in said.values()):
        raise ArgumentError(
            _("The lab does not know such a part of a run."),
            expected=", ".join(SECTIONS),
            got=", ".join(map(str, strange))[:200] or _("no table"),
        )
    check_data(said.get("data", {}), folder)
    return parse(text_of(said), name=NAME, folder=folder)


def check_data(data: Mapping[str, Any], folder: Path) -> None:
    """Refuse data that are neither by name nor uploaded to this lab."""
    for part in ("source", "validation", "test"):
        source = data.get(part)
        if source in NAMES or (part != "source" and not isinstance(source, str | list)):
            continue
        known = uploaded(folder)
        if source not in known:
            raise ArgumentError(
                _("The lab has no such data."),
                expected=_("{names}, or data uploaded here", names=", ".join(NAMES)),
                got=repr(source)[:200],
                fix=_("drop the file onto the page"),
            )


def uploaded(folder: Path) -> list[str]:
    """Return the names of the data that were uploaded to a lab, the newest last."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if p.name.startswith("data-")]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime)]


def text_of(said: Mapping[str, Any]) -> str:
    """Return the text of a run file; a layer has a line of its own.

    >>> print(text_of({"data": {"source": "moons"}, "model": {"layers": ["Linear"]}}))
    [data]
    source = "moons"
    <BLANKLINE>
    [model]
    layers = [
      "Linear",
    ]
    <BLANKLINE>
    """
    parts: list[str] = []
    for section in (name for name in SECTIONS if said.get(name)):
        lines = [f"[{section}]"]
        for name, value in said[section].items():
            if value is None:
                continue
            if section == "model" and name == "layers" and isinstance(value, list):
                layers = [f"  {to_toml(layer)}," for layer in value]
                lines += [f"{key(name)} = [", *layers, "]"]
            else:
                lines.append(f"{key(name)} = {to_toml(value)}")
        parts.append("\n".join(lines) + "\n")
    text = "\n".join(parts)
    if len(text) > LONGEST:
        raise ArgumentError(
            _("This network is too long to write down."),
            expected=_("at most {n:,} characters of a run file", n=LONGEST),
            got=f"{len(text):,}",
        )
    return text
