"""Generation of an entry point's LLVM function, which every thread runs.

    entry(context, tid, threads):
        for i in range(steps):
            kernel(…my part…)
            barrier                 ← only where a thread reads what another wrote
            kernel(…my part…)
            …

The emitter knows for every kernel which memory it reads and writes and how threads
share that, and puts a barrier exactly where two accesses since the last one conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from llvmlite import ir

from chainrule.engines.native.loops.kernels import (
    Kernels,
    times,
)
from chainrule.engines.native.loops.nests import Part
from chainrule.engines.native.math.scalar import I8, I32, I64, POINTER
from chainrule.engines.native.runtime.thread_pool import emit_barrier, emit_ticks
from chainrule.engines.schedule.schedule import Schedule
from chainrule.engines.schedule.sharing import (
    Access,
    Pending,
)
from chainrule.graph.node import Array, Node
from chainrule.graph.types import Dim, Sizes, SymbolicDim

#: A kernel reports that the run is refused, as others may at the same time.
REPORT = Access(("status",), 0, 1, True, ("reports",))
#: Where the ticks of a node stand, or of all of them (None).
Clock = dict[Node | None, int]
#: The type of entries and segments: context, counters, thread, threads.
ENTRY = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I32, I32])


class _Head:
    """The memory accesses of a loop body's kernels before its first barrier."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self.open = True


def as_written(function: ir.Function) -> None:
    """Exclude an LLVM function from optimisation, since it only calls kernels."""
    for attribute in ("noinline", "nounwind", "optnone"):
        function.attributes.add(attribute)


class FunctionBuilder:
    """The builder of an entry point's LLVM code: functions, threads, barriers, sizes.

    Long lists of nodes are cut into segments, functions that the entry calls, since the
    compiler's time for one function grows faster than its length. All of them have the
    same four arguments: the context (words that the caller has filled), the counters of
    the loops around, the thread's number and the number of threads. A value that is
    used in several of them is made anew in each, from these.

    Attributes:
        words: where in the context the words stand, by name.
        largest: the sizes that memory is planned for.
        lower, scratch: emit a node, and tell the memory that it needs for itself.
        clock: for each node the place of its ticks, behind which stand those that it
            has waited; for None that of all steps. None where nobody counts them.
        bodies: the schedules within loops and branches.
        everyone: whether each thread does what one would do.
    """

    def __init__(
        self,
        module: ir.Module,
        kernels: Kernels,
        words: Mapping[str, int],
        largest: Sizes,
        lower: Callable[[Any, Node], None],
        scratch: Callable[[Node, Sizes], int],
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock
        self._clocked: list[Node | None] = []
        self.bodies: dict[Node, tuple[Schedule, ...]] = {}
        self.module, self.kernels, self.words = module, kernels, words
        self.largest, self.lower, self.scratch = largest, lower, scratch
        self.conditions: list[Mapping[str, str]] = []
        self.pending = Pending()
        self.constants = 0
        self.private_bytes = 0
        self._own_bytes = 0
        self.everyone = False
        self.loops = 0
        self._functions = 0
        self._heads: list[_Head] = []

    # -- functions and what they know -------------------------------------------------

    def begin(self, b: ir.IRBuilder, arguments: Sequence[Any], counters: Any) -> None:
        """Continue the entry point's LLVM code in a function with these arguments."""
        self.b, self.counters = b, counters
        self._known: dict[str, Any] = {}  # computed where the function begins
        self.context: Any = arguments[0]
        self.tid: Any = arguments[1]
        self.threads: Any = arguments[2]

    @contextmanager
    def segment(self) -> Generator[None]:
        """Return a context manager that emits code into an LLVM function of its own."""
        name = f"segment.{self._functions}"
        self._functions += 1
        function = ir.Function(self.module, ENTRY, name)
        function.linkage = "internal"
        as_written(function)
        arguments = [self.context, self.counters, self.tid, self.threads]
        self.b.call(function, arguments)
        b, known, (context, counters, tid, threads) = self.b, self._known, arguments
        inside: list[Any] = list(function.args)
        start = ir.IRBuilder(function.append_basic_block("start"))
        self.begin(start, (inside[0], *inside[2:]), inside[1])
        yield
        self.b.ret_void()
        self.begin(b, (context, tid, threads), counters)
        self._known = known

    def word(self, name: str) -> Any:
        """Emit code that reads an argument word (a size, say) of the entry point."""
        return self._read(name, name, I64)

    def address(self, name: str) -> Any:
        """Emit code that reads an address from the entry point's argument words."""
        return self._read(f"*{name}", name, POINTER)

    def _read(self, key: str, name: str, kind: ir.Type) -> Any:
        if key not in self._known:
            with self.b.goto_entry_block():
                at = self.b.gep(self.context, [I64(self.words[name])], source_etype=I64)
                self._known[key] = self.b.load(at, typ=kind)
        return self._known[key]

    def in_arena(self, offset: int) -> Any:
        """Emit code for an address in the arena, the memory of temporary values."""
        key = f"arena {offset}"
        if key not in self._known:
            arena = self.address("arena")
            with self.b.goto_entry_block():
                at = self.b.gep(arena, [I64(offset)], source_etype=I8)
                self._known[key] = at
        return self._known[key]

    def own(self, length: int) -> Callable[[], Any]:
        """Reserve temporary memory per thread; return a function for its address."""
        start = self._own_bytes
        self._own_bytes += -(-length // 64) * 64
        self.private(0)
        return partial(self._private, start)

    def private(self, length: int) -> Any:
        """Emit code for the address of each thread's temporary memory in a kernel.

        It lies after the memory that :meth:`own` has reserved.
        """
        length = self._own_bytes + -(-length // 64) * 64
        self.private_bytes = max(self.private_bytes, length)
        return self._private(self._own_bytes)

    def _private(self, start: int) -> Any:
        if "private" not in self._known:
            base, each = self.address("private"), self.word("private bytes")
            tid, _, _ = self.thread_numbers()
            with self.b.goto_entry_block():
                mine = self.b.mul(tid, each)
                self._known["private"] = self.b.gep(base, [mine], source_etype=I8)
        return self.b.gep(self._known["private"], [I64(start)], source_etype=I8)

    @property
    def status(self) -> Any:
        """The address of the status word, in which generated code reports errors."""
        return self.address("status")

    def commit(self, leave: Callable[[], None]) -> None:
        """Emit code that leaves the entry point if a run-time error was reported."""
        self.touch([replace(REPORT, write=False, key=None)])
        b = self.b
        status = b.load(self.status, typ=I64, align=4)
        with b.if_then(b.icmp_unsigned("!=", status, I64(0)), likely=False):
            leave()
            b.ret_void()

    def count_step(self) -> None:
        """Emit code that counts the completed steps of an entry point's run."""
        b, at = self.b, self.address("completed")
        with b.if_then(b.icmp_unsigned("==", self.tid, self.tid.type(0))):
            b.store(b.add(b.load(at, typ=I64), I64(1)), at)

    def new_counter(self) -> int:
        """Return the index of a new loop counter of an entry point's code."""
        self.loops += 1
        return self.loops - 1

    def _counter_at(self, loop: int) -> Any:
        return self.b.gep(self.counters, [I64(loop)], source_etype=I64)

    def count(self, loop: int, value: Any) -> None:
        """Emit code that stores the current step of a loop in its counter."""
        self.b.store(value, self._counter_at(loop), align=8)

    def counter(self, loop: int) -> Any:
        """Emit code that reads the current step of an enclosing loop."""
        return self.b.load(self._counter_at(loop), typ=I64, align=8)

    def dim(self, dim: Dim) -> Any:
        """Emit a size or stride, which may be symbolic, as a 64-bit integer."""
        if not isinstance(dim, SymbolicDim):
            return I64(dim)
        key = f"size {dim!r}"
        if key not in self._known:
            product, *others = [self.word(name) for name in dim.names]
            if dim.factor != 1:
                others.append(I64(dim.factor))
            with self.b.goto_entry_block():
                for other in others:
                    product = self.b.mul(product, other)
            self._known[key] = product
        return self._known[key]

    def constant(self, array: Array) -> Any:
        """Add an array to the LLVM module as a constant; return its address."""
        kind = ir.ArrayType(I8, array.nbytes)
        data: Any = ir.GlobalVariable(self.module, kind, f"constant.{self.constants}")
        self.constants += 1
        data.global_constant = True
        data.linkage = "internal"
        data.align = 64
        data.initializer = ir.Constant(kind, bytearray(array.tobytes()))
        return data.bitcast(POINTER)

    @contextmanager
    def clocked(self, node: Node | None) -> Generator[None]:
        """Return a context manager that measures a node's time in generated code.

        Ticks in a loop's body count for the loop's node too.
        """
        if self.clock is None:
            yield
            return
        place = self.clock.setdefault(node, 2 * len(self.clock))
        self._clocked.append(node)
        with self._ticks([place]):
            yield
        self._clocked.remove(node)

    @contextmanager
    def _ticks(self, places: list[int]) -> Generator[None]:
        """Emit code that adds a block's clock ticks to a profile's words."""
        if not places:
            yield
            return
        before = emit_ticks(self.b)
        yield
        more = self.b.sub(emit_ticks(self.b), before)
        with self._first_thread():
            for place in places:
                at = self.b.gep(self.address("clock"), [I64(place)], source_etype=I64)
                total = self.b.add(self.b.load(at, typ=I64, align=8), more)
                self.b.store(total, at, align=8)

    def barrier(self) -> None:
        """Emit a barrier, at which all threads wait for each other."""
        arguments = [self.address("barrier"), self.threads]
        clock = self.clock or {}
        with self._ticks([clock[node] + 1 for node in self._clocked]):
            self.b.call(emit_barrier(self.module), arguments)
        self.pending.clear()
        for head in self._heads:
            head.open = False

    @contextmanager
    def repeated(self) -> Generator[None]:
        """Return a context manager for a loop's code, with the barriers it needs.

        The threads meet at its end only where its last accesses and its first ones,
        which follow in the next round, would conflict.
        """
        head = _Head()
        self._heads.append(head)
        yield
        self._heads.remove(head)
        if any(map(self.pending.conflict, head.accesses)):
            self.barrier()

    def touch(self, accesses: Sequence[Access]) -> None:
        """Declare the next kernel's memory accesses; emit a barrier on a conflict."""
        if any(map(self.pending.conflict, accesses)):
            self.barrier()
        for access in accesses:
            self.pending.add(access)
        for head in self._heads:
            if head.open:
                head.accesses += accesses

    def partition(self, part: Part) -> tuple[Any, Any]:
        """Emit the begin and end of this thread's iterations of a divided loop."""
        key = f"share {part.units!r} {part.scale!r}"
        if key not in self._known:
            units, scale, b = self.dim(part.units), self.dim(part.scale), self.b
            tid, following, threads = self.thread_numbers()
            with b.goto_entry_block():
                ends = [b.sdiv(b.mul(units, t), threads) for t in (tid, following)]
                if part.scale != 1:
                    ends = [b.mul(end, scale) for end in ends]
            self._known[key] = tuple(ends)
        return self._known[key]

    def thread_numbers(self) -> tuple[Any, Any, Any]:
        """Emit this thread's number, the next number, and the number of threads."""
        if "threads" not in self._known:
            b = self.b
            with b.goto_entry_block():
                tid, threads = b.sext(self.tid, I64), b.sext(self.threads, I64)
                self._known["threads"] = tid, b.add(tid, I64(1)), threads
        return self._known["threads"]

    def call(self, function: ir.Function, arguments: Sequence[Any], part: Part) -> None:
        """Emit the call of a kernel for this thread's part of a loop's iterations."""
        b = self.b
        if part.single:
            with self.one_thread():
                total = times(b, self.dim(part.units), self.dim(part.scale))
                b.call(function, [*arguments, I64(0), total])
        else:
            b.call(function, [*arguments, *self.partition(part)])

    @contextmanager
    def one_thread(self) -> Generator[None]:
        """Return a context manager for code that only one of the threads runs.

        If each thread computes the node for itself, all threads run it.
        """
        if self.everyone:
            yield
        else:
            with self._first_thread():
                yield

    def _first_thread(self) -> Any:
        return self.b.if_then(self.b.icmp_signed("==", self.tid, I32(0)))
