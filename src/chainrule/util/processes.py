"""The processes that run one program together: who writes, and what they agree on.

A program that several processes run is the same on all of them, and what depends on a
clock, a signal or a file has to be decided for all. An engine that spreads a program
over processes says so by :func:`join`; without one a process is alone, and nothing here
costs anything.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from chainrule.errors import EngineError
from chainrule.text import _, joined, ngettext


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

    Raises:
        EngineError: another process does something else meanwhile.

    >>> most(0.5, 2)
    (0.5, 2)
    """
    if not _groups:
        return numbers
    told = _exchanged(
        ngettext(
            "agreeing on what comes next ({n} number)",
            "agreeing on what comes next ({n} numbers)",
            n=len(numbers),
        ),
        _packed(numbers),
    )
    rows = [struct.unpack(f"<{len(numbers)}d", row[: 8 * len(numbers)]) for row in told]
    return tuple(max(column) for column in zip(*rows))


#: Bytes that are exchanged at a time: what for, and what.
_FRAME, _WHAT = 64, 16


def _packed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def _exchanged(what: str, content: bytes) -> list[bytes]:
    """Return the few bytes that each process has given, in order.

    Every exchange, and whatever else processes do together, begins with such a frame of
    one length. So where one of them does something else than the others, such as read
    what all have to read, they do not wait for each other: each finds out.

    Raises:
        EngineError: they do not do the same.
    """
    if _parted:
        raise _parted[0]
    group, length = _groups[0], _FRAME - _WHAT
    assert len(content) <= length
    frames = group.gather(_digest(what)[:_WHAT] + content.ljust(length, b"\0"))
    if len({frame[:_WHAT] for frame in frames}) > 1:
        found = [
            row[: row.index(b"\0")].decode(errors="ignore")
            for row in group.gather(what.encode()[: _SAID - 1].ljust(_SAID, b"\0"))
        ]
        parted = _differ(
            _("The processes of this run do different things at the same time."),
            found,
            _(
                "let all processes do the same: read tensors that are divided over "
                "processes, save and evaluate in all of them, not in one alone"
            ),
        )
        _parted.append(parted)
        raise parted
    return [frame[_WHAT:] for frame in frames]


def total(number: int) -> int:
    """Return the sum of the numbers of all processes, modulo 2⁶⁴.

    Raises:
        EngineError: another process does something else.

    >>> total(3)
    3
    """
    if not _groups:
        return number
    told = _exchanged(_("adding up checksums"), struct.pack("<Q", number))
    return sum(struct.unpack("<Q", row[:8])[0] for row in told) % 2**64


def first_of(own: bytes) -> list[int]:
    """Return for each of some things the first process that has it, or else −1.

    Args:
        own: of each, whether this process has it: 0 or 1. All give as many.

    Raises:
        EngineError: another process does something else.

    >>> first_of(bytes([1, 0, 1]))
    [0, -1, 0]
    """
    rows = [own]
    if _groups:
        meet(ngettext("dividing {n} row", "dividing {n} rows", n=len(own)))
        rows = _groups[0].gather(own)
    return [bytes(column).find(1) for column in zip(*rows)]


#: Bytes of what a process says that it does.
_SAID = 256
#: The error of processes that have gone different ways: they do not meet again.
_parted: list[EngineError] = []


def meet(what: str) -> None:
    """Wait until all processes do the same, such as read what is divided over them.

    Raises:
        EngineError: another process does something else.
    """
    if _groups:
        _exchanged(what, b"")


def _digest(text: str) -> bytes:
    import hashlib  # which programs of one process do not need

    return hashlib.sha256(text.encode()).digest()


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
    import json  # which programs of one process do not need

    group, text = _groups[0], json.dumps(parts, sort_keys=True)
    digests = _exchanged(_("a comparison of what they are given"), _digest(text))
    if len(set(digests)) == 1:
        return
    longest = int(most(len(text.encode()))[0])
    rows = [json.loads(row) for row in group.gather(text.encode().ljust(longest))]
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        found = [row.get(name, _("nothing")) for row in rows]
        if len(set(found)) > 1:
            said = _("The processes of this run differ in {name}.", name=name)
            raise _differ(said, found, fix)


def _differ(said: str, found: list[str], fix: str) -> EngineError:
    """Return the error of processes that have found different things."""
    few = [found.index(kind) for kind in list(dict.fromkeys(found))[:4]]
    each = [_("process {i}: {found}", i=i, found=found[i]) for i in few]
    return EngineError(
        said,
        expected=_("the same in all {count} processes", count=len(found)),
        got=joined("; ", each),
        fix=fix,
    )


def name_of_python() -> str:
    """Return the version of Python, as processes compare it."""
    return ".".join(map(str, sys.version_info[:3]))
