"""The XLA engine: programs compiled by XLA, through JAX's public functions.

The state is a JAX array for each name. A run gives the arrays that it replaces to the
compiled step (donation), which may write over them, and keeps what comes back. A run
returns before it is done, unless its graph has conditions, whose record is waited for.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from chainrule.engines.contract import Buffer, Parts
from chainrule.engines.spread import Spread
from chainrule.engines.threads import undisturbed
from chainrule.engines.xla.backend import Array as DeviceArray
from chainrule.engines.xla.backend import (
    jax,
    jnp,
    need_home,
    need_room,
    wide,
)
from chainrule.engines.xla.control import opened
from chainrule.engines.xla.failures import clear_errors, taking_part
from chainrule.engines.xla.lower import need_lowerings
from chainrule.engines.xla.placement import (
    Kept,
    Placement,
    batch_name,
    is_divided,
    meet,
    whole,
)
from chainrule.engines.xla.processes import Witness
from chainrule.engines.xla.steps import Step
from chainrule.graph.interpret import at_sizes
from chainrule.graph.node import Array
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import Sizes, as_dtype
from chainrule.text import _
from chainrule.util import processes

#: Compiled functions kept: of each entry point, size and block; the oldest goes first.
FUNCTIONS_AT_MOST = 32
#: The lengths of blocks of steps that are compiled, and the bytes of inputs and outputs
#: that a block may be padded to; where more would be needed a block is one step.
BLOCKS, PADDED = (256, 16, 1), 1 << 22


class DeviceBuffer(Buffer):
    """An array in XLA's memory, or the rows that several blocks of steps computed.

    Attributes:
        parts: of each block the array, and how many of its rows count; an array alone
            has no number.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[tuple[DeviceArray, int | None]]) -> None:
        first, count = parts[0]
        shape = first.shape
        if count is not None:
            shape = (sum(number or 0 for __, number in parts), *shape[1:])
        self.parts = parts
        super().__init__("xla", shape, np.dtype(first.dtype), first, first.sharding)

    @property
    def data(self) -> DeviceArray:
        """The array, in one piece."""
        if len(self.parts) > 1 or self.parts[0][1] is not None:
            with wide():
                cut = [a if len(a) == n else a[:n] for a, n in self.parts]
                whole = cut[0] if len(cut) == 1 else jnp.concatenate(cut)
            self.parts = [(whole, None)]
        return self.parts[0][0]

    @data.setter
    def data(self, item: Any) -> None: ...

    def numpy(self) -> Array:
        """Fetch the array; wait until it is computed."""
        with clear_errors():
            fetched = [(np.asarray(whole(a)), n) for a, n in self.parts]
        cut = [a if n is None else a[:n] for a, n in fetched]
        return np.array(cut[0]) if len(cut) == 1 else np.concatenate(cut)

    def is_finite(self) -> bool:
        """Return whether no element is NaN or infinite, found where the array lies."""
        if not as_dtype(self.dtype).is_float:  # bfloat16 has no kind of NumPy's
            return True
        with wide(), clear_errors():
            if is_divided(self.data):
                meet(self.data)
            return bool(jnp.isfinite(self.data).all())


_NOTHING = nullcontext()


class Function:
    """A compiled function of a step.

    Attributes:
        compiled: JAX's.
        proven: whether it has run: memory sufficed.
    """

    __slots__ = ("compiled", "proven")

    def __init__(self, compiled: Any) -> None:
        self.compiled, self.proven = compiled, False


class XlaExecutable:
    """A program loaded into the XLA engine.

    Attributes:
        engine: ``"xla"``.
        seconds_compile: time spent on passes, on tracing and in XLA so far.
        placement: where arrays lie: on JAX's default device, or over several.
    """

    engine = "xla"

    def __init__(
        self, program: Program, *, threads: None = None, spread: Spread | None = None
    ) -> None:
        need_home()
        started = time.perf_counter()
        self.placement = Placement(program, spread)
        self._witness = Witness(program)
        self.entries: dict[str, Entry] = {}
        for name, entry in program.entries.items():
            self.entries[name] = entry.with_graph(opened(entry.graph))
            need_lowerings(self.entries[name].graph)
        self.completed = 0
        self._lock = threading.RLock()
        self._state: dict[str, DeviceArray] = {}
        with wide():
            begin = np.int32(0), np.int32(1), np.zeros(3, np.int64)
            self._numbers = [self._array(a, self.placement.whole) for a in begin]
            for name, t in program.state.items():
                zeros = np.zeros(t.shape, t.dtype.numpy)
                self._state[name] = self._array(zeros, self.placement.state(name))
        self._steps: dict[Any, Step] = {}
        self._compiled: dict[Any, Function] = {}
        self.seconds_compile = time.perf_counter() - started

    @property
    def completed(self) -> int:
        """The number of steps that the state has seen of the last run."""
        if not isinstance(self._completed, int):  # it is on the device
            try:
                self._completed = int(self._completed)
            except (RuntimeError, ValueError):  # its run has failed, and says why
                self._completed = 0
        return self._completed

    @completed.setter
    def completed(self, steps: Any) -> None:
        self._completed: Any = steps

    # -- arrays ------------------------------------------------------------------------

    def _array(self, array: Any, sharding: Any) -> DeviceArray:
        """Return an array of this engine's own with the numbers of another.

        JAX reads a NumPy array's memory later, or goes on using it: it gets a copy.
        """
        if isinstance(array, jax.Array):
            return jnp.array(self.placement.moved(array, sharding), copy=True)
        return self.placement.put(np.array(array), sharding)

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Store an input array on the device, for use in many runs."""
        need_home()
        with wide():
            where = self.placement.input(self.entries[entry], name, array.shape)
            self._witness.note(_("the data {name!r}", name=name), array)
            return DeviceBuffer([(self._array(array, where), None)])

    def write(self, name: str, array: Array | Buffer) -> None:
        """Set the value of a program's state on the device."""
        need_home()
        data = array.data if isinstance(array, Buffer) else array
        with wide(), self._lock:
            if not isinstance(data, jax.Array):
                known = self._state[name]
                data = np.broadcast_to(np.asarray(data, known.dtype), known.shape)
                self._witness.note(_("the value of {name!r}", name=name), data)
            self._state[name] = self._array(data, self.placement.state(name))

    def read(self, name: str) -> Buffer:
        """Return a copy of a program's state, on the device."""
        need_home()
        with wide(), self._lock:
            array = self._state[name]
            if not array.is_deleted():  # in a run that memory did not suffice for
                array = self._array(array, self.placement.state(name))
            return DeviceBuffer([(array, None)])

    def share(self, entry: str, rows: int) -> Array:
        """Return the rows of a batch that this process' devices compute with."""
        batch = batch_name(self.entries[entry])
        whole: set[str] = set()
        if batch is not None and self.placement.mesh is not None:
            whole = self.prepare(entry, dict.fromkeys(batch.names, rows)).first_read()
        return self.placement.share(self.entries[entry], rows, whole)

    def synchronize(self) -> None:
        """Wait until all runs are done."""
        need_home()
        with self._lock, clear_errors():
            jax.block_until_ready(list(self._state.values()))

    # -- programs ----------------------------------------------------------------------

    def prepare(self, entry: str, sizes: Sizes) -> Step:
        """Return the step of an entry point for these sizes, without running it."""
        key = (entry, tuple(sizes.values()))
        with self._lock:  # a thread that gathers rows asks too
            if key not in self._steps:
                started = time.perf_counter()
                if len(self._steps) >= FUNCTIONS_AT_MOST:
                    gone = next(iter(self._steps))
                    del self._steps[gone]
                    # Its functions' records mean errors that this step has noted.
                    for other in [k for k in self._compiled if k[:2] == gone]:
                        del self._compiled[other]
                whole = self.entries[entry]
                graph = at_sizes(whole.graph, sizes)
                self._steps[key] = Step(whole, graph)
                self.seconds_compile += time.perf_counter() - started
            return self._steps[key]

    def _function(self, step: Step, key: Any, block: int | None, args: Any) -> Function:
        """Return a compiled function of a step: once (None), or a block of steps."""
        key = (*key, block)
        known = self._compiled.get(key)
        if known is None:
            started = time.perf_counter()
            if len(self._compiled) >= FUNCTIONS_AT_MOST:
                self._compiled.pop(next(iter(self._compiled)))
            compiled = self._compile(step, block, args)
            need_room(step.entry.name, compiled, self.placement.device)
            known = Function(compiled)
            self._compiled[key] = known
            self.seconds_compile += time.perf_counter() - started
        return known

    def _compile(self, step: Step, block: int | None, args: Any) -> Any:
        place = self.placement
        types = jax.tree.map(self._type, args)
        rows, state, results = (), (), {}
        if place.mesh is not None:
            entry, each = step.entry, () if block is None else step.entry.each
            rows = tuple(
                place.input(entry, name, a.shape[1:] if name in each else a.shape)
                for name, a in zip(entry.inputs, args[2], strict=True)
            )
            state = tuple(map(place.state, step.replaced))
            others = (place.whole,) * (1 if _is_once(step, block) else 3)
            results["out_shardings"] = (state, *others)
        function = jax.jit(
            step.function(block, rows, state), donate_argnums=0, **results
        )
        return function.lower(*types).compile()

    def _type(self, array: Any) -> Any:
        where = array.sharding if isinstance(array, jax.Array) else self.placement.whole
        return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=where)

    def _spread(self, step: Step, inputs: tuple[Any, ...], *others: Any) -> list[Any]:
        """Return the arguments of a compiled function on several devices.

        What is read before a step is begun is on each of them.
        """
        place, read = self.placement, step.first_read()
        where = [
            place.whole if name in read else place.input(step.entry, name, array.shape)
            for name, array in zip(step.entry.inputs, inputs, strict=True)
        ]
        spread = tuple(map(place.placed, inputs, where))
        return [
            spread,
            *(x if x is None else place.placed(x, place.whole) for x in others),
        ]

    # -- runs --------------------------------------------------------------------------

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int | None,
        sizes: Sizes,
    ) -> list[Buffer]:
        """Run a program's entry point; with ``steps`` outputs have a row a step."""
        need_home()
        what = partial(_what, entry, inputs)  # said where something fails
        with self._lock, wide(), clear_errors(what):
            self.completed = 0
            self._witness.check(entry, steps, inputs)
            step = self.prepare(entry, sizes)
            alone = self.placement.mesh is None
            arrays = [_given(inputs[name], alone) for name in step.entry.inputs]
            key = (entry, tuple(sizes.values()))
            if steps is None:
                outputs = self._call(
                    step, key, None, tuple(arrays), 1, *self._begin(step)
                )
                self._finish(step, *outputs[1:], 1)
                return [DeviceBuffer([(output, None)]) for output in outputs[0]]
            parts, done, record = self._blocks(step, key, arrays, steps)
            self._finish(step, done, record, steps)
            return [DeviceBuffer(part) for part in parts]

    def _call(
        self,
        step: Step,
        key: Any,
        block: int | None,
        inputs: tuple[Any, ...],
        count: int,
        completed: Any,
        record: Any,
    ) -> tuple[Any, Any, Any]:
        """Run a compiled function of a step; keep the new state."""
        state = self._state
        replaced = tuple([state[name] for name in step.replaced])
        kept = tuple([state[name] for name in step.kept])
        args: tuple[Any, ...] = replaced, kept, inputs
        if not _is_once(step, block):
            times = self._numbers[1] if count == 1 else np.int32(count)
            args += times, completed, record
        if self.placement.mesh is not None:
            with taking_part():
                args = (replaced, kept, *self._spread(step, *args[2:]))
        function = self._function(step, key, block, args)
        if not function.proven:  # which each has compiled then
            processes.meet(_("a first run of {entry}", entry=step.entry.name))
        # Or the old state would be gone, and the new one lost.
        with undisturbed() if replaced else _NOTHING, taking_part():
            if function.proven:
                new, outputs, *others = function.compiled(*args)
            else:
                new, outputs, *others = self._first(function, step, args)
            completed, record = others or (count, None)
            state.update(zip(step.replaced, new, strict=True))
            self.completed = completed  # an interrupt may come behind this block
        return outputs, completed, record

    def _first(self, function: Function, step: Step, args: Any) -> Any:
        """Run a compiled function that has not run yet, with its state kept apart.

        Most often memory runs out here. The arrays that were given to the step are lost
        then, so copies of them are on the host; the run is waited for.
        """
        kept = {name: Kept(self._state[name]) for name in step.replaced}
        try:
            made = jax.block_until_ready(function.compiled(*args))
        except BaseException:
            self._state.update({name: array.again() for name, array in kept.items()})
            raise
        function.proven = True
        return made

    def _blocks(
        self, step: Step, key: Any, arrays: list[Any], steps: int
    ) -> tuple[Any, Any, Any]:
        """Run several steps, a block of them at a time.

        Returns:
            Of each output its parts; how many steps were completed, and the record.
        """
        each = [name in step.entry.each for name in step.entry.inputs]
        row = sum(a.nbytes // steps for a, moves in zip(arrays, each) if moves)
        row += step.bytes_out
        parts: list[list[tuple[DeviceArray, int | None]]] = [
            [] for __ in range(step.entry.outputs)
        ]
        completed, record = self._begin(step)
        start = 0
        while start < steps:
            length = _block(steps - start, row)
            count = min(length, steps - start)
            inputs = tuple(
                [
                    _rows(a, start, count, length) if moves else a
                    for a, moves in zip(arrays, each, strict=True)
                ]
            )
            outputs, completed, record = self._call(
                step, key, length, inputs, count, completed, record
            )
            for part, output in zip(parts, outputs, strict=True):
                part.append((output, count))
            start += count
        return parts, completed, record

    def _begin(self, step: Step) -> tuple[Any, Any]:
        """Return the completed steps and the record with which a run begins."""
        none, __, record = self._numbers
        return none, record if step.refuses else None

    def _finish(self, step: Step, completed: Any, record: Any, steps: int) -> None:
        """Note the steps of a run; wait for its record where it has one.

        Raises:
            ArgumentError: a condition did not hold.
        """
        if record is not None:
            met = np.asarray(record)
            if met[0]:
                self.completed = int(completed)
                raise step.checks.error(met)
        self.completed = steps


def _what(entry: str, inputs: Mapping[str, Any]) -> str:
    """Return what is run and what it was given, for a message."""
    arrays = {name: a for name, a in inputs.items() if math.prod(a.shape) > 1}
    sizes = ", ".join(f"{k} {a.dtype}{[*a.shape]}" for k, a in arrays.items())
    return _("{entry} with {sizes}", entry=entry, sizes=sizes)


def _is_once(step: Step, block: int | None) -> bool:
    """Return whether a function runs one step that cannot be refused."""
    return block is None and not step.refuses


def _given(array: Any, alone: bool) -> Any:
    """Return an input as JAX takes it: an array of its own, or one of NumPy's alone.

    Parts of one are read for the devices that there are, where this is not the only.
    """
    if isinstance(array, Buffer):
        return array.data
    if isinstance(array, Parts) and not alone:
        return array
    return np.array(array)


def _block(steps: int, row: int) -> int:
    """Return the length of the next block for so many steps.

    Blocks of one step have code of their own, which rounds in another way than that of
    longer ones. So a run has blocks of one step alone, or none of them: how it is
    divided changes no bit.

    Args:
        steps: that are left.
        row: the bytes of what a step takes anew and gives.
    """
    longest, middle, one = BLOCKS
    if middle * row > PADDED:
        return one
    if steps >= longest or (steps > middle and longest * row <= PADDED):
        return longest
    return middle


def _rows(array: Any, start: int, count: int, length: int) -> Any:
    """Return rows of an input, as many as a block has: behind those are zeros."""
    if count == len(array) == length:
        return array
    if isinstance(array, Parts):
        return array.steps(start, count, length)
    rows = array[start : start + count]
    if count == length:
        return rows
    if isinstance(array, jax.Array):
        none = jnp.zeros((length - count, *array.shape[1:]), array.dtype)
        return jnp.concatenate([rows, none])
    padded = np.zeros((length, *array.shape[1:]), array.dtype)
    padded[:count] = rows
    return padded
