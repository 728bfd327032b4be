"""The parts of a network, read off its graph and off its numbers on some rows."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.composites import activations, losses
from chainrule.doctor.weights import PRODUCTS, Fan, fans
from chainrule.engines.schedule.work import flops
from chainrule.graph.context import no_grad
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import Sizes
from chainrule.interop.onnx.reader.steps import Step
from chainrule.nn import Module
from chainrule.nn.traced import outputs_of
from chainrule.primitives import conv, creation, elementwise, movement
from chainrule.tensor import Tensor
from chainrule.text import _, joined
from chainrule.training.entries import Entries
from chainrule.util.pytree import mapped

#: Activations by the names of what computes them.
RELU, SIGMOID, TANH, SOFTMAX = "relu", "sigmoid", "tanh", "softmax"
SQUASHING = (SIGMOID, TANH)
#: What applies a softmax or a sigmoid itself.
APPLYING = (
    losses.cross_entropy,
    losses.soft_cross_entropy,
    losses.binary_cross_entropy,
    activations.log_softmax,
    activations.softmax,
    activations.sigmoid,
)
#: Primitives that are linear in the one input that depends on the data.
_BILINEAR = (*PRODUCTS, elementwise.mul, elementwise.div)
_ADDING = (elementwise.add, elementwise.sub)


def maker(value: Value, handed: Mapping[Value, Value] | None = None) -> Node | None:
    """Return the node that computed a value, behind reshapes and conversions.

    Args:
        value: of a graph.
        handed: values that stand for others, if there are some.
    """
    handed = handed or {}
    while (node := (value := handed.get(value, value)).node) is not None:
        passes = node.primitive.view or node.primitive is elementwise.convert
        if not passes or not node.inputs:
            return node
        value = node.inputs[0]
    return None


def kind_of(node: Node | None) -> str:
    """Return what a node computes: its primitive's name; ``relu`` for max(x, 0)."""
    if node is None:
        return ""
    if node.primitive is elementwise.maximum and any(map(_is_zero, node.inputs)):
        return RELU
    return node.primitive.name


def _own(path: str, node: Node | None) -> Node | None:
    """Return a node if a module made it, and did not merely hand it on."""
    if node is None or not path:
        return node
    inside = node.scope == path or node.scope.startswith(f"{path}.")
    return node if inside else None


def _is_zero(value: Value) -> bool:
    """Return whether a value is 0 everywhere, as the graph says."""
    node = value.node
    while node is not None and node.primitive is movement.broadcast_to:
        node = node.inputs[0].node
    if node is None or node.primitive is not creation.constant:
        return False
    return not any(node.attrs["value"])


@dataclass(frozen=True)
class Layer:
    """One module's output within the network's graph.

    Attributes:
        path: the module.
        kind: what computed its output: see :func:`kind_of`; "" where it hands on what
            another module gave, as dropout does in prediction.
        simple: whether the module has neither parameters nor modules inside.
        parameters: whether it has parameters of its own.
    """

    path: str
    kind: str
    simple: bool
    parameters: bool


@dataclass(frozen=True)
class Network:
    """A network as its graph shows it.

    Attributes:
        graph: of a prediction.
        output: the value that the loss gets; None for several outputs.
        end: the node that computed it, behind reshapes.
        layers: the outputs of its modules, in order.
        products: how many products with weights lie one behind another at most.
        linear: whether the output is a linear function of the input.
        fans: of weights of products that are not of the library's layers, by name.
        windows: the shape of a row, channels first, that a convolution reads first.
    """

    graph: Graph
    output: Value | None
    end: Node | None
    layers: tuple[Layer, ...]
    products: int
    linear: bool
    fans: Mapping[str, Fan]
    windows: tuple[int, ...] | None = None

    @property
    def end_kind(self) -> str:
        """The kind of operation that computes the output: see :func:`kind_of`."""
        return kind_of(self.end)

    def where(self) -> str:
        """Return the module that computes the output, with the source line."""
        if self.end is None:
            return ""
        return place(self.end)

    def activations(self, *kinds: str) -> list[Layer]:
        """Return the modules that are nothing but one of these activations."""
        return [x for x in self.layers if x.simple and x.kind in kinds]

    def hidden(self, *kinds: str) -> list[Layer]:
        """Return these activations but for the one that the network ends in."""
        found = self.activations(*kinds)
        return found[:-1] if self.end_kind in kinds else found


def place(node: Node) -> str:
    """Return where a node comes from: operation, module, source line."""
    parts = [node.primitive.name]
    if node.scope:
        parts.append(_("in '{module}'", module=node.scope))
    if node.source:
        parts.append(_("at {source}", source=node.source))
    return joined(" ", parts)


def read(entries: Entries, kinds: Any, dtypes: Any) -> Network:
    """Trace a model's prediction and read what it is made of."""
    model = entries.model
    with outputs_of(model) as heard:
        graph = entries.predict(kinds, dtypes).entry.graph
    modules = dict(model.named_modules())
    several = len(graph.outputs) != 1
    output = None if several else graph.outputs[0]
    layers = [
        Layer(
            h.path,
            kind_of(_own(h.path, maker(h.output.value))),
            not any(modules[h.path].named_children())
            and not any(modules[h.path].named_tensors())
            and not _is_weighted(modules[h.path]),
            any("." not in n for n, __ in modules[h.path].named_parameters())
            or _is_weighted(modules[h.path]),
        )
        for h in heard
        if h.path in modules
    ]
    data = [v for v in graph.inputs if v.name in kinds.types_of(kinds.x)]
    depth, linear = _depth(graph, data)
    return Network(
        graph,
        output,
        None if output is None else maker(output),
        tuple(layers),
        depth,
        linear,
        fans(graph, model),
        _windows(graph, data),
    )


def _windows(graph: Graph, data: list[Value]) -> tuple[int, ...] | None:
    """Return the shape of a row, channels first, that the first convolution reads.

    None where there is none, or where something else than a reshape is in front.
    """
    for node in graph.nodes:
        if node.primitive is not conv.conv:
            continue
        value = node.inputs[0]
        shape = value.shape[1:]
        while value.node is not None:
            if not (value.node.primitive.view or _passes(value.node)):
                return None
            value = value.node.inputs[0]
        first = str(node.attrs["dims"]).startswith("nc0") and value in data
        sizes = tuple(size for size in shape if isinstance(size, int))
        return sizes if first and len(sizes) == len(shape) else None
    return None


def _passes(node: Node) -> bool:
    return node.primitive is elementwise.convert


def _is_weighted(module: Module) -> bool:
    """Return whether a module is a node of a file with weights that others hold."""
    return isinstance(module, Step) and module.weighted


def _depth(graph: Graph, data: list[Value]) -> tuple[int, bool]:
    """Return how many products follow each other, and whether all of it is linear."""
    depth: dict[Value, int] = dict.fromkeys(data, 0)
    linear = True
    for node in graph.nodes:
        reached = [v for v in node.inputs if v in depth]
        if not reached:
            continue
        p = node.primitive
        goes_on = p.view or p.linear or p is elementwise.convert or p in _ADDING
        goes_on = goes_on or (
            p in _BILINEAR
            and len(reached) == 1
            and node.inputs[-1] not in (reached if p is elementwise.div else ())
        )
        linear = linear and goes_on
        here = max(depth[v] for v in reached) + (p in PRODUCTS)
        for v in node.outputs:
            if v is not None:
                depth[v] = here
    return max((depth.get(v, 0) for v in graph.outputs), default=0), linear


def graphs_within(node: Node) -> Iterator[Graph]:
    """Yield the graphs of a node's attributes, such as the body of a scan."""
    for attr in node.attrs.values():
        if isinstance(attr, Graph):
            yield attr


def cost(graph: Graph, sizes: Sizes) -> float:
    """Return about how many FLOPs a graph takes, loops included."""
    total = 0.0
    for node in graph.nodes:
        inner = sum(cost(body, sizes) for body in graphs_within(node))
        length = node.attrs.get("length", 1)
        total += inner * (length if isinstance(length, int) else 1)
        if not inner:
            total += flops(node, sizes)
    return total


def seen(model: Module, x: Any) -> dict[str, Array]:
    """Return the outputs of a model's modules on rows x, as in prediction, by path."""
    model.eval()
    with no_grad(), np.errstate(all="ignore"), outputs_of(model) as heard:
        model(x)
    found: dict[str, Array] = {}
    for h in heard:
        if h.output.dtype.is_float and h.output.ndim:
            found.setdefault(h.path, h.output.numpy())
    return found


@dataclass(frozen=True)
class Apart(Entries):
    """The entry points of a program whose loss does not see what made the outputs.

    A loss of the library refuses the output of an activation that it applies itself.
    Here it is traced all the same.

    Attributes:
        handed: the values that the loss is given, each with the output it stands for.
    """

    handed: dict[Value, Value] = field(default_factory=dict[Value, Value])

    def call(self, x: Any) -> Any:
        """Call the model; return copies of its outputs."""

        def handed(output: Tensor) -> Tensor:
            given = output * 1
            self.handed[given.value] = output.value
            return given

        return mapped(handed, super().call(x))


def twice(graph: Graph, handed: Mapping[Value, Value]) -> tuple[Node, Node] | None:
    """Return a softmax or sigmoid within a loss, and the same one in front of it.

    A loss of one's own shows in the graph: a node that applies the activation itself
    and reads, behind reshapes, the output of that activation.

    Args:
        graph: of an evaluation.
        handed: see :class:`Apart`.
    """
    for node in graph.nodes:
        if not node.scope.startswith("loss"):
            continue
        if node.primitive not in APPLYING or not node.inputs:
            continue
        before = maker(node.inputs[0], handed)
        if before is None or before.role != "forward":
            continue
        binary = node.primitive in (losses.binary_cross_entropy, activations.sigmoid)
        if kind_of(before) == (SIGMOID if binary else SOFTMAX):
            return node, before
    return None


def spread_out(
    graph: Graph, handed: Mapping[Value, Value], targets: Container[str]
) -> Node | None:
    """Return the operation of a loss that sets each output against each target.

    Outputs (N, 1) and targets (N,) stretch to (N, N), where N rows were to be compared.

    Args:
        graph: of an evaluation.
        handed: see :class:`Apart`.
        targets: the names of its inputs that are targets.
    """
    reached = {"output": set[Value](handed), "target": set[Value]()}
    reached["target"] |= {v for v in graph.inputs if v.name and v.name in targets}
    for node in graph.nodes:
        if not node.scope.startswith("loss"):
            continue
        operands = [
            {name for name, values in reached.items() if v in values}
            for v in node.inputs
        ]
        stretched = [
            v.node is not None
            and v.node.primitive is movement.broadcast_to
            and v.node.inputs[0].shape != v.shape
            for v in node.inputs
        ]
        if sorted(map(sorted, operands)) == [["output"], ["target"]]:
            rows = [size for size in node.inputs[0].shape if not isinstance(size, int)]
            if all(stretched) and len(rows) != len(set(rows)):
                return node
        for names in operands:
            for name in names:
                reached[name].update(v for v in node.outputs if v is not None)
    return None


def dead_share(outputs: Array) -> float:
    """Return the share of units, or of channels, that are 0 for all rows."""
    if outputs.ndim > 2:
        outputs = np.moveaxis(outputs, 1, -1)
        outputs = outputs.reshape(-1, outputs.shape[-1])
    return float((outputs <= 0).all(0).mean())
