"""Convolutions on the tile kernel against the reference, also where batches are odd."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.autodiff import vjp
from chainrule.engines import load_engine
from chainrule.engines.native.products import convolution
from chainrule.graph.emit import trace
from chainrule.graph.interpret import evaluate
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.primitives.conv import conv

N = SymbolicDim("N")
#: channels, length, right, taps, padding, stride, dilation, groups where there are some
GEOMETRIES = [
    (3, 7, 5, 3, 0, 1, 1),
    (1, 8, 6, 5, 2, 1, 1),
    (16, 6, 33, 3, 1, 2, 1),
    (4, 9, 7, 3, 2, 1, 2),
    (2, 5, 64, 1, 0, 1, 1),
    (3, 8, 6, 1, 0, 2, 1),
    (2, 9, 5, 3, -1, 2, 1),
    (3, 7, 5, 3, 1, 1, 1, 2),
    (1, 8, 1, 3, 1, 2, 1, 6),
    (1, 6, 2, 2, 0, 1, 2, 5),
    (8, 5, 16, 1, 0, 1, 1, 3),
]


def program(geometry, dtype: DType) -> Program:
    """A convolution and both of its derivatives."""
    c, length, o, k, pad, stride, dilation, *groups = geometry
    attrs = {
        "dims": "ngc01,goc01->ngo01" if groups else "nc01,oc01->no01",
        "strides": (stride, stride),
        "padding": ((pad, pad), (pad, 0)),
        "lhs_dilation": (1, 1),
        "rhs_dilation": (dilation, dilation),
        "accumulate": dtype,
    }
    x = ArrayType((N, *groups, c, length, length), dtype)
    w = ArrayType((*groups, o, c, k, k), dtype)
    (y,) = conv.output_types((x, w), attrs)

    def all_of(x, w, g):
        back = vjp(lambda a, b: conv(a, b, **attrs), (x, w), [g], [True, True], {})
        return (conv(x, w, **attrs), *back)

    graph = trace(all_of, [x, w, y], name="main", tracked=True)
    for name, value in zip("xwg", graph.inputs):
        value.name = name
    return Program({"main": Entry("main", graph, tuple("xwg"), (), (), {}, 3)})


def cases() -> list[Any]:
    """Each geometry in both ways, each third one in float64; the others are slow."""
    found: list[Any] = []
    for i, geometry in enumerate(GEOMETRIES):
        for slabs in (True, False):
            for dtype, tolerance in ((DType.float32, 2e-4), (DType.float64, 1e-10)):
                fast = dtype is DType.float32 or (slabs and i % 3 == 0)
                label = f"{'slabs' if slabs else 'rows'}-{dtype.name}-{geometry}"
                marks = () if fast else pytest.mark.slow
                values = geometry, slabs, dtype, tolerance
                found.append(pytest.param(*values, id=label, marks=marks))
    return found


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("geometry", "slabs", "dtype", "tolerance"), cases())
def test_convolutions_agree_with_the_reference(
    geometry,
    slabs: bool,
    dtype: DType,
    tolerance: float,
    monkeypatch: pytest.MonkeyPatch,
    rng: np.random.Generator,
) -> None:
    """For batches of a part of a slab and of several, with 1, 2 and 3 threads."""
    if not slabs:
        monkeypatch.setattr(convolution, "SLABS_TO", 0)
    made = program(geometry, dtype)
    graph = made.entries["main"].graph
    executable = load_engine("native", made)
    for n in (19, 1, 8):
        arrays = {
            v.name: rng.uniform(-1, 1, [n if d == N else d for d in v.shape]).astype(
                dtype.numpy
            )
            for v in graph.inputs
        }
        wanted = evaluate(graph, list(arrays.values()))
        bits = []
        for threads in (1, 2, 3):
            executable.threads = threads
            got = executable.run("main", arrays, steps=1, sizes={"N": n})
            for mine, want in zip(got, wanted, strict=True):
                scale = max(1.0, float(abs(want).max()))
                np.testing.assert_allclose(mine[0], want, atol=tolerance * scale)
            bits.append([a.tobytes() for a in got])
        assert all(a == b for a, b in itertools.pairwise(bits))


def test_a_zero_of_the_padding_counts(rng: np.random.Generator) -> None:
    """0 · ∞ is NaN where a window reaches over the edge, as in the reference."""
    made = program((1, 4, 1, 3, 1, 1, 1), DType.float32)
    graph = made.entries["main"].graph
    arrays = {
        v.name: rng.uniform(-1, 1, [2 if d == N else d for d in v.shape]).astype("f")
        for v in graph.inputs
    }
    arrays["w"][0, 0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        wanted = evaluate(graph, list(arrays.values()))[0]
    (mine,), *_ = load_engine("native", made).run(
        "main", arrays, steps=1, sizes={"N": 2}
    )
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(wanted))
    assert np.isnan(wanted).any()
