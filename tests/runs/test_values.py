"""Kinds of values: what is taken, what is refused, and how both are called."""

from __future__ import annotations

import datetime
import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.runs.values import (
    Choice,
    Either,
    Flag,
    Kind,
    ListOf,
    Number,
    Options,
    Plain,
    Table,
    Text,
    Whole,
    WrongValueError,
    key,
    quote,
    show,
)

TODAY = datetime.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        (Whole(), -3, -3),
        (Whole(1), 1, 1),
        (Number(), 3, 3.0),
        (Number(0, 1), 0.5, 0.5),
        (Number(), -1e-300, -1e-300),
        (Flag(), True, True),
        (Text(), "房價", "房價"),
        (Text(blank=True), "\t", "\t"),
        (Choice(("a", "b")), "b", "b"),
        (ListOf(Whole(), "numbers"), [1, 2], [1, 2]),
        (ListOf(Number(), "numbers", 2, 2), [1, 2], [1.0, 2.0]),
        (Either((Whole(1), Choice(("all",)))), "all", "all"),
        (Table(Number(), "numbers"), {"a": 1}, {"a": 1.0}),
        (Options("a table"), {"a": TODAY}, {"a": TODAY}),
        (Plain(), [1, "a", True, 0.5], [1, "a", True, 0.5]),
    ],
)
def test_what_is_taken(kind: Kind, given: Any, taken: Any) -> None:
    made = kind.take(given)
    assert made == taken
    assert type(made) is type(taken)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (Whole(), True, "a whole number"),
        (Whole(), 1.0, "a whole number"),
        (Whole(), 2**31, "a whole number"),
        (Whole(1), 0, "a whole number ≥ 1"),
        (Whole(1, 9), 10, "a whole number from 1 to 9"),
        (Number(), "1", "a finite number"),
        (Number(), False, "a finite number"),
        (Number(), math.nan, "a finite number"),
        (Number(), -math.inf, "a finite number"),
        (Number(), 10**400, "a finite number"),
        (Number(0), -1, "a number ≥ 0"),
        (Number(0, strict=True), 0, "a number > 0"),
        (Number(0, 1), 1.5, "a number from 0 to 1"),
        (Number(0, 1, strict=True), 1, "a number strictly between 0 and 1"),
        (Flag(), 1, "true or false"),
        (Text(), "", "text in quotes"),
        (Text(), "  ", "text in quotes"),
        (Text(), "a\x00b", "text in quotes, without control characters"),
        (Text(), "\ud800", "text in quotes, without control characters"),
        (Text(blank=True), "\n", "text in quotes"),
        (Text("a path"), 3, "a path"),
        (Choice(("a", "b")), "c", '"a" or "b"'),
        (Choice(("a", "b")), ["a"], '"a" or "b"'),
        (ListOf(Whole(), "numbers"), 1, "numbers"),
        (ListOf(Whole(), "numbers", 2), [1], "numbers"),
        (ListOf(Whole(), "numbers"), [1, "x"], 'numbers; "x" is none of its items'),
        (Either((Whole(1), Flag())), "x", "a whole number ≥ 1, or true or false"),
        (Table(Number(), "a table"), [], "a table"),
        (Table(Number(), "a table"), {"a": "x"}, "a finite number for 'a' in a table"),
        (Options("a table"), [], "a table"),
        (Plain(), {}, "a finite number"),
        (Plain(), [math.inf], "a finite number"),
        (Whole(), TODAY, "a whole number"),
    ],
)
def test_what_is_refused(kind: Kind, given: Any, expected: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        kind.take(given)
    assert caught.value.expected == expected


def test_the_nearest_choice_is_named() -> None:
    kind = Choice(("classification", "regression"))
    with pytest.raises(WrongValueError) as caught:
        Either((Whole(), kind)).take("clasification")
    assert caught.value.fix == 'did you mean "classification"?'
    with pytest.raises(WrongValueError) as caught:
        kind.take("zzz")
    assert caught.value.fix is None


def test_a_kind_without_values() -> None:
    with pytest.raises(WrongValueError, match="a value"):
        Kind().take(1)


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
        (TODAY, "2026-01-01"),
    ],
)
def test_values_are_shown_as_one_writes_them(value: Any, shown: str) -> None:
    assert show(value) == shown
