"""The division of arrays among threads, and the barriers between their accesses.

A :class:`Partition` divides an array along one axis into units, and thread t of T has
the units ``[units·t/T, units·(t+1)/T)``. Seen in memory it is an
:data:`AccessPattern`: two accesses with equal patterns touch, on each thread, only what
the thread touches itself. That is what barriers come from (:class:`Pending`), and it
holds through views: rows of (N, T, C) are the rows of (N·T, C) in blocks of T.

>>> from chainrule.engines.schedule.layout import StridedView, compared
>>> from chainrule.graph.node import Value
>>> from chainrule.graph.types import DType
>>> x = Value(None, (6, 4), DType.float32)
>>> view = StridedView(x, (6, 4), (4, 1))
>>> pattern_of(view, Partition(axis=0, unit_size=2, units=3), 4, "x")
('rows', 3, 32, 'x')
>>> pattern_of(view, Partition(axis=1, unit_size=2, units=2), 4, "x")
('columns', 2, 8, 16, 'x')
>>> partition_of(view, ('rows', 3, 32, 'x'), 4)
Partition(axis=0, unit_size=2, units=3)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.engines.schedule.layout import StridedView, compared
from chainrule.errors import ShapeError
from chainrule.graph.types import Dim

#: How threads share an access: two equal keys mean that each thread touches only what
#: it touched itself. None is anything else.
AccessPattern = tuple[Any, ...] | None
#: Thread 0 alone.
ONE: AccessPattern = ("one",)
#: Each thread, in memory of its own.
OWN: AccessPattern = ("own",)


@dataclass(frozen=True)
class Partition:
    """A division of an array (or of a node's work) among threads along one axis.

    Attributes:
        axis: along which it is divided.
        unit_size: indices of a unit.
        units: how many there are; ``unit_size · units`` is the length of the axis.
    """

    axis: int
    unit_size: int
    units: Dim


def pattern_of(
    view: StridedView, partition: Partition | None, itemsize: int, *where: Any
) -> AccessPattern:
    """Return a key for how threads divide a value's memory, equal if they agree.

    Args:
        view: where the value lies.
        partition: the division; None for thread 0 alone.
        itemsize: bytes of an element.
        where: what tells its memory from others'.
    """
    if partition is None:
        return ONE
    if view.blocking:
        if partition.axis != 0 or partition.unit_size % view.blocking:
            return None
        step = view.shape[1] * partition.unit_size * itemsize
        return ("rows", partition.units, step, *where)
    stride = view.strides[partition.axis]
    outer = _outer(view, partition.axis)
    if stride == 0 or outer is None:
        return None
    step = stride * (partition.unit_size * itemsize)
    if not outer:
        return ("rows", partition.units, step, *where)
    return ("columns", partition.units, step, outer[0] * itemsize, *where)


def partition_of(
    view: StridedView, key: AccessPattern, itemsize: int
) -> Partition | None:
    """Return the division of a value among threads for a memory key, or None."""
    if key is None or key == ONE:
        return None
    units, step = key[1], key[2]
    if view.blocking:
        unit_size = _ratio(step, view.shape[1] * itemsize)
        fits = key[0] == "rows" and unit_size and unit_size % view.blocking == 0
        if fits and view.shape[0] == unit_size * units:
            return Partition(0, unit_size, units)
        return None
    for axis, (size, stride) in enumerate(zip(view.shape, view.strides)):
        outer = _outer(view, axis)
        if stride == 0 or size == 1 or outer is None:
            continue
        if (key[0] == "rows") != (not outer):
            continue
        if outer and outer[0] * itemsize != key[3]:
            continue
        unit_size = _ratio(step, stride * itemsize)
        if unit_size and unit_size * units == size:
            return Partition(axis, unit_size, units)
    return None


def _outer(view: StridedView, axis: int) -> list[Dim] | None:
    """Return an array's strides that are larger than an axis', or None if unknown."""
    stride = view.strides[axis]
    larger: list[Dim] = []
    for other, (size, step) in enumerate(zip(view.shape, view.strides)):
        if other == axis or size == 1 or step == 0:
            continue
        order = compared(step, stride)
        if order is None or order == 0:
            return None
        if order > 0:
            larger.append(step)
    best = larger[:1]
    for step in larger[1:]:
        order = compared(step, best[0])
        if order is None:
            return None
        best = [step] if order < 0 else best
    return best


def _ratio(a: Dim, b: Dim) -> int:
    """Return the quotient of two sizes if it is a known whole number, else 0."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b > 0 and a > 0 and a % b == 0 else 0
    try:
        quotient = a // b
    except ShapeError:
        return 0
    return quotient if isinstance(quotient, int) and quotient > 0 else 0


@dataclass(frozen=True)
class Access:
    """A kernel's access to memory: range, read or write, and division among threads."""

    space: Any
    start: int
    stop: int
    write: bool
    key: AccessPattern

    def conflicts(self, other: Access) -> bool:
        """Return whether two memory accesses need a barrier between them."""
        return (
            (self.write or other.write)
            and self.space == other.space
            and self.start < other.stop
            and other.start < self.stop
            and not (self.key is not None and self.key == other.key)
        )


class Pending:
    """The memory accesses of kernels since the last barrier."""

    def __init__(self) -> None:
        self._known: dict[Any, dict[AccessPattern, dict[Access, None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def clear(self) -> None:
        """Forget all recorded memory accesses, after a barrier."""
        self._known.clear()

    def add(self, access: Access) -> None:
        """Record a kernel's memory access since the last barrier."""
        keys = self._known.setdefault(access.space, {})
        keys.setdefault(access.key, {})[access] = None

    def conflict(self, access: Access) -> bool:
        """Return whether a memory access needs a barrier before it."""
        # A loop, as this is asked for every division of every node that is weighed.
        for key, others in self._known.get(access.space, _NONE).items():
            if key is None or key != access.key:
                for other in others:
                    if access.conflicts(other):
                        return True
        return False


_NONE: dict[AccessPattern, dict[Access, None]] = {}
