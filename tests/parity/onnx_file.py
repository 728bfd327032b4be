"""Models as ONNX files, run by ONNX Runtime beside the models themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

import chainrule as cr
from chainrule.compilation.portable.function import Portable
from chainrule.errors import ShapeError
from chainrule.graph.emit import trace
from chainrule.interop.onnx.writer.file import model_of
from chainrule.util.pytree import flatten
from tests.conformance.cases import Example

onnxruntime.set_default_logger_severity(4)

#: The bar of layers and networks: the largest difference by the largest number.
RELATIVE = 1e-5
#: That of primitives in float64.
RELATIVE_64 = 1e-12
#: Rows that files are run with, wherever they were traced.
BATCHES = (1, 7)


def session(model: bytes | str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference of finite numbers by the largest; ∞ where all is other."""
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return np.inf
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(got, wanted) else np.inf
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True):
        return np.inf
    scale = float(np.abs(wanted[finite]).max(initial=0)) or 1.0
    off = np.abs(got[finite].astype(np.float64) - wanted[finite].astype(np.float64))
    return float(off.max(initial=0)) / scale


def of_example(example: Example, opset: int = 23) -> onnx.ModelProto:
    """A primitive's example as a checked model."""
    graph = trace(lambda *v: example.apply(*v), example.types, name="example")
    inputs = [f"x{i}" for i in range(len(example.types))]
    outputs = [f"y{i}" for i in range(len(example.out_types))]
    model = model_of(Portable(graph, inputs, {}, outputs), opset)
    onnx.checker.check_model(model, full_check=True)
    return model


def run_example(model: onnx.ModelProto, arrays: Sequence[np.ndarray]) -> list[Any]:
    feed = {f"x{i}": a for i, a in enumerate(arrays)}
    return session(model.SerializeToString()).run(None, feed)


def resized(array: np.ndarray, rows: int, axis: int = 0) -> np.ndarray:
    """The array with another number of rows, over and over."""
    if not array.ndim:
        return array
    if not array.shape[axis]:
        return np.zeros((rows, *array.shape[1:]), array.dtype)
    return np.take(array, np.arange(rows) % array.shape[axis], axis)


def worst(
    model: Callable[..., Any],
    inputs: Mapping[str, Any] | Sequence[Any],
    *,
    dynamic: bool = True,
    axis: int = 0,
) -> float:
    """The largest difference of a file's outputs from the model's.

    With ``dynamic`` the first size of each input has a name, or that of another axis,
    and the file is run with other numbers of rows; those that the model refuses are
    left out.
    """
    named = isinstance(inputs, Mapping)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        given = dict(inputs) if named else tuple(inputs)
        name: Any = "N" if dynamic else None
        if axis:
            assert named
            sizes = {k: [None] * np.ndim(x) for k, x in inputs.items()}
            name = {k: (*s[:axis], "N", *s[axis + 1 :]) for k, s in sizes.items()}
        cr.export_onnx(model, path, given, dynamic=name)
        file = session(path.read_bytes())
    names = [i.name for i in file.get_inputs()]
    found = 0.0
    for rows in BATCHES if dynamic else (None,):
        nest = _with_rows(given, rows, axis)
        try:
            with cr.no_grad():
                result = model(**nest) if named else model(*nest)
        except cr.ChainruleError:
            continue
        wanted = [t.numpy() for t in flatten(result)[0] if isinstance(t, cr.Tensor)]
        leaves = flatten(nest)[0]
        arrays = [x.numpy() for x in leaves if isinstance(x, cr.Tensor)]
        got = file.run(None, dict(zip(names, arrays, strict=True)))
        found = max([found, *map(difference, got, wanted)])
    return found


def _with_rows(nest: Any, rows: int | None, axis: int) -> Any:
    if isinstance(nest, dict):
        return {k: _with_rows(v, rows, axis) for k, v in nest.items()}
    if isinstance(nest, tuple | list):
        return type(nest)(_with_rows(v, rows, axis) for v in nest)
    if not isinstance(nest, np.ndarray | cr.Tensor):
        return nest
    array = nest.numpy() if isinstance(nest, cr.Tensor) else nest
    return cr.tensor(array if rows is None else resized(array, rows, axis))


def worst_of_any(model: Callable[..., Any], inputs: Any) -> float:
    """As :func:`worst`; where rows cannot have a name, with the example's sizes."""
    try:
        return worst(model, inputs)
    except ShapeError:
        return worst(model, inputs, dynamic=False)
