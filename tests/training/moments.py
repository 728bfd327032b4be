"""Every moment at which a signal handler's exception may come, one after the other.

CPython looks for signals when a function begins, after calls and at jumps backwards. A
trace function sees these places, and raises at one of them: so a test is not a matter
of luck, and reaches windows of an instruction's width.
"""

from __future__ import annotations

import dis
import functools
import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import pytest

#: A place in the code: its instruction, or -1 for the beginning of a function.
Place = tuple[CodeType, int]
#: What is exact about locks, files and state, and what the library has it do.
FILES = tuple(
    os.sep + name
    for name in (
        "training/loop.py",
        "training/recovery.py",
        "training/lock.py",
        "training/interrupt.py",
        "training/checkpoint.py",
        "training/saving.py",
        "training/saved.py",
        "training/snapshots.py",
        "training/state.py",
        "training/trainer.py",
        "training/supervised.py",
        "training/stopping.py",
        "engines/threads.py",
        "compilation/program.py",
        "util/atomic_files.py",
        "contextlib.py",
    )
)
#: CPython's trace functions are needed.
traceable = pytest.mark.skipif(
    sys.implementation.name != "cpython" or sys.gettrace() is not None,
    reason="needs CPython's trace functions for itself",
)


@functools.cache
def _moments(code: CodeType) -> frozenset[int]:
    """The instructions in front of which signals are looked for.

    Where the one before lies in another block of ``try``, an exception belongs to that
    block, which a trace function cannot have; such places are left out.
    """
    entries: Any = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]

    def block(offset: int) -> Any:
        return next((e.target for e in entries if e.start <= offset < e.end), None)

    found: set[int] = set()
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        if before is not None and block(before.offset) == block(instruction.offset):
            name = before.opname
            call = name.startswith("CALL") and "INTRINSIC" not in name
            if call or name.startswith("JUMP_BACKWARD"):
                found.add(instruction.offset)
        before = instruction
    return frozenset(found)


class Moments:
    """Counts the moments of a call, and raises at one of them.

    Args:
        files: parts of the paths of files whose code counts.
        at: act when this place is met for the so-many-th time; None: never.
        error: what to raise then.
        number: act at this moment, counted over all places from 1.
        act: what to do then in place of raising.

    Attributes:
        met: how often each place was met.
        total: how many moments there were.
    """

    def __init__(
        self,
        files: tuple[str, ...],
        at: tuple[Place, int] | None = None,
        error: type[BaseException] = Exception,
        *,
        number: int | None = None,
        act: Callable[[], Any] | None = None,
    ) -> None:
        self.files, self.at, self.error = files, at, error
        self.number, self.act = number, act
        self.met: dict[Place, int] = {}
        self.total = 0

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function under watch."""
        before = sys.gettrace()
        self.begin()
        try:
            return function()
        finally:
            sys.settrace(before)

    def begin(self) -> None:
        """Watch what is called from now on."""
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in self.files):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        self._meet((frame.f_code, -1))
        return self._within

    def _within(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode" and frame.f_lasti in _moments(frame.f_code):
            self._meet((frame.f_code, frame.f_lasti))
        return self._within

    def _meet(self, place: Place) -> None:
        self.met[place] = count = self.met.get(place, 0) + 1
        self.total += 1
        if (place, count) == self.at or self.total == self.number:
            if self.act is None:
                raise self.error
            self.act()
