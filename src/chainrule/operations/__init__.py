"""Tensor functions, such as ``cr.exp``, each declared once on graph values.

The functions of the package, the methods and operators of tensors and the namespace of
the array API standard follow from the declarations: see :mod:`chainrule.operations.op`.
A family is imported when the first of its functions is used: ``names`` says which
family has what, and :mod:`chainrule.operations.forms` imports it.
NumPy's rules are kept here: promotion of dtypes, broadcasting, axes counted from the
end, the one free size of a reshape, indexing. A primitive itself takes operands of one
shape and dtype.

- declared functions, by family: ``arithmetic``, ``elementwise``, ``combinations``,
  ``special``, ``polynomials``, ``reductions``, ``scans``, ``statistics``, ``order``,
  ``quantiles``, ``distinct``, ``movement``, ``diagonals``, ``joining``, ``pieces``,
  ``selection``, ``writing``, ``products``, ``vectors``, ``distances``,
  ``linear_systems``, ``decompositions``, ``norms``, ``creation``, ``frequencies``,
  ``fourier``, ``signals``, ``dtypes``;
- what they are written with: ``operands`` and ``arguments`` (what a call may be given),
  ``shapes``, ``indices``, ``indexing`` (``x[key]``), ``views``, ``matrices``.
"""

from __future__ import annotations

import importlib

import chainrule.composites  # noqa: F401 - says where there are composites
from chainrule.operations.op import OPS, Op

#: The families of declared functions: modules of this package.
FAMILIES = (
    "arithmetic",
    "elementwise",
    "combinations",
    "special",
    "polynomials",
    "reductions",
    "order",
    "distinct",
    "movement",
    "diagonals",
    "joining",
    "pieces",
    "selection",
    "writing",
    "products",
    "vectors",
    "scans",
    "quantiles",
    "statistics",
    "distances",
    "linear_systems",
    "decompositions",
    "norms",
    "creation",
    "frequencies",
    "fourier",
    "signals",
    "dtypes",
)


def declared() -> list[Op]:
    """Return every declared tensor function, family by family; import all families."""
    for family in FAMILIES:
        importlib.import_module(f"{__name__}.{family}")
    return [item for family in FAMILIES for item in OPS[family]]
