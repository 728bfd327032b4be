"""What a caller of the readers of tables chose, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.checks import choice, maybe, truth
from chainrule.data.checks import checked_names, shortened
from chainrule.data.tables.cells import Mark, Nothing
from chainrule.errors import ArgumentError

#: What a column can be said to be: ``dtype={"zip": "category"}``. ``dmy`` and ``mdy``
#: are dates whose day stands before the month, or behind it.
DTYPES = ("number", "category", "date", "dmy", "mdy", "id")
TASKS = ("classification", "regression")
MISSING = ("fill", "drop", "error")
UNKNOWN = ("other", "error")


@dataclass(frozen=True)
class Options:
    """How a table is read; see :func:`chainrule.data.read_csv`."""

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
    def of(
        cls,
        *,
        target: Any = None,
        features: Any = None,
        dtype: Any = None,
        task: Any = None,
        classes: Any = None,
        missing: Any = "fill",
        missing_values: Any = (),
        unknown: Any = "other",
        decimal: Any = None,
    ) -> Options:
        """Check what was chosen.

        Raises:
            ArgumentError: something that is not a choice.
        """
        targets = () if target is None else _names("target", target, "target='price'")
        chosen = features
        if features is not None:
            chosen = _names("features", features, "features=['length', 'width']")
            if both := [name for name in chosen if name in targets]:
                raise ArgumentError(
                    f"Column '{shortened(both[0])}' is both a feature and the target.",
                    expected="features without the target",
                    got=shortened(f"features={list(chosen)!r}"),
                    fix="leave it out of features=[…]",
                )
        if classes is not None:
            classes = checked_names(classes, "classes", "classes=('cat', 'dog')")
            if len(classes) < 2:
                raise ArgumentError(
                    "classes names fewer than two classes.",
                    expected="at least two names, or None for those that come up",
                    got=repr(classes),
                    fix="leave it out",
                )
        task = maybe(choice(*TASKS))("task", task)
        if task == "regression" and classes is not None:
            raise ArgumentError(
                "A regression has no classes.",
                expected="task='classification' beside classes",
                got="task='regression'",
                fix="leave one of them out",
            )
        if (classes or task == "classification") and len(targets) > 1:
            raise ArgumentError(
                "Several targets cannot be names of classes.",
                expected="one column of classes, or several of numbers",
                got=f"target={list(targets)!r}",
                fix="choose one of them as the target",
            )
        further = missing_values
        if isinstance(further, str):
            further = [further]
        return cls(
            targets,
            chosen,
            _dtypes(dtype),
            "classification" if classes else task,
            classes,
            choice(*MISSING)("missing", missing),
            checked_names(further, "missing_values", "missing_values=['unknown']"),
            choice(*UNKNOWN)("unknown", unknown),
            maybe(choice(".", ","))("decimal", decimal),
        )

    @property
    def nothing(self) -> Nothing:
        """What stands for a missing value."""
        return Nothing(self.missing_values)

    def said(self, name: str) -> str | None:
        """What the caller says that a column is."""
        return (self.dtype or {}).get(name)


def check_header(header: Any) -> bool:
    """``header``, which is on or off."""
    return truth("header", header)


def _names(what: str, given: Any, example: str) -> tuple[str, ...]:
    """One name, or several."""
    made = checked_names([given] if isinstance(given, str) else given, what, example)
    if not made or "" in made:
        raise ArgumentError(
            f"{what} names no column.",
            expected="the name of a column",
            got=shortened(repr(given)),
            fix=example,
        )
    return made


def _dtypes(given: Any) -> dict[str, str] | None:
    if given is None:
        return None
    known = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
    if not known:
        raise ArgumentError(
            "dtype does not say what columns are.",
            expected="a dictionary of names of columns",
            got=shortened(repr(given)),
            fix="dtype={'zip': 'category'}",
        )
    return {name: choice(*DTYPES)(f"dtype[{name!r}]", k) for name, k in given.items()}
