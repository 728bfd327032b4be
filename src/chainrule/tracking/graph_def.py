"""A graph as the GraphDef that TensorBoard draws, in groups by role and module."""

from __future__ import annotations

import importlib
import re
from typing import Any

from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value


def graph_def(graph: Graph) -> Any:
    """Return a graph as a GraphDef: a node for each input and each operation.

    A node is called ``forward/encoder/0/matmul_7``: the role, the module that it comes
    from, the operation and its number. Sizes that are not known are -1, and other
    attributes are texts.
    """
    AttrValue = messages("attr_value").AttrValue
    TensorShapeProto = messages("tensor_shape").TensorShapeProto
    NodeDef = messages("node_def").NodeDef

    def shape(value: Value) -> Any:
        sizes = [s if isinstance(s, int) else -1 for s in value.shape]
        return TensorShapeProto(dim=[TensorShapeProto.Dim(size=s) for s in sizes])

    def made(name: str, op: str, inputs: list[str], values: Any, attrs: Any) -> Any:
        node = NodeDef(name=name, op=op, input=inputs)
        shapes = AttrValue.ListValue(shape=[shape(v) for v in values])
        node.attr["_output_shapes"].CopyFrom(AttrValue(list=shapes))
        for key, text in attrs.items():
            node.attr[key].CopyFrom(AttrValue(s=text[:1000].encode()))
        return node

    names: dict[int, str] = {}
    nodes: list[Any] = []
    for i, value in enumerate(graph.inputs):
        name = names[id(value)] = f"inputs/{_path(value.name or 'input')}_{i}"
        nodes.append(made(name, "Placeholder", [], [value], {"type": str(value.type)}))
    for i, node in enumerate(graph.nodes):
        name = _name(node, i)
        outputs = [v for v in node.outputs if v is not None]
        for j, value in enumerate(node.outputs):
            if value is not None:
                names[id(value)] = f"{name}:{j}" if j else name
        inputs = [names[id(v)] for v in node.inputs if id(v) in names]
        attrs = {k: str(v) for k, v in node.attrs.items()}
        attrs |= {} if node.source is None else {"source": node.source}
        nodes.append(made(name, node.primitive.name, inputs, outputs, attrs))
    versions = messages("versions").VersionDef(producer=22)
    return messages("graph").GraphDef(node=nodes, versions=versions)


def messages(name: str) -> Any:
    """Return a module of TensorBoard's messages, whose classes are made as it loads."""
    return importlib.import_module(f"tensorboard.compat.proto.{name}_pb2")


def _name(node: Node, number: int) -> str:
    parts = [node.role, node.scope and _path(node.scope)]
    return "/".join([*filter(None, parts), f"{node.primitive.name}_{number}"])


def _path(dotted: str) -> str:
    """Return a module's path as TensorBoard groups it: ``encoder/0``."""
    return re.sub(r"[^A-Za-z0-9_/-]", "_", dotted.replace(".", "/"))
