"""A function of tensors as one graph with its weights, apart from its Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chainrule.compilation.guards.dependencies import DependencyScan
from chainrule.compilation.modes import mode
from chainrule.compilation.portable.agreement import weights_of
from chainrule.compilation.portable.example import Dynamic, Example
from chainrule.compilation.tracing import Traced
from chainrule.engines.threads import process
from chainrule.errors import ArgumentError
from chainrule.graph.context import no_grad
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array
from chainrule.graph.text import parse, to_text
from chainrule.graph.types import Shape
from chainrule.text import _, ngettext
from chainrule.util.pytree import Leaf

#: The codes of texts, and that of a text that is none of them.
Codes = tuple[Mapping[str, int], int]
#: The nest of a single output.
FIRST = Leaf(0)


@dataclass(frozen=True)
class Portable:
    """A function as a graph with its weights: what a file of it says.

    Attributes:
        graph: its first inputs are the function's.
        inputs: the names of these.
        weights: the arrays of the other inputs, by name.
        outputs: names for its outputs.
        metadata: what JSON can say, by name, for whoever reads the file.
        codes: of inputs that are texts in the file, the code of each text, and that of
            all other texts.
        structure: the nest of the outputs.
        changes: the tensors that the function changes, which no file can.
    """

    graph: Graph
    inputs: Sequence[str]
    weights: Mapping[str, Array]
    outputs: Sequence[str]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    codes: Mapping[str, Codes] = field(default_factory=dict[str, Codes])
    structure: Any = FIRST
    changes: Sequence[str] = ()

    def __reduce__(self) -> Any:
        """Return the program's form for ``pickle`` and ``copy``, the graph as text."""
        rest = {f.name: getattr(self, f.name) for f in fields(self)}
        return _of_text, (to_text(rest.pop("graph")), rest)

    def saying(self, **metadata: Any) -> Portable:
        """Return the same function with further metadata."""
        return replace(self, metadata={**self.metadata, **metadata})

    def refuse_changes(self) -> None:
        """Raise an error if a function changes tensors: a file has no state."""
        if self.changes:
            raise ArgumentError(
                _("The model changes tensors when it is called, which a file has not."),
                expected=_("a function of its arguments and weights"),
                got=_("new values of {changed}", changed=", ".join(self.changes)),
                fix=_("return them, and pass them as arguments"),
            )


def _of_text(graph: str, rest: Mapping[str, Any]) -> Portable:
    """Rebuild a program that ``pickle`` or ``copy`` copies."""
    return Portable(parse(graph), **rest)


def portable(
    model: Callable[..., Any],
    inputs: Any,
    dynamic: Dynamic | None = None,
    outputs: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    codes: Mapping[str, Codes] | None = None,
    *,
    training: bool = False,
) -> Portable:
    """Return a model, or any function of tensors, as a graph of its own.

    Args:
        model: a module, or a function of tensors.
        inputs: an example: an array or a tensor, a tuple of them in order, or a
            dictionary by the names of the arguments; or an ``Example``.
        dynamic: names for sizes that may be others when the graph runs.
        outputs: names for the outputs.
        metadata: what the file says of itself besides, by name.
        codes: for inputs of int64 codes which texts they are in the file.
        training: leave modules in the mode that they are in. By default they are
            traced in prediction mode.

    Raises:
        ArgumentError: an example or a name that does not fit.
        ShapeError: a size with a name by which the model decides what it computes.
    """
    example = inputs if isinstance(inputs, Example) else Example.of(model, inputs)
    patterns = example.patterns(dynamic)
    traced = _traced(example, patterns, training)
    entry = traced.entry
    found = _named_outputs(traced, example.names, outputs)
    outs = entry.graph.outputs[: entry.outputs]
    graph = Graph(entry.name, entry.graph.inputs, outs)
    said = {k: _sayable(k, v) for k, v in (metadata or {}).items()}
    return Portable(
        graph,
        example.names,
        weights_of(traced),
        found,
        said,
        codes or {},
        traced.structure,
        tuple(entry.replaces),
    )


def _traced(example: Example, patterns: list[Shape], training: bool) -> Traced:
    """Trace a function, and the modules that it calls in prediction mode.

    No other thread runs a compiled function meanwhile, which would be in this mode too.
    """
    modules = [] if training else _modules(example.function)
    with process.lock, no_grad():
        with mode(*modules, training=False):
            traced = example.trace(patterns)
        met = [module for module, trains in traced.modes if trains]
        if training or not met:
            return traced
        with mode(*met, training=False):
            return example.trace(patterns)


def _modules(function: Callable[..., Any]) -> list[Any]:
    """Return the modules that a function may read, itself among them."""
    if hasattr(function, "named_modules"):
        return [function]
    reached = DependencyScan(function, {}).objects()
    objects = (item for item in reached if not isinstance(item, type))
    return [item for item in objects if hasattr(item, "named_modules")]


def _named_outputs(
    traced: Traced, inputs: Sequence[str], names: Sequence[str] | None
) -> list[str]:
    """Return a name for each output: those asked for, or by the place in the nest."""
    found = _output_names(traced.structure, "output")
    if not found:
        raise ArgumentError(
            _("The model returns nothing that a file could give."),
            expected=_("a tensor, a tuple or a dictionary of them"),
            got=repr(traced.structure),
        )
    if names is not None:
        right = not isinstance(names, str) and len(names) == len(found)
        right = right and all(isinstance(n, str) and n not in inputs for n in names)
        if not right:
            raise ArgumentError(
                _("The outputs need names of their own."),
                expected=ngettext(
                    "{n} name, not that of an input",
                    "{n} names, none that of an input",
                    n=len(found),
                ),
                got=f"{names!r:.80}",
            )
        found = list(names)
    found = [n if n not in inputs else f"{n}_out" for n in found]
    twice = [n for n in found if not n or found.count(n) > 1]
    if twice:
        raise ArgumentError(
            _("The outputs need names of their own."),
            expected=ngettext(
                "{n} name, not that of an input",
                "{n} names, none that of an input",
                n=len(found),
            ),
            got=", ".join(map(repr, found)),
            fix=_("outputs=[…], or other keys"),
        )
    return found


def _sayable(key: Any, value: Any) -> Any:
    """Return an entry of the metadata, if JSON can say it."""
    try:
        json.dumps(value, allow_nan=False)
        right = isinstance(key, str)
    except (TypeError, ValueError, RecursionError):
        right = False
    if not right:
        raise ArgumentError(
            _("The metadata of a file are values by name."),
            expected=_("texts, or what JSON can say"),
            got=f"{key!r:.40}: {value!r:.40}",
        )
    return value


def _output_names(structure: Any, name: str) -> list[str]:
    """Return names for a nest of outputs: keys, and numbers of several."""
    if isinstance(structure, Leaf):
        return [name]
    if isinstance(structure, dict):
        prefix = "" if name == "output" else f"{name}."
        parts = [(f"{prefix}{k}", v) for k, v in structure.items()]
    elif isinstance(structure, tuple | list):
        fields = getattr(structure, "_fields", range(len(structure)))
        parts = [(f"{name}.{k}", v) for k, v in zip(fields, structure)]
    else:
        return []
    return [n for part, item in parts for n in _output_names(item, part)]
