"""The graph of a network's forward pass, for what only reads it: summary, picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.compilation.modes import mode
from chainrule.compilation.tracing import Input, Traced, trace_entry
from chainrule.data import Dataset, Stream
from chainrule.data.adapter import kinds
from chainrule.data.checks import check_nest
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.graph.context import no_grad
from chainrule.graph.types import ArrayType, DType, SymbolicDim, dtype_of
from chainrule.nn.first_use import input_dtypes
from chainrule.nn.module import Module
from chainrule.nn.traced import called, outputs_of
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.pytree import mapped

N = SymbolicDim("N")


def input_rows(
    model: Module, data: Any, example: str
) -> tuple[Any, dict[str, ArrayType]]:
    """Return a model's inputs and the types of a sample, from sizes or from data.

    Args:
        model: the network.
        data: the shape of one sample, or something that has rows; of several inputs a
            dictionary of these by name.
        example: the call that an error shows, with ``{x}`` for these data.

    Raises:
        ArgumentError: neither a shape nor rows.
    """
    if isinstance(data, Dataset | Stream):
        of = kinds(data)
        types = of.types_of(of.x)
        names = of.x
    else:
        if not isinstance(data, dict):
            names, parts, shapes = "x", {"x": data}, {"x": _shape(data, example)}
        else:
            check_nest(dict.fromkeys(data), "x")
            shapes = {
                f"x.{name}": _shape(part, example, True) for name, part in data.items()
            }
            names = {name: f"x.{name}" for name in data}
            parts = {f"x.{name}": part for name, part in data.items()}
        types = {k: ArrayType(shape, _stored(parts[k])) for k, shape in shapes.items()}
    dtypes = input_dtypes(model, names, types)
    return names, {k: ArrayType(t.shape, dtypes[k]) for k, t in types.items()}


def _stored(data: Any) -> DType:
    """Return the dtype of rows as they are stored; that of counts where none is known.

    It decides where a model converts its input itself: fractions stay fractions.
    """
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, int | tuple | list):
        return DType.int64
    try:
        return dtype_of(np.asarray(data[:1]))
    except (ChainruleError, TypeError, ValueError, LookupError):
        return DType.int64  # of no numbers, which are refused where they are read


def _shape(data: Any, example: str, several: bool = False) -> tuple[int, ...]:
    """Return the shape of one sample; of several inputs it may be ()."""
    if isinstance(data, int) and not isinstance(data, bool):
        data = (data,)
    if isinstance(data, tuple | list) and (data or several):
        sizes = tuple(d for d in data if type(d) is int and d > 0)
        if len(sizes) == len(data):
            return sizes
    shape = getattr(data, "shape", None)
    if not isinstance(shape, tuple) or not shape:
        raise ArgumentError(
            _(
                "{call} needs to know what the model is given.",
                call=example.partition("(")[0],
            ),
            expected=_("the shape of one sample, such as (784,), or rows of samples"),
            got=repr(data)[:80],
            fix=_(
                "{sizes}, or {rows}",
                sizes=example.format(x="(784,)"),
                rows=example.format(x="train"),
            ),
        )
    return shape[1:]


def traced_forward(
    model: Module,
    names: Any,
    rows: Mapping[str, ArrayType],
    record: Callable[[Module], Any] = outputs_of,
) -> tuple[list[Any], Traced]:
    """Trace a model's prediction: return what its modules did, and the trace.

    Nothing is computed, and no weight is needed.

    Args:
        model, names, rows: see :func:`input_rows`.
        record: what to note of the modules: ``outputs_of`` or ``calls_of``.
    """
    captures: list[Any] = []

    def function(*values: Tensor) -> Any:
        given = dict(zip(rows, values, strict=True))
        with record(model) as outputs:
            result = called(model, mapped(given.__getitem__, names))
        captures.extend(outputs)
        return result

    inputs = [
        Input(name, ArrayType((N, *row.shape), row.dtype)) for name, row in rows.items()
    ]
    state = {id(t): name for name, t in model.named_tensors()}
    with no_grad(), mode(model, training=False):
        return captures, trace_entry("forward", function, inputs, state)
