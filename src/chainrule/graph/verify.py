"""The verifier of graphs: checks of the rules that every graph must obey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, cast

from chainrule.errors import ChainruleError, GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Node, Value
from chainrule.graph.primitive import Primitive
from chainrule.graph.types import ArrayType, DType, SymbolicDim
from chainrule.text import _

_ATOMS = (bool, int, float, str, DType, SymbolicDim)


def verify(graph: Graph) -> None:
    """Check that a computation graph is well formed: types, order, distinct values.

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
    actual: Sequence[ArrayType | None],
) -> tuple[str, str] | None:
    """Compare a primitive's expected and actual result types; return both if unequal.

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
            _("{name} does not take these inputs and attributes.", name=primitive.name),
            expected=_("the inputs and attributes that its rule names"),
            got=f"{attrs}; {type(error).__name__}: {error}",
        ) from error
    got = ", ".join(map(str, actual))
    # In text too: a shape of (True,) or (1.0,) equals (1,) and is none.
    if ruled == tuple(actual) and expected == got:
        return None
    return expected or _("none"), got or _("none")


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
            self.single(_("the list of inputs holds"), value)
        for position, node in enumerate(graph.nodes):
            self.node(
                _("node {position}, {node},", position=position, node=_describe(node)),
                node,
            )
        for i, value in enumerate(graph.outputs):
            if value not in self.known:
                problem = _("output {i} is computed by no node of it.", i=i)
                self.fail(problem, _("an input, or the output of a node"), repr(value))

    def node(self, at: str, node: Node) -> None:
        for i, value in enumerate(node.inputs):
            if value not in self.known:
                self.fail(
                    _("{at} reads a value that nothing computed before it.", at=at),
                    _("inputs of the graph and outputs of earlier nodes"),
                    _("{value!r} as input {i}", value=value, i=i),
                )
        for text in (node.scope, node.role, node.source or ""):
            if not isinstance(cast("Any", text), str):
                problem = _("{at} has an origin that is no text.", at=at)
                self.fail(problem, _("str for scope, role and source"), repr(text))
        for key, item in node.attrs.items():
            self.attribute(_("{at} has an attribute {key!r}", at=at, key=key), item)
        self.types(at, node)
        for i, value in enumerate(node.outputs):
            assert value is not None  # its type was right
            if value.node is not node or value.index != i:
                problem = _("{at} gives a value that another node computes.", at=at)
                got = _("{value!r} as output {i}", value=value, i=i)
                self.fail(problem, _("one producer for every value"), got)
            self.single(_("{at} gives", at=at), value)

    def single(self, where: str, value: Value) -> None:
        """Note a value as defined in a graph; raise an error if it already is."""
        if value in self.known:
            self.fail(
                _("{where} one value twice.", where=where),
                _("distinct values"),
                repr(value),
            )
        if value.array is not None:
            expected = _("types alone; numbers come in by constants and inputs")
            self.fail(
                _("{where} a value that carries numbers.", where=where),
                expected,
                repr(value),
            )
        self.known.add(value)

    def types(self, at: str, node: Node) -> None:
        inputs = [v.type for v in node.inputs]
        actual = [None if v is None else v.type for v in node.outputs]
        try:
            problem = type_mismatch(node.primitive, inputs, node.attrs, actual)
        except ChainruleError as error:
            raise GraphError(
                _(
                    "In graph {name!r}, {at} is refused by its rule: {what}",
                    name=self.graph.name,
                    at=at,
                    what=error.what,
                ),
                expected=error.expected,
                got=error.got,
                fix=error.fix or _("copy node.attrs where a pass makes the node anew"),
            ) from error
        narrow = any(v.dtype is DType.bfloat16 for v in node.inputs)
        if narrow and not node.primitive.moves:
            self.fail(
                _("{at} computes with bfloat16.", at=at),
                _("float32, converted from bfloat16 and its result back"),
                ", ".join(map(str, inputs)),
            )
        if problem:
            self.fail(
                _("{at} has outputs that its rule does not give.", at=at), *problem
            )

    def attribute(self, where: str, item: Any) -> None:
        if isinstance(item, tuple):
            for part in cast("tuple[Any, ...]", item):
                self.attribute(where, part)
        elif isinstance(item, Graph):
            _Check(item, self.done).run()
        elif not isinstance(item, str) and type(item) not in _ATOMS:
            self.fail(
                _("{where} of a kind that has no text form.", where=where),
                _(
                    "a bool, int, float, str, DType, SymbolicDim, Graph or tuple "
                    "of these"
                ),
                _("{item!r}, of type {kind}", item=item, kind=type(item).__name__),
            )

    def fail(self, problem: str, expected: str, got: str) -> NoReturn:
        raise GraphError(
            _("In graph {name!r}, {problem}", name=self.graph.name, problem=problem),
            expected=expected,
            got=got,
            fix=_(
                "look at the pass or the function that made it; print(graph) shows it"
            ),
        )


def _describe(node: Node) -> str:
    origin = " ".join(str(part) for part in (node.role, node.source) if part)
    scope = _(" in {scope!r}", scope=node.scope) if node.scope else ""
    return f"{node.primitive.name}{scope} ({origin})"
