"""What is wrong with a file, put into words: one place for all messages of pydantic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from chainrule.errors import nearest
from chainrule.runs import schema
from chainrule.runs.classes import Family
from chainrule.runs.problems import Problem, Where
from chainrule.runs.section import Section, Wrong, example, takes
from chainrule.runs.values import key, show

#: Words that people know from elsewhere: of sections and keys, in lower case, and of
#: classes.
SYNONYMS = {
    "learning_rate": "lr",
    "name": "class",
    "type": "class",
    "kind": "class",
    "path": "source",
    "file": "source",
    "label": "target",
    "labels": "target",
    "columns": "features",
    "categorical": "dtype",
    "units": "out_features",
    "size": "out_features",
    "inputs": "in_features",
    "outputs": "out_features",
    "rate": "p",
    "standardise": "standardize",
    "normalize": "standardize",
    "dir": "directory",
    "out": "directory",
    "batch": "batch_size",
    "optimiser": "optimizer",
    "dataset": "data",
    "network": "model",
    "scheduler": "schedule",
    "train": "training",
    "dense": "Linear",
    "fullyconnected": "Linear",
    "batchnormalization": "BatchNorm1d",
    "layernormalization": "LayerNorm",
    "swish": "SiLU",
    "mse": "MSELoss",
    "mae": "L1Loss",
    "crossentropy": "CrossEntropyLoss",
}


def problems(error: ValidationError) -> list[Problem]:
    """All that pydantic refuses, as problems of the file."""
    return [
        _problem(item["loc"], item.get("ctx", {})["wrong"])
        for item in error.errors(include_url=False)
    ]


def _problem(where: Where, wrong: Wrong) -> Problem:
    """The problem with its four answers."""
    whose = wrong.whose
    if isinstance(whose, Family):
        return _no_class(whose, wrong, where)
    if whose is schema.Run:
        whole = wrong.why == "extra_forbidden"
        return _no_section(where, wrong) if whole else _no_table(where, wrong.got)
    if wrong.why == "model_type":
        return _no_table(where, wrong.got)
    if wrong.why == "extra_forbidden":
        known = whose.known()
        return Problem(
            where,
            f"{whose.title} has no key {wrong.key[:60]!r}.",
            expected=", ".join(known),
            got=f"{key(wrong.key[:60])} = {show(wrong.got)}",
            fix=_other_key(wrong.key, whose, str(where[0])),
        )
    if wrong.why == "none_required":
        return Problem(
            where,
            f"it is not for {whose.what}, which has a test set of its own.",
            expected=f"no key {wrong.key!r}",
            got=f"{wrong.key} = {show(wrong.got)}",
            fix="leave it away",
        )
    if wrong.why == "unclear":
        return Problem(
            where,
            "its name does not tell how to read it.",
            expected="a name that ends in .csv, .npz or .idx, a folder, or the key "
            "format",
            got=show(wrong.got),
            fix='add format = "csv" (or "npz", "idx", "images")',
        )
    field = whose.known()[wrong.key]
    if wrong.why == "missing":
        value = "…" if example(field) is None else show(example(field))
        return Problem(
            where[:-1],
            f"{whose.title} needs the key {wrong.key!r}.",
            expected=f"{wrong.key} = {takes(field)}",
            got="nothing",
            fix=f"add {wrong.key} = {value}",
        )
    wanted = takes(field)
    return Problem(
        where,
        "it does not take this value.",
        expected=wanted + (", without control characters" * (wrong.why == "text")),
        got=show(wrong.got),
        fix=_other_value(wrong, field, wanted),
    )


# -- sections --------------------------------------------------------------------------


def _no_table(where: Where, got: Any) -> Problem:
    """A section, or a table of options, that is written as something else."""
    name, *rest = where
    section = schema.SECTIONS[str(name)]
    head = section.title
    if rest:
        layer = "the name of a layer, or " if name == "model" else ""
        return Problem(
            where,
            "it is not a table of options.",
            expected=f"{layer}a table",
            got=show(got),
            fix='write { class = "…", … }' if layer else "write { key = value, … }",
        )
    return Problem(
        where,
        "it is not a section.",
        expected=f"{head}, with keys on the lines below it",
        got=f"{name} = {show(got)}",
        fix=f"write {head} on a line of its own",
    )


def _no_section(where: Where, wrong: Wrong) -> Problem:
    """A section that does not exist, or a key outside of all sections."""
    name, sections = wrong.key, schema.SECTIONS
    home = next((s.title for s in sections.values() if name in s.known()), None)
    is_section = isinstance(wrong.got, dict | list)
    near = _near(name, sections)
    if home and not is_section:
        fix = f"move it below {home}"
    else:
        fix = f"did you mean [{near}]?" if near else "leave it away"
    return Problem(
        where,
        "there is no such section." if is_section else "it is in no section.",
        expected=", ".join(section.title for section in sections.values()),
        got=f"[{key(name[:60])}]" if is_section else f"{name:.60} = {show(wrong.got)}",
        fix=fix,
    )


# -- classes ---------------------------------------------------------------------------


def _no_class(family: Family, wrong: Wrong, where: Where) -> Problem:
    """A class that does not exist."""
    name = wrong.got
    if not isinstance(name, str):
        return Problem(
            where,
            f"it is not said which {family.what} this is.",
            expected=f"the name of a {family.what} in quotes",
            got=show(name),
            fix='class = "…"',
        )
    near = _near(name, family.classes)
    fix = f'did you mean "{near}"?' if near else f"choose another {family.what}"
    stem = name.partition("(")[0].strip()
    if stem != name and stem in family.classes:
        fix = f"write its options as keys: {{ class = {show(stem)}, … }}"
    elif family is schema.LAYERS and name in schema.SCALING:
        fix = "leave it away: standardize = true in [model] does this"
    elif family is schema.LAYERS and name in schema.LOSSES.classes:
        fix = f"a loss has a section of its own: [loss] with class = {show(name)}"
    elif name == "LinearWarmup":
        fix = "a warm-up is a key of [schedule]: warmup = 100"
    return Problem(
        where,
        f"there is no {family.what} {name[:60]!r}.",
        expected=_some(family.classes),
        got=show(name),
        fix=fix,
    )


# -- keys and values -------------------------------------------------------------------


def _near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    known, synonym = list(known), SYNONYMS.get(name.lower())
    return synonym if synonym in known else nearest(name, known)


def _other_key(name: str, whose: type[Section], section: str) -> str:
    """What to write instead of a key that does not exist."""
    near = _near(name, whose.known())
    kinds = [k.what for k in schema.KINDS.values() if name in k.known()]
    if issubclass(whose, schema.Data) and kinds:
        return f"leave it away; it is for {', '.join(kinds)}"
    others = [s for n, s in schema.SECTIONS.items() if n != section]
    home = next((s.title for s in others if name in s.known()), None)
    if kinds and section != "data":
        home = "[data]"
    if name in ("lr", "max_lr") and section != "optimizer":
        home = "[optimizer]"
    if near is not None and near.lower() == name.lower():
        return f"did you mean {near!r}?"
    if home is not None and name != "class":
        return f"move it below {home}"
    return f"did you mean {near!r}?" if near is not None else "leave it away"


def _other_value(wrong: Wrong, field: FieldInfo, wanted: str) -> str:
    """What to write instead of a value that is not taken."""
    if isinstance(wrong.got, str):
        bare = wrong.got.strip().lower()
        plain = bare in ("true", "false") or bare.replace(".", "").isdigit()
        if plain and '"' not in wanted and "quotes" not in wanted:
            return f"write it without quotes: {wrong.key} = {bare}"
        choices = re.findall(r'(?:^|or )"([^"]*)"', wanted)
        if near := nearest(wrong.got, choices):
            return f'did you mean "{near}"?'
    values = (example(field), None if field.is_required() else field.default)
    value = next((v for v in values if v is not None), None)
    return f"{wrong.key} = {'…' if value is None else show(value)}"


def _some(names: Iterable[str]) -> str:
    """Names for a message, the first of many."""
    known = list(names)
    rest = len(known) - 20
    return ", ".join(known[:20]) + (f" and {rest} more" if rest > 0 else "")
