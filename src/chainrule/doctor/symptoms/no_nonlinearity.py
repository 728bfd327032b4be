"""Several layers with nothing between them: together they are one linear function."""

from __future__ import annotations

from chainrule import data, nn
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _


@symptom(
    "no-nonlinearity",
    "architecture",
    stage=1,
    looks=_("more layers do not help: the network is as good as a linear model"),
    why=_(
        "W₂(W₁x + b₁) + b₂ is linear in x: layers without an activation are one layer"
    ),
    fix=_("an activation, such as nn.ReLU(), behind each hidden layer"),
    reference=_("book 2.3.2 and 2.7: compositions of functions"),
    explains=(
        *("does-not-learn", "too-few-epochs", "learning-rate-too-small"),
        *("batch-too-large", "over-regularised", "learning-rate-too-large"),
    ),
)
def no_nonlinearity(case: Case) -> Found | None:
    """Read off the graph: two products or more, and the output is linear in the input.

    Sick where activations cure; a note where a linear function does.
    """
    found = case.network
    if case.refused is not None or found is None or not found.linear:
        return None
    if found.products < 2 or not case.runs:
        return None
    hidden = [x.path for x in found.layers if x.parameters][:-1]
    change = changes.between(case.setup, hidden)
    severity, best = None, None
    if change is not None and case.can_be_sick:
        severity, best = case.judge(change)
    evidence = {
        "products_in_a_row": found.products,
        "nonlinear_operations": 0,
    }
    return Found(severity or "note", "", evidence, change, best)


@no_nonlinearity.sick
def sick_example() -> examples.Made:
    model = examples.mlp(act=nn.Identity)
    return examples.example(model, data.circles(300, seed=0), epochs=40)


@no_nonlinearity.healthy
def healthy_example() -> examples.Made:
    return examples.example(rows=data.circles(300, seed=0), epochs=40)
