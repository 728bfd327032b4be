"""The walk through a graph: each node by its row of the table.

What is known (constants, shapes, and all that is computed from them) is a NumPy array
and stays one, so shapes are plain numbers while a function is traced; everything else
is a tensor. Eager code, traced code and compiled code are this one walk.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from chainrule.errors import ArgumentError, ChainruleError
from chainrule.interop.onnx.reader.graph import Graph, Node
from chainrule.tensor import Tensor
from chainrule.text import _, ngettext

#: Nothing is computed by a module.
_NONE: Mapping[str, tuple[str, Callable[[Any], Any]]] = {}
#: The number under a key of the file: a parameter, a buffer or an array.
Numbers = Callable[[str], Any]

#: What a row's function raises where a file says what does not fit together.
_MISFITS = (
    *(ValueError, TypeError, IndexError, KeyError, OverflowError),
    *(ZeroDivisionError, AttributeError, MemoryError),
)


class Body:
    """A graph within a node, as a function of its inputs.

    Attributes:
        graph: it.
    """

    def __init__(
        self, graph: Graph, around: MutableMapping[str, Any], numbers: Numbers
    ) -> None:
        self.graph, self._around, self._numbers = graph, around, numbers

    def __call__(self, *inputs: Any) -> list[Any]:
        """Evaluate the graph; return its outputs."""
        if len(inputs) != len(self.graph.inputs):
            raise ArgumentError(
                _("The graph {name!r:.80} has other inputs.", name=self.graph.name),
                expected=str(len(self.graph.inputs)),
                got=str(len(inputs)),
            )
        values = {i.name: v for i, v in zip(self.graph.inputs, inputs)}
        return evaluate(self.graph, ChainMap(values, self._around), self._numbers)


def evaluate(
    graph: Graph,
    values: MutableMapping[str, Any],
    numbers: Numbers,
    steps: Mapping[str, tuple[str, Callable[[Any], Any]]] = _NONE,
) -> list[Any]:
    """Evaluate a graph, and return its outputs: tensors, or arrays where known.

    Args:
        graph: it.
        values: its inputs and what is around it, by name; the walk adds to it.
        numbers: the numbers that the file holds, by key.
        steps: what computes a node in its place, by the node's output: the name of
            the input that it takes, and a function of tensors.
    """
    for name, key in graph.initial.items():
        values[name] = numbers(key)
    for node in graph.nodes:
        try:
            step = steps.get(node.outputs[0]) if steps else None
            if step is not None and isinstance(x := values[step[0]], Tensor):
                outputs = (step[1](x),)
            else:
                outputs = _outputs(node, values, numbers)
        except ChainruleError as error:
            _note(error, node)
            raise
        except _MISFITS as error:
            wrong = ArgumentError(
                _(
                    "The node {name!r:.80} of the ONNX file cannot be computed.",
                    name=node.name,
                ),
                expected=_("inputs and attributes that fit together"),
                got=f"{type(error).__name__}: {error!s:.200}",
            )
            _note(wrong, node)
            raise wrong from error
        for name, value in zip(node.outputs, outputs):
            if name:
                values[name] = value
        for name in node.last:
            values.pop(name, None)
    return [values[name] for name in graph.outputs]


def _outputs(node: Node, values: MutableMapping[str, Any], numbers: Numbers) -> Any:
    """Compute the outputs of a node."""
    inputs = [values[name] if name else None for name in node.inputs]
    if node.operator is None:
        body = node.body
        inputs += [None] * (len(body.inputs) - len(inputs))
        return Body(body, {}, numbers)(*inputs)
    attributes = {
        key: Body(a, values, numbers) if isinstance(a, Graph) else a
        for key, a in node.attributes.items()
    }
    outputs = node.operator(node, inputs, attributes)
    if not isinstance(outputs, tuple | list):
        outputs = (outputs,)
    for i, name in enumerate(node.outputs):
        if name and (i >= len(outputs) or outputs[i] is None):
            raise ArgumentError(
                _("{name} has no output {n}.", name=node.op_type, n=i + 1),
                expected=ngettext(
                    "at most {n} output", "at most {n} outputs", n=len(outputs)
                ),
                got=f"{name!r:.80}",
            )
    return outputs


def _note(error: BaseException, node: Node) -> None:
    """Add the node to an error's notes, the innermost one alone."""
    if not getattr(error, "__notes__", None):
        error.add_note(f"ONNX node {node.name!r:.80} ({node.op_type})")
