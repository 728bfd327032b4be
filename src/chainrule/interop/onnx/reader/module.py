"""The module of an ONNX file: its numbers as parameters, and a walk as ``forward``."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.interop.onnx.reader.evaluation import evaluate
from chainrule.interop.onnx.reader.graph import Input
from chainrule.interop.onnx.reader.names import paths
from chainrule.interop.onnx.reader.parsing import Contents
from chainrule.interop.onnx.reader.roles import Role, roles
from chainrule.interop.onnx.reader.steps import Step, steps
from chainrule.interop.onnx.reader.table import constant
from chainrule.nn.module import Module, Parameter
from chainrule.tensor import as_tensor, tensor
from chainrule.text import _, ngettext

__all__ = ["ONNXModule"]


class Part(Module):
    """A part of an :class:`ONNXModule` that holds parameters under a common prefix."""


class ONNXModule(Module):
    """An ONNX file as a module: :func:`chainrule.load_onnx` makes it.

    ``forward`` takes the file's inputs in order, or by name, and returns its output: a
    tensor, or a tuple of them where there are several. A number of Python's is known
    while a function is traced (a sampling rate by which a file chooses a branch).
    Activations, and products with weights, are modules under the names of their nodes:
    ``model.node_relu = nn.GELU()`` puts another one in a node's place.

    Attributes:
        input_names, output_names: as the file has them.
        names: the path of each parameter and buffer → its name in the file.
        metadata: texts that the file holds, by name.
    """

    def __init__(self, contents: Contents) -> None:
        graph = contents.graph
        self._graph, self._roles = graph, roles(contents)
        self.input_names = tuple(i.name for i in graph.inputs)
        self.output_names = graph.outputs
        self.metadata = contents.metadata
        self._constants: dict[str, np.ndarray[Any, Any]] = {}
        self._places: dict[str, tuple[Module, str]] = {}
        held = [k for k, role in self._roles.items() if role is not Role.constant]
        found = paths(held, [*dir(ONNXModule), *self.__dict__, "names"])
        self.names = {path: key for key, path in found.items()}
        for key, array in contents.tensors.items():
            if self._roles[key] is Role.constant:
                self._constants[key] = array
                continue
            *parts, name = found[key].split(".")
            place: Module = self
            for part in parts:
                if part not in place.__dict__:
                    place.add_module(part, Part())
                place = place.__dict__[part]
            if self._roles[key] is Role.parameter:
                place.register_parameter(name, Parameter(tensor(array)))
            else:
                place.register_buffer(name, tensor(array))
            self._places[key] = place, name
        weights = {k for k, role in self._roles.items() if role is Role.parameter}
        found = {n.outputs[0]: (n, held) for n, held in steps(graph, weights)}
        taken = [*dir(ONNXModule), *self.__dict__]
        names = paths((n.name.replace(".", "_") for n, __ in found.values()), taken)
        #: The nodes that are modules, by their outputs: input, name of the module.
        self._steps: dict[str, tuple[str, str]] = {}
        for output, (node, held) in found.items():
            name = names[node.name.replace(".", "_")]
            if name in self.__dict__:  # two nodes of one name
                continue
            self.add_module(name, Step(node, held, self._number))
            computed = next(n for n in node.inputs if n and n not in graph.initial)
            self._steps[output] = computed, name

    def settings(self) -> dict[str, Any]:
        """Return the names of inputs and outputs; what is computed is in the file."""
        return {"inputs": self.input_names, "outputs": self.output_names}

    @property
    def input_shapes(self) -> tuple[tuple[int | str | None, ...] | None, ...]:
        """The sizes of each input as the file declares them.

        A name or None stands for any size; None instead of sizes: the file is silent.
        """
        return tuple(i.shape for i in self._graph.inputs)

    def extra_repr(self) -> str:
        """Return the names of inputs and outputs, and how many nodes there are."""
        inputs, outputs = ", ".join(self.input_names), ", ".join(self.output_names)
        nodes = ngettext("{n} node", "{n} nodes", n=len(self._graph.nodes))
        return f"({inputs}) -> ({outputs}), {nodes}"

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Compute the file's outputs from its inputs.

        Args:
            inputs: in the file's order.
            named: further inputs by their names.

        Raises:
            ArgumentError: inputs are missing, or too many.
            DTypeError, ShapeError: one does not fit what the file declares.
        """
        given = dict(zip(self.input_names, inputs)) | named
        missing = [name for name in self.input_names if name not in given]
        extra = [name for name in named if name not in self.input_names]
        if missing or extra or len(given) != len(inputs) + len(named):
            raise ArgumentError(
                _("The ONNX model is called with other inputs than it has."),
                expected=", ".join(self.input_names) or _("none"),
                got=_(
                    "{n} by position, {names}",
                    n=len(inputs),
                    names=", ".join(named) or _("none by name"),
                ),
            )
        values: dict[str, Any] = {
            i.name: _checked(i, given[i.name]) for i in self._graph.inputs
        }
        called = {k: (x, getattr(self, name)) for k, (x, name) in self._steps.items()}
        results = evaluate(self._graph, values, self._number, called)
        outputs = [constant(v) for v in results]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _number(self, key: str) -> Any:
        """Return the numbers under a key of the file."""
        if key in self._constants:
            return self._constants[key]
        place, name = self._places[key]
        return getattr(place, name)


def _number(value: float, dtype: str) -> Any:
    """Return a number in a dtype; as it is where that has no such number."""
    try:
        array = np.asarray(value, dtype)
    except (OverflowError, ValueError):
        return as_tensor(value)
    return array if array.dtype.kind == "f" or array == value else as_tensor(value)


def _checked(declared: Input, value: Any) -> Any:
    """Return an input as a tensor, if it has the dtype and the sizes declared.

    A number of Python's is known, so what the file decides by it is decided.
    """
    plain = isinstance(value, bool | int | float) and bool(declared.dtype)
    result = _number(value, declared.dtype) if plain else as_tensor(value)
    if declared.dtype and result.dtype.name != declared.dtype:
        raise DTypeError(
            _(
                "The input {name!r:.80} of the ONNX model has another dtype.",
                name=declared.name,
            ),
            expected=declared.dtype,
            got=result.dtype.name,
            fix=_("{name}.astype({dtype!r})", name="x", dtype=declared.dtype),
        )
    shape = declared.shape
    if shape is not None and (
        len(shape) != result.ndim
        or any(isinstance(d, int) and d != n for d, n in zip(shape, result.shape))
    ):
        raise ShapeError(
            _(
                "The input {name!r:.80} of the ONNX model has other sizes.",
                name=declared.name,
            ),
            expected="({})".format(", ".join(str(d or "?") for d in shape)),
            got=str(tuple(result.shape)),
        )
    return result
