"""The rows of the table, by family. A new primitive or composite gets one row here.

Rows alone live here: each is a function of a :class:`~..table.Call` that emits ONNX
nodes with the operators of an :class:`~..emitter.Emitter`. They know no model, no file
and no other row but by calling its function.

- ``elementwise``: arithmetic, comparisons, functions of one number, integers and bits;
- ``movement``: shapes, slices, padding, constants, ranges;
- ``reductions``: sums, extrema, running sums, order;
- ``indexing``: rows and blocks by index, conditions that must hold;
- ``products``: products, convolutions, windows;
- ``fourier``: transforms;
- ``layers``: composites that are one operator, such as softmax;
- ``loops``: ``scan`` and ``cond``; ``recurrent``: the loops that are LSTM, GRU or RNN;
- ``regions``: what is one operator without being a composite, such as attention;
- ``refused``: what ONNX cannot say, with the reason.
"""

from chainrule.interop.onnx.writer.rows import (
    elementwise,
    fourier,
    indexing,
    layers,
    loops,
    movement,
    products,
    reductions,
    refused,
)
from chainrule.interop.onnx.writer.table import REFUSED, ROWS

__all__ = [
    "REFUSED",
    "ROWS",
    "elementwise",
    "fourier",
    "indexing",
    "layers",
    "loops",
    "movement",
    "products",
    "reductions",
    "refused",
]
