"""Tensor functions, such as ``cr.exp``, each declared once on graph values.

The functions of the package, the methods and operators of tensors and the namespace of
the array API standard follow from the declarations: see :mod:`chainrule.operations.op`.
NumPy's rules are kept here: promotion of dtypes, broadcasting, axes counted from the
end, the one free size of a reshape, indexing. A primitive itself takes operands of one
shape and dtype.

- declared functions, by family: ``arithmetic``, ``elementwise``, ``combinations``,
  ``special``, ``polynomials``, ``reductions``, ``scans``, ``statistics``, ``order``,
  ``quantiles``, ``distinct``, ``movement``, ``diagonals``, ``joining``, ``pieces``,
  ``selection``, ``writing``, ``products``, ``vectors``, ``distances``,
  ``linear_systems``, ``decompositions``, ``norms``, ``creation``, ``frequencies``,
  ``dtypes``;
- what they are written with: ``operands`` and ``arguments`` (what a call may be given),
  ``shapes``, ``indices``, ``indexing`` (``x[key]``), ``views``, ``matrices``.
"""

from chainrule.operations import (
    arithmetic,
    combinations,
    creation,
    decompositions,
    diagonals,
    distances,
    distinct,
    dtypes,
    elementwise,
    frequencies,
    joining,
    linear_systems,
    movement,
    norms,
    order,
    pieces,
    polynomials,
    products,
    quantiles,
    reductions,
    scans,
    selection,
    special,
    statistics,
    vectors,
    writing,
)

#: The families of declared functions.
FAMILIES = (
    arithmetic,
    elementwise,
    combinations,
    special,
    polynomials,
    reductions,
    order,
    distinct,
    movement,
    diagonals,
    joining,
    pieces,
    selection,
    writing,
    products,
    vectors,
    scans,
    quantiles,
    statistics,
    distances,
    linear_systems,
    decompositions,
    norms,
    creation,
    frequencies,
    dtypes,
)
