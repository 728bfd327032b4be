"""A diagnosis as text for a terminal: findings below their causes, changes as diffs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from chainrule.doctor import labels
from chainrule.doctor.finding import Finding, Fix, measured, shown
from chainrule.doctor.fixes import Spent
from chainrule.errors import visible_lines
from chainrule.html import views
from chainrule.text import ngettext, tr, translated
from chainrule.text.numbers import number, percent
from chainrule.text.tables import wrapped

#: Columns of a line of text, and of a small picture in it.
WIDE, PICTURE = 78, 32
#: The heights of a small picture.
HEIGHTS = "▁▂▃▄▅▆▇█"


class Diagnosis(Protocol):
    """The interface to a diagnosis; see :class:`chainrule.doctor.Diagnosis`."""

    findings: list[Finding]
    examined: dict[str, str]
    not_examined: dict[str, str]
    interrupted: bool
    fixes: list[Fix]
    search: Spent | None

    @property
    def unknown(self) -> list[str]: ...


def headline(diagnosis: Diagnosis) -> str:
    """Return the diagnosis in one line."""
    sick = sum(f.severity == "sick" for f in diagnosis.findings)
    risks = sum(f.severity == "risk" for f in diagnosis.findings)
    if diagnosis.interrupted:
        return tr("Interrupted: what was found until then.")
    if sick:
        return tr("Sick; findings that cost learning: {n}.", n=sick)
    if diagnosis.unknown:
        left = tr(", ").join(labels.part(key) for key in diagnosis.unknown)
        return tr(
            "Not known: nothing was found that costs learning; not looked at: {left}.",
            left=left,
        )
    if risks:
        return tr("Healthy; nothing costs learning, risks: {n}.", n=risks)
    return tr("Healthy: nothing was found that costs learning.")


def severity(name: str) -> str:
    """Return the name of a severity for people."""
    return {"sick": tr("sick"), "risk": tr("risk"), "note": tr("note")}[name]


def title(finding: Finding) -> str:
    """Return a finding's severity, code and component."""
    kind = labels.component(finding.component)
    return f"{severity(finding.severity)}: {finding.code} ({kind})"


def depths(findings: Sequence[Finding]) -> list[int]:
    """Return for each finding how many causes stand above it."""
    depth: dict[str, int] = {}
    for f in findings:
        above = f.consequence_of
        depth[f.code] = 0 if above is None else depth.get(above, 0) + 1
    return [depth[f.code] for f in findings]


def picture(numbers: Sequence[float], columns: int = PICTURE) -> str:
    """Return numbers as a line of blocks; blanks stand for what is no number.

    >>> picture([0.0, 1.0, 2.0, 3.0, float("nan"), 7.0])
    '▁▂▃▄ █'
    """
    values = np.asarray(numbers, np.float64)
    finite = np.isfinite(values)
    known = values[finite]
    if not known.size:
        return ""
    with np.errstate(all="ignore"):
        values = np.log(values) if views.is_logarithmic(known) else values
    low, high = float(values[finite].min()), float(values[finite].max())
    drawn = ""
    for part in np.array_split(values, min(columns, len(values))):
        there = part[np.isfinite(part)]
        if not there.size:
            drawn += " "
            continue
        share = (float(there.mean()) - low) / (high - low) if high > low else 0.0
        drawn += HEIGHTS[min(int(share * len(HEIGHTS)), len(HEIGHTS) - 1)]
    return drawn


def _curves(curves: Mapping[str, Any]) -> Iterator[str]:
    for key, numbers in curves.items():
        known = [v for v in numbers if np.isfinite(v)]
        if len(known) < 2:
            continue
        yield tr(
            "{name} by {across}: {picture} from {first} to {last}",
            name=labels.evidence(key),
            across=labels.across(key),
            picture=picture(numbers),
            first=number(known[0]),
            last=number(known[-1]),
        )


def evidence(finding: Finding) -> str:
    """Return a finding's evidence in one line."""
    return tr("; ").join(
        f"{label} {value}" for label, value in measured(finding.evidence)
    )


def _paragraph(label: str, text: str, indent: str = "  ") -> Iterator[str]:
    for i, line in enumerate(wrapped(f"{label} {text}", WIDE - len(indent) - 2)):
        yield (indent if i == 0 else f"{indent}  ") + line


def _indented(diff: str, indent: str) -> Iterator[str]:
    """Yield the lines of a diff, which stay as they are: patch reads them."""
    return (f"{indent}{line}" for line in diff.split("\n") if diff)


def _entry(finding: Finding, depth: int) -> Iterator[str]:
    indent = "    " * depth
    if finding.consequence_of:
        cause = tr("a consequence of {code}:", code=finding.consequence_of)
        yield f"{indent[:-2]}↳ {cause}"
    yield f"{indent}{title(finding)}"
    indent += "  "
    if finding.where:
        yield from _paragraph(tr("where:"), translated(finding.where), indent)
    if finding.evidence:
        yield from _paragraph(tr("measured:"), evidence(finding), indent)
    yield from (f"{indent}  {line}" for line in _curves(finding.curves))
    yield from _paragraph(tr("cause:"), translated(finding.cause), indent)
    yield from _paragraph(tr("fix:"), translated(finding.advice), indent)
    yield from _indented(finding.diff, f"{indent}    ")
    yield from _paragraph(tr("source:"), translated(finding.reference), indent)
    sure = tr("confidence {share}", share=percent(finding.confidence, 0))
    yield f"{indent}{sure}"


def tried(fix: Fix) -> str:
    """Return what a fix did to the score, over how many seeds and steps."""
    c, plain = fix.comparison, fix.to_dict()
    return translated(
        ngettext(
            "{metric} {before} → {after}, {seeds} seeds, {n:,} step each",
            "{metric} {before} → {after}, {seeds} seeds, {n:,} steps each",
            n=fix.steps,
            metric=labels.evidence(c.metric),
            before=shown(c.metric, plain["before"]),
            after=shown(c.metric, plain["after"]),
            seeds=len(c.after),
        )
    )


def cost(search: Spent) -> str:
    """Return what a search of fixes has cost."""
    return translated(
        ngettext(
            "{n} set of changes, {whole} to the end; {steps:,} training steps, "
            "{seconds} s",
            "{n} sets of changes, {whole} of them to the end; {steps:,} training "
            "steps, {seconds} s",
            n=search.runs,
            whole=search.whole,
            steps=search.steps,
            seconds=number(search.seconds, 2),
        )
    )


def _fixes(fixes: list[Fix], search: Spent) -> Iterator[str]:
    yield tr("Tried on copies (the best first):")
    for fix in fixes:
        yield f"  {tried(fix)}"
        yield from _indented(fix.diff, "    ")
    if not fixes:
        yield "  " + tr("no change helps")
    yield "  " + cost(search)


def text(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as text for a terminal."""
    lines = [headline(diagnosis)]
    findings = diagnosis.findings
    for finding, depth in zip(findings, depths(findings)):
        lines += ["", *_entry(finding, depth)]
    if diagnosis.search is not None:
        lines += ["", *_fixes(diagnosis.fixes, diagnosis.search)]
    for heading, parts in (
        (tr("Looked at:"), diagnosis.examined),
        (tr("Not looked at:"), diagnosis.not_examined),
    ):
        if parts:
            lines += ["", heading]
            for key, what in parts.items():
                lines += _paragraph(
                    tr("{part}:", part=labels.part(key)), translated(what)
                )
    # A file of somebody else's may hold what a terminal obeys.
    return "\t".join(map(visible_lines, "\n".join(lines).split("\t")))
