"""Nested loops over a kernel's operands: divided among threads, merged, in tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule.engines.native.loops.kernels import Operand
from chainrule.engines.schedule.sharing import Partition
from chainrule.graph.node import Value
from chainrule.graph.types import Dim, SymbolicDim


@dataclass(frozen=True)
class Part:
    """The division of a kernel's outermost loop among threads.

    Attributes:
        units: how many units there are.
        scale: iterations in a unit.
        single: whether one thread does them all.
    """

    units: Dim
    scale: Dim = 1
    single: bool = False


#: For each operand its loops, the outermost first: (size, stride).
Loops = list[tuple[tuple[Dim, Dim], ...]]


#: Strides of an innermost loop that are part of its code: by these a vector's elements
#: come from few loads, by others from one each.
STEPS = (0, 1, -1, 2)


def operand(value: Value, steps: Sequence[Dim], *, fixed: bool) -> Operand:
    """Return a kernel operand's description: dtype, inner stride, if it is fixed."""
    inner = steps[-1] if steps[-1] in STEPS else None
    assert inner is None or isinstance(inner, int)
    return Operand(value.dtype, inner, fixed and all(s == 0 for s in steps))


def divided_loops(
    loops: Loops, partition: Partition | None, place: int
) -> tuple[Part, Loops]:
    """Move the loop that threads divide to the outermost place of nested loops."""
    if partition is None or not loops[0]:
        return Part(1, single=True), [mine or ((1, 0),) for mine in loops]
    part = Part(partition.units)
    if all(size == 1 for size, _ in loops[0][:place]):
        return part, [mine[place:] for mine in loops]
    turned: Loops = []
    for mine in loops:
        step = mine[place][1]
        across = (partition.units, step * partition.unit_size)
        within = (partition.unit_size, step)
        turned.append((across, *mine[:place], within, *mine[place + 1 :]))
    return part, turned


def collapsed(loops: Loops) -> Loops:
    """Merge neighbouring nested loops over which every operand is contiguous."""
    axes = list(range(len(loops[0])))
    axes_left = [a for a in axes if loops[0][a][0] != 1] or axes[-1:]
    rows = [[mine[a] for a in axes_left] for mine in loops]
    i = 0
    while i + 1 < len(rows[0]):
        if all(r[i + 1][1] * r[i + 1][0] == r[i][1] for r in rows):
            for r in rows:
                size = r[i][0] * r[i + 1][0]
                r[i : i + 2] = [(size, r[i + 1][1])]
        else:
            i += 1
    return [tuple(r) for r in rows]


def over(loops: Loops, part: Part) -> Part:
    """Return a thread's part of the outermost of nested loops in a kernel."""
    size = loops[0][0][0]
    if part.single:
        return Part(size, single=True)
    return (
        part if size == part.units else replace(part, scale=quotient(size, part.units))
    )


#: Elements along which a tile of a map is cut: a cache line of most.
LINE = 16


def in_tiles(loops: Loops, *, fixed: int) -> tuple[Loops, tuple[int, list[Dim]] | None]:
    """Cut nested loops into cache tiles if operands are contiguous along other axes.

    Where one operand lies in lines along the innermost loop and another along a loop
    outside of it, each line of the second would be fetched once for each of its
    elements. Within tiles of LINE elements it stays in the cache.

    Args:
        loops: those of each operand, the results first.
        fixed: how many of the outer loops have to stay.

    Returns:
        the loops within a tile; how many tiles there are, with the step of each operand
        from one to the next, or None where there is only one.
    """
    sizes = [size for size, _ in loops[0]]
    last = len(sizes) - 1
    for mine in loops:
        across = [a for a in range(last) if mine[a][1] == 1 and _wide(mine[last][1])]
        if not across or (not _cuts(sizes[last]) and mine is not loops[0]):
            continue
        axis = across[0] if mine is loops[0] else last
        if axis < fixed or not _cuts(sizes[axis]):
            continue
        size = sizes[axis]
        assert isinstance(size, int)
        steps = [other[axis][1] * LINE for other in loops]
        within = [
            (*other[:axis], *other[axis + 1 :], (LINE, other[axis][1]))
            for other in loops
        ]
        return within, (size // LINE, steps)
    return loops, None


def _wide(step: Dim) -> bool:
    return not isinstance(step, int) or step >= LINE


def _cuts(size: Dim) -> bool:
    return isinstance(size, int) and size % LINE == 0 and size > LINE


def quotient(a: Dim, b: Dim) -> Dim:
    """Return the exact quotient of two sizes, which may be symbolic."""
    if isinstance(a, SymbolicDim):
        return a // b
    assert isinstance(b, int)
    return a // b
