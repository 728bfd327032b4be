"""The options of the table readers, such as ``read_csv``, with checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from chainrule.data.checks import checked_names, shortened
from chainrule.data.tables.cells import Mark, MissingValues
from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.util.keywords import unknown_keyword
from chainrule.util.validation import choice, maybe

#: Declared types of a column: ``dtype={"zip": "category"}``. ``dmy`` and ``mdy`` are
#: dates with the day first, or the month.
ColumnType = Literal["number", "category", "date", "dmy", "mdy", "id"]
Task = Literal["classification", "regression"]
Missing = Literal["fill", "drop", "error"]
Unknown = Literal["other", "error"]
DTYPES, TASKS = get_args(ColumnType), get_args(Task)
MISSING, UNKNOWN = get_args(Missing), get_args(Unknown)


@dataclass
class Options:
    """The options of a table reader; see :func:`chainrule.data.read_csv`.

    Raises:
        ArgumentError: an invalid value.
    """

    target: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    dtype: Mapping[str, str] | None = None
    task: str | None = None
    classes: tuple[str, ...] | None = None
    missing: str = "fill"
    missing_values: tuple[str, ...] = ()
    unknown: str = "other"
    decimal: Mark | None = None

    @classmethod
    def of(cls, **options: Any) -> Options:
        """Make checked options from the arguments of a table reader's call.

        Raises:
            CallError: an unknown option.
        """
        known = [field.name for field in fields(cls)]
        for name, value in options.items():
            if name not in known:
                raise unknown_keyword(_("A table"), name, value, known)
        return cls(**options)

    def __post_init__(self) -> None:
        if self.target is None:
            self.target = ()
        if not isinstance(self.target, tuple) or self.target:
            self.target = _names("target", self.target, "'price'")
        if self.features is not None:
            self.features = _names("features", self.features, "['length', 'width']")
            if both := [name for name in self.features if name in self.target]:
                raise ArgumentError(
                    _(
                        "Column '{both}' is both a feature and the target.",
                        both=shortened(both[0]),
                    ),
                    expected=_("features without the target"),
                    got=shortened(f"features={list(self.features)!r}"),
                    fix=_("leave it out of features=[…]"),
                )
        choice(*MISSING)("missing", self.missing)
        choice(*UNKNOWN)("unknown", self.unknown)
        maybe(choice(".", ","))("decimal", self.decimal)
        maybe(choice(*TASKS))("task", self.task)
        if isinstance(self.missing_values, str):
            self.missing_values = (self.missing_values,)
        self.missing_values = checked_names(
            self.missing_values, "missing_values", "missing_values=['unknown']"
        )
        if self.dtype is not None:
            _check_dtype(self.dtype)
        if self.classes is not None:
            self._check_classes()
        if self.task == "classification" and len(self.target) > 1:
            raise ArgumentError(
                _("Several targets cannot be names of classes."),
                expected=_("one column of classes, or several of numbers"),
                got=f"target={list(self.target)!r}",
                fix=_("choose one of them as the target"),
            )

    def _check_classes(self) -> None:
        self.classes = checked_names(self.classes, "classes", "classes=('cat', 'dog')")
        if len(self.classes) < 2:
            raise ArgumentError(
                _("classes names fewer than two classes."),
                expected=_("at least two names, or None for those that come up"),
                got=repr(self.classes),
                fix=_("leave it out"),
            )
        if self.task == "regression":
            raise ArgumentError(
                _("A regression has no classes."),
                expected=_("task='classification' beside classes"),
                got="task='regression'",
                fix=_("leave one of them out"),
            )
        self.task = "classification"

    @property
    def marks(self) -> MissingValues:
        """The texts and numbers that mark missing values in a table."""
        return MissingValues(self.missing_values)

    def declared(self, name: str) -> str | None:
        """Return a table column's type as declared to the reader, or None."""
        return (self.dtype or {}).get(name)


def _names(what: str, value: Any, example: str) -> tuple[str, ...]:
    """Return a table reader's column names as a tuple, from one name or several."""
    example = f"{what}={example}"
    names = checked_names([value] if isinstance(value, str) else value, what, example)
    if not names or "" in names:
        raise ArgumentError(
            _("{what} names no column.", what=what),
            expected=_("the name of a column"),
            got=shortened(repr(value)),
            fix=example,
        )
    return names


def _check_dtype(dtype: Any) -> None:
    if not isinstance(dtype, Mapping) or not all(isinstance(n, str) for n in dtype):
        raise ArgumentError(
            _("dtype does not say what columns are."),
            expected=_("a dictionary of names of columns"),
            got=shortened(repr(dtype)),
            fix="dtype={'zip': 'category'}",
        )
    for name, kind in dtype.items():
        choice(*DTYPES)(f"dtype[{name!r}]", kind)
