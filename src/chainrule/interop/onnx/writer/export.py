"""``cr.export_onnx``: a model or a function as an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.compilation.portable.example import Dynamic
from chainrule.compilation.portable.function import Portable, portable
from chainrule.errors import ArgumentError
from chainrule.graph.types import ArrayType
from chainrule.text import _
from chainrule.util.keywords import strict

#: The opsets that are written.
OPSETS = range(13, 26)


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was written.

    Attributes:
        files: the file, and behind it that of the weights where there is one.
        opset: the version of ONNX's operators.
        inputs, outputs: their types by name, as text: ``float32[N,784]``.
        operators: how many nodes there are of each operator.
    """

    files: tuple[Path, ...]
    opset: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    operators: Mapping[str, int]

    def __str__(self) -> str:
        from chainrule.text import tr

        nodes = ", ".join(f"{n} {k}" for k, n in self.operators.items())
        lines = [
            tr("{path}: ONNX, opset {n}", path=self.files[0], n=self.opset),
            *(tr("  input   {k}: {t}", k=k, t=t) for k, t in self.inputs.items()),
            *(tr("  output  {k}: {t}", k=k, t=t) for k, t in self.outputs.items()),
            tr("  nodes   {nodes}", nodes=nodes),
            *(tr("  weights {path}", path=path) for path in self.files[1:]),
        ]
        return "\n".join(lines)


@strict
def export_onnx(
    model: Callable[..., Any],
    path: str | os.PathLike[str],
    inputs: Any,
    *,
    opset: int = 23,
    dynamic: Dynamic | None = None,
    outputs: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a model, or any function of tensors, as an ONNX file.

    It is traced as :func:`chainrule.compile` traces it, in prediction mode, and its
    graph is written: softmax, normalisations, GELU, convolutions, pools, LSTM and GRU
    as single operators, everything else as what it consists of. The file gives the same
    numbers as the model, but for rounding.

    Args:
        model: a module, or a function of tensors.
        path: of the file. Weights of more than 2 GB stand in a second file beside it,
            ``NAME.DIGEST.data``.
        inputs: an example: an array or a tensor, a tuple of them in order, or a
            dictionary by the names of the arguments. Their shapes and dtypes count.
            What is no array becomes part of the file.
        opset: the version of ONNX's operators, 13 to 25.
        dynamic: names for sizes that may be others when the file is run, as
            ``shapes`` of :func:`chainrule.compile` has them: ``{"x": ("N", 784)}``; or
            one name, for the first size of each input. By default each size is fixed.
        outputs: names for the outputs.
        metadata: what the file says of itself besides, by name: classes, units.

    Returns:
        What was written; printed, it is a summary.

    Raises:
        ArgumentError: onnx is not installed; an opset, a name or an example that does
            not fit; operations that ONNX cannot say, all of them with the reason.
        ShapeError: a size with a name by which the model decides what it computes.
        SaveError: the file system refuses.

    >>> import chainrule as cr, pathlib, tempfile
    >>> model = cr.nn.Sequential(cr.nn.Linear(4, 3), cr.nn.Softmax(-1))
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.onnx"
    >>> written = cr.export_onnx(model, path, cr.zeros(1, 4), dynamic="N")
    >>> written.inputs, written.outputs, written.operators  # doctest: +ELLIPSIS
    ({'x': 'float32[N,4]'}, {'output': 'float32[N,3]'}, ...)
    """
    _need_onnx(opset)
    return write(portable(model, inputs, dynamic, outputs, metadata), path, opset)


def write(parts: Portable, path: str | os.PathLike[str], opset: int) -> Exported:
    """Write a graph with its weights as an ONNX file."""
    _need_onnx(opset)
    from chainrule.interop.onnx.writer import file

    made = file.model_of(parts, opset)
    parts.refuse_changes()
    files = file.save(made, Path(path))
    count: dict[str, int] = {}
    for node in made.graph.node:
        count[node.op_type] = count.get(node.op_type, 0) + 1
    kinds = {n: _typed(v.type) for n, v in zip(parts.inputs, parts.graph.inputs)}
    kinds |= {n: kinds[n].replace("int64", "string") for n in parts.codes}
    outs = {n: _typed(v.type) for n, v in zip(parts.outputs, parts.graph.outputs)}
    return Exported(tuple(files), opset, kinds, outs, count)


def _typed(type: ArrayType) -> str:
    return f"{type.dtype.name}[{','.join(map(repr, type.shape))}]"


def _need_onnx(opset: int) -> None:
    """Refuse an opset that is not written, or that onnx is too old for."""
    try:
        from onnx import __version__ as version
        from onnx.defs import onnx_opset_version
    except ImportError as error:
        raise ArgumentError(
            _("ONNX files are written by the package onnx, which is not installed."),
            expected=_("the extra onnx"),
            got=f"{type(error).__name__}: {error}",
            fix=_("pip install 'chainrule[onnx]'"),
        ) from error
    if type(opset) is not int or opset not in OPSETS:
        raise ArgumentError(
            _("ONNX files are written for some opsets."),
            expected=_("{first} to {last}", first=OPSETS[0], last=OPSETS[-1]),
            got=repr(opset),
        )
    if opset > onnx_opset_version():
        raise ArgumentError(
            _("The installed onnx does not know opset {n}.", n=opset),
            expected=_("at most {n}", n=onnx_opset_version()),
            got=_("onnx {version}", version=version),
            fix=_("pip install -U onnx, or a smaller opset"),
        )
