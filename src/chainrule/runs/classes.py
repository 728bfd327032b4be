"""Sections of a run file that name a class, such as a layer or an optimiser.

Nothing is listed twice: classes come from the tables that checkpoints are read with,
their options from the signatures and annotations of their constructors, descriptions
from their docstrings.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Len
from pydantic import Field, create_model

from chainrule.errors import ChainruleError
from chainrule.nn.arguments import Count
from chainrule.runs.problems import Problem, Refused, SectionError
from chainrule.runs.section import (
    ClassName,
    Inside,
    Plain,
    Positive,
    Section,
    Text,
    Whole,
)
from chainrule.runs.values import show
from chainrule.text import _

#: What a constructor may raise about a value that it does not check.
_UNCHECKED = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


class ClassSection(Section):
    """A section of a run file that names a class; other keys are its options."""

    #: The class; of the sections of a whole family none.
    constructor: ClassVar[type] = object
    #: Arguments that the run itself supplies.
    hidden: ClassVar[tuple[str, ...]] = ()
    #: Arguments that a file may leave out, though Python wants them.
    inferred: ClassVar[tuple[str, ...]] = ()
    #: Whether the name alone will do, without a table.
    bare_name: ClassVar[bool] = False

    name: ClassName | None = Field(alias="class")

    @property
    def options(self) -> dict[str, Any]:
        """The options of a run file's section that its class's constructor takes."""
        known = inspect.signature(self.constructor).parameters
        return {k: value for k, value in self.set_values().items() if k in known}

    def build(self, **more: Any) -> Any:
        """Construct the class that a section of a run file names, with its options.

        Raises:
            Problem: whatever the constructor refuses, with all of the answers.
        """
        name, options = self.constructor.__name__, self.options | more
        try:
            return self.constructor(**options)
        except ChainruleError as error:
            problem = Problem.of(error)
        except _UNCHECKED as error:
            problem = Problem(
                (),
                _("{name} does not take these options.", name=name),
                fix=f"{type(error).__name__}: {error}"[:200],
            )
        problem.expected = problem.expected or _("options as its documentation says")
        problem.got = problem.got or show(options)
        problem.fix = problem.fix or _(
            "look up {name}: chainrule new --reference", name=name
        )
        raise problem

    @classmethod
    def more_fields(cls, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return further keys of a run file's section, such as parameter groups."""
        return {}


@dataclass(frozen=True, eq=False)
class Family:
    """The classes that one section of a run file may name, such as all losses.

    Attributes:
        what: what one of them is called.
        base: what the sections of all of them have in common.
        classes: name → class.
    """

    what: str
    base: type[ClassSection]
    classes: Mapping[str, type]

    @property
    def default(self) -> str | None:
        """The class that a section has if the run file names none."""
        field = self.base.known()["class"]
        return None if field.is_required() else field.default

    def read(self, value: Any) -> ClassSection:
        """Check a section of a run file by the class that it names, and return it."""
        bare = self.base.bare_name and isinstance(value, str)
        table: Any = {"class": value} if bare else value
        name = table.get("class", self.default) if isinstance(table, dict) else None
        if name is None and not (isinstance(table, dict) and table):
            return self.base.read(table)
        if name is None:
            refused = Refused(self.base, "missing", "class", value)
            raise SectionError({("class",): refused})
        if not isinstance(name, str) or name not in self.classes:
            where = () if bare else ("class",)
            raise SectionError({where: Refused(self, "class", "class", name)})
        return self.model(name).read({**table, "class": name})

    @functools.lru_cache(maxsize=256)  # noqa: B019  (there are five families, which stay)
    def model(self, name: str) -> type[ClassSection]:
        """Return the pydantic model of a run file's section for one class."""
        fields = self.options(name)
        fields |= self.base.more_fields(name, fields)
        model: Any = create_model(name, __base__=self.base, **fields)
        model.title, model.constructor = name, self.classes[name]
        return model

    def models(self) -> list[type[ClassSection]]:
        """Return the pydantic models of a run file's section for all its classes."""
        return [self.model(name) for name in self.classes]

    def options(self, name: str) -> dict[str, Any]:
        """Return a class's options that a run file can set, as pydantic fields."""
        constructor, options = self.classes[name], {}
        hints = hints_of(constructor)
        for argument in inspect.signature(constructor).parameters.values():
            kind = toml_type(hints.get(argument.name))
            if argument.name in self.base.hidden or kind is None:
                continue
            default = argument.default
            if default is argument.empty:
                default = None if argument.name in self.base.inferred else ...
            field = Field(default)
            options[argument.name] = (kind, field)
        return options


def exported(module: Any, base: type) -> dict[str, type]:
    """Return the subclasses of ``base`` that a module exports, such as all losses."""
    items = {name: getattr(module, name) for name in sorted(module.__all__)}
    return {
        name: item
        for name, item in items.items()
        if isinstance(item, type) and issubclass(item, base)
    }


def hints_of(constructor: type) -> dict[str, Any]:
    """Return the type annotations of a constructor, also of a dataclass."""
    if not is_dataclass(constructor):
        return get_type_hints(constructor.__init__, include_extras=True)
    known: dict[str, Any] = {}  # an inherited field may name types of its own module
    for base in reversed(constructor.__mro__):
        known |= vars(sys.modules[base.__module__])
    return get_type_hints(constructor, known, include_extras=True)


#: What stands in a file for the annotations of constructors.
_TYPES: dict[Any, Any] = {
    Count: Positive,
    Any: Plain,
    bool: bool,
    int: Whole,
    float: float,
    str: Text,
}


def toml_type(hint: Any) -> Any:
    """Return the part of a type annotation that TOML values can have, or None.

    >>> toml_type(float | None), toml_type(tuple[int, ...] | None) is None
    (<class 'float'>, False)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _TYPES:
        return _TYPES[hint]
    if hint is os.PathLike or origin is os.PathLike:
        return Inside
    if origin in (Union, types.UnionType):
        parts = [toml_type(part) for part in inner]
        if Inside in parts:
            return Inside
        known = [part for part in parts if part is not None]
        return Union[tuple(known)] if known else None  # noqa: UP007
    if origin is Literal:
        return hint
    item = toml_type(inner[0]) if origin in (list, tuple, Sequence) else None
    if item is None:
        return None
    fixed = origin is tuple and ... not in inner
    length = Len(len(inner), len(inner)) if fixed else Len(0, 100_000)
    return Annotated[list[item], length]


# -- their documentation ---------------------------------------------------------------


def summary(documented: type) -> str:
    """Return the first paragraph of a class's docstring as one line.

    >>> from chainrule import nn
    >>> summary(nn.Tanh)
    'f(z) = tanh z, f′ = 1 − f² (2.7).'
    """
    return _plain((documented.__doc__ or "").partition("\n\n")[0])


def describe(section: type[Section], key: str) -> str:
    """Return the description of a run file's key, from a docstring."""
    own = section.known()[key].description or arguments(section).get(key)
    constructor = getattr(section, "constructor", object)
    return (own or arguments(constructor).get(key, "")).rstrip(".")


@functools.lru_cache(maxsize=256)
def arguments(documented: type) -> dict[str, str]:
    """Return the descriptions of a class's arguments, from its docstring.

    >>> from chainrule import nn
    >>> arguments(nn.Dropout)["p"]
    'the probability of dropping, from 0 to 1.'
    """
    from docstring_parser import DocstringStyle, parse

    descriptions: dict[str, str] = {}
    for base in reversed(documented.__mro__):  # a class may say: see its base
        for argument in parse(base.__doc__ or "", DocstringStyle.GOOGLE).params:
            description = _plain(argument.description or "")
            for name in argument.arg_name.split(", "):
                if name not in descriptions or "see " not in description:
                    descriptions[name] = description
    return descriptions


def _plain(text: str) -> str:
    """Return documentation text as one line, without reStructuredText markup."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", " ".join(text.split()))
    return text.replace("``", "`")
