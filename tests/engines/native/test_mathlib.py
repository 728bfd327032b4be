"""The emitted functions against references of a wider format, and lane by lane."""

import ctypes
import math
import platform
import sys
from collections.abc import Callable
from functools import cache

import mpmath
import numpy as np
import pytest
from llvmlite import binding, ir

from chainrule.engines.native.math import angles, mathlib
from chainrule.engines.native.runtime import thread_pool
from chainrule.errors import DTypeError
from chainrule.primitives import error_function

NAMES = ["exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "erfc"]
#: Of which the small tests are in ``test_angles``.
ANGLES = ["sin", "cos"]
DTYPES = ["float32", "float64"]
IR_TYPES = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
# What the docstrings say, as ulp; and 80-bit numbers are not everywhere.
LIMITS = {
    ("exp", "float32"): 1.04,
    ("exp", "float64"): 1.02,
    ("expm1", "float32"): 1.53,
    ("expm1", "float64"): 1.75,
    ("log", "float32"): 0.84,
    ("log", "float64"): 0.84,
    ("log1p", "float32"): 0.84,
    ("log1p", "float64"): 0.84,
    ("tanh", "float32"): 1.97,
    ("tanh", "float64"): 1.45,
    ("sigmoid", "float32"): 1.50,
    ("sigmoid", "float64"): 1.50,
    ("erf", "float32"): 1.00,
    ("erf", "float64"): 1.00,
    ("sin", "float32"): 0.51,
    ("cos", "float32"): 0.51,
    ("erfc", "float32"): 1.90,
    ("erfc", "float64"): 2.00,
}
REFERENCE_ERROR = {
    "float32": 0.0,
    "float64": 0.01 if np.finfo(np.longdouble).eps < 1e-18 else 1.0,
}

Array = np.ndarray
Emit = Callable[[ir.IRBuilder, ir.Value], ir.Value]
binding.initialize_native_target()
binding.initialize_native_asmprinter()
X86 = platform.machine() in ("x86_64", "AMD64")


def loop(emit: Emit, value_type: ir.Type, flush: bool = False) -> ir.Module:
    """``for i in range(n): out[i] = f(x[i])``, for a number or a vector."""
    module = ir.Module()
    module.triple = binding.get_default_triple()
    pointer, size = value_type.as_pointer(), ir.IntType(64)
    signature = ir.FunctionType(ir.VoidType(), [pointer, pointer, size])
    function = ir.Function(module, signature, "loop")
    out, x, n = function.args
    out.add_attribute("noalias")
    entry, body, end = (function.append_basic_block() for _ in range(3))
    b = ir.IRBuilder(entry)
    saved = thread_pool.emit_flush_denormals(b) if flush else None
    b.cbranch(b.icmp_signed(">", n, size(0)), body, end)
    b.position_at_end(body)
    i = b.phi(size)
    element = value_type.element if hasattr(value_type, "element") else value_type
    align = 4 if isinstance(element, ir.FloatType) else 8
    value = b.load(b.gep(x, [i]), align=align)
    b.store(emit(b, value), b.gep(out, [i]), align=align)
    following = b.add(i, size(1))
    i.add_incoming(size(0), entry)
    i.add_incoming(following, body)
    b.cbranch(b.icmp_signed("<", following, n), body, end)
    b.position_at_end(end)
    if saved is not None:
        thread_pool.emit_restore_denormals(b, saved)
    b.ret_void()
    return module


class Kernel:
    """A loop, compiled, on arrays."""

    def __init__(
        self, module: ir.Module, dtype: str, lanes: int = 1, baseline: bool = False
    ) -> None:
        cpu, features = binding.get_host_cpu_name(), binding.get_host_cpu_features()
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu="x86-64" if baseline else cpu,
            features="" if baseline else features.flatten(),
            opt=3,
            jit=True,
        )
        parsed = binding.parse_assembly(str(module))
        parsed.verify()
        tuning = binding.PipelineTuningOptions(speed_level=3)
        tuning.loop_vectorization = tuning.slp_vectorization = True
        passes = binding.create_pass_builder(machine, tuning)
        passes.getModulePassManager().run(parsed, passes)
        self.text = str(parsed)
        self.engine = binding.create_mcjit_compiler(parsed, machine)
        self.engine.finalize_object()
        signature = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
        )
        self.function = signature(self.engine.get_function_address("loop"))
        self.dtype, self.lanes = dtype, lanes

    def __call__(self, x: Array) -> Array:
        x = np.ascontiguousarray(x, self.dtype)
        out = np.empty_like(x)
        self.function(out.ctypes.data, x.ctypes.data, x.size // self.lanes)
        return out


@cache
def kernel(name: str, dtype: str, **options: bool) -> Kernel:
    emit = getattr(angles if name in ANGLES else mathlib, name)
    module = loop(emit, IR_TYPES[dtype], flush=options.get("flush", False))
    return Kernel(module, dtype, baseline=options.get("baseline", False))


def reference(name: str, x: Array) -> Array:
    """The function in a wider format, or with 40 digits."""
    if name in ("erf", "erfc") and x.dtype == np.float64:
        with mpmath.workdps(40):
            exact = [getattr(mpmath, name)(v) for v in x.tolist()]
            # Two doubles hold 32 digits and mpmath has no 80-bit numbers.
            high = np.array([float(v) for v in exact])
            low = np.array([float(v - float(v)) for v in exact])
        return high.astype(np.longdouble) + low
    with np.errstate(all="ignore"):
        wide = x.astype(np.longdouble if x.dtype == np.float64 else np.float64)
        if name in ("erf", "erfc"):
            return getattr(error_function, name)(wide)
        if name == "sigmoid":
            e = np.exp(-np.abs(wide))
            return np.where(wide < 0, e, 1) / (1 + e)
        return getattr(np, name)(wide)


def ulp_errors(got: Array, expected: Array) -> Array:
    """|got - expected| in units in the last place of got's format."""
    info = np.finfo(got.dtype)
    wide = expected.astype(np.longdouble)
    _, exponent = np.frexp(wide)
    unit = np.ldexp(
        np.longdouble(1), np.maximum(exponent - 1, info.minexp) - info.nmant
    )
    return np.abs(got.astype(np.longdouble) - wide) / unit


def samples(name: str, dtype: str) -> Array:
    """Points where the result is a normal number, dense where it is difficult."""
    rng = np.random.default_rng(7)
    info = np.finfo(dtype)
    low, high = float(info.minexp), float(info.maxexp)
    count = 100_000

    def magnitudes(low: float, high: float) -> Array:
        return np.exp2(rng.uniform(low, high, count))

    if name == "exp":
        bounds = math.log(float(info.tiny)), math.log(float(info.max))
        parts = [rng.uniform(*bounds, count), rng.uniform(-1, 1, count)]
        parts += [magnitudes(-60, 6), -magnitudes(-60, 6)]
    elif name == "sigmoid":
        bounds = math.log(float(info.tiny)), -math.log(float(info.tiny))
        parts = [rng.uniform(*bounds, count), rng.uniform(-20, 20, count)]
        parts += [magnitudes(-60, 6), -magnitudes(-60, 6)]
    elif name == "erfc":
        top = 9.19 if dtype == "float32" else 26.5
        parts = [rng.uniform(-6, top, count), rng.uniform(0, 3, count)]
        parts += [magnitudes(-60, 1), -magnitudes(-60, 1)]
    elif name == "expm1":
        top = math.log(float(info.max))
        parts = [rng.uniform(-50, top, count), rng.uniform(-1, 1, count)]
        parts += [magnitudes(low + 2, 6), -magnitudes(low + 2, 6)]
    elif name == "log1p":
        parts = [magnitudes(low + 2, high - 1), rng.uniform(-1, 1, count)]
        parts += [-magnitudes(low + 2, -0.01), magnitudes(-info.nmant, 0) - 1]
        return np.clip(np.concatenate(parts).astype(dtype), info.eps / 2 - 1, None)
    elif name == "log":
        parts = [magnitudes(low, high), rng.uniform(0.5, 2, count)]
        parts += [1 + magnitudes(-info.nmant, -1), 1 - magnitudes(-info.nmant, -1)]
    else:
        parts = [rng.uniform(-1.2, 1.2, count), rng.uniform(-20, 20, count)]
        parts += [magnitudes(low + 2, 1), rng.uniform(0.9, 6, count)]
    x = np.concatenate(parts).astype(dtype)
    return np.clip(x, info.tiny, None) if name == "log" else x


def bits(x: Array) -> Array:
    return x.view(f"u{x.dtype.itemsize}")


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_error_is_what_the_docstring_says(name: str, dtype: str) -> None:
    x = samples(name, dtype)
    if name in ("erf", "erfc") and dtype == "float64":
        x = x[::80]
    expected = reference(name, x)
    errors = ulp_errors(kernel(name, dtype)(x), expected)
    limit = LIMITS[name, dtype] + REFERENCE_ERROR[dtype]
    worst = int(errors.argmax())
    assert errors[worst] <= limit, f"{errors[worst]} ulp at {x[worst]!r}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES + ANGLES)
def test_every_float(name: str, turn: int | None) -> None:
    """All 2³² of them, as the engine runs it: denormals count as zeros.

    All take minutes. Under ``--part`` it is every 64th of them, others each time.
    """
    function, tiny = kernel(name, "float32", flush=True), np.finfo(np.float32).tiny
    first, every = (0, 1) if turn is None else (turn % 64, 64)
    step = every << 21
    for start in range(first, 1 << 32, step):
        stop = min(start + step, 1 << 32)
        x = np.arange(start, stop, every, dtype=np.uint32).view(np.float32)
        x[np.abs(x) < tiny] *= 0
        got, expected = function(x), reference(name, x)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = expected.astype(np.float32)
        small = np.abs(expected) < tiny * (1 + 1e-6)  # may be rounded to a denormal
        assert (np.abs(got[small]) <= tiny * (1 + 2e-6)).all()
        ordinary = np.isfinite(rounded) & ~small
        np.testing.assert_array_equal(
            got[~ordinary & ~small], rounded[~ordinary & ~small]
        )
        _, exponent = np.frexp(expected[ordinary])
        off = np.abs(got[ordinary] - expected[ordinary]) * np.ldexp(1.0, 24 - exponent)
        assert off.size == 0 or off.max() <= LIMITS[name, "float32"], start


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values(name: str, dtype: str) -> None:
    inf, nan = math.inf, math.nan
    big = float(np.finfo(dtype).max)
    denormal = float(np.finfo(dtype).smallest_subnormal)
    table = {
        "exp": [
            (0.0, 1.0),
            (-0.0, 1.0),
            (inf, inf),
            (-inf, 0.0),
            (1e4, inf),
            (-1e4, 0.0),
            (big, inf),
            (-big, 0.0),
            (denormal, 1.0),
        ],
        "log": [
            (0.0, -inf),
            (-0.0, -inf),
            (denormal, -inf),
            (-denormal, -inf),
            (1.0, 0.0),
            (inf, inf),
            (-inf, nan),
            (-1.0, nan),
            (-big, nan),
        ],
        "expm1": [
            (0.0, 0.0),
            (-0.0, -0.0),
            (inf, inf),
            (-inf, -1.0),
            (1e4, inf),
            (-1e4, -1.0),
            (big, inf),
            (-big, -1.0),
            (-18.1 if dtype == "float32" else -38.1, -1.0),
        ],
        "log1p": [
            (0.0, 0.0),
            (-0.0, -0.0),
            (inf, inf),
            (-inf, nan),
            (-1.0, -inf),
            (-1.5, nan),
            (-big, nan),
        ],
        "tanh": [
            (0.0, 0.0),
            (-0.0, -0.0),
            (inf, 1.0),
            (-inf, -1.0),
            (big, 1.0),
            (9.1 if dtype == "float32" else 19.1, 1.0),
            (-20.0, -1.0),
        ],
        "sigmoid": [
            (0.0, 0.5),
            (-0.0, 0.5),
            (denormal, 0.5),
            (inf, 1.0),
            (-inf, 0.0),
            (big, 1.0),
            (-big, 0.0),
            (-89.0 if dtype == "float32" else -710.0, 0.0),
        ],
        "erfc": [
            (0.0, 1.0),
            (-0.0, 1.0),
            (denormal, 1.0),
            (inf, 0.0),
            (-inf, 2.0),
            (big, 0.0),
            (-big, 2.0),
            (9.37 if dtype == "float32" else 26.7, 0.0),
            (-6.0, 2.0),
        ],
        "erf": [
            (0.0, 0.0),
            (-0.0, -0.0),
            (inf, 1.0),
            (-inf, -1.0),
            (big, 1.0),
            (3.95 if dtype == "float32" else 5.93, 1.0),
            (-6.0, -1.0),
        ],
    }
    x, expected = np.array([*table[name], (nan, nan)], dtype).T
    got = kernel(name, dtype)(x)
    np.testing.assert_array_equal(got, expected)
    signed = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[signed]), np.signbit(expected[signed]))


def difficult(dtype: str) -> Array:
    """4,099 points: ordinary ones, and all kinds of special ones in between."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=4099) * np.exp2(rng.integers(-30, 30, 4099))
    info = np.finfo(dtype)
    special = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, -1e-310, 90.0, -104.0]
    special += [float(info.max), float(info.tiny), 710.0, -746.0, 1.0, -1.0]
    x[:: len(x) // len(special) + 1][: len(special)] = special
    with np.errstate(over="ignore"):
        return x.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_vector_body_and_scalar_remainder_give_the_same_bits(
    name: str, dtype: str
) -> None:
    x, function = difficult(dtype), kernel(name, dtype)
    whole = bits(function(x))
    for start in 0, 1, 1000:
        for length in range(1, 41):
            part = bits(function(x[start : start + length].copy()))
            np.testing.assert_array_equal(part, whole[start : start + length])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_loops_become_vector_code(name: str, dtype: str) -> None:
    features = binding.get_host_cpu_features()
    if X86 and not features.get("fma"):
        pytest.skip("a processor without fma")
    assert f"x {IR_TYPES[dtype]}> @llvm.fma.v" in kernel(name, dtype).text


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_vectors_give_the_same_bits(name: str, dtype: str) -> None:
    vector = ir.VectorType(IR_TYPES[dtype], 8)
    function = Kernel(loop(getattr(mathlib, name), vector), dtype, lanes=8)
    x = difficult(dtype)[:4096]
    np.testing.assert_array_equal(bits(function(x)), bits(kernel(name, dtype)(x)))


@pytest.mark.one_in(3)
@pytest.mark.skipif(not X86 or sys.platform == "win32", reason="x86-64 and libm's fma")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_processors_without_fma_give_the_same_bits(name: str, dtype: str) -> None:
    x = difficult(dtype)
    np.testing.assert_array_equal(
        bits(kernel(name, dtype, baseline=True)(x)), bits(kernel(name, dtype)(x))
    )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_flushing_denormals_changes_denormals_only(name: str, dtype: str) -> None:
    x = difficult(dtype)
    tiny = np.finfo(dtype).tiny
    x[np.abs(x) < tiny] = 0.0
    plain, flushed = kernel(name, dtype)(x), kernel(name, dtype, flush=True)(x)
    plain[np.abs(plain) < tiny] *= 0.0
    flushed[np.abs(flushed) < tiny] *= 0.0
    np.testing.assert_array_equal(bits(flushed), bits(plain))


def test_other_types_are_refused() -> None:
    function = ir.Function(
        ir.Module(), ir.FunctionType(ir.VoidType(), [ir.IntType(32)]), "f"
    )
    builder = ir.IRBuilder(function.append_basic_block())
    with pytest.raises(DTypeError, match=r"(?s)float, double.*i32.*fpext"):
        mathlib.exp(builder, function.args[0])
