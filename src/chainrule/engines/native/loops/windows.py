"""Generation of LLVM code for pooling: sums and maxima over sliding windows.

Vectors hold results that are neighbours in memory: along the axis that lies innermost,
be it the channels or an axis over which the window slides. The taps of a window are
visited in the order of its axes, the last one quickest, and what is known of them stays
in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from chainrule.engines.native.emit.body import BodyBuilder
from chainrule.engines.native.loops.along import walk
from chainrule.engines.native.loops.kernels import advance, for_loop, times
from chainrule.engines.native.loops.nests import collapsed
from chainrule.engines.native.loops.window_groups import PER_AXIS, Geometry, Groups
from chainrule.engines.native.math.scalar import I64, store
from chainrule.engines.native.math.scalar import number as constant
from chainrule.engines.native.target import host_target
from chainrule.engines.schedule.layout import StridedView
from chainrule.graph.node import Node, Value
from chainrule.graph.types import Dim, size_of


def windowed(what: str) -> Callable[[BodyBuilder, Node], None]:
    """Return the function that lowers a pooling to LLVM; see :class:`Geometry`."""

    def lower(builder: BodyBuilder, node: Node) -> None:
        *gradient, x = node.inputs
        outs = [v for v in node.outputs if v is not None]
        ends = gradient or outs  # with one element a window
        within = [x, *(outs if gradient else ())]  # with the elements of the windows
        geometry = _geometry(what, builder, node, ends, within)
        operands = (*ends, *within)
        views = {v: builder.view(v) for v in operands}
        result, lane = ends[0], geometry.lane
        sizes = [result.shape[a] for a in geometry.order]
        slow = [[views[v].strides[a] for a in geometry.order] for v in ends]
        still = [
            [0 if a in geometry.axes else views[v].strides[a] for a in geometry.order]
            for v in within
        ]
        if what == "pullback" and 0 in geometry.axes:  # no thread may begin in between
            sizes = [1, *sizes]
            slow, still = ([[0, *steps] for steps in many] for many in (slow, still))
        steps = [0 if lane is None else views[v].strides[lane] for v in operands]
        width: Dim = 1 if lane is None else result.shape[lane]
        numbers: list[Dim] = [width, *steps]
        for i, axis in enumerate(geometry.axes):
            numbers += [x.shape[axis], node.attrs["padding"][i][0]]
            numbers.append(size_of(tuple(x.shape[a] for a in geometry.axes[i + 1 :])))
            numbers += [views[v].strides[axis] for v in within]
            numbers += [0] * (PER_AXIS - 3 - len(within))
        first, cleared = None, ()
        if gradient and not _covers(geometry, node):
            (out,) = outs
            view, skipped = views[out], 0 not in geometry.axes
            axes = [a for a in view.axes if not (skipped and a == 0)]
            whole = tuple([(out.shape[a], view.strides[a]) for a in axes])
            (loops,) = collapsed([whole]) if whole else ((),)
            numbers += [number for loop in loops for number in loop]
            cleared = len(loops), bool(loops) and loops[-1][1] == 1
            first = _zeros(geometry, *cleared)

        def inner(b: ir.IRBuilder, at: list[Any], rest: list[Any], p: Any) -> None:
            Groups(b, geometry, at, rest, p[len(p) - len(geometry.order) :]).emit()

        walk(
            builder,
            node,
            (geometry, cleared),
            "windows",
            sizes,
            [
                *((v, own, not gradient) for v, own in zip(ends, slow)),
                *((v, own, v is not x) for v, own in zip(within, still)),
            ],
            inner,
            numbers=numbers,
            first=first,
        )

    return lower


def _geometry(
    what: str,
    builder: BodyBuilder,
    node: Node,
    ends: Sequence[Value],
    within: Sequence[Value],
) -> Geometry:
    """Return what the code of a pooling depends on."""
    x, attrs = within[0], node.attrs
    axes: tuple[int, ...] = attrs["axes"]
    source = builder.view(x)
    lane = _lanes_of(source, axes)
    order = [0, *(a for a in builder.view(ends[0]).axes if a != 0)] if x.shape else []
    if what == "pullback":  # an element gets what its windows send in their order
        sliding = iter(axes)
        order = [next(sliding) if a in axes else a for a in order]
    steps = [1] * (len(ends) + len(within))
    if lane is not None:
        order.remove(lane)
        strides = [builder.view(v).strides[lane] for v in (*ends, *within)]
        steps = [1 if step == 1 else None for step in strides]
    return Geometry(
        what,
        x.dtype,
        axes,
        tuple(order),
        lane,
        tuple(steps),
        attrs["window"],
        attrs["strides"],
        attrs["dilation"],
        attrs.get("base_dilation", (1,) * len(axes)),
        size_of(tuple(x.shape[a] for a in axes)) >= 1 << 31,  # type: ignore[operator]
        host_target().vector_bytes // max(x.dtype.itemsize, 4),
    )


def _lanes_of(source: StridedView, axes: tuple[int, ...]) -> int | None:
    """Return the axis along which vectors lie: the innermost, unless threads share it.

    Only the last axis over which the window slides is one of theirs.
    """
    axis = source.axes[-1] if source.axes else 0
    if axis == 0 or source.strides[axis] != 1 or axis in axes[:-1]:
        return None
    return axis


def _covers(geometry: Geometry, node: Node) -> bool:
    """Return whether each element lies in one window."""
    g, x = node.inputs
    sizes = [(x.shape[a], g.shape[a]) for a in geometry.axes]
    return geometry.apart and all(
        isinstance(n, int) and n == places * w and lo == 0
        for (n, places), w, (lo, _) in zip(
            sizes, geometry.window, node.attrs["padding"], strict=True
        )
    )


def _zeros(geometry: Geometry, rank: int, neighbours: bool) -> Any:
    """Return what puts zeros into the elements to which maxima send their gradient."""

    def clear(b: ir.IRBuilder, at: list[Any], rest: list[Any], _: Any) -> None:
        out = at[-2]  # the status is last
        loops = rest[len(rest) - 2 * rank :]

        def nest(level: int, place: Any) -> None:
            if level == rank:
                store(b, constant(geometry.dtype, 0), place, geometry.dtype)
                return
            size, step = loops[2 * level : 2 * level + 2]
            if neighbours and level == rank - 1:
                step = I64(1)
            with for_loop(b, I64(0), size, f"zero{level}") as i:
                nest(level + 1, advance(b, place, geometry.dtype, times(b, i, step)))

        nest(0, out)

    return clear
