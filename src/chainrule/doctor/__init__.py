"""The doctor: what is wrong with a training, by which numbers, and what was tried.

    diagnosis    the result: findings in order, what was looked at, fixes, a file
    subject      what is examined: a copy of a Trainer, data, plan, task
    trials       trial runs of it, and their scores
    standing     what references find that know nothing of the run
    case         evidence that is measured when it is asked for, comparisons
    registry,    symptoms, each with its rule and its examples in a file of its own
    symptoms
    finding      findings, changes, comparisons of scores
    setup,       copies of a Trainer's parts, trial runs of them, changes in them
    changes
    fixes,       the search for changes that cure, alone and together, and its space
    space
    live,        what is said of a run while it goes on, and its words
    live_rules
    loops,       loops without a loss, and studies of several stages
    study
    range_test   a learning rate by a range test: ``lr_find``
    evidence     the budget, and from which gain a run is sick
    network,     what is read off the graph, and off the data
    columns
    draws,       other initial weights of the same rule, and chance
    chance
    reference,   simple means and a standard network, which know nothing of the user's
    standard
    heard        which outputs and targets a loss takes part in
    first_bad    the first operation that makes a non-finite number
    labels       the words for evidence and parts, which have keys
    view, page   text, and HTML
    saving       a diagnosis as one file, and back
    handbook     the page of symptoms
    weights      weights of products that no layer of the library holds

A run is *sick* where a single change betters its score on held-out rows by more than
ten points of accuracy or 20 % of R² after as many steps; that is measured on copies.
What is wrong by itself (it does not run, its loss is no number) is sick too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.doctor import evidence
from chainrule.doctor.case import Case
from chainrule.doctor.diagnosis import REFUSED, Diagnosis, ranked
from chainrule.doctor.finding import Change, Comparison, Finding, Fix
from chainrule.doctor.live import Watch
from chainrule.doctor.loops import LoopWatch
from chainrule.doctor.range_test import RangeTest, lr_find
from chainrule.doctor.registry import Symptom, registered
from chainrule.doctor.setup import run
from chainrule.doctor.study import StudyDiagnosis
from chainrule.doctor.subject import need_trainer
from chainrule.errors import ChainruleWarning
from chainrule.text import _
from chainrule.training import Callback, Trainer
from chainrule.util.blocks import opened, settle, settled
from chainrule.util.source_location import beginning_here
from chainrule.util.validation import maybe, number, truth, whole

__all__ = [
    "Case",
    "Change",
    "Comparison",
    "Diagnosis",
    "Finding",
    "Fix",
    "LoopWatch",
    "RangeTest",
    "StudyDiagnosis",
    "Symptom",
    "Watch",
    "diagnose",
    "lr_find",
    "registered",
]


@settled
def diagnose(
    trainer: Trainer,
    data: Any,
    *,
    validation: Any = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    drop_last: bool | None = None,
    seconds: float | None = None,
    callbacks: Callback | Iterable[Callback] = (),
) -> Diagnosis:
    """Examine a training and say what is wrong with it, with evidence and fixes.

    The data, the network's graph, initial weights and a trial run are looked at; what
    is suspected is tried on copies. Nothing of the Trainer changes. With the same seed
    the diagnosis is the same, on any number of threads.

    Args:
        trainer: trained or not. Of a trained one copies begin with weights drawn anew.
        data: the training data, as ``trainer.fit`` takes them.
        validation: rows for the scores; None: a fifth of the training rows.
        epochs, batch_size: the run that is planned; None: those of the Trainer's last
            run, else 10 epochs with batches of 32.
        drop_last: whether the planned run leaves out what does not fill a batch; None:
            as the Trainer's last run, else not.
        seconds: the budget, 10 by default. It is turned into numbers of steps by the
            FLOPs of a step, so that no clock decides.
        callbacks: of the planned run. Where there is an
            :class:`~chainrule.training.EarlyStopping` by a loss among them, copies of
            it end the trial runs too, by the rows for the scores; nothing else is
            called.

    Returns:
        A :class:`~chainrule.doctor.Diagnosis`: ``healthy``, ``findings``,
        ``fix()``, ``save(path)``.

    Raises:
        ArgumentError: something that is no Trainer, or one that cannot be copied;
            numbers out of range.

    >>> import chainrule as cr
    >>> from chainrule import nn, optim
    >>> cr.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(),
    ...                      optimizer=optim.SGD(lr=100.0), engine="numpy")
    >>> moons = cr.data.moons(200, seed=0)
    >>> diagnosis = cr.diagnose(trainer, moons, epochs=20)
    >>> diagnosis.healthy, diagnosis.findings[0].code
    (False, 'learning-rate-too-large')
    """
    need_trainer(trainer, _("The doctor examines a Trainer."))
    case = Case(
        trainer,
        data,
        validation=validation,
        epochs=maybe(whole)("epochs", epochs),
        batch_size=maybe(whole)("batch_size", batch_size),
        drop_last=maybe(truth)("drop_last", drop_last),
        seconds=None if seconds is None else number("seconds", seconds, above=0),
        callbacks=callbacks,
    )
    return examine(case, trainer.seed)


def _unmoved(case: Case, findings: Sequence[Finding]) -> frozenset[str]:
    """Return the codes of findings whose change leaves a training refused as it was."""
    if all(f.code != REFUSED for f in findings):
        return frozenset()
    made = {f.code: f.change for f in findings if f.change and f.code != REFUSED}
    asked = case.trial.error
    assert asked is not None
    same = (asked.what, asked.got)
    unmoved = set[str]()
    for code, change in made.items():
        try:
            error = run(case.prepared(change, steps=1)).error
        except Exception:  # noqa: BLE001 - what was not tried may not apply
            continue
        if error is not None and (error.what, error.got) == same:
            unmoved.add(code)
    return frozenset(unmoved)


def examine(case: Case, seed: int) -> Diagnosis:
    """Look for all symptoms in a case; Ctrl-C ends it with what was found."""
    findings: list[Finding] = []
    interrupted, unmoved = False, frozenset[str]()
    case.explains = {s.code: s.explains for s in registered()}
    outer = opened.top
    try:
        for symptom in registered():
            if case.refused is not None and symptom.stage > 0:
                break
            case.budget.kept = evidence.kept(case.budget.seconds, symptom.stage)
            # Findings say what warnings would.
            with (
                warnings.catch_warnings(),
                np.errstate(all="ignore"),
                beginning_here(),
            ):
                warnings.simplefilter("ignore", ChainruleWarning)
                found = symptom.look(case)
            if found is not None:
                findings.append(found)
                case.found.add(found.code)
                if found.change is not None:
                    case.proposed.append(found.change)
                if found.severity == "sick":
                    case.sick.add(found.code)
        unmoved = _unmoved(case, findings)
    except KeyboardInterrupt:
        interrupted = True
        case.not_examined["rest"] = _("it was interrupted")
    if interrupted:
        settle(outer)
    if case.refused is not None:
        case.not_examined["network"] = _("the data were refused")
    return Diagnosis(
        ranked(findings, registered(), unmoved),
        case.examined,
        case.not_examined,
        case.budget.seconds,
        case.budget.spent,
        seed,
        interrupted,
        case=case,
    )
