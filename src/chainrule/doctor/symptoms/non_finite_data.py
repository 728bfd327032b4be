"""Numbers in the data that are none: NaN or infinity."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.errors import NonFiniteError
from chainrule.text import _


@symptom(
    "non-finite-data",
    "data",
    stage=0,
    looks=_("the data are refused, or the loss is NaN from the first step"),
    why=_("one NaN or infinity in a batch makes every gradient of that batch NaN"),
    fix=_(
        "leave these rows out, or fill the gaps: np.nanmean of the column, or "
        "cr.data.read_csv, which fills them by the training rows"
    ),
    reference=_("IEEE 754: NaN is the result of every operation on NaN"),
)
def non_finite_data(case: Case) -> Found | None:
    """Any number that is not finite counts: the Trainer refuses such data."""
    if not isinstance(case.refused, NonFiniteError):
        return None
    given = case.given_validation if case.refused_part else case.given
    evidence: dict[str, Any] = {"refused": case.refused.what}
    where = case.refused_part
    if isinstance(given, tuple | list) and len(given) == 2:
        for name, part in (("x", given[0]), ("y", given[1])):
            array = _floats(part)
            if array is None or np.isfinite(array).all():
                continue
            bad = ~np.isfinite(array.reshape(len(array), -1))
            columns = np.flatnonzero(bad.any(0))
            evidence |= {
                f"non_finite_numbers_of_{name}": int(bad.sum()),
                f"rows_of_{name}_with_one": int(bad.any(1).sum()),
            }
            which = ", ".join(map(str, columns[:5]))
            where = _("{name}, columns {which}", name=name, which=which)
            if case.refused_part:
                where = _("{part}: {where}", part=case.refused_part, where=where)
    return Found("sick", where, evidence, confidence=1.0)


def _floats(part: Any) -> np.ndarray | None:
    try:
        return np.asarray(part, np.float64)
    except (TypeError, ValueError):
        return None


@non_finite_data.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    x = np.array(made.x[:])
    x[7, 1] = np.nan
    return examples.example(rows=(x, made.y))


@non_finite_data.healthy
def healthy_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=(np.array(made.x[:]), made.y))
