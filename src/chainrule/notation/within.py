"""What an expression has within it."""

from __future__ import annotations

import dataclasses

from chainrule.notation.expressions import Atom, Computed, Expr, Number, Script


def parts(e: Expr) -> list[Expr]:
    """The expressions that an expression is made of."""
    found: list[Expr] = []
    if isinstance(e, Computed):
        return list(e.arguments)
    for field in dataclasses.fields(e):  # pyright: ignore
        item = getattr(e, field.name)
        found += [item] if isinstance(item, Expr) else []
        if isinstance(item, tuple):
            for inner in item:
                pair = inner if isinstance(inner, tuple) else (inner,)
                found += [i for i in pair if isinstance(i, Expr)]
    return found


def holds(e: Expr, part: Expr) -> bool:
    """Whether an expression has another one in it."""
    return e == part or any(holds(inner, part) for inner in parts(e))


def weight(e: Expr) -> int:
    """How much there is to read in an expression."""
    if type(e) in (Script, Atom, Number):
        return 1
    return 1 + sum(map(weight, parts(e)))
