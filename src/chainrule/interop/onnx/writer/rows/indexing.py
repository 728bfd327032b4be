"""Rows of primitives that read and write by index, and of conditions that must hold.

Chainrule refuses indices outside of an axis; ONNX counts negative ones from its end. So
these become the length of the axis, which runtimes refuse.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph.types import Dim, DType, Shape
from chainrule.interop.onnx.writer.emitter import Emitter, Ref
from chainrule.interop.onnx.writer.rows.movement import counted
from chainrule.interop.onnx.writer.table import Call, row
from chainrule.primitives import indexing as p
from chainrule.primitives.checks import require


def checked(e: Emitter, indices: Ref, length: Dim) -> Ref:
    """Return indices as int64, those below 0 as the length of the axis."""
    wide = indices.cast(DType.int64)
    if indices.dtype.kind == "uint" and indices.dtype is not DType.uint64:
        return wide
    below = wide < 0
    return below.where(e.squeeze(e.size(length), 0), wide)


@row(p.take)
def of_take(c: Call) -> Ref:
    return c.e.gather(c.x, checked(c.e, c.y, c.values[0].shape[0]), 0)


@row(p.gather)
def of_gather(c: Call) -> Ref:
    axis = c.attrs["axis"]
    indices = checked(c.e, c.y, c.values[0].shape[axis])
    return c.e.node("GatherElements", [c.x, indices], [c.x.dtype], axis=axis)[0]


@row(p.scatter_add, since=16)
def of_scatter_add(c: Call) -> Ref:
    base, indices, updates = c.inputs
    rows = checked(c.e, indices, c.values[0].shape[0])
    rows = c.e.unsqueeze(rows, len(c.values[1].shape))
    return base.op("ScatterND", rows, updates, reduction="add")


@row(p.scatter_add_along, since=16)
def of_scatter_add_along(c: Call) -> Ref:
    base, indices, updates = c.inputs
    axis = c.attrs["axis"]
    places = checked(c.e, indices, c.values[0].shape[axis])
    return base.op("ScatterElements", places, updates, axis=axis, reduction="add")


# -- blocks ----------------------------------------------------------------------------


def _corner(
    e: Emitter, starts: Sequence[Ref], shape: Shape, sizes: Shape
) -> dict[int, Ref]:
    """Return the indices of a block along each axis that it does not fill."""
    lines: dict[int, Ref] = {}
    for axis, (start, dim, n) in enumerate(zip(starts, shape, sizes)):
        if n != dim:
            begin = checked(e, start, dim)
            lines[axis] = counted(e, e.squeeze(e.size(n), 0)) + begin
    return lines


def _fixed(starts: Sequence[Ref], shape: Shape, sizes: Shape) -> Ref | None:
    """Return the sum of the starts that may be 0 alone; None where there is none."""
    total: Ref | None = None
    for start, dim, n in zip(starts, shape, sizes):
        if n == dim:
            wide = start.cast(DType.int64).op("Abs")
            total = wide if total is None else total + wide
    return total


@row(p.dynamic_slice)
def of_dynamic_slice(c: Call) -> Ref:
    x, sizes, shape = c.x, c.attrs["sizes"], c.values[0].shape
    if (other := _fixed(c.inputs[1:], shape, sizes)) is not None:
        x = passed(c.e, x, other.equals(0))
    for axis, line in _corner(c.e, c.inputs[1:], shape, sizes).items():
        x = c.e.gather(x, line, axis)
    return x


@row(p.dynamic_update_slice)
def of_dynamic_update_slice(c: Call) -> Ref:
    x, update, *starts = c.inputs
    shape, sizes = c.values[0].shape, c.values[1].shape
    if (other := _fixed(starts, shape, sizes)) is not None:
        x = passed(c.e, x, other.equals(0))
    lines = _corner(c.e, starts, shape, sizes)
    if not lines or 0 in sizes:
        return update if not lines else x
    # Indices count along the first axes, up to the last that the block does not fill.
    count = max(lines) + 1
    parts: list[Ref] = []
    for axis in range(count):
        line = lines.get(axis)
        if line is None:
            line = counted(c.e, c.e.squeeze(c.e.size(sizes[axis]), 0))
        others = [a for a in range(count + 1) if a != axis]
        parts.append(c.e.expand(c.e.unsqueeze(line, *others), (*sizes[:count], 1)))
    places = c.e.concat(parts, count)
    return c.e.node("ScatterND", [x, places, update], [x.dtype])[0]


# -- conditions ------------------------------------------------------------------------


def passed(e: Emitter, x: Ref, holds: Ref, what: str | None = None) -> Ref:
    """Return an array, by an index that exists where a condition holds alone.

    ``what``: the name of the node, which runtimes show where it does not.
    """
    inputs = [e.unsqueeze(x, 0), (~holds).cast(DType.int64)]
    return e.node("Gather", inputs, [x.dtype], label=what, axis=0)[0]


@row(require)
def of_require(c: Call) -> Ref:
    return passed(c.e, c.x, c.y, c.attrs["what"])
