"""All classes of mathematical expressions, imported in one place.

- :mod:`chainrule.notation.tree`: what all of them can do;
- :mod:`chainrule.notation.algebra`: symbols, numbers, sums, products, powers;
- :mod:`chainrule.notation.forms`: functions, brackets, relations, listings;
- :mod:`chainrule.notation.arrays`: what knows of axes.

:mod:`chainrule.notation.functions` has words to build them with.
"""

from __future__ import annotations

from chainrule.notation.algebra import (
    TURNED,
    Atom,
    Expr,
    Number,
    Power,
    Product,
    Quotient,
    Script,
    Sum,
    Transposed,
    Written,
    as_expr,
)
from chainrule.notation.arrays import (
    Along,
    Computed,
    Contracted,
    Indexed,
    Part,
    Picked,
    Reduced,
    Spread,
    axis_letters,
)
from chainrule.notation.forms import (
    Call,
    Choice,
    Fence,
    Listing,
    Prefix,
    Relation,
    Span,
    is_step,
)
from chainrule.notation.tree import (
    ATOM,
    LIST,
    ODOT,
    PREFIX,
    PRODUCT,
    QUOTIENT,
    RELATION,
    SCRIPT,
    SIGNS,
    SUM,
    Array,
    Numbers,
    Piece,
    beside,
    latex_within,
    within,
)

__all__ = [
    "ATOM",
    "LIST",
    "ODOT",
    "PREFIX",
    "PRODUCT",
    "QUOTIENT",
    "RELATION",
    "SCRIPT",
    "SIGNS",
    "SUM",
    "TURNED",
    "Along",
    "Array",
    "Atom",
    "Call",
    "Choice",
    "Computed",
    "Contracted",
    "Expr",
    "Fence",
    "Indexed",
    "Listing",
    "Number",
    "Numbers",
    "Part",
    "Picked",
    "Piece",
    "Power",
    "Prefix",
    "Product",
    "Quotient",
    "Reduced",
    "Relation",
    "Script",
    "Span",
    "Spread",
    "Sum",
    "Transposed",
    "Written",
    "as_expr",
    "axis_letters",
    "beside",
    "is_step",
    "latex_within",
    "within",
]
