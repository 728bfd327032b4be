"""Code generation for large matrix products: cache-sized blocks, packed operands.

The tile kernel (:mod:`.matmul`) streams a panel of B, K rows of
64 columns, once for each tile of rows. Where K is long the panel leaves the cache
before it is read again; where rows of B or columns of A are far apart, the lines of a
panel fall into the same few sets of the cache and push each other out. So

    for panel of columns:
        for block of PRODUCTS values of k:        the panel's block stays in the cache
            pack B's block                     if its rows are far apart
            for block of rows:                 pack A's, if its columns are
                tile kernel                    adds its chains to C

A sum is one of chains of ``PRODUCTS`` terms, in their order, whatever is packed and
whoever computes it. One chain would be worse: of a million terms of one sign it has an
error of thousands of units in the last place, where chains of 256 have tens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops.kernels import Operand, advance, for_loop, times
from chainrule.engines.native.loops.lines import PRODUCTS
from chainrule.engines.native.math.scalar import I64, POINTER
from chainrule.engines.native.products.epilogue import Epilogue, emit_epilogue
from chainrule.engines.native.products.matmul import Edge, choose_tile, emit_matmul
from chainrule.engines.native.target import host_target
from chainrule.engines.schedule.machine import CACHE
from chainrule.graph.types import Dim, DType, resolve


@dataclass(frozen=True)
class Matrices:
    """The sizes and strides of a matrix product C = A B, for code generation.

    Attributes:
        rows, columns, depth: C is (rows, columns), the sums have ``depth`` terms.
        a_m, a_k, b_k, c_m: strides; rows of B and C have no gaps.
        width: the columns of a call, where all calls have the same number.
    """

    dtype: DType
    rows: Dim
    columns: Dim
    depth: Dim
    a_m: Dim
    a_k: Dim
    b_k: Dim
    c_m: Dim
    width: int | None = None


@dataclass(frozen=True)
class Passed:
    """The epilogue to which a matrix product is passed, with its operands' addresses.

    Attributes:
        epilogue: what is done to it.
        pointers: the addresses of the epilogue's operands.
        reserved: bytes of the thread's own memory that are in use.
    """

    epilogue: Epilogue
    pointers: Sequence[Any]
    reserved: int


def kernel(
    builder: BodyBuilder,
    m: Matrices,
    *,
    late_depth: bool = False,
    accumulate: bool = False,
    epilogue: Epilogue | None = None,
) -> tuple[ir.Function, list[Any]]:
    """Return the matrix product's tile kernel for these sizes, and its arguments.

    Products of other sizes have the same kernel, if their edges are alike.

    ``late_depth``: the caller puts the length of the sums before those.
    """
    dtype, tile = m.dtype.name, choose_tile(m.dtype.name, host_target())
    strides = {"a_m": m.a_m, "a_k": m.a_k}
    one: Any = {name: 1 if stride == 1 else None for name, stride in strides.items()}
    late = [] if late_depth else [m.depth]
    late += [stride for stride in strides.values() if stride != 1]
    late.append(m.b_k)
    arguments = 3 + len(epilogue.pointers if epilogue else ())
    numbers = 4 + late_depth + len(late) + (epilogue is None)
    kind = ir.FunctionType(ir.VoidType(), [POINTER] * arguments + [I64] * numbers)
    kernels, dims = builder.code.kernels, builder.code.dim
    if epilogue is not None:
        width = m.width
        assert width is not None
        assert m.c_m == width
        function = kernels.function(
            ("epilogue", dtype, width, epilogue.key, *one.items()),
            kind,
            lambda module: emit_epilogue(module, dtype, tile, width, one, epilogue),
        )
        return function, list(map(dims, late))
    edge = None if m.width is None else Edge.of(m.width, tile)
    function = kernels.function(
        ("matmul", dtype, accumulate, edge and tuple(edge), *one.items()),
        kind,
        lambda module: emit_matmul(
            module, dtype, tile, edge=edge, accumulate=accumulate, **one
        ),
    )
    return function, list(map(dims, [*late, m.c_m]))


def emit_chains(
    builder: BodyBuilder,
    m: Matrices,
    pointers: Sequence[Any],
    bounds: Sequence[Any],
    *,
    accumulate: bool = False,
) -> None:
    """Emit a matrix product, or its addition to C, as chains of ``PRODUCTS`` terms.

    Args:
        builder: where it goes.
        m: its sizes.
        pointers: of A, B and C.
        bounds: the rows from and to which it is computed, and the columns.
        accumulate: whether it is added to C.
    """
    emit, dims = builder.b, builder.code.dim
    (depth,) = resolve((m.depth,), builder.code.largest)
    if depth <= PRODUCTS:
        function, late = kernel(builder, m, accumulate=accumulate)
        emit.call(function, [*pointers, *bounds, *late])
        return
    a, b, c = pointers
    total = dims(m.depth)

    def block(j: Any, *, accumulate: bool) -> None:
        first = emit.mul(j, I64(PRODUCTS))
        left = emit.sub(total, first)
        short = emit.icmp_signed("<", left, I64(PRODUCTS))
        function, late = kernel(builder, m, late_depth=True, accumulate=accumulate)
        there = [
            advance(emit, at, m.dtype, times(emit, first, dims(step)))
            for at, step in ((a, m.a_k), (b, m.b_k))
        ]
        k = emit.select(short, left, I64(PRODUCTS))
        emit.call(function, [*there, c, *bounds, k, *late])

    block(I64(0), accumulate=accumulate)
    count = emit.sdiv(emit.add(total, I64(PRODUCTS - 1)), I64(PRODUCTS))
    with for_loop(emit, I64(1), count, "chain") as j:
        block(j, accumulate=True)


class Product:
    """The code generator of a matrix product, called for parts of the result C."""

    def __init__(
        self, builder: BodyBuilder, matrices: Matrices, passed: Passed | None = None
    ) -> None:
        self.builder, self.m, self.passed = builder, matrices, passed
        self.itemsize = matrices.dtype.itemsize
        sizes = builder.code.largest
        m = matrices
        self.rows, self.columns, self.depth, self.a_m, self.a_k, self.b_k = resolve(
            (m.rows, m.columns, m.depth, m.a_m, m.a_k, m.b_k), sizes
        )
        many = self.rows >= CACHE.rows and self.depth >= CACHE.rows
        self.packs_b = many and self.b_k * self.itemsize >= CACHE.far_bytes
        self.packs_a = (
            many
            and self.a_m == 1
            and self.a_k * self.itemsize >= CACHE.far_bytes
            and self.columns >= CACHE.columns
        )
        self.blocks = self.depth > PRODUCTS or self.packs_a or self.packs_b

    def call(
        self, a: Any, b: Any, c: Any, low: Any, high: Any, left: Any, right: Any
    ) -> None:
        """Emit a matrix product for rows ``low … high``, columns ``left … right``."""
        if not self.blocks:
            self._emit(self.m, (a, b, c), [low, high, left, right])
            return
        if self.m.width is not None and self.m.width <= CACHE.columns:
            self._panel(a, b, c, low, high, I64(self.m.width))
            return
        emit, step = self.builder.b, CACHE.columns
        count = emit.sub(right, left)
        panels = emit.sdiv(emit.add(count, I64(step - 1)), I64(step))
        with for_loop(emit, I64(0), panels, "panel") as p:
            start = emit.add(left, emit.mul(p, I64(step)))
            rest = emit.sub(right, start)
            whole = emit.icmp_signed("<", rest, I64(step))
            width = emit.select(whole, rest, I64(step))
            at = [advance(emit, x, self.m.dtype, start) for x in (b, c)]
            self._panel(a, at[0], at[1], low, high, width)

    def _panel(self, a: Any, b: Any, c: Any, low: Any, high: Any, width: Any) -> None:
        """Emit some rows of one panel of a matrix product, by blocks of k."""
        builder, emit, m = self.builder, self.builder.b, self.m
        depth, dtype = PRODUCTS, m.dtype
        room_b = depth * CACHE.columns * self.itemsize if self.packs_b else 0
        room_a = depth * CACHE.rows * self.itemsize if self.packs_a else 0
        memory = None
        if room_a + room_b:
            used = self.passed.reserved if self.passed else 0
            memory = builder.code.private(used + room_a + room_b)
            memory = advance(emit, memory, DType.uint8, I64(used))
        dims = builder.code.dim
        total = dims(m.depth)
        blocks = emit.sdiv(emit.add(total, I64(depth - 1)), I64(depth))

        def block(j: Any, *, accumulate: bool) -> None:
            first = emit.mul(j, I64(depth))
            rest = emit.sub(total, first)
            short = emit.icmp_signed("<", rest, I64(depth))
            k = emit.select(short, rest, I64(depth))
            at_a = advance(emit, a, dtype, times(emit, first, dims(m.a_k)))
            at_b = advance(emit, b, dtype, times(emit, first, dims(m.b_k)))
            b_k = m.b_k
            if self.packs_b:
                at = advance(emit, memory, DType.uint8, I64(room_a))
                b_k = CACHE.columns
                self._copy(at, at_b, (k, width), (I64(b_k), dims(m.b_k)))
                at_b = at
            if not self.packs_a:
                self._tiles(at_a, at_b, c, (low, high), width, k, b_k, accumulate)
                return
            rows = emit.sub(high, low)
            step = I64(CACHE.rows)
            count = emit.sdiv(emit.add(rows, I64(CACHE.rows - 1)), step)
            with for_loop(emit, I64(0), count, "rows") as r:
                begin = emit.add(low, emit.mul(r, step))
                end = emit.add(begin, step)
                end = emit.select(emit.icmp_signed("<", end, high), end, high)
                source = advance(emit, at_a, dtype, begin)
                size = k, emit.sub(end, begin)
                self._copy(memory, source, size, (step, dims(m.a_k)))
                packed = advance(emit, memory, dtype, emit.neg(begin))
                self._tiles(packed, at_b, c, (begin, end), width, k, b_k, accumulate)

        block(I64(0), accumulate=False)
        if self.passed:  # all of k is one block: see `divide.passes_on`
            assert self.depth <= depth
            return
        with for_loop(emit, I64(1), blocks, "block") as j:
            block(j, accumulate=True)

    def _tiles(
        self,
        a: Any,
        b: Any,
        c: Any,
        rows: tuple[Any, Any],
        width: Any,
        k: Any,
        b_k: Dim,
        accumulate: bool,
    ) -> None:
        """Emit the tile kernel over some rows of a product, for one block of k."""
        m = self.m
        m = replace(
            m,
            a_k=CACHE.rows if self.packs_a else m.a_k,
            b_k=b_k,
            width=m.width if m.width and m.width <= CACHE.columns else None,
        )
        self._emit(m, (a, b, c), [*rows, I64(0), width], k, accumulate)

    def _emit(
        self,
        m: Matrices,
        matrices: tuple[Any, Any, Any],
        bounds: list[Any],
        depth: Any = None,
        accumulate: bool = False,
    ) -> None:
        """Emit a call of the matrix product's tile kernel."""
        passed, more = self.passed, [] if depth is None else [depth]
        function, late = kernel(
            self.builder,
            m,
            late_depth=depth is not None,
            accumulate=accumulate,
            epilogue=passed and passed.epilogue,
        )
        pointers = [*matrices, *(passed.pointers if passed else ())]
        self.builder.b.call(function, [*pointers, *bounds, *more, *late])

    def _copy(
        self,
        target: Any,
        source: Any,
        sizes: tuple[Any, Any],
        steps: tuple[Any, Any],
    ) -> None:
        """Emit a copy of matrix lines from one stride to another, to pack operands."""
        to, of = (Operand(self.m.dtype, 1) for _ in range(2))
        function = self.builder.code.kernels.map(
            ("copy",), "copy", 2, [to], [of], lambda b, values, _: values
        )
        one = I64(1)
        strides = [steps[0], one, steps[1], one]
        arguments = [target, source, *sizes, *strides, I64(0), sizes[0]]
        self.builder.b.call(function, arguments)
