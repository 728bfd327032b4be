"""How values lie in memory: strided views and blocks.

A value normally lies row-major; views of it differ by strides alone. Weights lie in
*blocks*: W of shape (outputs, inputs) is stored as

    [outputs / P][inputs][P]

so that the P outputs of a block are contiguous for each input. The forward product and
the weight gradient then read and write whole vectors, and a thread that owns some
blocks owns whole cache lines. Gradients and moments, which only ever meet their weight
element by element, take the same layout: see :func:`choose_blocked`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from chainrule.engines.schedule.blocks import block_width
from chainrule.engines.weights import weight_states, weight_values
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import Dim, Shape
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
    """Where a value's elements are, relative to the memory of ``root``.

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
        """Whether it is row-major without gaps, from the start of its memory on."""
        return (
            not self.blocking
            and not self.offset
            and self.strides == row_major(self.shape)
        )

    def loops(self, order: StridedView) -> tuple[tuple[Dim, Dim], ...]:
        """(size, stride) for each loop over the elements in the order of ``order``.

        A single number counts as repeated along all of them.
        """
        strides = self.strides if self.shape else (0,) * len(order.shape)
        if not order.blocking:
            return tuple(zip(order.shape, strides, strict=True))
        outputs, inputs = order.shape
        assert isinstance(outputs, int)
        p = order.blocking
        if self.blocking:
            steps: tuple[Dim, ...] = (inputs * p, p, 1)
        else:
            steps = (strides[0] * p, strides[1], strides[0])
        return tuple(zip((outputs // p, inputs, p), steps, strict=True))


def row_major(shape: Shape) -> Shape:
    """The strides of a row-major value; axes of length 1 count like any other."""
    strides: list[Dim] = []
    step: Dim = 1
    for dim in reversed(shape):
        strides.append(step)
        step = dim if step == 1 else step * dim
    return tuple(reversed(strides))


def view_of(node: Node, source: StridedView) -> StridedView | None:
    """Where a movement's result lies if it can be had without copying."""
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
    """A sum of sizes: what has numbers in one term, what has names in others."""
    total = sum(term for term in terms if isinstance(term, int))
    named = tuple(term for term in terms if not isinstance(term, int))
    return (total, *named) if total else named


def _reshaped(source: StridedView, shape: Shape) -> StridedView | None:
    """A reshape of a contiguous place, or one that only adds or drops axes of 1."""
    if source.strides == row_major(source.shape):
        return replace(source, shape=shape, strides=row_major(shape))
    kept = [(d, s) for d, s in zip(source.shape, source.strides) if d != 1]
    if [d for d, _ in kept] != [d for d in shape if d != 1]:
        return None
    steps = iter([s for _, s in kept])
    strides = tuple(0 if d == 1 else next(steps) for d in shape)
    return replace(source, shape=shape, strides=strides)


def choose_blocked(entries: Iterable[Entry]) -> dict[str, int]:
    """Which states lie in blocks, and how wide those are, for a whole program."""
    entries = list(entries)
    chosen = weight_states(entries)
    blocked: dict[str, int] = {}
    for entry in entries:
        held = entry.graph.inputs[len(entry.inputs) :]
        for name, value in zip(entry.state, held, strict=True):
            if name in chosen:
                blocked[name] = block_width(value.shape)
    return blocked


def blocked_values(entry: Entry, blocked: dict[str, int]) -> dict[Value, int]:
    """For each value of an entry the width of its blocks, where it lies in blocks."""
    return {v: block_width(v.shape) for v in weight_values(entry, set(blocked))}


def to_memory(array: Array, blocking: int) -> Array:
    """A weight from its canonical shape into blocks."""
    if not blocking:
        return array
    outputs, inputs = array.shape
    return array.reshape(outputs // blocking, blocking, inputs).transpose(0, 2, 1)


def from_memory(flat: Array, shape: tuple[int, ...], blocking: int) -> Array:
    """A weight from its blocks back into its canonical shape, as a copy."""
    if not blocking:
        return flat.reshape(shape).copy()
    outputs, inputs = shape
    cut = flat.reshape(outputs // blocking, inputs, blocking).transpose(0, 2, 1)
    return cut.copy().reshape(shape)
