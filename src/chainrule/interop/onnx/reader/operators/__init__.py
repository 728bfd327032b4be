"""The rows of the table of operators, a file a family.

A row is a function under ``@operator("Name", since=opset)``: see
:mod:`chainrule.interop.onnx.reader.table`. What several rows share stands in the file
of their family; what is wrong with a whole model does not stand here. A new family is
a new file, and its name in this list.
"""

from chainrule.interop.onnx.reader.operators import (
    attention,
    control,
    convolution,
    elementwise,
    indexing,
    losses,
    normalization,
    pooling,
    products,
    quantization,
    random,
    recurrent,
    reductions,
    resizing,
    sampling,
    shapes,
    signals,
    tabular,
    types,
    unsupported,
)

__all__ = [
    "attention",
    "control",
    "convolution",
    "elementwise",
    "indexing",
    "losses",
    "normalization",
    "pooling",
    "products",
    "quantization",
    "random",
    "recurrent",
    "reductions",
    "resizing",
    "sampling",
    "shapes",
    "signals",
    "tabular",
    "types",
    "unsupported",
]
