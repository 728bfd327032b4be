"""Run programs with NumPy: straight-line Python over buffers planned once.

For each entry point and each N the graph becomes one Python function whose statements
are calls such as ``add(v1, v2, v3)`` with the output as last argument. Every buffer and
every view is made when the function is written, so a step allocates (almost) nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.engines.numpy.lower import (
    GLOBALS,
    LOWERINGS,
    UFUNCS,
    VIEWS,
    reference,
)
from chainrule.engines.plan import (
    Plan,
    elementwise_body,
    make_plan,
    scalar_broadcast,
)
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import Region
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import resolve, size_of
from chainrule.passes import prepare

#: Elements that an elementwise region works on at a time: its operands and
#: temporaries then stay in the second-level cache.
BLOCK = 16384


class NumpyExecutable:
    """A program on the NumPy engine.

    Attributes:
        engine: ``"numpy"``.
        seconds_compile: time spent on passes and plans so far.
    """

    engine = "numpy"

    def __init__(self, program: Program) -> None:
        started = time.perf_counter()
        self.state = {
            name: np.zeros(resolve(t.shape, None), t.dtype.numpy)
            for name, t in program.state.items()
        }
        self.entries = {
            name: entry.with_graph(prepare(entry.graph, keep=_one_loop))
            for name, entry in program.entries.items()
        }
        self._functions: dict[tuple[str, int | None], _Function] = {}
        self.seconds_compile = time.perf_counter() - started

    def write(self, name: str, array: Array) -> None:
        """Set a state."""
        np.copyto(self.state[name], array)

    def read(self, name: str) -> Array:
        """A copy of a state."""
        return self.state[name].copy()

    def run(
        self, entry: str, inputs: Mapping[str, Array], *, steps: int, n: int | None
    ) -> list[Array]:
        """Run an entry point ``steps`` times; every output has ``steps`` rows."""
        key = (entry, n)
        if key not in self._functions:
            started = time.perf_counter()
            self._functions[key] = _Function(self.entries[entry], self.state, n)
            self.seconds_compile += time.perf_counter() - started
        return self._functions[key].run(inputs, steps)


def _one_loop(node: Node) -> bool:
    return elementwise_body(node.primitive, [v.type for v in node.inputs], node.attrs)


def _is_view(node: Node, root: dict[Value, Value]) -> bool:
    name = node.primitive.name
    if name != "reshape":
        return name in VIEWS
    # A reshape shows the same memory only if its source is whole and in order.
    source = node.inputs[0]
    while source.node is not None and source.node.primitive.name == "reshape":
        source = source.node.inputs[0]
    return root[source] is source


def _in_place(node: Node, old: Value, new: Value) -> bool:
    if old.type != new.type:
        return False
    if node.primitive.name in UFUNCS:
        return True
    return isinstance(node.primitive, Region) and _one_loop(node)


class _Function:
    """One entry point for one N, as a Python function."""

    def __init__(self, entry: Entry, state: dict[str, Array], n: int | None) -> None:
        self.state, self.n = state, n
        self.scope: dict[str, Any] = dict(GLOBALS)
        self.lines: list[str] = []
        self.plan: Plan = make_plan(
            entry, is_view=_is_view, in_place=_in_place, size=self._bytes
        )
        self.entry = entry = self.plan.entry
        self.arena = np.zeros(self.plan.arena + 64, np.uint8)
        skew = -self.arena.ctypes.data % 64
        self.arena = self.arena[skew:]
        self.names: dict[Value, str] = {}
        self.fixed: dict[Value, Array] = {}
        self.scratch: dict[tuple[int, Any], Array] = {}
        self._inputs()
        for node in entry.graph.nodes:
            self._node(node)
        self._outputs()
        body = "\n".join(f"        {line}" for line in self.lines) or "        pass"
        source = f"def run(steps):\n    for i in range(steps):\n{body}\n"
        exec(compile(source, f"<{entry.name}, N={n}>", "exec"), self.scope)

    def run(self, inputs: Mapping[str, Array], steps: int) -> list[Array]:
        for k, name in enumerate(self.entry.inputs):
            self.scope[f"in{k}"] = inputs[name]
        outs = [
            np.empty((steps, *resolve(v.shape, self.n)), v.dtype.numpy)
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

    # -- values --------------------------------------------------------------------

    def _bytes(self, value: Value) -> int:
        count = size_of(resolve(value.shape, self.n))
        assert isinstance(count, int)
        return count * value.dtype.itemsize

    def _buffer(self, value: Value) -> Array:
        if value in self.plan.state_of:
            return self.state[self.plan.state_of[value]]
        start = self.plan.offsets[value]
        raw = self.arena[start : start + self._bytes(value)]
        return raw.view(value.dtype.numpy).reshape(resolve(value.shape, self.n))

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
        name = node.primitive.name
        attrs = {k: resolve(a, self.n) for k, a in node.attrs.items()}
        outputs = [v for v in node.outputs if v is not None]
        if name in ("constant", "iota", "size"):
            made = node.primitive.reference(**attrs)
            self._fix(outputs[0], np.asarray(made))
            return
        if self.plan.root[outputs[0]] is not outputs[0]:
            self._view(node, attrs)
            return
        bound = Node(node.primitive, node.inputs, attrs)
        if name in UFUNCS:
            out = self._fix(outputs[0], self._buffer(outputs[0]))
            operands = [self._operand(v) for v in node.inputs]
            self.line(f"{self.name(UFUNCS[name])}({', '.join(operands)}, out={out})")
        elif isinstance(node.primitive, Region):
            for v in outputs:
                self._fix(v, self._buffer(v))
            self._region(node, outputs)
        elif len(outputs) == 1:
            ins = [self.names[v] for v in node.inputs]
            out = self._fix(outputs[0], self._buffer(outputs[0]))
            lower = LOWERINGS.get(name, reference)
            lower(self, bound, ins, out)
        else:
            ins = [self.names[v] for v in node.inputs]
            made = self.name(None)
            call = self.name(node.primitive.reference)
            arguments = ", ".join([*ins, f"**{self.name(attrs)}"])
            self.line(f"{made} = {call}({arguments})")
            for k, v in enumerate(outputs):
                self.line(f"copyto({self._fix(v, self._buffer(v))}, {made}[{k}])")

    def _operand(self, value: Value) -> str:
        """A ufunc repeats its operands itself: give it what is repeated."""
        while value.node is not None and value.node.primitive.name == "broadcast_to":
            value = value.node.inputs[0]
        return self.names[value]

    def _view(self, node: Node, attrs: dict[str, Any]) -> None:
        (source,), (out,) = node.inputs, node.outputs
        assert out is not None
        function = VIEWS[node.primitive.name]
        if source in self.fixed:
            self._fix(out, function(self.fixed[source], **attrs))
            return
        self.names[out] = name = f"v{len(self.names)}"
        call, keywords = self.name(function), self.name(attrs)
        self.line(f"{name} = {call}({self.names[source]}, **{keywords})")

    # -- elementwise regions ---------------------------------------------------------

    def _region(self, node: Node, outputs: list[Value]) -> None:
        """The body, block after block, so that everything stays in cache."""
        body = prepare(
            node.primitive.body([v.type for v in node.inputs], node.attrs)  # type: ignore[attr-defined]
        )
        shape = resolve(outputs[0].shape, self.n)
        total = size_of(shape)
        assert isinstance(total, int)
        block = max(BLOCK, -(-total // 64))
        flat: dict[Value, Array | str] = {}
        for inner, outer in zip(body.inputs, node.inputs, strict=True):
            known = self.fixed.get(outer)
            if known is None or (outer.shape != () and not known.flags.c_contiguous):
                copy = self.name(
                    np.empty(resolve(outer.shape, self.n), outer.dtype.numpy)
                )
                self.line(f"copyto({copy}, {self.names[outer]})")
                known = self.scope[copy]
            flat[inner] = known if outer.shape == () else known.reshape(-1)
        targets = dict(
            zip(body.outputs, (self.fixed[v].reshape(-1) for v in outputs), strict=True)
        )
        for start in range(0, total, block):
            self._block(body, flat, targets, slice(start, min(start + block, total)))

    def _block(
        self,
        body: Graph,
        flat: Mapping[Value, Any],
        targets: dict[Value, Array],
        part: slice,
    ) -> None:
        """One block of an elementwise body, with temporaries reused as they die."""
        last = {v: i for i, node in enumerate(body.nodes) for v in node.inputs}
        names: dict[Value, str] = {
            v: self.name(a if a.ndim == 0 else a[part]) for v, a in flat.items()
        }
        length = part.stop - part.start
        free: list[Array] = []
        owned: dict[Value, Array] = {}
        late: list[tuple[str, str]] = []
        scratch = 0
        for i, node in enumerate(body.nodes):
            (out,) = node.outputs
            assert out is not None
            if node.primitive.name == "constant":
                names[out] = self.name(node.primitive.reference(**node.attrs))
                continue
            if scalar_broadcast(node):
                names[out] = names[node.inputs[0]]
                continue
            dying = [
                owned.pop(v)
                for v in dict.fromkeys(node.inputs)
                if last[v] == i and v in owned and v not in targets
            ]
            if node.primitive.name in UFUNCS:  # may write over its operands
                free += dying
                dying = []
            if out in targets and _writable(body, targets[out], flat, i):
                array = targets[out][part]
            elif out.shape == ():
                array = np.empty((), out.dtype.numpy)
            else:
                fit = [a for a in free if a.dtype == out.dtype.numpy]
                if fit:
                    array = fit[-1]
                    free[:] = [a for a in free if a is not array]
                else:
                    array = self._scratch(scratch, length, out)
                    scratch += 1
                owned[out] = array
            names[out] = self.name(array)
            if out in targets and out in owned:
                late.append((self.name(targets[out][part]), names[out]))
            operands = [names[v] for v in node.inputs]
            if node.primitive.name in UFUNCS:
                ufunc = self.name(UFUNCS[node.primitive.name])
                self.line(f"{ufunc}({', '.join(operands)}, out={names[out]})")
            else:
                inner = Node(node.primitive, node.inputs, node.attrs)
                LOWERINGS.get(node.primitive.name, reference)(
                    self, inner, operands, names[out]
                )
            free += dying
        for target, source in late:
            self.line(f"copyto({target}, {source})")

    def _scratch(self, index: int, length: int, like: Value) -> Array:
        key = (index, like.dtype)
        if key not in self.scratch or len(self.scratch[key]) < length:
            self.scratch[key] = np.empty(max(length, BLOCK), like.dtype.numpy)
        return self.scratch[key][:length]


def _writable(body: Graph, target: Array, flat: Mapping[Value, Array], at: int) -> bool:
    """Whether no node after ``at`` reads the memory of ``target`` as an input."""
    later = {v for node in body.nodes[at + 1 :] for v in node.inputs}
    return not any(v in later and np.shares_memory(flat[v], target) for v in flat)
