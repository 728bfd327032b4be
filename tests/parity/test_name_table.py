"""The table of PyTorch's names in the documentation is that of the running package."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import pytest

from tests.test_docs import ROOT

pytestmark = pytest.mark.parity


def tool(name: str) -> Any:
    """Return a module of the folder ``tools``."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_up_to_date() -> None:
    """Else: ``python tools/names.py``."""
    names = tool("names")
    page = names.PAGE.read_text("utf-8")
    with warnings.catch_warnings(action="ignore"):  # of PyTorch's deprecated names
        assert names.written(page) == page


def test_the_table_knows_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tool("names")
    assert {"relu", "cross_entropy"} <= set(names.documented("nn.functional"))
    assert {"sum", "float32"} <= set(names.documented(""))
    monkeypatch.setattr(names, "MODULES", ("", "optim"))
    with warnings.catch_warnings(action="ignore"):
        table = names.table()
    assert "| `float16` | cr.float32, cr.bfloat16 |" in table
    assert "`complex64`" in table.partition("Not here:")[0]


def test_the_census_counts_files_and_names(tmp_path: Any, capsys: Any) -> None:
    clean = "import torch.nn as nn\nfrom torch import optim\nm = nn.Linear(2, 3)\n"
    (tmp_path / "a.py").write_text(clean + "optim.SGD(m.parameters(), lr=0.1)\n")
    (tmp_path / "b.py").write_text(
        "import torch\nfrom torch.onnx import export\n"
        "torch.zeros(2, out=None).half()\ntorch.jit.script(export)\n"
    )
    (tmp_path / "c.py").write_text("print('torch')\n")
    (tmp_path / "d.py").write_text("import torch, torchvision\ntorch.ones(2).sum()\n")
    with (tmp_path / "d.py").open("a") as file:
        file.write("x = torch.cuda.FloatTensor if use_cuda else torch.FloatTensor\n")
    (tmp_path / "e.py").symlink_to("a.py")  # counted once
    (tmp_path / "f.py").symlink_to("nowhere.py")
    with warnings.catch_warnings(action="ignore"):
        assert not tool("census").main([str(tmp_path), "--clean"])
    said = capsys.readouterr().out
    assert said.startswith("3 files import torch; 2 of them (67 %) use")
    assert "1 import nothing else" in said
    for name in ("torch.onnx", "torch.jit.script", "torch.zeros(out=)", "x.half()"):
        assert f"1  {name}\n" in said
    assert "a.py" in said
    assert "b.py" not in said
