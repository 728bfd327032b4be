"""Lowerings of sums and maxima over sliding windows: plain loops over the taps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from chainrule.engines.native.along import walk
from chainrule.engines.native.emit import BodyBuilder
from chainrule.engines.native.kernels import advance, for_loop
from chainrule.engines.native.scalar import (
    I1,
    I64,
    combined,
    compare,
    is_nan,
    load,
    number,
    register_type,
    store,
)
from chainrule.graph.node import Node
from chainrule.graph.types import Dim, DType

#: How many numbers describe a window along an axis.
_PER_AXIS = 8


def windowed(what: str) -> Callable[[BodyBuilder, Node], None]:
    """``window_sum``, ``window_max`` or ``window_argmax``.

    The taps are visited in the order of the window's axes, the last one quickest.
    """

    def lower(builder: BodyBuilder, node: Node) -> None:
        (x,), (out,), a = node.inputs, node.outputs, node.attrs
        assert out is not None
        axes: tuple[int, ...] = a["axes"]
        view, dtype = builder.view(x), x.dtype
        gaps = a.get("base_dilation", (1,) * len(axes))
        numbers: list[Dim] = []
        for i, axis in enumerate(axes):
            low, _ = a["padding"][i]
            numbers += [
                x.shape[axis],
                view.strides[axis],
                a["window"][i],
                a["strides"][i],
                a["dilation"][i],
                low,
                gaps[i],
            ]
            after: Dim = 1
            for other in axes[i + 1 :]:
                after = after * x.shape[other]
            numbers.append(after)
        dense = all(gap == 1 for gap in gaps)
        across = tuple(0 if i in axes else s for i, s in enumerate(view.strides))

        def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], p: Any) -> None:
            po, px, _ = at
            kind = register_type(dtype)
            with b.goto_entry_block():
                best, where = b.alloca(kind), b.alloca(I64)
            b.store(number(dtype, 0), best)
            b.store(I64(-1), where)

            def tap(level: int, pointer: Any, index: Any, inside: Any) -> None:
                if level == len(axes):
                    with b.if_then(inside):
                        visit(pointer, index)
                    return
                row = rest[level * _PER_AXIS : (level + 1) * _PER_AXIS]
                length, stride, window, step, dilation, low, gap, after = row
                first = b.sub(b.mul(p[axes[level]], step), low)
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

            def visit(pointer: Any, index: Any) -> None:
                value, known = load(b, pointer, dtype), b.load(best, typ=kind)
                if what == "sum":
                    b.store(combined(b, "sum", dtype, known, value), best)
                    return
                odd = b.and_(is_nan(b, dtype, value), b.not_(is_nan(b, dtype, known)))
                larger = b.or_(compare(b, dtype, ">", value, known), odd)
                view = b.load(where, typ=I64)
                take = b.or_(larger, b.icmp_signed("<", view, I64(0)))
                b.store(b.select(take, value, known), best)
                b.store(b.select(take, index, view), where)

            tap(0, px, I64(0), I1(1))
            if what == "argmax":
                store(b, b.load(where, typ=I64), po, DType.int64)
            else:
                store(b, b.load(best, typ=kind), po, dtype)

        walk(
            builder,
            node,
            (what, axes, dense),
            "windows",
            out.shape,
            [(out, builder.view(out).strides, True), (x, across, False)],
            inner,
            numbers=numbers,
        )

    return lower
