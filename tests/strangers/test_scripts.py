"""Programs as users of PyTorch write them, run with another import and nothing else.

Each file of ``programs`` imports ``torch``, and its ``main()`` trains something small
and returns numbers. Here it runs as it is, and with ``chainrule`` in the place of
``torch`` in its imports: eagerly, and with ``torch.compile`` on every engine. What it
returns agrees. (PyTorch's own ``torch.compile`` is left out: it needs a compiler of C.)
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.errors import ArgumentError
from tests.strangers import given
from tests.strangers.test_programs import compare
from tests.ways import ENGINES

pytestmark = pytest.mark.parity

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("[a-z]*.py"))
COMPILE = cr.compile
CALLED_BY = [None, *ENGINES]

#: Programs whose step cannot be compiled as it stands, by what the refusal says.
REFUSED = {"sentences": "src_mask is set in a function that is compiled"}


def ours(source: str) -> str:
    """Return a program with this package in the place of PyTorch."""
    source = re.sub(r"(?m)^import torch$", "import chainrule as torch", source)
    source = re.sub(r"(?m)^import torch\.(?=.* as )", "import chainrule.", source)
    source = re.sub(r"(?m)^import torch\.(.*)$", r"import chainrule.\1", source)
    return re.sub(r"(?m)^from torch\b", "from chainrule", source)


def numbers(item: Any) -> Any:
    if isinstance(item, list | tuple):
        return [numbers(part) for part in item]
    return np.array(item.detach().numpy() if hasattr(item, "detach") else item)


def run(package: Any, source: str, name: str, dtype: str) -> Any:
    given.begin(dtype)
    before = package.get_default_dtype()
    package.set_default_dtype(getattr(package, dtype))
    try:
        namespace: dict[str, Any] = {"__name__": name}
        exec(compile(source, name, "exec"), namespace)
        return numbers(namespace["main"]())
    finally:
        package.set_default_dtype(before)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # PyTorch's own
@pytest.mark.filterwarnings("ignore:divide by zero encountered in log")  # of a mask
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float64", 1e-9), pytest.param("float32", 1e-6, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_with_another_import(
    path: Path, dtype: str, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = path.read_text("utf-8")
    monkeypatch.setattr(torch, "compile", eager)
    wanted = run(torch, source, path.name, dtype)
    for engine in CALLED_BY:
        compiled = functools.partial(COMPILE, engine=engine) if engine else eager
        monkeypatch.setattr(cr, "compile", compiled, raising=False)
        if engine and path.stem in REFUSED:
            with pytest.raises(ArgumentError, match=REFUSED[path.stem]):
                run(cr, ours(source), path.name, dtype)
            continue
        compare(run(cr, ours(source), path.name, dtype), wanted, tolerance)


def eager(function: Any) -> Any:
    return function
