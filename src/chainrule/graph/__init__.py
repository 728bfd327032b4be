"""The graph: values, nodes, regions, programs, their text form and their verifier."""

from chainrule.graph.build import bind, no_grad, role, scope, trace
from chainrule.graph.declare import declare
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import evaluate
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Case, Primitive, registered
from chainrule.graph.types import ArrayType, DType, Size, as_dtype

__all__ = [
    "ArrayType",
    "Case",
    "DType",
    "Graph",
    "Node",
    "Primitive",
    "Size",
    "Value",
    "as_dtype",
    "bind",
    "declare",
    "evaluate",
    "no_grad",
    "registered",
    "role",
    "scope",
    "trace",
]
