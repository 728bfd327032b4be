"""Products: blocks, packing and threads change nothing, not even a bit."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.engines import load_engine
from chainrule.engines.native.products import gemm
from chainrule.engines.schedule.machine import Cache
from chainrule.graph.emit import trace
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType
from chainrule.primitives.matmul import dot

DIMS = ["mk,kn->mn", "km,kn->mn", "mk,nk->mn", "km,nk->mn", "mk,kn->nm"]
VECTORS = [
    *("mk,k->m", "k,mk->m", "km,k->m", "bmk,k->bm", "bmk,bk->bm", "mbk,kb->bm"),
    *("bk,bk->b", "k,k->", "bmk,mk->b", "bmk,bmk->m"),
]
SIZES = {"b": 5, "m": 70, "k": 600, "n": 90}
#: Whatever the sizes, operands are packed.
SMALL = Cache(columns=64, rows=16, far_bytes=4)


def product(dims: str, dtype: DType) -> Program:
    left, right = dims.split("->")[0].split(",")
    types = [ArrayType(tuple(SIZES[c] for c in s), dtype) for s in (left, right)]
    graph = trace(lambda a, b: dot(a, b, dims), types, name="main")
    for name, value in zip("ab", graph.inputs):
        value.name = name
    return Program({"main": Entry("main", graph, ("a", "b"), (), (), {}, 1)})


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("dtype", [DType.float32, DType.float64], ids=str)
def test_blocks_change_no_bit(
    dims: str,
    dtype: DType,
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
) -> None:
    made = product(dims, dtype)
    values = made.entries["main"].graph.inputs
    arrays = {v.name: rng.uniform(-1, 1, v.shape).astype(dtype.numpy) for v in values}
    wanted = np.einsum(dims, arrays["a"], arrays["b"])
    bits: list[bytes] = []
    for cache, threads in itertools.product((gemm.CACHE, SMALL), (1, 2, 3)):
        monkeypatch.setattr(gemm, "CACHE", cache)
        executable = load_engine("native", made, threads=threads)
        ((got,),) = executable.run("main", arrays, steps=1, sizes={})
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)
        bits.append(got.tobytes())
    assert len(set(bits)) == 1


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dims", VECTORS)
@pytest.mark.parametrize("dtype", [DType.float32, DType.float64], ids=str)
def test_matrices_by_vectors_are_tiles_or_lines(
    dims: str, dtype: DType, rng: np.random.Generator
) -> None:
    made = product(dims, dtype)
    values = made.entries["main"].graph.inputs
    arrays = {v.name: rng.uniform(-1, 1, v.shape).astype(dtype.numpy) for v in values}
    wanted = np.einsum(dims, *(arrays[name].astype("f8") for name in "ab"))
    bits: list[bytes] = []
    for threads in (1, 2, 3):
        executable: Any = load_engine("native", made, threads=threads)
        ((got,),) = executable.run("main", arrays, steps=1, sizes={})
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)
        bits.append(got.tobytes())
        called = executable.emitted("main", {}).called
        assert any(name.startswith(("matmul.", "reduce_dot.")) for name in called)
    assert len(set(bits)) == 1
