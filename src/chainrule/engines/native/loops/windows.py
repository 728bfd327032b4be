"""Generation of LLVM code for pooling: sums and maxima over sliding windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops.along import walk
from chainrule.engines.native.loops.kernels import advance, for_loop, grouped
from chainrule.engines.native.math.scalar import (
    I1,
    I8,
    I64,
    combined,
    compare,
    is_nan,
    number,
    store,
)
from chainrule.graph.node import Node
from chainrule.graph.types import Dim, DType, resolve, size_of

#: How many numbers describe a window along an axis.
_PER_AXIS = 8


def windowed(what: str) -> Callable[[BodyBuilder, Node], None]:
    """Return the function that lowers a pooling to LLVM: sum, maximum or argmax.

    The taps are visited in the order of the window's axes, the last one quickest. Each
    takes in a whole row of the axis that lies innermost in memory, such as the
    channels, unless the window slides over that.
    """

    def lower(builder: BodyBuilder, node: Node) -> None:
        (x,), outs = node.inputs, [v for v in node.outputs if v is not None]
        out = outs[0]
        axes: tuple[int, ...] = node.attrs["axes"]
        source, target, dtype = builder.view(x), builder.view(out), x.dtype
        order = [0, *(a for a in target.axes if a != 0)] if out.shape else []
        row: int | None = source.axes[-1] if len(order) > 1 else None
        if row in (0, *axes):
            row = None
        order = [a for a in order if a != row]
        width, to, of = (
            (1, 1, 1)
            if row is None
            else (out.shape[row], target.strides[row], source.strides[row])
        )
        numbers = _numbers(node, source.strides)
        dense = all(gap == 1 for gap in node.attrs.get("base_dilation", (1,)))
        whole = to == 1, of == 1
        marks = builder.code.kernels.marks

        def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], p: Any) -> None:
            # Where the values go, and where the places of the largest.
            if what == "best":
                po, places, px, _, _ = at
            elif what == "argmax":
                places, px, po, _ = at
            else:
                places, (po, px, _, _) = None, at
            width, *rest = rest
            steps = [I64(1) if one else step for one, step in zip(whole, rest)]
            rest = rest[2:]
            with b.goto_entry_block():
                seen = b.alloca(I8)
            b.store(I8(0), seen)

            def along_row(visit: Callable[[Any, Any, Any], None]) -> None:
                """Emit a pooling's loop along a row, with independent iterations."""
                group, mark = marks.new(short=True)
                with for_loop(b, I64(0), width, "c", mark=mark) as c:
                    visit(b.mul(c, steps[0]), b.mul(c, steps[1]), group)

            def put(value: Any, pointer: Any, kind: DType, group: Any) -> None:
                instruction = store(b, value, pointer, kind)
                instruction.set_metadata("llvm.access.group", group)

            def tap(level: int, pointer: Any, index: Any, inside: Any) -> None:
                if level == len(axes):
                    with b.if_then(inside):
                        visit(pointer, index)
                    return
                mine = rest[level * _PER_AXIS : (level + 1) * _PER_AXIS]
                length, stride, window, step, dilation, low, gap, after = mine
                place = p[order.index(axes[level])]
                first = b.sub(b.mul(place, step), low)
                with for_loop(b, I64(0), window, f"k{level}") as k:
                    spot = b.add(first, b.mul(k, dilation))
                    fits = b.icmp_signed(">=", spot, I64(0))
                    if not dense:
                        whole = b.icmp_signed("==", b.srem(spot, gap), I64(0))
                        fits, spot = b.and_(fits, whole), b.sdiv(spot, gap)
                    fits = b.and_(fits, b.icmp_signed("<", spot, length))
                    tap(
                        level + 1,
                        advance(b, pointer, dtype, b.mul(spot, stride)),
                        b.add(index, b.mul(spot, after)),
                        b.and_(inside, fits),
                    )

            def first_tap(pointer: Any, index: Any) -> None:
                def copy(i: Any, j: Any, group: Any) -> None:
                    value = grouped(b, advance(b, pointer, dtype, j), dtype, group)
                    put(value, advance(b, po, dtype, i), dtype, group)
                    if places is not None:
                        spot = advance(b, places, DType.int64, i)
                        put(index, spot, DType.int64, group)

                along_row(copy)

            def further_tap(pointer: Any, index: Any) -> None:
                def meet(i: Any, j: Any, group: Any) -> None:
                    value = grouped(b, advance(b, pointer, dtype, j), dtype, group)
                    target = advance(b, po, dtype, i)
                    known = grouped(b, target, dtype, group)
                    if what == "sum":
                        put(
                            combined(b, "sum", dtype, known, value),
                            target,
                            dtype,
                            group,
                        )
                        return
                    odd = b.and_(
                        is_nan(b, dtype, value), b.not_(is_nan(b, dtype, known))
                    )
                    take = b.or_(compare(b, dtype, ">", value, known), odd)
                    put(b.select(take, value, known), target, dtype, group)
                    if places is not None:
                        spot = advance(b, places, DType.int64, i)
                        old = grouped(b, spot, DType.int64, group)
                        put(b.select(take, index, old), spot, DType.int64, group)

                along_row(meet)

            def visit(pointer: Any, index: Any) -> None:
                fresh = b.icmp_unsigned("==", b.load(seen, typ=I8), I8(0))
                with b.if_else(fresh) as (first, further):
                    with first:
                        first_tap(pointer, index)
                    with further:
                        further_tap(pointer, index)
                b.store(I8(1), seen)

            def nothing(i: Any, j: Any, group: Any) -> None:
                put(number(dtype, 0), advance(b, po, dtype, i), dtype, group)

            tap(0, px, I64(0), I1(1))
            with b.if_then(b.icmp_unsigned("==", b.load(seen, typ=I8), I8(0))):
                along_row(nothing)  # a sum of padding alone

        rank = max(len(order), 1)
        longest = resolve((width,), builder.code.largest)[0] * dtype.itemsize
        walk(
            builder,
            node,
            (what, axes, dense, whole, tuple(order)),
            "windows",
            [out.shape[a] for a in order],
            [
                *((v, [target.strides[a] for a in order], True) for v in outs),
                (x, [0 if a in axes else source.strides[a] for a in order], False),
            ],
            inner,
            numbers=(width, to, of, *numbers),
            memory=(builder.code.private(longest), None, [0] * rank),
        )

    return lower


def _numbers(node: Node, strides: Sequence[Dim]) -> list[Dim]:
    """Return the numbers that describe a pooling's window to its kernel, by axis."""
    (x,), a = node.inputs, node.attrs
    axes: tuple[int, ...] = a["axes"]
    gaps = a.get("base_dilation", (1,) * len(axes))
    numbers: list[Dim] = []
    for i, axis in enumerate(axes):
        low, _ = a["padding"][i]
        window = a["window"][i], a["strides"][i], a["dilation"][i]
        numbers += [x.shape[axis], strides[axis], *window, low, gaps[i]]
        numbers.append(size_of(tuple(x.shape[other] for other in axes[i + 1 :])))
    return numbers
