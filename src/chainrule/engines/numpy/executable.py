"""The NumPy engine: programs as Python statements on preallocated arrays.

For each entry point and all its sizes the graph becomes one Python function whose
statements are calls such as ``add(v1, v2, v3)`` with the output as last argument. Every
buffer and every view is made when the function is written, so a step allocates (almost)
nothing.

The function is written as text and compiled by Python. A list of prepared calls
(``functools.partial`` with the arrays bound), run in a loop, was measured in its place,
in turns within one process: a training step takes 2 to 4 % longer on 784-128-64-10
with batches of 32 and 128, 5 % longer on 30-64-32-2, and as long on LeNet. Arrays that
come anew with each call (inputs, and views of them) need a Python function each there,
and are plain names here.
"""

from __future__ import annotations

import contextvars
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.engines import Buffer, on_host
from chainrule.engines.garbage import gc_paused
from chainrule.engines.memory_plan import MemoryPlan, make_plan
from chainrule.engines.numpy import loops
from chainrule.engines.numpy.adjacent import adjacent_values, allocate, as_line, shaped
from chainrule.engines.numpy.control import NESTED
from chainrule.engines.numpy.lower import (
    CHANGED_ROWS,
    GLOBALS,
    LOWERINGS,
    UFUNCS,
    VIEWS,
    reference,
)
from chainrule.engines.schedule.horizontal_fusion import (
    fuse_small_loops,
    horizontal_loop,
    line_body,
    members_of,
)
from chainrule.engines.schedule.maps import (
    fuse_maps,
    loop_body,
    opened,
    partial_sums_of,
)
from chainrule.engines.threads import (
    ONE_THREAD,
    blas_threads,
    blas_threads_for,
    checked,
    uninterrupted,
)
from chainrule.engines.weights import weight_states, weight_values
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import attrs_at
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import REFERENCES
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import NO_SIZES, Sizes, resolve, size_of
from chainrule.primitives.blas import check_blas
from chainrule.primitives.checks import require
from chainrule.primitives.indexing import check_indices
from chainrule.primitives.matmul import dot_general, parse_dims
from chainrule.primitives.movement import broadcast_to, reshape

#: Functions kept: one for each entry point and size, the oldest dropped first.
FUNCTIONS_AT_MOST = 16


class NumpyExecutable:
    """A program loaded into the NumPy engine, which runs it as Python statements.

    Weights are held the other way round, as (inputs, outputs): see
    :mod:`chainrule.engines.weights`.

    Attributes:
        engine: ``"numpy"``.
        seconds_compile: time spent on passes and plans so far.
        completed: the number of steps of the last run.
    """

    engine = "numpy"
    completed = 0

    def __init__(self, program: Program, *, threads: int | None = None) -> None:
        started = time.perf_counter()
        check_blas()  # a run does not warn of what NumPy meets
        self.threads = checked(threads)
        self.entries = {name: _in_loops(e) for name, e in program.entries.items()}
        self.weights = weight_states(self.entries.values())
        self.state: dict[str, Array] = {}
        for entry in self.entries.values():
            graph = entry.graph
            names_of = {graph.outputs[i]: name for name, i in entry.replaces.items()}
            names_of |= zip(graph.inputs[len(entry.inputs) :], entry.state, strict=True)
            for values in adjacent_values(graph):
                names = [names_of.get(v, "") for v in values]
                if all(names) and not self.state.keys() & names:
                    transposed = [name in self.weights for name in names]
                    arrays = allocate(values, transposed, NO_SIZES)
                    self.state |= zip(names, arrays, strict=True)
        for name, t in program.state.items():
            if name not in self.state:
                value = Value(None, t.shape, t.dtype)
                (self.state[name],) = allocate(
                    [value], [name in self.weights], NO_SIZES
                )
        self._functions: dict[tuple[str, tuple[int, ...]], Function] = {}
        self.seconds_compile = time.perf_counter() - started

    def prepare(self, entry: str, sizes: Sizes) -> Function:
        """Return the function of an entry point for these sizes, without running it."""
        key = (entry, tuple(sizes.values()))
        if key not in self._functions:
            started = time.perf_counter()
            if len(self._functions) >= FUNCTIONS_AT_MOST:
                self._functions.pop(next(iter(self._functions)))
            self._functions[key] = Function(
                self.entries[entry], self.state, self.weights, sizes
            )
            self.seconds_compile += time.perf_counter() - started
        return self._functions[key]

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Store an input array in the NumPy engine for many runs."""
        return on_host("numpy", array)

    def write(self, name: str, array: Array | Buffer) -> None:
        """Set the value of a program's state in the NumPy engine."""
        np.copyto(self.state[name], array)

    def read(self, name: str) -> Array:
        """Return a copy of a program's state from the NumPy engine."""
        return self.state[name].copy()

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int | None,
        sizes: Sizes,
    ) -> list[Array]:
        """Run a program's entry point with NumPy; outputs have a row a step."""
        function = self.prepare(entry, sizes)
        function.completed[0] = number = 0
        if function.largest_product > ONE_THREAD:
            number = self.threads or blas_threads_for(function.largest_product)
        try:
            if not function.entry.replaces:
                return function.run(inputs, steps, number)
            with uninterrupted:  # or a part of the state would be new, and one old
                return function.run(inputs, steps, number)
        finally:
            self.completed = function.completed[0]

    def share(self, entry: str, rows: int) -> Array:
        """Return the numbers of all rows of a batch: this process has the whole."""
        return np.arange(rows)

    def synchronize(self) -> None:
        """Return at once: a run has ended when it returns."""


def _in_loops(entry: Entry) -> Entry:
    """Return an entry point with its elementwise nodes fused into loops, for NumPy.

    Small updates are one loop; there is one thread, so a sum has one unit.
    """
    entry = fuse_small_loops(opened(entry), below=loops.SMALL)
    graph = fuse_maps(entry.graph, entry.replaced(), units=lambda shape: 1)
    return entry.with_graph(graph)


def _is_view(node: Node, root: dict[Value, Value]) -> bool:
    if node.primitive is not reshape:
        return node.primitive.view
    # A reshape shows the same memory only if its source is whole and in order.
    source = node.inputs[0]
    while source.node is not None and source.node.primitive is reshape:
        source = source.node.inputs[0]
    return root[source] is source


def _in_place(node: Node, old: Value, new: Value) -> bool:
    """Return whether a node may write its result into its operand's memory."""
    if old.type != new.type:
        return False
    if node.primitive is horizontal_loop:
        reading = [outputs for inputs, outputs in members_of(node) if old in inputs]
        return len(reading) == 1 and new in reading[0]
    if node.primitive in CHANGED_ROWS:
        return old is node.inputs[0] and old not in node.inputs[1:]
    return node.primitive in UFUNCS or loop_body(node) is not None


class Function:
    """An entry point as a generated Python function of NumPy calls."""

    @gc_paused()
    def __init__(
        self,
        entry: Entry,
        state: dict[str, Array],
        weights: set[str],
        sizes: Sizes,
        *,
        within: bool = False,
    ) -> None:
        self.state, self.sizes = state, sizes
        self.scope: dict[str, Any] = dict(GLOBALS)
        self.lines: list[str] = []
        self.plan: MemoryPlan = make_plan(
            entry,
            is_view=_is_view,
            in_place=_in_place,
            size=self._bytes,
            within=within,
        )
        self.entry = entry = self.plan.entry
        self.transposed = weight_values(entry, weights)
        self.placed: dict[Value, Array] = {}
        for values in adjacent_values(entry.graph):
            self._place(values)
        self.arena = np.zeros(self.plan.arena + 64, np.uint8)
        skew = -self.arena.ctypes.data % 64
        self.arena = self.arena[skew:]
        self.names: dict[Value, str] = {}
        self.fixed: dict[Value, Array] = {}
        self._scratch: list[Array] = []
        self._each: dict[str, Sequence[Any]] = {}
        self.largest_product = max(
            map(self._multiplications, entry.graph.nodes), default=0
        )
        self._inputs()
        for i, node in enumerate(entry.graph.nodes):
            if i == self.plan.commit:
                self._check_ahead()
            self._node(node)
        self._outputs()
        self.completed = [0]  # steps of this run
        self._rows = [
            (resolve(v.shape, sizes), v.dtype.numpy)
            for v in self.entry.graph.outputs[: self.entry.outputs]
        ]
        # What NumPy would warn of is found in the results. A context that is made once
        # is entered in far less time than np.errstate takes.
        self._quiet = contextvars.Context()
        self._quiet.run(np.seterr, all="ignore")
        if not within:
            self.line(f"{self.name(self.completed)}[0] = i + 1")
        body = "\n".join(f"        {line}" for line in self.lines) or "        pass"
        source = f"def run(steps):\n    for i in range(steps):\n{body}\n"
        exec(compile(source, f"<{entry.name}, {dict(sizes)}>", "exec"), self.scope)

    def run(
        self, inputs: Mapping[str, Array | Buffer], steps: int | None, threads: int
    ) -> list[Array]:
        """Run an entry point's Python function; outputs have a row for each step.

        ``threads``: of NumPy's matrix products; 0 leaves them as they are.
        """
        count = 1 if steps is None else steps
        outs = [np.empty((count, *shape), dtype) for shape, dtype in self._rows]
        arrays: list[Any] = []
        for name in self.entry.inputs:
            item = inputs[name]
            array: Any = item.data if type(item) is Buffer else item
            one_row = steps is None and name in self.entry.each
            arrays.append(array[None] if one_row else array)
        if not threads:
            self._quiet.run(self.execute, arrays, outs, count)
        else:
            with blas_threads(threads):
                self._quiet.run(self.execute, arrays, outs, count)
        return outs if steps is not None else [out[0, ...] for out in outs]

    def execute(self, inputs: Sequence[Any], outs: Sequence[Array], steps: int) -> None:
        """Run an entry point's Python function on ordered inputs; fill ``outs``."""
        scope = self.scope
        for k, array in enumerate(inputs):
            scope[f"in{k}"] = array
        for k, out in enumerate(outs):
            scope[f"out{k}"] = out
        scope["run"](steps)

    def inner(self, entry: Entry, state: dict[str, Array]) -> Function:
        """Return a loop body or branch, a nested graph, as a Python function."""
        function = Function(_in_loops(entry), state, set(), self.sizes, within=True)
        self.largest_product = max(self.largest_product, function.largest_product)
        return function

    # -- the writer that lowerings use -------------------------------------------

    def name(self, item: Any) -> str:
        """Return a name for an object in a generated Python function."""
        name = f"k{len(self.scope)}"
        self.scope[name] = item
        return name

    def line(self, text: str) -> None:
        """Append a statement to a generated Python function."""
        self.lines.append(text)

    def turn(self, name: str) -> str:
        """Return an array's transpose as a name in a generated Python function."""
        known = self.scope.get(name)
        return f"{name}.T" if known is None else self.name(known.T)

    def is_transposed(self, name: str) -> bool:
        """Return whether a named array of a generated function is stored transposed."""
        known = self.scope.get(name)
        return known is not None and not known.flags.c_contiguous

    # -- values --------------------------------------------------------------------

    def _multiplications(self, node: Node) -> int:
        if node.primitive is not dot_general:
            return 0
        d, shapes = parse_dims(node.attrs["dims"]), [v.shape for v in node.inputs]
        letters = dict(zip(d.lhs, shapes[0])) | dict(zip(d.rhs, shapes[1]))
        return math.prod(resolve(tuple(letters.values()), self.sizes))

    def _bytes(self, value: Value) -> int:
        count = size_of(resolve(value.shape, self.sizes))
        assert isinstance(count, int)
        return count * value.dtype.itemsize

    def _buffer(self, value: Value) -> Array:
        if value in self.plan.state_of:
            return self.state[self.plan.state_of[value]]
        if value in self.placed:
            return self.placed[value]
        start = self.plan.offsets[value]
        raw = self.arena[start : start + self._bytes(value)]
        line = raw.view(value.dtype.numpy)
        return shaped(line, value, value in self.transposed, self.sizes)

    def _place(self, values: Sequence[Value]) -> None:
        """Allocate the arrays of computed values next to each other in memory."""
        plan = self.plan
        for v in values:
            computed = v.node is not None and plan.root[v] is v
            if not computed or v in plan.state_of or v in self.placed:
                return
        transposed = [v in self.transposed for v in values]
        self.placed |= zip(values, allocate(values, transposed, self.sizes))

    def _fix(self, value: Value, array: Array) -> str:
        """Assign a fixed array to a graph value; return its name in generated code."""
        self.fixed[value] = array
        self.names[value] = name = f"v{len(self.names)}"
        self.scope[name] = array
        return name

    def _inputs(self) -> None:
        entry = self.entry
        arguments = entry.graph.inputs[: len(entry.inputs)]
        for k, (name, value) in enumerate(zip(entry.inputs, arguments, strict=True)):
            self.names[value] = f"in{k}"
            if name in entry.each:
                self.names[value] = f"row{k}"
                self.line(f"row{k} = in{k}[i, ...]")
        for value in entry.graph.inputs[len(entry.inputs) :]:
            self._fix(value, self._buffer(value))

    def _outputs(self) -> None:
        graph = self.entry.graph
        for k, value in enumerate(graph.outputs[: self.entry.outputs]):
            self.line(f"out{k}[i, ...] = {self.names[value]}")
        for value, name in self.plan.copies:
            self.line(f"copyto({self.name(self.state[name])}, {self.names[value]})")

    # -- nodes ---------------------------------------------------------------------

    def _check_ahead(self) -> None:
        """Write Python checks of later run-time conditions, before state changes."""
        for condition in self.plan.checks:
            node, value = condition.node, condition.value
            assert value is not None
            if condition.rows is None:
                self._require(node.attrs, value)
            else:
                check, rows = self.name(check_indices), condition.rows
                name = node.primitive.name
                rows = resolve((rows,), self.sizes)[0]
                self.line(f"{check}({name!r}, {self.names[value]}, {rows})")

    def _require(self, message: Mapping[str, Any], holds: Value) -> None:
        check, keywords = self.name(VIEWS[require]), self.name(message)
        self.line(f"{check}({self.names[holds]}, **{keywords})")

    def _memory(self, node: Node) -> list[Array]:
        """Allocate the arrays for a node's outputs on the NumPy engine."""
        outputs = [v for v in node.outputs if v is not None]
        for value in outputs:
            self._fix(value, self._buffer(value))
        return [self.fixed[value] for value in outputs]

    def _node(self, node: Node) -> None:
        primitive, body = node.primitive, loop_body(node)
        nested, out = NESTED.get(primitive), node.outputs[0]
        assert out is not None
        if body is not None:
            self._loop(node, body)
        elif primitive is horizontal_loop:
            self._horizontal_loop(node)
        elif nested is not None:
            run = self.name(nested(self, node, self._memory(node)))
            self.line(f"{run}({', '.join([self.names[v] for v in node.inputs])})")
        elif not node.inputs:  # numbers, counts and sizes
            result = REFERENCES[primitive](**attrs_at(node, self.sizes))
            self._fix(out, np.asarray(result))
        elif self.plan.root[out] is not out:
            self._view(node, attrs_at(node, self.sizes))
        elif primitive in UFUNCS:
            operands = [self._operand(v) for v in node.inputs]
            operands.append(f"out={self._fix(out, self._buffer(out))}")
            self.line(f"{self.name(UFUNCS[primitive])}({', '.join(operands)})")
        else:
            self._plain(node, attrs_at(node, self.sizes))

    def _plain(self, node: Node, attrs: dict[str, Any]) -> None:
        """Write Python statements for a node: its lowering, or its NumPy reference."""
        ins = [self.names[v] for v in node.inputs]
        if len(node.outputs) == 1:
            self._memory(node)
            (out,) = [self.names[v] for v in node.outputs if v is not None]
            lower = LOWERINGS.get(node.primitive, reference)
            lower(self, Node(node.primitive, node.inputs, attrs), ins, out)
            return
        result, call = self.name(None), self.name(REFERENCES[node.primitive])
        self.line(f"{result} = {call}({', '.join([*ins, f'**{self.name(attrs)}'])})")
        for k, array in enumerate(self._memory(node)):
            self.line(f"copyto({self.name(array)}, {result}[{k}])")

    def _operand(self, value: Value) -> str:
        """Return an operand's name for a NumPy ufunc, which broadcasts by itself."""
        while value.node is not None and value.node.primitive is broadcast_to:
            value = value.node.inputs[0]
        return self.names[value]

    def _view(self, node: Node, attrs: dict[str, Any]) -> None:
        (source, *condition), (out,) = node.inputs, node.outputs
        assert out is not None
        if condition:  # of require
            self._require(attrs, condition[0])
            self.names[out] = self.names[source]
            if source in self.fixed:
                self.fixed[out] = self.fixed[source]
            return
        function: Callable[..., Array] = VIEWS[node.primitive]
        if source in self.fixed:
            self._fix(out, function(self.fixed[source], **attrs))
            return
        self.names[out] = name = f"v{len(self.names)}"
        call, keywords = self.name(function), self.name(attrs)
        self.line(f"{name} = {call}({self.names[source]}, **{keywords})")

    def _loop(self, node: Node, body: Graph) -> None:
        """Write a fused elementwise node as a Python loop over cache-sized pieces."""
        operands = [self.fixed.get(v, self.names[v]) for v in node.inputs]
        shapes = [v.shape for v in (*body.outputs, *body.inputs) if v.shape]
        shape = resolve(shapes[0] if shapes else (), self.sizes)
        targets, sums = self._memory(node), partial_sums_of(node)
        loops.emit_loop(self, body, shape, operands, targets, sums)

    def _horizontal_loop(self, node: Node) -> None:
        """Write a ``horizontal_loop`` node as one loop over its members' arrays."""
        self._memory(node)
        members = members_of(node)
        operands: list[Array | str] = []
        for values in zip(*[inputs for inputs, _ in members], strict=True):
            if values[0].shape == ():
                operands.append(self.fixed.get(values[0], self.names[values[0]]))
                continue
            line, apart = as_line([self.fixed[v] for v in values])
            for part, array in apart:
                self.line(f"copyto({self.name(part)}, {self.name(array)})")
            operands.append(line)
        results = [
            as_line([self.fixed[v] for v in values])
            for values in zip(*[outputs for _, outputs in members], strict=True)
        ]
        targets = [line for line, _ in results]
        sums = (0,) * len(targets)
        shape = targets[0].shape
        loops.emit_loop(self, line_body(node), shape, operands, targets, sums)
        for _, apart in results:
            for part, array in apart:
                self.line(f"copyto({self.name(array)}, {self.name(part)})")

    # -- what loops write to -------------------------------------------------------

    def scratch(self, index: int, length: int, dtype: np.dtype[Any]) -> Array:
        """Return a temporary array for one piece of an elementwise loop."""
        if index == len(self._scratch):
            self._scratch.append(np.empty(loops.CACHE, np.uint8))
        return self._scratch[index][: length * dtype.itemsize].view(dtype)

    @contextmanager
    def repeated(self) -> Generator[None]:
        """Write a block's statements as a Python loop over the items of ``each``."""
        outer, self.lines, self._each = self.lines, [], {}
        yield
        inner, self.lines, each = self.lines, outer, self._each
        rounds = list(zip(*each.values(), strict=True))
        if len(rounds) == 1:
            self.scope |= zip(each, rounds[0], strict=True)
            self.lines += inner
        else:
            self.line(f"for {', '.join(each)}, in {self.name(rounds)}:")
            self.lines += [f"    {line}" for line in inner]

    def each(self, items: Sequence[Any]) -> str:
        """Return a variable that takes each item in turn in a ``repeated`` loop."""
        name = self.name(None)
        self._each[name] = items
        return name
