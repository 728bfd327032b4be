"""The picture of a network, read from the graph of its forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.data import Dataset, Stream
from chainrule.diagrams.diagram import Diagram
from chainrule.diagrams.reading import Reader, depth_note, without_bare_frames
from chainrule.errors import ArgumentError
from chainrule.graph.graph import Graph
from chainrule.graph.node import Array, Value
from chainrule.graph.types import ArrayType, DType
from chainrule.nn.affine import Linear
from chainrule.nn.forward_trace import input_rows, traced_forward
from chainrule.nn.module import Module, Parameter
from chainrule.nn.picture.folding import fold
from chainrule.nn.picture.numbers import add_numbers, evaluated
from chainrule.nn.picture.timing import ROWS, add_times
from chainrule.nn.picture.units import units_of
from chainrule.nn.picture.view import NetworkView
from chainrule.operations.indices import OUT_OF_RANGE
from chainrule.tensor import Tensor
from chainrule.text import _, ngettext, tr
from chainrule.util.pytree import leaves, unflatten

#: So many boxes are legible; of larger networks modules are closed.
MOST_BOXES = 90
#: How an error shows the call.
CALL = "model.picture({x})"


def picture(
    model: Module, data: Any = None, *, depth: int | None = None, time: bool = False
) -> Diagram:
    """Return the picture of a network; see :meth:`chainrule.nn.Module.picture`."""
    if depth is not None and (type(depth) is not int or depth < 0):
        raise ArgumentError(
            _("depth is how deep the modules of a picture are opened."),
            expected=_("0, 1, 2 …, or None for all"),
            got=repr(depth),
            fix="depth=1",
        )
    if isinstance(data, list) and any(isinstance(row, list | tuple) for row in data):
        data = _array(data)
    data = first_size(model) if data is None else data
    names, rows = input_rows(model, data, CALL)
    traced = traced_forward(model, names, rows)[1]
    entry = traced.entry
    # New state, such as a counter of random draws, is not what the network says.
    results = entry.graph.outputs[: entry.outputs]
    graph = Graph(entry.name, entry.graph.inputs, results)
    data_inputs = graph.inputs[: len(rows)]
    slots = [traced.slots[name].tensor for name in entry.state]
    state = dict(zip(graph.inputs[len(rows) :], slots, strict=True))
    given = _rows_of(data, names, rows)
    arrays = {value: tensor.numpy() for value, tensor in state.items()}
    n = None
    if given is not None:
        n, arrays = _numbers(graph, [*given.values()], [*arrays.values()])
    made = diagram_of(
        graph,
        [(v, _title_of(v)) for v in data_inputs],
        _titles(graph.outputs, traced.structure),
        parameters=[v for v, t in state.items() if isinstance(t, Parameter)],
        depth=depth,
        arrays=arrays,
        n=n,
    )
    if not made.title:
        made.title = type(model).__name__
    if time:
        add_times(made, model, graph, names, rows, given)
    return made


def _numbers(
    graph: Graph, rows: Sequence[Array], state: Sequence[Array]
) -> tuple[int, dict[Value, Array]]:
    """Return the numbers of a graph's values, and of how many samples they are.

    They are of one sample, but of all rows where the network reads others beside it, as
    one that takes ``x[1]`` does.

    Raises:
        ArgumentError: the rows are too few for what the network reads.
    """
    count = min(map(len, rows))
    for n in sorted({1, count}):
        try:
            return n, evaluated(graph, [*(a[:n] for a in rows), *state], n)
        except ArgumentError as error:
            if n == count:
                raise _too_few(error, n) from error
    raise AssertionError("there are rows")


def _too_few(error: ArgumentError, n: int) -> ArgumentError:
    """Return the error of a network that n samples are too few for; else the same."""
    if error.what != OUT_OF_RANGE or not error.fix:
        return error
    return ArgumentError(
        _("This network reads a sample by its number, and there are too few."),
        expected=error.fix,
        got=ngettext("{n} sample", "{n} samples", n=n),
        fix=_(
            "{rows} with more of them, or {sizes}, a picture without numbers",
            rows=CALL.format(x="rows"),
            sizes=CALL.format(x="(1, 28, 28)"),
        ),
    )


def diagram_of(
    graph: Graph,
    inputs: Sequence[tuple[Value, str]],
    outputs: Sequence[tuple[Value, str]],
    *,
    parameters: Sequence[Value] = (),
    depth: int | None = None,
    arrays: Mapping[Value, Array],
    errors: Mapping[Value, Array] | None = None,
    n: int | None = None,
) -> Diagram:
    """Return the diagram of a network's graph.

    Args:
        graph: of its forward pass.
        inputs, outputs: its data and its results, with their titles.
        parameters: the graph inputs that are trained.
        depth: how deep modules are opened; None: all of them, or as many as are
            legible.
        arrays: numbers of the parameters, and of all values where n is given.
        errors: ∂ℒ/∂v of values v, where they are known.
        n: the number of samples of which the numbers are; None: they have none.
    """
    made = _read(graph, inputs, outputs, parameters, depth)
    closed = _deepest(made)
    while depth is None and len(made.boxes) > MOST_BOXES and closed >= 0:
        smaller = _read(graph, inputs, outputs, parameters, closed)
        if len(smaller.boxes) < len(made.boxes):
            made = smaller
            made.notes.append(depth_note(closed))
        closed -= 1
    made.units = units_of(made, arrays, errors or {}, n is not None)
    if made.units is None and n is not None:
        add_numbers(made, arrays, errors or {}, n)
    return made


def _read(
    graph: Graph,
    inputs: Sequence[tuple[Value, str]],
    outputs: Sequence[tuple[Value, str]],
    parameters: Sequence[Value],
    depth: int | None,
) -> Diagram:
    view = NetworkView(graph, [v for v, __ in inputs], depth)
    made = Reader(view, parameters).read(graph, inputs, outputs)
    made.title = ""
    fold(made)
    without_bare_frames(made)
    for box in made.boxes:
        if box.parameters:
            box.details.append(
                tr(ngettext("{n:,} parameter", "{n:,} parameters", n=box.parameters))
            )
        elif box.reads:
            box.details.append(tr("parameters of another box"))
    return made


def _deepest(diagram: Diagram) -> int:
    return max((len(f.all_outer()) for f in diagram.frames), default=0)


def _titles(outputs: Sequence[Value], structure: Any) -> list[tuple[Value, str]]:
    """Return a model's outputs with the names that it gives them, or numbers."""
    if len(outputs) == 1:
        return [(outputs[0], "ŷ")]
    nest = unflatten(structure, range(len(outputs)))
    names = dict(_paths(nest))
    return [
        (v, tr("output {n}", n=_places(names[i])) if _is_places(names[i]) else names[i])
        for i, v in enumerate(outputs)
    ]


def _paths(nest: Any, *path: str) -> Iterator[tuple[int, str]]:
    """Yield the leaves of nested outputs, each with the way to it, such as ``a.0``."""
    if isinstance(nest, dict | tuple | list):
        items = nest.items() if isinstance(nest, dict) else enumerate(nest)
        for key, item in items:
            yield from _paths(item, *path, str(key))
    elif nest is not None:
        yield nest, ".".join(path)


def _title_of(value: Value) -> str:
    """Return an input's name: that of its key, or x₁, x₂ … of a tuple."""
    name = (value.name or "x").removeprefix("x.")
    if not (name.isascii() and name.isdigit()):
        return name
    return "x" + str(int(name) + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _is_places(name: str) -> bool:
    """Return whether a name of an output is its place in tuples, such as ``1.0``."""
    return all(part.isascii() and part.isdigit() for part in name.split("."))


def _places(name: str) -> str:
    return ".".join(str(int(part) + 1) for part in name.split("."))


def first_size(model: Module) -> tuple[int, ...]:
    """Return the shape of a sample of a network that begins with a linear layer.

    Raises:
        ArgumentError: it does not.
    """
    named = [
        m for __, m in model.named_modules() if [*m.named_parameters(recurse=False)]
    ]
    if named and isinstance(named[0], Linear):
        size = getattr(named[0], "in_features", None)  # which a lazy layer lacks
        if size is not None:
            return (size,)
    raise ArgumentError(
        _("This network does not say what it is given."),
        expected=_("the shape of one sample, or rows of samples"),
        got="data=None",
        fix=_(
            "{sizes}, or {rows}",
            sizes=CALL.format(x="(1, 28, 28)"),
            rows=CALL.format(x="train"),
        ),
    )


def _rows_of(
    data: Any, names: Any, rows: Mapping[str, ArrayType]
) -> dict[str, Array] | None:
    """Return the first rows of all inputs by name; None where data are shapes."""
    if isinstance(data, Stream):
        return None
    if isinstance(data, Dataset):
        found = leaves(data.x, "x")
    elif isinstance(data, dict):
        found = {names[key]: part for key, part in data.items()}
    else:
        found = {names: data}
    arrays: dict[str, Array] = {}
    for name, row in rows.items():
        part = found[name]
        if isinstance(part, int | tuple | list) or not len(part):
            return None
        part = part[:ROWS]
        arrays[name] = _array(part, row.dtype)
    return arrays


def _array(data: Any, dtype: DType | None = None) -> Array:
    """Return rows as an array of the dtype that the network is given.

    Raises:
        ArgumentError: they are no numbers, of different lengths, or fractions where
            the network is given whole numbers.
    """
    try:
        array = data.numpy() if isinstance(data, Tensor) else np.asarray(data)
        made = array if dtype is None else array.astype(dtype.numpy)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            _("These rows are no numbers, or not all of one length."),
            expected=_("rows of numbers, as many in each"),
            got=repr(data)[:80],
            fix=CALL.format(x="np.array([[0.5, 1.0]])"),
        ) from error
    if dtype is not None and not dtype.is_float and not np.array_equal(array, made):
        raise ArgumentError(
            _("This network is given whole numbers, and these rows are others."),
            expected=dtype.name,
            got=repr(data)[:80],
            fix=CALL.format(x="x.astype(int)"),
        )
    return made
