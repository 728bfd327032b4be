"""The rules of the graph, checked: what every pass may rely on and must keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, cast

from chainrule.errors import ChainruleError, GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import ArrayType, DType, SymbolicDim

_ATOMS = (bool, int, float, str, DType, SymbolicDim)


def verify(graph: Graph) -> None:
    """Check that ``graph`` is in order.

    - Inputs are distinct, and no value carries numbers.
    - A node reads inputs of the graph and outputs of earlier nodes alone.
    - Every value has one producer, and its type is what that node's rule says.
    - Attributes are of the kinds that the text form knows; scope and role are text.
    - The outputs exist.
    - The graphs in attributes (bodies of loops) are in order too.

    Raises:
        GraphError: naming the node and the rule that it breaks.
    """
    _Check(graph, {}).run()


def type_mismatch(
    primitive: Primitive,
    inputs: Sequence[ArrayType],
    attrs: dict[str, Any],
    given: Sequence[ArrayType | None],
) -> tuple[str, str] | None:
    """The rule's types of the results and those given, in text, where they differ.

    A rule trusts that its attributes are of the right kind; here nothing is trusted, so
    whatever it trips over is refused.
    """
    try:
        ruled = primitive.output_types(inputs, attrs)
        expected = ", ".join(map(str, ruled))
    except ChainruleError:
        raise
    except Exception as error:
        raise GraphError(
            f"{primitive.name} does not take these inputs and attributes.",
            expected="the inputs and attributes that its rule names",
            got=f"{attrs}; {type(error).__name__}: {error}",
        ) from error
    got = ", ".join(map(str, given))
    # In text too: a shape of (True,) or (1.0,) equals (1,) and is none.
    if ruled == tuple(given) and expected == got:
        return None
    return expected or "none", got or "none"


class _Check:
    def __init__(self, graph: Graph, done: dict[int, Graph]) -> None:
        self.graph, self.done = graph, done
        self.known: set[Value] = set()

    def run(self) -> None:
        graph = self.graph
        if id(graph) in self.done:
            return
        self.done[id(graph)] = graph  # kept, so that the id stays its own
        for value in graph.inputs:
            self.single("the list of inputs holds", value)
        for position, node in enumerate(graph.nodes):
            self.node(f"node {position}, {_describe(node)},", node)
        for i, value in enumerate(graph.outputs):
            if value not in self.known:
                problem = f"output {i} is computed by no node of it."
                self.fail(problem, "an input, or the output of a node", repr(value))

    def node(self, at: str, node: Node) -> None:
        for i, value in enumerate(node.inputs):
            if value not in self.known:
                self.fail(
                    f"{at} reads a value that nothing computed before it.",
                    "inputs of the graph and outputs of earlier nodes",
                    f"{value!r} as input {i}",
                )
        for text in (node.scope, node.role, node.source or ""):
            if not isinstance(cast("Any", text), str):
                problem = f"{at} has an origin that is no text."
                self.fail(problem, "str for scope, role and source", repr(text))
        for key, item in node.attrs.items():
            self.attribute(f"{at} has an attribute {key!r}", item)
        self.types(at, node)
        for i, value in enumerate(node.outputs):
            assert value is not None  # its type was right
            if value.node is not node or value.index != i:
                problem = f"{at} gives a value that another node computes."
                got = f"{value!r} as output {i}"
                self.fail(problem, "one producer for every value", got)
            self.single(f"{at} gives", value)

    def single(self, where: str, value: Value) -> None:
        """Add a value to the known ones; it must be new and without numbers."""
        if value in self.known:
            self.fail(f"{where} one value twice.", "distinct values", repr(value))
        if value.array is not None:
            expected = "types alone; numbers come in by constants and inputs"
            self.fail(f"{where} a value that carries numbers.", expected, repr(value))
        self.known.add(value)

    def types(self, at: str, node: Node) -> None:
        inputs = [v.type for v in node.inputs]
        given = [None if v is None else v.type for v in node.outputs]
        try:
            problem = type_mismatch(node.primitive, inputs, node.attrs, given)
        except ChainruleError as error:
            what = f"In graph {self.graph.name!r}, {at} is refused by its rule:"
            raise GraphError(
                f"{what} {error.what}",
                expected=error.expected,
                got=error.got,
                fix=error.fix or "copy node.attrs where a pass makes the node anew",
            ) from error
        if problem:
            self.fail(f"{at} has outputs that its rule does not give.", *problem)

    def attribute(self, where: str, item: Any) -> None:
        if isinstance(item, tuple):
            for part in cast("tuple[Any, ...]", item):
                self.attribute(where, part)
        elif isinstance(item, Graph):
            _Check(item, self.done).run()
        elif type(item) not in _ATOMS:
            self.fail(
                f"{where} of a kind that has no text form.",
                "a bool, int, float, str, DType, SymbolicDim, Graph or tuple of these",
                f"{item!r}, of type {type(item).__name__}",
            )

    def fail(self, problem: str, expected: str, got: str) -> NoReturn:
        raise GraphError(
            f"In graph {self.graph.name!r}, {problem}",
            expected=expected,
            got=got,
            fix="look at the pass or the function that made it; print(graph) shows it",
        )


def _describe(node: Node) -> str:
    origin = " ".join(str(part) for part in (node.role, node.source) if part)
    scope = f" in {node.scope!r}" if node.scope else ""
    return f"{node.primitive.name}{scope} ({origin})"
