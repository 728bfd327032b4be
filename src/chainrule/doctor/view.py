"""A diagnosis for people: text for a terminal, HTML for a notebook or a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Protocol

import numpy as np

from chainrule.doctor.finding import Finding, Fix, shown
from chainrule.doctor.fixes import Spent
from chainrule.html import views
from chainrule.html.arrays import POLICY
from chainrule.text import tr, translated
from chainrule.text.numbers import number, percent
from chainrule.text.tables import wrapped

#: Columns of a line of text.
WIDE = 78


class Diagnosis(Protocol):
    """The interface to a diagnosis; see :class:`chainrule.doctor.Diagnosis`."""

    findings: list[Finding]
    examined: dict[str, str]
    not_examined: dict[str, str]
    interrupted: bool
    fixes: list[Fix]
    search: Spent | None


def headline(diagnosis: Diagnosis) -> str:
    """Return the diagnosis in one line."""
    sick = sum(f.severity == "sick" for f in diagnosis.findings)
    risks = sum(f.severity == "risk" for f in diagnosis.findings)
    if diagnosis.interrupted:
        return tr("Interrupted: what was found until then.")
    if sick:
        return tr("Sick; findings that cost learning: {n}.", n=sick)
    if risks:
        return tr("Healthy; nothing costs learning, risks: {n}.", n=risks)
    return tr("Healthy: nothing was found that costs learning.")


def severity(name: str) -> str:
    """Return the name of a severity for people."""
    return {"sick": tr("sick"), "risk": tr("risk"), "note": tr("note")}[name]


def title(finding: Finding) -> str:
    """Return a finding's severity, code, component and place."""
    place = f" {translated(finding.where)}" if finding.where else ""
    return f"{severity(finding.severity)}: {finding.code} ({finding.component}){place}"


def evidence(finding: Finding) -> str:
    """Return a finding's evidence in one line."""
    return "; ".join(
        f"{translated(name)} {shown(name, value)}"
        for name, value in finding.evidence.items()
    )


def _paragraph(label: str, text: str) -> Iterator[str]:
    for i, line in enumerate(wrapped(f"{label} {text}", WIDE - 4)):
        yield ("    " if i == 0 else "      ") + line


def _entry(finding: Finding) -> Iterator[str]:
    yield f"  {title(finding)}"
    if finding.consequence_of:
        cause = tr("a consequence of {code}", code=finding.consequence_of)
        yield f"    ({cause})"
    if finding.evidence:
        yield from _paragraph(tr("measured:"), evidence(finding))
    yield from _paragraph(tr("cause:"), translated(finding.cause))
    yield from _paragraph(tr("fix:"), translated(finding.advice))
    if finding.change is not None:
        yield from (f"      {line}" for line in finding.change.diff.splitlines())
    sure = tr("confidence {share}", share=percent(finding.confidence, 0))
    yield f"    {sure}; {translated(finding.reference)}"


def _fixes(fixes: list[Fix], search: Spent | None) -> Iterator[str]:
    if search is None:
        return
    yield tr("Tried on copies (the best first):")
    for fix in fixes:
        c = fix.comparison
        before, after = (
            shown(c.metric, v)
            for v in (fix.to_dict()["before"], fix.to_dict()["after"])
        )
        yield "  " + tr(
            "{metric} {before} → {after}, {n} seeds, {steps:,} steps each:",
            metric=translated(c.metric),
            before=before,
            after=after,
            n=len(c.after),
            steps=fix.steps,
        )
        yield from (f"    {line}" for line in fix.diff.splitlines())
    if not fixes:
        yield "  " + tr("no change helps")
    yield "  " + tr(
        "{runs} sets of changes, {whole} of them to the end; {steps:,} training steps, "
        "{seconds} s",
        runs=search.runs,
        whole=search.whole,
        steps=search.steps,
        seconds=number(search.seconds),
    )


def text(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as text for a terminal."""
    lines = [headline(diagnosis)]
    for finding in diagnosis.findings:
        lines += ["", *_entry(finding)]
    if diagnosis.search is not None:
        lines += ["", *_fixes(diagnosis.fixes, diagnosis.search)]
    if diagnosis.examined:
        lines += ["", tr("Looked at:")]
        for name, what in diagnosis.examined.items():
            lines += _paragraph(f"{name}:", translated(what))
    if diagnosis.not_examined:
        lines += ["", tr("Not looked at:")]
        for name, what in diagnosis.not_examined.items():
            lines += _paragraph(f"{translated(name)}:", translated(what))
    return "\n".join(lines)


def html(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as HTML for a notebook."""
    parts = [views.paragraph(headline(diagnosis))]
    for finding in diagnosis.findings:
        parts.append(f"<h4>{escape(title(finding))}</h4>")
        if finding.consequence_of:
            cause = tr("a consequence of {code}", code=finding.consequence_of)
            parts.append(views.paragraph(cause, "note"))
        if finding.evidence:
            rows = [[tr("measured"), ""]]
            rows += [[translated(k), shown(k, v)] for k, v in finding.evidence.items()]
            parts.append(views.table(rows))
        curves = {k: np.asarray(v, np.float64) for k, v in finding.curves.items()}
        if curves:
            length = max(map(len, curves.values()))
            if all(len(v) == length for v in curves.values()):
                parts.append(views.chart(curves, np.arange(1.0, length + 1)))
        parts.append(views.paragraph(translated(finding.cause)))
        parts.append(views.paragraph(translated(finding.advice)))
        if finding.change is not None:
            parts.append(f"<pre>{escape(finding.change.diff)}</pre>")
        parts.append(views.paragraph(translated(finding.reference), "note"))
    if diagnosis.search is not None:
        lines = _fixes(diagnosis.fixes, diagnosis.search)
        parts.append(f"<pre>{escape(chr(10).join(lines))}</pre>")
    for label, what in (
        (tr("Looked at"), diagnosis.examined),
        (tr("Not looked at"), diagnosis.not_examined),
    ):
        if what:
            rows = [
                [label, ""],
                *([translated(k), translated(v)] for k, v in what.items()),
            ]
            parts.append(views.table(rows, left=True))
    return views.view(*parts)


def page(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as an HTML page that loads nothing."""
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8">'
        f"{POLICY}<title>{escape(tr('Diagnosis'))}</title></head>"
        f"<body>{html(diagnosis)}</body></html>\n"
    )
