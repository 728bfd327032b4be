"""Run programs as machine code.

An entry point is compiled when it is first run, for the N that comes then and any
smaller one. The state lies in buffers of its own, weights in blocks; all else lies in
one arena. Threads run the whole entry (:mod:`chainrule.engines.native.emit`) together,
``steps`` steps in one call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.engines import Buffer, on_host
from chainrule.engines.garbage import kept
from chainrule.engines.native import jit
from chainrule.engines.native.code import (
    CONDITION,
    Code,
    found_code,
    found_layout,
    keep_code,
    keep_layout,
)
from chainrule.engines.native.identity import identity
from chainrule.engines.native.thread_pool import BARRIER_BYTES, WORKER, thread_pool
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
from chainrule.graph.types import NO_SIZES, Sizes, is_symbolic, resolve, size_of
from chainrule.primitives.checks import failed

if TYPE_CHECKING:
    from chainrule.engines.native.compiler import Emitted, Prepared
    from chainrule.engines.native.emit import Clock
    from chainrule.engines.schedule.profile import Profile
    from chainrule.engines.schedule.schedule import Schedule

#: Inputs and outputs of so many bytes have memory of their own, from which and to which
#: they are copied: that costs less than to ask an array for its address.
COPIED = 4096
#: Readable bytes behind every buffer.
SLACK = 256
#: steps, arena, barrier, status, memory of each thread and its bytes, ticks; then the
#: sizes.
_FIXED_WORDS = 7


class NativeExecutable:
    """A program on the native engine.

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
        self.threads = threads
        self.identity = identity(program)
        blocked = found_layout(self.identity)
        if blocked is None:
            blocked = self.prepared.blocked
            keep_layout(self.identity, blocked)
        self.blocked = blocked
        self.state = {
            name: _buffer(t.shape, t.dtype.numpy) for name, t in program.state.items()
        }
        self._compiled: dict[str, _Compiled] = {}
        self.seconds_compile = time.perf_counter() - started

    @property
    def threads(self) -> int | None:
        """How many threads run it; None: what measures best."""
        return self._threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self._threads = checked(threads)
        self._choices: dict[str, ThreadChoice] = {}

    @cached_property
    def prepared(self) -> Prepared:
        """The program after the passes, made where something has to be compiled."""
        from chainrule.engines.native.compiler import Prepared

        return Prepared(self.program)

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Take over an input."""
        return on_host(array)

    def write(self, name: str, array: Array) -> None:
        """Set a state."""
        laid_out = to_memory(array, self.blocked.get(name, 0))
        np.copyto(self.state[name].reshape(laid_out.shape), laid_out)

    def read(self, name: str) -> Array:
        """A copy of a state, in its canonical shape."""
        shape = resolve(self.program.state[name].shape, NO_SIZES)
        return from_memory(self.state[name], shape, self.blocked.get(name, 0))

    def profile(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        sizes: Sizes,
    ) -> Profile:
        """Run an entry point and measure each of its nodes; the state stays as it is.

        It runs with as many threads as the executable has, or else with as many as
        measure best.

        Args:
            entry, inputs, sizes: as for :meth:`run`. As many steps are made as are
                worth measuring, whatever the rows of the inputs.
        """
        from chainrule.engines.native.profiling import profile

        largest = {name: sizes[name] for name in sorted(sizes)}
        emitted = self.emitted(entry, largest, clock := {})
        compiled = _Compiled(self.program.entries[entry], self, largest, emitted)
        schedule = replace(emitted.schedule, sizes=sizes)
        asked = self._threads
        return profile(schedule, clock, compiled, self.state, inputs, sizes, asked)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedules of the entry points that have run so far."""
        threads = self._threads or available_cores()
        return {
            name: self.emitted(name, compiled.largest).schedule.on(threads)
            for name, compiled in self._compiled.items()
        }

    @kept()
    def emitted(
        self, entry: str, largest: Sizes, clock: Clock | None = None
    ) -> Emitted:
        """An entry point as text and as a schedule, for sizes up to ``largest``.

        ``clock``: filled with the place of each node's ticks, which are then counted.
        """
        from chainrule.engines.native.compiler import emitted

        prepared = self.prepared
        return emitted(prepared.entries[entry], prepared.blocked, largest, clock)

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int,
        sizes: Sizes,
    ) -> list[Array]:
        """Run an entry point ``steps`` times; every output has ``steps`` rows."""
        compiled = self._compiled.get(entry)
        if compiled is None or any(sizes[k] > v for k, v in compiled.largest.items()):
            started = time.perf_counter()
            grown: Sizes = NO_SIZES if compiled is None else compiled.largest
            largest = {k: max(sizes[k], grown.get(k, 1)) for k in sorted(sizes)}
            compiled = _Compiled(self.program.entries[entry], self, largest)
            self._compiled[entry] = compiled
            self.seconds_compile += time.perf_counter() - started
        choice = self._choices.get(entry)
        if choice is None:
            choice = self._choices[entry] = ThreadChoice(self._threads)
        number = choice.next()
        started = time.perf_counter()
        outputs = compiled.run(inputs, steps, sizes, number)
        choice.note(number, time.perf_counter() - started, steps)
        return outputs


def _buffer(shape: Any, dtype: Any) -> Array:
    """Zeros that start on a cache line, with slack behind."""
    count = size_of(shape)
    assert isinstance(count, int)
    length = count * dtype.itemsize
    raw = np.zeros(length + SLACK + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + length].view(dtype)


class _Passed:
    """An input or an output of an entry point.

    Attributes:
        each: whether a run has a row of it for each step.
        copied: memory for one step of it, where it is small; ``address`` is its own.
    """

    __slots__ = ("address", "copied", "dtype", "each", "name", "shape", "symbolic")

    def __init__(self, value: Value, each: bool) -> None:
        self.name, self.shape, self.each = value.name or "", value.shape, each
        self.dtype, self.symbolic = value.dtype.numpy, is_symbolic(value.shape)
        self.copied: Array | None = None
        shape = () if self.symbolic else resolve(value.shape, NO_SIZES)
        if not self.symbolic and math.prod(shape) * self.dtype.itemsize <= COPIED:
            memory = _buffer(shape, self.dtype)
            self.copied = memory.reshape((1, *shape) if each else shape)
            self.address: int = memory.ctypes.data


class _Compiled:
    """One entry point as machine code, for sizes up to ``largest``.

    ``emitted``: as this text, instead of the usual one, which may be kept already.
    """

    @kept()
    def __init__(
        self,
        entry: Entry,
        owner: NativeExecutable,
        largest: Sizes,
        emitted: Emitted | None = None,
    ) -> None:
        self.entry, self.largest = entry, largest
        with process.lock:  # kernels are the process'
            code = self._code(owner, emitted)
        self.conditions, self.private_bytes = code.conditions, code.private_bytes
        self.code = jit.machine_code(code.machine)
        self.function = WORKER(self.code.address("entry"))
        self.arena_bytes = code.arena_bytes
        self.arena = _buffer((self.arena_bytes + SLACK,), np.dtype(np.uint8))
        self.sync = np.zeros(BARRIER_BYTES + 64, np.uint8)
        self.status = np.zeros(64, np.uint8)
        self.condition = self.status[CONDITION : CONDITION + 4].view(np.uint32)
        states = [owner.state[name] for name in entry.state]
        fixed = [a.ctypes.data for a in (self.arena, self.sync, self.status)]
        self.first_word = _FIXED_WORDS + len(largest) + len(states)
        self.inputs = [
            _Passed(v, v.name in entry.each)
            for v in entry.graph.inputs[: len(entry.inputs)]
        ]
        self.outputs = [_Passed(v, True) for v in entry.graph.outputs[: entry.outputs]]
        self.words = np.zeros(
            self.first_word + len(self.inputs) + len(self.outputs), np.int64
        )
        self.words[1 : 1 + len(fixed)] = fixed
        self.words[5] = self.private_bytes
        self.ticks = np.zeros(2 * len(emitted.clock if emitted else ()), np.int64)
        self.words[6] = self.ticks.ctypes.data
        self.private = _buffer((0,), np.dtype(np.uint8))
        for i, array in enumerate(states):
            self.words[_FIXED_WORDS + len(largest) + i] = array.ctypes.data
        self.address: int = self.words.ctypes.data

    def _code(self, owner: NativeExecutable, emitted: Emitted | None) -> Code:
        """The code, found or compiled, with its kernels in this process."""
        if emitted is not None:
            return emitted.compiled()
        name, largest = self.entry.name, self.largest
        code = found_code(owner.identity, name, largest)
        if code is None:
            code = owner.emitted(name, largest).compiled()
            keep_code(owner.identity, name, largest, code)
        return code

    # -- running -----------------------------------------------------------------

    def run(
        self,
        inputs: Mapping[str, Array | Buffer],
        steps: int,
        sizes: Sizes,
        threads: int,
    ) -> list[Array]:
        """See :meth:`NativeExecutable.run`."""
        held: list[Array] = []
        outs: list[Array] = []
        words, at = self.words, self.first_word
        words[0] = steps
        for passed in self.inputs:
            given = inputs[passed.name]
            array: Any = given.held if isinstance(given, Buffer) else given
            if passed.copied is not None and (steps == 1 or not passed.each):
                passed.copied[...] = array
                words[at] = passed.address
            else:
                if array.dtype != passed.dtype or not array.flags.c_contiguous:
                    array = np.ascontiguousarray(array, passed.dtype)
                held.append(array)
                words[at] = array.__array_interface__["data"][0]
            at += 1
        for i, name in enumerate(self.largest):
            words[_FIXED_WORDS + i] = sizes[name]
        for passed in self.outputs:
            if passed.copied is not None and steps == 1:
                array, words[at] = passed.copied, passed.address
            else:
                shape = passed.shape
                if passed.symbolic:
                    shape = resolve(shape, sizes)
                array = np.empty((steps, *shape), passed.dtype)
                words[at] = array.__array_interface__["data"][0]
            outs.append(array)
            at += 1
        self.status.fill(0)
        if len(self.private) < threads * self.private_bytes:
            length = threads * self.private_bytes
            self.private = _buffer((length,), np.dtype(np.uint8))
            words[4] = self.private.ctypes.data
        if threads == 1:
            self.function(self.address, 0, 1)
        else:
            thread_pool(threads).run(self.function, self.address)
        if self.conditions and (condition := int(self.condition[0])):
            raise failed(**self.conditions[condition - 1])
        if self.status[0]:
            raise ArgumentError(
                f"{self.entry.name} was asked for a row that does not exist.",
                expected="indices from 0 to rows − 1",
                got="an index outside",
                fix="check the indices that go into take or indexing",
            )
        if steps == 1:
            for i, passed in enumerate(self.outputs):
                if passed.copied is not None:
                    outs[i] = passed.copied.copy()
        return outs
