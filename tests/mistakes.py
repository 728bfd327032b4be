"""One test of a table of mistakes: what is written, by its error, and words of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.rows import table

#: By the error, what is written, and a pattern of the message; ``.`` fits any line.
Mistakes = dict[type[Exception], dict[str, str]]


def explained(mistakes: Mistakes, names: dict[str, Any]) -> Callable[..., None]:
    """The test that each of them raises its error and says so.

    Args:
        mistakes: the table.
        names: what is written is evaluated with these.
    """
    rows = [
        (error, text, mistakes[error][text])
        for error in mistakes
        for text in mistakes[error]
    ]

    @table(("error", "text", "words"), rows)
    def test(error: type[Exception], text: str, words: str) -> None:
        with pytest.raises(error, match=f"(?s){words}") as caught:
            eval(text, names)
        assert "expected: " in str(caught.value) or "got: " in str(caught.value)

    return test
