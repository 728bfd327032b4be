"""``load_onnx``: a module from an ONNX file."""

from __future__ import annotations

import os
from typing import IO, Any

from chainrule.interop.onnx.reader.file import model_of
from chainrule.interop.onnx.reader.module import ONNXModule
from chainrule.interop.onnx.reader.parsing import parse


def load_onnx(
    source: str | os.PathLike[str] | bytes | IO[bytes] | Any,
) -> ONNXModule:
    """Load a module from an ONNX file, to run, train, compile and explain it.

    Initializers that are floats become parameters under their names (what no attribute
    may be called is written otherwise; ``model.names`` has both names), and so do
    arrays in Constant nodes. Integers are constants. Statistics of batch normalisation
    and single numbers are buffers: they are saved and not trained. Shapes are known
    while the module is traced, so what the file computes from them is computed once.

    Args:
        source: a path, the bytes of a file, a file opened with ``"rb"``, or an
            ``onnx.ModelProto``. External data lie in the folder of the path.

    Returns:
        A module whose ``forward`` takes the inputs in the file's order, or by name.

    Raises:
        ArgumentError: the package ``onnx`` is missing (``pip install
            'chainrule[onnx]'``).
        DataError: the file is damaged, or has operators, attributes or dtypes that are
            not supported: all of them, with the names of their nodes.

    Source: Open Neural Network Exchange, opsets 7 to 28.

    >>> import chainrule as cr
    >>> from onnx import parser
    >>> model = cr.load_onnx(parser.parse_model('''
    ...     <ir_version: 10, opset_import: ["": 18]>
    ...     line (float[N, 2] x) => (float[N, 1] y)
    ...     <float[2, 1] weight = {2.0, -1.0}, float[1] bias = {0.5}>
    ...     { z = MatMul(x, weight)  y = Add(z, bias) }'''))
    >>> model(cr.tensor([[1.0, 3.0]]))
    tensor([[-0.5]], made by add)
    >>> [name for name, _ in model.named_parameters()]
    ['weight', 'bias']
    """
    model, folder = model_of(source)
    return ONNXModule(parse(model, folder))
