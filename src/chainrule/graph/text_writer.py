"""The writer of a computation graph's text form (described in ``text.py``)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Protocol, cast, runtime_checkable

from chainrule.errors import GraphError
from chainrule.graph.node import Node, Value
from chainrule.graph.types import DType, SymbolicDim
from chainrule.text import _

#: A longer first line is broken, one input a line.
LINE = 88

WORD = re.compile(r"[\w.\-]+")
NUMBER = re.compile(r"[0-9]+")
SOURCE = re.compile(r"[\w./\-]+:[0-9]+")


@runtime_checkable
class Graph(Protocol):
    """The interface of a computation graph for the writer of its text form."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]

    def values(self) -> Iterable[Value]: ...


def to_text(graph: Graph) -> str:
    """Return the text form of a computation graph, for printing or parsing.

    >>> from chainrule.graph.graph import Graph
    >>> from chainrule.graph.types import DType
    >>> print(to_text(Graph("same", [Value(None, (3,), DType.float32, name="x")], [])))
    graph same(%x: f32[3]) {
      return
    }
    """
    writer = _Writer()
    main = writer.add(graph)
    return "\n\n".join(writer.blocks[name] for name in writer.reachable(main))


def quoted(text: str) -> str:
    """Return a string in quotes for a graph's text, unprintable characters escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def word(text: str) -> str:
    """Return a string for a graph's text: a bare word if possible, else in quotes."""
    return text if WORD.fullmatch(text) else quoted(text)


def input_name(name: str) -> str:
    """Return a graph input's name as printed: in quotes if it is a number."""
    return quoted(name) if NUMBER.fullmatch(name) else word(name)


def _unique(name: str, taken: Iterable[str]) -> str:
    count, candidate = 2, name
    while candidate in taken:
        candidate, count = f"{name}~{count}", count + 1
    return candidate


def value_names(graph: Graph) -> dict[Value, str]:
    """Return the names of a graph's values in the text form, without ``%``."""
    names: dict[Value, str] = {}
    taken: set[str] = set()
    number = 0
    for value in graph.values():
        if value in names:
            continue
        if value.name is not None and value.node is None:
            name = _unique(value.name, taken)
            taken.add(name)
            names[value] = input_name(name)
        else:
            number += 1
            names[value] = str(number)
    return names


class _Writer:
    """The writer of a graph's text form, one block for each graph in it."""

    def __init__(self) -> None:
        self.blocks: dict[str, str] = {}
        self.references: dict[str, list[str]] = {}
        self.known: dict[tuple[str, str], str] = {}
        self.taken: list[str] = []

    def add(self, graph: Graph) -> str:
        """Write a graph as a text block, unless it is there; return its name."""
        main = not self.taken
        if main:
            self.taken.append(graph.name)
        used: list[str] = []
        inside = self.inside(graph, used)
        if (graph.name, inside) in self.known:
            return self.known[graph.name, inside]
        name = graph.name if main else _unique(graph.name, self.taken)
        self.taken.append(name)
        self.blocks[name] = _("graph {name}{inside}", name=word(name), inside=inside)
        self.references[name] = used
        self.known[graph.name, inside] = name
        return name

    def reachable(self, main: str) -> list[str]:
        """Return the names of a text's graph blocks in the order of first mention."""
        order: list[str] = []
        waiting = [main]
        while waiting:
            name = waiting.pop()
            if name not in order:
                order.append(name)
                waiting += reversed(self.references[name])
        return order

    def inside(self, graph: Graph, used: list[str]) -> str:
        """Return a graph block's text after its name; list the graphs it refers to."""
        names = value_names(graph)
        missing: dict[Value, str] = {}

        def read(value: Value) -> str:
            # A value from nowhere: the verifier refuses it, but printing must show it.
            name = names.get(value) or missing.setdefault(value, f"?{len(missing)}")
            return f"%{name}"

        def typed(value: Value) -> str:
            return f"{read(value)}: {value.type}"

        inputs = [typed(v) for v in graph.inputs]
        head = f"({', '.join(inputs)}) {{"
        if len(f"graph {graph.name}{head}") > LINE:
            head = "(" + ",".join(f"\n  {text}" for text in inputs) + "\n) {"
        lines = [head]
        for node in graph.nodes:
            operands = ", ".join(read(v) for v in node.inputs)
            results = ", ".join("_" if v is None else typed(v) for v in node.outputs)
            attrs = ", ".join(
                f"{key}={self.literal(item, node, used)}"
                for key, item in node.attrs.items()
            )
            attrs = f" {{{attrs}}}" if attrs else ""
            lines.append(
                f"  {results} = {node.primitive.name}({operands}){attrs}{_tail(node)}"
            )
        lines.append("  return " + ", ".join(read(v) for v in graph.outputs))
        return "\n".join(line.rstrip() for line in lines) + "\n}"

    def literal(self, item: Any, node: Node, used: list[str]) -> str:
        if isinstance(item, bool):
            return "true" if item else "false"
        if isinstance(item, float):
            return float.__repr__(item)
        if isinstance(item, int | SymbolicDim):
            return str(item)
        if isinstance(item, str):
            return quoted(item)
        if isinstance(item, DType):
            return item.short
        if isinstance(item, tuple):
            item = cast("tuple[Any, ...]", item)
            parts = [self.literal(part, node, used) for part in item]
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if isinstance(item, Graph):
            name = self.add(item)
            used.append(name)
            return f"@{word(name)}"
        raise GraphError(
            _("An attribute of {name} has no text form.", name=node.primitive.name),
            expected=_(
                "a bool, number, str, DType, SymbolicDim, Graph or tuple of them"
            ),
            got=_("{item!r}, of type {kind}", item=item, kind=type(item).__name__),
            fix=_(
                "convert it where the node is made, for example by int(…) or tuple(…)"
            ),
        )


def _tail(node: Node) -> str:
    parts: list[str] = []
    if node.scope:
        parts.append(f"scope={word(node.scope)}")
    if node.role != "forward":
        parts.append(f"role={word(node.role)}")
    if node.source is not None:
        bare = SOURCE.fullmatch(node.source)
        parts.append(
            _("at {source}", source=node.source if bare else quoted(node.source))
        )
    return f" ; {' '.join(parts)}" if parts else ""
