"""The parts of a mathematical expression, and its length."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

from chainrule.notation.expressions import Atom, Computed, Expr, Number, Script


@lru_cache(maxsize=256)
def _fields(kind: type[Expr]) -> tuple[str, ...]:
    """Return the names of the fields of a class of expressions."""
    return tuple(field.name for field in dataclasses.fields(kind))  # pyright: ignore


def parts(e: Expr) -> list[Expr]:
    """Return the direct parts of a mathematical expression."""
    expressions: list[Expr] = []
    if isinstance(e, Computed):
        return list(e.arguments)
    for name in _fields(type(e)):
        item = getattr(e, name)
        expressions += [item] if isinstance(item, Expr) else []
        if isinstance(item, tuple):
            for inner in item:
                pair = inner if isinstance(inner, tuple) else (inner,)
                expressions += [i for i in pair if isinstance(i, Expr)]
    return expressions


def holds(e: Expr, part: Expr) -> bool:
    """Return whether a mathematical expression contains another one."""
    return e == part or part in _written(e)


def _written(e: Expr) -> frozenset[Expr]:
    """Return all that is written within an expression, collected once."""
    attributes = vars(e)
    found = attributes.get("_written")
    if found is None:
        direct = parts(e)
        found = frozenset(direct).union(*map(_written, direct))
        attributes["_written"] = found
    return found


def weight(e: Expr) -> int:
    """Return the length of a mathematical expression: the number of its parts."""
    if type(e) in (Script, Atom, Number):
        return 1
    return 1 + sum(map(weight, parts(e)))
