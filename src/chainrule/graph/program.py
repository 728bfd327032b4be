"""Programs: several entry points over one state.

A training run has a train step, an evaluation and a prediction over the same weights; a
GAN has a step for each of its networks. An entry point is a pure function

    (inputs, state) → (outputs, new state)

written as one graph, with pairs that say which output replaces which state. Only an
engine overwrites in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chainrule.errors import GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Value
from chainrule.graph.types import ArrayType


@dataclass(frozen=True)
class Entry:
    """One entry point.

    Attributes:
        name: its name.
        graph: inputs (first ``inputs``, then ``state``), outputs (first the
            ``outputs`` visible ones, then new state).
        inputs: names of the arguments.
        each: those of them that a run of many steps gives anew for each step.
        state: names of the state that it reads or replaces.
        replaces: for each replaced state the position of its new value among the
            graph's outputs.
        outputs: how many outputs the caller gets.
    """

    name: str
    graph: Graph
    inputs: tuple[str, ...]
    each: tuple[str, ...]
    state: tuple[str, ...]
    replaces: Mapping[str, int]
    outputs: int

    def __post_init__(self) -> None:
        outputs = self.graph.outputs
        held = dict(zip(self.state, self.graph.inputs[len(self.inputs) :], strict=True))
        for name, index in self.replaces.items():
            problem, expected = None, "an input of the graph that is state"
            if name not in held:
                problem = "is not state"
            elif not self.outputs <= index < len(outputs):
                problem = "is replaced by no output"
                expected = f"one of outputs {self.outputs} to {len(outputs) - 1}"
            elif held[name].type != outputs[index].type:
                problem = "changes its type"
                expected = f"a new value of type {held[name].type}"
            if problem:
                raise GraphError(
                    f"In entry point {self.name!r}, {name!r} {problem}.",
                    expected=expected,
                    got=f"{name} replaced by output {index} of {self.graph!r}",
                )

    def replaced(self) -> dict[Value, Value]:
        """Old → new for the state that is replaced, as values of the graph."""
        graph = self.graph
        held = dict(zip(self.state, graph.inputs[len(self.inputs) :], strict=True))
        return {held[k]: graph.outputs[i] for k, i in self.replaces.items()}

    def with_graph(self, graph: Graph) -> Entry:
        """The same entry after a pass over its graph."""
        return replace(self, graph=graph)


class Program:
    """Entry points over one state.

    Attributes:
        entries: by name.
        state: the type of each state, by name.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)
        self.state: dict[str, ArrayType] = {}
        for entry in self.entries.values():
            held = entry.graph.inputs[len(entry.inputs) :]
            for name, value in zip(entry.state, held, strict=True):
                known = self.state.setdefault(name, value.type)
                if known != value.type:
                    raise GraphError(
                        f"Entry points disagree about the state {name!r}.",
                        expected=str(known),
                        got=f"{value.type} in {entry.name}",
                    )

    def __str__(self) -> str:
        return "\n\n".join(str(entry.graph) for entry in self.entries.values())
