"""Mathematical symbols of the textbook that do not name values: ℒ, ∂, n, y."""

from __future__ import annotations

from chainrule.notation.expressions import Atom, Expr, Prefix, Quotient

LOSS = Atom(r"\mathcal{L}", "ℒ")
PARTIAL, PRIME = Atom(r"\partial", "∂"), Atom(r"\prime", "′")
COUNT = Atom("n")
LABEL = Atom("y")
ONE_HOT = Atom("y", tag="one-hot")


def slope_of(name: Expr) -> Expr:
    """Return the derivative ∂ℒ/∂name of the loss as an expression."""
    top = Prefix(PARTIAL, LOSS, "tight")
    return Quotient(top, Prefix(PARTIAL, name, "tight"), bar=True)


def named_atom(name: str) -> Atom:
    """Return a symbol for a value that has only a name: the name in upright type."""
    return Atom(r"\text{" + name.replace("_", r"\_") + "}", name)
