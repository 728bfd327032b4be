"""Columns of features that hold the same numbers."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.html.pictures import picture_shape
from chainrule.text import _

#: So many pairs are named.
NAMED = 3


@symptom(
    "repeated-columns",
    "data",
    stage=0,
    looks=_("two columns hold the same numbers in every row"),
    why=_(
        "a repeated column adds no information; its rate of learning counts twice, and "
        "the importance of columns is split between the copies"
    ),
    fix=_("keep one of them"),
    reference=_("Strobl et al. 2008, on importance and correlated columns"),
)
def repeated_columns(case: Case) -> Found | None:
    """Equal to the bit in all rows looked at; pictures are passed over."""
    if case.refused is not None or case.columns is None:
        return None
    if picture_shape(case.train.x.shape[1:]) is not None:
        return None
    pairs = case.columns.repeated()
    if not pairs:
        return None
    name = case.columns.name
    which = ", ".join(f"{name(a)} = {name(b)}" for a, b in pairs[:NAMED])
    where = _("{name}, columns {which}", name="x", which=which)
    return Found("note", where, {"repeated_columns": len(pairs)}, confidence=1.0)


@repeated_columns.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    x = np.concatenate([made.x[:], made.x[:, :1]], 1)
    return examples.example(examples.mlp(3), Dataset(x, made.y, classes=2))


@repeated_columns.healthy
def healthy_example() -> examples.Made:
    return examples.example()
