"""Which files are the user's own code."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.compilation.guards.dependencies import DependencyScan
from chainrule.util.source_location import of_user


def test_installed_packages_are_none() -> None:
    assert of_user(__file__)
    assert not of_user(os.__file__)
    assert not of_user(np.__file__)
    assert not of_user("<frozen importlib>")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that ``pip install --target`` has put a package and a module into."""
    (tmp_path / "theirs_of_a_test").mkdir()
    lines = [f"part_{i} = [{i}, 'dictionary.of.names']" for i in range(300)]
    text = "\n".join(["import sys", *lines, "def call(x): return sys.modules"])
    for name in ("theirs_of_a_test/__init__.py", "single_of_a_test.py"):
        (tmp_path / name).write_text(text)
    (tmp_path / "mine_of_a_test.py").write_text(
        "import theirs_of_a_test as theirs, single_of_a_test as single\n"
        "def f(x):\n    return theirs.call(single.call(x))\n"
    )
    made = tmp_path / "theirs_of_a_test-1.0.dist-info"
    made.mkdir()
    (made / "RECORD").write_text(
        "theirs_of_a_test/__init__.py,sha256=abc,10\nsingle_of_a_test.py,,\n"
        "../../bin/theirs,,\ntheirs_of_a_test-1.0.dist-info/RECORD,,\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_nor_those_in_any_other_folder(folder: Path) -> None:
    """A program of one's own beside them is the user's."""
    assert not of_user(str(folder / "theirs_of_a_test" / "__init__.py"))
    assert not of_user(str(folder / "single_of_a_test.py"))
    assert of_user(str(folder / "mine_of_a_test.py"))
    assert of_user(str(folder / "theirs_of_a_test.py"))  # of no such name


def test_their_code_is_not_read(folder: Path) -> None:
    """Else a scan would go through all modules of the process."""
    mine = importlib.import_module("mine_of_a_test")
    try:
        scan = DependencyScan(mine.f, {})
        assert not any(item is sys.modules for item in scan.objects())
        assert len(scan.objects()) < 50
    finally:
        for name in ("mine_of_a_test", "theirs_of_a_test", "single_of_a_test"):
            sys.modules.pop(name, None)
