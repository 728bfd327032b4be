"""Execution of programs as machine code on the native engine.

An entry point is compiled when it is first run, for the N that comes then and any
smaller one. The state lies in buffers of its own, weights in blocks; all else lies in
one arena. Threads run the whole entry (:mod:`..emit.entry_points`) together,
``steps`` steps in one call.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from ctypes import c_int32, c_void_p
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.engines import Buffer, on_host
from chainrule.engines.garbage import gc_paused
from chainrule.engines.native.runtime import jit
from chainrule.engines.native.runtime.code import (
    Code,
    cached_code,
    cached_layout,
    store_code,
    store_layout,
)
from chainrule.engines.native.runtime.identity import identity
from chainrule.engines.native.runtime.thread_pool import (
    BARRIER_BYTES,
    WORKER,
    thread_pool,
)
from chainrule.engines.schedule.layout import from_memory, to_memory
from chainrule.engines.threads import (
    ThreadChoice,
    available_cores,
    checked,
    process,
)
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array, Value
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import NO_SIZES, Sizes, resolve, size_of
from chainrule.primitives.checks import failed
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.engines.native.emit.entry_points import Clock
    from chainrule.engines.native.runtime.compiler import Emitted, LoweredProgram
    from chainrule.engines.schedule.profile import Profile
    from chainrule.engines.schedule.schedule import Schedule

#: Inputs and outputs of so many bytes have memory of their own, from which and to which
#: they are copied: that costs less than to ask an array for its address.
COPIED = 4096
#: What is known of calls at so many sizes is kept.
CALLS = 100
#: Readable bytes behind every buffer.
SLACK = 256
#: Words before the sizes: steps, arena, barrier, status, memory of each thread and its
#: bytes, ticks, completed steps.
_FIXED_WORDS = 8


class NativeExecutable:
    """A program loaded into the native engine, which runs it as machine code.

    Attributes:
        engine: ``"native"``.
        threads: how many threads run it; may be set between two runs, since the code
            does not depend on it.
        seconds_compile: time spent on passes, plans and code so far.
    """

    engine = "native"

    def __init__(self, program: Program, *, threads: int | None = None) -> None:
        started = time.perf_counter()
        self.program = program
        self.identity = identity(program)
        blocked = cached_layout(self.identity)
        if blocked is None:
            blocked = self.prepared.blocked
            store_layout(self.identity, blocked)
        self.blocked = blocked
        self.state = {
            name: _buffer(t.shape, t.dtype.numpy) for name, t in program.state.items()
        }
        self._compiled: dict[str, _Compiled] = {}
        self.steps_completed = np.zeros(1, np.int64)  # the code counts there
        self._counted, self.completed = self.steps_completed.data, 0
        self.threads = threads
        self.seconds_compile = time.perf_counter() - started

    @property
    def threads(self) -> int | None:
        """The number of threads that run a program; None chooses by measurement."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self._threads = checked(threads)
        self._choices: dict[Any, ThreadChoice] = {}
        self._calls: dict[Any, _Call] = {}

    @cached_property
    def prepared(self) -> LoweredProgram:
        """The native engine's program after the graph passes, computed on first use."""
        from chainrule.engines.native.runtime.compiler import LoweredProgram

        return LoweredProgram(self.program)

    def replica(self) -> NativeExecutable:
        """Return an executable of the same state and code, for another thread.

        Whatever a run writes to is its own, so the two may run at the same time where
        no entry point replaces state, on one thread each.
        """
        with process.lock:
            other = copy.copy(self)
            other.steps_completed = np.zeros(1, np.int64)
            other._counted, other.threads = other.steps_completed.data, self._threads
            other._compiled = {
                name: _Compiled(made.entry, other, made.largest, like=made)
                for name, made in self._compiled.items()
            }
            return other

    def prepare(self, entry: str, sizes: Sizes) -> None:
        """Compile an entry point for sizes up to these, without running it."""
        with process.lock:
            self._find(entry, sizes, True)

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Store an input array in the native engine for many runs."""
        return on_host("native", array)

    def write(self, name: str, array: Array | Buffer) -> None:
        """Set the value of a program's state in the native engine."""
        laid_out = to_memory(np.asarray(array), self.blocked.get(name, 0))
        np.copyto(self.state[name].reshape(laid_out.shape), laid_out)

    def read(self, name: str) -> Array:
        """Return a copy of a program's state from the native engine."""
        shape = resolve(self.program.state[name].shape, NO_SIZES)
        return from_memory(self.state[name], shape, self.blocked.get(name, 0))

    def profile(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        sizes: Sizes,
    ) -> Profile:
        """Run a program's entry point and measure each node, without changing state.

        It runs with as many threads as the executable has, or else with as many as
        measure best.

        Args:
            entry, inputs, sizes: as for :meth:`run`. As many steps are made as are
                worth measuring, whatever the rows of the inputs.
        """
        from chainrule.engines.native.runtime.profiling import profile

        largest = {name: sizes[name] for name in sorted(sizes)}
        emitted = self.emitted(entry, largest, clock := {})
        compiled = _Compiled(self.program.entries[entry], self, largest, emitted)
        schedule = replace(emitted.schedule, sizes=sizes)

        def calls(steps: int, threads: int) -> _Call:
            return _Call(compiled, ThreadChoice(threads), sizes, False)

        asked = self._threads
        return profile(schedule, clock, compiled, calls, self.state, inputs, asked)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The execution schedules of the native engine's entry points run so far."""
        threads = self._threads or available_cores()
        return {
            name: self.emitted(name, compiled.largest).schedule.on(threads)
            for name, compiled in self._compiled.items()
        }

    @gc_paused()
    def emitted(
        self, entry: str, largest: Sizes, clock: Clock | None = None
    ) -> Emitted:
        """Return the LLVM IR and schedule of an entry point, for given sizes.

        ``clock``: filled with the place of each node's ticks, which are then counted.
        """
        from chainrule.engines.native.runtime.compiler import emitted

        prepared = self.prepared
        return emitted(prepared.entries[entry], prepared.blocked, largest, clock)

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int | None,
        sizes: Sizes,
    ) -> list[Array]:
        """Run an entry point's machine code ``steps`` times; return stacked outputs."""
        key = (entry, steps is None, *sizes.items())
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = self._find(entry, sizes, steps is None)
        self._counted[0] = 0
        try:
            return call.run(inputs, steps or 1)
        finally:
            self.completed = self._counted[0]

    def share(self, entry: str, rows: int) -> Array:
        """Return the numbers of all rows of a batch: this process has the whole."""
        return np.arange(rows)

    def synchronize(self) -> None:
        """Return at once: a run has ended when it returns."""

    def _find(self, entry: str, sizes: Sizes, single: bool) -> _Call:
        """Return the prepared call of an entry point; compile its code if needed."""
        compiled = self._compiled.get(entry)
        if compiled is None or any(sizes[k] > v for k, v in compiled.largest.items()):
            started = time.perf_counter()
            known: Sizes = NO_SIZES if compiled is None else compiled.largest
            # Twice what was: a text that grows by a word a call is not compiled anew
            # for each. Memory that no run comes to is not taken.
            largest = dict[str, int]()
            for name in sorted(sizes):
                size, had = sizes[name], known.get(name, 0)
                largest[name] = had if size <= had else max(size, 2 * had)
            compiled = _Compiled(self.program.entries[entry], self, largest)
            self._compiled[entry] = compiled
            self._calls.clear()
            self.seconds_compile += time.perf_counter() - started
        if len(self._calls) >= CALLS:
            self._calls.clear()
        # Sizes that are about the same take about the same time.
        about = (entry, *[(name, size.bit_length()) for name, size in sizes.items()])
        choice = self._choices.setdefault(about, ThreadChoice(self._threads))
        return _Call(compiled, choice, sizes, single)


def _buffer(shape: Any, dtype: Any) -> Array:
    """Return memory for a program: zeros, aligned to a cache line, with a margin."""
    count = size_of(shape)
    assert isinstance(count, int)
    length = count * dtype.itemsize
    raw = np.zeros(length + SLACK + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + length].view(dtype)


class _Compiled:
    """A compiled entry point (machine code), for sizes up to ``largest``.

    ``emitted``: as this text, instead of the usual one, which may be kept already;
    ``like``: with the code of another, in memory of its own.
    """

    @gc_paused()
    def __init__(
        self,
        entry: Entry,
        owner: NativeExecutable,
        largest: Sizes,
        emitted: Emitted | None = None,
        like: _Compiled | None = None,
    ) -> None:
        self.entry, self.largest = entry, largest
        if like is not None:
            self.code, self.conditions = like.code, like.conditions
            self.private_bytes, self.arena_bytes = like.private_bytes, like.arena_bytes
            self.function = like.function
        else:
            with process.lock:  # kernels are the process', and so is LLVM's own lock
                code = self._code(owner, emitted)
                self.code = jit.machine_code(code.machine, code.packs)
                self.function = WORKER(self.code.address("entry"))
            self.conditions, self.private_bytes = code.conditions, code.private_bytes
            self.arena_bytes = code.arena_bytes
        self.arena = _buffer((self.arena_bytes + SLACK,), np.dtype(np.uint8))
        self.sync = np.zeros(BARRIER_BYTES + 64, np.uint8)
        status = np.zeros(2, np.uint32)
        self.status = status.data
        states = [owner.state[name] for name in entry.state]
        fixed = [a.ctypes.data for a in (self.arena, self.sync, status)]
        self.first_word = _FIXED_WORDS + len(largest) + len(states)
        passed = len(entry.inputs) + entry.outputs
        words = np.zeros(self.first_word + passed, np.int64)
        self.words, self.address = words.data, words.ctypes.data
        self.alone = c_void_p(self.address), c_int32(0), c_int32(1)
        for i, address in enumerate(fixed):
            self.words[1 + i] = address
        self.words[5] = self.private_bytes
        self.ticks = np.zeros(2 * len(emitted.clock if emitted else ()), np.int64)
        self.words[6] = self.ticks.ctypes.data
        self.words[7] = owner.steps_completed.ctypes.data
        self.private = _buffer((0,), np.dtype(np.uint8))
        for i, array in enumerate(states):
            self.words[_FIXED_WORDS + len(largest) + i] = array.ctypes.data
        self.last: _Call | None = None  # whose words stand there

    def _code(self, owner: NativeExecutable, emitted: Emitted | None) -> Code:
        """Return an entry point's machine code: from the cache, or newly compiled."""
        if emitted is not None:
            return emitted.compiled()
        jit.let_go()
        name, largest = self.entry.name, self.largest
        code = cached_code(owner.identity, name, largest)
        if code is None:
            code = owner.emitted(name, largest).compiled()
            store_code(owner.identity, name, largest, code)
        return code

    # -- running -----------------------------------------------------------------

    def start(
        self, steps: int, choice: ThreadChoice, moving: list[tuple[int, int]]
    ) -> None:
        """Run an entry point's machine code for all steps, on the chosen threads.

        Args:
            steps, choice: how many, and who.
            moving: the words of what has a row for each step, and the bytes of a row.
        """
        status = self.status
        status[0] = status[1] = 0
        if steps <= choice.alone:
            self._run(1, steps)
        else:
            while steps:
                number, some = choice.take(steps)
                begun = time.perf_counter()
                self._run(number, some)
                choice.note(number, some, time.perf_counter() - begun)
                steps -= some
                for at, size in moving:
                    self.words[at] += some * size
                if status[0] or status[1]:
                    break
        if status[0] or status[1]:
            raise self._failure()

    def _run(self, threads: int, steps: int) -> None:
        self.words[0] = steps
        if len(self.private) < threads * self.private_bytes:
            length = threads * self.private_bytes
            self.private = _buffer((length,), np.dtype(np.uint8))
            self.words[4] = self.private.ctypes.data
        if threads == 1:
            self.function(*self.alone)
        else:
            thread_pool(threads).run(self.function, self.address)

    def _failure(self) -> Exception:
        """Return the exception for the run-time error that machine code reported."""
        if condition := self.status[1]:
            return failed(**self.conditions[condition - 1])
        return ArgumentError(
            _("{name} was asked for a row that does not exist.", name=self.entry.name),
            expected=_("indices from 0 to rows − 1"),
            got=_("an index outside"),
            fix=_("check the indices that go into take or indexing"),
        )


class _Call:
    """A prepared call of an entry point's machine code, for fast repeated runs.

    Small arrays are copied from and to memory at fixed addresses; of the others the
    code gets the addresses.

    Args:
        compiled: the entry point.
        choice: how many threads run it.
        sizes: those of its inputs.
        single: whether it is one step, whose inputs and outputs have no rows.
    """

    __slots__ = (
        "_allocated",
        "_choice",
        "_compiled",
        "_copied",
        "_count",
        "_pointed",
        "_returned",
        "_single",
        "_words",
    )

    def __init__(
        self, compiled: _Compiled, choice: ThreadChoice, sizes: Sizes, single: bool
    ) -> None:
        self._compiled, self._choice, self._single = compiled, choice, single
        entry = compiled.entry
        self._count = entry.outputs
        self._words = [
            (_FIXED_WORDS + i, sizes[name]) for i, name in enumerate(compiled.largest)
        ]
        self._copied: list[tuple[str, Array]] = []
        self._pointed: list[tuple[int, str, Any, bool]] = []
        self._returned: list[tuple[int, Array]] = []
        self._allocated: list[tuple[int, int, Any, Any]] = []
        at = compiled.first_word
        for value in entry.graph.inputs[: len(entry.inputs)]:
            name = value.name or ""
            each = name in entry.each
            memory = self._memory(value, sizes, at) if single or not each else None
            if memory is not None:
                self._copied.append((name, memory))
            else:
                self._pointed.append((at, name, value.dtype.numpy, each))
            at += 1
        for i, value in enumerate(entry.graph.outputs[: entry.outputs]):
            memory = self._memory(value, sizes, at) if single else None
            if memory is not None:
                self._returned.append((i, memory))
            else:
                shape = resolve(value.shape, sizes)
                self._allocated.append((i, at, shape, value.dtype.numpy))
            at += 1

    def _memory(self, value: Value, sizes: Sizes, at: int) -> Array | None:
        """Return fixed memory for a small input or output; None for a large one."""
        shape, dtype = resolve(value.shape, sizes), value.dtype.numpy
        if math.prod(shape) * dtype.itemsize > COPIED:
            return None
        memory = _buffer(shape, dtype)
        self._words.append((at, memory.ctypes.data))
        return memory.reshape(shape)

    def run(self, inputs: Mapping[str, Array | Buffer], steps: int) -> list[Array]:
        """Run an entry point's machine code ``steps`` times; return its outputs."""
        compiled = self._compiled
        words = compiled.words
        if compiled.last is not self:
            compiled.last = None  # an interrupt may come: the words are nobody's
            for at, word in self._words:
                words[at] = word
            compiled.last = self
        for name, memory in self._copied:
            item = inputs[name]
            memory[...] = item.data if type(item) is Buffer else item
        alive: list[Array] = []
        moving: list[tuple[int, int]] = []
        for at, name, dtype, each in self._pointed:
            item = inputs[name]
            array: Any = item.data if type(item) is Buffer else item
            if array.dtype != dtype or not array.flags.c_contiguous:
                array = np.ascontiguousarray(array, dtype)
            alive.append(array)
            words[at] = array.__array_interface__["data"][0]
            if each:
                moving.append((at, array.nbytes // steps))
        outputs: list[Any] = [None] * self._count
        for i, at, shape, dtype in self._allocated:
            rows = shape if self._single else (steps, *shape)
            outputs[i] = array = np.empty(rows, dtype)
            words[at] = array.__array_interface__["data"][0]
            moving.append((at, array.nbytes // steps))
        compiled.start(steps, self._choice, moving)
        for i, memory in self._returned:
            outputs[i] = memory.copy()
        return outputs
