"""A score that still rises with the number of training rows."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: What twice the rows should gain, as a share of what counts as sick: 5 points of
#: accuracy, 10 % of R². Ours.
SHARE = 0.5


@symptom(
    "more-rows-would-help",
    "data",
    stage=9,
    looks=_("the score stays below what was hoped for, whatever is changed"),
    why=_(
        "a standard network of all training rows does much better than one of half of "
        "them. By a power law, which errors often follow, twice the rows would do much "
        "better again"
    ),
    fix=_(
        "more training rows; where there are none, variations of those that are there, "
        "such as shifted images, or a network that was trained on similar data"
    ),
    reference=_("Cortes et al. 1993, learning curves; Hestness et al. 2017"),
)
def more_rows_would_help(case: Case) -> Found | None:
    """Asked where nothing is sick and the score leaves room: a learning curve."""
    if case.refused is not None or not case.runs or case.sick or case.fitted:
        return None
    if not case.can_be_sick or case.task == "unknown":
        return None
    whole, twice = case.standard, case.of_twice_the_rows
    if whole is None or twice is None or twice - whole <= SHARE * SICK[case.metric]:
        return None
    evidence = {
        "rows": len(case.part or case.train),
        f"{case.metric}_of_half_of_the_rows": case.standard_of_half,
        f"{case.metric}_of_standard_network": whole,
        f"{case.metric}_of_twice_the_rows": twice,
    }
    return Found("risk", "x", evidence, confidence=0.5)


def _product(rows: int) -> examples.Made:
    """Return a run on a wave times a column, among ten columns, of so many rows."""
    x = np.random.default_rng(0).uniform(-1, 1, (rows + 200, 10)).astype(np.float32)
    y = 2 * np.sin(3 * x[:, :1]) * x[:, 1:2] + x[:, 2:3]
    train, held = Dataset(x, y).split(rows / len(x), seed=0)
    model = examples.mlp(10, 1, width=32)
    loss = nn.MSELoss()
    return examples.example(model, train, loss=loss, validation=held, epochs=100)


@more_rows_would_help.sick
def sick_example() -> examples.Made:
    return _product(140)


@more_rows_would_help.healthy
def healthy_example() -> examples.Made:
    return _product(500)
