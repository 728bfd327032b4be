"""One test for all rows of a table: it names each row that fails, and why."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
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


def table(
    names: str | Sequence[str],
    rows: Iterable[Any],
    ids: Callable[[Any], object] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The decorated test for all rows, as one test instead of one for each.

    It is written as with ``pytest.mark.parametrize``, which takes milliseconds for a
    row: longer than most rows of a long table. All rows are tried; an error names its
    row. What a row leaves behind (files, patches, output) the next one would see: tests
    that leave something are no tables.

    Args:
        names: the test's parameters that come from a row; the others are fixtures.
        rows: values in the order of the names; the value alone where there is one name.
        ids: gives the name of a value.
    """
    given = names.split(",") if isinstance(names, str) else names
    given = [name.strip() for name in given]
    kept = [(row,) if len(given) == 1 else tuple(row) for row in rows]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        parameters = inspect.signature(test).parameters.values()

        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            errors: list[Exception] = []
            for row in kept:
                try:
                    test(**dict(zip(given, row, strict=True)), **fixtures)
                except (Exception, pytest.fail.Exception) as error:
                    if not isinstance(error, Exception):
                        error = AssertionError(str(error)).with_traceback(
                            error.__traceback__
                        )
                    name = ", ".join(str(ids(v) if ids else v) for v in row)
                    error.add_note(f"the row was {name}")
                    errors.append(error)
            if errors:
                raise ExceptionGroup("these rows failed", errors)

        run.__signature__ = inspect.Signature(  # pyright: ignore
            [p for p in parameters if p.name not in given]
        )
        return run

    return decorate
