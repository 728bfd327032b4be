"""The base class of run-file sections, and the types of their keys.

A section is a pydantic model: its fields are the keys, each with a description and an
example. ``messages`` words what pydantic refuses. What a validator refuses it words
itself, as an error or as a ``Problem`` at a place within the section.
"""

from __future__ import annotations

import re
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
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
from pydantic_core import PydanticCustomError

from chainrule.errors import ChainruleError
from chainrule.runs.problems import Refused, SectionError, Where
from chainrule.runs.values import show
from chainrule.text import _, joined
from chainrule.util import atomic_files

#: A whole number that every part of the framework can count with.
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Words:
    """A description of a run-file value's type for messages, after "expected: "."""

    text: str


def _line(value: str) -> str:
    """Check a run file's text: a non-empty line without control characters."""
    if not value.strip() or re.search("[\x00-\x1f\ud800-\udfff]", value):
        raise PydanticCustomError("text", "empty, or with control characters")
    return value


def _cell(value: str) -> str:
    """Check the text of a table's cell in a run file, which may have several lines."""
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


class Section(BaseModel):
    """One section of a run's file, or the options of a class that it names."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
    )
    #: Its header in the file.
    heading: ClassVar[str] = ""
    #: What messages call it, where that is not the header, and what it is about.
    title: ClassVar[str] = ""
    what: ClassVar[str] = ""

    @model_validator(mode="wrap")
    @classmethod
    def _as_one_error(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        """Raise all errors of a run file's section as one ``SectionError``."""
        try:
            return handler(value)
        except ValidationError as error:
            errors: dict[Where, Refused | ChainruleError] = {}
            for item in error.errors(include_url=False):
                where, cause = item["loc"], item.get("ctx", {}).get("error")
                if isinstance(cause, SectionError):
                    errors |= {
                        (*where, *k): inner for k, inner in cause.problems.items()
                    }
                elif cause is not None:
                    errors[*where, *getattr(cause, "where", ())] = cause
                else:
                    key = str(where[0]) if where else ""
                    got = value.get(key) if where else value
                    refused = Refused(cls, item["type"], key, got)
                    errors.setdefault(where[:1], refused)
            raise SectionError(errors) from None

    @classmethod
    def read(cls, value: Any) -> Self:
        """Check a section of a run file, and return it.

        Raises:
            SectionError: all that is wrong with it.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            (item,) = error.errors(include_url=False)
            raise item.get("ctx", {})["error"] from None

    @classmethod
    def known(cls) -> dict[str, FieldInfo]:
        """Return the keys that a run file's section can have, and their fields."""
        fields = {f.alias or name: f for name, f in cls.model_fields.items()}
        return {k: f for k, f in fields.items() if f.annotation is not type(None)}

    def set_values(self) -> dict[str, Any]:
        """Return the values of the section's keys that the run file sets."""
        names = [n for n in type(self).model_fields if n in self.model_fields_set]
        return {name: getattr(self, name) for name in names}

    def to_table(self) -> dict[str, Any]:
        """Return the section's values that the run file sets, as a TOML table."""
        return self.model_dump(by_alias=True, exclude_unset=True, serialize_as_any=True)


def example(field: FieldInfo) -> Any:
    """Return an example value of a run file's key, or None."""
    return field.examples[0] if field.examples else None


# -- kinds in words --------------------------------------------------------------------


def accepted(field: FieldInfo) -> str:
    """Describe the values that a run file's key accepts."""
    return expected(field.annotation, field.metadata)


def expected(kind: Any, limits: Sequence[Any] = ()) -> str:
    """Describe the type of a run file's value, for a message.

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
