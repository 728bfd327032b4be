"""The names of a notebook's cells, in a kernel and in what it starts."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from chainrule.util import source_location

#: Cells of ``ipykernel`` are files; which of them a shell knows is for it to say.
FILE = "/tmp/ipykernel_17/3021.py"


def caller() -> str | None:
    """Where a cell is, that asks for it."""
    scope: dict[str, Any] = {"asked": source_location.caller}
    exec(compile("\nplace = asked()", FILE, "exec"), scope)
    return scope["place"]


def shell(**compiler: Any) -> Any:
    return SimpleNamespace(compile=SimpleNamespace(**compiler))


SHELLS: dict[str, tuple[Any, str]] = {
    "a kernel": (shell(format_code_name={FILE: ("Cell", "In[3]")}.get), "In[3]:2"),
    "a cell of another kernel": (shell(format_code_name={}.get), "3021.py:2"),
    "IPython 7": (shell(), "3021.py:2"),
    "a shell that compiles nothing": (SimpleNamespace(), "3021.py:2"),
    "no shell": (None, "3021.py:2"),
}


@pytest.mark.parametrize("name", SHELLS)
def test_what_a_cell_is_called(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, wanted = SHELLS[name]
    module = SimpleNamespace(get_ipython=lambda: given)
    monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
    assert caller() == wanted


def test_a_cell_in_a_process_without_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that gets a function of a cell, as joblib's do."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert caller() == "3021.py:2"
