"""The schema of a table: column types and options, to read another table alike."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data.checks import shortened
from chainrule.data.tables.cells import MissingValues
from chainrule.data.tables.columns import (
    Category,
    Classes,
    Date,
    Feature,
    Number,
    Target,
)
from chainrule.data.tables.texts import Texts
from chainrule.errors import ArgumentError
from chainrule.text import _


@dataclass(frozen=True)
class Schema:
    """The schema of a table, stored as JSON, to read further tables in the same way.

    Attributes:
        target: the name of the column to predict, or of several.
        targets: the target columns; none for a table without a target.
        columns: the feature columns.
        missing: ``"fill"``, ``"drop"`` or ``"error"``.
        missing_values: further texts that mark a missing value.
        unknown: ``"other"`` or ``"error"``.
        delimiter: the delimiter of files; None: detected in each.
        encoding: the encoding of files; None: detected in each.
        header: whether files name their columns.
    """

    target: str | tuple[str, ...]
    targets: tuple[Target, ...]
    columns: tuple[Feature | Texts, ...]
    missing: str = "fill"
    missing_values: tuple[str, ...] = ()
    unknown: str = "other"
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True

    @classmethod
    def restored(cls, format: dict[str, Any]) -> Schema:
        """Restore a table's schema from a data set's format description.

        Raises:
            ArgumentError: the format of no table.
        """
        from pydantic import ValidationError

        for known, schema in tuple(_restored):  # to which other threads add
            if known == format:
                return schema
        fields = {key: value for key, value in format.items() if key != "kind"}
        try:
            schema = _validator().validate_json(json.dumps(fields))
        except (ValidationError, TypeError, ValueError, RecursionError) as error:
            raise ArgumentError(
                _("The format is none that a reader of tables made."),
                expected=_("the format of a data set from read_csv or from_frame"),
                got=shortened(" ".join(str(error).split()), 200),
                fix="data.read(path, format=train.format)",
            ) from error
        _restored.appendleft((copy.deepcopy(format), schema))
        return schema

    def format(self) -> dict[str, Any]:
        """Return the table's schema as a data set's JSON-able format description."""
        kind = "csv" if self.texts is None else "text"
        return {"kind": kind, **json.loads(json.dumps(dataclasses.asdict(self)))}

    def description(self) -> dict[str, Any]:
        """Return a table's names and format, as arguments of ``Dataset``."""
        return {
            "class_names": self.class_names,
            "feature_names": self.feature_names(),
            "target_names": tuple(column.name for column in self.targets) or None,
            "format": self.format(),
        }

    @property
    def file(self) -> dict[str, Any]:
        """The file options of a table's schema: delimiter, encoding and header."""
        return {
            name: getattr(self, name) for name in ("delimiter", "encoding", "header")
        }

    @cached_property
    def marks(self) -> MissingValues:
        """The marks of missing values in a table's cells."""
        return MissingValues(self.missing_values)

    @cached_property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes in a table's target column, or None."""
        first = next(iter(self.targets), None)
        return first.classes if isinstance(first, Classes) else None

    @cached_property
    def texts(self) -> Texts | None:
        """The text column of a table's schema, then its only column; or None."""
        return next((c for c in self.columns if isinstance(c, Texts)), None)

    @cached_property
    def dtype(self) -> type[np.generic]:
        """The dtype of a table's features; texts are token indices."""
        if self.texts is not None:
            return np.int32
        wide = any(isinstance(c, Number) and c.wide for c in self.columns)
        return np.float64 if wide else np.float32

    def feature_names(self) -> list[str] | None:
        """Return the names of a table's features, all different; None for texts."""
        if self.texts is not None:
            return None
        unique: dict[str, None] = {}
        for column in self.columns:
            for name in column.names():
                free, number = name, 2
                while free in unique:
                    free, number = f"{name} {number}", number + 1
                unique[free] = None
        return list(unique)


#: The last formats that schemas were restored from: a Trainer asks for each row.
_restored: deque[tuple[dict[str, Any], Schema]] = deque(maxlen=4)


@functools.cache
def _validator() -> Any:
    """Build the pydantic adapter that validates a table's schema, once."""
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    for kind in (Schema, Number, Category, Date, Classes, Texts):
        kind.__pydantic_config__ = config  # type: ignore[attr-defined]
    return TypeAdapter(Schema)
