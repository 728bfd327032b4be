"""Compiled programs: entry points over one state (tensors), loaded into an engine.

The state lives in the engine while it runs: here is what is sent there before a run
and what a tensor is told after it.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.compilation.step_scalars import Supply
from chainrule.compilation.tracing import Slot, Traced
from chainrule.engines import Buffer, Executable, Parts, capabilities, load_engine
from chainrule.engines.threads import RunLock, process
from chainrule.errors import ArgumentError, EngineError, GraphError, ShapeError
from chainrule.graph.interpret import solve_sizes
from chainrule.graph.node import Array, Value
from chainrule.graph.program import Program
from chainrule.graph.types import Shape, Sizes, SymbolicDim
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util.pytree import unflatten
from chainrule.util.validation import whole

if TYPE_CHECKING:
    from chainrule.engines.schedule.profile import Profile
    from chainrule.engines.schedule.schedule import Schedules

#: The sizes of so many kinds of inputs that fit are remembered.
FITTING = 1000


class _State:
    """A tensor that is state of a compiled program, with its version in the engine.

    Attributes:
        key: its name in the program.
        tensor: the tensor.
        fetch: gives the numbers that the engine has.
        version: of the tensor when the engine had its numbers last.
    """

    __slots__ = ("fetch", "key", "tensor", "version")

    def __init__(self, key: str, tensor: Tensor, fetch: Any) -> None:
        self.key, self.tensor, self.fetch = key, tensor, fetch
        self.version = -1

    def send(self, executable: Executable) -> None:
        """Write a state tensor's changed values into the engine before a run."""
        executable.write(self.key, self.tensor._stored_or_array(executable.engine))
        self.version = self.tensor.version


class _Awaited:
    """A gradient in the engine's memory; it becomes a tensor on first access.

    It knows nothing of the tensor whose gradient it is, which holds it.

    Attributes:
        seen: gives the last tensor that was made of it; None where none was.
        version: that of this tensor when the engine had its numbers last.
    """

    __slots__ = ("fetch", "like", "seen", "version")

    def __init__(self, like: Tensor, fetch: Any) -> None:
        # Its shape and type, without numbers.
        zero = np.zeros(1, like.dtype.numpy)
        shape = like._value.shape
        self.like = np.ndarray(shape, zero.dtype, zero, 0, (0,) * len(shape))
        self.fetch = fetch
        self.seen: Callable[[], Tensor | None] | None = None
        self.version = -1

    def __call__(self) -> Tensor:
        """Return a gradient as a tensor, fetched from the engine when first read."""
        gradient = wrap(Value(self.like))
        gradient.defer(self.fetch)
        self.has(gradient)
        return gradient

    def has(self, tensor: Tensor) -> None:
        """Note that the engine has the current values of a gradient tensor."""
        self.seen, self.version = weakref.ref(tensor), tensor.version

    def expects(self, tensor: Tensor) -> bool:
        """Return whether the engine has the current values of a gradient tensor."""
        if self.seen is None or self.version != tensor.version:
            return False
        return self.seen() is tensor


class _GradientState:
    """A tensor's gradient that is state of a compiled program."""

    __slots__ = ("awaited", "key", "owner", "read")

    def __init__(self, key: str, owner: Tensor, read: bool, fetch: Any) -> None:
        self.key, self.owner, self.read = key, owner, read
        self.awaited = _Awaited(owner, fetch)

    def before(self, added: bool) -> Tensor | None:
        """Return a gradient to send before a run, or None; fetch the old one if in use.

        ``added``: the run changes it in place, so that who has kept it sees that.
        """
        owner, awaited = self.owner, self.awaited
        gradient = owner._grad
        if not self.read:
            owner._grad = None
        old = None if awaited.seen is None else awaited.seen()
        follows = added and old is gradient
        if old is not None and old._pending is awaited.fetch and not follows:
            old.numpy()  # somebody has kept it
        if not self.read or gradient is awaited:
            return None
        return owner._gradient_outside()

    def expect(self, added: bool) -> None:
        """Before a run changes a gradient, have it fetched anew when next read."""
        gradient, awaited = self.owner._grad, self.awaited
        awaited.version = -1
        if added and isinstance(gradient, Tensor):
            gradient.defer(awaited.fetch)
            awaited.has(gradient)
        elif self.read:
            self.owner._grad = awaited

    def send(self, executable: Executable, added: bool) -> None:
        """Write a gradient that was set from outside into the engine before a run."""
        t = self.before(added)
        if t is not None and not self.awaited.expects(t):
            executable.write(self.key, t._stored_or_array(executable.engine))
            self.awaited.has(t)


class LoadedEntry:
    """An entry point of a compiled program, with its state and outputs in an engine."""

    __slots__ = (
        "_cleared",
        "_executable",
        "_gradients",
        "_name",
        "_new_gradients",
        "_replaced",
        "_run_lock",
        "_states",
        "_supplies",
    )

    def __init__(
        self,
        traced: Traced,
        states: Mapping[str, _State | _GradientState],
        executable: Executable,
        run_lock: RunLock,
    ) -> None:
        used = [states[key] for key in traced.entry.state]
        new = [states[key] for key in traced.entry.replaces]
        self._states = [s for s in used if isinstance(s, _State)]
        self._replaced = [s for s in new if isinstance(s, _State)]
        # Each gradient with whether a run changes it in place.
        added = {id(t) for t in traced.added}
        self._gradients, self._new_gradients = (
            [(s, id(s.owner) in added) for s in states if isinstance(s, _GradientState)]
            for states in (used, new)
        )
        self._cleared = traced.cleared
        inputs = traced.tables.values()
        self._supplies = [Supply(*table, inputs) for table in traced.steps]
        self._name, self._executable = traced.entry.name, executable
        self._run_lock = run_lock

    def run(
        self, arrays: dict[str, Any], sizes: Sizes, steps: int | None
    ) -> list[Array | Buffer]:
        """Run a compiled entry point on checked inputs; return its outputs.

        ``steps``: how many, each with a row of every output; None for one, without it.
        """
        return self._run_lock.run(self._run, arrays, sizes, steps)

    def _run(
        self, arrays: dict[str, Any], sizes: Sizes, steps: int | None
    ) -> list[Array | Buffer]:
        for supply in self._supplies:
            supply.supply(arrays, steps)
        executable, gradients = self._executable, list[tuple[Tensor, Any]]()
        executable.completed = 0
        try:
            self._send(gradients)
            # The engine has the newest numbers from here on, whether the run is made
            # or not: an exception of a signal's handler may come at any moment.
            for state in self._replaced:
                t = state.tensor
                t._pending = state.fetch
                if t._twin is not None:
                    t._await(state.fetch)
                t.version = state.version = t.version + 1
            for gradient, added in self._new_gradients:
                if added or gradient.read or gradient.awaited.seen is not None:
                    gradient.expect(added)
            outputs = executable.run(self._name, arrays, steps=steps, sizes=sizes)
            self._note_steps(steps or 1)
        except BaseException:
            if executable.completed:  # steps before the one that was refused
                self._note_steps(executable.completed)
            else:
                _restore(gradients)
            raise
        return outputs

    def _note_steps(self, completed: int) -> None:
        """Store new gradients in tensors after a run, and count the optimiser's steps.

        It may be called twice for a run: an interrupt may come meanwhile.
        """
        for gradient, added in self._new_gradients:
            if not added:
                gradient.owner._grad = gradient.awaited
        for t in self._cleared:
            t._grad = None
        for supply in self._supplies:
            if supply.each:
                supply.table.set_steps(supply.start + supply.each * completed)

    def profile(self, arrays: dict[str, Any], sizes: Sizes, steps: int) -> Profile:
        """Measure a compiled entry point's schedule steps on checked inputs."""
        return self._run_lock.run(self._profile, arrays, sizes, steps)

    def _profile(self, arrays: dict[str, Any], sizes: Sizes, steps: int) -> Profile:
        gradients = list[tuple[Tensor, Any]]()
        executable: Any = self._executable
        try:
            for supply in self._supplies:
                supply.supply(arrays, steps)
            self._send(gradients)
            return executable.profile(self._name, arrays, sizes=sizes)
        finally:
            _restore(gradients)

    def _send(self, gradients: list[tuple[Tensor, Any]]) -> None:
        """Write changed state tensors and gradients of an entry point into the engine.

        ``gradients``: gets the gradients that tensors have before the run.
        """
        executable = self._executable
        for state in self._states:
            if state.version != state.tensor.version:
                state.send(executable)
        for gradient, added in self._gradients:
            owner, awaited = gradient.owner, gradient.awaited
            gradients.append((owner, owner._grad))
            # Mostly nobody has looked at what the engine has, and it goes on from that.
            changed = gradient.read and owner._grad is not awaited
            if added or changed or awaited.seen is not None:
                gradient.send(executable, added)


class CompiledProgram:
    """A compiled program: entry points over one state, loaded into an engine.

    Parameters live in the engine while it runs: reading a tensor fetches its numbers,
    writing to it sends them before the next run.

    Attributes:
        traced: the entry points by name.
        program: the graphs.
        entries: the entry points in the engine, by name.
        slots: where the state comes from, by name.
        executable: the program in the engine.
        engine: the name of the engine that runs them.

    ``devices``, ``mesh`` and ``sharding`` are those of
    :func:`~chainrule.engines.load_engine`.
    """

    def __init__(
        self,
        traced: Sequence[Traced],
        *,
        engine: str = "auto",
        threads: int | None = None,
        **spread: Any,
    ) -> None:
        self.traced = {t.entry.name: t for t in traced}
        self.slots: dict[str, Slot] = {}
        for t in traced:
            for key, slot in t.slots.items():
                if not self.slots.setdefault(key, slot).is_that_of(slot):
                    raise GraphError(
                        _("Two tensors of a program are both called {key!r}.", key=key),
                        expected=_("one name for each tensor"),
                        got=_(
                            "another {key!r} in the entry point {name!r}",
                            key=key,
                            name=t.entry.name,
                        ),
                        fix=_("give them different names: tensor.name = …"),
                    )
        self.program = Program({t.entry.name: t.entry for t in traced})
        self.executable: Executable = load_engine(
            engine, self.program, threads=threads, **spread
        )
        self.engine = self.executable.engine
        self._in_parts = capabilities(self.engine).devices
        self._fitting: dict[Any, Sizes] = {}
        run_lock = RunLock()
        graded = {id(tensor) for t in traced for tensor, __ in t.graded}
        states: dict[str, _State | _GradientState] = {}
        for key, slot in self.slots.items():
            fetch, tensor = functools.partial(self.executable.read, key), slot.tensor
            states[key] = (
                _GradientState(key, tensor, id(tensor) in graded, fetch)
                if slot.gradient
                else _State(key, tensor, fetch)
            )
        self.entries = {
            t.entry.name: LoadedEntry(t, states, self.executable, run_lock)
            for t in traced
        }

    @property
    def seconds_compile(self) -> float:
        """The seconds that the engine took to compile the program so far."""
        return self.executable.seconds_compile

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The state tensors of a compiled program by name, with existing gradients."""
        tensors = {key: slot.current() for key, slot in self.slots.items()}
        return {key: t for key, t in tensors.items() if t is not None}

    def synchronize(self) -> None:
        """Wait until all runs of a compiled program have ended, on engines that do not.

        An engine of a device may return from a run before its results are there. What
        reads them waits by itself; a measurement of time has to.
        """
        self.executable.synchronize()

    def settle(self) -> None:
        """Fetch a program's state from the engine into tensors, before it is freed."""
        for t in self.tensors.values():
            t.numpy()

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Copy an input of a compiled program into the engine once, for many runs.

        Args:
            entry: the entry point that it is for.
            name: the input's name.
            array: its numbers; do not change them while the buffer is in use.
        """
        return self.executable.put(entry, name, array)

    def share(self, entry: str, rows: int) -> Array:
        """Return the rows of a batch that this process computes with, by number.

        They are all, but where an engine divides batches over several processes.
        """
        return self.executable.share(entry, rows)

    def run(
        self, name: str, inputs: Mapping[str, Any], *, steps: int | None = None
    ) -> Any:
        """Run an entry point of a compiled program on an engine.

        Args:
            name: the entry point.
            inputs: an array, or a buffer of :meth:`put`, for each of its inputs.
            steps: how many times; inputs marked ``each`` then have that many rows,
                and so has every output. None runs once, without the stacking.

        A step that is refused changes nothing: state, and what optimisers have counted,
        are those of the steps before it.

        Raises:
            ArgumentError: an index out of range, a condition that does not hold; an
                optimiser whose rule is another than when the program was made; steps
                that are no whole number ≥ 1.
            ShapeError: inputs of other shapes, or with other rows than there are steps.
        """
        if not self.traced[name].reads_the_same():
            raise _another_rule(name)
        arrays, sizes = self._checked_inputs(name, inputs, steps)
        outputs = self.entries[name].run(arrays, sizes, steps)
        return unflatten(self.traced[name].structure, outputs)

    @property
    def schedule(self) -> Schedules:
        """The execution schedules of the compiled program's entry points run so far.

        ``print(program.schedule)`` shows for each of them the phases, between which
        threads meet; what is fused into one loop; how threads divide it; and the
        µs that it is expected to take. It is a tuple of
        :class:`~chainrule.engines.schedule.schedule.Schedule`.

        Raises:
            EngineError: of an engine that makes no schedule.

        >>> import chainrule as cr
        >>> step = cr.compile(lambda x: (x * x + 1).tanh(), engine="native", threads=1)
        >>> _ = step(cr.ones(1000))
        >>> (program,) = step.programs
        >>> print(program.schedule)  # doctest: +ELLIPSIS
        schedule <lambda> on one thread
        phase 1, ... µs
          %...: f32[1000] = mul·add·tanh(%x), ...
        """
        from chainrule.engines.schedule.schedule import Schedules

        self._refuse_without_schedule()
        planned: Any = self.executable
        with process.lock:
            return Schedules(planned.schedules.values())

    def profile(
        self, name: str, inputs: Mapping[str, Any], *, steps: int | None = None
    ) -> Profile:
        """Measure each step of a compiled entry point, without changing its state.

        ``print(profile)`` shows the longest first: measured and predicted µs, FLOPs,
        bytes, and the share of what this machine reaches at most, its *roof*, which is
        measured too. It takes a second or two.

        Args:
            name, inputs, steps: as for :meth:`run`. As many steps are made as are
                worth measuring; with fewer rows they come again and again.

        Raises:
            EngineError: of an engine that makes no schedule.
        """
        self._refuse_without_schedule()
        arrays, sizes = self._checked_inputs(name, inputs, steps)
        if steps is None:
            each = {*self.traced[name].entry.each} & {*arrays}
            arrays |= {k: np.asarray(arrays[k])[None] for k in each}
        return self.entries[name].profile(arrays, sizes, steps or 1)

    def _refuse_without_schedule(self) -> None:
        """Raise an error if the engine has no execution schedules to show."""
        if not capabilities(self.engine).schedules:
            raise EngineError(
                _(
                    "The {engine} engine makes no schedule that could be shown.",
                    engine=self.engine,
                ),
                expected=_("the native engine, which plans loops, threads and memory"),
                got=f"engine={self.engine!r}",
                fix=_(
                    'engine="native"; the graph itself prints on every engine: '
                    "print(program.traced[name].entry.graph)"
                ),
            )

    def _checked_inputs(
        self, name: str, inputs: Mapping[str, Any], steps: int | None
    ) -> tuple[dict[str, Any], Sizes]:
        """Return an entry point's inputs as the engine takes them, and named sizes."""
        traced = self.traced[name]
        steps = None if steps is None else whole("steps", steps)
        arrays = {k: self._numbers(v) for k, v in inputs.items()}
        types = [(k, type(a), a.shape, a.dtype) for k, a in arrays.items()]
        like = (name, steps, *types)
        sizes = self._fitting.get(like)
        if sizes is None:
            originals = dict(arrays)
            sizes = self._check(traced, arrays, steps)
            if all(arrays[k] is a for k, a in originals.items()):  # as they came
                if len(self._fitting) >= FITTING:
                    self._fitting.clear()
                self._fitting[like] = sizes
        return arrays, sizes

    def _numbers(self, item: Any) -> Array | Buffer | Parts:
        """Return an input in the form that the engine takes: as it stores it, if so."""
        if isinstance(item, Tensor):
            item = item._stored_or_array(self.engine)
        if isinstance(item, Buffer):
            return item if item.engine == self.engine else item.numpy()
        if isinstance(item, Parts) and self._in_parts:
            return item
        return np.asarray(item)

    def _check(
        self, traced: Traced, arrays: dict[str, Any], steps: int | None
    ) -> dict[str, int]:
        entry = traced.entry
        shapes: list[tuple[Shape, tuple[int, ...]]] = []
        count = len(entry.inputs) - len(traced.tables)
        for value in entry.graph.inputs[:count]:
            name = value.name or ""
            if name not in arrays:
                raise ArgumentError(
                    _(
                        "{entry_name} needs the input {name!r}.",
                        entry_name=entry.name,
                        name=name,
                    ),
                    expected=", ".join(entry.inputs),
                    got=", ".join(arrays),
                )
            array = arrays[name]
            if array.dtype != value.dtype.numpy:
                with np.errstate(over="ignore"):  # infinity is found in the results
                    given = array if isinstance(array, Parts) else np.asarray(array)
                    array = given.astype(value.dtype.numpy)
                arrays[name] = array
            rows = steps is not None and name in entry.each
            shape = array.shape[1:] if rows else array.shape
            if rows and array.shape[:1] != (steps,):
                raise ShapeError(
                    _(
                        "{entry_name} needs a row of {name!r} for each step.",
                        entry_name=entry.name,
                        name=name,
                    ),
                    expected=f"({steps}, …)",
                    got=str(array.shape),
                )
            fits = len(shape) == len(value.shape) and all(
                isinstance(want, SymbolicDim) or want == got
                for want, got in zip(value.shape, shape)
            )
            if not fits:
                raise ShapeError(
                    _(
                        "{entry_name} was compiled for another shape of {name!r}.",
                        entry_name=entry.name,
                        name=name,
                    ),
                    expected=str(value.type),
                    got=str(shape),
                )
            shapes.append((value.shape, shape))
        return solve_sizes(shapes)


def _another_rule(entry: str) -> ArgumentError:
    return ArgumentError(
        _(
            "A part of an update rule, or what {entry} reads of an optimiser, has "
            "changed since it was compiled.",
            entry=entry,
        ),
        expected=_("a number in place of another: values change, parts do not"),
        got=_("momentum, weight decay, a limit or the like switched on or off"),
        fix=_(
            "change it before the program is made, or between two calls of fit; a "
            "limit that may come later starts as clip_norm=math.inf"
        ),
    )


def _restore(gradients: Sequence[tuple[Tensor, Any]]) -> None:
    """Restore the ``.grad`` of tensors to earlier gradients."""
    for owner, gradient in gradients:
        owner._grad = gradient
