"""What documents of checkpoints must hold, checked before anything is made of it.

The signature of a file tells that nothing has happened to it, not who wrote it. So
every value that is used later is looked at: its type, its range, and whether the
position fits the run. What a class's constructor refuses it refuses itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from chainrule.errors import CheckpointError
from chainrule.training.plan import Plan

Rule = Callable[[Any], bool]
Rules = Mapping[str, tuple[Rule, str]]
#: Counts are below this: every one is exact in float64.
LARGEST = 2**53


def count(value: Any) -> bool:
    """Whether it is a whole number ≥ 0."""
    return type(value) is int and 0 <= value < LARGEST


def number(value: Any) -> bool:
    """Whether it is a number; NaN and infinity are some."""
    return type(value) is float or (type(value) is int and abs(value) < LARGEST)


def seconds(value: Any) -> bool:
    """Whether it is a finite number ≥ 0."""
    return number(value) and 0 <= value < math.inf


def text(value: Any) -> bool:
    """Whether it is a text."""
    return isinstance(value, str)


def mapping(value: Any) -> bool:
    """Whether it is an object of JSON."""
    return isinstance(value, dict)


def each(kind: Rule) -> Rule:
    """Whether it is a list of such things."""
    return lambda value: isinstance(value, list) and all(map(kind, value))


def maybe(kind: Rule) -> Rule:
    """Whether it is such a thing, or null."""
    return lambda value: value is None or kind(value)


def check(path: Path, document: Mapping[str, Any], rules: Rules) -> None:
    """Refuse a document in which something is missing, or of another kind."""
    for key, (right, what) in rules.items():
        if not right(document.get(key, ...)):
            got = repr(document[key]) if key in document else "nothing"
            raise strange(path, f"{key!r}: {what}", got)


def strange(path: Path, expected: str, got: str) -> CheckpointError:
    """The error for a file that no run has written."""
    return CheckpointError(
        f"{path} holds no checkpoint of a run.",
        expected=expected,
        got=got[:80],
        fix="use a file that save() wrote",
    )


def read_plan(path: Path, saved: Mapping[str, Any] | None) -> Plan | None:
    """The run that a checkpoint is of.

    Raises:
        CheckpointError: a description of something else.
    """
    if saved is None:
        return None
    known = [f.name for f in fields(Plan)]
    counts = [saved.get(k) for k in ("first", "epochs", "batch_size", "checksum")]
    perhaps = [n for n in (saved.get("rows"), saved.get("block")) if n is not None]
    if (
        saved.keys() != set(known)
        or not all(map(count, (*counts, *perhaps)))
        or not isinstance(saved["drop_last"], bool)
        or not (saved["epochs"] and saved["batch_size"])
        or (saved["block"] or 0) % saved["batch_size"]
    ):
        raise CheckpointError(
            f"{path} describes a run that this version does not know.",
            expected=", ".join(known) + ", whole numbers that fit",
            got=repr(saved)[:200],
            fix="use the version of Chainrule that wrote it",
        )
    check(path, saved, _DATA)
    names = saved["class_names"]
    return Plan(**{**saved, "class_names": None if names is None else tuple(names)})


_DATA: Rules = {
    "class_names": (maybe(each(text)), "a list of texts, or null"),
    "format": (maybe(mapping), "a dictionary, or null"),
    "scale": (
        maybe(lambda value: number(value) and math.isfinite(value)),
        "a finite number, or null",
    ),
}
