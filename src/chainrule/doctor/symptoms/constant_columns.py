"""Columns of features that hold one value in all rows."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.registry import Found, symptom
from chainrule.html.pictures import picture_shape
from chainrule.text import _

#: So many are named.
NAMED = 5
#: From this share of the columns on what they held was lost on the way, where the run
#: is not right anyway. Ours.
MOST = 0.45
#: Where so many numbers of the other columns are zero, a column of zeros is no wonder:
#: of rare words, most are in none of so many rows. Ours.
SPARSE = 0.9


@symptom(
    "constant-columns",
    "data",
    stage=0,
    looks=_("a column has the same value in every row"),
    why=_("a column that never changes tells nothing apart; it only shifts the bias"),
    fix=_("leave these columns out, or look at how they were read"),
    reference=_("Guyon & Elisseeff 2003, variable and feature selection"),
)
def constant_columns(case: Case) -> Found | None:
    """Exactly one value, over the rows looked at. Edges of pictures are passed over.

    Sick where about half of the columns are so, and the run is far from right; columns
    of rare words are no wonder.
    """
    if case.refused is not None or case.columns is None:
        return None
    found = case.columns.constant()
    pixels = picture_shape(case.train.x.shape[1:]) is not None
    if not found or (pixels and len(found) < case.columns.rows.shape[1]):
        return None
    names = ", ".join(case.columns.name(i) for i in found[:NAMED])
    where = _("{name}, columns {which}", name="x", which=names)
    width = case.columns.rows.shape[1]
    evidence = {"constant_columns": len(found), "columns": width}
    others = np.delete(case.columns.rows, found, 1)
    sparse = others.size > 0 and float((others == 0).mean()) > SPARSE
    if len(found) < MOST * width or sparse:
        return Found("note", where, evidence, confidence=1.0)
    cause = _(
        "so many columns never change: whatever they held was lost before the rows "
        "came here"
    )
    bar = 1 - SICK[case.metric]
    unknown = not case.runs or case.task == "unknown"
    if unknown or (case.score is not None and case.score > bar):
        return Found("risk", where, evidence, confidence=1.0, cause=cause)
    reached = {f"{case.metric}_of_run": case.score}
    return Found("sick", where, evidence | reached, confidence=0.7, cause=cause)


@constant_columns.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    x = np.concatenate([made.x[:], np.ones((len(made), 1), np.float32)], 1)
    model = examples.mlp(3)
    return examples.example(model, Dataset(x, made.y, classes=2))


@constant_columns.healthy
def healthy_example() -> examples.Made:
    return examples.example()
