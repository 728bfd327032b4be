"""The classes that a run's file may name, and the options that each takes.

Nothing is listed twice: classes come from the tables that checkpoints are read with,
their options from the signatures of their constructors.
"""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import dataclass
from typing import Any

from chainrule.nn.arguments import sizes_of
from chainrule.nn.losses.base import Reduction
from chainrule.runs.values import (
    Choice,
    Either,
    Flag,
    Kind,
    ListOf,
    Number,
    Plain,
    Text,
    Whole,
)

#: Layers that need numbers of the data: keys of ``[model]`` and ``[data]`` make them.
SCALING = ("Standardize", "Unstandardize", "LogTarget", "QuantileTarget")
_NO_LAYERS = ("Identity", "Module", "ModuleDict", "ModuleList", "Sequential", *SCALING)


@dataclass(frozen=True)
class Option:
    """One option of a class.

    Attributes:
        name: of the constructor's argument.
        kind: the values that it takes.
        required: whether the constructor needs it.
        default: what it is where it is left out.
        size: whether it is a number of units: what memory a layer needs is the product
            of its sizes.
    """

    name: str
    kind: Kind
    required: bool
    default: Any = None
    size: bool = False


@dataclass(frozen=True)
class Family:
    """Classes that stand in one place of the file.

    Attributes:
        what: what one of them is called.
        classes: name → class.
        hidden: arguments that the run itself supplies.
        rated: whether the first argument is a learning rate, which comes from the
            optimiser.
    """

    what: str
    classes: dict[str, type]
    hidden: tuple[str, ...] = ()
    rated: bool = False

    def options(self, name: str) -> dict[str, Option]:
        """The options of a class, in the order of its signature."""
        known = options_of(self.classes[name])
        hidden = {*self.hidden, *([rate_of(self.classes[name])] if self.rated else [])}
        return {k: o for k, o in known.items() if k not in hidden}


def rate_of(schedule: type) -> str:
    """The argument of a schedule that is the optimiser's learning rate: its first.

    >>> from chainrule import optim
    >>> rate_of(optim.OneCycleLR)
    'max_lr'
    """
    return next(iter(inspect.signature(schedule).parameters))


@functools.cache
def options_of(made: type) -> dict[str, Option]:
    """The arguments of a constructor that a file can give.

    >>> from chainrule import nn
    >>> [option.name for option in options_of(nn.Dropout).values()]
    ['p']
    """
    found, sizes = {}, sizes_of(made)
    for name, parameter in inspect.signature(made).parameters.items():
        kind = _kind_of(name, parameter)
        if kind is not None:
            required = parameter.default is parameter.empty
            default = None if required else parameter.default
            found[name] = Option(name, kind, required, default, name in sizes)
    return found


def summary(made: type) -> str:
    """The first sentence of a class's documentation.

    >>> from chainrule import nn
    >>> summary(nn.Tanh)
    'f(z) = tanh z, f′ = 1 − f² (2.7).'
    """
    return _plain(" ".join((made.__doc__ or "").partition("\n\n")[0].split()))


@functools.cache
def documentation(made: type) -> dict[str, str]:
    """What the documentation of a class says about each of its arguments.

    >>> from chainrule import nn
    >>> documentation(nn.Dropout)
    {'p': 'the probability of dropping, 0 ≤ p < 1.'}
    """
    found: dict[str, str] = {}
    for kind in reversed(made.__mro__):  # a class may say: see its base
        own = {name: _plain(said) for name, said in _arguments(kind).items()}
        found |= {n: t for n, t in own.items() if n not in found or "see " not in t}
    return found


def _plain(text: str) -> str:
    """Documentation without the marks of reStructuredText."""
    return re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text).replace("``", "`")


def _arguments(made: type) -> dict[str, str]:
    """The section "Args:" of a class's documentation."""
    _, _, rest = inspect.cleandoc(made.__doc__ or "").partition("\nArgs:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        match = re.match(r"    ([\w, ]+): (.*)", line)
        if match:
            names = [name.strip() for name in match[1].split(",")]
            found |= dict.fromkeys(names, match[2])
        elif line.startswith("     "):
            for name in names:
                found[name] += " " + line.strip()
        else:
            break
    return found


def _kind_of(name: str, parameter: inspect.Parameter) -> Kind | None:
    """The kind of an argument; None for one that a file cannot give."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return None
    if name in _BY_NAME:
        return _BY_NAME[name]
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else _name_of(annotation)
    parts = [part for part in _split(text) if part != "None"]
    kinds = [_KINDS.get(part) or _generic(part) for part in parts]
    known = [kind for kind in kinds if kind is not None]
    if not known:
        return None
    return known[0] if len(known) == 1 else Either(tuple(known))


def _name_of(annotation: Any) -> str:
    return getattr(annotation, "__name__", str(annotation))


def _split(text: str) -> list[str]:
    """The members of a union, at the bars that stand outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


#: Arguments whose annotations are aliases, or say less than their names.
_BY_NAME: dict[str, Kind] = {"lr": Number(), "path": Text("a path in quotes")}
_KINDS: dict[str, Kind] = {
    "int": Whole(),
    "Count": Whole(1),
    "float": Number(),
    "bool": Flag(),
    "str": Text(),
    "Any": Plain(),
    "ArrayLike": Plain(),
}
_PLURAL = {
    "int": (Whole(), "whole numbers"),
    "Count": (Whole(1), "whole numbers ≥ 1"),
    "float": (Number(), "numbers"),
    "str": (Text(), "texts"),
}


def _generic(text: str) -> Kind | None:
    """Lists, pairs, mappings and literals."""
    match = re.fullmatch(r"(?:\w+\.)*(\w+)\[(.*)\]", text, re.DOTALL)
    if match is None:
        return None
    outer, inner = match.groups()
    members = [m.strip() for m in inner.split(",") if m.strip()]
    if outer == "Literal":
        names = [m.strip("'\"") for m in members if m[0] in "'\""]
        return Choice(tuple(names)) if names else None
    if outer not in ("tuple", "list", "Sequence", "Iterable", "Collection"):
        return None
    if not members or members[0] not in _PLURAL:
        return None
    kind, plural = _PLURAL[members[0]]
    if outer == "tuple" and "..." not in members:
        n = len(members)
        return ListOf(kind, f"a list of {n} {plural}", n, n)
    if members[0] == "Count":
        return ListOf(kind, f"a list of {plural}", 1, 8)
    return ListOf(kind, f"a list of {plural}", 0, 100_000)


@functools.cache
def layers() -> Family:
    """What ``[model] layers`` is made of."""
    from chainrule import nn

    found = {
        name: made
        for name, made in _classes(nn, nn.Module).items()
        if not issubclass(made, Reduction) and name not in _NO_LAYERS
    }
    return Family("layer", found, hidden=("dtype",))


@functools.cache
def losses() -> Family:
    """What ``[loss]`` may name."""
    from chainrule import nn

    found = {
        name: made
        for name, made in _classes(nn, nn.Loss).items()
        if name not in ("Loss", "TransformedTargetLoss")
    }
    return Family("loss", found, hidden=("reduction",))


def _classes(module: Any, base: type) -> dict[str, type]:
    """The subclasses of ``base`` that a module exports."""
    exported = {name: getattr(module, name) for name in sorted(module.__all__)}
    return {
        name: made
        for name, made in exported.items()
        if isinstance(made, type) and issubclass(made, base)
    }


@functools.cache
def optimizers() -> Family:
    """What ``[optimizer]`` may name."""
    from chainrule import optim

    return Family("optimiser", dict(optim.OPTIMIZERS), hidden=("params",))


@functools.cache
def schedules() -> Family:
    """What ``[schedule]`` may name: rates that need no other schedule inside."""
    from chainrule import optim

    found = {n: c for n, c in optim.SCHEDULES.items() if n != "LinearWarmup"}
    return Family("schedule", {"Schedule": optim.Schedule, **found}, rated=True)


#: The files of callbacks that write one, where the run's file names none.
FILES = {
    "BestCheckpoint": "best.ckpt",
    "CSVLogger": "log.csv",
    "JSONLinesLogger": "log.jsonl",
}


@functools.cache
def callbacks() -> Family:
    """What ``[[callbacks]]`` may name."""
    from chainrule import training

    found = {
        name: made
        for name, made in _classes(training, training.Callback).items()
        if options_of(made)  # what takes options, and none that are functions
    }
    return Family("callback", found)
