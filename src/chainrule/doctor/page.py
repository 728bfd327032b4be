"""A diagnosis as HTML: for a notebook, and as a page of its own that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Protocol

import numpy as np

from chainrule.doctor import labels
from chainrule.doctor.finding import Comparison, Finding, mean_of, measured, shown
from chainrule.doctor.view import (
    Diagnosis,
    cost,
    depths,
    headline,
    severity,
    tried,
)
from chainrule.errors import visible
from chainrule.html import views
from chainrule.html.arrays import POLICY
from chainrule.text import tr, translated
from chainrule.text.catalogue import current
from chainrule.text.numbers import percent

STYLE = """
.cr-view .finding{border-left:4px solid #8888;padding:.1rem 0 .3rem .8rem;
margin:1.1rem 0 0 calc(var(--depth)*1.4rem)}
.cr-view .finding.sick{border-color:#d64545}.cr-view .finding.risk{border-color:#c98a14}
.cr-view h4{font-size:1.05em;margin:.2rem 0;overflow-wrap:anywhere}
.cr-view h4 small{font-weight:normal;opacity:.8}
.cr-view .pairs th{font-weight:normal;opacity:.8;vertical-align:top}
.cr-view .pairs th,.cr-view .pairs td{text-align:left}
.cr-view .pairs th{min-width:2.6em}
.cr-view .pairs td{overflow-wrap:anywhere;min-width:4.5rem}
.cr-view .diff{margin:.4rem 0;font:13px/1.5 ui-monospace,monospace;
white-space:pre-wrap;overflow-wrap:anywhere}
.cr-view .diff *{display:block;text-decoration:none;padding:0 .5rem;color:inherit}
.cr-view .diff del{background:#d6454533}.cr-view .diff ins{background:#3b9a5733}
"""
PAGE = """
body{background:Canvas;color:CanvasText;color-scheme:light dark;
margin:1rem auto;padding:0 1rem;max-width:50rem}
"""


def _pairs(heading: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return names and what stands beside them as a table under a heading."""
    lines = "".join(
        f'<tr><th scope="row">{escape(visible(name))}</th>'
        f"<td>{escape(visible(text[: views.LONGEST]))}</td></tr>"
        for name, text in rows
    )
    head = f'<thead><tr><th colspan="2"><b>{escape(heading)}</b></th></tr></thead>'
    return f'<table class="pairs">{head}<tbody>{lines}</tbody></table>'


def _diff(diff: str) -> str:
    """Return a diff as lines that are taken away, lines that are added, and others."""
    lines: list[str] = []
    for line in diff.split("\n"):
        kind = {"-": "del", "+": "ins"}.get(line[:1], "span")
        lines.append(f"<{kind}>{escape(_with_tabs(line))}</{kind}>")
    return f'<div class="diff">{"".join(lines)}</div>'


def _with_tabs(line: str) -> str:
    """Return a line of a file with control characters but tabs made visible."""
    return "\t".join(map(visible, line.split("\t")))


def _curves(curves: Mapping[str, Any]) -> str:
    """Return curves as charts, those that are counted by the same in one."""
    charts: dict[str, dict[str, Any]] = {}
    for key, numbers in curves.items():
        drawn = charts.setdefault(labels.across(key), {})
        drawn[labels.evidence(key)] = np.asarray(numbers, np.float64)
    parts: list[str] = []
    for across, lines in charts.items():
        length = max(map(len, lines.values()))
        same = {k: v for k, v in lines.items() if len(v) == length}
        up = next(iter(same)) if len(same) == 1 else tr("loss")
        x = np.arange(1.0, length + 1)
        parts.append(views.chart(same, x, across=across, up=up))
    return "".join(parts)


def _scores(compared: Comparison) -> str:
    """Return the scores as asked, with a change, and of a constant answer, as bars."""
    metric = compared.metric
    before, after = mean_of(compared.before), mean_of(compared.after)
    scores = {"as_asked": before, "with_change": after}
    if metric != "share_of_loss_gone":
        scores["of_constant_answer"] = compared.baseline
    return views.bars(
        [
            (
                labels.evidence(f"{metric}_{of}", compared.steps, compared.asked),
                value or 0.0,
                shown(metric, value),
            )
            for of, value in scores.items()
        ]
    )


def _finding(finding: Finding, depth: int) -> str:
    kind, code = severity(finding.severity), escape(finding.code)
    of = escape(labels.component(finding.component))
    parts = [f"<h4>{escape(kind)}: {code} <small>({of})</small></h4>"]
    if finding.consequence_of:
        cause = tr("a consequence of {code}", code=finding.consequence_of)
        parts.append(views.paragraph(f"↳ {cause}", "note"))
    if finding.where:
        where = f"{tr('where:')} {translated(finding.where)}"
        parts.append(views.paragraph(where))
    if finding.evidence:
        parts.append(_pairs(tr("measured"), measured(finding.evidence)))
    parts.append(_curves(finding.curves))
    if finding.comparison is not None:
        parts.append(_scores(finding.comparison))
    parts.append(views.paragraph(f"{tr('cause:')} {translated(finding.cause)}"))
    parts.append(views.paragraph(f"{tr('fix:')} {translated(finding.advice)}"))
    if finding.diff:
        parts.append(_diff(finding.diff))
    source = f"{tr('source:')} {translated(finding.reference)}"
    sure = tr("confidence {share}", share=percent(finding.confidence, 0))
    parts.append(views.paragraph(f"{source} · {sure}", "note"))
    return (
        f'<section class="finding {finding.severity}" style="--depth:{depth}">'
        f"{''.join(parts)}</section>"
    )


def html(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as HTML for a notebook."""
    found = diagnosis.findings
    parts = [f"<style>{STYLE}</style><p><b>{escape(headline(diagnosis))}</b></p>"]
    parts += map(_finding, found, depths(found))
    if diagnosis.search is not None:
        parts.append(f"<h4>{escape(tr('Tried on copies (the best first):'))}</h4>")
        for fix in diagnosis.fixes:
            parts.append(views.paragraph(tried(fix)))
            parts.append(_scores(fix.comparison) + _diff(fix.diff))
        told = [] if diagnosis.fixes else [tr("no change helps")]
        parts += [views.paragraph(t) for t in (*told, cost(diagnosis.search))]
    for heading, what in (
        (tr("Looked at"), diagnosis.examined),
        (tr("Not looked at"), diagnosis.not_examined),
    ):
        if what:
            rows = ((labels.part(k), translated(v)) for k, v in what.items())
            parts.append(_pairs(heading, rows))
    return views.view(*parts)


class Study(Protocol):
    """The interface to the diagnosis of a study that is shown."""

    stages: Any

    def headline(self) -> str: ...

    def notes(self) -> list[str]: ...


def of_study(study: Study) -> str:
    """Return the diagnosis of a study as HTML: that of each stage, which folds."""
    parts = [f"<p><b>{escape(visible(study.headline()))}</b></p>"]
    for name, stage in study.stages.items():
        head = f"{escape(visible(name))} <small>{escape(headline(stage))}</small>"
        shown = "" if stage.healthy else " open"
        parts.append(
            f"<details{shown}><summary>{head}</summary>{html(stage)}</details>"
        )
    parts += [views.paragraph(note, "note") for note in study.notes()]
    return views.view(*parts)


def page(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as an HTML page that loads nothing."""
    return alone(html(diagnosis))


def alone(body: str) -> str:
    """Return HTML as a page of its own that loads nothing."""
    return (
        f'<!DOCTYPE html><html lang="{current()}"><head><meta charset="utf-8">{POLICY}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(tr('Diagnosis'))}</title><style>{PAGE}</style></head>"
        f"<body>{body}</body></html>\n"
    )
