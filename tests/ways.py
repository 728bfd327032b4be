"""How tests run a function here: eagerly, or compiled on one of the engines."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule.engines import native_problem

ENGINES = ["numpy"] if native_problem() else ["numpy", "native"]
WAYS = ["eager", *ENGINES]
#: Ways and dtypes where numbers may overflow: float32 does first. Compiled code in
#: float64 is left to the slow tests.
EXTREME: list[Any] = [
    pytest.param(
        way, dtype, marks=[pytest.mark.slow] * (way != "eager" and dtype == "float64")
    )
    for way in WAYS
    for dtype in ("float32", "float64")
]
