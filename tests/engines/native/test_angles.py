"""sin, cos, atan2 and pow of the native engine against many digits."""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any

import mpmath
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from llvmlite import ir

from chainrule.engines.native.loops.kernels import for_loop
from chainrule.engines.native.math import angles, power
from chainrule.engines.native.runtime.jit import MachineCode, object_code

FLOATS = (np.float32, np.float64)
#: For each: its emitter, the exact function, NumPy's, and how many units in the last
#: place it may be off in float and in double, as the docstrings say.
FUNCTIONS: dict[str, tuple[Any, Any, Any, tuple[float, float]]] = {
    "sin": (angles.sin, mpmath.sin, np.sin, (0.51, 0.8)),
    "cos": (angles.cos, mpmath.cos, np.cos, (0.51, 0.8)),
    "atan2": (angles.atan2, mpmath.atan2, np.arctan2, (0.51, 0.7)),
    "pow": (power.pow_, mpmath.power, np.power, (0.51, 0.9)),
}
#: The double that comes nearest to a multiple of π/2 (2⁻⁶¹ from it), and large ones.
HARD = [6381956970095103.0 * 2.0**797, 5.319372648326541e255, 2.0**1023, 1e22]

_compiled: dict[Any, Any] = {}


def compiled(name: str, dtype: Any) -> Any:
    """The function over arrays: a loop that LLVM may turn into vectors."""
    if (name, dtype) not in _compiled:
        kind: Any = ir.FloatType() if dtype is np.float32 else ir.DoubleType()
        arity = 1 if name in ("sin", "cos") else 2
        module, size = ir.Module(), np.dtype(dtype).itemsize
        arguments = [ir.PointerType()] * (arity + 1) + [ir.IntType(64)]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "f")
        b = ir.IRBuilder(function.append_basic_block())
        *sources, out, count = function.args
        with for_loop(b, ir.IntType(64)(0), count, "i") as i:
            at = [b.gep(p, [i], source_etype=kind) for p in (*sources, out)]
            xs = [b.load(p, typ=kind, align=size) for p in at[:-1]]
            b.store(FUNCTIONS[name][0](b, *xs), at[-1], align=size)
        b.ret_void()
        code = MachineCode(object_code([str(module)]))
        types = [ctypes.c_void_p] * (arity + 1) + [ctypes.c_int64]
        call = ctypes.CFUNCTYPE(None, *types)(code.address("f"))
        _compiled[name, dtype] = call, code
    call = _compiled[name, dtype][0]

    def run(*arrays: Any) -> Any:
        held = [np.ascontiguousarray(a, dtype) for a in arrays]
        made = np.empty_like(held[0])
        call(*(a.ctypes.data for a in (*held, made)), made.size)
        return made

    return run


def units(got: np.ndarray, exact: list[Any], dtype: Any) -> float:
    """The largest error in units in the last place."""
    info = np.finfo(dtype)
    worst = 0.0
    for mine, value in zip(got.tolist(), exact):
        if value == 0:
            assert mine == 0
            continue
        exponent = max(int(mpmath.floor(mpmath.log(abs(value), 2))), info.minexp)
        unit = mpmath.mpf(2) ** (exponent - info.nmant)
        worst = max(worst, float(abs(mpmath.mpf(mine) - value) / unit))
    return worst


def numbers(name: str, dtype: Any, rng: np.random.Generator) -> list[np.ndarray]:
    """Of every size, near multiples of π/4, and hard ones."""
    words = np.dtype(dtype).itemsize * 8
    bits = rng.integers(0, 2**words - 1, 600, f"uint{words}", endpoint=True)
    anywhere = bits.view(dtype)
    info = np.finfo(dtype)
    anywhere = anywhere[np.isfinite(anywhere) & (abs(anywhere) > info.tiny)]
    quarters = rng.integers(-(10**6), 10**6, 300) * (np.pi / 4)
    x = np.concatenate([anywhere, rng.uniform(-10, 10, 300), quarters]).astype(dtype)
    if name in ("sin", "cos"):
        return [np.concatenate([x, np.array(HARD if dtype is np.float64 else [])])]
    if name == "atan2":
        near = rng.uniform(-2, 2, 600).astype(dtype)
        return [
            np.concatenate([rng.permutation(x), near]),
            np.concatenate([x, near[::-1]]),
        ]
    far = 80 if dtype is np.float32 else 690
    base = np.exp(rng.uniform(-far, far, 600)).astype(dtype)
    exponent = rng.uniform(-far, far, 600) / np.log(base.astype(float))
    near, some = rng.uniform(0.5, 2, 600), rng.uniform(-90, 90, 600)
    whole = rng.integers(-9, 9, 300)
    x = np.concatenate([base, near, rng.uniform(-30, 30, 300)]).astype(dtype)
    return [x, np.concatenate([exponent, some, whole]).astype(dtype)]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error(name: str, dtype: Any, rng: np.random.Generator) -> None:
    given = numbers(name, dtype, rng)
    got = compiled(name, dtype)(*given)
    with mpmath.workprec(1400 if name in ("sin", "cos") else 200):
        exact = [
            FUNCTIONS[name][1](*map(mpmath.mpf, row))
            for row in zip(*(a.tolist() for a in given))
        ]
    fits = np.isfinite(got) & (abs(got) > np.finfo(dtype).tiny)
    assert fits.mean() > 0.9
    kept = [value for value, ok in zip(exact, fits) if ok]
    assert units(got[fits], kept, dtype) <= FUNCTIONS[name][3][dtype is np.float64]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_zeros_infinities_and_nan(name: str, dtype: Any) -> None:
    ends = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0, 1e30, math.inf]
    ends += [-x for x in ends] + [math.nan]
    given = np.meshgrid(*[np.array(ends, dtype)] * (1 if name in ("sin", "cos") else 2))
    given = [a.ravel() for a in given]
    got = compiled(name, dtype)(*given)
    with np.errstate(all="ignore"):
        want = FUNCTIONS[name][2](*given)
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype is np.float32 else 4e-15)
    some = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[some], np.signbit(want)[some])


def test_a_shorter_reduction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts of 2/π in place of four: large angles are wrong."""
    short = tuple((*row[:2], 0.0, 0.0) for row in angles.QUARTERS)
    monkeypatch.setattr(angles, "QUARTERS", short)
    monkeypatch.setattr(sys.modules[__name__], "_compiled", {})
    with pytest.raises(AssertionError):
        test_error("sin", np.float64, np.random.default_rng(0))
