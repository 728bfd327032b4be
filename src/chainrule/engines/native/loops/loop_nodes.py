"""Generation of LLVM code in plain loops: rows by index, slices, contractions.

These are plain and right rather than fast; matrix products, which matter most, go to
``matmul`` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops.kernels import advance, for_loop
from chainrule.engines.native.loops.lines import PRODUCTS
from chainrule.engines.native.loops.nests import Part
from chainrule.engines.native.math.scalar import (
    I1,
    I64,
    checked,
    combined,
    convert,
    load,
    number,
    register_type,
    store,
)
from chainrule.engines.schedule.layout import StridedView
from chainrule.engines.schedule.sharing import ONE
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim, DType, Shape, size_of
from chainrule.primitives import indexing
from chainrule.primitives.matmul import parse_dims


def advanced(
    builder: BodyBuilder, pointer: Any, dtype: DType, step: Dim, count: Any = None
) -> Any:
    """Emit code for a pointer moved by a number of elements."""
    b = builder.b
    distance = builder.code.dim(step)
    if count is not None:
        distance = b.mul(distance, count)
    return advance(b, pointer, dtype, distance)


# -- rows by index -------------------------------------------------------------------


def take(builder: BodyBuilder, node: Node) -> None:
    """Lower ``take`` to LLVM: code that copies rows selected by index."""
    x, indices = node.inputs
    (out,) = node.outputs
    assert out is not None
    code, dtype, kind = builder.code, x.dtype, indices.dtype
    width = size_of(x.shape[1:])

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        target, source, wanted, status = pointers
        rows, length, begin, end = numbers
        with for_loop(b, begin, end, "i") as i:
            row = checked(b, advance(b, wanted, kind, i), kind, rows, status)
            start = advance(b, source, dtype, b.mul(row, length))
            view = advance(b, target, dtype, b.mul(i, length))
            size = b.mul(length, I64(dtype.itemsize))
            copy = b.module.declare_intrinsic(
                "llvm.memcpy", [ir.PointerType(), ir.PointerType(), I64]
            )
            b.call(copy, [view, start, size, I1(0)])

    function = code.kernels.once(("take", dtype, kind), "take", 4, 4, emit)
    count = size_of(indices.shape)
    if count == 0 or width == 0:
        return
    part = Part(1, single=True)  # of a single index: the result's axes are the row's
    if indices.shape:
        part = builder.part(out, size_of(indices.shape[1:]))
    code.touch(builder.accesses(node))
    pointers = [builder.pointer(v) for v in (out, x, indices)]
    numbers = [code.dim(d) for d in (x.shape[0], width)]
    code.call(function, [*pointers, code.status, *numbers], part)


def changed_rows(builder: BodyBuilder, node: Node) -> None:
    """Lower ``scatter_add`` or ``put_rows``: add or put rows by index, in order."""
    adds = node.primitive is indexing.scatter_add
    base, indices, updates = node.inputs
    (out,) = node.outputs
    assert out is not None
    builder.copy(base, out)
    code, dtype, kind = builder.code, out.dtype, indices.dtype
    width, count = size_of(out.shape[1:]), size_of(indices.shape)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        target, wanted, more, status = pointers
        rows, length, begin, end = numbers
        with for_loop(b, begin, end, "i") as i:
            row = checked(b, advance(b, wanted, kind, i), kind, rows, status)
            to = advance(b, target, dtype, b.mul(row, length))
            start = advance(b, more, dtype, b.mul(i, length))
            with for_loop(b, I64(0), length, "j") as j:
                at = advance(b, to, dtype, j)
                new = load(b, advance(b, start, dtype, j), dtype)
                if adds:
                    new = combined(b, "sum", dtype, load(b, at, dtype), new)
                store(b, new, at, dtype)

    key = ("scatter", adds, dtype, kind)
    function = code.kernels.once(key, node.primitive.name, 4, 4, emit)
    code.touch(
        [builder.access(out, ONE, write=True)]
        + [builder.access(v, ONE) for v in (indices, updates)]
    )
    pointers = [builder.pointer(v) for v in (out, indices, updates)]
    numbers = [code.dim(d) for d in (out.shape[0], width)]
    code.call(function, [*pointers, code.status, *numbers], Part(count, single=True))


# -- blocks ----------------------------------------------------------------------------


def part_of(
    builder: BodyBuilder,
    whole: Value,
    like: Value,
    strides: Sequence[Dim],
    pointer: Any,
) -> Value:
    """Return a graph value that is a part of another value's memory."""
    window = Value(None, like.shape, whole.dtype)
    builder.layouts.known[window] = StridedView(window, like.shape, tuple(strides))
    builder.bind(window, lambda: pointer, builder.resources[builder.view(whole).root])
    return window


def concatenate(builder: BodyBuilder, node: Node) -> None:
    """Lower ``concatenate`` to LLVM: copies of all operands, one after another."""
    (out,), axis = node.outputs, int(node.attrs["axis"])
    assert out is not None
    view, pointer = builder.view(out), builder.pointer(out)
    for x in node.inputs:
        builder.copy(x, part_of(builder, out, x, view.strides, pointer))
        step = x.shape[axis] * view.strides[axis]
        pointer = advanced(builder, pointer, out.dtype, step)


def _corner(
    builder: BodyBuilder, x: Value, starts: Sequence[Value], sizes: Shape
) -> Any:
    """Emit code for a block's address in an array; report indices out of range."""
    code, b, view = builder.code, builder.b, builder.view(x)
    code.touch([builder.access(start, None) for start in starts])
    pointer = builder.pointer(x)
    for start, size, dim, stride in zip(starts, sizes, x.shape, view.strides):
        last = b.sub(code.dim(dim), code.dim(size))
        rows = b.add(last, I64(1))
        at = checked(b, builder.pointer(start), start.dtype, rows, code.status)
        pointer = advanced(builder, pointer, x.dtype, stride, at)
    return pointer


def dynamic_slice(builder: BodyBuilder, node: Node) -> None:
    """Lower ``dynamic_slice`` to LLVM: a copy of the block at given positions."""
    x, *starts = node.inputs
    (out,) = node.outputs
    assert out is not None
    corner = _corner(builder, x, starts, out.shape)
    builder.copy(part_of(builder, x, out, builder.view(x).strides, corner), out)


def dynamic_update_slice(builder: BodyBuilder, node: Node) -> None:
    """Lower ``dynamic_update_slice`` to LLVM: copy the array, overwrite a block."""
    x, update, *starts = node.inputs
    (out,) = node.outputs
    assert out is not None
    builder.copy(x, out)
    corner = _corner(builder, out, starts, update.shape)
    builder.copy(
        update, part_of(builder, out, update, builder.view(out).strides, corner)
    )


# -- products of any kind --------------------------------------------------------------


def contraction(builder: BodyBuilder, node: Node) -> None:
    """Lower any ``dot_general`` or ``conv`` to plain LLVM loops, sum by sum.

    Every element of the output is the chain fma(a, b, sum) over the contracted axes
    and the kernel's window, in the order of the letters; of many terms, a sum of chains
    of ``PRODUCTS``.
    """
    lhs, rhs = node.inputs
    (out,) = node.outputs
    assert out is not None
    code, d = builder.code, parse_dims(node.attrs["dims"])
    pl, pr, po = (builder.view(v) for v in (lhs, rhs, out))
    wide = max((out.dtype, node.attrs["accumulate"]), key=lambda dtype: dtype.itemsize)
    if not out.dtype.is_float:
        wide = out.dtype

    def step(view: StridedView, letters: str, c: str) -> Dim:
        return view.strides[letters.index(c)] if c in letters else 0

    free = list(d.out)
    summed = [c for c in d.lhs if c in d.contracted] + list(d.window)
    window = len(d.window)
    out_loops = [(out.shape[d.out.index(c)], step(po, d.out, c)) for c in free] or [
        (1, 0)
    ]
    free = free or [""]
    # An output's spatial index moves the input by the stride, a tap by its dilation:
    # both are handled apart, since they may fall outside or between elements.
    left = [0 if c in d.window else step(pl, d.lhs, c) for c in free]
    right = [0 if c in d.window else step(pr, d.rhs, c) for c in free]
    inner = [
        (
            rhs.shape[d.rhs.index(c)],
            0 if c in d.window else step(pl, d.lhs, c),
            step(pr, d.rhs, c),
        )
        for c in summed
    ] or [(1, 0, 0)]
    spatial: list[tuple[Any, ...]] = []
    for i, w in enumerate(d.window):
        a = node.attrs
        spatial.append(
            (
                lhs.shape[d.lhs.index(w)],
                step(pl, d.lhs, w),
                a["strides"][i],
                a["rhs_dilation"][i],
                a["padding"][i][0],
                a["lhs_dilation"][i],
            )
        )
    place_of = [free.index(w) for w in d.window]
    rank, depth = len(free), len(inner)

    def emit(b: ir.IRBuilder, pointers: list[Any], numbers: list[Any]) -> None:
        target, first, second = pointers
        numbers = list(numbers)

        def cut(count: int) -> list[Any]:
            head = numbers[:count]
            del numbers[:count]
            return head

        sizes, po_, pl_, pr_ = cut(rank), cut(rank), cut(rank), cut(rank)
        k_sizes, kl, kr = cut(depth), cut(depth), cut(depth)
        geometry = [cut(6) for _ in range(window)]
        begin, end = numbers
        total, chain = (b.alloca(register_type(wide)) for __ in range(2))
        terms = b.alloca(I64)
        none = number(wide, 0)

        def finish() -> None:
            """Add the chain to the sum, and begin another."""
            known = b.load(total, typ=register_type(wide))
            more = b.load(chain, typ=register_type(wide))
            b.store(combined(b, "sum", wide, known, more), total)
            b.store(none, chain)
            b.store(I64(0), terms)

        def tap(level: int, p: Any, q: Any, at: list[Any], ks: list[Any]) -> None:
            if level < depth:
                with for_loop(b, I64(0), k_sizes[level], f"k{level}") as k:
                    tap(
                        level + 1,
                        advance(b, p, lhs.dtype, b.mul(k, kl[level])),
                        advance(b, q, rhs.dtype, b.mul(k, kr[level])),
                        at,
                        [*ks, k],
                    )
                return
            inside: Any = I1(1)
            for w in range(window):
                size, move, stride, dilation, low, gap = geometry[w]
                k = ks[depth - window + w]
                where = b.mul(at[place_of[w]], stride)
                where = b.sub(b.add(where, b.mul(k, dilation)), low)
                index = b.sdiv(where, gap)
                fits = b.and_(
                    b.icmp_signed(">=", where, I64(0)), b.icmp_signed("<", index, size)
                )
                whole = b.icmp_signed("==", b.srem(where, gap), I64(0))
                inside = b.and_(inside, b.and_(fits, whole))
                p = advance(b, p, lhs.dtype, b.mul(index, move))

            def add_up(x: Any) -> None:
                x = convert(b, lhs.dtype, wide, x)
                y = convert(b, rhs.dtype, wide, load(b, q, rhs.dtype))
                known = b.load(chain, typ=register_type(wide))
                if wide.is_float:
                    b.store(b.fma(x, y, known), chain)
                else:
                    more = combined(b, "prod", wide, x, y)
                    b.store(combined(b, "sum", wide, known, more), chain)
                count = b.add(b.load(terms, typ=I64), I64(1))
                b.store(count, terms)
                with b.if_then(b.icmp_signed("==", count, I64(PRODUCTS))):
                    finish()

            if not window:
                add_up(load(b, p, lhs.dtype))
                return
            before = b.block  # the zero of the padding counts: 0 · ∞ is NaN
            with b.if_then(inside):
                loaded, seen = load(b, p, lhs.dtype), b.block
            x = b.phi(register_type(lhs.dtype))
            x.add_incoming(number(lhs.dtype, 0), before)
            x.add_incoming(loaded, seen)
            add_up(x)

        def nest(level: int, o: Any, p: Any, q: Any, at: list[Any]) -> None:
            if level == rank:
                for room in (total, chain):
                    b.store(none, room)
                b.store(I64(0), terms)
                tap(0, p, q, at, [])
                finish()
                total_value = b.load(total, typ=register_type(wide))
                store(b, convert(b, wide, out.dtype, total_value), o, out.dtype)
                return
            start = begin if level == 0 else I64(0)
            stop = end if level == 0 else sizes[level]
            with for_loop(b, start, stop, f"i{level}") as i:
                nest(
                    level + 1,
                    advance(b, o, out.dtype, b.mul(i, po_[level])),
                    advance(b, p, lhs.dtype, b.mul(i, pl_[level])),
                    advance(b, q, rhs.dtype, b.mul(i, pr_[level])),
                    [*at, i],
                )

        nest(0, target, first, second, [])

    key = ("contraction", lhs.dtype, wide, rank, depth, tuple(place_of))
    count = 4 * rank + 3 * depth + 6 * window + 2
    function = code.kernels.once(key, "contraction", 3, count, emit)
    part = builder.part(out)
    code.touch(builder.accesses(node))
    numbers: list[Dim] = [n for n, _ in out_loops] + [s for _, s in out_loops]
    numbers += left + right
    for column in range(3):
        numbers += [row[column] for row in inner]
    for row in spatial:
        numbers += row
    pointers = [builder.pointer(v) for v in (out, lhs, rhs)]
    code.call(function, [*pointers, *map(code.dim, numbers)], part)
