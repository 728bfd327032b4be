"""Conditions that a compiled step reports: the first that fails, with what it met.

A record is three integers: 0 or the number of a condition, and the lowest and the
highest index that it met. A graph's record is that of its first condition, in running
order, that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule.engines.runtime_checks import Condition, conditions
from chainrule.engines.xla.backend import Array, jnp, lax
from chainrule.errors import ArgumentError
from chainrule.graph.graph import Graph
from chainrule.primitives.checks import failed
from chainrule.primitives.indexing import (
    dynamic_slice,
    dynamic_update_slice,
    outside,
)
from chainrule.text import _

Refusal = Callable[[int, int], ArgumentError]
_WHOLE = np.iinfo(np.int64)


def nothing_failed() -> Array:
    """Return the record of conditions that hold."""
    return jnp.zeros(3, np.int64)


def first_of(records: Sequence[Array]) -> Array:
    """Return the first record of a condition that does not hold."""
    if not records:
        return nothing_failed()
    rows = jnp.stack(records)
    return rows[jnp.argmax(rows[:, 0] != 0)]


def may_refuse(graph: Graph) -> bool:
    """Return whether a graph has conditions that may not hold."""
    return any(conditions(node) for node in graph.nodes)


class Checks:
    """The records of a graph that is being lowered, and the errors that they mean.

    Attributes:
        refusals: of each condition's number, from 1, what makes the error.
        records: those of this graph so far.
    """

    def __init__(self, refusals: list[Refusal] | None = None) -> None:
        self.refusals: list[Refusal] = [] if refusals is None else refusals
        self.records: list[Array] = []

    def within(self) -> Checks:
        """Return the checks of a graph within this one: the same errors."""
        return Checks(self.refusals)

    def record(self) -> Array:
        """Return this graph's record."""
        return first_of(self.records)

    def check(self, condition: Condition, value: Array) -> None:
        """Record whether a condition holds for a value."""
        name, attrs = condition.node.primitive.name, condition.node.attrs
        if condition.rows is None:
            self._note(~value, value, value, lambda low, high: failed(**attrs))
            return
        if not value.size:
            return
        rows = condition.rows
        assert isinstance(rows, int)
        if value.dtype == np.uint64:
            value = lax.min(value, lax.full_like(value, _WHOLE.max))
        value = value.astype(np.int64)
        low, high = jnp.min(value), jnp.max(value)
        blocks = condition.node.primitive in (dynamic_slice, dynamic_update_slice)
        refusal = _block_outside if blocks else outside
        wrong = (low < 0) | (high >= rows)
        self._note(wrong, low, high, partial(refusal, name, rows))

    def _note(self, wrong: Array, low: Array, high: Array, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        code = jnp.where(wrong, len(self.refusals), 0)
        self.records.append(
            jnp.stack([item.astype(np.int64) for item in (code, low, high)])
        )

    def error(self, record: Any) -> ArgumentError:
        """Return the error that a record means."""
        number, low, high = map(int, record)
        return self.refusals[number - 1](low, high)


def _block_outside(name: str, rows: int, low: int, high: int) -> ArgumentError:
    return ArgumentError(
        _("{name}'s block reaches outside of the value.", name=name),
        expected=_("starts from 0 to {shape}", shape=rows - 1),
        got=str(low),
    )
