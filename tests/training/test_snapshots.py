"""Going back: an object is what it was, whatever happened to it in the meantime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.training.snapshots import _attributes, _restore


class Table:
    """An object with attributes of each kind that a loop goes back over."""

    def __init__(self) -> None:
        self.steps = 3
        self.limits: dict[str, Any] = {"norm": 1.0, "value": None}
        self.seen = ["a"]
        self.mean = np.array([1.0, 2.0])


def more(table: Table) -> None:
    table.steps += 1
    table.limits["new"] = 7


def less(table: Table) -> None:
    del table.limits["norm"]
    table.seen.clear()


def other(table: Table) -> None:
    table.limits = {"value": 2.0}
    table.mean[0] = np.nan
    table.seen.append("b")


@pytest.mark.parametrize("changes", [[more], [less], [other], [more, less, other]])
def test_every_attribute_is_what_it_was(changes: list[Any]) -> None:
    table, same = Table(), Table()
    kept = _attributes(table, vars(table))
    for _ in range(2):  # a snapshot serves more than once
        for change in changes:
            change(table)
        _restore(vars(table), _attributes(table, kept))
        assert vars(table).keys() == vars(same).keys()
        for name, value in vars(same).items():
            np.testing.assert_equal(vars(table)[name], value)


def test_dictionaries_stay_the_objects_that_others_hold() -> None:
    table = Table()
    limits, kept = table.limits, _attributes(table, vars(table))
    more(table)
    _restore(vars(table), _attributes(table, kept))
    assert table.limits is limits
    assert limits == {"norm": 1.0, "value": None}
