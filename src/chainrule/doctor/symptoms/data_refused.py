"""Data that a Trainer refuses for another reason than a number that is none."""

from __future__ import annotations

from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.errors import NonFiniteError
from chainrule.text import _


@symptom(
    "data-refused",
    "data",
    stage=0,
    looks=_("fit() refuses the data"),
    why=_("inputs and targets do not form rows that a network can be trained on"),
    fix=_("do what the refusal says"),
    reference=_("the message of the data set"),
)
def data_refused(case: Case) -> Found | None:
    """Find data that ``Dataset`` refuses; the words are its own."""
    error = case.refused
    if error is None or isinstance(error, NonFiniteError):
        return None
    evidence = {"refused": error.what}
    evidence |= {"got": error.got} if error.got else {}
    return Found("sick", case.refused_part, evidence, advice=error.fix, confidence=1.0)


@data_refused.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=(made.x[:], made.y[:-1]))


@data_refused.healthy
def healthy_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=(made.x[:], made.y))
