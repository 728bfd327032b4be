"""Messages about errors in run files, in place of pydantic's."""

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
from chainrule.runs.section import Section, Wrong, carried, example, takes
from chainrule.runs.values import key, show
from chainrule.text import _

#: What was wrong, expected, got, and how to fix it.
Answers = tuple[str, str, str, str]
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


def problems(error: ValidationError) -> list[Problem]:
    """Convert pydantic's validation errors to problems of the file."""
    found = []
    for item in error.errors(include_url=False):
        where, said = carried(item)
        if isinstance(said, Wrong):
            what, expected, got, fix = _answers(where, said)
            # What is missing has no line of its own.
            where = where[:-1] if said.why == "missing" else where
            found.append(Problem(where, what, expected=expected, got=got, fix=fix))
        else:
            assert said is not None  # nothing else refuses a section
            made = Problem.of(said)
            made.where = where
            found.append(made)
    return found


def _answers(where: Where, wrong: Wrong) -> Answers:
    """Return the error's four texts for a wrong key or value."""
    whose, name, got = wrong.whose, wrong.key, show(wrong.got)
    if isinstance(whose, Family):
        return _no_class(whose, wrong.got)
    if whose is schema.Run and wrong.why == "extra_forbidden":
        return _no_section(name, wrong.got)
    if whose is schema.Run or wrong.why == "model_type":
        return _no_table(where, got)
    if wrong.why == "extra_forbidden":
        what = _("{title} has no key {name!r}.", title=whose.title, name=name[:60])
        given = f"{key(name[:60])} = {got}"
        return what, ", ".join(whose.known()), given, _other_key(name, whose, where)
    if wrong.why == "none_required":
        why = _(", which has a test set of its own") if name == "test" else ""
        what = _("it is not for {what}{why}.", what=whose.what, why=why)
        return (
            what,
            _("no key {name!r}", name=name),
            f"{name} = {got}",
            _("leave it away"),
        )
    field = whose.known()[name]
    wanted, value = takes(field), example(field)
    if wrong.why == "missing":
        what = _("{title} needs the key {name!r}.", title=whose.title, name=name)
        fix = _(
            "add {name} = {choice}",
            name=name,
            choice="…" if value is None else show(value),
        )
        return what, _("{name} = {wanted}", name=name, wanted=wanted), _("nothing"), fix
    fix = _other_value(wrong, field)
    if wrong.why == "text":
        wanted = _("{wanted}, not empty and without control characters", wanted=wanted)
    return _("it does not take this value."), wanted, got, fix


def _no_table(where: Where, got: str) -> Answers:
    """Return the error texts for a section or option table of a wrong type."""
    name, *rest = where
    head = schema.SECTIONS[str(name)].title
    if not rest:
        wanted, fix = (
            _("{head}, with keys on the lines below it", head=head),
            _("write {head} on a line of its own", head=head),
        )
        return _("it is not a section."), wanted, f"{name} = {got}", fix
    what = _("it is not a table of options.")
    if name == "model":
        return (
            what,
            _("the name of a layer, or a table"),
            got,
            _('write { class = "…", … }'),
        )
    return what, _("a table"), got, _("write { key = value, … }")


def _no_section(name: str, got: Any) -> Answers:
    """Return the error texts for an unknown section or a key outside of sections."""
    home, near = _home(name), _near(name, schema.SECTIONS)
    wanted = ", ".join(section.title for section in schema.SECTIONS.values())
    fix = _("did you mean [{near}]?", near=near) if near else _("leave it away")
    if isinstance(got, dict | list):
        return _("there is no such section."), wanted, f"[{key(name[:60])}]", fix
    fix = _("move it below {home}", home=home) if home else fix
    return _("it is in no section."), wanted, f"{name:.60} = {show(got)}", fix


def _no_class(family: Family, name: Any) -> Answers:
    """Return the error texts for an unknown class."""
    if not isinstance(name, str):
        what = _("it is not said which {what} this is.", what=family.what)
        return (
            what,
            _("the name of a {what} in quotes", what=family.what),
            show(name),
            'class = "…"',
        )
    near = _near(name, family.classes)
    fix = (
        _('did you mean "{near}"?', near=near)
        if near
        else _("choose another {what}", what=family.what)
    )
    stem = name.partition("(")[0].strip()
    if stem != name and stem in family.classes:
        fix = _("write its options as keys: {{ class = {stem}, … }}", stem=show(stem))
    elif family is schema.LAYERS and name in schema.SCALING:
        fix = _("leave it away: standardize = true in [model] does this")
        if name.endswith("Target"):
            fix = _('target_transform = "log" or "quantile" in [data] does this')
    elif family is schema.LAYERS and name in schema.LOSSES.classes:
        fix = _(
            "a loss has a section of its own: [loss] with class = {name}",
            name=show(name),
        )
    elif name == "LinearWarmup":
        fix = _("a warm-up is a key of [schedule]: warmup = 100")
    first, rest = list(family.classes)[:SHOWN], len(family.classes) - SHOWN
    wanted: str = ", ".join(first)
    if rest > 0:
        wanted = _("{names} and {rest} more", names=wanted, rest=rest)
    return (
        _("there is no {what} {name!r}.", what=family.what, name=name[:60]),
        wanted,
        show(name),
        fix,
    )


# -- what was probably meant -----------------------------------------------------------


def _near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to ``name``, or its synonym."""
    known, synonym = list(known), SYNONYMS.get(name.lower())
    if synonym == "out_features" and "hidden_size" in known:
        return "hidden_size"
    return synonym if synonym in known else nearest(name, known)


def _home(name: str, other_than: str | int = "") -> str | None:
    """Return the title of the section that has a key of this name."""
    if name in ("lr", "max_lr"):
        return "[optimizer]" if other_than != "optimizer" else None
    for section, keys in schema.SECTIONS.items():
        kinds = schema.KINDS.values() if section == "data" else (keys,)
        if section != other_than and any(name in kind.known() for kind in kinds):
            return keys.title
    return None


def _other_key(name: str, whose: type[Section], where: Where) -> str:
    """Return the suggested fix for an unknown key."""
    near, home = _near(name, whose.known()), _home(name, where[0])
    kinds = [k.what for k in schema.KINDS.values() if name in k.known()]
    text = schema.KINDS["text"]
    if whose is schema.KINDS["csv"] and name in text.known():
        return _('add format = "text"')
    if issubclass(whose, schema.Data) and kinds:
        return _("leave it away; it is for {kinds}", kinds=", ".join(kinds))
    if name == "batch_first":
        return _("leave it away: samples come first in all layers of a file")
    same = near is not None and name.lower() in (near.lower(), *SYNONYMS)
    if home is not None and name != "class" and not same:
        return _("move it below {home}", home=home)
    return (
        _("did you mean {near!r}?", near=near)
        if near is not None
        else _("leave it away")
    )


def _other_value(wrong: Wrong, field: FieldInfo) -> str:
    """Return the suggested fix for an invalid value."""
    wanted = takes(field)
    if isinstance(wrong.got, str):
        bare = wrong.got.strip().lower()
        plain = bare in ("true", "false") or bare.replace(".", "").isdigit()
        if plain and '"' not in wanted and "quotes" not in wanted:
            return _(
                "write it without quotes: {key} = {bare}", key=wrong.key, bare=bare
            )
        choices = re.findall(r'(?:^|or )"([^"]*)"', wanted)
        if near := nearest(wrong.got, choices):
            return _('did you mean "{near}"?', near=near)
    values = (example(field), None if field.is_required() else field.default)
    value = next((v for v in values if v is not None), None)
    return f"{wrong.key} = {'…' if value is None else show(value)}"
