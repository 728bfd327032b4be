"""Tensor functions, such as ``cr.exp``, each declared once on graph values.

The functions of the package, the methods and operators of tensors and the namespace of
the array API standard follow from the declarations: see :mod:`chainrule.operations.op`.
NumPy's rules are kept here: promotion of dtypes, broadcasting, axes counted from the
end, the one free size of a reshape, indexing. A primitive itself takes operands of one
shape and dtype.

- declared functions, by family: ``arithmetic``, ``elementwise``, ``combinations``,
  ``special``, ``polynomials``, ``reductions``, ``order``, ``movement``, ``joining``,
  ``selection``, ``products``, ``distances``, ``creation``, ``dtypes``;
- what they are written with: ``operands`` and ``arguments`` (what a call may be given),
  ``shapes``, ``indices``, ``indexing`` (``x[key]``), ``views``.
"""

from chainrule.operations import (
    arithmetic,
    combinations,
    creation,
    distances,
    dtypes,
    elementwise,
    joining,
    movement,
    order,
    polynomials,
    products,
    reductions,
    selection,
    special,
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
    movement,
    joining,
    selection,
    products,
    distances,
    creation,
    dtypes,
)
