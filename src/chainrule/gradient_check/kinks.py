"""Search for the kink of a function: the first graph node that is not smooth.

Every value is looked at along the direction in which the whole was moved, on both sides
and at two ε: what is curved bends sixteen times less at the sixteenth of ε, a kink does
not.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.gradient_check.cause import Cause
from chainrule.gradient_check.subject import Subject
from chainrule.gradient_check.walk import Numbers, applied, inside, opened
from chainrule.graph.node import Array, Node, Value

#: The ε of the wider look; the narrower one is a sixteenth of it.
WIDE = 2.0**-16
#: Places on the line that are looked at, in units of the wider ε.
PLACES = (1.0, 1 / 16, 0.0, -1 / 16, -1.0)


def kinked(
    subject: Subject, numbers: Numbers, k: int, direction: Array, reach: float
) -> Cause | None:
    """Return the graph node with a kink at the checked point, or None.

    Args:
        subject: the function.
        numbers: of every value at the point.
        k: the part.
        direction: along which it moves.
        reach: the unit of ε.
    """
    part = subject.parts[k]
    steps = [place * WIDE * reach for place in PLACES]
    along = [{part.value: part.array + step * direction} for step in steps]
    for node in subject.nodes:
        if any(v in along[0] for v in node.inputs):
            for moved in along:
                inputs = [moved.get(v, numbers[v]) for v in node.inputs]
                results = applied(node, inputs)
                moved |= {v: a for v, a in zip(node.outputs, results) if v is not None}
            bend = _bent(node, [ChainMap(moved, numbers) for moved in along])
            if bend is not None:
                return bend
    return None


def _bent(node: Node, along: Sequence[Mapping[Value, Array]]) -> Cause | None:
    """Return a graph node's kink or jump as a gradient error's cause, or None."""
    for v in node.outputs:
        if v is not None and v.dtype.is_float:
            index = _bend([numbers[v] for numbers in along])
            if index is not None:
                return _named(node, v, along, index)
    return None


def _bend(values: Sequence[Array]) -> int | None:
    """Return the index of an array's element with the largest kink, or None."""
    values = [np.asarray(a, np.float64).ravel() for a in values]
    if not values[0].size or len({a.size for a in values}) > 1:
        return None
    far_up, up, here, down, far_down = values
    with np.errstate(all="ignore"):
        wide = np.abs(far_up - 2 * here + far_down)
        narrow = np.abs(up - 2 * here + down)
        rise = np.maximum(np.abs(far_up - here), np.abs(here - far_down))
        noise = 64 * np.finfo(np.float64).eps * np.maximum(np.abs(here), rise)
        bends = narrow * 16 > 0.5 * wide
        seen = (narrow > noise) & (wide > 1e-3 * rise)
    crossed = (bends & seen) | (~np.isfinite(narrow) & np.isfinite(here))
    if not crossed.any():
        return None
    return int(np.argmax(np.where(crossed, np.nan_to_num(wide, nan=np.inf), -1.0)))


def _named(
    node: Node, value: Value, along: Sequence[Mapping[Value, Array]], index: int
) -> Cause:
    """Return a kink's cause: the graph node, or a node within its body."""
    primitive, here = node.primitive, along[len(along) // 2]
    if not primitive.kinks:
        bodies = (opened(node, [n[v] for v in node.inputs]) for n in along)
        for parts in zip(*bodies):
            graph = parts[0][0]
            if all(part[0] is graph for part in parts):
                within = [inside(*part) for part in parts]
                cause = next(
                    filter(None, (_bent(n, within) for n in graph.nodes)), None
                )
                if cause is not None:
                    return cause.inside(node)
    at = tuple(int(i) for i in np.unravel_index(index, here[value].shape))
    inputs = [here[v] for v in node.inputs]
    alike = [a for a in inputs if a.shape == here[value].shape and a.dtype.kind == "f"]
    values = tuple(float(a[at]) for a in alike) if primitive.elementwise else ()
    chosen = [v for v in node.inputs if not v.dtype.is_float]
    flips = any(not np.array_equal(n[v], here[v]) for n in along for v in chosen)
    return Cause.of(
        "kink",
        node,
        index=at,
        values=values,
        declared=primitive.kinks,
        detail="switch" if flips else "",
    )
