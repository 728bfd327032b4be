"""The line of each key of a TOML text."""

from __future__ import annotations

import time
import tomllib
from typing import Any

import pytest

from chainrule.runs.problems import Where, line_of
from chainrule.runs.toml import lines_of

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
      2] }, { class = "Dropout", p = [
  0.1] },
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
    ("model", "layers", 2, "p"): 12,
    ("model", "layers", 2, "p", 0): 13,
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
    found = lines_of(TEXT)
    assert {where: found.get(where) for where in LINES} == LINES
    assert found == lines_of(TEXT.replace("\n", "\r\n"))
    # A place without a line has that of what is around it.
    assert line_of(("model", "layers", 0, "p"), found) == 10
    assert line_of(("output", "directory"), found) is None


def test_every_key_has_a_line() -> None:
    """The places are those of the document that tomllib reads, no more and no fewer."""

    def walk(value: Any, where: Where) -> set[Where]:
        found = {where} if where else set()
        items = value.items() if isinstance(value, dict) else ()
        for name, inner in enumerate(value) if isinstance(value, list) else items:
            found |= walk(inner, (*where, name))
        return found

    # A table that a header only leads through has no line of its own.
    through = {("odd name",), ("odd name", "房"), ("callbacks",)}
    assert walk(tomllib.loads(TEXT), ()) - set(lines_of(TEXT)) == through
    assert set(lines_of(TEXT)) <= walk(tomllib.loads(TEXT), ())


@pytest.mark.parametrize(
    "text", ["a = [\n" + "1,\n" * 60_000 + "]", chr(39) * 3 + "\n" * 60_000]
)
def test_a_hostile_text_does_not_hang(text: str) -> None:
    started = time.process_time()
    lines_of(text)
    assert time.process_time() - started < 5
