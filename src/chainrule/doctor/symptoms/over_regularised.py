"""A penalty of weights, or dropout, so strong that the network cannot learn."""

from __future__ import annotations

from chainrule import nn, optim
from chainrule.doctor import changes, examples
from chainrule.doctor.case import Case
from chainrule.doctor.registry import Found, symptom
from chainrule.text import _

#: A weight decay well above the usual 10⁻² (Loshchilov & Hutter 2019 go up to 10⁻¹),
#: and a dropout above ½ (Srivastava et al. 2014) are suspected.
DECAY, DROPOUT = 0.05, 0.55
#: An L1 penalty pulls each weight by so much, whatever its size: as much as a decay of
#: 0.05 pulls a weight of 0.2. A smaller one is suspected where the run is behind.
LASSO = 0.01
#: Where the decay is a part of the gradient, and that is divided by its own size, as
#: Adam does, a small decay pulls as much as a large one (Loshchilov & Hutter 2019, 3):
#: it is suspected from here on where the run is behind what its references find.
COUPLED = 1e-3

#: Optimisers that divide by the size of the gradient, with the decay in it.
DIVIDED = (optim.Adam, optim.RMSprop, optim.Adagrad, optim.Adadelta)


@symptom(
    "over-regularised",
    "regularisation",
    stage=4,
    looks=_("training and validation loss are both high, and stay there"),
    why=_(
        "the pull of the penalty (weight decay, L1) towards 0 is stronger than the "
        "gradient, or so many units are left out that nothing gets through"
    ),
    fix=_("less weight decay, L1 or dropout, until the training loss falls"),
    reference=_("Srivastava et al. 2014; Loshchilov & Hutter 2019"),
    explains=("too-few-epochs", "does-not-learn", "batch-too-large", "dead-units"),
)
def over_regularised(case: Case) -> Found | None:
    """Strong settings; sick where the run without them is better."""
    if case.refused is not None or not case.runs or not case.can_be_sick:
        return None
    setup = case.setup
    decay = setup.optimizer.defaults.get("weight_decay") or 0.0
    lasso = setup.optimizer.defaults.get("l1_penalty") or 0.0
    drops = [
        (path, m)
        for path, m in setup.model.named_modules()
        if isinstance(m, nn.Dropout) and m.p > DROPOUT
    ]
    made = []
    evidence = {}
    coupled = isinstance(setup.optimizer, DIVIDED) and decay >= COUPLED and case.behind
    strong = decay >= DECAY or coupled
    if strong:
        made.append(changes.option(setup, "weight_decay", 0.0, _("no weight decay")))
        weights, gradients = case.first("weight_norm"), case.first("grad_norm")
        shared = [n for n in weights if gradients.get(n)]
        pull = max((decay * weights[n] / gradients[n] for n in shared), default=0.0)
        evidence |= {"weight_decay": decay, "decay_to_gradient_at_first_step": pull}
    if lasso >= LASSO or (lasso and case.behind):
        made.append(changes.option(setup, "l1_penalty", None, _("no L1 penalty")))
        evidence["l1_penalty"] = lasso
    if drops:
        paths = [path for path, __ in drops]
        what = _("no dropout")
        made.append(changes.layer(setup, paths, nn.Identity, what))
        evidence |= {"dropout": float(drops[0][1].p), "dropout_layers": len(drops)}
    severity, best = case.judge(*(c for c in made if c is not None))
    if severity is None or best is None:
        return None
    of_weights = {"weight_decay", "l1_penalty"} & {*best.change.slots}
    where = "optimizer" if of_weights else drops[0][0]
    return Found(severity, where, evidence, comparison=best)


@over_regularised.sick
def sick_example() -> examples.Made:
    return examples.example(optimizer=optim.SGD(lr=0.3, weight_decay=0.5))


@over_regularised.healthy
def healthy_example() -> examples.Made:
    return examples.example(optimizer=optim.AdamW(lr=0.01, weight_decay=0.01))
