"""Classes that a run file may name, as sections made from their constructors.

Nothing is listed twice: classes come from the tables that checkpoints are read with,
their options from the signatures and annotations of their constructors.
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
from chainrule.runs.problems import Problem
from chainrule.runs.section import (
    ClassName,
    Inside,
    Plain,
    Positive,
    Section,
    Text,
    Whole,
    Wrong,
    refusal,
)
from chainrule.runs.values import show
from chainrule.text import _

#: What a constructor may raise about a value that it takes on trust.
_TRUSTING = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)


class Chosen(Section):
    """A section that names a class; its further keys are the class' options."""

    made: ClassVar[type]
    #: Arguments that the run itself supplies.
    hidden: ClassVar[tuple[str, ...]] = ()
    #: Arguments that a file may leave out, though Python wants them.
    inferred: ClassVar[tuple[str, ...]] = ()
    #: Whether the name alone will do, without a table.
    short: ClassVar[bool] = False

    name: ClassName | None = Field(alias="class")

    @property
    def options(self) -> dict[str, Any]:
        """The constructor options that are set in the file."""
        known = inspect.signature(self.made).parameters
        return {name: value for name, value in self.given().items() if name in known}

    def build(self, **more: Any) -> Any:
        """Construct the named class; ``more`` options precede the file's options.

        Raises:
            Problem: whatever the constructor refuses, with all of the answers.
        """
        name, options = self.made.__name__, self.options | more
        try:
            return self.made(**options)
        except ChainruleError as error:
            said = Problem.of(error)
        except _TRUSTING as error:
            reason = f"{type(error).__name__}: {error}"[:200]
            said = Problem(
                (), _("{name} does not take these options.", name=name), fix=reason
            )
        raise Problem(
            said.where,
            said.what,
            expected=said.expected or _("options as its documentation says"),
            got=said.got or show(options),
            fix=said.fix or _("look up {name}: chainrule new --reference", name=name),
        )

    @classmethod
    def beside(cls, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return additional keys of the section, by the class's options."""
        return {}


@dataclass(frozen=True, eq=False)
class Family:
    """The classes that a section of the run file may name, such as all losses.

    Attributes:
        what: what one of them is called.
        keys: what the sections of all of them have in common.
        classes: name → class.
    """

    what: str
    keys: type[Chosen]
    classes: Mapping[str, type]

    @property
    def otherwise(self) -> str | None:
        """The class to use if the file names none."""
        field = self.keys.known()["class"]
        return None if field.is_required() else field.default

    def take(self, given: Any) -> Chosen:
        """Return the checked section of the class that ``given`` names."""
        alone = self.keys.short and isinstance(given, str)
        named: Any = {"class": given} if alone else given
        name = named.get("class", self.otherwise) if isinstance(named, dict) else None
        if name is None and not (isinstance(named, dict) and named):
            return self.keys.model_validate(named)
        if name is None:
            raise refusal({("class",): Wrong(self.keys, "missing", "class", given)})
        if not isinstance(name, str) or name not in self.classes:
            where = () if alone else ("class",)
            raise refusal({where: Wrong(self, "class", "class", name)})
        return self.model(name).model_validate({**named, "class": name})

    @functools.lru_cache(maxsize=256)  # noqa: B019  (there are five families, which stay)
    def model(self, name: str) -> type[Chosen]:
        """Return the section model of a class: common keys and constructor options."""
        fields = self.options(name)
        fields |= self.keys.beside(name, fields)
        model: Any = create_model(name, __base__=self.keys, **fields)
        model.title, model.made = name, self.classes[name]
        return model

    def options(self, name: str) -> dict[str, Any]:
        """Return the constructor arguments that a file can set, as model fields."""
        made, found = self.classes[name], {}
        hints, said = hints_of(made), documentation(made)
        for argument in inspect.signature(made).parameters.values():
            kind = plain(hints.get(argument.name))
            if argument.name in self.keys.hidden or kind is None:
                continue
            default = argument.default
            if default is argument.empty:
                default = None if argument.name in self.keys.inferred else ...
            field = Field(default, description=said.get(argument.name))
            found[argument.name] = (kind, field)
        return found


def hints_of(made: type) -> dict[str, Any]:
    """Return the type annotations of a constructor, for a dataclass of its fields."""
    if not is_dataclass(made):
        return get_type_hints(made.__init__, include_extras=True)
    known: dict[str, Any] = {}  # an inherited field may name types of its own module
    for kind in reversed(made.__mro__):
        known |= vars(sys.modules[kind.__module__])
    return get_type_hints(made, known, include_extras=True)


#: What stands in a file for the annotations of constructors.
_KINDS: dict[Any, Any] = {
    Count: Positive,
    Any: Plain,
    bool: bool,
    int: Whole,
    float: float,
    str: Text,
}


def plain(kind: Any) -> Any:
    """Return the part of an annotation that TOML values can have, or None.

    >>> plain(float | None), plain(tuple[int, ...] | None) is None
    (<class 'float'>, False)
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _KINDS:
        return _KINDS[kind]
    if kind is os.PathLike or origin is os.PathLike:
        return Inside
    if origin in (Union, types.UnionType):
        parts = [plain(part) for part in inner]
        if Inside in parts:
            return Inside
        known = [part for part in parts if part is not None]
        return Union[tuple(known)] if known else None  # noqa: UP007
    if origin is Literal:
        return kind
    item = plain(inner[0]) if origin in (list, tuple, Sequence) else None
    if item is None:
        return None
    fixed = origin is tuple and ... not in inner
    length = Len(len(inner), len(inner)) if fixed else Len(0, 100_000)
    return Annotated[list[item], length]


# -- their documentation ---------------------------------------------------------------


def summary(made: type) -> str:
    """Return the first sentence of a class's docstring.

    >>> from chainrule import nn
    >>> summary(nn.Tanh)
    'f(z) = tanh z, f′ = 1 − f² (2.7).'
    """
    return _unmarked(" ".join((made.__doc__ or "").partition("\n\n")[0].split()))


def documentation(made: type) -> dict[str, str]:
    """Return the docstring's description of each constructor argument of a class.

    >>> from chainrule import nn
    >>> documentation(nn.Dropout)
    {'p': 'the probability of dropping, 0 ≤ p < 1.'}
    """
    found: dict[str, str] = {}
    for kind in reversed(made.__mro__):  # a class may say: see its base
        __, __, text = inspect.cleandoc(kind.__doc__ or "").partition("\nArgs:\n")
        section = re.split(r"\n(?=\S)", text)[0]
        for names, said in re.findall(
            r"^    ([\w, ]+): (.*(?:\n     .*)*)", section, re.MULTILINE
        ):
            told = _unmarked(" ".join(said.split()))
            for name in names.split(", "):
                if name not in found or "see " not in told:
                    found[name] = told
    return found


def _unmarked(text: str) -> str:
    """Return documentation without reStructuredText markup."""
    return re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text).replace("``", "`")
