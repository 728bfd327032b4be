"""Matrix kernels: every bit against a plain chain of fmas, every byte outside kept."""

import ctypes
import itertools
import mmap
import re
import sys
from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

llvmlite = pytest.importorskip("llvmlite")

from llvmlite import binding, ir  # noqa: E402

from chainrule.engines.native.products.matmul import (  # noqa: E402
    Edge,
    Tile,
    choose_tile,
    emit_matmul,
)
from chainrule.engines.native.runtime import jit  # noqa: E402
from chainrule.engines.native.target import (  # noqa: E402
    Target,
    host_target,
    target_for,
)

DTYPES = ["float32", "float64"]
CANARY = -12345.0
STRIDES = ("a_m", "a_k", "b_k", "c_m")
SIZES = ("k", *STRIDES)

# C[m, n] by the definition: one accumulator, k in order.
SCALAR = """
declare TYPE @llvm.fma.SUFFIX(TYPE, TYPE, TYPE)
define void @scalar(ptr %A, ptr %B, ptr %C, i64 %k, i64 %a_k, i64 %b_k) {
entry:
  %start = load TYPE, ptr %C
  %some = icmp sgt i64 %k, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %sum = phi TYPE [%start, %entry], [%more, %loop]
  %at_a = mul i64 %i, %a_k
  %at_b = mul i64 %i, %b_k
  %pa = getelementptr TYPE, ptr %A, i64 %at_a
  %pb = getelementptr TYPE, ptr %B, i64 %at_b
  %a = load TYPE, ptr %pa
  %b = load TYPE, ptr %pb
  %more = call TYPE @llvm.fma.SUFFIX(TYPE %a, TYPE %b, TYPE %sum)
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %k
  br i1 %again, label %loop, label %done
done:
  %end = phi TYPE [%start, %entry], [%more, %loop]
  store TYPE %end, ptr %C
  ret void
}
"""


def machine():
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        jit=True,
    )


def compiled(text, name, pointers, integers, optimise=False):
    """A function of a module, ready to call; the pipeline of -O3 first if asked."""
    module = binding.parse_assembly(text)
    module.verify()
    if optimise:
        builder = binding.create_pass_builder(
            machine(), binding.create_pipeline_tuning_options(speed_level=3)
        )
        builder.getModulePassManager().run(module, builder)
    engine = binding.create_mcjit_compiler(module, machine())
    engine.finalize_object()
    kinds = [ctypes.c_void_p] * pointers + [ctypes.c_int64] * integers
    function = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))
    function.engine = engine  # type: ignore[attr-defined]  # owns the code
    return function


@cache
def scalar(dtype):
    kind, suffix = {"float32": ("float", "f32"), "float64": ("double", "f64")}[dtype]
    return compiled(
        SCALAR.replace("TYPE", kind).replace("SUFFIX", suffix), "scalar", 3, 3
    )


@cache
def kernel(dtype, tile, optimise=False, **options):
    """A compiled kernel that takes all its sizes by name, known or not."""
    module = ir.Module()
    function = emit_matmul(module, dtype, tile, **options)
    late = [argument.name for argument in function.args[7:]]
    assert late == [key for key in SIZES if key not in options]
    call = compiled(str(module), function.name, 3, 4 + len(late), optimise)
    return lambda *fixed, **sizes: call(*fixed, *(sizes[key] for key in late))


class Problem:
    """Random matrices in buffers of just the right size, C amid canaries."""

    def __init__(self, dtype, m, k, n, *, transposed=False, pad=3, seed=0):
        random = np.random.default_rng(seed)
        self.dtype, self.m, self.k, self.n = dtype, m, k, n
        width = m if transposed else k
        strides = {"a_m": 1, "a_k": width} if transposed else {"a_m": width, "a_k": 1}
        self.sizes = {"k": k, **strides, "b_k": n + pad, "c_m": n + pad}
        self.A = random.standard_normal(m * k + 1).astype(dtype)[:-1]
        self.B = random.standard_normal(k * (n + pad) + 1).astype(dtype)[:-1]
        self.C = np.full((m + 2) * (n + pad) + 16, CANARY, dtype)
        self.offset = n + pad + 8  # a row above, some columns to the left
        self.start = random.standard_normal((m, n)).astype(dtype)
        item = self.A.itemsize
        self.a = as_strided(self.A, (m, k), [strides[x] * item for x in ("a_m", "a_k")])
        self.b = as_strided(self.B, (k, n), [(n + pad) * item, item])
        inside = self.C[self.offset :]
        self.c = as_strided(inside, (m, n), [(n + pad) * item, item])

    def fresh(self, accumulate=False):
        self.C[:] = CANARY
        if accumulate:
            self.c[...] = self.start

    def run(self, function, rows=None, columns=None, **sizes):
        item = self.A.itemsize
        function(
            self.A.ctypes.data,
            self.B.ctypes.data,
            self.C.ctypes.data + self.offset * item,
            *(rows or (0, self.m)),
            *(columns or (0, self.n)),
            **{**self.sizes, **sizes},
        )

    def expected(self, accumulate=False):
        """The whole buffer of C, each element inside by its own scalar chain."""
        self.fresh()
        self.c[...] = 0
        function, item = scalar(self.dtype), self.A.itemsize
        for i, j in np.ndindex(self.m, self.n):
            a = self.A.ctypes.data + i * self.sizes["a_m"] * item
            b = self.B.ctypes.data + j * item
            c = self.C.ctypes.data + (self.offset + i * self.sizes["c_m"] + j) * item
            function(a, b, c, self.k, self.sizes["a_k"], self.sizes["b_k"])
        if accumulate:
            self.c[...] = self.start + self.c
        return self.C.copy()

    def known(self, tile):
        """What a kernel may know of these matrices."""
        ones = {key: 1 for key in ("a_m", "a_k") if self.sizes[key] == 1}
        return {"edge": Edge.of(self.n, tile), **ones}


def tiles(dtype):
    best = choose_tile(dtype, host_target())
    return [best, Tile(14, 2, best.lanes), Tile(1, 1, best.lanes), Tile(3, 3, 4)]


def same_bits(found, expected):
    np.testing.assert_array_equal(
        found.view(f"u{found.itemsize}"), expected.view(f"u{expected.itemsize}")
    )


SHAPES = [  # m, k, n: none, one, primes, just below and above tiles, and the book's
    *itertools.product((0, 1), repeat=3),
    (1, 7, 64),
    (5, 3, 10),
    (6, 13, 64),
    (7, 31, 17),
    (13, 1, 131),
    (17, 10, 63),
    (23, 5, 65),
    (32, 64, 10),
    (37, 29, 41),
]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", range(4))
def test_every_tile_gives_the_bits_of_a_scalar_chain(dtype, index):
    tile = tiles(dtype)[index]
    for accumulate in (False, True):
        function = kernel(dtype, tile, accumulate=accumulate)
        for (m, k, n), transposed in zip(SHAPES, itertools.cycle([False, True])):
            problem = Problem(dtype, m, k, n, transposed=transposed)
            expected = problem.expected(accumulate)
            problem.fresh(accumulate)
            problem.run(function)
            same_bits(problem.C, expected)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_known_edges_change_no_bit(dtype, transposed):
    tile = choose_tile(dtype, host_target())
    widths = {tile.lanes // 2, tile.lanes, tile.columns, 100, 150}
    widths |= {n + more for n in widths for more in (-1, 1)}
    for n in sorted(widths):
        problem = Problem(dtype, 13, 9, n, transposed=transposed)
        expected = problem.expected()
        problem.fresh()
        problem.run(kernel(dtype, tile, **problem.known(tile)))
        same_bits(problem.C, expected)


def test_products_of_all_widths_share_few_kernels():
    for target in (Target(64, 32), Target(32, 16), Target(16, 32)):
        tile = choose_tile("float32", target)
        edges = {Edge.of(n, tile) for n in range(1, 1000)}
        assert len(edges) <= 4 * tile.vectors + 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_splitting_rows_and_columns_changes_no_bit(dtype):
    function = kernel(dtype, choose_tile(dtype, host_target()))
    problem = Problem(dtype, 45, 19, 150)
    expected = problem.expected()
    random = np.random.default_rng(1)
    for _ in range(5):
        problem.fresh()
        rows = [0, *sorted(random.integers(0, problem.m, 3)), problem.m]
        columns = [0, *sorted(random.integers(0, problem.n, 3)), problem.n]
        blocks = [
            (r, c)
            for r in itertools.pairwise(map(int, rows))
            for c in itertools.pairwise(map(int, columns))
        ]
        for block in random.permutation(len(blocks)):
            problem.run(function, *blocks[block])
        same_bits(problem.C, expected)


def test_a_block_writes_nothing_outside_itself():
    function = kernel("float32", choose_tile("float32", host_target()))
    problem = Problem("float32", 29, 5, 90)
    expected = problem.expected()
    inside = np.zeros(problem.c.shape, bool)
    for rows, columns in [((3, 20), (7, 83)), ((28, 29), (0, 1)), ((9, 9), (0, 90))]:
        problem.fresh()
        problem.run(function, rows, columns)
        kept = problem.c.copy()
        inside[...] = False
        inside[slice(*rows), slice(*columns)] = True
        assert (kept[~inside] == CANARY).all()
        problem.c[...] = CANARY
        assert (problem.C == CANARY).all()
        problem.C[:] = expected
        same_bits(kept[inside], problem.c[inside])


def test_blocks_of_k_are_chains_that_are_added():
    tile = choose_tile("float32", host_target())
    problem = Problem("float32", 20, 100, 70)
    item, blocks, parts = problem.A.itemsize, [(0, 33), (33, 34), (34, 100)], []
    for sums in (parts, None):
        problem.fresh()
        for begin, end in blocks:
            kernel("float32", tile, accumulate=sums is None and begin > 0)(
                problem.A.ctypes.data + begin * problem.sizes["a_k"] * item,
                problem.B.ctypes.data + begin * problem.sizes["b_k"] * item,
                problem.C.ctypes.data + problem.offset * item,
                *(0, problem.m, 0, problem.n),
                **{**problem.sizes, "k": end - begin},
            )
            if sums is not None:
                sums.append(problem.c.copy())
    same_bits(problem.c.copy(), (parts[0] + parts[1]) + parts[2])


def test_any_strides_of_a():
    """Every other row and a reversed k: A is read where its strides point."""
    function = kernel("float32", choose_tile("float32", host_target()))
    problem = Problem("float32", 12, 9, 20)
    problem.a = np.ascontiguousarray(problem.a)[::2, ::-1]
    exact = problem.a.astype(float) @ problem.b.astype(float)
    problem.A, problem.m = problem.A[8:], 6
    problem.fresh()
    problem.run(function, a_m=18, a_k=-1)
    np.testing.assert_allclose(problem.c[:6], exact, rtol=1e-5, atol=1e-5)
    assert (problem.c[6:] == CANARY).all()


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("known", [False, True])
def test_nothing_is_read_beyond_the_end(known):
    """All three matrices end where a page begins that must not be touched."""
    page, libc = mmap.PAGESIZE, ctypes.CDLL(None)

    def at_the_edge(array):
        area = mmap.mmap(-1, 4 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(area))
        assert libc.mprotect(ctypes.c_void_p(start + 3 * page), page, 0) == 0
        place = np.frombuffer(area, array.dtype, array.size, 3 * page - array.nbytes)
        place[:] = array
        return place

    tile = choose_tile("float32", host_target())
    for n, transposed in itertools.product((1, 10, tile.columns - 1), (False, True)):
        problem = Problem("float32", 7, 13, n, transposed=transposed, pad=0)
        expected = problem.expected()[problem.offset :][: 7 * n]
        problem.A, problem.B = at_the_edge(problem.A), at_the_edge(problem.B)
        problem.C, problem.offset = at_the_edge(np.zeros(7 * n, "float32")), 0
        options = problem.known(tile) if known else {}
        problem.run(kernel("float32", tile, **options))
        same_bits(problem.C, expected)


def test_each_kernel_is_emitted_once():
    module, tile = ir.Module(), Tile(6, 4, 16)
    edge = Edge.of(64, tile)
    first = emit_matmul(module, "float32", tile, edge=edge)
    assert emit_matmul(module, "float32", tile, edge=Edge.of(128, tile)) is first
    others = [
        emit_matmul(module, "float64", tile, edge=edge),
        emit_matmul(module, "float32", Tile(6, 4, 8), edge=edge),
        emit_matmul(module, "float32", tile, edge=Edge.of(65, tile)),
        emit_matmul(module, "float32", tile),
        emit_matmul(module, "float32", tile, edge=edge, accumulate=True),
        emit_matmul(module, "float32", tile, edge=edge, a_m=1),
        emit_matmul(module, "float32", tile, edge=edge, a_k=1),
        emit_matmul(module, "float32", tile, edge=edge, table=True),
    ]
    assert len({function.name for function in [first, *others]}) == 9
    assert emit_matmul(ir.Module(), "float32", tile, edge=edge) is not first


def test_targets():
    avx512 = {"avx512f": True, "avx2": True, "fma": True}
    assert target_for("x86_64-unknown-linux-gnu", avx512) == Target(64, 32)
    assert target_for("x86_64-pc-windows-msvc", {"avx2": True}) == Target(32, 16)
    assert target_for("x86_64-unknown-linux-gnu", {}) == Target(16, 16)
    assert target_for("arm64-apple-darwin", {}) == Target(16, 32)
    assert target_for("aarch64-unknown-linux-gnu", {"neon": True}) == Target(16, 32)
    assert host_target().vector_bytes >= 16


@pytest.mark.parametrize(
    ("triple", "cpu", "target", "spill"),
    [
        ("x86_64-linux-gnu", "skylake-avx512", Target(64, 32), r"mm\d+, -?\d*\(%rsp"),
        ("x86_64-linux-gnu", "haswell", Target(32, 16), r"mm\d+, -?\d*\(%rsp"),
        ("aarch64-linux-gnu", "generic", Target(16, 32), r"st[rp]\s+q\d.*\[sp"),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_accumulators_stay_in_registers(triple, cpu, target, spill, dtype):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        of = binding.Target.from_triple(triple)
        machine = of.create_target_machine(cpu=cpu, opt=1)  # as the engine's
    except RuntimeError:
        pytest.skip("this LLVM does not know the target")
    module = ir.Module()
    module.triple = triple
    tile = choose_tile(dtype, target)
    emit_matmul(module, dtype, tile, edge=Edge.of(3 * tile.columns // 2, tile), a_k=1)
    with jit.addresses_as_written():
        assembly = machine.emit_assembly(binding.parse_assembly(str(module)))
    assert not re.findall(spill, assembly)
    fused = re.findall(r"\s(?:vfmadd|fmla)", assembly)
    narrow = tile.narrowed(tile.vectors // 2)
    full = sum(tile.heights()) * tile.vectors + sum(narrow.heights()) * narrow.vectors
    if tile.steps > 1:  # several of the whole tile, and one where k is odd
        full += tile.steps * (tile.rows * tile.vectors + narrow.rows * narrow.vectors)
    assert len(fused) == full
