"""Run programs with NumPy: straight-line Python over buffers planned once.

For each entry point and all its sizes the graph becomes one Python function whose
statements are calls such as ``add(v1, v2, v3)`` with the output as last argument. Every
buffer and every view is made when the function is written, so a step allocates (almost)
nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.engines import Buffer, on_host
from chainrule.engines.memory_plan import MemoryPlan, make_plan
from chainrule.engines.numpy.lower import (
    GLOBALS,
    LOWERINGS,
    UFUNCS,
    VIEWS,
    reference,
)
from chainrule.engines.numpy.regions import (
    BLOCK,
    emit_region,
    find_groups,
    in_memory_order,
    side_by_side,
)
from chainrule.engines.schedule.maps import loop_body
from chainrule.engines.threads import (
    ONE_THREAD,
    blas_threads,
    blas_threads_for,
    checked,
)
from chainrule.engines.weights import weight_states, weight_values
from chainrule.graph.interpret import attrs_at
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES, REFERENCES
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import NO_SIZES, Sizes, resolve, size_of
from chainrule.passes import prepare
from chainrule.primitives.matmul import dot_general, parse_dims
from chainrule.primitives.movement import broadcast_to, reshape

#: Functions kept: one for each entry point and size, the oldest dropped first.
FUNCTIONS_AT_MOST = 16


class NumpyExecutable:
    """A program on the NumPy engine.

    Weights are held the other way round, as (inputs, outputs): see
    :mod:`chainrule.engines.weights`.

    Attributes:
        engine: ``"numpy"``.
        seconds_compile: time spent on passes and plans so far.
    """

    engine = "numpy"

    def __init__(self, program: Program, *, threads: int | None = None) -> None:
        started = time.perf_counter()
        self.threads = checked(threads)
        self.entries = {
            name: entry.with_graph(prepare(entry.graph, keep=_one_loop))
            for name, entry in program.entries.items()
        }
        self.weights = weight_states(self.entries.values())
        self.groups = {name: find_groups(e) for name, e in self.entries.items()}
        self.state: dict[str, Array] = {}
        for name, entry in self.entries.items():
            held = dict(zip(entry.graph.inputs[len(entry.inputs) :], entry.state))
            for group in self.groups[name]:
                for position in range(len(group[0].inputs)):
                    members = [node.inputs[position] for node in group]
                    if all(v in held and held[v] not in self.state for v in members):
                        arrays = allocate(
                            members, self._transposed(members, held), NO_SIZES
                        )
                        self.state |= zip((held[v] for v in members), arrays)
        for name, t in program.state.items():
            if name not in self.state:
                value = Value(None, t.shape, t.dtype)
                (self.state[name],) = allocate(
                    [value], [name in self.weights], NO_SIZES
                )
        self._functions: dict[tuple[str, tuple[int, ...]], Function] = {}
        self.seconds_compile = time.perf_counter() - started

    def _transposed(self, values: list[Value], held: dict[Value, str]) -> list[bool]:
        return [held[v] in self.weights for v in values]

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Take over an input."""
        return on_host(array)

    def write(self, name: str, array: Array) -> None:
        """Set a state."""
        np.copyto(self.state[name], array)

    def read(self, name: str) -> Array:
        """A copy of a state."""
        return self.state[name].copy()

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int,
        sizes: Sizes,
    ) -> list[Array]:
        """Run an entry point ``steps`` times; every output has ``steps`` rows."""
        key = (entry, tuple(sizes.values()))
        if key not in self._functions:
            started = time.perf_counter()
            if len(self._functions) >= FUNCTIONS_AT_MOST:
                self._functions.pop(next(iter(self._functions)))
            self._functions[key] = Function(
                self.entries[entry], self.state, self.weights, self.groups[entry], sizes
            )
            self.seconds_compile += time.perf_counter() - started
        function = self._functions[key]
        if function.largest_product <= ONE_THREAD:
            return function.run(inputs, steps)
        number = self.threads or blas_threads_for(function.largest_product)
        with blas_threads(number):
            return function.run(inputs, steps)


def allocate(
    values: Sequence[Value], transposed: Sequence[bool], sizes: Sizes
) -> list[Array]:
    """Zeros for values of one dtype, one after the other in memory."""
    lengths = [math.prod(resolve(v.shape, sizes)) for v in values]
    memory = np.zeros(sum(lengths), values[0].dtype.numpy)
    arrays: list[Array] = []
    at = 0
    for value, size, other_way in zip(values, lengths, transposed, strict=True):
        arrays.append(_shaped(memory[at : at + size], value, other_way, sizes))
        at += size
    return arrays


def _shaped(line: Array, value: Value, transposed: bool, sizes: Sizes) -> Array:
    shape = resolve(value.shape, sizes)
    return line.reshape(shape[::-1]).T if transposed else line.reshape(shape)


def _one_loop(node: Node) -> bool:
    return loop_body(node) is not None


def _is_view(node: Node, root: dict[Value, Value]) -> bool:
    if node.primitive is not reshape:
        return node.primitive.view
    # A reshape shows the same memory only if its source is whole and in order.
    source = node.inputs[0]
    while source.node is not None and source.node.primitive is reshape:
        source = source.node.inputs[0]
    return root[source] is source


def _in_place(node: Node, old: Value, new: Value) -> bool:
    if old.type != new.type:
        return False
    return node.primitive in UFUNCS or _one_loop(node)


class Function:
    """One entry point for one set of sizes, as a Python function."""

    def __init__(
        self,
        entry: Entry,
        state: dict[str, Array],
        weights: set[str],
        groups: list[list[Node]],
        sizes: Sizes,
    ) -> None:
        self.state, self.sizes = state, sizes
        self.scope: dict[str, Any] = dict(GLOBALS)
        self.lines: list[str] = []
        self.plan: MemoryPlan = make_plan(
            entry, is_view=_is_view, in_place=_in_place, size=self._bytes
        )
        self.entry = entry = self.plan.entry
        self.transposed = weight_values(entry, weights)
        self.placed: dict[Value, Array] = {}
        self.groups: dict[Node, list[Node]] = {}
        for group in groups:
            self._place_group(group)
        self.arena = np.zeros(self.plan.arena + 64, np.uint8)
        skew = -self.arena.ctypes.data % 64
        self.arena = self.arena[skew:]
        self.names: dict[Value, str] = {}
        self.fixed: dict[Value, Array] = {}
        self._scratch: dict[tuple[int, Any], Array] = {}
        self.largest_product = max(
            map(self._multiplications, entry.graph.nodes), default=0
        )
        self._inputs()
        for node in entry.graph.nodes:
            self._node(node)
        self._outputs()
        body = "\n".join(f"        {line}" for line in self.lines) or "        pass"
        source = f"def run(steps):\n    for i in range(steps):\n{body}\n"
        exec(compile(source, f"<{entry.name}, {dict(sizes)}>", "exec"), self.scope)

    def run(self, inputs: Mapping[str, Array | Buffer], steps: int) -> list[Array]:
        """Run ``steps`` times; every output has ``steps`` rows."""
        for k, name in enumerate(self.entry.inputs):
            given = inputs[name]
            self.scope[f"in{k}"] = given.held if type(given) is Buffer else given
        outs = [
            np.empty((steps, *resolve(v.shape, self.sizes)), v.dtype.numpy)
            for v in self.entry.graph.outputs[: self.entry.outputs]
        ]
        for k, out in enumerate(outs):
            self.scope[f"out{k}"] = out
        with np.errstate(all="ignore"):
            self.scope["run"](steps)
        return outs

    # -- the writer that lowerings use -------------------------------------------

    def name(self, item: Any) -> str:
        """A name for ``item`` within the function."""
        name = f"k{len(self.scope)}"
        self.scope[name] = item
        return name

    def line(self, text: str) -> None:
        """Add a statement."""
        self.lines.append(text)

    def turn(self, name: str) -> str:
        """A name for the transpose of what ``name`` stands for."""
        known = self.scope.get(name)
        return f"{name}.T" if known is None else self.name(known.T)

    def is_transposed(self, name: str) -> bool:
        """Whether ``name`` stands for a matrix that lies the other way round."""
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
        return _shaped(line, value, value in self.transposed, self.sizes)

    def _place_group(self, group: list[Node]) -> None:
        """Lay the operands of a group side by side, if its results replace state."""
        state_of = self.plan.state_of
        if not all(v in state_of for node in group for v in node.outputs):
            return
        placed: dict[Value, Array] = {}
        for position, value in enumerate(group[0].inputs):
            members = [node.inputs[position] for node in group]
            if value.shape == ():
                continue
            if value in state_of:
                if side_by_side([self.state[state_of[v]] for v in members]) is None:
                    return
            else:
                transposed = [v in self.transposed for v in members]
                placed |= zip(members, allocate(members, transposed, self.sizes))
        for position in range(len(group[0].outputs)):
            made = [node.outputs[position] for node in group]
            names = [state_of[v] for v in made if v is not None]
            if side_by_side([self.state[name] for name in names]) is None:
                return
        self.placed |= placed
        self.groups |= dict.fromkeys(group, group)

    def _fix(self, value: Value, array: Array) -> str:
        """Bind a value to memory that never moves."""
        self.fixed[value] = array
        self.names[value] = name = f"v{len(self.names)}"
        self.scope[name] = array
        return name

    def _inputs(self) -> None:
        entry = self.entry
        arguments = entry.graph.inputs[: len(entry.inputs)]
        for k, value in enumerate(arguments):
            self.names[value] = f"in{k}"
            if value.name in entry.each:
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

    def _node(self, node: Node) -> None:
        primitive = node.primitive
        attrs = attrs_at(node, self.sizes)
        outputs = [v for v in node.outputs if v is not None]
        if not node.inputs:  # numbers, counts and sizes
            made = REFERENCES[primitive](**attrs)
            self._fix(outputs[0], np.asarray(made))
            return
        if self.plan.root[outputs[0]] is not outputs[0]:
            self._view(node, attrs)
            return
        bound = Node(primitive, node.inputs, attrs)
        if primitive in UFUNCS:
            out = self._fix(outputs[0], self._buffer(outputs[0]))
            operands = [self._operand(v) for v in node.inputs]
            self.line(
                f"{self.name(UFUNCS[primitive])}({', '.join(operands)}, out={out})"
            )
        elif primitive in BODIES:
            for v in outputs:
                self._fix(v, self._buffer(v))
            self._region(node, outputs)
        elif len(outputs) == 1:
            ins = [self.names[v] for v in node.inputs]
            out = self._fix(outputs[0], self._buffer(outputs[0]))
            lower = LOWERINGS.get(primitive, reference)
            lower(self, bound, ins, out)
        else:
            ins = [self.names[v] for v in node.inputs]
            made = self.name(None)
            call = self.name(REFERENCES[primitive])
            arguments = ", ".join([*ins, f"**{self.name(attrs)}"])
            self.line(f"{made} = {call}({arguments})")
            for k, v in enumerate(outputs):
                self.line(f"copyto({self._fix(v, self._buffer(v))}, {made}[{k}])")

    def _operand(self, value: Value) -> str:
        """A ufunc repeats its operands itself: give it what is repeated."""
        while value.node is not None and value.node.primitive is broadcast_to:
            value = value.node.inputs[0]
        return self.names[value]

    def _view(self, node: Node, attrs: dict[str, Any]) -> None:
        (source, *condition), (out,) = node.inputs, node.outputs
        assert out is not None
        if condition:  # of require
            check, message = self.name(VIEWS[node.primitive]), self.name(attrs)
            self.line(f"{check}({self.names[condition[0]]}, **{message})")
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

    def _region(self, node: Node, outputs: list[Value]) -> None:
        """An elementwise region; the members of a group run with the last of them."""
        group = self.groups.get(node, [node])
        if node is not group[-1]:
            return
        operands: list[Any] = []
        for position, value in enumerate(node.inputs):
            if value.shape == ():
                operands.append(self.names[value])
            elif len(group) > 1:
                lines = [self.fixed[n.inputs[position]] for n in group]
                operands.append(side_by_side(lines))
            else:
                operands.append(self._line_of(value, outputs[0]))
        targets: list[Any] = []
        for position in range(len(outputs)):
            members = [n.outputs[position] for n in group]
            targets.append(side_by_side([self.fixed[v] for v in members if v]))
        emit_region(self, node, operands, targets)

    def _line_of(self, value: Value, like: Value) -> Array:
        """The elements of an operand in the memory order of ``like``."""
        known, target = self.fixed.get(value), self.fixed[like]
        fits = known is not None and (
            known.strides == target.strides or known.flags.c_contiguous
        )
        if (
            known is not None
            and fits
            and (like not in self.transposed or value in self.transposed)
        ):
            return in_memory_order(known)
        copy = np.empty_like(target, value.dtype.numpy)
        self.line(f"copyto({self.name(copy)}, {self.names[value]})")
        return in_memory_order(copy)

    def scratch(self, index: int, length: int, like: Value) -> Array:
        """A temporary for one block."""
        key = (index, like.dtype)
        if key not in self._scratch or len(self._scratch[key]) < length:
            self._scratch[key] = np.empty(max(length, BLOCK), like.dtype.numpy)
        return self._scratch[key][:length]
