"""On which line each key stands."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from chainrule.runs.places import places
from chainrule.runs.problems import Where, line_of

TEXT = '''\
# [none]
top = 1
[data]           # a comment with [brackets] and "quotes
source = "a # no comment.csv"
deep.er = 'C:\\x'

[model]
standardize = true
layers = [
  "ReLU",        # ] not the end
  { class = "Linear", out_features = [1,
      2] }, { class = "Dropout",
  p = 0.1 },
]
text = """
[fake]
key = 1
"""
after = """x""" # three

[[callbacks]]
class = "A"
[callbacks.inner]
a = 1
[[callbacks]]
"class" = "B"

["odd name"."房".x]
y = 1979-05-27 07:32:00
'''

LINES: dict[Where, int] = {
    ("top",): 2,
    ("data",): 3,
    ("data", "source"): 4,
    ("data", "deep"): 5,
    ("data", "deep", "er"): 5,
    ("model", "layers"): 9,
    ("model", "layers", 0): 10,
    ("model", "layers", 1): 11,
    ("model", "layers", 1, "out_features"): 11,
    ("model", "layers", 1, "out_features", 1): 12,
    ("model", "layers", 2): 12,
    ("model", "layers", 2, "p"): 13,
    ("model", "text"): 15,
    ("model", "after"): 19,
    ("callbacks", 0): 21,
    ("callbacks", 0, "class"): 22,
    ("callbacks", 0, "inner", "a"): 24,
    ("callbacks", 1): 25,
    ("callbacks", 1, "class"): 26,
    ("odd name", "房", "x"): 28,
    ("odd name", "房", "x", "y"): 29,
}


def test_lines() -> None:
    found = places(TEXT)
    assert {where: found.get(where) for where in LINES} == LINES
    assert found == places(TEXT.replace("\n", "\r\n"))
    # A place without a line has that of what is around it.
    assert line_of(("model", "layers", 0, "p"), found) == 10
    assert line_of(("output", "directory"), found) is None


def test_every_key_has_a_line() -> None:
    """The places are those of the document that tomllib reads, no more and no fewer."""
    text = TEXT.replace("[1,\n      2] }", "[1, 2] }").replace('",\n  p', '", p')

    def walk(value: Any, where: Where) -> set[Where]:
        found = {where} if where else set()
        items: Any = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for name, inner in items:
            found |= walk(inner, (*where, name))
        return found

    known = set(places(text))
    # A table that a header only leads through has no line of its own.
    missing = walk(tomllib.loads(text), ()) - known
    assert missing == {("odd name",), ("odd name", "房"), ("callbacks",)} - known
    assert known <= walk(tomllib.loads(text), ())


@pytest.mark.parametrize(
    "text", ["[", "a", "a = [", '"', "]]]", "= =", "[[x", "a = {b"]
)
def test_what_is_no_toml_has_no_lines_and_does_not_hang(text: str) -> None:
    assert isinstance(places(text), dict)
