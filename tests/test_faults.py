"""The faults that ``tools/plant_faults.py`` plants are places of the present source."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tool() -> Any:
    place = ROOT / "tools" / "plant_faults.py"
    spec = importlib.util.spec_from_file_location("plant_faults", place)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["plant_faults"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_fault_has_one_place_and_tests() -> None:
    found = tool()
    faults = found.faults(found.TABLE.read_text(encoding="utf-8"))
    assert len(faults) >= 40
    for fault in faults:
        source = ROOT / "src" / "chainrule" / fault.file
        assert source.read_text(encoding="utf-8").count(fault.old) == 1, fault
        files = [part for part in fault.tests.split() if part.startswith("tests/")]
        assert files
        assert all((ROOT / file).exists() for file in files), fault


def test_a_fault_without_a_place_is_refused(tmp_path: Path) -> None:
    found = tool()
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    fault = found.Fault("graph", "a.py", "another number", "tests", "x = 1", "x = 2")
    with pytest.raises(SystemExit, match="2 places"), fault.planted(tmp_path):
        pass
    assert (tmp_path / "a.py").read_text() == "x = 1\nx = 1\n"
