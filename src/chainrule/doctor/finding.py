"""Findings of the doctor, and changes: what is wrong, by which numbers, what helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.doctor import labels
from chainrule.text import _, translated
from chainrule.text.numbers import number, percent

#: What may be wrong.
COMPONENTS = (
    "data",
    "preprocessing",
    "labels",
    "architecture",
    "activation",
    "initialisation",
    "loss",
    "optimizer",
    "learning-rate",
    "batch-size",
    "epochs",
    "regularisation",
    "numerics",
)
#: ``sick``: learning suffers, which was measured; ``risk``: it may; ``note``: to know.
SEVERITIES = ("sick", "risk", "note")


@dataclass(frozen=True)
class Change:
    """A single change of a training setup that may cure it.

    Attributes:
        what: what is done, in words.
        before, after: the code that is replaced, and what replaces it; "" for nothing.
        apply: makes the change in a copy of the setup, which it is given.
        times: how many times as many steps it asks for.
        slots: what it decides on: two changes with a slot in common exclude each other.
        settings: what a run file says instead: values by section and key, None for a
            key that is left out, or whole sections.
        layers: what it says in place of layers, by their paths in the model: tables
            of classes and options. A table without a class is the layer that is
            there, with other options, None for one that is left out; none at all
            leaves the layer out. Without settings and layers a file has no word for it.
        parts: the changes that it is made of, where it is several.
    """

    what: str
    before: str
    after: str
    apply: Callable[[Any], None] = field(repr=False, compare=False)
    times: int = 1
    slots: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] | None = None
    layers: Mapping[str, Sequence[Mapping[str, Any]]] | None = field(
        default=None, compare=False
    )
    parts: tuple[Change, ...] = field(default=(), repr=False, compare=False)

    @property
    def single(self) -> tuple[Change, ...]:
        """The single changes that it is made of: itself, or its parts."""
        return self.parts or (self,)

    @property
    def diff(self) -> str:
        """The change as lines of a diff: ``-`` is replaced by ``+``."""
        before, after = (translated(t).splitlines() for t in (self.before, self.after))
        return "\n".join([*(f"- {x}" for x in before), *(f"+ {x}" for x in after)])

    def __str__(self) -> str:
        return f"{translated(self.what)}\n{self.diff}"


@dataclass(frozen=True)
class Comparison:
    """Scores on held-out rows with and without a change, after as many updates.

    Attributes:
        change: what was changed.
        metric: what is compared: ``accuracy``, ``r2``, or ``share_of_loss_gone``.
        before, after: one score a seed; None where the run gave no numbers.
        baseline: the score of the best constant answer.
        noise: the standard error of the difference, for so many held-out rows.
        share: of the steps that were asked for, which the runs had; 1 for all, 0 where
            they only began.
        steps, asked: the steps of a run with the setup as it was, and those that were
            asked for.
    """

    change: Change
    metric: str
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]
    baseline: float
    noise: float
    share: float
    steps: int = 0
    asked: int = 0

    def _mean(self, scores: tuple[float | None, ...]) -> float:
        """Return the mean score; no numbers are worth no more than any score."""
        both = [s for s in (*self.before, *self.after) if s is not None]
        least = min([self.baseline, *both])
        known = [least if s is None else s for s in scores]
        return sum(known) / len(known)

    @property
    def gain(self) -> float:
        """By how much the mean score is better with the change."""
        return self._mean(self.after) - self._mean(self.before)

    def evidence(self) -> dict[str, Any]:
        """Return the scores by name, for a finding."""
        found = {
            f"{self.metric}_as_asked": mean_of(self.before),
            f"{self.metric}_with_change": mean_of(self.after),
            "seeds": len(self.before),
        }
        if self.steps < self.asked and mean_of(self.before) is not None:
            found |= {"trial_steps": self.steps, "asked_steps": self.asked}
        return found


def mean_of(scores: tuple[float | None, ...]) -> float | None:
    """Return the mean of scores; None where one is missing."""
    known = [s for s in scores if s is not None]
    return sum(known) / len(known) if len(known) == len(scores) and known else None


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor found.

    Attributes:
        code: its stable name, such as ``learning-rate-too-large``.
        component: what is wrong, one of :data:`COMPONENTS`.
        severity: one of :data:`SEVERITIES`.
        where: module, column or step; "" for the whole.
        evidence: measured numbers (and texts) by name, which :mod:`labels` translates.
        cause: why it is so.
        advice: what to do.
        change: the fix as a change that can be applied, or None.
        comparison: what the change did on a copy; None where it was not tried.
        confidence: from 0 to 1. 0.9: a change was tried and cured; 1: a contradiction.
        reference: the section of the book, or the paper, that it rests on.
        consequence_of: the code of the finding that explains this one, or None.
        curves: small pictures of the evidence: numbers by step, epoch or layer.
        file_diff: the change as a diff of the run file, and what that has no word for;
            "" where there is no file or no change.
    """

    code: str
    component: str
    severity: str
    where: str
    evidence: Mapping[str, Any]
    cause: str
    advice: str
    change: Change | None = None
    comparison: Comparison | None = None
    confidence: float = 0.5
    reference: str = ""
    consequence_of: str | None = None
    curves: Mapping[str, Any] = field(default_factory=dict[str, Any])
    file_diff: str = ""

    @property
    def diff(self) -> str:
        """The change as a diff: of the run file, else of constructor arguments."""
        plain = "" if self.change is None else self.change.diff
        return translated(self.file_diff) or plain

    @property
    def fix(self) -> str:
        """The fix as text: what to do, and the change as a diff where there is one."""
        diff, advice = self.diff, translated(self.advice)
        return f"{advice}\n{diff}" if diff else advice

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as data for JSON."""
        return {
            "code": self.code,
            "component": self.component,
            "severity": self.severity,
            "where": translated(self.where),
            "evidence": {
                key: translated(value) if isinstance(value, str) else value
                for key, value in self.evidence.items()
            },
            "cause": translated(self.cause),
            "fix": self.fix,
            "confidence": self.confidence,
            "consequence_of": self.consequence_of,
            "reference": translated(self.reference),
        }


@dataclass(frozen=True)
class Fix:
    """Changes that were tried on copies together, over several seeds.

    Attributes:
        finding: the code of what they are to cure; "" for what no finding proposed.
        changes: what is made otherwise, in this order.
        comparison: the scores on held-out rows.
        steps: the training steps of one run.
        file_diff: the changes as a diff of the run file, and those that it has no word
            for; "" where there is no file.
    """

    finding: str
    changes: tuple[Change, ...]
    comparison: Comparison
    steps: int
    file_diff: str = ""

    @property
    def diff(self) -> str:
        """The changes as a diff: of the run file, else of constructor arguments."""
        plain = "\n".join(change.diff for change in self.changes)
        return translated(self.file_diff) or plain

    def to_dict(self) -> dict[str, Any]:
        """Return the fix as data for JSON."""
        c = self.comparison
        return {
            "changes": [change.diff for change in self.changes],
            "diff": self.diff,
            "before": mean_of(c.before),
            "after": mean_of(c.after),
            "tried": len(c.after),
            "metric": c.metric,
            "steps": self.steps,
            "finding": self.finding,
        }


def measured(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield labels and values of evidence as people read them.

    >>> short = {"accuracy_as_asked": 0.5, "trial_steps": 126, "asked_steps": 504}
    >>> list(measured(short))
    [('accuracy as asked, at step 126 of 504', '50.0%')]
    """
    steps, asked = (evidence.get(k) for k in ("trial_steps", "asked_steps"))
    for key, value in evidence.items():
        if key not in ("trial_steps", "asked_steps") or None in (steps, asked):
            yield labels.evidence(key, steps, asked), shown(key, value)


def shown(key: str, value: Any) -> str:
    """Return a piece of evidence as text.

    >>> shown("accuracy_as_asked", 0.5), shown("rows", 1200), shown("loss", None)
    ('50.0%', '1,200', 'no number')

    What is worse than the targets' spread counts as −1, so that is the most it is:

    >>> shown("r2_as_asked", -1.0), shown("r2_as_asked", -0.5)
    ('≤ -1', '-0.5')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return translated(_("no number"))
    if isinstance(value, str):
        return translated(labels.VALUES.get(value, value))
    share = key.startswith(("accuracy", "share")) and abs(value) <= 1
    if key.startswith(("r2", "share_of_loss_gone")) and value == -1:
        return f"≤ {percent(value, 1) if share else number(value)}"
    return percent(value, 1) if share else number(value)
