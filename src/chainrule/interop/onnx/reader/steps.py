"""The nodes of a file that are modules: its activations, and its products with weights.

So they are seen, probed and replaced as layers of our own are::

    model.node_softmax = nn.Identity()

A product is a module of its input alone; its weights stay where their names put them.
Where a bias is added to a product in a node of its own, that node ends the layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

from chainrule.interop.onnx.reader.graph import Graph, Node
from chainrule.nn.module import Module

#: Operators of one input that are activations of networks.
ACTIVATIONS = frozenset(
    (
        *("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Elu"),
        *("Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish", "Softplus", "Softsign"),
        *("Mish", "Swish", "ThresholdedRelu"),
    )
)
#: Operators of an input and weights.
PRODUCTS = frozenset(("Gemm", "MatMul", "Conv"))


class Step(Module):
    """A node of an ONNX file as a module of its one input that is computed.

    Args:
        node: it.
        held: the positions of inputs that the file holds → their numbers, when asked.

    Attributes:
        weighted: whether it is a layer with weights.
    """

    def __init__(
        self, node: Node, held: dict[int, str], numbers: Callable[[str], Any]
    ) -> None:
        self._node, self._held, self._numbers = node, held, numbers
        self.weighted = bool(held)

    def settings(self) -> dict[str, Any]:
        """Return the node's operator and its attributes."""
        return {"operator": self._node.op_type, **self._node.attributes}

    def __repr__(self) -> str:
        attributes = (f"{k}={v!r}" for k, v in self._node.attributes.items())
        return f"{self._node.op_type}({', '.join(attributes)})"

    def forward(self, x: Any) -> Any:
        """Compute the node's output from its input."""
        node = self._node
        inputs = [
            self._numbers(self._held[i]) if i in self._held else x if name else None
            for i, name in enumerate(node.inputs)
        ]
        assert node.operator is not None
        return node.operator(node, inputs, dict(node.attributes))


def steps(
    graph: Graph, weights: Collection[str]
) -> Iterator[tuple[Node, dict[int, str]]]:
    """Yield the nodes of a graph that are modules, with what they hold of weights.

    Args:
        graph: that of the file.
        weights: keys of numbers that are trained.
    """
    readers: Counter[str] = Counter()
    for node in graph.nodes:
        readers.update(node.read())
    readers.update(graph.outputs)
    alone = {name for name, count in readers.items() if count == 1}
    products: set[str] = set()
    for node in graph.nodes:
        if node.domain or node.operator is None or len(node.outputs) != 1:
            continue
        held = {
            i: graph.initial[name]
            for i, name in enumerate(node.inputs)
            if graph.initial.get(name) in weights
        }
        computed = [n for n in node.inputs if n and n not in graph.initial]
        if len(computed) != 1:
            continue
        if node.op_type in ACTIVATIONS and len(node.inputs) == 1:
            yield node, {}
        elif node.op_type in PRODUCTS and held:
            products.add(node.outputs[0])
            yield node, held
        elif node.op_type == "Add" and held and computed[0] in products & alone:
            yield node, held
