"""Usual treatments: single changes that are tried where no symptom stands out.

Goodfellow, Bengio & Courville 2016 (11.4) begin with the learning rate; then come the
optimiser, batches, initial weights and activations that are known to work.
"""

from __future__ import annotations

from functools import partial

from chainrule import nn, optim
from chainrule.doctor import changes
from chainrule.doctor.case import Case
from chainrule.doctor.changes import rate_times
from chainrule.doctor.finding import Change
from chainrule.doctor.network import RELU, SQUASHING
from chainrule.doctor.setup import Setup
from chainrule.doctor.subject import BATCH
from chainrule.text import _

#: Factors of the rate.
RATES = (0.1, 0.01, 10.0)
#: The rate of Adam that Kingma & Ba 2015 recommend.
ADAM = 0.001


def adam(setup: Setup) -> Change:
    """Return the change of the optimiser to Adam, at its usual rate."""
    return changes.optimizer(setup, partial(optim.Adam, lr=ADAM))


def usual(case: Case) -> list[tuple[str, Change | None]]:
    """Return the usual treatments of a case, each with the component that it mends."""
    setup, network = case.setup, case.network
    assert network is not None
    squashing = [x.path for x in network.activations(*SQUASHING)]
    if network.end_kind in SQUASHING:
        squashing = squashing[:-1]
    what = _("ReLU in place of squashing activations")
    relu = bool(network.activations(RELU))
    found: list[tuple[str, Change | None]] = [
        *(("learning-rate", rate_times(setup, factor)) for factor in RATES),
        ("optimizer", adam(setup)),
        ("initialisation", changes.variance(setup, relu=relu)),
        ("activation", changes.activation(setup, squashing, nn.ReLU, what)),
    ]
    if case.single and not case.takes_indices:
        found.append(("preprocessing", changes.standardised(setup)))
    if setup.batch_size != BATCH and len(setup.train) > BATCH:
        batches = changes.plan(setup, _("batches of 32"), batch_size=BATCH)
        found.append(("batch-size", batches))
    return found
