"""Graphs and nodes of a file as they are evaluated: names, rows and attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.interop.onnx.reader.table import Operator


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph.

    Attributes:
        name: of the node, or of its first output where it has none.
        op_type, domain, opset: its operator, and the version of the operator set.
        operator: its row in the table; None for the call of a function of the file.
        inputs, outputs: names of values; "" where an optional one is left out.
        attributes: numbers, texts, arrays and graphs, by name.
        captured: names from outside that graphs among the attributes read.
        last: names that no later node reads.
    """

    name: str
    op_type: str
    domain: str
    opset: int
    operator: Operator | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    captured: tuple[str, ...] = ()
    last: tuple[str, ...] = ()

    def wants(self, output: int) -> bool:
        """Return whether an output, by its position, is asked for."""
        return output < len(self.outputs) and bool(self.outputs[output])

    @property
    def body(self) -> Graph:
        """The function of the file that the node calls."""
        return self.attributes["body"]

    def read(self) -> Iterator[str]:
        """Yield the names of all values that the node reads."""
        yield from filter(None, self.inputs)
        yield from self.captured


@dataclass(frozen=True)
class Input:
    """The declaration of a graph's input: name, dtype, sizes.

    Attributes:
        name: its name.
        dtype: a NumPy name of its dtype; "" where the file does not say.
        shape: sizes, names or None for any; None where the file does not say.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can run.

    Attributes:
        name: its name.
        inputs: what is given to it.
        outputs: names of its results.
        nodes: its operations.
        initial: the numbers that it holds: local name → key in the file's tensors.
    """

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    initial: Mapping[str, str] = field(default_factory=dict)
