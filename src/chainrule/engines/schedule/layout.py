"""Memory layouts of graph values: strided views, and blocks for weights.

A value normally lies row-major; views of it differ by strides alone. Weights lie in
*blocks*: W of shape (outputs, inputs) is stored as

    [outputs / P][inputs][P]

so that the P outputs of a block are contiguous for each input. The forward product and
the weight gradient then read and write whole vectors, and a thread that owns some
blocks owns whole cache lines. Gradients and moments, which only ever meet their weight
element by element, take the same layout: see :func:`choose_blocked`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import pairwise

from chainrule.engines.schedule.blocks import block_width
from chainrule.engines.weights import weight_states, weight_values
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, Shape, size_of
from chainrule.primitives.checks import require
from chainrule.primitives.movement import (
    broadcast_to,
    flip,
    reshape,
    slice_,
    transpose,
)


@dataclass(frozen=True)
class StridedView:
    """The memory layout of a graph value: strides and offset in its root's memory.

    Attributes:
        root: the value that owns the memory.
        shape: the value's shape.
        strides: elements from one index to the next, for each axis.
        offset: elements before the first, a sum.
        blocking: the width P of the blocks, or 0 where strides say everything.
    """

    root: Value
    shape: Shape
    strides: Shape
    offset: Shape = ()
    blocking: int = 0

    @property
    def contiguous(self) -> bool:
        """A flag that is true if a memory layout is row-major without any gaps."""
        return (
            not self.blocking
            and not self.offset
            and self.strides == row_major(self.shape)
        )

    @property
    def axes(self) -> tuple[int, ...]:
        """A layout's axes in the order in which they lie in memory, outermost first."""
        natural = tuple(range(len(self.shape)))
        if len(natural) < 3 or self.strides == row_major(self.shape):
            return natural
        moving = [a for a in natural if self.shape[a] != 1 and self.strides[a] != 0]

        def order(a: int, b: int) -> int:
            sign = compared(self.strides[b], self.strides[a])
            return sign if sign is not None else a - b

        turned = iter(sorted(moving, key=cmp_to_key(order)))
        return tuple([next(turned) if a in moving else a for a in natural])

    @property
    def dense(self) -> bool:
        """A flag that is true if a layout's elements fill their memory without gaps."""
        step: Dim = 1
        for a in reversed(self.axes):
            size = self.shape[a]
            if size != 1 and self.strides[a] != step:
                return False
            step = size * step
        return not self.blocking and not self.offset

    def loops(self, order: StridedView) -> tuple[tuple[Dim, Dim], ...]:
        """Return nested loops (size, stride) over a layout's elements.

        A single number counts as repeated along all of them.
        """
        strides = self.strides if self.shape else (0,) * len(order.shape)
        if not order.blocking:
            return tuple([(order.shape[a], strides[a]) for a in order.axes])
        outputs, inputs = order.shape
        assert isinstance(outputs, int)
        p = order.blocking
        if self.blocking:
            steps: tuple[Dim, ...] = (inputs * p, p, 1)
        else:
            steps = (strides[0] * p, strides[1], strides[0])
        return tuple(zip((outputs // p, inputs, p), steps, strict=True))


def compared(a: Dim, b: Dim) -> int | None:
    """Compare two sizes, which may be symbolic: 1, 0 or −1; None if unknown."""
    if isinstance(a, int) and isinstance(b, int):
        return None if a < 0 or b < 0 else (a > b) - (a < b)
    if isinstance(a, int) or isinstance(b, int):
        # A multiple of a size is no less than what a row of it holds.
        number, other = (a, b) if isinstance(a, int) else (b, a)
        assert not isinstance(other, int)
        if number < 0 or other.factor < number:
            return None
        return -1 if isinstance(a, int) else 1
    if a.names != b.names or a.factor < 0 or b.factor < 0:
        return None
    return (a.factor > b.factor) - (a.factor < b.factor)


def row_major(shape: Shape) -> Shape:
    """Return the strides of a row-major array of this shape."""
    return in_order(shape, range(len(shape)))


def in_order(shape: Shape, axes: Sequence[int]) -> Shape:
    """Return the strides of an array whose axes lie in this order in memory."""
    strides: list[Dim] = [0] * len(shape)
    step: Dim = 1
    for axis in reversed(axes):
        strides[axis] = step
        step = shape[axis] if step == 1 else step * shape[axis]
    return tuple(strides)


def view_of(node: Node, source: StridedView) -> StridedView | None:
    """Return the layout of a view (such as a transpose); None if it must be copied."""
    primitive, attrs = node.primitive, node.attrs
    if primitive is require:
        return source
    if source.blocking:
        return None
    strides = source.strides
    if primitive is broadcast_to:
        shape: Shape = attrs["shape"]
        lead = len(shape) - len(strides)
        steps = (0,) * lead + tuple(
            step if have == want else 0
            for step, have, want in zip(strides, source.shape, shape[lead:])
        )
        return replace(source, shape=shape, strides=steps)
    if primitive is transpose:
        axes: tuple[int, ...] = attrs["axes"]
        return replace(
            source,
            shape=tuple(source.shape[a] for a in axes),
            strides=tuple(strides[a] for a in axes),
        )
    if primitive is reshape:
        return _reshaped(source, attrs["shape"])
    if primitive is slice_:
        out = node.outputs[0]
        assert out is not None
        starts: tuple[int, ...] = attrs["starts"]
        return replace(
            source,
            shape=out.shape,
            strides=tuple(s * k for s, k in zip(strides, attrs["strides"])),
            offset=summed(*source.offset, *(s * k for s, k in zip(strides, starts))),
        )
    if primitive is flip:
        axes: tuple[int, ...] = attrs["axes"]
        ends: list[Dim] = []
        for a in axes:  # (n − 1) · stride
            ends += [source.shape[a] * strides[a], strides[a] * -1]
        return replace(
            source,
            strides=tuple(s * -1 if i in axes else s for i, s in enumerate(strides)),
            offset=summed(*source.offset, *ends),
        )
    return None


def summed(*terms: Dim) -> Shape:
    """Return the terms of a sum of sizes: one number, and the symbolic sizes."""
    total = sum(term for term in terms if isinstance(term, int))
    named = tuple(term for term in terms if not isinstance(term, int))
    return (total, *named) if total else named


def _reshaped(source: StridedView, shape: Shape) -> StridedView | None:
    """Return a reshape's memory layout as a view; None if it must be copied."""
    if source.strides == row_major(source.shape):
        return replace(source, shape=shape, strides=row_major(shape))
    have = [(d, s) for d, s in zip(source.shape, source.strides) if d != 1]
    want = [d for d in shape if d != 1]
    parts_strides: list[Dim] = []
    while have or want:
        if not have or not want:
            return None
        group = [have.pop(0)]
        parts = [want.pop(0)]
        while (mine := size_of(tuple(parts))) != (old := size_of(_sizes(group))):
            if not isinstance(mine, int) or not isinstance(old, int):
                return None
            if mine < old and want:
                parts.append(want.pop(0))
            elif old < mine and have:
                group.append(have.pop(0))
            else:
                return None
        for (_, outer), (size, inner) in pairwise(group):
            if outer != inner * size:
                return None
        step = group[-1][1]
        parts_strides += [s * step for s in row_major(tuple(parts))]
    steps = iter(parts_strides)
    strides = tuple(0 if d == 1 else next(steps) for d in shape)
    return replace(source, shape=shape, strides=strides)


def _sizes(loops: Sequence[tuple[Dim, Dim]]) -> Shape:
    return tuple([size for size, _ in loops])


def choose_blocked(entries: Iterable[Entry]) -> dict[str, int]:
    """Return the block widths of the weights that a program stores in blocks."""
    entries = list(entries)
    chosen = weight_states(entries)
    blocked: dict[str, int] = {}
    for entry in entries:
        states = entry.graph.inputs[len(entry.inputs) :]
        for name, value in zip(entry.state, states, strict=True):
            if name in chosen:
                blocked[name] = block_width(value.shape)
    return blocked


def blocked_values(entry: Entry, blocked: dict[str, int]) -> dict[Value, int]:
    """Return the block widths of an entry point's values that are stored in blocks."""
    return {v: block_width(v.shape) for v in weight_values(entry, set(blocked))}


def to_memory(array: Array, blocking: int) -> Array:
    """Convert a weight matrix from its normal layout into memory blocks."""
    if not blocking:
        return array
    outputs, inputs = array.shape
    return array.reshape(outputs // blocking, blocking, inputs).transpose(0, 2, 1)


def from_memory(flat: Array, shape: tuple[int, ...], blocking: int) -> Array:
    """Convert a weight matrix from memory blocks into its normal layout, as a copy."""
    if not blocking:
        return flat.reshape(shape).copy()
    outputs, inputs = shape
    cut = flat.reshape(outputs // blocking, inputs, blocking).transpose(0, 2, 1)
    return cut.copy().reshape(shape)
