"""What a caller of the CSV reader chose, checked; and as a format for JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data.checks import checked_names, shortened
from chainrule.errors import ArgumentError, nearest


@dataclass(frozen=True)
class Choices:
    """How the columns of a CSV file are used.

    Attributes:
        target: the columns of the target.
        features: the columns of the features, or None for all others.
        categorical: which of them hold categories; their categories, or None for those
            that come up.
        classes: the names of the classes; True for those that come up; False for
            numbers; None for what the target's texts are.
        missing: ``"error"``, ``"drop"``, ``"mean"``, or what to put into the gaps of
            each column.
        delimiter: between cells.
        encoding: of the file.
        dtype: of the features and of targets that are numbers.
    """

    target: tuple[str, ...]
    features: tuple[str, ...] | None
    categorical: dict[str, tuple[str, ...] | None]
    classes: tuple[str, ...] | bool | None
    missing: str | dict[str, float]
    delimiter: str
    encoding: str
    dtype: np.dtype

    @classmethod
    def of(
        cls,
        target: Any,
        features: Any = None,
        categorical: Any = (),
        classes: Any = None,
        missing: Any = "error",
        delimiter: Any = ",",
        encoding: Any = "utf-8",
        dtype: Any = "float32",
    ) -> "Choices":
        """Check what was chosen.

        Raises:
            ArgumentError: something that is not a choice.
        """
        targets = () if target is None else _names(target, "target", "target='price'")
        chosen = None
        if features is not None:
            example = "features=['length', 'width']"
            chosen = _names(features, "features", example)
        for name in chosen or ():
            if name in targets:
                raise ArgumentError(
                    f"Column '{shortened(name)}' is both a feature and the target.",
                    expected="features without the target",
                    got=f"features={list(chosen or ())!r}",
                    fix="leave it out of features=[…]",
                )
        kind = _dtype(dtype)
        return cls(
            targets,
            chosen,
            _categorical(categorical, targets, chosen),
            _classes(classes, targets),
            _missing(missing, kind),
            delimiter,
            encoding,
            kind,
        )

    def format(self) -> dict[str, Any]:
        """The choices as the arguments of ``read_csv``, for JSON."""
        categories = self.categorical.items()
        return {
            "kind": "csv",
            "target": self.target[0] if len(self.target) == 1 else list(self.target),
            "features": None if self.features is None else list(self.features),
            "categorical": {name: list(known or ()) for name, known in categories},
            "classes": list(self.classes)
            if isinstance(self.classes, tuple)
            else self.classes,
            "missing": self.missing,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "dtype": self.dtype.name,
        }


def _names(given: Any, what: str, example: str) -> tuple[str, ...]:
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


def _categorical(
    given: Any, target: tuple[str, ...], features: tuple[str, ...] | None
) -> dict[str, tuple[str, ...] | None]:
    example = "categorical=('colour',)"
    made: dict[str, tuple[str, ...] | None] = {}
    if isinstance(given, Mapping):
        for name, known in given.items():
            what = f"categorical['{shortened(str(name))}']"
            made[str(name)] = _names(known, what, "{'colour': ['blue', 'red']}")
    else:
        names = [given] if isinstance(given, str) else given
        made = dict.fromkeys(checked_names(names, "categorical", example))
    for name in made:
        if name in target:
            raise ArgumentError(
                f"Column '{shortened(name)}' is the target and cannot be categorical.",
                expected="categorical columns among the features",
                got=f"categorical={list(made)!r}",
                fix="classes=True makes its values the names of classes",
            )
        if features is not None and name not in features:
            close = nearest(name, features)
            raise ArgumentError(
                f"The categorical column '{shortened(name)}' is not a feature.",
                expected=f"one of {shortened(', '.join(features), 200)}",
                got=repr(shortened(name)),
                fix=f"did you mean '{close}'?" if close else "add it to features=[…]",
            )
    return made


def _classes(given: Any, target: tuple[str, ...]) -> tuple[str, ...] | bool | None:
    if isinstance(given, str) and given == "auto":
        given = None
    if given is not None and not isinstance(given, bool):
        given = checked_names(given, "classes", "classes=('cat', 'dog')")
        if len(given) < 2:
            raise ArgumentError(
                "classes names fewer than two classes.",
                expected="at least two names, True, False or None",
                got=repr(given),
                fix="classes=True takes the names that the column holds",
            )
    if given and len(target) > 1:
        raise ArgumentError(
            "Several targets cannot be names of classes.",
            expected="one column of classes, or several of numbers",
            got=f"target={list(target)!r}",
            fix="choose one of them as the target",
        )
    return given


def _missing(given: Any, dtype: np.dtype) -> str | dict[str, float]:
    if isinstance(given, str) and given in ("error", "drop", "mean"):
        return given
    if isinstance(given, Mapping) and all(
        isinstance(name, str) and _fits(value, dtype) for name, value in given.items()
    ):
        return {name: float(value) for name, value in given.items()}
    known = ("error", "drop", "mean")
    close = nearest(given, known) if isinstance(given, str) else None
    raise ArgumentError(
        "missing does not say what to do with missing values.",
        expected="'error', 'drop', 'mean', or a number for each column that fits "
        f"{dtype}",
        got=shortened(repr(given)),
        fix=f"did you mean '{close}'?" if close else "missing='drop'",
    )


def _fits(value: Any, dtype: np.dtype) -> bool:
    """Whether it is a finite number that stays finite in this dtype."""
    if not isinstance(value, int | float | np.number):
        return False
    with np.errstate(over="ignore"):
        try:
            return bool(np.isfinite(dtype.type(float(value))))
        except (OverflowError, TypeError):  # a whole number beyond float64; complex
            return False


def _dtype(given: Any) -> np.dtype:
    try:
        made = np.dtype(given)
    except (TypeError, ValueError, SyntaxError):
        made = None
    if made not in (np.float32, np.float64) or given is None:
        raise ArgumentError(
            "Numbers of a table cannot be kept in this dtype.",
            expected="'float32' or 'float64'",
            got=shortened(repr(given)),
            fix="dtype='float32'",
        )
    return np.dtype(made)
