"""The parts of a mathematical expression, and its length."""

from __future__ import annotations

import dataclasses

from chainrule.notation.expressions import Atom, Computed, Expr, Number, Script


def parts(e: Expr) -> list[Expr]:
    """Return the direct parts of a mathematical expression."""
    expressions: list[Expr] = []
    if isinstance(e, Computed):
        return list(e.arguments)
    for field in dataclasses.fields(e):  # pyright: ignore
        item = getattr(e, field.name)
        expressions += [item] if isinstance(item, Expr) else []
        if isinstance(item, tuple):
            for inner in item:
                pair = inner if isinstance(inner, tuple) else (inner,)
                expressions += [i for i in pair if isinstance(i, Expr)]
    return expressions


def holds(e: Expr, part: Expr) -> bool:
    """Return whether a mathematical expression contains another one."""
    return e == part or any(holds(inner, part) for inner in parts(e))


def weight(e: Expr) -> int:
    """Return the length of a mathematical expression: the number of its parts."""
    if type(e) in (Script, Atom, Number):
        return 1
    return 1 + sum(map(weight, parts(e)))
