"""The class of graphs: inputs, outputs, and the nodes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from chainrule.graph.node import Node, Value
from chainrule.graph.types import ArrayType, SymbolicDim
from chainrule.text import ngettext

if TYPE_CHECKING:
    from chainrule.diagrams.diagram import Diagram


class Graph:
    """A computation graph: inputs, outputs and the nodes that lead to the outputs.

    The nodes are found by walking back from the outputs, so what does not matter to
    them is not part of the graph. They stand in an order in which they can run.

    Attributes:
        name: what the graph computes (``train``, ``softmax``).
        inputs, outputs: values.
        nodes: in running order.
        retrace: makes the graph of the same function for inputs of other types; None
            for one that was traced for a single call.
    """

    def __init__(
        self, name: str, inputs: Sequence[Value], outputs: Sequence[Value]
    ) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.nodes = tuple(ancestors(self.outputs, stop=self.inputs))
        self.retrace: Callable[[Sequence[ArrayType]], Graph] | None = None

    @cached_property
    def symbolic(self) -> bool:
        """A flag that is true if a graph has symbolic sizes: names, not numbers."""
        return bool(self.size_names)

    @cached_property
    def size_names(self) -> tuple[str, ...]:
        """The sorted names of the symbolic sizes in a graph and its loop bodies."""
        names: set[str] = set()
        for value in self.values():
            names |= size_names(value.shape)
        for node in self.nodes:
            for attr in node.attrs.values():
                names |= size_names(attr)
        return tuple(sorted(names))

    def values(self) -> Iterable[Value]:
        """Yield every value of the graph: the inputs, then the outputs of each node."""
        yield from self.inputs
        for node in self.nodes:
            for value in node.outputs:
                if value is not None:
                    yield value

    def nodes_within(self) -> Iterator[Node]:
        """Yield every node of the graph, and of the bodies that its nodes have."""
        for node in self.nodes:
            yield node
            for attr in node.attrs.values():
                if isinstance(attr, Graph):
                    yield from attr.nodes_within()

    def __str__(self) -> str:
        from chainrule.graph.text_writer import to_text  # when a graph is printed

        return to_text(self)

    def __repr__(self) -> str:
        nodes = ngettext("{n} node", "{n} nodes", n=len(self.nodes))
        return f"<graph {self.name}: {nodes}>"

    def to_svg(self) -> str:
        """Return a picture of the graph as an ``<svg>`` element for an HTML page.

        Each operation is a box with its shape on the arrows, each module a frame; of a
        loop one step is drawn. In a large graph the deeper modules are one box each.

        Raises:
            ArgumentError: the package that lays it out is missing (the extra
                ``plot``), or there are too many operations to be read.

        >>> import chainrule as cr
        >>> double = cr.compile(lambda x: x * 2)
        >>> double.graph(cr.ones(3)).to_svg().count("<polyline")
        2
        """
        return self.diagram().to_svg()

    def to_mermaid(self) -> str:
        """Return a picture of the graph in the language of Mermaid, for Markdown.

        >>> import chainrule as cr
        >>> double = cr.compile(lambda x: x * 2)
        >>> print(double.graph(cr.ones(3)).to_mermaid(), end="")
        flowchart TD
          n0(["x"])
          n1["mul"]
          n2(["output"])
          n0 -->|"3"| n1
          n1 -->|"3"| n2
        """
        return self.diagram().to_mermaid()

    def diagram(self) -> Diagram:
        """Return the boxes and arrows that a picture of the graph consists of."""
        from chainrule.diagrams.reading import of_graph  # where a graph is drawn

        return of_graph(self)

    def _repr_html_(self) -> str:
        """Return a picture of the graph, and its text form, for a notebook."""
        from html import escape  # each import counts in that of the package

        from chainrule.diagrams.svg import figure

        text = f"<pre>{escape(str(self))}</pre>"
        picture = figure(self.diagram())
        name = escape(self.name)
        return f"{picture}<details><summary>{name}</summary>{text}</details>"


def size_names(item: object) -> set[str]:
    """Return the names of the symbolic sizes in a shape or an attribute."""
    if isinstance(item, SymbolicDim):
        return set(item.names)
    if isinstance(item, tuple):
        return {name for part in item for name in size_names(part)}  # pyright: ignore
    return set(item.size_names) if isinstance(item, Graph) else set()


def ancestors(
    roots: Iterable[Value], stop: Iterable[Value] = (), *, tracked: bool = False
) -> list[Node]:
    """Return the graph nodes that ``roots`` depend on, in execution order.

    The walk ends at the values of ``stop`` and at values without a node; ``tracked``:
    at those without a derivative too.
    """
    seen: dict[int, Node] = {}
    waiting, ends = list(roots), {id(v) for v in stop}
    while waiting:
        value = waiting.pop()
        node = value.node
        if node is None or id(node) in seen or id(value) in ends:
            continue
        if value.tracked or not tracked:
            seen[id(node)] = node
            waiting.extend(node.inputs)
    return sorted(seen.values(), key=lambda node: node.number)


def is_detached(node: Node) -> bool:
    """Return whether a node's results are detached from inputs with derivatives.

    So are those of ``detach()`` and of a block under ``no_grad``.
    """
    there = [v for v in node.outputs if v is not None]
    return any(v.tracked for v in node.inputs) and not any(v.tracked for v in there)


def tracked_ancestors(roots: Iterable[Value]) -> set[Node]:
    """Return the graph nodes through which the derivative of ``roots`` passes."""
    return set(ancestors(roots, tracked=True))


def users(graph: Graph) -> dict[Value, list[Node]]:
    """Return the nodes that read each value of a graph, in execution order."""
    readers: dict[Value, list[Node]] = {value: [] for value in graph.values()}
    for node in graph.nodes:
        for value in dict.fromkeys(node.inputs):
            readers.setdefault(value, []).append(node)
    return readers
