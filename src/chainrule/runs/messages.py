"""What is wrong with a file, put into words: one place for all messages of pydantic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from chainrule.errors import nearest
from chainrule.language import language
from chainrule.runs import schema
from chainrule.runs.classes import Family
from chainrule.runs.problems import Problem, Where
from chainrule.runs.section import Section, Wrong, carried, example, takes
from chainrule.runs.values import key, show
from chainrule.translation import tr

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
    """All that pydantic refuses, as problems of the file."""
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
    """The four answers about something wrong."""
    whose, name, got = wrong.whose, wrong.key, show(wrong.got)
    if isinstance(whose, Family):
        return _no_class(whose, wrong.got)
    if whose is schema.Run and wrong.why == "extra_forbidden":
        return _no_section(name, wrong.got)
    if whose is schema.Run or wrong.why == "model_type":
        return _no_table(where, got)
    if wrong.why == "extra_forbidden":
        what = f"{whose.title} has no key {name[:60]!r}."
        given = f"{key(name[:60])} = {got}"
        return what, ", ".join(whose.known()), given, _other_key(name, whose, where)
    if wrong.why == "none_required":
        why = ", which has a test set of its own" if name == "test" else ""
        what = f"it is not for {whose.what}{why}."
        return what, f"no key {name!r}", f"{name} = {got}", "leave it away"
    field = whose.known()[name]
    wanted, value = takes(field), example(field)
    if wrong.why == "missing":
        what = f"{whose.title} needs the key {name!r}."
        fix = f"add {name} = {'…' if value is None else show(value)}"
        return what, f"{name} = {wanted}", "nothing", fix
    fix = _other_value(wrong, field)
    if wrong.why == "text":
        wanted += tr(", not empty and without control characters")
    return "it does not take this value.", wanted, got, fix


def _no_table(where: Where, got: str) -> Answers:
    """A section, or a table of options, that is written as something else."""
    name, *rest = where
    head = schema.SECTIONS[str(name)].title
    if not rest:
        wanted, fix = (
            f"{head}, with keys on the lines below it",
            f"write {head} on a line",
        )
        return "it is not a section.", wanted, f"{name} = {got}", f"{fix} of its own"
    what = "it is not a table of options."
    if name == "model":
        return what, "the name of a layer, or a table", got, 'write { class = "…", … }'
    return what, "a table", got, "write { key = value, … }"


def _no_section(name: str, got: Any) -> Answers:
    """A section that does not exist, or a key outside of all sections."""
    home, near = _home(name), _near(name, schema.SECTIONS)
    wanted = ", ".join(section.title for section in schema.SECTIONS.values())
    fix = f"did you mean [{near}]?" if near else "leave it away"
    if isinstance(got, dict | list):
        return "there is no such section.", wanted, f"[{key(name[:60])}]", fix
    fix = f"move it below {home}" if home else fix
    return "it is in no section.", wanted, f"{name:.60} = {show(got)}", fix


def _no_class(family: Family, name: Any) -> Answers:
    """A class that does not exist."""
    if not isinstance(name, str):
        what = f"it is not said which {family.what} this is."
        return what, f"the name of a {family.what} in quotes", show(name), 'class = "…"'
    near = _near(name, family.classes)
    fix = f'did you mean "{near}"?' if near else f"choose another {family.what}"
    stem = name.partition("(")[0].strip()
    if stem != name and stem in family.classes:
        fix = f"write its options as keys: {{ class = {show(stem)}, … }}"
    elif family is schema.LAYERS and name in schema.SCALING:
        fix = "leave it away: standardize = true in [model] does this"
        if name.endswith("Target"):
            fix = 'target_transform = "log" or "quantile" in [data] does this'
    elif family is schema.LAYERS and name in schema.LOSSES.classes:
        fix = f"a loss has a section of its own: [loss] with class = {show(name)}"
    elif name == "LinearWarmup":
        fix = "a warm-up is a key of [schedule]: warmup = 100"
    first, rest = list(family.classes)[:SHOWN], len(family.classes) - SHOWN
    wanted = ", ".join(first) + (f" and {rest} more" if rest > 0 else "")
    return f"there is no {family.what} {name[:60]!r}.", wanted, show(name), fix


# -- what was probably meant -----------------------------------------------------------


def _near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    known, synonym = list(known), SYNONYMS.get(name.lower())
    if synonym == "out_features" and "hidden_size" in known:
        return "hidden_size"
    return synonym if synonym in known else nearest(name, known)


def _home(name: str, other_than: str | int = "") -> str | None:
    """The section that has a key of that name."""
    if name in ("lr", "max_lr"):
        return "[optimizer]" if other_than != "optimizer" else None
    for section, keys in schema.SECTIONS.items():
        kinds = schema.KINDS.values() if section == "data" else (keys,)
        if section != other_than and any(name in kind.known() for kind in kinds):
            return keys.title
    return None


def _other_key(name: str, whose: type[Section], where: Where) -> str:
    """What to write instead of a key that does not exist."""
    near, home = _near(name, whose.known()), _home(name, where[0])
    kinds = [k.what for k in schema.KINDS.values() if name in k.known()]
    text = schema.KINDS["text"]
    if whose is schema.KINDS["csv"] and name in text.known():
        return 'add format = "text"'
    if issubclass(whose, schema.Data) and kinds:
        return f"leave it away; it is for {', '.join(kinds)}"
    if name == "batch_first":
        return "leave it away: samples come first in all layers of a file"
    same = near is not None and name.lower() in (near.lower(), *SYNONYMS)
    if home is not None and name != "class" and not same:
        return f"move it below {home}"
    return f"did you mean {near!r}?" if near is not None else "leave it away"


def _other_value(wrong: Wrong, field: FieldInfo) -> str:
    """What to write instead of a value that is not taken."""
    with language("en"):
        wanted = takes(field)
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
