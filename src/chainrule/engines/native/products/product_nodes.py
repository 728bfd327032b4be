"""Code generation for matrix product nodes: one product, or many in nested loops.

``assign_layouts`` chooses which operand is A and which is B, and lays B out in rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops import loop_nodes
from chainrule.engines.native.loops.kernels import advance
from chainrule.engines.native.loops.nests import Part, over
from chainrule.engines.native.loops.reductions import Reduction, lanes_sum
from chainrule.engines.native.math.scalar import I64, memory_type
from chainrule.engines.native.products.epilogue import Epilogue
from chainrule.engines.native.products.gemm import (
    Matrices,
    Passed,
    Product,
    emit_chains,
)
from chainrule.engines.schedule.assign_layouts import (
    Nest,
    as_nest,
    as_product,
    sums_lines,
)
from chainrule.engines.schedule.maps import partial_sums_of
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim, DType, size_of
from chainrule.primitives.matmul import parse_dims

#: Elements of a register tile, at most.
_MAX_TILE = 512


def _nested(builder: BodyBuilder, node: Node, nest: Nest) -> None:
    """Emit LLVM code for a batched tensor product: matrix products in nested loops.

    Further contracted letters add onto what the product before them left in C: each
    element is a sum of chains, one for each of their values, in their order.
    """
    (out,) = node.outputs
    assert out is not None
    d, code, emit = parse_dims(node.attrs["dims"]), builder.code, builder.b
    values = (node.inputs[nest.a], node.inputs[nest.b], out)
    letters = ((d.lhs, d.rhs)[nest.a], (d.lhs, d.rhs)[nest.b], d.out)
    layouts = [builder.view(v) for v in values]
    sizes = {c: n for v, part in zip(values, letters) for c, n in zip(part, v.shape)}

    def step(which: int, letter: str) -> Dim:
        at = letters[which].find(letter) if letter else -1
        return layouts[which].strides[at] if at >= 0 else 0

    rows, columns = sizes.get(nest.u, 1), sizes.get(nest.v, 1)
    matrices = Matrices(
        out.dtype,
        rows,
        columns,
        sizes.get(nest.k, 1),
        step(0, nest.u),
        step(0, nest.k),
        step(1, nest.k),
        step(2, nest.u),
        columns if isinstance(columns, int) else None,
    )
    outer, total = list(nest.outer), size_of(tuple(sizes[c] for c in nest.outer))
    further = size_of(tuple(sizes[c] for c in nest.inner))
    partition = builder.partition_for(out)
    part = Part(total, single=True)
    by_rows = partition is not None and not nest.outer
    if partition is not None:
        within = 1 if by_rows else size_of(tuple(sizes[c] for c in nest.outer[1:]))
        part = Part(partition.units, within * partition.unit_size)
    code.touch(builder.accesses(node))
    starts = [builder.pointer(v) for v in values]

    def moved(pointers: list[Any], count: Any, over: list[str]) -> list[Any]:
        """Emit the operands' addresses for one of many nested matrix products."""
        for letter in reversed(over):
            size = code.dim(sizes[letter])
            index = emit.urem(count, size)
            count = emit.udiv(count, size)
            pointers = [
                loop_nodes.advanced(builder, p, out.dtype, step(i, letter), index)
                if step(i, letter) != 0
                else p
                for i, p in enumerate(pointers)
            ]
        return pointers

    def products(begin: Any, end: Any, low: Any, high: Any) -> None:
        bounds = [low, high, I64(0), code.dim(columns)]
        with loop_nodes.for_loop(emit, begin, end, "product") as i:
            here = moved(starts, i, outer)
            emit_chains(builder, matrices, here, bounds)
            if further != 1:
                with loop_nodes.for_loop(emit, I64(1), code.dim(further), "k") as k:
                    there = moved(here, k, list(nest.inner))
                    there[2] = here[2]
                    emit_chains(builder, matrices, there, bounds, accumulate=True)

    every, all_rows = code.dim(total), code.dim(rows)
    if part.single:
        with code.one_thread():
            products(I64(0), every, I64(0), all_rows)
    elif by_rows:
        products(I64(0), every, *code.partition(part))
    else:
        products(*code.partition(part), I64(0), all_rows)


def _lines(builder: BodyBuilder, node: Node) -> None:
    """Emit LLVM code for a product whose sums run over neighbours: a reduction."""
    (out,), d = node.outputs, parse_dims(node.attrs["dims"])
    assert out is not None
    values = (out, *node.inputs)
    letters = (d.out, d.lhs, d.rhs)
    sizes = {c: n for v, part in zip(values, letters) for c, n in zip(part, v.shape)}

    def loops(which: int, axes: Sequence[str]) -> tuple[tuple[Dim, Dim], ...]:
        mine, strides = letters[which], builder.view(values[which]).strides
        steps = [strides[mine.index(c)] if c in mine else 0 for c in axes]
        return tuple([(sizes[c], step) for c, step in zip(axes, steps)])

    kept = [loops(i, d.out) for i in range(3)]
    reduced = [loops(i, d.contracted) for i in (1, 2)]
    code = builder.code
    reduction = Reduction.of("dot", out.dtype, kept, reduced)
    part = over(reduction.kept, builder.part(out))
    code.touch(builder.accesses(node))
    pointers = list(map(builder.pointer, values))
    numbers = map(code.dim, reduction.numbers)
    code.call(reduction.kernel(code.kernels), [*pointers, *numbers], part)


def product(builder: BodyBuilder, node: Node) -> None:
    """Lower ``dot_general`` to LLVM: by the tile kernel, nested products or loops."""
    (out,) = node.outputs
    assert out is not None
    target = builder.view(out)
    if sums_lines(node, list(map(builder.view, node.inputs))):
        _lines(builder, node)
        return
    simple = as_product(node, bool(target.blocking))
    if simple is None:
        nest = as_nest(node, [builder.view(v) for v in node.inputs])
        if nest is None or nest.copied:
            loop_nodes.contraction(builder, node)
        else:
            _nested(builder, node, nest)
        return
    d = parse_dims(node.attrs["dims"])
    letters = (d.lhs, d.rhs)
    a, b = node.inputs[simple.a], node.inputs[simple.b]
    pa, pb = builder.view(a), builder.view(b)
    la, lb = letters[simple.a], letters[simple.b]
    rows, columns = a.shape[la.index(simple.u)], b.shape[lb.index(simple.v)]
    depth = a.shape[la.index(simple.k)]
    a_m, a_k = (pa.strides[la.index(c)] for c in (simple.u, simple.k))
    width = target.blocking or pb.blocking
    b_k: Dim = pb.blocking or pb.strides[lb.index(simple.k)]
    c_m: Dim = target.blocking or target.strides[d.out.index(simple.u)]

    code = builder.code
    emit = builder.b
    dtype = out.dtype

    known = isinstance(columns, int)
    matrices = Matrices(
        dtype,
        rows,
        width or columns,
        depth,
        a_m,
        a_k,
        b_k,
        c_m,
        width or (columns if known else None),
    )
    pointers = [builder.pointer(v) for v in (a, b, out)]
    if not width:
        _whole_product(builder, node, (a, b, out), matrices)
        return
    assert isinstance(columns, int)
    count = columns // width
    # How far apart blocks are: in B and in C each by its own layout.
    b_step: Dim = depth * width if pb.blocking else width
    c_step: Dim = rows * width if target.blocking else width
    partition = builder.partition_for(out)
    part, by_blocks = Part(rows, single=True), False
    if partition is not None:
        by_blocks = d.out[partition.axis] == simple.v
        part = Part(partition.units, 1 if by_blocks else partition.unit_size)
    code.touch(builder.accesses(node))
    tiles = Product(builder, matrices)

    def blocked(first: Any, last: Any, low: Any, high: Any) -> None:
        with loop_nodes.for_loop(emit, first, last, "block") as p:
            at_b = loop_nodes.advanced(builder, pointers[1], dtype, b_step, p)
            at_c = loop_nodes.advanced(builder, pointers[2], dtype, c_step, p)
            tiles.call(pointers[0], at_b, at_c, low, high, I64(0), I64(width))

    if part.single:
        with code.one_thread():
            blocked(I64(0), I64(count), I64(0), code.dim(rows))
    elif by_blocks:
        blocked(*code.partition(part), I64(0), code.dim(rows))
    else:
        blocked(I64(0), I64(count), *code.partition(part))


def tiled_product(builder: BodyBuilder, node: Node) -> None:
    """Lower ``tiled`` to LLVM: a matrix product fused with an elementwise loop."""
    outs = [v for v in node.outputs if v is not None]
    simple = as_product(node, blocked=True)
    assert simple is not None
    d, sums = parse_dims(node.attrs["dims"]), partial_sums_of(node)
    letters, dtype = (d.lhs, d.rhs), node.inputs[0].dtype
    values = node.inputs[simple.a], node.inputs[simple.b]
    la, lb = letters[simple.a], letters[simple.b]
    sizes = dict(zip((*la, *lb), (*values[0].shape, *values[1].shape)))
    pa, pb = (builder.view(v) for v in values)
    width = next(builder.view(v).blocking for v, n in zip(outs, sums) if not n)
    rows, columns = sizes[simple.u], sizes[simple.v]
    assert isinstance(columns, int)
    a_m, a_k = (pa.strides[la.index(c)] for c in (simple.u, simple.k))
    b_k = pb.strides[lb.index(simple.k)]
    matrices = Matrices(
        dtype, rows, width, sizes[simple.k], a_m, a_k, b_k, width, width
    )
    rest = node.inputs[2:]
    arrays = tuple([bool(v.shape) for v in rest])
    epilogue = Epilogue(node.attrs["body"], arrays, tuple(map(bool, sums)))

    code, emit = builder.code, builder.b
    tile = _MAX_TILE * dtype.itemsize
    lanes = width * dtype.itemsize
    reserved = tile + lanes * sum(epilogue.summed)
    mine = code.private(reserved)
    accumulators = iter(range(tile, reserved, lanes))
    rooms = {
        i: advance(emit, mine, DType.uint8, I64(next(accumulators)))
        for i, added in enumerate(epilogue.summed)
        if added
    }
    partition = builder.partition_for(outs[0])
    units = max(sums) or columns // width
    blocks = columns // width // units
    code.touch(builder.accesses(node))
    start_a, start_b = (builder.pointer(v) for v in values)
    starts = [builder.pointer(v) for v in (*rest, *outs)]
    moves = (*arrays, *(not added for added in epilogue.summed))
    zero = ir.Constant(ir.VectorType(memory_type(dtype), width), None)

    def block(p: Any) -> None:
        pointers = [
            loop_nodes.advanced(builder, at, dtype, rows * width, p) if moved else at
            for at, moved in zip(starts, moves)
        ]
        for i, room in rooms.items():
            pointers[len(rest) + i] = room
        tiles = Product(builder, matrices, Passed(epilogue, pointers, reserved))
        at_b = loop_nodes.advanced(builder, start_b, dtype, width, p)
        tiles.call(start_a, at_b, mine, I64(0), code.dim(rows), I64(0), I64(width))

    def unit(u: Any) -> None:
        for room in rooms.values():
            emit.store(zero, room, align=dtype.itemsize)
        first = emit.mul(u, I64(blocks))
        with loop_nodes.for_loop(emit, I64(0), I64(blocks), "block") as p:
            block(emit.add(first, p))
        for i, room in rooms.items():
            at = advance(emit, starts[len(rest) + i], dtype, u)
            emit.call(lanes_sum(code.kernels, dtype, width), [at, room])

    def each(first: Any, last: Any) -> None:
        with loop_nodes.for_loop(emit, first, last, "unit") as u:
            unit(u)

    if partition is None:
        with code.one_thread():
            each(I64(0), I64(units))
    else:
        each(*code.partition(Part(units)))


def _whole_product(
    builder: BodyBuilder,
    node: Node,
    values: tuple[Value, Value, Value],
    matrices: Matrices,
) -> None:
    """Emit LLVM code for a product without blocks, divided by rows or columns."""
    out = values[2]
    code, partition = builder.code, builder.partition_for(out)
    by_columns = partition is not None and partition.axis == len(out.shape) - 1
    tiles = Product(builder, replace(matrices, width=None) if by_columns else matrices)
    code.touch(builder.accesses(node))
    at_a, at_b, at_c = (builder.pointer(v) for v in values)
    rows, columns = code.dim(matrices.rows), code.dim(matrices.columns)

    def call(low: Any, high: Any, left: Any, right: Any) -> None:
        tiles.call(at_a, at_b, at_c, low, high, left, right)

    if partition is None:
        with code.one_thread():
            call(I64(0), rows, I64(0), columns)
        return
    mine = code.partition(Part(partition.units, partition.unit_size))
    if by_columns:
        call(I64(0), rows, *mine)
    else:
        call(*mine, I64(0), columns)
