"""Labels that name classes for which the network has no output."""

from __future__ import annotations

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.doctor import examples
from chainrule.doctor.case import Case
from chainrule.doctor.rebuilding import numbered
from chainrule.doctor.registry import Found, symptom
from chainrule.nn import output_semantics
from chainrule.text import _

#: What is said of labels that were divided or multiplied.
DIVIDED = _("the labels were scaled: class numbers are whole, and count from 0")
UNDIVIDED = _(
    "take the labels as they were before they were scaled; where those are not at "
    "hand, number their values from 0 on"
)


@symptom(
    "labels-out-of-range",
    "labels",
    stage=0,
    looks=_("fit() refuses the labels, or the loss of one's own picks nothing"),
    why=_("labels count from 0, and each needs an output of the network"),
    fix=_("subtract 1 from labels that begin with 1, or give the network more outputs"),
    reference=_("book 2.5.1: cross-entropy of a class number"),
    explains=(
        *("does-not-run", "one-class", "labels-without-signal", "does-not-learn"),
        *("imbalanced-classes", "non-finite-loss", "loss-of-wrong-sign"),
    ),
)
def labels_out_of_range(case: Case) -> Found | None:
    """Whole numbers below 0, or from the number of outputs on; or parts of them.

    As many numbers that are not whole as there are outputs, at even distances from 0
    on, are labels that were divided, as pixels are. Of one output, 0 and another number
    that means class 0 as well, or no probability, are.
    """
    if case.refused is not None or case.network is None or not case.single:
        return None
    for look in (_divided, _two):
        if (found := look(case)) is not None:
            return found
    if case.task != "classes" or case.train.y.ndim != 1:
        return None
    assert case.network is not None
    assert case.network.output is not None
    y, outputs = case.train.y, case.network.output.shape[1]
    if not isinstance(outputs, int) or (y.min() >= 0 and y.max() < outputs):
        return None
    evidence = {
        "least_label": int(y.min()),
        "greatest_label": int(y.max()),
        "outputs": outputs,
        "rows_out_of_range": int(((y < 0) | (y >= outputs)).sum()),
    }
    return Found("sick", "y", evidence, confidence=1.0)


def _divided(case: Case) -> Found | None:
    """Find labels of a cross-entropy that are the multiples of a part of 1."""
    y = np.asarray(case.train.y)
    output = case.network and case.network.output
    if not isinstance(case.setup.loss, nn.CrossEntropyLoss) or not output:
        return None
    if y.ndim != 1 or y.dtype.kind != "f" or len(output.shape) != 2:
        return None
    values = np.unique(y)
    count = len(values)
    step = float(values[-1]) / max(count - 1, 1)
    even = np.allclose(values, step * np.arange(count), rtol=1e-3, atol=1e-3 * step)
    if count != output.shape[1] or not even or not 0 < step < 1:
        return None
    change = numbered(case.setup, values)
    evidence = {
        "distinct_targets": count,
        "least_label": float(values[0]),
        "greatest_label": float(values[-1]),
        "outputs": count,
    }
    best = case.compare(change)
    return Found(
        "sick", "y", evidence, change, best, 1.0, cause=DIVIDED, advice=UNDIVIDED
    )


def _two(case: Case) -> Found | None:
    """Find two labels of one output, none of which means class 1."""
    output = case.network and case.network.output
    if output_semantics.threshold(case.setup.loss) is None or not output:
        return None
    y = np.asarray(case.train.y)
    values = np.unique(y)
    if y.size != len(y) or len(values) != 2 or values[0] != 0 or y.dtype.kind != "f":
        return None
    high = float(values[1])
    if 0.5 < high <= 1:
        return None
    evidence = {
        "distinct_targets": 2,
        "least_label": 0.0,
        "greatest_label": high,
        "outputs": 1,
    }
    change = numbered(case.setup, values)
    # Scores of such labels say nothing: all of them mean the same class.
    return Found(
        "sick", "y", evidence, change, None, 1.0, cause=DIVIDED, advice=UNDIVIDED
    )


@labels_out_of_range.sick
def sick_example() -> examples.Made:
    made = examples.moons()
    return examples.example(rows=Dataset(made.x, (made.y + 1).astype(np.int32)))


@labels_out_of_range.healthy
def healthy_example() -> examples.Made:
    return examples.example()
