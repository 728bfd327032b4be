"""What the document of a checkpoint must hold, checked before anything is made of it.

The signature of a file tells that nothing has happened to it, not that a Trainer wrote
it. So every value that is used later is looked at here: its type, its range, and
whether the position fits the run. What a class's constructor refuses it refuses itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from chainrule.errors import CheckpointError
from chainrule.graph.node import Array
from chainrule.training.plan import Plan

#: Counts are below this: every one is exact in float64.
LARGEST = 2**53


def count(value: Any) -> bool:
    """Whether it is a whole number ≥ 0."""
    return type(value) is int and 0 <= value < LARGEST


def number(value: Any) -> bool:
    """Whether it is a number; NaN and infinity are some."""
    return type(value) is float or (type(value) is int and abs(value) < LARGEST)


def _seconds(value: Any) -> bool:
    return number(value) and 0 <= value < math.inf


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _described(value: Any) -> bool:
    """Whether it describes a module: ``training.architecture``."""
    pending = [value]
    while pending:
        spec = pending.pop()
        if not isinstance(spec, dict) or not isinstance(spec.get("class"), str):
            return False
        inner = spec.get("modules", [])
        if not isinstance(inner, list) or spec.keys() not in _DESCRIPTIONS:
            return False
        if not isinstance(spec.get("arguments", {}), dict):
            return False
        pending += inner
    return True


_DESCRIPTIONS = ({"class", "modules"}, {"class", "arguments"})


def _row(value: Any) -> bool:
    """Whether it is a row of the history."""
    if not isinstance(value, dict) or not count(value.get("epoch")):
        return False
    whole = {"train_loss", "lr", "seconds"} <= value.keys()
    return whole and all(map(number, value.values())) and _seconds(value["seconds"])


def _optimizer(value: Any) -> bool:
    return _mapping(value) and _text(value.get("name")) and "lr" in value


def _metric(value: Any) -> bool:
    """Whether it describes a metric: ``training.metrics.spec``."""
    if not isinstance(value, dict) or value.keys() != {"class", "arguments"}:
        return False
    return _text(value["class"]) and _mapping(value["arguments"])


def _each(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(kind, value))


def _maybe(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or kind(value)


Rules = Mapping[str, tuple[Callable[[Any], bool], str]]
#: What a document must hold.
_MUST: Rules = {
    "architecture": (_maybe(_described), "the description of a network, or null"),
    "loss": (_maybe(_described), "the description of a loss, or null"),
    "optimizer": (_optimizer, "the settings of an optimiser"),
    "updates": (count, "a whole number ≥ 0"),
    "seed": (
        lambda value: type(value) is int and 0 <= value < 2**64,
        "a whole number of 64 bits",
    ),
    "engine": (
        lambda value: _text(value) and len(value) < 40,
        "the name of an engine",
    ),
    "epoch": (count, "a whole number ≥ 0"),
    "step": (count, "a whole number ≥ 0"),
    "seconds": (_seconds, "a number ≥ 0"),
    "plan": (_maybe(_mapping), "a dictionary, or null"),
    "epochs": (_each(_row), "rows with epoch, train_loss, lr and seconds, of numbers"),
    "notes": (_mapping, "a dictionary"),
}
#: What it may hold besides: checkpoints of older versions lack some of it.
_MAY: Rules = {
    "model": (_text, "a text"),
    "validation_name": (_text, "a text"),
    "metrics": (_maybe(_each(_maybe(_metric))), "descriptions of metrics, or null"),
    "probes": (_each(_text), "a list of texts"),
    "frozen": (_each(_text), "a list of texts"),
    "class_names": (_maybe(_each(_text)), "a list of texts, or null"),
    "format": (_maybe(_mapping), "a dictionary, or null"),
    "scale": (
        _maybe(lambda value: number(value) and math.isfinite(value)),
        "a finite number, or null",
    ),
    "callbacks": (
        lambda value: _mapping(value) and all(map(_mapping, value.values())),
        "a dictionary of dictionaries",
    ),
}


def check(
    path: Path, document: Mapping[str, Any], tensors: Mapping[str, Array]
) -> None:
    """Refuse a checkpoint that no Trainer wrote.

    Raises:
        CheckpointError: naming what is missing, or of another kind.
    """
    for rules, needed in ((_MUST, True), (_MAY, False)):
        for key, (right, what) in rules.items():
            if (needed or key in document) and not right(document.get(key, ...)):
                got = repr(document[key]) if key in document else "nothing"
                raise _strange(path, f"{key!r}: {what}", got)
    _check_tensors(path, tensors)
    plan = read_plan(path, document["plan"])
    if plan is not None:
        _check_position(path, document, tensors, plan)


def _strange(path: Path, expected: str, got: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds no checkpoint of a Trainer.",
        expected=expected,
        got=got[:80],
        fix="use a file that trainer.save wrote",
    )


def _check_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Refuse records of steps that are no table, and arrays that are nobody's."""
    recorded = with_prefix(tensors, "history/")
    shapes = {a.shape for a in recorded.values()}
    floats = all(a.dtype.kind == "f" for a in recorded.values())
    if (
        "loss" not in recorded
        or len(shapes) != 1
        or len(min(shapes)) != 1
        or not floats
    ):
        expected = "'history': one column of floats a probe, with loss"
        raise _strange(path, expected, str(sorted(shapes)))
    for name in tensors:
        if name.startswith("callback/") and name.count("/") < 2:
            raise _strange(path, "arrays called callback/class/key", repr(name))


def with_prefix(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The tensors under a prefix, without it."""
    return {n[len(prefix) :]: a for n, a in tensors.items() if n.startswith(prefix)}


def read_plan(path: Path, saved: Mapping[str, Any] | None) -> Plan | None:
    """The run that a checkpoint is of.

    Raises:
        CheckpointError: a description of something else.
    """
    if saved is None:
        return None
    try:
        plan = Plan(**saved)
    except TypeError as error:
        raise _no_run(path, saved) from error
    counts = (plan.first, plan.epochs, plan.batch_size, plan.checksum)
    perhaps = [n for n in (plan.rows, plan.block) if n is not None]
    if (
        not all(map(count, (*counts, *perhaps)))
        or not isinstance(plan.drop_last, bool)
        or not (plan.epochs and plan.batch_size)
        or (plan.block or 0) % plan.batch_size
    ):
        raise _no_run(path, saved)
    return plan


def _no_run(path: Path, saved: Any) -> CheckpointError:
    return CheckpointError(
        f"{path} describes a run that this version does not know.",
        expected=", ".join(f.name for f in fields(Plan)) + ", whole numbers that fit",
        got=repr(saved)[:200],
        fix="use the version of Chainrule that wrote it",
    )


def _check_position(
    path: Path, document: Mapping[str, Any], tensors: Mapping[str, Array], plan: Plan
) -> None:
    """Refuse an epoch or a step outside of the run, and steps without a record."""
    epoch, step = document["epoch"], document["step"]
    last = plan.steps_per_epoch
    if not plan.first <= epoch <= plan.end or (last is not None and step > last):
        run = f"epochs {plan.first} … {plan.end}"
        steps = "" if last is None else f" of {last} steps"
        raise _strange(path, run + steps, f"epoch {epoch}, step {step}")
    recorded = len(tensors["history/loss"])
    if step > recorded:
        raise _strange(path, f"the losses of {step} steps", f"{recorded} of them")
