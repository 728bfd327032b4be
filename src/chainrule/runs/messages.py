"""Error messages for run files: keys, values, sections and classes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from chainrule.errors import ChainruleError, nearest
from chainrule.runs import schema
from chainrule.runs.classes import Family
from chainrule.runs.layers import SCALING
from chainrule.runs.problems import Problem, Refused, SectionError, Where
from chainrule.runs.section import Section, accepted, example
from chainrule.runs.values import key, show
from chainrule.text import _, joined

#: So many classes are named.
SHOWN = 20
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


def problems(error: SectionError) -> list[Problem]:
    """Return the problems of a run file, with messages, from a section's error."""
    return [_problem(where, item) for where, item in error.problems.items()]


def _problem(where: Where, item: Refused | ChainruleError) -> Problem:
    """Convert an error at a key or section of a run file to a problem with a text."""
    if isinstance(item, ChainruleError):
        problem = Problem.of(item)
        problem.where = where
        return problem
    section, kind, name, value = item
    if isinstance(section, Family):
        return _no_class(section, where, value)
    if section is schema.Run and kind == "extra_forbidden":
        return _no_section(name, value)
    if section is schema.Run or not name:
        return _no_table(section, where, value)
    if kind == "missing":
        return _missing(section, where, name)
    if kind == "extra_forbidden":
        return Problem(
            where,
            _("{title} has no key {name!r}.", title=section.title, name=name[:60]),
            expected=", ".join(section.known()),
            got=f"{key(name[:60])} = {show(value)}",
            fix=_other_key(name, section, str(where[0])),
        )
    if kind == "none_required":
        why = _(", which has a test set of its own") if name == "test" else ""
        return Problem(
            where,
            _("it is not for {what}{why}.", what=section.what, why=why),
            expected=_("no key {name!r}", name=name),
            got=f"{name} = {show(value)}",
            fix=_("leave it away"),
        )
    return _no_value(section, kind, where, value)


def _missing(section: type[Section], where: Where, name: str) -> Problem:
    """Return the problem of a key that is missing in a section of a run file."""
    field = section.known()[name]
    value, wanted = example(field), accepted(field)
    choice = "…" if value is None else show(value)
    return Problem(
        where[:-1],
        _("{title} needs the key {name!r}.", title=section.title, name=name),
        expected=_("{name} = {wanted}", name=name, wanted=wanted),
        got=_("nothing"),
        fix=_("add {name} = {choice}", name=name, choice=choice),
    )


def _no_table(section: type[Section], where: Where, value: Any) -> Problem:
    """Return the problem of a run file's section or table that has a wrong type."""
    name, *rest = where
    if not rest:
        head, got = schema.SECTIONS[str(name)].title, f"{name} = {show(value)}"
        return Problem(
            where,
            _("it is not a section."),
            expected=_("{head}, with keys on the lines below it", head=head),
            got=got,
            fix=_("write {head} on a line of its own", head=head),
        )
    wanted, fix = _("a table"), _("write { key = value, … }")
    if name == "model":
        wanted = _("the name of a layer, or a table")
        fix = _('write { class = "…", … }')
    what = _("it is not a table of options.")
    return Problem(where, what, expected=wanted, got=show(value), fix=fix)


def _no_section(name: str, value: Any) -> Problem:
    """Return the problem of a run file's unknown section, or key without section."""
    home, near = _home(name), _near(name, schema.SECTIONS)
    fix = _("did you mean [{near}]?", near=near) if near else _("leave it away")
    if isinstance(value, dict | list):
        what, got = _("there is no such section."), f"[{key(name[:60])}]"
    else:
        what, got = _("it is in no section."), f"{name:.60} = {show(value)}"
        fix = _("move it below {home}", home=home) if home else fix
    titles = (section.title for section in schema.SECTIONS.values())
    return Problem((name,), what, expected=", ".join(titles), got=got, fix=fix)


def _no_value(section: type[Section], kind: str, where: Where, value: Any) -> Problem:
    """Return the problem of a value that a run file's key does not take."""
    name = str(where[-1])
    field = section.known()[name]
    wanted = accepted(field)
    values = (example(field), None if field.is_required() else field.default)
    usual = next((v for v in values if v is not None), None)
    fix = f"{name} = {'…' if usual is None else show(usual)}"
    if isinstance(value, str):
        bare = value.strip().lower()
        plain = bare in ("true", "false") or bare.replace(".", "").isdigit()
        choices = re.findall(r'(?:^|or )"([^"]*)"', wanted)
        if plain and '"' not in wanted and "quotes" not in wanted:
            fix = _("write it without quotes: {key} = {bare}", key=name, bare=bare)
        elif near := nearest(value, choices):
            fix = _('did you mean "{near}"?', near=near)
    if kind == "text":
        wanted = _("{wanted}, not empty and without control characters", wanted=wanted)
    what = _("it does not take this value.")
    return Problem(where, what, expected=wanted, got=show(value), fix=fix)


def _no_class(family: Family, where: Where, name: Any) -> Problem:
    """Return the problem of an unknown class in a run file."""
    if not isinstance(name, str):
        return Problem(
            where,
            _("it is not said which {what} this is.", what=family.what),
            expected=_("the name of a {what} in quotes", what=family.what),
            got=show(name),
            fix='class = "…"',
        )
    first, rest = list(family.classes)[:SHOWN], len(family.classes) - SHOWN
    wanted: str = ", ".join(first)
    if rest > 0:
        wanted = _("{names} and {rest} more", names=wanted, rest=rest)
    return Problem(
        where,
        _("there is no {what} {name!r}.", what=family.what, name=name[:60]),
        expected=wanted,
        got=show(name),
        fix=_other_class(family, name),
    )


# -- what was probably meant -----------------------------------------------------------


def _near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name or synonym most similar to a run file's wrong name."""
    known, synonym = list(known), SYNONYMS.get(name.lower())
    if synonym == "out_features" and "hidden_size" in known:
        return "hidden_size"
    return synonym if synonym in known else nearest(name, known)


@functools.cache
def _keys() -> dict[type[Section], frozenset[str]]:
    """Return the known keys of all sections and of all kinds of data."""
    sections = (*schema.SECTIONS.values(), *schema.KINDS.values())
    return {section: frozenset(section.known()) for section in sections}


def _home(name: str, other_than: str = "") -> str | None:
    """Return the title of another section of a run file that has a key."""
    if name in ("lr", "max_lr"):
        return "[optimizer]" if other_than != "optimizer" else None
    for section, keys in schema.SECTIONS.items():
        kinds = schema.KINDS.values() if section == "data" else (keys,)
        if section != other_than and any(name in _keys()[kind] for kind in kinds):
            return keys.title
    return None


def _other_key(name: str, section: type[Section], own: str) -> str:
    """Return the suggested fix for an unknown key in a run file."""
    near, home = _near(name, section.known()), _home(name, own)
    kinds = [k.what for k in schema.KINDS.values() if name in _keys()[k]]
    if section is schema.KINDS["csv"] and name in _keys()[schema.KINDS["text"]]:
        return _('add format = "text"')
    if issubclass(section, schema.Data) and kinds:
        return _("leave it away; it is for {kinds}", kinds=joined(", ", kinds))
    if name == "batch_first":
        return _("leave it away: samples come first in all layers of a file")
    same = near is not None and name.lower() in (near.lower(), *SYNONYMS)
    if home is not None and name != "class" and not same:
        return _("move it below {home}", home=home)
    if near is not None:
        return _("did you mean {near!r}?", near=near)
    return _("leave it away")


def _other_class(family: Family, name: str) -> str:
    """Return the suggested fix for an unknown class in a run file."""
    stem = name.partition("(")[0].strip()
    if stem != name and stem in family.classes:
        return _("write its options as keys: {{ class = {stem}, … }}", stem=show(stem))
    if family is schema.LAYERS and name in SCALING:
        if name.endswith("Target"):
            return _('target_transform = "log" or "quantile" in [data] does this')
        return _("leave it away: standardize = true in [model] does this")
    if family is schema.LAYERS and name in schema.LOSSES.classes:
        return _(
            "a loss has a section of its own: [loss] with class = {name}",
            name=show(name),
        )
    if name == "LinearWarmup":
        return _("a warm-up is a key of [schedule]: warmup = 100")
    if near := _near(name, family.classes):
        return _('did you mean "{near}"?', near=near)
    return _("choose another {what}", what=family.what)
