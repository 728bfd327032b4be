"""Pooling in machine code gives the references' bits, wherever its elements lie."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native import target
from chainrule.graph.primitive import REFERENCES
from chainrule.primitives import windows
from chainrule.primitives.movement import transpose
from chainrule.primitives.sliding import Sliding
from chainrule.tensor import wrap

#: (shape, axes, window, strides, padding, dilation), with more channels and places than
#: a vector has lanes, and fewer.
GEOMETRIES = [
    ((2, 3, 9, 35), (2, 3), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((2, 3, 9, 70), (2, 3), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    ((2, 19, 6, 7), (2, 3), (3, 2), (1, 1), ((1, 0), (0, 1)), (1, 2)),
    ((2, 3, 7, 67), (2, 3), (2, 5), (1, 1), ((0, 0), (2, 2)), (2, 1)),
    ((2, 2, 8, 53), (2, 3), (3, 3), (3, 3), ((1, 1), (1, 1)), (1, 1)),
    ((2, 2, 40, 37), (2, 3), (20, 2), (20, 2), ((0, 0), (0, 0)), (1, 1)),
    ((2, 2, 6, 72), (2, 3), (3, 2), (3, 2), ((0, 0), (0, 0)), (1, 1)),
    ((2, 2, 6, 72), (2, 3), (3, 1), (3, 2), ((0, 0), (0, 0)), (1, 1)),
    ((2, 2, 6, 72), (2, 3), (2, 2), (1, 2), ((1, 0), (2, 0)), (1, 3)),
    ((2, 2, 50, 50), (2, 3), (7, 18), (1, 1), ((0, 0), (9, 9)), (1, 1)),
    ((2, 33, 10), (2,), (4,), (3,), ((2, 1),), (2,)),
    ((3, 40), (1,), (2,), (2,), ((0, 0),), (1,)),
    ((37, 3), (0,), (3,), (2,), ((1, 1),), (1,)),
    ((41,), (0,), (2,), (1,), ((1, 0),), (3,)),
    ((2, 2, 5, 6, 34), (2, 3, 4), (2, 2, 2), (2, 2, 2), ((0, 0),) * 3, (1, 1, 1)),
    ((2, 6, 9, 3), (1, 2), (2, 3), (2, 1), ((-1, 0), (1, -2)), (1, 1)),
    ((2, 6, 9), (2, 1), (2, 3), (2, 1), ((1, 0), (1, 1)), (1, 1)),
    ((17, 2, 17), (2, 0), (5, 4), (1, 3), ((4, 1), (0, 0)), (1, 2)),
]
FUNCTIONS = {
    "max": windows.window_max,
    "argmax": windows.window_argmax,
    "both": None,
    "pullback": windows.window_max_pullback,
    "sum": windows.window_sum,
}


def drawn(rng: np.random.Generator, shape: Any, dtype: str) -> np.ndarray:
    """Numbers with ties, and among floats with NaN and infinities."""
    x = rng.integers(-3, 4, shape)
    if dtype == "bool":
        return x > 0
    made = np.abs(x).astype(dtype) if dtype == "uint8" else x.astype(dtype)
    if made.dtype.kind == "f":
        made = made + rng.choice([0, 0, 0, 0.1], shape).astype(dtype)
        made[rng.random(shape) < 0.05] = np.nan
        made[rng.random(shape) < 0.2] = -np.inf
    return made


def compared(
    rng: np.random.Generator,
    name: str,
    geometry: Any,
    dtype: str,
    lies: Any,
    threads: int = 1,
) -> None:
    """Compare a function of windows with its reference, bit for bit."""
    shape, axes, window, strides, padding, dilation = geometry
    attrs = {"axes": axes, "window": window, "strides": strides}
    attrs |= {"padding": padding, "dilation": dilation}
    if name == "sum":
        attrs["base_dilation"] = (1,) * len(axes)
    x = drawn(rng, shape, dtype)
    back = tuple(np.argsort(lies).tolist())
    arrays = [x]
    if name == "pullback":
        slides = Sliding(window, strides, padding, dilation, (1,) * len(axes))
        places = dict(zip(axes, slides.places("", tuple(shape[a] for a in axes))))
        g = rng.normal(size=[places.get(i, n) for i, n in enumerate(shape)])
        arrays.insert(0, (g * 8).astype(dtype))

    def function(*given: cr.Tensor) -> Any:
        values = [transpose(t.value, axes=back) for t in given]
        if name == "both":
            made = [FUNCTIONS[k](*values, **attrs) for k in ("max", "argmax")]
        else:
            made = [FUNCTIONS[name](*values, **attrs)]
        return [wrap(transpose(v, axes=lies)) for v in made]

    given = [cr.tensor(a.transpose(lies).copy()) for a in arrays]
    wanted = [
        REFERENCES[FUNCTIONS[k]](*arrays, **attrs).transpose(lies)
        for k in (("max", "argmax") if name == "both" else (name,))
    ]
    got = cr.compile(function, engine="native", threads=threads)(*given)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a.numpy(), b, str((name, geometry, dtype, lies)))


@pytest.mark.one_in(4)
@pytest.mark.parametrize("i", range(len(GEOMETRIES)))
def test_windows_are_the_references(i: int, rng: np.random.Generator) -> None:
    geometry = GEOMETRIES[i]
    rank = len(geometry[0])
    natural = tuple(range(rank))
    for name in FUNCTIONS:
        compared(rng, name, geometry, "float32", natural, threads=2)
        if i % 3 == 0:
            compared(rng, name, geometry, "float64", natural)
        if rank > 2:  # the channels last, or the images
            lies = (0, *range(2, rank), 1) if i % 4 else (*range(1, rank), 0)
            compared(rng, name, geometry, "float32", lies)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8", "bool"])
def test_windows_of_integers(dtype: str, rng: np.random.Generator) -> None:
    for name, geometry in itertools.product(FUNCTIONS, (GEOMETRIES[1], GEOMETRIES[7])):
        compared(rng, name, geometry, dtype, tuple(range(len(geometry[0]))))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_windows_by_shorter_vectors(
    name: str,
    vector_bytes: int,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on processors without AVX-512; the bits are the same."""
    shorter = target.Target(vector_bytes, 16)
    monkeypatch.setattr(
        "chainrule.engines.native.loops.windows.host_target", lambda: shorter
    )
    for geometry in GEOMETRIES[:3]:
        compared(rng, name, geometry, "float32", (0, 1, 2, 3))
        compared(rng, name, geometry, "float32", (0, 2, 3, 1))


def test_sums_of_gradients_have_one_order(rng: np.random.Generator) -> None:
    """That of the windows, whichever of their axes lies innermost."""
    attrs = {"axes": (1, 2), "window": (4, 5), "strides": (1, 1), "dilation": (1, 1)}
    attrs["padding"] = ((0, 0), (0, 0))
    x = rng.normal(size=(2, 19, 23)).astype(np.float32)
    g = rng.normal(size=(2, 16, 19)).astype(np.float32)
    wanted = REFERENCES[windows.window_max_pullback](g, x, **attrs)
    for lies in itertools.permutations(range(3)):
        back = tuple(np.argsort(lies).tolist())

        def function(*given: cr.Tensor, back: Any = back) -> cr.Tensor:
            values = [transpose(t.value, axes=back) for t in given]
            return wrap(windows.window_max_pullback(*values, **attrs))

        given = [cr.tensor(a.transpose(lies).copy()) for a in (g, x)]
        got = cr.compile(function, engine="native")(*given)
        np.testing.assert_array_equal(got.numpy(), wanted, str(lies))


def test_a_gradient_that_is_the_input_too(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 5, 20)).astype(np.float32)
    attrs = {"axes": (2, 3), "window": (1, 1), "strides": (1, 1), "dilation": (1, 1)}
    attrs["padding"] = ((0, 0), (0, 0))
    made = cr.compile(
        lambda t: wrap(windows.window_max_pullback(t.value, t.value, **attrs)),
        engine="native",
    )(cr.tensor(x))
    np.testing.assert_array_equal(made.numpy(), x)


def test_sums_back_to_windows_that_overlap(rng: np.random.Generator) -> None:
    """A sum over gaps: the derivative of a sum over windows that overlap."""
    attrs = {"axes": (2, 3), "window": (3, 3), "strides": (1, 1), "dilation": (1, 1)}
    attrs |= {"padding": ((2, 1), (1, 2)), "base_dilation": (2, 3)}
    x = rng.integers(-9, 9, (2, 3, 5, 21)).astype(np.float32)
    wanted = REFERENCES[windows.window_sum](x, **attrs)
    for lies, back in (((0, 1, 2, 3), (0, 1, 2, 3)), ((0, 2, 3, 1), (0, 3, 1, 2))):

        def function(t: cr.Tensor, back: Any = back) -> cr.Tensor:
            return wrap(windows.window_sum(transpose(t.value, axes=back), **attrs))

        got = cr.compile(function, engine="native")(cr.tensor(x.transpose(lies).copy()))
        np.testing.assert_array_equal(got.numpy(), wanted)
