"""One test for all rows of a table: it names each row that fails, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def failures(
    check: Callable[..., object], rows: Iterable[tuple[str, tuple[Any, ...]]]
) -> str:
    """Check every row; return a line for each that fails, or nothing.

    Args:
        check: fails for a row that is wrong; it is called with what is in the row.
        rows: the name of each row and what is in it.
    """
    wrong: list[str] = []
    for name, row in rows:
        try:
            check(*row)
        except (Exception, pytest.fail.Exception) as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    return "\n".join(wrong)
