"""Units of ReLU layers that are 0 for every row: they learn nothing any more."""

from __future__ import annotations

from chainrule import nn
from chainrule.doctor import changes, examples, initialising
from chainrule.doctor.case import Case
from chainrule.doctor.changes import rate_times
from chainrule.doctor.network import RELU, dead_share
from chainrule.doctor.rebuilding import shallower, wider
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: The share of a layer's units that is suspected: AutoTrainer (Zhang et al. 2021) has
#: 70 % of the units; half of them is said as a note.
SUSPECTED, NOTED = 0.7, 0.5


@symptom(
    "dead-units",
    "activation",
    stage=4,
    looks=_("the loss stops falling; many activations are exactly 0 for all rows"),
    why=_(
        "a ReLU whose input is above 0 for no row has gradient 0: a large step, a "
        "large negative bias, unscaled inputs or weights of 0 put it there, and "
        "nothing takes it back"
    ),
    fix=_("a lower learning rate, nn.LeakyReLU, other weights, or scaled inputs"),
    reference=_("book 2.7; Maas, Hannun & Ng 2013, leaky ReLU"),
    explains=("does-not-learn", "too-few-epochs", "vanishing-gradient"),
)
def dead_units(case: Case) -> Found | None:
    """Measured on up to 256 rows after the trial; sick where living units cure."""
    if case.refused is not None or not case.runs or case.seen_at_end is None:
        return None
    assert case.network is not None
    outputs = case.seen_at_end
    layers = [x.path for x in case.network.activations(RELU)]
    shares = {p: dead_share(outputs[p]) for p in layers if p in outputs}
    if not shares:
        return None
    worst = max(shares, key=lambda p: shares[p])
    share = shares[worst]
    evidence = {
        "share_of_dead_units": share,
        "layers": len(shares),
        "rows_looked_at": case.rows_seen,
    }
    if not case.can_be_sick:
        return Found("note", worst, evidence, confidence=1.0) if share > NOTED else None
    if share < SUSPECTED:
        return None
    what = _("leaky ReLU in place of ReLU")
    # What the network ends in is another question: relu-output asks it.
    hidden = [x.path for x in case.network.hidden(RELU)]
    leaky = changes.layer(case.setup, hidden, nn.LeakyReLU, what)
    if case.explained("dead-units"):
        return Found("risk", worst, evidence, leaky)
    tried = [
        ("activation", leaky),
        ("learning-rate", rate_times(case.setup, 0.1)),
        ("initialisation", initialising.variance(case.setup, relu=True)),
        ("architecture", shallower(case.setup)),
        ("architecture", wider(case.setup)),
    ]
    if case.seen is not None and dead_share(case.seen[worst]) > SUSPECTED:
        tried.insert(0, tried.pop(2))  # they never lived
    severity, best, part = case.judge_each(*tried)
    if severity is None and share == 1 and case.stalls:
        return Found("sick", worst, evidence, leaky, confidence=0.7)
    if severity is None:
        return Found("note", worst, evidence, confidence=1.0)
    return Found(severity, worst, evidence, comparison=best, component=part)


@dead_units.sick
def sick_example() -> examples.Made:
    model = examples.mlp()
    for name, p in model.named_parameters():
        if name.endswith("bias") and name != "4.bias":
            nn.init.constant_(p, -6.0)
    return examples.example(model)


@dead_units.healthy
def healthy_example() -> examples.Made:
    return examples.example()
