"""The book's signs that are no names of values: ℒ, ∂, n, y."""

from __future__ import annotations

from chainrule.notation.expressions import Atom, Expr, Prefix, Quotient

LOSS = Atom(r"\mathcal{L}", "ℒ")
PARTIAL = Atom(r"\partial", "∂")
COUNT = Atom("n")
LABEL = Atom("y")
ONE_HOT = Atom("y", tag="one-hot")


def slope_of(name: Expr) -> Expr:
    """∂ℒ/∂name."""
    top = Prefix(PARTIAL, LOSS, "tight")
    return Quotient(top, Prefix(PARTIAL, name, "tight"), bar=True)


def named_atom(name: str) -> Atom:
    """A word as a symbol."""
    return Atom(r"\text{" + name.replace("_", r"\_") + "}", name)
