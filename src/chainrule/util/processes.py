"""The processes that run one program together: who writes, and what they agree on.

A program that several processes run is the same on all of them, and what depends on a
clock, a signal or a file has to be decided for all. An engine that spreads a program
over processes says so by :func:`join`; without one a process is alone, and nothing here
costs anything.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from typing import Protocol

from chainrule.errors import EngineError
from chainrule.text import _, joined


class Group(Protocol):
    """Processes that run one program together.

    Attributes:
        index: the number of this process, from 0.
        count: how many there are.
    """

    index: int
    count: int

    def gather(self, content: bytes) -> list[bytes]:
        """Return the content that each process has given, of one length, in order."""
        ...


_groups: list[Group] = []


def join(group: Group) -> None:
    """Run from now on as one of several processes."""
    _groups[:] = [group]


def group() -> Group | None:
    """Return the processes that run this program; None where this one is alone."""
    return _groups[0] if _groups else None


def count() -> int:
    """Return the number of processes that run this program together."""
    return _groups[0].count if _groups else 1


def index() -> int:
    """Return this process's number, from 0."""
    return _groups[0].index if _groups else 0


def is_writer() -> bool:
    """Return whether this process writes files and shows progress: the first does."""
    return index() == 0


def most(*numbers: float) -> tuple[float, ...]:
    """Return the largest of the numbers of all processes, one by one.

    All processes have to call it, with as many numbers: so do they agree on what each
    has measured or was told.

    >>> most(0.5, 2)
    (0.5, 2)
    """
    if not _groups:
        return numbers
    told = _groups[0].gather(b"".join(_bytes(number) for number in numbers))
    rows = [[_number(row[i : i + 8]) for i in range(0, len(row), 8)] for row in told]
    return tuple(max(column) for column in zip(*rows))


def _bytes(number: float) -> bytes:
    return struct.pack("<d", number)


def _number(content: bytes) -> float:
    return struct.unpack("<d", content)[0]


def is_there(found: bool) -> bool:
    """Return whether the first process has found something, such as a file.

    It may be about to write it while another looks.
    """
    return bool(most(found if is_writer() else 0)[0])


def require_same(parts: Mapping[str, str], fix: str) -> None:
    """Refuse to go on where the processes have different versions, data or programs.

    Args:
        parts: what has to be the same, by its name.
        fix: what to do about it.

    Raises:
        EngineError: in each process, with what differs and who has what.
    """
    if not _groups:
        return
    import hashlib  # which programs of one process do not need
    import json

    group, text = _groups[0], json.dumps(parts, sort_keys=True).encode()
    if len(set(group.gather(hashlib.sha256(text).digest()))) == 1:
        return
    longest = int(most(len(text))[0])
    rows = [json.loads(row) for row in group.gather(text.ljust(longest))]
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        found = [row.get(name, _("nothing")) for row in rows]
        if len(set(found)) > 1:
            raise EngineError(
                _("The processes of this run differ in {name}.", name=name),
                expected=_("the same in all {count} processes", count=group.count),
                got=joined(
                    "; ",
                    [
                        _("process {i}: {found}", i=i, found=found[i])
                        for i in _few(found)
                    ],
                ),
                fix=fix,
            )


def _few(found: list[str]) -> list[int]:
    """Return the number of the first process that has found each thing, a few."""
    return [found.index(kind) for kind in list(dict.fromkeys(found))[:4]]


def name_of_python() -> str:
    """Return the version of Python, as processes compare it."""
    return ".".join(map(str, sys.version_info[:3]))
