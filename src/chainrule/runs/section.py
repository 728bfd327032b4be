"""The base class of run-file sections, and the types of their keys' values.

A section is a pydantic model: its fields are the keys, each with its meaning and an
example. What pydantic refuses becomes a :class:`Wrong`, which knows the section and the
key; ``messages`` puts it into words. What a validator refuses says so itself, as an
error of the family or as a ``Problem`` at a place within the section.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import re
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    Union,
    get_args,
    get_origin,
)

from annotated_types import Ge, Le, Len
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from chainrule.errors import ArgumentError
from chainrule.runs.problems import Where
from chainrule.runs.values import show
from chainrule.text import _, joined
from chainrule.util import atomic_files

#: A whole number that every part of the framework can count with.
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Words:
    """A description of a value type for messages, after "expected: "."""

    text: str


def _line(value: str) -> str:
    """Check that text is a non-empty line without control characters."""
    if not value.strip() or re.search("[\x00-\x1f\ud800-\udfff]", value):
        raise PydanticCustomError("text", "empty, or with control characters")
    return value


def _cell(value: str) -> str:
    """Check the text of a table's cell, which may have several lines."""
    if not value.strip() or re.search("[\x00\ud800-\udfff]", value):
        raise PydanticCustomError("text", "empty, or with control characters")
    return value


def _mark(value: str) -> str:
    return value if value in ("\t", " ") else _line(value)


def _inside(value: str) -> str:
    run = _("the directory of the run")
    atomic_files.inside(Path("run"), value, _("This path"), run)
    return value


Whole = Annotated[int, Ge(-LARGEST), Le(LARGEST)]
Positive = Annotated[int, Ge(1), Le(LARGEST)]
Share = Annotated[float, Ge(0), Le(1)]
_Line = Annotated[str, AfterValidator(_line)]
Text = Annotated[_Line, Words(_("text in quotes"))]
Mark = Annotated[str, AfterValidator(_mark), Words(_("a character in quotes"))]
Place = Annotated[_Line, Words(_("a path in quotes"))]
#: A file or directory that a run writes.
Inside = Annotated[
    _Line,
    AfterValidator(_inside),
    Words(_("a relative path in quotes, without '..'")),
]
Pair = Annotated[list[Place], Len(2, 2), Words(_("a list of two paths"))]
Cell = Annotated[str, AfterValidator(_cell), Words(_("text in quotes"))]
Name = Annotated[Cell, Words(_("the name of a column in quotes"))]
ClassName = Annotated[Cell, Words(_("the name of a class in quotes"))]
Names = Annotated[list[Cell], Len(1), Words(_("a list of column names in quotes"))]
_Scalar = bool | Whole | float | Text
#: Numbers, text, truth values, and lists of them.
Plain = Annotated[
    _Scalar | list[_Scalar],
    Words(_("a number, text, true or false, or a list of them")),
]


class Wrong(NamedTuple):
    """An invalid key or value in a run file, before it becomes a message."""

    whose: Any
    """the section, or the family of classes, that refuses it"""
    why: str
    """the kind of error, as pydantic calls it"""
    key: str
    """what it is about"""
    got: Any
    """what was given"""


def refusal(found: Mapping[Where, Wrong | ArgumentError]) -> ValidationError:
    """Return a pydantic ValidationError that carries our errors by place."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("wrong", "wrong", {"wrong": item}),
            loc=where,
            input=None,
        )
        for where, item in found.items()
    ]
    return ValidationError.from_exception_data("run", details)


def carried(item: Mapping[str, Any]) -> tuple[Where, Wrong | ArgumentError | None]:
    """Return the place and the error of ours in an item of a ValidationError."""
    where, context = item["loc"], item.get("ctx", {})
    if "wrong" in context:
        return where, context["wrong"]
    said = context.get("error")
    return (*where, *getattr(said, "where", ())), said


class Section(BaseModel):
    """One section of a run's file, or the options of a class that it names."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
    )
    #: How messages call it, and what it is about.
    title: ClassVar[str] = ""
    what: ClassVar[str] = ""

    @model_validator(mode="wrap")
    @classmethod
    def _refused(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Convert pydantic's errors to one :class:`Wrong` for each key.

        Errors of validators pass.
        """
        try:
            return handler(given)
        except ValidationError as error:
            found: dict[Where, Wrong | ArgumentError] = {}
            for item in error.errors(include_url=False):
                where, said = carried(item)
                key = str(where[0]) if where else ""
                if said is not None:
                    found[where] = said
                else:
                    got = given.get(key) if where else given
                    found.setdefault(where[:1], Wrong(cls, item["type"], key, got))
            raise refusal(found) from None

    @classmethod
    def known(cls) -> dict[str, FieldInfo]:
        """Return the section's known keys, as written in a file, and their fields."""
        found = {f.alias or name: f for name, f in cls.model_fields.items()}
        return {k: f for k, f in found.items() if f.annotation is not type(None)}

    def given(self) -> dict[str, Any]:
        """Return the values of the keys that are set in the file."""
        names = [n for n in type(self).model_fields if n in self.model_fields_set]
        return {name: getattr(self, name) for name in names}

    def plain(self) -> dict[str, Any]:
        """Return the section's set values as a TOML-compatible table."""
        return self.model_dump(by_alias=True, exclude_unset=True, serialize_as_any=True)


def meaning(section: type[Section], key: str) -> str:
    """Return the description of a key, or the docstring below its field.

    Pydantic would look that up for every model at import, which takes longer than all
    else that it does.
    """
    fields = section.model_fields
    name = next(n for n, f in fields.items() if key == (f.alias or n))
    said = fields[name].description
    for kind in () if said else section.__mro__:
        said = said or _docs(kind).get(name)
    return " ".join((said or "").split())


@functools.lru_cache(maxsize=256)
def _docs(kind: type) -> dict[str, str]:
    """Return the docstrings below the attributes of a class, from its source."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        return {}
    (written,) = ast.parse(textwrap.dedent(source)).body
    found: dict[str, str] = {}
    for field, text in itertools.pairwise(getattr(written, "body", ())):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                found[name] = said
            case _:
                pass
    return found


def example(field: FieldInfo) -> Any:
    """Return an example value of a key, or None."""
    return field.examples[0] if field.examples else None


# -- kinds in words --------------------------------------------------------------------


def takes(field: FieldInfo) -> str:
    """Return the values that a key accepts, in words."""
    return expected(field.annotation, field.metadata)


def expected(kind: Any, limits: Sequence[Any] = ()) -> str:
    """Return a description of a value type in words.

    >>> expected(Share), expected(Positive | Literal["all"])
    ('a number from 0 to 1', 'a whole number ≥ 1, or "all"')
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return expected(inner[0], [*inner[1:], *limits])
    words = [limit.text for limit in limits if isinstance(limit, Words)]
    if words:
        return words[-1]
    if origin in (Union, types.UnionType):
        members = [part for part in inner if part is not type(None)]
        return joined(", or ", map(expected, members))
    if origin is Literal:
        return joined(" or ", map(show, inner))
    if kind is bool:
        return _("true or false")
    if kind in (int, float):
        return _number(kind is int, limits)
    if origin is list:
        length = next((x for x in limits if isinstance(x, Len)), Len())
        item, count = expected(inner[0]), length.min_length
        if count == length.max_length:
            return _("a list of {count}, each item {item}", count=count, item=item)
        return _("a list, each item {item}", item=item)
    return _("a table")


def _number(whole: bool, limits: Sequence[Any]) -> str:
    what = _("a whole number") if whole else _("a number")
    low = next((x.ge for x in limits if isinstance(x, Ge)), -LARGEST)
    high = next((x.le for x in limits if isinstance(x, Le)), LARGEST)
    if high != LARGEST:
        ends = {"low": f"{low:,}", "high": f"{high:,}"}
        return _("{what} from {low} to {high}", what=what, **ends)
    if low != -LARGEST:
        return _("{what} ≥ {low}", what=what, low=f"{low:,}")
    return what if whole else _("a finite number")
