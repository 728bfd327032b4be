"""``cr.compile``: from a Python function of tensors to a program for an engine.

The function is run once on tensors without numbers. What it computes is recorded as a
graph; tensors that it finds outside of its arguments (parameters, moments, running
statistics) become *state*, and what it writes into them with ``copy_`` becomes a pair
"this value replaces that state". So a step is a pure function

    (state, inputs) → (new state, outputs)

whatever the Python looked like, and eager code and compiled code are the same code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chainrule.engines import Executable, load_engine
from chainrule.errors import ArgumentError, GradientError, GraphError, ShapeError
from chainrule.graph.build import Trace, tracing
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import solve_n
from chainrule.graph.node import Array, Value
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import ArrayType, DType, Size
from chainrule.tensor import Tensor, wrap


class Table(Protocol):
    """What supplies scalars step by step: an optimiser with its schedule."""

    def rows(self, steps: int) -> Mapping[str, Array]:
        """The scalars of the next ``steps`` steps in float64, and move on."""
        ...


class Moded(Protocol):
    """What computes one thing in training and another in prediction: a module."""

    @property
    def training(self) -> bool:
        """Whether it is in training mode."""
        ...


@dataclass(frozen=True)
class Input:
    """One argument of an entry point.

    Attributes:
        name: its name.
        type: shape (which may contain N) and dtype.
        each: whether a run of many steps gives it anew for each step, as one row of
            a stacked array (batch indices, η), or once for all (a data set).
    """

    name: str
    type: ArrayType
    each: bool = False


class _StatefulTrace(Trace):
    """A trace that lifts the tensors it meets to state of the program."""

    def __init__(self, entry: str, names: Mapping[int, str]) -> None:
        super().__init__()
        self.entry, self.names = entry, names
        self.lifted: dict[int, tuple[Tensor, Value]] = {}
        self.current: dict[int, Value] = {}
        self.gradients: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.tables: dict[str, tuple[Value, Table, str]] = {}
        self.modes: dict[int, tuple[Moded, bool]] = {}

    def note_mode(self, module: Moded) -> None:
        """Remember in which mode a module was traced."""
        self.modes.setdefault(id(module), (module, module.training))

    def tabulated(self, table: Table, name: str, dtype: DType) -> Value:
        """A scalar input that ``table`` supplies anew for each step."""
        for value, known, its_name in self.tables.values():
            if known is table and its_name == name and value.dtype is dtype:
                return value
        unique = f"{name}.{len(self.tables)}"
        value = Value(None, (), dtype, name=unique)
        self.tables[unique] = (value, table, name)
        return value

    def lift(self, t: Tensor) -> Value:
        """The graph value that stands for ``t`` at this point of the function."""
        if id(t) not in self.lifted:
            if t._value.node is not None:
                raise GradientError(
                    "A compiled function uses a tensor that carries eager history.",
                    expected="arguments, parameters and plain tensors",
                    got=repr(t._value),
                    fix="call .detach() on it before",
                )
            # Entry points share state by name: what has none is this entry's own.
            name = self.names.get(id(t)) or t.name
            name = name or f"{self.entry}.state{len(self.lifted)}"
            taken = {v.name for _, v in self.lifted.values()}
            while name in taken:
                name += "'"
            value = Value(None, t.shape, t.dtype, tracked=t.requires_grad, name=name)
            value.owner = t._value.owner
            self.lifted[id(t)] = (t, value)
            self.current[id(t)] = value
        return self.current[id(t)]

    def assign(self, t: Tensor, value: Value) -> None:
        """From here on ``t`` is ``value``."""
        self.lift(t)
        self.current[id(t)] = value if value.array is None else self.constant(value)

    def note_gradient(self, t: Tensor) -> None:
        """Set ``t.grad`` aside: gradients of a trace live within the trace."""
        if id(t) not in self.gradients:
            self.gradients[id(t)] = (t, t.grad)
            t.grad = None


@dataclass
class Traced:
    """One entry point traced, with the tensors that are its state.

    Attributes:
        modes: the modules that were passed, each with the mode that it was in.
        tracked: the tensors that it met, each with its ``requires_grad`` of then.
    """

    entry: Entry
    tensors: dict[str, Tensor]
    structure: Any
    tables: Mapping[str, tuple[Value, Table, str]]
    modes: tuple[tuple[Moded, bool], ...] = ()
    tracked: tuple[tuple[Tensor, bool], ...] = ()

    def holds(self) -> bool:
        """Whether modes are still those of the trace, and the same tensors frozen."""
        modes = all(module.training == mode for module, mode in self.modes)
        return modes and self.trains_the_same()

    def trains_the_same(self) -> bool:
        """Whether the same tensors are frozen as when it was traced."""
        return all(t.requires_grad == wanted for t, wanted in self.tracked)


def trace_entry(
    name: str,
    function: Callable[..., Any],
    inputs: Sequence[Input],
    names: Mapping[int, str] | None = None,
) -> Traced:
    """Trace ``function`` as the entry point ``name`` of a program.

    Args:
        name: the entry's name.
        function: called with one tensor for each input, positionally; it returns a
            tensor, or a nest of tuples, lists and dicts of them.
        inputs: what it is called with.
        names: names for state tensors, by ``id``.
    """
    values = [Value(None, i.type.shape, i.type.dtype, name=i.name) for i in inputs]
    recorder = _StatefulTrace(name, names or {})
    with tracing(recorder):
        try:
            result = function(*map(wrap, values))
        finally:
            for t, before in recorder.gradients.values():
                t.grad = before
        leaves, structure = flatten(result)
        outputs = [
            v if v.array is None else recorder.constant(v)
            for v in (leaf.value for leaf in leaves)
        ]
    state = {value.name or "": (t, value) for t, value in recorder.lifted.values()}
    replaced: dict[str, int] = {}
    everything = list(outputs)
    for key, (t, value) in state.items():
        if recorder.current[id(t)] is not value:
            replaced[key] = len(everything)
            everything.append(recorder.current[id(t)])
    tensors = {key: t for key, (t, _) in state.items()}
    captured = recorder.captured()
    for value, numbers in captured:
        held = Tensor(numbers.array)
        key = f"{name}.constant{len(tensors)}"
        value.name = key
        tensors[key] = held
    graph = Graph(
        name,
        [
            *values,
            *(v for v, _, _ in recorder.tables.values()),
            *(v for _, v in state.values()),
            *(v for v, _ in captured),
        ],
        everything,
    )
    entry = Entry(
        name=name,
        graph=graph,
        inputs=(*(i.name for i in inputs), *recorder.tables),
        each=(*(i.name for i in inputs if i.each), *recorder.tables),
        state=tuple(tensors),
        replaces=replaced,
        outputs=len(outputs),
    )
    modes = tuple(recorder.modes.values())
    tracked = tuple((t, value.tracked) for t, value in recorder.lifted.values())
    return Traced(entry, tensors, structure, recorder.tables, modes, tracked)


def flatten(tree: Any) -> tuple[list[Tensor], Any]:
    """The tensors of a nest of tuples, lists and dicts, and its structure."""
    leaves: list[Tensor] = []

    def walk(item: Any) -> Any:
        if isinstance(item, dict):
            return {k: walk(v) for k, v in item.items()}
        if isinstance(item, tuple | list):
            return type(item)(walk(v) for v in item)
        if item is None:
            return None
        leaves.append(item if isinstance(item, Tensor) else Tensor(item))
        return len(leaves) - 1

    return leaves, walk(tree)


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """The nest again, with other leaves."""
    if isinstance(structure, dict):
        return {k: unflatten(v, leaves) for k, v in structure.items()}
    if isinstance(structure, tuple | list):
        return type(structure)(unflatten(v, leaves) for v in structure)
    return None if structure is None else leaves[structure]


class CompiledProgram:
    """Entry points over one state, loaded into an engine.

    Parameters live in the engine while it runs: reading a tensor fetches its numbers,
    writing to it sends them before the next run.

    Attributes:
        program: the graphs.
        engine: the name of the engine that runs them.
    """

    def __init__(
        self,
        traced: Sequence[Traced],
        *,
        engine: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.traced = {t.entry.name: t for t in traced}
        self.tensors: dict[str, Tensor] = {}
        for t in traced:
            for key, held in t.tensors.items():
                if self.tensors.setdefault(key, held) is not held:
                    raise GraphError(
                        f"Two tensors of a program are both called {key!r}.",
                        expected="one name for each tensor",
                        got=f"another {key!r} in the entry point {t.entry.name!r}",
                        fix="give them different names: tensor.name = …",
                    )
        self.program = Program({t.entry.name: t.entry for t in traced})
        self.executable: Executable = load_engine(engine, self.program, threads=threads)
        self.engine = self.executable.engine
        self._seen: dict[str, int] = {}

    @property
    def seconds_compile(self) -> float:
        """How long the engine took to prepare, first runs of entries included."""
        return self.executable.seconds_compile

    def put(self, array: Any) -> Any:
        """An array that stays what it is over many runs, ready for ``inputs``."""
        return np.ascontiguousarray(array)

    def run(
        self, name: str, inputs: Mapping[str, Any], *, steps: int | None = None
    ) -> Any:
        """Run an entry point.

        Args:
            name: the entry point.
            inputs: an array for each of its inputs.
            steps: how many times; inputs marked ``each`` then have that many rows,
                and so has every output. None runs once, without the stacking.
        """
        traced = self.traced[name]
        entry = traced.entry
        arrays = {k: np.asarray(v) for k, v in inputs.items()}
        if steps is None:
            for k in set(entry.each) & set(arrays):
                arrays[k] = arrays[k][None]
        rows: dict[int, Mapping[str, Array]] = {}
        for unique, (_, table, key) in traced.tables.items():
            if id(table) not in rows:
                rows[id(table)] = table.rows(steps or 1)
            arrays[unique] = rows[id(table)][key]
        n = self._check(entry, arrays)
        self._send(entry)
        stacked = self.executable.run(name, arrays, steps=steps or 1, n=n)
        for key in entry.replaces:
            t = self.tensors[key]
            t.defer(functools.partial(self.executable.read, key))
            self._seen[key] = t.version
        leaves = [a[0] if steps is None else a for a in stacked]
        return unflatten(traced.structure, leaves)

    def _send(self, entry: Entry) -> None:
        for key in entry.state:
            t = self.tensors[key]
            if self._seen.get(key) != t.version:
                self.executable.write(key, t.numpy())
                self._seen[key] = t.version

    def _check(self, entry: Entry, arrays: dict[str, Array]) -> int | None:
        shapes: list[tuple[Any, tuple[int, ...]]] = []
        for value in entry.graph.inputs[: len(entry.inputs)]:
            name = value.name or ""
            if name not in arrays:
                raise ArgumentError(
                    f"{entry.name} needs the input {name!r}.",
                    expected=", ".join(entry.inputs),
                    got=", ".join(arrays),
                )
            array = arrays[name]
            if array.dtype != value.dtype.numpy:
                with np.errstate(over="ignore"):  # infinity is found in the results
                    array = array.astype(value.dtype.numpy)
                arrays[name] = array
            shape = array.shape[1:] if name in entry.each else array.shape
            fits = len(shape) == len(value.shape) and all(
                isinstance(want, Size) or want == got
                for want, got in zip(value.shape, shape)
            )
            if not fits:
                raise ShapeError(
                    f"{entry.name} was compiled for another shape of {name!r}.",
                    expected=str(value.type),
                    got=str(shape),
                )
            shapes.append((value.shape, shape))
        return solve_n(shapes)


class Compiled:
    """A function that runs as a graph on an engine; made by :func:`compile`."""

    __name__: str

    def __init__(
        self, function: Callable[..., Any], engine: str, threads: int | None
    ) -> None:
        functools.update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", "compiled")
        self.function, self.engine, self.threads = function, engine, threads
        self._programs: dict[Any, list[CompiledProgram]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; a graph is traced once for each combination of input types.

        Where modules have been switched (``train()``, ``eval()``), once for each mode.
        """
        leaves, structure = flatten((args, kwargs))
        arrays = [leaf.numpy() for leaf in leaves]
        program = self.program_for(leaves, structure)
        inputs = program.program.entries[self.__name__].inputs
        made = program.run(self.__name__, dict(zip(inputs, arrays)))
        results, shape = flatten(made)
        return unflatten(shape, results)

    @property
    def programs(self) -> list[CompiledProgram]:
        """What was compiled so far: one for each set of input types and modes."""
        return [program for known in self._programs.values() for program in known]

    def program_for(self, leaves: Sequence[Tensor], structure: Any) -> CompiledProgram:
        """The program for arguments of these types, and modules in these modes."""
        key = (repr(structure), tuple((t.shape, t.dtype) for t in leaves))
        known = self._programs.setdefault(key, [])
        for program in known:
            if program.traced[self.__name__].holds():
                return program

        def positional(*values: Tensor) -> Any:
            args, kwargs = unflatten(structure, values)
            return self.function(*args, **kwargs)

        inputs = [
            Input(name, ArrayType(t.shape, t.dtype))
            for name, t in zip(self._names(structure), leaves, strict=True)
        ]
        traced = trace_entry(self.__name__, positional, inputs)
        program = CompiledProgram([traced], engine=self.engine, threads=self.threads)
        known.append(program)
        return program

    def _names(self, structure: Any) -> list[str]:
        """Names for the tensors of the arguments: the function's own, with a path."""
        code = getattr(self.function, "__code__", None)
        parameters = code.co_varnames[: code.co_argcount] if code else ()
        names: list[str] = []

        def walk(item: Any, name: str) -> None:
            if isinstance(item, dict):
                for k, v in item.items():
                    walk(v, f"{name}.{k}" if name else str(k))
            elif isinstance(item, tuple | list):
                for i, v in enumerate(item):
                    walk(v, f"{name}.{i}")
            elif item is not None:
                names.append(name)

        args, kwargs = structure
        for i, item in enumerate(args):
            walk(item, parameters[i] if i < len(parameters) else f"x{i}")
        walk(kwargs, "")
        return names

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph for arguments like these, as recorded (before any pass)."""
        program = self.program_for(*flatten((args, kwargs)))
        return program.program.entries[self.__name__].graph


def compile(
    function: Callable[..., Any] | None = None,
    *,
    engine: str = "auto",
    threads: int | None = None,
) -> Any:
    """Have ``function`` run as one graph on an engine.

    Args:
        function: any function of tensors and state. Tensors that it uses from
            outside (a model's parameters) are state; ``copy_`` and an optimiser's
            ``step()`` change them. Its Python runs once for each combination of
            argument shapes and of modes (training or not) of the modules that it calls,
            so ``if`` and ``for`` see shapes, never numbers.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``: native where it can run.
        threads: how many threads the native engine uses; None takes every core.

    Returns:
        A function of the same arguments that returns tensors.

    >>> import chainrule as cr
    >>> @cr.compile(engine="numpy")
    ... def f(x):
    ...     return (x * x).sum()
    >>> f(cr.tensor([1.0, 2.0, 3.0]))
    tensor(14.)
    """
    if function is None:
        return functools.partial(compile, engine=engine, threads=threads)
    return Compiled(function, engine, threads)
