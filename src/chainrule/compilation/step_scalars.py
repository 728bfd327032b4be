"""Scalars that change at each step, such as the learning rate, as table rows."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.graph.node import Value


class StepScalars(Protocol):
    """The interface to an optimiser as a source of scalars (learning rate) per step.

    Attributes:
        steps: how many steps it has made.
    """

    @property
    def steps(self) -> Any: ...

    def set_steps(self, steps: int) -> None:
        """Set the number of completed optimiser steps."""
        ...

    def rows(self, steps: int, keys: frozenset[str]) -> Mapping[str, Sequence[float]]:
        """Return the scalars, such as learning rates, of an optimiser's next steps."""
        ...


class Tabulated(NamedTuple):
    """A graph's scalar input whose value for each step comes from an optimiser.

    Attributes:
        value: the input.
        table: what supplies it.
        key: its name there.
        step: of which of the steps that the table makes in the entry point, from 0; of
            the one after them, where it is read behind the last.
    """

    value: Value
    table: StepScalars
    key: str
    step: int


class Supply:
    """The scalar inputs that an entry point takes from one optimiser.

    A table that makes k steps in one run supplies run i with its steps ik, …, ik + k−1
    from where it stands.

    Args:
        table: the table.
        each: k.
        inputs: all scalar inputs of the entry point.

    Attributes:
        start: the steps that the table had made at the last supply.
    """

    __slots__ = ("_columns", "_keys", "_last", "_quiet", "each", "start", "table")

    def __init__(
        self, table: StepScalars, each: int, inputs: Iterable[Tabulated]
    ) -> None:
        self.table, self.each, self.start = table, each, 0
        self._columns = [
            (t.value.name or "", t.key, t.step, t.value.dtype.numpy)
            for t in inputs
            if t.table is table
        ]
        self._keys = frozenset(key for _, key, _, _ in self._columns)
        self._last = max((step for _, _, step, _ in self._columns), default=0)
        with np.errstate(over="ignore"):  # infinity is found in the results
            self._quiet = contextvars.copy_context()

    def supply(self, arrays: dict[str, Any], runs: int | None) -> None:
        """Add an optimiser's scalars for some runs to an entry point's inputs.

        ``runs``: how many, each with a row; None for one, without that axis.
        """
        self.start = self.table.steps
        span = ((runs or 1) - 1) * self.each + 1
        rows = self.table.rows(span + self._last, self._keys)
        self._quiet.run(self._convert, rows, arrays, runs, span)

    def _convert(
        self,
        rows: Mapping[str, Sequence[float]],
        arrays: dict[str, Any],
        runs: int | None,
        span: int,
    ) -> None:
        each = self.each
        for name, key, step, dtype in self._columns:
            column = rows[key]
            if runs is None:
                arrays[name] = np.array(column[step], dtype)
                continue
            if self._last or each != 1:
                column = column[step : step + span]
                column = column[::each] if each else (*column,) * runs
            arrays[name] = np.array(column, dtype)
