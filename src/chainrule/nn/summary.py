"""The summary of a network: layers, output shapes, parameters, operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chainrule.composites import control
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.graph.types import ArrayType, DType, Shape, resolve, size_of
from chainrule.nn.forward_trace import N, input_rows, traced_forward
from chainrule.nn.module import Module, Parameter
from chainrule.nn.traced import ModuleCall, calls_of
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
from chainrule.text import _, ngettext
from chainrule.text.tables import text_table
from chainrule.util import validation
from chainrule.util.keywords import strict


@dataclass(frozen=True)
class Layer:
    """One row of a network's summary: a call of a module, or one that is not called.

    Attributes:
        path: the module's name within the model, such as ``encoder.0``.
        kind: its class.
        depth: how many calls it is within, that of the model left out.
        input: the shapes of what it is given, with N for the number of samples; with
            the dtype where that is not float32.
        output: the same of what it gives; empty where it gives no tensor.
        reused: whether its own tensors were all in a row above: numbers count once.
        parameters: numbers in its own parameters, those of modules inside left out.
        buffers: numbers in its other tensors (running statistics).
        mult_adds: multiply–adds of products and convolutions a sample.
        flops: floating-point operations a sample; see :func:`summary`.
    """

    path: str
    kind: str
    depth: int
    input: str
    output: str
    reused: bool
    parameters: int
    buffers: int
    mult_adds: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """The summary of a network, shown as a table of its layers.

    Attributes:
        model: the class of the model.
        input: the shape of the input, with N for the number of samples.
        layers: one row a call of a module, in the order in which they began; then the
            modules that are not called.
        parameters: numbers in all parameters, each once.
        trainable: those of them that have gradients.
        buffers: numbers in all other tensors.
        bytes: memory of the parameters.
        mult_adds: multiply–adds of products and convolutions a sample.
        flops: floating-point operations a sample.
    """

    model: str
    input: str
    layers: tuple[Layer, ...]
    parameters: int
    trainable: int
    buffers: int
    bytes: int
    mult_adds: int
    flops: int

    def to_dict(self) -> dict[str, Any]:
        """Return the network's summary as JSON-able numbers and texts."""
        return {**asdict(self), "layers": [asdict(layer) for layer in self.layers]}

    def _table(self) -> list[list[str]]:
        buffers = any(layer.buffers for layer in self.layers)
        head = ["layer", "class", "input", "output", "parameters", "buffers", "FLOPs"]
        table, above = [head], [""]
        for row in self.layers:
            del above[row.depth + 1 :]  # names are those within the call around
            name = row.path.removeprefix(f"{above[-1]}.") if row.depth else row.path
            above.append(row.path)
            counts = [f"{n:,}" for n in (row.parameters, row.buffers, row.flops)]
            if row.reused:
                counts[0] = _("(reused)")
            cells = ["  " * row.depth + name, row.kind, row.input, row.output]
            table.append(cells + counts)
        return table if buffers else [[*row[:5], row[6]] for row in table]

    def _totals(self) -> str:
        parts: list[str] = [
            ngettext("{n:,} parameter", "{n:,} parameters", n=self.parameters)
        ]
        if self.trainable != self.parameters:
            parts.append(_("{trainable:,} of them trainable", trainable=self.trainable))
        if self.buffers:
            parts.append(
                ngettext(
                    "{n:,} number in a buffer",
                    "{n:,} numbers in buffers",
                    n=self.buffers,
                )
            )
        parts += [
            _bytes(self.bytes),
            _("{n:,} multiply–adds a sample", n=self.mult_adds),
            _("{flops:,} FLOPs a sample", flops=self.flops),
        ]
        return ", ".join(parts)

    def __repr__(self) -> str:
        lines = text_table(self._table(), left=4)
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

    A module that is called twice has two rows; modules within a module stand below it.

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
    layer  class   input   output  parameters  FLOPs
    0      Linear  (N, 4)  (N, 8)          40     72
    1      ReLU    (N, 8)  (N, 8)           0      8
    2      Linear  (N, 8)  (N, 2)          18     34
    58 parameters, 232 bytes, 48 multiply–adds a sample, 114 FLOPs a sample
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
        mult_adds=sum(layer.mult_adds for layer in layers),
        flops=sum(layer.flops for layer in layers),
    )


def _shown(rows: Mapping[str, ArrayType]) -> str:
    """Return the types of a model's inputs as text."""
    shapes = {
        k.removeprefix("x."): _type((N, *row.shape), row.dtype)
        for k, row in rows.items()
    }
    if len(shapes) == 1:
        return next(iter(shapes.values()))
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _type(shape: Shape, dtype: DType) -> str:
    """Return a shape as text, with the dtype where that is not float32."""
    return show(shape) if dtype is DType.float32 else f"{show(shape)} {dtype.name}"


def _types(tensors: Iterable[Tensor]) -> str:
    return ", ".join(_type(t.shape, t.dtype) for t in tensors)


def _layers(model: Module, names: Any, rows: Mapping[str, ArrayType]) -> list[Layer]:
    """Return the summary's rows: calls as they began, then modules without one.

    The model's own row is left out where it has neither tensors nor work of its own; so
    are modules without calls that only contain others. A tensor counts once.
    """
    calls, traced = traced_forward(model, names, rows, calls_of)
    work = _work(traced.entry.graph, calls)
    seen: set[int] = set()
    met: set[int] = set()
    layers: list[Layer] = []

    def add(path: str, module: Module, depth: int, call: ModuleCall | None) -> None:
        own = [t for t in module.__dict__.values() if isinstance(t, Tensor)]
        fresh = [t for t in own if id(t) not in seen]
        mult_adds, flops = work.get(id(call), (0, 0)) if call else (0, 0)
        again = bool(own) and not fresh
        seen.update(map(id, own))
        met.add(id(module))
        leaf = not any(module.named_children())
        if not (fresh or flops or leaf or (call and path)):
            return
        layers.append(
            Layer(
                path=path or "(model)",
                kind=type(module).__name__,
                depth=max(depth, 0),
                input=_types(call.inputs) if call else "",
                output=_types(call.outputs) if call else "",
                reused=again,
                parameters=_count(t for t in fresh if isinstance(t, Parameter)),
                buffers=_count(t for t in fresh if not isinstance(t, Parameter)),
                mult_adds=mult_adds,
                flops=flops,
            )
        )

    for call in calls:
        add(call.path, call.module, call.depth - 1, call)
    for path, module in model.named_modules():
        if id(module) not in met:
            add(path, module, 0, None)
    return layers


def _work(graph: Graph, calls: Sequence[ModuleCall]) -> dict[int, tuple[int, int]]:
    """Count one sample's multiply–adds and FLOPs in a graph, by the call of a module.

    Args:
        graph: of a prediction.
        calls: of modules.
    """
    by_scope = {id(call.scope): call for call in calls}
    by_path = {str(call.scope): call for call in reversed(calls)}
    work: dict[int, tuple[int, int]] = {}
    for node in graph.nodes:
        scope, call = node.scope, by_scope.get(id(node.scope))
        while call is None:  # a scope within a module belongs to it
            call = by_path.get(str(scope))
            scope = scope.rpartition(".")[0]
        mult_adds, flops = work.get(id(call), (0, 0))
        work[id(call)] = mult_adds + _flops(node, products=True), flops + _flops(node)
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


def _flops(node: Node, *, products: bool = False) -> int:
    """Count a graph node's FLOPs of one sample, or multiply–adds of ``products``."""
    primitive, attrs = node.primitive, node.attrs
    if primitive in BODIES:
        body = BODIES[primitive]([v.type for v in node.inputs], attrs)
        return sum(_flops(inner, products=products) for inner in body.nodes)
    if primitive is control.scan:
        steps = int(resolve(attrs["length"], {"N": 1}))
        inner = attrs["body"].nodes
        return steps * sum(_flops(part, products=products) for part in inner)
    if products:
        is_product = primitive in (matmul.dot_general, conv.conv)
        return _multiply_adds(node) if is_product else 0
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
    return ngettext("{n} byte", "{n} bytes", n=count)
