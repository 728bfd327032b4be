"""The summary of a network: layers, output shapes, parameters, operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.composites import control
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.graph.types import ArrayType, resolve, size_of
from chainrule.nn.forward_trace import N, input_rows, traced_forward
from chainrule.nn.module import Module, Parameter
from chainrule.primitives import (
    conv,
    elementwise,
    indexing,
    matmul,
    movement,
    reduce,
    windows,
)
from chainrule.primitives.matmul import parse_dims
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.text.tables import text_table
from chainrule.util import validation
from chainrule.util.keywords import strict


@dataclass(frozen=True)
class Layer:
    """One row of a network's summary: a layer, its shape, parameters and operations.

    Attributes:
        path: the module's name within the model, such as ``encoder.0``.
        kind: its class.
        output: the shape of what it gives, with N for the number of samples; empty
            where it gives no tensor.
        parameters: numbers in its own parameters, those of modules inside left out.
        buffers: numbers in its other tensors (running statistics).
        flops: floating-point operations a sample; see :func:`summary`.
    """

    path: str
    kind: str
    output: str
    parameters: int
    buffers: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """The summary of a network, shown as a table of its layers.

    Attributes:
        model: the class of the model.
        input: the shape of the input, with N for the number of samples.
        layers: one row a module, in the order in which they ran.
        parameters: numbers in all parameters, each once.
        trainable: those of them that have gradients.
        buffers: numbers in all other tensors.
        bytes: memory of the parameters.
        flops: floating-point operations a sample.
    """

    model: str
    input: str
    layers: tuple[Layer, ...]
    parameters: int
    trainable: int
    buffers: int
    bytes: int
    flops: int

    def to_dict(self) -> dict[str, Any]:
        """Return the network's summary as JSON-able numbers and texts."""
        return {**asdict(self), "layers": [asdict(layer) for layer in self.layers]}

    def _table(self) -> list[list[str]]:
        buffers = any(layer.buffers for layer in self.layers)
        head = ["layer", "class", "output", "parameters", "buffers", "FLOPs"]
        table = [head]
        for row in self.layers:
            counts = (row.parameters, row.buffers, row.flops)
            table.append([row.path, row.kind, row.output, *(f"{n:,}" for n in counts)])
        return table if buffers else [[*row[:4], row[5]] for row in table]

    def _totals(self) -> str:
        parts = [_("{parameters:,} parameters", parameters=self.parameters)]
        if self.trainable != self.parameters:
            parts.append(_("{trainable:,} of them trainable", trainable=self.trainable))
        if self.buffers:
            parts.append(_("{buffers:,} numbers in buffers", buffers=self.buffers))
        parts += [_bytes(self.bytes), _("{flops:,} FLOPs a sample", flops=self.flops)]
        return ", ".join(parts)

    def __repr__(self) -> str:
        lines = text_table(self._table(), left=3)
        title = _("{model} on {input}", model=self.model, input=self.input)
        return "\n".join([title, *lines, self._totals()])

    def _repr_html_(self) -> str:
        from chainrule.html import views  # which notebooks alone need

        title = _("{model} on {input}", model=self.model, input=self.input)
        shown = views.table(self._table(), left=True)
        last = views.paragraph(self._totals())
        return views.view(views.paragraph(title), shown, last)


@strict
def summary(model: Module, data: Any) -> Summary:
    """Summarise a model: layers, output shapes, parameters, operations per sample.

    The model is traced, not run: nothing is computed, and no weight is needed.

    Args:
        model: the network.
        data: the shape of one sample, such as ``(784,)`` or ``784``; or something that
            has rows: an array, a tensor, a ``Dataset`` or a ``Stream``. Of several
            inputs a dictionary of these by name.

    FLOPs are counted in the graph of a prediction, for one sample: a product or
    convolution counts 2 for each multiply–add, an elementwise operation 1 for each
    number that it makes (comparisons, and functions such as exp, too), a sum or maximum
    1 for each number that it takes, for each window that it is in; moving, looking up
    and converting count nothing. Softmax, layer norm and their like are opened and
    counted the same way.

    Raises:
        ArgumentError: no module, or neither a shape nor rows.
        ShapeError: rows that do not fit the model, named by its first layer.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> cr.summary(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), (4,))
    Sequential on (N, 4)
    layer  class   output  parameters  FLOPs
    0      Linear  (N, 8)          40     72
    1      ReLU    (N, 8)           0      8
    2      Linear  (N, 2)          18     34
    58 parameters, 232 bytes, 114 FLOPs a sample
    """
    validation.instance("model", model, Module, "nn.Sequential(nn.Linear(4, 2))")
    names, rows = input_rows(model, data, "cr.summary(model, {x})")
    layers = _layers(model, names, rows)
    every = [t for __, t in model._named_state()]
    parameters = [t for t in every if isinstance(t, Parameter)]
    return Summary(
        model=type(model).__name__,
        input=_shown(rows),
        layers=tuple(layers),
        parameters=_count(parameters),
        trainable=_count(p for p in parameters if p.requires_grad),
        buffers=_count(every) - _count(parameters),
        bytes=sum(_count([p]) * p.dtype.itemsize for p in parameters),
        flops=sum(layer.flops for layer in layers),
    )


def _shown(rows: Mapping[str, ArrayType]) -> str:
    """Return the shapes of a model's inputs as text."""
    shapes = {k.removeprefix("x."): show((N, *row.shape)) for k, row in rows.items()}
    if len(shapes) == 1:
        return next(iter(shapes.values()))
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _layers(model: Module, names: Any, rows: Mapping[str, ArrayType]) -> list[Layer]:
    """Return the summary's rows: modules in the order of their calls, then the others.

    A module that only contains others, and has neither tensors nor work of its own,
    is left out; a tensor counts for the first module that has it.
    """
    captures, traced = traced_forward(model, names, rows)
    graph = traced.entry.graph
    shapes = {h.path: show(h.output.shape) for h in reversed(captures)}
    modules = _modules(model)
    paths = {path: path for path in modules} | {h.scope: h.path for h in captures}
    work = _work(graph, paths)
    seen: set[int] = set()
    layers: list[Layer] = []
    for path in dict.fromkeys([*(h.path for h in captures), *modules]):
        module = modules[path]
        own = [t for t in module.__dict__.values() if isinstance(t, Tensor)]
        fresh = [t for t in own if id(t) not in seen]
        seen |= {id(t) for t in fresh}
        if fresh or work.get(path) or not any(module.named_children()):
            layers.append(
                Layer(
                    path=path or "(model)",
                    kind=type(module).__name__,
                    output=shapes.get(path, ""),
                    parameters=_count(t for t in fresh if isinstance(t, Parameter)),
                    buffers=_count(t for t in fresh if not isinstance(t, Parameter)),
                    flops=work.get(path, 0),
                )
            )
    return layers


def _modules(model: Module) -> dict[str, Module]:
    first: dict[int, str] = {}
    named = dict(model.named_modules())
    for path, module in named.items():
        first.setdefault(id(module), path)
    return {path: named[path] for path in first.values()}


def _work(graph: Graph, modules: Mapping[str, str]) -> dict[str, int]:
    """Count the floating-point operations of one sample in a graph, by module.

    Args:
        graph: of a prediction.
        modules: paths of modules by the scopes of their nodes.
    """
    work: dict[str, int] = {}
    for node in graph.nodes:
        scope = node.scope
        while scope not in modules:  # a scope within a module belongs to it
            scope = scope.rpartition(".")[0]
        path = modules[scope]
        work[path] = work.get(path, 0) + _flops(node)
    return work


#: Primitives whose work is an operation for each element of their input.
_READ_ONCE = (
    movement.reduce_sum,
    reduce.reduce_max,
    reduce.reduce_prod,
    reduce.argmax,
    reduce.argmin,
)
#: As many operations for each place as their window has elements.
_WINDOWS = (windows.window_sum, windows.window_max)


def _flops(node: Node) -> int:
    primitive, attrs = node.primitive, node.attrs
    if primitive in BODIES:
        body = BODIES[primitive]([v.type for v in node.inputs], attrs)
        return sum(map(_flops, body.nodes))
    if primitive is control.scan:
        steps = int(resolve(attrs["length"], {"N": 1}))
        return steps * sum(map(_flops, attrs["body"].nodes))
    inputs = [_size(v) for v in node.inputs]
    outputs = [_size(v) for v in node.outputs if v]
    if primitive in (matmul.dot_general, conv.conv):
        return 2 * _multiply_adds(node)
    if primitive in _READ_ONCE:
        return inputs[0]
    if primitive in _WINDOWS:
        return outputs[0] * math.prod(attrs["window"])
    if primitive is indexing.scatter_add:
        return inputs[2]
    return (
        sum(outputs)
        if primitive.elementwise and primitive is not elementwise.convert
        else 0
    )


def _multiply_adds(node: Node) -> int:
    """Count the multiply-adds of a matrix product's or convolution's graph node.

    The spatial axes of a convolution count twice: outputs and windows. Where zeros
    stand between inputs, in a transposed one, inputs count and not outputs.
    """
    dims = parse_dims(node.attrs["dims"])
    out = node.outputs[0]
    assert out is not None
    sizes: dict[str, Any] = {}
    for letters, value in (
        (dims.lhs, node.inputs[0]),
        (dims.rhs, node.inputs[1]),
        (dims.out, out),
    ):
        sizes |= zip(letters, value.shape)  # spatial axes: the output's sizes stay
    for axis, gap in zip(dims.window, node.attrs.get("lhs_dilation", ())):
        if gap > 1:
            sizes[axis] = node.inputs[0].shape[dims.lhs.index(axis)]
    windows = [d for d, a in zip(node.inputs[1].shape, dims.rhs) if a in dims.window]
    return math.prod(resolve((*sizes.values(), *windows), {"N": 1}))


def _size(value: Value) -> int:
    return int(resolve(size_of(value.shape), {"N": 1}))


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(int(t.size) for t in tensors)


def _bytes(count: int) -> str:
    """Format a number of bytes as text, such as ``1.2 MB``.

    >>> _bytes(232), _bytes(436_000)
    ('232 bytes', '436.0 kB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return _("{count} bytes", count=count)
