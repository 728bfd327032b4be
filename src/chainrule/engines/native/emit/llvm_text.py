"""A writer of LLVM functions as text, without llvmlite's instruction objects.

A register tile is hundreds of instructions. As llvmlite's objects, of which it makes
text afterwards, they take ten times as long to emit.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from llvmlite import ir

Value = str
"""A value in LLVM's text: its name, or a constant."""
Index = int | Value
"""A size, stride or position: a constant, or a value at run time."""


class _Blocks(ir.Block):
    """An LLVM function's body as finished text, in place of llvmlite's blocks."""

    def __init__(self, function: ir.Function, text: str) -> None:
        super().__init__(function, "entry")
        self.text = text

    def descr(self, buf: list[str]) -> None:
        """Append an LLVM function's text to the module's text."""
        buf.append(self.text)


class Text:
    """The text of an LLVM function under construction, instruction by instruction."""

    def __init__(self) -> None:
        self._values = self._loops = 0
        self._blocks: dict[str, list[str]] = {}
        self._add("entry")
        self._begin("entry")

    def _add(self, block: str) -> None:
        self._blocks[block] = [f"{block}:\n"]

    def _begin(self, block: str) -> None:
        self._block, self._lines = block, self._blocks[block]

    def finish(self, function: ir.Function) -> None:
        """Set the written LLVM text as the body of a function."""
        text = "".join(chain(*self._blocks.values()))
        function.blocks.append(_Blocks(function, text))

    def line(self, text: str) -> None:
        """Append an instruction without a result to an LLVM function's text."""
        self._lines.append(f"{text}\n")

    def new(self, text: str) -> Value:
        """Append an instruction to a function's LLVM text; return its result's name."""
        self._values += 1
        value = f"%v{self._values}"
        self._lines.append(f"{value} = {text}\n")
        return value

    def _names(self, count: int) -> list[Value]:
        """Reserve names for values that are defined later in a function's LLVM text."""
        first = self._values + 1
        self._values += count
        return [f"%v{i}" for i in range(first, first + count)]

    def loop(
        self,
        start: Index,
        stop: Index,
        step: int,
        body: Callable[..., list[Value] | None],
        *carried: tuple[str, Value],
        needed: int | None = None,
    ) -> list[Any]:
        """Write a loop as LLVM text; return its index and carried values at the end.

            i = start
            while (i + needed <= stop) { carried = body(i, *carried); i += step; }

        ``needed`` is the step unless given; what is carried comes with its type. The
        test stands at the end, and once more in front where the loop might not run at
        all. Values go round in φ nodes: no optimiser has to take them out of memory.
        """
        needed = needed or step
        kinds = ["i64", *(kind for kind, _ in carried)]
        first = [start, *(value for _, value in carried)]
        certain = False
        if isinstance(start, int) and isinstance(stop, int):
            certain = start + needed <= stop
            if not certain:
                return first
        self._loops += 1
        looping, done = f"loop{self._loops}", f"done{self._loops}"
        self._add(looping)
        self._add(done)

        # The last i with which it runs: one comparison a round, nothing to add.
        most: Index = stop - needed if isinstance(stop, int) else ""
        if not isinstance(stop, int):
            most = self.new(f"sub i64 {stop}, {needed}")

        def branch_if_fits(i: Index) -> None:
            fits = self.new(f"icmp sle i64 {i}, {most}")
            self.line(f"br i1 {fits}, label %{looping}, label %{done}")

        before = self._block
        if certain:
            self.line(f"br label %{looping}")
        else:
            branch_if_fits(start)

        self._begin(looping)
        now = self._names(len(first))
        following = [self.new(f"add i64 {now[0]}, {step}")]
        following += body(*now) or []
        after = self._block
        branch_if_fits(following[0])
        joined = [
            f"phi {kind} [{x}, %{before}], [{y}, %{after}]\n"
            for kind, x, y in zip(kinds, first, following)
        ]
        self._blocks[looping][1:1] = [f"{v} = {phi}" for v, phi in zip(now, joined)]

        self._begin(done)
        if certain:
            return following
        last = self._names(len(first))
        self._lines += [f"{v} = {phi}" for v, phi in zip(last, joined)]
        return last
