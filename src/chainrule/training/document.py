"""What the document of a checkpoint must hold, checked before anything is made of it.

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
from chainrule.graph.node import Array
from chainrule.nn.architecture import is_description
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.training.plan import Plan

Rule = Callable[[Any], bool]
Rules = Mapping[str, tuple[Rule, str]]
#: Counts are below this: every one is exact in float64.
LARGEST = 2**53


def strange(path: Path, expected: str, got: str) -> CheckpointError:
    """The error for a file that no run has written."""
    return CheckpointError(
        f"{path} holds no checkpoint of a run.",
        expected=expected,
        got=got[:80],
        fix="use a file that save() wrote",
    )


def check(path: Path, document: Mapping[str, Any], rules: Rules) -> None:
    """Refuse a document in which something is missing, or of another kind."""
    for key, (right, what) in rules.items():
        if not right(document.get(key, ...)):
            got = repr(document[key]) if key in document else "nothing"
            raise strange(path, f"{key!r}: {what}", got)


# -- kinds of values -------------------------------------------------------------------


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _number(value: Any) -> bool:
    """NaN and infinity are some."""
    return type(value) is float or (type(value) is int and abs(value) < LARGEST)


def _seconds(value: Any) -> bool:
    return _number(value) and 0 <= value < math.inf


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _objects_of(kind: Rule) -> Rule:
    return lambda value: isinstance(value, dict) and all(map(kind, value.values()))


def _list_of(kind: Rule) -> Rule:
    return lambda value: isinstance(value, list) and all(map(kind, value))


def _maybe(kind: Rule) -> Rule:
    return lambda value: value is None or kind(value)


def _row(value: Any) -> bool:
    """A row of the history."""
    right = _objects_of(_number)(value)
    return right and _count(value.get("epoch")) and _seconds(value.get("seconds"))


def _metric(value: Any) -> bool:
    return is_description(value) and "arguments" in value


def _settings(value: Any) -> bool:
    return _object(value) and _text(value.get("name")) and "lr" in value


# -- documents -------------------------------------------------------------------------

_COUNT = _count, "a whole number ≥ 0"
_OBJECT = _object, "a dictionary"
_OBJECTS = _objects_of(_object), "a dictionary of dictionaries"
_TEXTS = _list_of(_text), "a list of texts"

#: Where a run stands: see ``RunState``.
STATE: Rules = {
    "epoch": _COUNT,
    "step": _COUNT,
    "updates": _COUNT,
    "seconds": (_seconds, "a number ≥ 0"),
    "plan": (_maybe(_object), "a dictionary, or null"),
    "epochs": (_list_of(_row), "rows with epoch and seconds, of numbers"),
    "validation_name": (_text, "a text"),
    "tables": _OBJECTS,
    "source": _OBJECT,
    "observers": _OBJECTS,
    "starts": (_objects_of(_count), "a dictionary of whole numbers ≥ 0"),
    "notes": _OBJECT,
}
#: What a Trainer is made of besides.
TRAINER: Rules = {
    "architecture": (_maybe(is_description), "the description of a network, or null"),
    "model": (_text, "a text"),
    "loss": (_maybe(is_description), "the description of a loss, or null"),
    "optimizer": (_settings, "the settings of an optimiser"),
    "seed": (
        lambda value: type(value) is int and 0 <= value < 2**64,
        "a whole number of 64 bits",
    ),
    "engine": (lambda v: _text(v) and len(v) < 40, "the name of an engine"),
    "metrics": (
        _maybe(_list_of(_maybe(_metric))),
        "descriptions of metrics, or null",
    ),
    "probes": _TEXTS,
    "frozen": _TEXTS,
}
#: What a plan says of the data; its other parts are counts.
_DATA: Rules = {
    "class_names": (_maybe(_list_of(_text)), "a list of texts, or null"),
    "format": (_maybe(_object), "a dictionary, or null"),
    "scale": (
        _maybe(lambda value: _number(value) and math.isfinite(value)),
        "a finite number, or null",
    ),
}


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
        or not all(map(_count, (*counts, *perhaps)))
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


def misfit(
    arrays: Mapping[str, Array], tensors: Mapping[str, Tensor]
) -> tuple[str, str] | None:
    """The first array that is missing, unknown or of another type.

    Args:
        arrays: of a checkpoint.
        tensors: that they are for, by the same names.

    Returns:
        What is wanted and what is there; None where all of them fit.
    """
    for name, t in tensors.items():
        want = f"{name} of {t.dtype.name}{show(t.shape)}"
        if name not in arrays:
            return want, f"no {name}"
        array = arrays[name]
        if array.shape != t.shape or array.dtype != t.dtype.numpy:
            return want, f"{array.dtype}{show(array.shape)}"
    unknown = sorted(arrays.keys() - tensors.keys())
    return (f"no {unknown[0]}", unknown[0]) if unknown else None
