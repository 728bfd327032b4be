"""The function of a gradient check, at a point, as float64 graph nodes.

The function is traced, as it is for training: then its random draws are the same each
time, nothing that it writes to is changed, and every node knows its line. One that
looks at numbers (``if x.sum() > 0:``) is called instead, over and over, and its nodes
are those that an eager derivative walks over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.compilation.tracing import ProgramTrace
from chainrule.engines import load_engine
from chainrule.errors import ArgumentError, ChainruleError, GradientError
from chainrule.gradient_check.arguments import (
    Arguments,
    has_parameters,
    nothing_to_differentiate,
    outside,
)
from chainrule.graph.body import refuse_escaped
from chainrule.graph.context import no_grad, recording
from chainrule.graph.emit import emit, tracing
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.program import Entry, Program
from chainrule.graph.types import NO_SIZES, DType
from chainrule.passes.upcast import upcast, upcast_attrs
from chainrule.primitives.elementwise import convert
from chainrule.random import Generator, stream
from chainrule.tensor import Tensor, tensor, wrap
from chainrule.text import _
from chainrule.util.pytree import flatten

Function = Callable[..., Any]


@dataclass(frozen=True)
class Part:
    """An array that gradients are checked with respect to.

    Attributes:
        name: of the argument or of the parameter.
        value: where it enters the nodes.
        array: its numbers, in float64.
    """

    name: str
    value: Value
    array: Array


@dataclass(frozen=True)
class Subject:
    """A function to check at a point, as graph nodes that can be run again.

    Attributes:
        parts: what derivatives are taken with respect to.
        outputs: the floating-point values that it gives.
        nodes: what computes them, in running order.
        known: the numbers of what enters the nodes beside the parts.
        run: the outputs' numbers, from the parts' numbers.
        traced: whether the nodes are those of a trace.
    """

    parts: tuple[Part, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    known: dict[Value, Array]
    run: Callable[[Sequence[Array]], Sequence[Array]]
    traced: bool = True

    def at(self, k: int, array: Array) -> list[Array]:
        """Return a checked function's outputs for another array k; NaN if it fails."""
        arrays = [array if i == k else p.array for i, p in enumerate(self.parts)]
        try:
            with np.errstate(all="ignore"):
                return list(self.run(arrays))
        except ChainruleError:
            return [np.full(v.shape, np.nan) for v in self.outputs]  # type: ignore

    @cached_property
    def reached(self) -> dict[Value, int]:
        """The checked arrays that each graph value depends on, as a bit mask."""
        bits_of = {p.value: 1 << k for k, p in enumerate(self.parts)}
        for node in self.nodes:
            bits = 0
            for v in node.inputs:
                bits |= bits_of.get(v, 0)
            bits_of.update((v, bits) for v in node.outputs if v is not None)
        return bits_of


class FunctionCall:
    """A function with its arguments, to be traced for a gradient check.

    Args:
        function: what is checked.
        arguments: what it is called with.
        seed: of its random draws.
    """

    def __init__(self, function: Function, arguments: Arguments, seed: int) -> None:
        self.function, self.arguments, self.seed = function, arguments, seed
        self.chosen = arguments.differentiable()
        self.points = [arguments.leaves[i].numpy() for i in self.chosen]
        self.points = [a.astype(np.float64) for a in self.points]
        self.names = [arguments.names[i] for i in self.chosen]

    def subject(self) -> Subject:
        """Return a function as graph nodes, traced if possible, else run eagerly.

        Raises:
            ArgumentError: nothing to differentiate with respect to; a function that
                gives other numbers each time.
            GradientError: no floating-point result.
        """
        for arguments in (self.arguments, self.arguments.in_float32()):
            with suppress(ChainruleError):
                return self._traced(arguments)
        return self._called()  # eagerly there is an error as users know it

    def _call(self, arguments: Arguments, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the floating-point results of a call of the checked function."""
        chosen = dict(zip(self.chosen, tensors, strict=True))
        with stream(Generator(self.seed)), recording():
            leaves, __ = flatten(self.function(*arguments.with_leaves(chosen)))
        tensors_out = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        floats = [t for t in tensors_out if t.dtype.is_float]
        if not floats and not self.chosen:
            raise nothing_to_differentiate()
        if not floats:
            raise GradientError(
                _("The function gives nothing that has a derivative."),
                expected=_("a tensor of floating-point numbers, or several"),
                got=", ".join(_described(leaf) for leaf in leaves) or "None",
                fix=_("return the tensor before it is rounded, compared or counted"),
            )
        return floats

    # -- traced -----------------------------------------------------------------------

    def _traced(self, arguments: Arguments) -> Subject:
        trace = ProgramTrace("function", self._names_outside())
        leaves = (arguments.leaves[i] for i in self.chosen)
        values = [
            Value(None, t.shape, t.dtype, tracked=True, name=name)
            for t, name in zip(leaves, self.names)
        ]
        with tracing(trace):
            tensors = [wrap(v) for v in values]
            trace.arguments = {id(t): (t, n) for t, n in zip(tensors, self.names)}
            outputs = [t.value for t in self._call(arguments, tensors)]
            outputs = [v if v.array is None else trace.constant(v) for v in outputs]
            slots = trace.slots()
        state: dict[Value, Array] = {}
        parameters: dict[Value, tuple[str, Array]] = {}
        for name, (slot, value, __) in slots.items():
            tensor = slot.current()
            array = np.zeros(value.type.shape) if tensor is None else tensor.numpy()
            if slot.gradient or not slot.tensor.requires_grad:
                state[value] = array
            else:
                parameters[value] = name, array
        state |= {v: numbers.array for v, numbers in trace.captured()}  # type: ignore
        graph = Graph("function", [*values, *parameters, *state], outputs)
        refuse_escaped(graph)
        wide, new = upcast(graph, _record)
        entries = [*zip(self.names, values, self.points)]
        entries += [(name, v, array) for v, (name, array) in parameters.items()]
        parts = [Part(n, new[v], np.asarray(a, np.float64)) for n, v, a in entries]
        known = {new[v]: a.astype(new[v].dtype.numpy) for v, a in state.items()}
        run = _runner(wide, list(known.values()))
        return Subject(tuple(parts), wide.outputs, wide.nodes, known, run)

    def _names_outside(self) -> dict[int, str]:
        """Return names of the checked function's tensors, by the tensor's id."""
        items = dict(zip(self.arguments.names, self.arguments.leaves))
        items |= outside(self.function)
        modules = {k: v for k, v in items.items() if has_parameters(v)}
        names: dict[int, str] = {}
        for prefix, module in modules.items():
            for name, t in module.named_tensors(prefix if len(modules) > 1 else ""):
                names.setdefault(id(t), name)
        for name, item in items.items():
            if isinstance(item, Tensor):
                names.setdefault(id(item), name)
        return names

    # -- called -----------------------------------------------------------------------

    def _called(self) -> Subject:
        """Return a function run eagerly, with copies of its modules in float64."""
        arguments = self.arguments.in_float64()
        parameters = arguments.parameters()
        points = [*self.points, *(np.array(p.numpy()) for p in parameters.values())]
        state = [(b, np.array(b.numpy())) for b in arguments.buffers()]

        def call(arrays: Sequence[Array]) -> tuple[list[Tensor], list[Value]]:
            for buffer, array in state:
                buffer.copy_(array)
            tensors = [
                tensor(a, requires_grad=True) for a in arrays[: len(self.chosen)]
            ]
            with no_grad():
                for p, array in zip(parameters.values(), arrays[len(self.chosen) :]):
                    p.copy_(array)
            values = [t.value for t in (*tensors, *parameters.values())]
            return self._call(arguments, tensors), values

        def run(arrays: Sequence[Array]) -> Sequence[Array]:
            return [t.numpy() for t in call(arrays)[0]]

        floats, values = call(points)
        if not all(_same(t.numpy(), a) for t, a in zip(floats, run(points))):
            raise ArgumentError(
                _("The function gives other numbers each time it is called."),
                expected=_("one result for one point: random draws of cr's own"),
                got=_("two results at the same point"),
                fix=_(
                    "draw with cr.uniform, cr.normal or nn.Dropout, which repeat"
                    " themselves here, or draw before and pass the numbers"
                ),
            )
        parts = tuple(map(Part, (*self.names, *parameters), values, points))
        outputs = tuple([t.value for t in floats])
        nodes = tuple(ancestors(outputs, values, tracked=True))
        inside = {v for node in nodes for v in node.outputs} | set(values)
        entering = {v for node in nodes for v in node.inputs} | set(outputs)
        known = {v: v.array for v in entering - inside if v.array is not None}
        return Subject(parts, outputs, nodes, known, run, traced=False)


def _runner(
    graph: Graph, fixed: Sequence[Array]
) -> Callable[[Sequence[Array]], Sequence[Array]]:
    """Return a function that runs a graph with fixed last inputs (NumPy engine)."""
    names = tuple(f"in{i}" for i in range(len(graph.inputs)))
    outputs = len(graph.outputs)
    entry = Entry("function", graph, names, (), (), {}, outputs)
    engine = load_engine("numpy", Program({"function": entry}))

    def run(arrays: Sequence[Array]) -> Sequence[Array]:
        inputs = dict(zip(names, (*arrays, *fixed), strict=True))
        return engine.run("function", inputs, steps=None, sizes=NO_SIZES)

    return run


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)


def _described(leaf: Any) -> str:
    return leaf.dtype.name if isinstance(leaf, Tensor) else type(leaf).__name__


# -- in float64 -----------------------------------------------------------------------


def _record(node: Node, inputs: tuple[Value, ...]) -> Iterable[Value]:
    """Record a graph node in float64, keeping the function's roundings to float32."""
    if node.primitive is convert and _rounds(node):
        inputs = emit(convert, inputs, node.attrs, node)
    outputs = emit(node.primitive, inputs, upcast_attrs(node.attrs, _record), node)
    pairs = zip(outputs, node.outputs, strict=True)
    return [output for output, old in pairs if old is not None]


def _rounds(node: Node) -> bool:
    """Return whether a graph node converts float64 to float32."""
    narrow = node.attrs["dtype"] is DType.float32
    return narrow and node.inputs[0].dtype is DType.float64
