"""Checks that arrays fit the machine's memory, before any allocation.

The kernel promises more memory than there is, and ends the process that uses it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from chainrule.errors import ArgumentError
from chainrule.text import _


@functools.cache
def memory() -> int:
    """Return the machine's memory in bytes; 2⁴⁰ where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 40


def check_room(shape: Sequence[object], itemsize: int) -> None:
    """Raise an error if an array would be larger than the machine's memory.

    Args:
        shape: its sizes; those with a name, and 0, count as 1.
        itemsize: bytes an element.

    Raises:
        ArgumentError: it is.
    """
    size = itemsize
    for d in shape:
        size *= d if isinstance(d, int) and d else 1
    if size > memory():
        raise ArgumentError(
            _(
                "A tensor of shape {shape!r:.60} is larger than this machine's memory.",
                shape=shape,
            ),
            expected=_("at most {memory:,.1f} GiB", memory=memory() / 2**30),
            got=f"{min(size, 10**300) / 2**30:.4g} GiB",
            fix=_("smaller sizes, or parts of it one after the other"),
        )
