"""Tensor functions of distances between points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph.apply import checked_constant
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.op import op
from chainrule.operations.operands import floating, promoted, value_of
from chainrule.operations.reductions import norm
from chainrule.operations.selection import index_select
from chainrule.operations.shapes import reshaped
from chainrule.primitives.elementwise import sub
from chainrule.primitives.rules import same, show
from chainrule.text import _
from chainrule.util import validation


@op
def dist(x: Value, other: Value, p: float = 2) -> Value:
    """Return the p-norm of the difference of two tensors; see :func:`norm`."""
    return norm(floating(sub(x, other)), p)


def _lengths(x: Value, p: float) -> Value:
    """Return the p-norms of vectors along the last axis, p ≥ 0."""
    same("a distance", 1, "floats")(x.type)
    p = validation.number("p", p, least=0, infinite=True)
    if p == math.inf and not x.shape[-1]:
        p = 1
    return norm(x, p, -1)


@op(method=False)
def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str | None = None) -> Value:
    """Return the distances in the p-norm of every row of x1 to every row of x2.

    Shapes (…, P, M) and (…, R, M) to (…, P, R). Each distance is that of differences,
    which loses nothing for near points, whatever ``compute_mode`` allows.

    >>> import chainrule as cr
    >>> cr.cdist(cr.tensor([[0.0, 0.0], [3.0, 0.0]]), cr.tensor([[0.0, 4.0]]))
    tensor([[4.],
            [5.]])
    """
    if compute_mode is not None:
        modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist")
        modes += ("donot_use_mm_for_euclid_dist",)
        validation.choice(*modes)("compute_mode", compute_mode)
    v, w = value_of(x1), value_of(x2)
    if min(len(v.shape), len(w.shape)) < 2 or v.shape[-1] != w.shape[-1]:
        raise ShapeError(
            _("Distances are those between rows of one length."),
            expected=_("two or more axes, the last ones alike"),
            got=_("{a} and {b}", a=show(v.shape), b=show(w.shape)),
        )
    v = reshaped(v, (*v.shape[:-1], 1, v.shape[-1]))
    w = reshaped(w, (*w.shape[:-2], 1, *w.shape[-2:]))
    return _lengths(sub(*promoted(v, w)), p)


@op(method=False)
def pdist(x: Value, p: float = 2) -> Value:
    """Return the distances in the p-norm of all pairs of rows of a matrix.

    Those of the first row to the later ones come first, in N (N − 1) / 2 numbers.
    """
    if len(x.shape) != 2 or not isinstance(x.shape[0], int):
        raise ShapeError(
            _("pdist takes the rows of one matrix."),
            expected=_("two axes, the first of a known length"),
            got=show(x.shape),
        )
    pairs = np.triu_indices(x.shape[0], 1)
    a, b = [index_select(x, 0, checked_constant(i, DType.int64)) for i in pairs]
    return _lengths(sub(a, b), p)
