"""The space of changes that a search of fixes tries, alone and together.

First what the findings propose, then what was tried for them, then the remedies that
textbooks name first, where the setup is otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from chainrule import nn, optim
from chainrule.doctor import changes, initialising
from chainrule.doctor.case import Case
from chainrule.doctor.finding import Change, Finding
from chainrule.doctor.network import RELU, SIGMOID, SOFTMAX, SQUASHING
from chainrule.doctor.rebuilding import shallower, wider
from chainrule.doctor.setup import Setup
from chainrule.text import _

#: Rates of Adam that are tried: its authors' (Kingma & Ba 2015), and ten times that.
ADAM = (1e-3, 1e-2)
#: Further ones, once a set of changes with Adam leads.
FINE = (3e-4, 3e-3, 3e-2, 0.1)
#: How many times as many epochs are tried at last.
TIMES = (4, 16)
#: So many of the changes that helped most are combined with each other.
COMBINED = 5
#: Factors of the learning rate that are tried.
FACTORS = (0.1, 10.0, 0.01, 100.0)
#: A rate is far from the default one of its optimiser from this factor on.
UNUSUAL = 100.0
#: A usual batch, and from which sizes on it is tried: Masters & Luschi 2018 find 2 to
#: 32 best, at any size of the data.
BATCH, SMALL, LARGE = 32, 8, 64
#: Columns are about standard where means and deviations are within this of 0 and 1.
STANDARD = 0.5


def proposed(findings: Iterable[Finding]) -> list[Change]:
    """Return the changes of findings, causes before their consequences."""
    order = sorted(findings, key=lambda f: f.consequence_of is not None)
    return unique(c for f in order if f.change is not None for c in f.change.single)


def space(case: Case, findings: Sequence[Finding]) -> list[Change]:
    """Return all changes that a search tries, the likeliest first."""
    tried = sorted(case.compared, key=lambda c: -c.gain)
    helped = [one for c in tried if c.gain > 0 for one in c.change.single]
    return unique([*proposed(findings), *helped, *usual(case)])


def unique(made: Iterable[Change]) -> list[Change]:
    """Return changes without those that do the same as an earlier one."""
    return list({(c.before, c.after, c.slots): c for c in reversed([*made])}.values())[
        ::-1
    ]


def adam(setup: Setup, rate: float = ADAM[0]) -> Change:
    """Return the change of the optimiser to Adam."""
    return changes.optimizer(setup, partial(optim.Adam, lr=rate))


def finer(case: Case) -> list[Change]:
    """Return changes for a set that leads: rates in between, longer runs."""
    setup = case.setup
    made = [adam(setup, rate) for rate in FINE]
    epochs = [setup.epochs * times for times in TIMES]
    return made + [changes.plan(setup, _("more epochs"), epochs=n) for n in epochs]


def combined(case: Case) -> list[Change]:
    """Return sets of changes: what is suspected and usual, pairs of what helped most.

    Where several things are wrong at once, no single change cures. What symptoms
    suspect goes first, with a usual optimiser; then all usual changes as well; then
    pairs of those that helped alone.
    """
    order = sorted(case.compared, key=lambda c: -c.gain)
    best = [c.change for c in order if c.gain > 0 and not c.change.parts][:COMBINED]
    usual_ones = unique(usual(case))
    steps = [c for c in usual_ones if "optimizer" in c.slots and "rate" in c.slots]
    sets = [
        *([c, *case.proposed] for c in steps if case.proposed),
        *([c, *case.proposed, *usual_ones] for c in steps),
        *([c, *usual_ones] for c in steps if case.proposed),
        *([a, b] for i, a in enumerate(best) for b in best[:i]),
    ]
    kept = [changes.compatible(one) for one in sets]
    return unique(changes.together(one) for one in kept if len(one) > 1)


#: What is mended by a change that decides on something.
MENDS = {
    "optimizer": "optimizer",
    "rate": "learning-rate",
    "weights": "initialisation",
    "width": "architecture",
    "depth": "architecture",
    "layer": "activation",
    "inputs": "preprocessing",
    "targets": "preprocessing",
    "batch_size": "batch-size",
    "clip_norm": "optimizer",
    "weight_decay": "regularisation",
    "l1_penalty": "regularisation",
}
#: The same of changes that few setups give a reason for.
OTHERS = {
    "epochs": "epochs",
    "stopping": "epochs",
    "average": "optimizer",
    "loss": "loss",
    "rows": "data",
    "shape": "labels",
    "outputs": "architecture",
    "requires_grad": "architecture",
}


def component(setup: Setup, change: Change) -> str:
    """Return the component that a change mends, by what it decides on first."""
    kind, __, path = change.slots[0].partition(" ")
    if path and isinstance(setup.model.get_submodule(path), nn.Dropout):
        return "regularisation"
    return (MENDS | OTHERS).get(kind, "optimizer")


def usual(case: Case) -> Iterator[Change]:
    """Yield the remedies that textbooks name first, where the setup is otherwise.

    Goodfellow, Bengio & Courville 2016 (11.4) begin with the learning rate; then come
    the optimiser, batches, initial weights and activations that are known to work.
    """
    setup, network = case.setup, case.network
    yield from unusual(case)
    for rate in ADAM:
        present = setup.optimizer
        same = type(present) is optim.Adam and changes.peak(present.schedule) == rate
        if not same:
            yield adam(setup, rate)
    for factor in FACTORS:
        if (change := changes.rate_times(setup, factor)) is not None:
            yield change
    if network is not None:
        hidden = [x.path for x in network.hidden(*SQUASHING)]
        what = _("ReLU in place of squashing activations")
        if change := changes.activation(setup, hidden, nn.ReLU, what):
            yield change
        if network.linear and network.products > 1:
            inner = [x.path for x in network.layers if x.parameters][:-1]
            if change := changes.between(setup, inner):
                yield change
        relus = [x.path for x in network.hidden(RELU)]
        what = _("leaky ReLU in place of ReLU")
        if change := changes.activation(setup, relus, nn.LeakyReLU, what):
            yield change
        yield initialising.variance(setup, relu=bool(relus) or not hidden)
        if not case.takes_indices and _far(case):
            yield changes.standardised(setup, case.feature_axes)
        if case.task == "quantities" and _far_targets(case):
            yield changes.standardised_targets(setup)
    for change in (wider(setup), shallower(setup)):
        if change is not None:
            yield change
    odd = setup.batch_size >= LARGE or setup.batch_size < SMALL
    if odd and len(setup.train) > BATCH:
        yield changes.plan(setup, _("another batch size"), batch_size=BATCH)
    if setup.optimizer.defaults.get("clip_norm") is None:
        yield changes.clipped(setup)
    if setup.optimizer.defaults.get("weight_decay"):
        change = changes.option(setup, "weight_decay", 0.0, _("no weight decay"))
        if change is not None:
            yield change
    if setup.optimizer.defaults.get("l1_penalty"):
        change = changes.option(setup, "l1_penalty", None, _("no L1 penalty"))
        if change is not None:
            yield change
    drops = [n for n, m in setup.model.named_modules() if isinstance(m, nn.Dropout)]
    if change := changes.layer(setup, drops, nn.Identity, _("no dropout")):
        yield change


def unusual(case: Case) -> Iterator[Change]:
    """Yield changes that leave out what a first try does without.

    A rate far from the optimiser's default, an end behind the last layer, options of
    the loss, early stopping that has ended the trial, the average of the weights.
    """
    setup, network = case.setup, case.network
    if (change := _usual_rate(setup)) is not None:
        yield change
    if network is not None and network.end is not None:
        path = network.end.scope
        simple = any(x.path == path and x.simple for x in network.layers)
        if simple and network.end_kind not in (SOFTMAX, SIGMOID, "log_softmax"):
            what = _("nothing behind the last layer")
            if change := changes.layer(setup, [path], nn.Identity, what):
                yield change
    plain = nn.CrossEntropyLoss
    if type(setup.loss) is plain and network is not None:
        logits = network.end_kind not in (SOFTMAX, "log_softmax")
        if logits and repr(setup.loss) != repr(plain()):
            change = changes.loss(setup, plain, _("a loss without options"))
            if change is not None:
                yield change
    if setup.stopping and case.trial.stopped:
        yield changes.unstopped(setup)
    if setup.decay is not None:
        yield changes.unaveraged(setup)


def _usual_rate(setup: Setup) -> Change | None:
    """Return the change to the optimiser's default rate, where yours is far from it.

    Of optimisers whose steps have a size of their own: that of SGD is the gradient's.
    """
    if isinstance(setup.optimizer, optim.SGD | optim.LBFGS):
        return None
    known = inspect.signature(type(setup.optimizer)).parameters.get("lr")
    default = getattr(known, "default", None)
    rate = changes.peak(setup.optimizer.schedule)
    if not isinstance(default, float) or rate is None or not rate > 0:
        return None
    factor = default / rate
    if 1 / UNUSUAL <= factor <= UNUSUAL:
        return None
    return changes.rate_times(setup, factor)


def _far(case: Case) -> bool:
    """Return whether the features are far from mean 0 and deviation 1."""
    columns = case.features
    if columns is None or columns.rows.shape[1] == 0:
        return False
    if case.setup.held_out.x.shape[1:] != case.train.x.shape[1:]:
        return False  # what the one part has, the other cannot be scaled by
    spread = columns.deviations[columns.deviations > 0]
    if not len(spread) or not np.isfinite(spread).all():
        return False
    off = float(np.abs(columns.means).max()), float(np.abs(np.log(spread)).max())
    return max(off) > STANDARD


def _far_targets(case: Case) -> bool:
    """Return whether the targets are far from mean 0 and deviation 1."""
    y = np.asarray(case.train.y, np.float64)
    y = y[np.isfinite(y)]
    if not len(y) or not y.std():
        return False
    return max(abs(float(y.mean())), abs(float(np.log(y.std())))) > STANDARD
