"""Questions that take long, or may fail badly: each is answered by its own process."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chainrule import data
from chainrule.data.tables.file import source_of
from chainrule.data.tables.inference import Question
from chainrule.doctor import Diagnosis, Finding, diagnose, labels
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.lab import sentences
from chainrule.lab.characters import SUFFIX
from chainrule.lab.models import Target
from chainrule.lab.protocol import by_language
from chainrule.lab.settings import SECTIONS, Own, origin_said
from chainrule.runs import RunFile, scaffold
from chainrule.runs.data_section import format_of
from chainrule.runs.fixing import InFile
from chainrule.text import _

Answer = tuple[str, dict[str, Any]]
#: Cells of a column that are shown.
EXAMPLES = 4


def examined(message: Mapping[str, Any]) -> Answer:
    """Tell what is in uploaded data: columns, questions, and a run that suits them.

    A file of text may be a table, or be read character by character: where it can be
    both, both are proposed.

    Raises:
        ChainruleError: it can be read as neither.
    """
    source = message["source"]
    if not source.lower().endswith(SUFFIX):
        return "examined", _examined(message)
    read = Target(Path(message["folder"]) / source).proposed()
    try:
        found = _examined(message)
    except ChainruleError:  # it is no table, then
        found = {"source": source, "run": None, "columns": [], "questions": []}
        found |= {"text": None, "notes": []}
    return "examined", {**found, "reading": read}


def _examined(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is in a table, or in a folder of images."""
    folder, source = Path(message["folder"]), message["source"]
    target, text = message["target"], message["text"]
    table_like = format_of(source, None) == "csv"
    if table_like and text is None:
        text = sentences.column(folder / source, target)
    text = text or None
    sections, __ = scaffold.start(str(folder / source), target, folder, text)
    found: dict[str, Any] = {
        "source": source,
        "run": {k: v for k, v in sections.items() if k in SECTIONS},
        "columns": [],
        "questions": [],
        "text": text,
        "notes": [],
    }
    if not table_like:
        return found
    named = sections["data"]["target"] if text is not None else target
    chosen: dict[str, Any] = {} if text is None else {"features": [text]}
    table = data.examine(folder / source, target=named, **chosen)
    found["names"] = [*source_of(folder / source).columns]
    found["rows"], found["task"] = table.rows, table.task
    found["target"] = table.target if isinstance(table.target, str) else None
    found["notes"] = [by_language(note) for note in table.notes]
    found["columns"] = [
        {
            "name": column.name,
            "kind": column.kind,
            "missing": column.missing,
            "examples": [*column.examples[:EXAMPLES]],
            "reason": by_language(column.reason) if column.reason else None,
        }
        for column in table.columns
    ]
    found["questions"] = [_question(question) for question in table.questions]
    # What was proposed to a question is not taken as answered.
    for question in table.questions:
        for key in question.settings:
            found["run"]["data"].pop(key, None)
    return found


def _question(question: Question) -> dict[str, Any]:
    """Return a question with the answers that a run file can give to it."""
    answers = [question.settings, *_others(question.settings)]
    return {
        "column": question.column,
        "what": by_language(question.what),
        "seen": by_language(question.seen),
        "means": by_language(question.means),
        "answers": answers,
    }


def _others(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return other answers than the proposed one, of the same kind."""
    (key, value), *__ = settings.items()
    if key == "decimal":
        return [{key: "." if value == "," else ","}]
    if key == "header":
        return [{key: not value}]
    if key == "task":
        other = "regression" if value == "classification" else "classification"
        return [{key: other}]
    if key == "dtype":
        (name, kind), *__ = value.items()
        known = ("dmy", "mdy") if kind in ("dmy", "mdy") else ("number",)
        others = [k for k in (*known, "category", "id") if k != kind]
        return [{key: {name: other}} for other in others]
    return []


def diagnosed(message: Mapping[str, Any]) -> Answer:
    """Tell what the doctor finds in a run, and the run with each of its fixes."""
    if message["run"] is None:
        raise ArgumentError(
            _("The doctor examines a recipe on the command line."),
            fix=_("chainrule doctor RECIPE"),
        )
    own = Own.of(message.get("own"))
    origin = origin_said(message["run"], Path(message["folder"]), own)
    loaded = origin.parts()
    trainer = origin.trainer(loaded)
    parts = loaded.for_loss(trainer.loss)
    plan = origin.fit_options(parts.train)
    diagnosis: Diagnosis = diagnose(
        trainer,
        parts.train,
        validation=parts.validation,
        epochs=plan["epochs"],
        batch_size=plan["batch_size"],
    )
    said = None  # of a file with layers of its own, that is changed
    if isinstance(origin, RunFile) and diagnosis.case is not None:
        said = InFile(origin, loaded, diagnosis.case)
    return "diagnosed", {
        "healthy": diagnosis.healthy,
        "findings": [_finding(said, f) for f in diagnosis.findings],
        "spent": diagnosis.spent,
    }


def _finding(said: InFile | None, finding: Finding) -> dict[str, Any]:
    change = finding.change
    text = None
    if change is not None and said is not None:
        draft, __, untold = said.draft([change])
        text = None if untold else draft.text
    compared = finding.comparison
    return {
        "code": finding.code,
        "severity": finding.severity,
        "where": by_language(finding.where),
        "cause": by_language(finding.cause),
        "advice": by_language(finding.advice),
        "what": None if change is None else by_language(change.what),
        "diff": None if change is None else change.diff,
        "confidence": finding.confidence,
        "reference": by_language(finding.reference),
        "consequence_of": finding.consequence_of,
        "gain": None if compared is None else compared.gain,
        "metric": None if compared is None else _metric(compared.metric),
        "run": None if text is None else tomllib.loads(text),
    }


def _metric(key: str) -> dict[str, str]:
    """Return the name of a score, as people read it, by language."""
    return by_language(labels.METRICS[key])


ERRANDS: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
    "examine": examined,
    "doctor": diagnosed,
}
