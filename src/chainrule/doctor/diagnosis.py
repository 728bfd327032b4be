"""The diagnosis: findings in order, what was examined, fixes, one file of all of it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from chainrule.doctor import page, saving, view
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SICK
from chainrule.doctor.finding import SEVERITIES, Change, Finding, Fix
from chainrule.doctor.fixes import Search, Spent
from chainrule.doctor.registry import HELPED, Symptom
from chainrule.text import _, numbers, translated
from chainrule.util.blocks import opened, settle
from chainrule.util.validation import maybe, whole

#: A cause gains at least this share of what a consequence's own change gains.
AS_MUCH = 0.9
#: The symptom of a training that does not begin.
REFUSED = "does-not-run"


@dataclass
class Diagnosis:
    """The diagnosis of a training: findings in order, and what was examined.

    Attributes:
        findings: the likeliest cause first; consequences stand below their cause.
        examined: what was looked at, with numbers, by name.
        not_examined: what was not, with the reason.
        seconds: the budget.
        spent: what of it was spent, at the assumed rate: see
            :mod:`chainrule.doctor.evidence`.
        seed: of the Trainer.
        interrupted: whether Ctrl-C ended it early: the findings until then are kept.
        fixes: what :meth:`fix` has found to help, the best first.
        search: what that has cost, in steps and seconds; None before.
        in_file: returns changes as a diff of the file that describes the run, with
            what that has no word for beside it. None: there is no file.
        case: what was examined; None of a diagnosis from a file.
        record: of a diagnosis from a file: program, graph, data, probes, versions.
    """

    findings: list[Finding]
    examined: dict[str, str]
    not_examined: dict[str, str]
    seconds: float
    spent: float
    seed: int
    interrupted: bool = False
    fixes: list[Fix] = field(default_factory=list[Fix])
    search: Spent | None = None
    in_file: Callable[[Sequence[Change]], str] | None = field(default=None, repr=False)
    case: Case | None = field(default=None, repr=False)
    record: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def healthy(self) -> bool:
        """A flag: nothing was found that is sick; see :attr:`unknown`."""
        return not any(f.severity == "sick" for f in self.findings)

    @property
    def unknown(self) -> list[str]:
        """The names of what could have shown a sickness and was not looked at.

        The budget was spent before, the network cannot be traced, or Ctrl-C came.
        Where nothing is sick and something is here, nobody knows whether the run is
        healthy.
        """
        if self.interrupted:
            return ["rest"]
        names = ("network", "rates", "one_batch", "changes")
        left = [n for n in names if n in self.not_examined]
        return [n for n in left if n not in self.examined]

    def fix(self, *, steps: int | None = None) -> list[Fix]:
        """Search for changes that cure, alone and together, on copies.

        The findings' changes, and the remedies that textbooks name first, are trained
        by successive halving, see :mod:`chainrule.doctor.fixes`; what is best is
        measured over several seeds, beside the setup as it is. The user's Trainer is
        not touched. Scores are those of held-out rows. Ctrl-C ends it with what was
        tried.

        Args:
            steps: the largest number of training steps of the search; None: those of
                three times the diagnosis's budget. Measuring over seeds comes on top.

        Returns:
            The fixes that help, the best first; ``search`` has what they cost. Empty
            where nothing was found that costs learning, or no change helps.

        Raises:
            ArgumentError: ``steps`` is no positive number, or the diagnosis is from a
                file, which has no model.
        """
        limit = maybe(whole)("steps", steps)
        case = self.case
        if case is None:
            raise saving.without_case()
        self.fixes, self.search = [], None
        ill = [f for f in self.findings if f.severity != "note"]
        if case.refused is not None or not ill:
            return []
        search = Search(case, ill, limit)
        outer = opened.top
        try:
            search.run()
        except KeyboardInterrupt:
            self.interrupted = True
            self.not_examined["rest"] = _("it was interrupted")
        if self.interrupted:
            settle(outer)
        self.search, self.fixes = search.spent, search.fixes()
        if self.in_file is not None:
            self.fixes = [
                replace(f, file_diff=self.in_file(f.changes)) for f in self.fixes
            ]
        return self.fixes

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as data for JSON; None for what is no number."""
        found: dict[str, Any] = {
            "healthy": self.healthy,
            "seconds": self.seconds,
            "findings": [f.to_dict() for f in self.findings],
            "fixes": [f.to_dict() for f in self.fixes],
            "search": None if self.search is None else self.search.to_dict(),
            "examined": {k: translated(v) for k, v in self.examined.items()},
            "not_examined": {k: translated(v) for k, v in self.not_examined.items()},
            "seed": self.seed,
            "interrupted": self.interrupted,
        }
        return numbers.plain(found)

    def save(self, path: Any) -> None:
        """Write the diagnosis as one JSON file, to hand to somebody else.

        It holds the findings, the seed, versions, the program and the graph as text, a
        fingerprint of the data and the probes of the trial run; no data and no weights.
        :meth:`load` and ``chainrule doctor FILE.json`` open it.

        Raises:
            SaveError: it cannot be written.
        """
        saving.write(saving.document_of(self), Path(path))

    @classmethod
    def load(cls, path: Any) -> Self:
        """Return a diagnosis from a file that :meth:`save` wrote.

        It shows what the first one showed, in the language in which it was saved; its
        record has the program, the graph, the fingerprint of the data and the probes.

        Raises:
            DataError: there is no such file, or it is no diagnosis.
        """
        return cls(**saving.read(Path(path), of=saving.arguments))

    def __str__(self) -> str:
        return view.text(self)

    def __repr__(self) -> str:
        return view.text(self)

    def _repr_html_(self) -> str:
        return page.html(self)

    def to_html(self) -> str:
        """Return the diagnosis as a page of its own."""
        return page.page(self)


def ranked(
    findings: Sequence[Finding],
    known: Sequence[Symptom],
    unmoved: Container[str] = (),
) -> list[Finding]:
    """Return findings with the likeliest causes first, consequences below their cause.

    Sick causes, one of which may be enough to mend, stand above all consequences.

    A finding explains another if its symptom says so, it is no less severe, and its
    change gains about as much. Causes come by severity, confidence, and what their
    change gained. What a change leaves behind another one by as much as counts as sick,
    it does not cure: its finding is a risk, unless nothing else is sick. So is a
    consequence that a cause explains.

    ``unmoved``: codes of findings whose change leaves the training refused as it was:
    they do not explain that it does not run.
    """
    best = max(map(_gain, findings), default=0.0)
    sick = [f for f in findings if f.severity == "sick"]
    weak = [f for f in sick if f.confidence < 1 and _leaves_sick(f, best)]
    if len(weak) < len(sick):
        findings = [
            replace(f, severity="risk", confidence=HELPED) if f in weak else f
            for f in findings
        ]
    explains = {s.code: set(s.explains) for s in known}
    stage = {s.code: s.stage for s in known}

    def weight(f: Finding) -> tuple[float, ...]:
        level = SEVERITIES.index(f.severity)
        return (level, -f.confidence, -round(_gain(f), 3), stage[f.code])

    order = sorted(findings, key=weight)
    cause: dict[str, str] = {}
    for f in order:
        causes = [
            other
            for other in order
            if f.code in explains[other.code]
            and not (f.code == REFUSED and other.code in unmoved)
            and SEVERITIES.index(other.severity) <= SEVERITIES.index(f.severity)
            and (
                other.comparison is None
                or f.comparison is None
                or _gain(other) >= AS_MUCH * _gain(f)
            )
            and not _leads_to(f.code, other.code, cause)
        ]
        nearest = [  # such as the gradient that explodes at a large rate
            c for c in causes if not any(d.code in explains[c.code] for d in causes)
        ]
        if causes:
            cause[f.code] = (nearest or causes)[0].code
    roots = [f for f in order if f.code not in cause]
    first = [f for f in roots if f.severity == "sick"]
    placed: list[Finding] = list(first)

    def place_below(f: Finding) -> None:
        for other in order:
            if cause.get(other.code) == f.code:
                level = "risk" if other.severity == "sick" else other.severity
                placed.append(replace(other, severity=level, consequence_of=f.code))
                place_below(other)

    for f in first:
        place_below(f)
    for f in roots[len(first) :]:
        placed.append(f)
        place_below(f)
    return placed


def _gain(finding: Finding) -> float:
    """Return what the change of a finding gained; 0 where it was not tried."""
    return 0.0 if finding.comparison is None else finding.comparison.gain


def _leaves_sick(finding: Finding, best: float) -> bool:
    """Return whether a change was tried, and leaves the run far behind the best one."""
    compared = finding.comparison
    if compared is None:
        return False
    return compared.gain < best - SICK[compared.metric]


def _leads_to(code: str, consequence: str, cause: Mapping[str, str]) -> bool:
    """Return whether a finding is a cause, or a cause of a cause, of another one."""
    while consequence in cause:
        consequence = cause[consequence]
        if consequence == code:
            return True
    return False
