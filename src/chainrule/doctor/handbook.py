"""The handbook of symptoms: questions that people ask, and each symptom to read up.

It is made of the registry, as ``chainrule doctor --list`` is; ``tools/symptoms.py``
writes it as a page of the documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.doctor import labels
from chainrule.doctor.registry import Symptom, registered
from chainrule.text import _, tr, translated


@dataclass(frozen=True)
class Question:
    """A question as people ask it, with the symptoms that may be behind it.

    Attributes:
        asked: the question.
        told: what to look at first.
        codes: of symptoms, the likeliest first.
    """

    asked: str
    told: str
    codes: tuple[str, ...]


QUESTIONS = (
    Question(
        _("Why is my loss NaN?"),
        _(
            "Some operation was given numbers for which it has no finite result, and "
            "all that follows is NaN. If it is NaN at the first step, look at the data "
            "and at the first operation that the doctor names; if it becomes NaN "
            "later, the steps are too long or the gradients explode."
        ),
        (
            *("non-finite-loss", "non-finite-data", "learning-rate-too-large"),
            *("exploding-gradient", "output-activation-missing", "unscaled-inputs"),
            *("unscaled-targets", "weights-badly-scaled"),
        ),
    ),
    Question(
        _("Why is my accuracy stuck at 10 %?"),
        _(
            "With ten classes 10 % is what guessing gives: the network answers the "
            "same for every row. Either no gradient reaches the weights, or the steps "
            "throw them about, or what it needs is not in the inputs. Try to learn one "
            "batch by heart: what cannot do that has a mistake in the network or its "
            "loss."
        ),
        (
            *("learning-rate-too-large", "vanishing-gradient", "constant-weights"),
            *("dead-units", "unscaled-inputs", "output-activation-twice"),
            *("softmax-over-one-output", "saturated-units", "weights-badly-scaled"),
            *("over-regularised", "labels-without-signal", "does-not-learn"),
            *("wrong-labels", "class-not-trained-on", "constant-columns"),
            *("rounded-inputs", "loss-ignores-targets", "missing-values"),
            *("rows-scaled-alone", "rows-mixed"),
        ),
    ),
    Question(
        _("Why does the validation loss rise?"),
        _(
            "While the training loss falls on, the network learns its rows by heart. "
            "Where both rise, the learning rate is too large. Where the accuracy still "
            "grows, the network is only too sure of what it gets wrong."
        ),
        (
            *("overfitting", "learning-rate-too-large", "labels-without-signal"),
            *("wrong-labels", "too-few-rows", "inputs-differ"),
        ),
    ),
    Question(
        _("Why does my loss not fall?"),
        _(
            "Look at its first value: for C even classes it is ln C (2.303 for ten). "
            "If it begins there and stays, no gradient arrives or the steps are too "
            "short; if it begins far above, inputs, targets or weights are of the "
            "wrong size."
        ),
        (
            *("learning-rate-too-small", "vanishing-gradient", "constant-weights"),
            *("dead-units", "saturated-units", "output-activation-twice"),
            *("unscaled-inputs", "unscaled-targets", "relu-output"),
            *("targets-out-of-reach", "no-nonlinearity", "over-regularised"),
            *("parameters-without-gradient", "frozen-parameters", "missing-values"),
        ),
    ),
    Question(
        _("Why does training take so long?"),
        _(
            "If the loss falls evenly and is still falling at the end, the steps are "
            "too short or too few."
        ),
        ("learning-rate-too-small", "too-few-epochs", "batch-too-large"),
    ),
    Question(
        _("Why is the score too good, and worse on new data?"),
        _(
            "A score is worth as much as its rows: they must be new to the network, "
            "and a constant answer must not reach it."
        ),
        (
            *("rows-in-both-parts", "target-among-inputs", "imbalanced-classes"),
            *("one-class", "overfitting", "rows-mixed"),
        ),
    ),
    Question(
        _("Why is each run's score another one?"),
        _(
            "A seed draws the initial weights and the order of the rows. Where that "
            "decides, the setup is at the edge of what works."
        ),
        ("outcome-by-chance", "learning-rate-too-large", "dead-units"),
    ),
    Question(
        _("Why does fit() end in an error?"),
        _(
            "Model, loss and data do not fit together; the message says which and "
            "where."
        ),
        (
            *("does-not-run", "data-refused", "labels-out-of-range"),
            *("non-finite-data", "output-activation-twice"),
        ),
    ),
)


def markdown() -> str:
    """Return the handbook as a page in Markdown, in the language in use."""
    return "\n".join([*_questions(), "", *_symptoms()]).rstrip() + "\n"


def _link(code: str) -> str:
    return f"[{code}](#{code})"


def _questions() -> Iterator[str]:
    for question in QUESTIONS:
        yield f"## {translated(question.asked)}"
        yield ""
        yield translated(question.told)
        yield ""
        known = {symptom.code: symptom for symptom in registered()}
        for code in question.codes:
            yield f"- {_link(code)}: {translated(known[code].looks)}"
        yield ""


def _symptoms() -> Iterator[str]:
    yield f"## {tr('All symptoms')}"
    for component, name in labels.COMPONENTS.items():
        found = [s for s in registered() if s.component == component]
        if not found:
            continue
        yield ""
        yield f"**{translated(name)}**"
        for symptom in found:
            yield ""
            yield from _symptom(symptom)


def _symptom(symptom: Symptom) -> Iterator[str]:
    yield f"### {symptom.code}"
    yield ""
    rows = {tr("why"): symptom.why, tr("fix"): symptom.fix}
    if symptom.explains:
        rows[tr("leads to")] = tr(", ").join(map(_link, symptom.explains))
    rows[tr("source")] = symptom.reference
    yield f"| | {_cell(symptom.looks)} |"
    yield "|---|---|"
    for name, text in rows.items():
        yield f"| {name} | {_cell(text)} |"


def _cell(text: str) -> str:
    return translated(text).replace("|", "\\|")
