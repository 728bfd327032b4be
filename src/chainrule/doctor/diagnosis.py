"""The diagnosis: findings in order, what was examined, fixes, one file of all of it."""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.doctor import view
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import SEEDS, SICK
from chainrule.doctor.finding import SEVERITIES, Comparison, Finding, Fix, mean_of
from chainrule.doctor.registry import HELPED, Symptom
from chainrule.text import _, numbers, translated
from chainrule.util import atomic_files
from chainrule.version import __version__

#: A cause gains at least this share of what a consequence's own change gains.
AS_MUCH = 0.9


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
        fixes: what :meth:`fix` has tried, the best first.
    """

    findings: list[Finding]
    examined: dict[str, str]
    not_examined: dict[str, str]
    seconds: float
    spent: float
    seed: int
    interrupted: bool = False
    fixes: list[Fix] = field(default_factory=list[Fix])
    case: Case | None = field(default=None, repr=False)

    @property
    def healthy(self) -> bool:
        """A flag: nothing was found that is sick."""
        return not any(f.severity == "sick" for f in self.findings)

    def fix(self) -> list[Fix]:
        """Try the findings' changes, one at a time, on copies, over several seeds.

        The user's Trainer is not touched. Scores are those of held-out rows after as
        many steps with and without the change. Ctrl-C ends it with what was tried.

        Returns:
            The fixes, the best first; empty where no finding has a change.
        """
        case = self.case
        self.fixes = []
        if case is None or case.refused is not None:
            return []
        try:
            self._try_all(case)
        except KeyboardInterrupt:
            self.interrupted = True
            self.not_examined["rest"] = _("it was interrupted")
        self.fixes.sort(key=lambda f: -f.comparison.gain)
        return self.fixes

    def _try_all(self, case: Case) -> None:
        tried: set[str] = set()
        for found in self.findings:
            change = found.change
            if change is None or change.diff in tried:
                continue
            tried.add(change.diff)
            before, after, steps = list[Any](), list[Any](), 0
            for seed in range(SEEDS):
                before.append(case.run_scored(case.prepared(seed=seed)))
                setup = case.prepared(change, seed=seed)
                steps = setup.steps
                after.append(case.run_scored(setup))
            noise = case.noise(mean_of(tuple(before)), mean_of(tuple(after)))
            compared = Comparison(
                change,
                case.metric,
                tuple(before),
                tuple(after),
                case.baseline,
                noise,
                case.complete,
            )
            self.fixes.append(Fix(found.code, compared, steps))

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as data for JSON; None for what is no number."""
        found: dict[str, Any] = {
            "healthy": self.healthy,
            "seconds": self.seconds,
            "findings": [f.to_dict() for f in self.findings],
            "fixes": [f.to_dict() for f in self.fixes],
            "examined": {k: translated(v) for k, v in self.examined.items()},
            "not_examined": {k: translated(v) for k, v in self.not_examined.items()},
            "seed": self.seed,
            "interrupted": self.interrupted,
        }
        return numbers.plain(found)

    def save(self, path: Any) -> None:
        """Write the diagnosis as one JSON file, to hand to somebody else.

        It holds the findings, the seed, versions, the graph's text, a fingerprint of
        the data and the probes of the trial run; no data and no weights.

        Raises:
            SaveError: it cannot be written.
        """
        document = self.to_dict() | {"versions": _versions()}
        case = self.case
        if case is not None and case.refused is None:
            found = case.network
            document["graph"] = None if found is None else str(found.graph)
            document["data"] = _fingerprint(case)
            steps = case.trial.steps if "trial" in vars(case) else {}
            document["probes"] = {k: np.asarray(v).tolist() for k, v in steps.items()}
        text = json.dumps(numbers.plain(document), allow_nan=False, indent=1)
        atomic_files.replace(Path(path), text.encode(), _("diagnosis"))

    def __str__(self) -> str:
        return view.text(self)

    def __repr__(self) -> str:
        return view.text(self)

    def _repr_html_(self) -> str:
        return view.html(self)

    def to_html(self) -> str:
        """Return the diagnosis as a page of its own."""
        return view.page(self)


def ranked(findings: Sequence[Finding], known: Sequence[Symptom]) -> list[Finding]:
    """Return findings with the likeliest causes first, consequences below their cause.

    Sick causes, one of which may be enough to mend, stand above all consequences.

    A finding explains another if its symptom says so, it is no less severe, and its
    change gains about as much. Causes come by severity, confidence, and what their
    change gained. What a change leaves behind another one by as much as counts as sick,
    it does not cure: its finding is a risk. So is a consequence that a cause explains.
    """
    best = max(map(_gain, findings), default=0.0)
    findings = [
        replace(f, severity="risk", confidence=HELPED)
        if f.severity == "sick" and f.confidence < 1 and _leaves_sick(f, best)
        else f
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
            and SEVERITIES.index(other.severity) <= SEVERITIES.index(f.severity)
            and (other.comparison is None or _gain(other) >= AS_MUCH * _gain(f))
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


def _versions() -> Mapping[str, str]:
    return {
        "chainrule": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _fingerprint(case: Case) -> dict[str, Any]:
    """Return what tells the data of a case from others: sizes, types, a checksum."""
    if not case.single:
        return {"rows": len(case.train)}
    x, y = case.train.x, case.train.y
    stored = np.ascontiguousarray(x.stored)
    check = zlib.crc32(stored.reshape(-1).view(np.uint8).data)
    check = zlib.crc32(np.ascontiguousarray(y).reshape(-1).view(np.uint8).data, check)
    return {
        "rows": len(case.train),
        "row": list(x.shape[1:]),
        "dtype": str(stored.dtype),
        "target": list(y.shape[1:]),
        "target_dtype": str(y.dtype),
        "crc32": check,
    }
