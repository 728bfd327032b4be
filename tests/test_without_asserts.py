"""``python -O`` leaves out what is asserted, and nothing that matters.

An error that a test expects is an error of ours, which ``-O`` keeps. What is asserted
must then compute nothing that the code below it needs.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: What an assertion may call: functions that change nothing.
HARMLESS = {"isinstance", "len", "all"}
REFUSED = """
import chainrule as cr

run = cr.compile(lambda x: x * 2, engine="numpy")
x = cr.ones(3)
run(x)
(program,) = run.programs
for refused in (
    lambda: run.profile(x),
    lambda: run.schedule,
    lambda: program.profile("<lambda>", {"x": x}),
    lambda: program.schedule,
):
    try:
        refused()
    except cr.ChainruleError as error:
        print(type(error).__name__, "makes no schedule" in str(error))
"""


def test_what_an_engine_does_not_make_is_refused() -> None:
    made = subprocess.run(
        [sys.executable, "-O", "-c", REFUSED],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.stdout.split("\n")[:-1] == ["EngineError True"] * 4, made.stderr


def matters(tree: ast.AST) -> Iterator[str]:
    """Yield what ``-O`` would change: an asserted effect, a decision by assertions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            for part in ast.walk(node.test):
                effect = isinstance(part, ast.NamedExpr | ast.Await | ast.Yield)
                if isinstance(part, ast.Call):
                    effect = ast.unparse(part.func) not in HARMLESS
                if effect:
                    yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            if "AssertionError" in ast.unparse(node.type):
                yield f"{node.lineno}: except {ast.unparse(node.type)}"
        elif isinstance(node, ast.Name) and node.id == "__debug__":
            yield f"{node.lineno}: __debug__"


def test_what_is_asserted_has_no_effect() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        if re.search(
            r"\bassert |AssertionError|__debug__", text := path.read_text("utf-8")
        )
        for line in matters(ast.parse(text))
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "assert (n := next(rows)) is not None",
        "assert names.pop()",
        "try: f()\nexcept (AssertionError, TypeError): pass",
        "if __debug__: f()",
    ],
)
def test_an_effect_would_be_seen(line: str) -> None:
    assert list(matters(ast.parse(line)))
    assert not list(matters(ast.parse("assert isinstance(x, int) and len(x) < 3")))
