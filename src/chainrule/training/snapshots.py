"""What a loop goes back to, and what its tables (optimisers, counters) remember."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.optim import Optimizer, Schedule
from chainrule.training.state import StateMark, copied


@dataclass(frozen=True)
class Snapshot:
    """A point to go back to: tensors, position, and tables (object, attributes)."""

    tensors: Mapping[str, Array]
    mark: StateMark
    tables: list[tuple[Any, dict[str, Any]]]
    seconds: float


def attributes_of(item: Any, attributes: Mapping[str, Any] | None = None) -> Any:
    """A copy of what an object has (or had); other objects within are shared.

    But those within a schedule are its own.
    """
    given = vars(item) if attributes is None else attributes
    return (copy.deepcopy if isinstance(item, Schedule) else copied)(dict(given))


def restore(now: dict[str, Any], then: Mapping[str, Any]) -> None:
    """Give attributes their former values; dictionaries stay the same objects."""
    for key, value in then.items():
        if isinstance(value, dict) and isinstance(now.get(key), dict):
            now[key].clear()
            now[key].update(value)
        else:
            now[key] = value


def table_state(table: Any) -> dict[str, Any]:
    """What a checkpoint keeps of an optimiser or a counter; moments are tensors."""
    with contextlib.suppress(AttributeError):
        made = dict(table.state_dict())
        made.pop("state", None)
        return made
    raise ArgumentError(
        f"{type(table).__name__} cannot be part of a checkpoint.",
        expected="an optimiser, or an object with state_dict and load_state_dict",
        got="neither",
    )


def load_table(table: Any, saved: Mapping[str, Any]) -> None:
    if isinstance(table, Optimizer):
        saved = {**saved, "state": table.state_dict()["state"]}
    table.load_state_dict(saved)
