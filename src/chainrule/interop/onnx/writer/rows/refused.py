"""Primitives that ONNX cannot say, each with the reason."""

from __future__ import annotations

from chainrule.graph.types import DType
from chainrule.interop.onnx.writer.emitter import Ref
from chainrule.interop.onnx.writer.table import REFUSED, Call, row
from chainrule.primitives import decompositions as d
from chainrule.primitives import elementwise, indexing, integers
from chainrule.primitives import linear_systems as s
from chainrule.primitives.random import encrypted, random_bits
from chainrule.primitives.trigonometry import cos_turn
from chainrule.text import _

_BITS = _("ONNX has no operator on the bits of floats")
_DRAWS = _("it draws random numbers; evaluation mode draws none")
_MATRIX = _("ONNX has no operator of linear algebra but Det")

REFUSED |= {
    **dict.fromkeys((random_bits, encrypted, cos_turn), _DRAWS),
    indexing.put_rows: _("ONNX does not say which of equal indices counts"),
    elementwise.nextafter: _BITS,
    integers.gcd: _("ONNX has no operator for it"),
    **dict.fromkeys((d.qr, d.eigh, d.svd, d.pinv, d.matrix_exp), _MATRIX),
    **dict.fromkeys((s.solve, s.solve_triangular, s.lu, s.permutation), _MATRIX),
    **dict.fromkeys((s.cholesky, s.cofactors), _MATRIX),
}


@row(s.det, dtypes=(DType.float32,))
def of_det(c: Call) -> Ref:
    return c.op("Det")
