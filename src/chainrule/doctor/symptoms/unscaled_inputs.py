"""Features whose numbers are large, tiny, or of very different size."""

from __future__ import annotations

import numpy as np

from chainrule.data import Dataset
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: A column is large from this mean or deviation on: that of the Trainer's own warning.
LARGE = 100.0
#: All columns are tiny below this: pixels that were divided by 255 twice reach 0.004.
TINY = 0.02
#: The deviations of two columns differ by this factor: LeCun et al. 1998 (4.3) want
#: them about equal, since the curvature goes with the square.
RATIO = 100.0
#: The mean of a column is so many of its deviations away from 0: by LeCun et al. 1998
#: (4.3) it should be near 0, since an offset moves all weights of a unit together.
OFF = 10.0


@symptom(
    "unscaled-inputs",
    "preprocessing",
    stage=1,
    looks=_("the loss begins far from where it should, or hardly falls"),
    why=_(
        "gradients of weights grow with the inputs, so that no learning rate suits all "
        "columns, and units saturate or die"
    ),
    fix=_("standardise the features, by the training rows"),
    reference=_("LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, 4.3"),
    explains=(
        *("learning-rate-too-large", "learning-rate-too-small", "saturated-units"),
        *("dead-units", "exploding-gradient", "vanishing-gradient", "does-not-learn"),
        *("weights-badly-scaled", "non-finite-loss", "too-few-epochs"),
        *("batch-too-large", "over-regularised"),
    ),
)
def unscaled_inputs(case: Case) -> Found | None:
    """Sick where standardised features cure; silent where the run does well anyway."""
    columns, features = case.columns, case.features
    if columns is None or features is None or case.network is None or not case.runs:
        return None
    if case.takes_indices or not case.can_be_sick:
        return None
    varied = features.deviations > 0
    spread = features.deviations[varied]
    if not len(spread):
        return None
    largest = float(max(np.abs(columns.means).max(), columns.deviations.max()))
    ratio = float(spread.max() / spread.min())
    tiny = largest < TINY
    off = float((np.abs(features.means[varied]) / spread).max())
    if largest < LARGE and ratio < RATIO and off < OFF and not tiny:
        return None
    severity, best = case.judge(changes.standardised(case.setup, case.feature_axes))
    if severity is None or best is None:
        return None
    evidence = {
        "largest_mean_or_deviation": largest,
        "largest_deviation": float(spread.max()),
        "smallest_deviation": float(spread.min()),
        "largest_mean_in_deviations": off,
        "loss_at_first_step": case.trial.loss_at_start(),
    }
    cause = None
    if tiny:
        cause = _(
            "the inputs are so small that the first layer sees next to nothing: were "
            "they scaled twice?"
        )
    elif largest < LARGE and ratio < RATIO:
        cause = _(
            "the means of columns are many deviations away from 0: nearly the same "
            "number goes into all weights of a unit, and what differs is small beside "
            "it"
        )
    where: str = "x"
    if features is columns:
        column = columns.name(int(columns.deviations.argmax()))
        where = _("{name}, columns {which}", name="x", which=column)
    return Found(severity, where, evidence, comparison=best, cause=cause)


@unscaled_inputs.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    x = made.x[:] * np.array([1.0, 3000.0]) + np.array([0.0, 90000.0])
    rows = Dataset(x.astype(np.float32), made.y, classes=2)
    return examples.example(rows=rows, epochs=20)


@unscaled_inputs.healthy
def healthy_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=Dataset(made.x[:] * 2, made.y, classes=2))
