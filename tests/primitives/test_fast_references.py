"""References that take another way for large arrays, or one part after the other."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from chainrule.graph.primitive import REFERENCES
from chainrule.graph.types import DType
from chainrule.primitives import conv, elementwise, indexing, windows

RNG = np.random.default_rng(0)
SIZES = {"n": 3, "c": 4, "o": 2, "g": 2, "0": 6, "1": 5}
KERNELS = {"0": 3, "1": 2}


@pytest.mark.parametrize(
    "dims",
    ["nc01,oc01->no01", "n01c,01co->n01o", "ngc01,goc01->ngo01", "c01,oc01->o01"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_convolution_in_parts(
    dims: str, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row and channel alone gives what all of them give together."""
    left, right = dims.partition("->")[0].split(",")
    shapes = [[SIZES[c] for c in left], [KERNELS.get(c, SIZES[c]) for c in right]]
    if turned:  # as in the derivative to the kernels: few places, a large window
        shapes[1] = [SIZES[c] for c in right]
    x, w = (RNG.normal(size=shape) for shape in shapes)
    attrs: dict[str, Any] = {
        "strides": (1, 1),
        "padding": ((1, 0), (1, 1)),
        "lhs_dilation": (1, 1),
        "rhs_dilation": (1, 1),
        "accumulate": DType.float64,
    }
    reference = REFERENCES[conv.conv]
    whole = reference(x, w, dims=dims, **attrs)
    monkeypatch.setattr(conv, "_ROW", 1)
    monkeypatch.setattr(conv._blocks, "__defaults__", (1,))
    parts = reference(x, w, dims=dims, **attrs)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-13)
    for place in ((0, 0), (1, 2), tuple(n - 1 for n in _places(dims, whole))):
        np.testing.assert_allclose(
            _at(dims, whole, place), _by_hand(dims, x, w, place), rtol=0, atol=1e-12
        )


def _places(dims: str, y: np.ndarray) -> tuple[int, ...]:
    out = dims.partition("->")[2]
    return tuple(y.shape[out.index(c)] for c in "01")


def _at(dims: str, y: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    out = dims.partition("->")[2]
    return np.moveaxis(y, [out.index("0"), out.index("1")], [0, 1])[place]


def _by_hand(
    dims: str, x: np.ndarray, w: np.ndarray, place: tuple[int, ...]
) -> np.ndarray:
    """What stands at one place of a result, as one sum."""
    (left, right), out = dims.partition("->")[0].split(","), dims.partition("->")[2]
    pads = [{"0": (1, 0), "1": (1, 1)}.get(c, (0, 0)) for c in left]
    seen = np.pad(x, pads)
    for c, start in zip("01", place):
        size = w.shape[right.index(c)]
        seen = seen.take(range(start, start + size), left.index(c))
    letters = out.replace("0", "").replace("1", "")
    names = str.maketrans("01", "yz")
    return np.einsum(
        f"{left},{right}->{letters}".translate(names), seen, w, optimize=False
    )


@pytest.mark.parametrize("kind", ["ties", "infinite", "nan", "int8", "bool"])
@pytest.mark.parametrize(
    ("axes", "window", "strides", "padding", "dilation"),
    [
        ((1, 2), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
        ((2, 1), (2, 3), (1, 2), ((1, 0), (1, 1)), (1, 1)),
        ((1,), (3,), (1,), ((2, 2),), (2,)),
        ((1, 2), (17, 17), (1, 1), ((9, 8), (9, 9)), (1, 1)),
    ],
)
def test_the_first_of_the_largest(
    kind: str, axes: Any, window: Any, strides: Any, padding: Any, dilation: Any
) -> None:
    x: np.ndarray = RNG.integers(0, 3, (2, 6, 5)).astype("f4")
    if kind in ("infinite", "nan"):
        x[RNG.random(x.shape) < 0.7] = -np.inf
    if kind == "nan":
        x[RNG.random(x.shape) < 0.3] = np.nan
    x = x.astype(kind) if kind in ("int8", "bool") else x
    attrs = {"window": window, "strides": strides, "padding": padding}
    attrs |= {"axes": axes, "dilation": dilation}
    best = REFERENCES[windows.window_max](x, **attrs)
    index = REFERENCES[windows.window_argmax](x, **attrs)
    assert best.dtype == x.dtype
    lengths = [x.shape[a] for a in axes]
    g = RNG.integers(0, 2, best.shape).astype(x.dtype)
    back = np.zeros_like(x)
    for place in np.ndindex(*best.shape):
        found: list[Any] = []
        for taps in product(*map(range, window)):
            at = list(place)
            for a, k, s, (low, __), r in zip(axes, taps, strides, padding, dilation):
                at[a] = place[a] * s + k * r - low
            inside = [at[a] for a in axes]
            if all(0 <= i < n for i, n in zip(inside, lengths)):
                position = np.ravel_multi_index(inside, lengths)
                found.append((x[tuple(at)], position, tuple(at)))
        odd = [i for i, (v, *__) in enumerate(found) if v != v]
        first = odd[0] if odd else max(range(len(found)), key=lambda i: found[i][0])
        np.testing.assert_array_equal(best[place], found[first][0])
        assert index[place] == found[first][1]
        back[found[first][2]] += g[place]
    made = REFERENCES[windows.window_max_pullback](g, x, **attrs)
    np.testing.assert_array_equal(made, back)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u8", "bool"])
def test_selection_from_large_arrays_keeps_every_bit(dtype: str) -> None:
    shape = (130, 128)
    condition = RNG.random(shape) < 0.5
    a, b = (RNG.integers(0, 2, (*shape, 8)).astype("u1") for __ in range(2))
    if dtype != "bool":
        size = np.dtype(dtype).itemsize
        a, b = (RNG.bytes(130 * 128 * size) for __ in range(2))
        a, b = (np.frombuffer(part, dtype).reshape(shape) for part in (a, b))
    else:
        a, b = a[..., 0].astype(bool), b[..., 0].astype(bool)
    singles = [np.broadcast_to(np.array(n, a.dtype), shape) for n in (0, -0.0, 1)]
    for other in (b, np.broadcast_to(b[:1], shape), b.reshape(128, 130).T, *singles):
        made = REFERENCES[elementwise.where](condition, a, other)
        assert made.dtype == a.dtype
        assert made.tobytes() == np.where(condition, a, other).tobytes()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_adding_along_an_axis_keeps_the_order(axis: int) -> None:
    base = RNG.normal(size=(3, 4, 5)).astype("f4")
    turned = base.transpose(2, 0, 1).copy().transpose(1, 2, 0)
    updates = RNG.normal(size=(3, 4, 5)).astype("f4")
    indices = RNG.integers(0, base.shape[axis], base.shape).astype("u1")
    wanted = base.copy()
    for place in np.ndindex(*base.shape):
        at = list(place)
        at[axis] = indices[place]
        wanted[tuple(at)] += updates[place]
    for start in (base, turned):
        made = REFERENCES[indexing.scatter_add_along](
            start, indices, updates, axis=axis
        )
        np.testing.assert_array_equal(made, wanted)
