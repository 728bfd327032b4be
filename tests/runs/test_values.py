"""Values as one writes them in TOML."""

from __future__ import annotations

import datetime
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.runs.values import key, quote, show


@given(st.text())
def test_quoted_text_is_toml(text: str) -> None:
    assert tomllib.loads(f"v = {quote(text)}")["v"] == text
    assert tomllib.loads(f"{key(text)} = 1") == {text: 1}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**40, "a number of very many digits"),
        ({"a b": [1, {"c": False}]}, '{"a b" = [1, {c = false}]}'),
        ([[[[[[1]]]]]], "[[[[…]]]]"),
        ("x" * 200, '"' + "x" * 58 + "…"),
        (datetime.date(2026, 1, 1), "2026-01-01"),
    ],
)
def test_values_are_shown_as_one_writes_them(value: Any, shown: str) -> None:
    assert show(value) == shown
