"""Programs to compile: several entry points (functions) over one shared state.

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
from chainrule.text import _


@dataclass(frozen=True)
class Entry:
    """A program's entry point: a pure function (inputs, state) → (outputs, new state).

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
        states = dict(
            zip(self.state, self.graph.inputs[len(self.inputs) :], strict=True)
        )
        for name, index in self.replaces.items():
            problem, expected = None, _("an input of the graph that is state")
            if name not in states:
                problem = _("is not state")
            elif not self.outputs <= index < len(outputs):
                problem = _("is replaced by no output")
                expected = _(
                    "one of outputs {outputs} to {outputs2}",
                    outputs=self.outputs,
                    outputs2=len(outputs) - 1,
                )
            elif states[name].type != outputs[index].type:
                problem = _("changes its type")
                expected = _("a new value of type {type}", type=states[name].type)
            if problem:
                raise GraphError(
                    _(
                        "In entry point {own_name!r}, {name!r} {problem}.",
                        own_name=self.name,
                        name=name,
                        problem=problem,
                    ),
                    expected=expected,
                    got=_(
                        "{name} replaced by output {index} of {graph!r}",
                        name=name,
                        index=index,
                        graph=self.graph,
                    ),
                )

    def replaced(self) -> dict[Value, Value]:
        """Return the mapping from an entry point's old state values to new ones."""
        graph = self.graph
        states = dict(zip(self.state, graph.inputs[len(self.inputs) :], strict=True))
        return {states[k]: graph.outputs[i] for k, i in self.replaces.items()}

    def with_graph(self, graph: Graph) -> Entry:
        """Return a program's entry point with another graph, such as after a pass."""
        return replace(self, graph=graph)


class Program:
    """A program to compile: entry points (graphs) over one shared state.

    Attributes:
        entries: by name.
        state: the type of each state, by name.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)
        self.state: dict[str, ArrayType] = {}
        for entry in self.entries.values():
            states = entry.graph.inputs[len(entry.inputs) :]
            for name, value in zip(entry.state, states, strict=True):
                known = self.state.setdefault(name, value.type)
                if known != value.type:
                    raise GraphError(
                        _("Entry points disagree about the state {name!r}.", name=name),
                        expected=str(known),
                        got=_("{type} in {name}", type=value.type, name=entry.name),
                    )

    def __str__(self) -> str:
        return "\n\n".join(str(entry.graph) for entry in self.entries.values())
