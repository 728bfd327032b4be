"""A softmax over a single output, which is 1 whatever the score."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.network import SOFTMAX
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _


@symptom(
    "softmax-over-one-output",
    "activation",
    stage=1,
    looks=_("the output is exactly 1 for every row, and the loss never changes"),
    why=_("softmax(z) = eᶻ/eᶻ = 1 for a single score z: its derivative is 0"),
    fix=_("nn.Sigmoid() for one output, or two outputs and nn.CrossEntropyLoss()"),
    reference=_("book 3.2.3"),
    explains=(
        *("does-not-learn", "vanishing-gradient", "does-not-run", "too-few-epochs"),
        *("learning-rate-too-small", "over-regularised", "dead-units"),
    ),
)
def softmax_over_one_output(case: Case) -> Found | None:
    """Read off the graph: the axis of the last softmax has one element."""
    found = case.network
    if case.refused is not None or found is None or found.end is None:
        return None
    if found.end_kind != SOFTMAX:
        return None
    shape, axis = found.end.inputs[0].shape, found.end.attrs["axis"]
    if shape[axis] != 1:
        return None
    last = found.activations(SOFTMAX)
    what = _("a sigmoid in place of the softmax")
    change = (
        changes.layer(case.setup, [last[-1].path], nn.Sigmoid, what) if last else None
    )
    best = None if change is None else case.compare(change)
    evidence = {"outputs": 1, "output_of_every_row": 1.0}
    return Found("sick", found.where(), evidence, change, best, confidence=1.0)


@softmax_over_one_output.sick
def sick_example() -> examples.Made:
    model = examples.mlp(2, 1).append(nn.Softmax())
    rows = examples.binary(examples.moons())
    return examples.example(model, rows, loss=nn.BCELoss())


@softmax_over_one_output.healthy
def healthy_example() -> examples.Made:
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    rows = examples.binary(examples.moons())
    return examples.example(model, rows, loss=nn.BCELoss())
