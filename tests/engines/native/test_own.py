"""What each thread does for itself is the same for all of them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.engines import load_engine
from chainrule.engines.native.runtime import compiler
from chainrule.graph.program import Program
from tests.engines.schedule.test_schedule import gathered


def test_same_bits_with_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(compiler, "available_cores", lambda: 2)
    entry, _, _ = gathered()
    x = rng.integers(0, 256, (1000, 784), dtype=np.uint8)
    first = rng.uniform(-0.05, 0.05, (128, 784)).astype("f4")
    found: set[bytes] = set()
    for threads in (1, 2, 3):
        engine = load_engine("native", Program({"main": entry}), threads=threads)
        engine.write("w", first)
        w = first.astype(float)
        for n in (64, 61, 2, 1, 64):
            rows = np.arange(n, dtype=np.int32) * 7 + n
            inputs = {"x": x, "rows": rows}
            ((got,),) = engine.run("main", inputs, steps=1, sizes={"N": n})
            scaled = x[rows] / 255
            wanted = np.exp(scaled @ w.T)
            w -= 1e-4 * wanted.T @ scaled
            np.testing.assert_allclose(got, wanted, rtol=1e-3)
            found.add(bytes([n]) + got.tobytes())
        found.add(engine.read("w").tobytes())
        assert "each thread for itself" in str(engine.schedules["main"])
    assert len(found) == 6  # five batches and the weights, whoever computes them
