"""The words for a run that is seen from outside: cause, advice, source by code."""

from __future__ import annotations

from typing import Any, NamedTuple

from chainrule.doctor.finding import Finding
from chainrule.text import _


class Rule(NamedTuple):
    """The fixed words of what is watched for.

    Attributes:
        component, severity, cause, advice, reference, confidence: of the findings.
    """

    component: str
    severity: str
    cause: str
    advice: str
    reference: str
    confidence: float = 0.5


RULES = {
    "loss-diverges": Rule(
        "learning-rate",
        "sick",
        _("the loss is above where it began: the steps are too long"),
        _("a lower learning rate; cr.lr_find(trainer, data) proposes one"),
        _("book 2.6.2; Smith 2017, cyclical rates: the range test"),
        0.8,
    ),
    "loss-oscillates": Rule(
        "learning-rate",
        "risk",
        _("the loss jumps and does not fall: steps lead across the valley"),
        _("a lower learning rate, or larger batches"),
        _("book 2.6.2"),
    ),
    "loss-stalls": Rule(
        "optimizer",
        "risk",
        _("the loss has not fallen since the start"),
        _(
            "another learning rate: cr.lr_find(trainer, data); cr.diagnose(trainer, "
            "data) looks for the cause"
        ),
        _("Goodfellow, Bengio & Courville 2016, 11.5: debugging strategies"),
    ),
    "vanishing-gradient": Rule(
        "activation",
        "risk",
        _("the gradient is lost on its way to the first layers"),
        _("ReLU with weights of its variance, normalisation, or fewer layers"),
        _("book 3.8; Glorot & Bengio 2010; He et al. 2015"),
    ),
    "exploding-gradient": Rule(
        "optimizer",
        "risk",
        _("the gradients have grown a thousandfold"),
        _("clip_norm=1.0 of the optimiser, or a lower learning rate"),
        _("book 3.8; Pascanu, Mikolov & Bengio 2013"),
    ),
    "dead-units": Rule(
        "activation",
        "risk",
        _("most units of the layer are 0 for all rows, and learn nothing"),
        _("a lower learning rate, nn.LeakyReLU, or scaled inputs"),
        _("book 2.7; Maas, Hannun & Ng 2013, leaky ReLU"),
    ),
    "saturated-units": Rule(
        "activation",
        "risk",
        _("most outputs are where the derivative is next to 0"),
        _("scale the inputs, take smaller initial weights, or ReLU"),
        _("book 2.7; Glorot & Bengio 2010"),
    ),
    "overfitting": Rule(
        "regularisation",
        "risk",
        _("the validation loss rises while the training loss falls"),
        _("training.EarlyStopping(restore_best=True), weight decay, or more rows"),
        _("Prechelt 1998, Early Stopping – But When?"),
        0.8,
    ),
    "non-finite-loss": Rule(
        "numerics",
        "sick",
        _("a number is no longer finite: the run has ended"),
        _("cr.diagnose(trainer, data) names the operation and looks for the cause"),
        _("book 2.6.2"),
        1.0,
    ),
    "weights-not-finite": Rule(
        "numerics",
        "sick",
        _("a weight is no number: all that is computed with it is none either"),
        _(
            "a lower learning rate; clip_norm=1.0 of the optimiser; a root, logarithm "
            "or quotient that is kept away from 0"
        ),
        _("book 2.6.2"),
        1.0,
    ),
    "weights-unchanged": Rule(
        "optimizer",
        "risk",
        _("an optimiser has parameters that no step has changed: they get no gradient"),
        _(
            "look whether the loss depends on them, and whether a rate is 0; else "
            "leave them out of the optimiser"
        ),
        _("Goodfellow, Bengio & Courville 2016, 11.5: debugging strategies"),
        0.8,
    ),
    "weights-grow": Rule(
        "learning-rate",
        "risk",
        _("the weights have grown a thousandfold: the steps are too long"),
        _("a lower learning rate, weight decay, or clip_norm=1.0 of the optimiser"),
        _("book 2.6.2; Pascanu, Mikolov & Bengio 2013"),
        0.8,
    ),
}


def finding(code: str, evidence: dict[str, Any], where: str = "") -> Finding:
    """Return the finding of a rule, with its words."""
    rule = RULES[code]
    return Finding(
        code,
        rule.component,
        rule.severity,
        where,
        evidence,
        rule.cause,
        rule.advice,
        confidence=rule.confidence,
        reference=rule.reference,
    )
