"""Inspection of a table's columns before a data set is made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from chainrule.data.tables.columns import Classes
from chainrule.data.tables.file import source_of
from chainrule.data.tables.options import Options
from chainrule.data.tables.profile import Profile
from chainrule.data.tables.reading import Reading, listed, told
from chainrule.data.tables.study import Question, Study
from chainrule.errors import DataError
from chainrule.text import _

#: Names of columns that are targets wherever they stand.
TARGETS = ("target", "label", "class", "y")
#: Whole numbers of up to so many kinds are taken for codes of classes.
CODES = 10
#: Cells of a column that are shown.
EXAMPLES = 5


@dataclass(frozen=True)
class ColumnSeen:
    """The result of the inspection of one column.

    Attributes:
        name: of it.
        kind: ``"number"``, ``"category"`` or ``"date"``.
        missing: how many cells are.
        distinct: how many different ones there are, as far as they were counted.
        examples: some of them.
        reason: why it is left out, or None.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    examples: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Examined:
    """The result of the inspection of a table.

    Attributes:
        columns: what each of its columns is.
        rows: how many there are.
        target: the column to predict: the one that was asked for, or a proposal.
        task: ``"classification"`` or ``"regression"``.
        classes: how many rows each class has; empty for a regression.
        features: how many numbers a row of x will have.
        settings: arguments of ``read_csv`` that differ from its defaults, with the
            proposed answers to the questions.
        notes: what was seen, one sentence each.
        questions: what the cells do not tell, with proposed answers.
    """

    columns: tuple[ColumnSeen, ...]
    rows: int
    target: str | tuple[str, ...]
    task: str
    classes: dict[str, int]
    features: int
    settings: dict[str, Any]
    notes: list[str]
    questions: tuple[Question, ...]


def examine(
    table: Any,
    *,
    target: Any = None,
    delimiter: Any = None,
    encoding: Any = None,
    header: Any = True,
    **options: Any,
) -> Examined:
    """Inspect all rows of a file or a data frame.

    Args:
        table: the path of a file, or a data frame.
        target: the column to predict; None: one that is called target, label, class or
            y, else the last one that can be predicted.
        delimiter: see :func:`chainrule.data.read_csv`, as the others.
        encoding: likewise.
        header: likewise.
        **options: the other arguments of ``read_csv``.

    Raises:
        DataError: no table, or none to learn from.

    Example:
        >>> from pathlib import Path
        >>> lines = "".join(f"{i},{i % 7},{'ab'[i % 2]}\\n" for i in range(20))
        >>> _ = Path("t.csv").write_text(",size,kind\\n" + lines)
        >>> found = examine("t.csv")
        >>> found.target, found.task, [c.kind for c in found.columns]
        ('kind', 'classification', ['number', 'number', 'category'])
    """
    given = Options.given(target=target, **options)
    answers: dict[str, Any] = {}
    questions: list[Question] = []
    for __ in range(20):  # an answer may lead to another question
        chosen = _answered(given, answers)
        has_header = answers.get("header", header)
        source = source_of(table, delimiter, encoding, has_header)
        study = Study.of(source, chosen)
        if not given.target:
            chosen = replace(chosen, target=(_proposed(study),))
        study.options = chosen
        made, new = _examined(study, answers)
        questions += new
        if not new:
            _require_rows(study, made)
            return replace(made, questions=tuple(questions))
        for question in new:
            for key, value in question.settings.items():
                known = answers.get(key)
                if isinstance(known, dict):
                    value = {**known, **value}
                answers[key] = [*known, *value] if isinstance(known, list) else value
    raise AssertionError(_("questions without an end"))


def _require_rows(study: Study, made: Examined) -> None:
    """Check that missing cells leave at least one usable row."""
    needed = study.options.target if study.options.missing == "fill" else study.profiles
    missing = [c.missing for c in made.columns if c.name in needed and not c.reason]
    if sum(missing) >= study.rows:
        Reading(study.source, study.layout(), study).require_rows()


def _answered(given: Options, answers: dict[str, Any]) -> Options:
    settings = {key: value for key, value in answers.items() if key != "header"}
    if "dtype" in settings:
        settings["dtype"] = {**(given.dtype or {}), **settings["dtype"]}
    if "missing_values" in settings:
        further = tuple(settings["missing_values"])
        settings["missing_values"] = (*given.missing_values, *further)
    return replace(given, **settings)


def _proposed(study: Study) -> str:
    """Propose the column to predict."""
    names = [name for name in study.source.columns if name.lower() in TARGETS]
    if len(names) == 1:
        return names[0]
    for name in reversed(study.source.columns):
        profile = study.profiles[name]
        if study.reason(profile) is None and study.kind(profile) != "date":
            few = study.kind(profile) == "number" or len(profile.counts) > 1
            if few and profile.empty < profile.rows:
                return name
    raise DataError(
        _("'{name}' has no column that could be predicted.", name=study.source.name),
        expected=_(
            "a column of numbers, or of some texts that come up again and again"
        ),
        got=", ".join(study.source.columns)[:200],
        fix=_("look at the file; name the target: target='…'"),
    )


def _examined(study: Study, answers: dict[str, Any]) -> tuple[Examined, list[Question]]:
    """Return the inspection's result, and the questions to ask first."""
    options = study.options
    task, classes = options.task, {}
    if len(options.target) == 1:
        profile = study.profiles[options.target[0]]
        if task is None and study.kind(profile) == "number" and _codes(profile):
            task = "classification"
            study.options = options = replace(options, task=task)
    targets = study.targets()
    if isinstance(targets[0], Classes):
        task = "classification"
        counts = study.profiles[targets[0].name].counts
        classes = {name: counts.get(name, 0) for name in targets[0].classes}
    features = study.features(options.target)
    settings = dict(answers)
    if task == "classification" and isinstance(targets[0], Classes):
        number = study.kind(study.profiles[targets[0].name]) == "number"
        if number and options.classes is None:
            settings["task"] = task
    columns = tuple(
        _seen(study, profile, study.left_out.get(name))
        for name, profile in study.profiles.items()
    )
    notes = [*study.notes, *told(study.left_out)]
    gone = {c.name: c.missing for c in columns if c.missing and not c.reason}
    notes += [
        _(
            "{pop_name:,} rows have no '{name}' and are left out",
            pop_name=gone.pop(name),
            name=name,
        )
        for name in options.target
        if name in gone
    ]
    if gone:
        notes.append(
            _(
                "{values:,} cells are empty in {rows:,} rows: {gone}",
                values=sum(gone.values()),
                rows=study.rows,
                gone=listed(gone),
            )
        )
    one = options.target[0] if len(options.target) == 1 else options.target
    made = Examined(
        columns,
        study.rows,
        one,
        task or "regression",
        classes,
        sum(len(column.names()) for column in features),
        settings,
        notes,
        (),
    )
    return made, study.questions


def _codes(profile: Profile) -> bool:
    """Return whether numbers look like class codes: few integers, often repeated."""
    kinds = profile.counts
    few = 1 < len(kinds) <= CODES and profile.rows >= 5 * len(kinds)
    return few and not profile.full and all(text.isdigit() for text in kinds)


def _seen(study: Study, profile: Profile, reason: str | None) -> ColumnSeen:
    kind, missing = study.kind(profile), profile.empty
    if kind == "number":  # texts in it are missing values
        missing = profile.rows - profile.numbers[profile.decimal()].count
    elif kind == "date":
        missing = profile.no_number
    return ColumnSeen(
        profile.name,
        kind,
        missing,
        len(profile.counts),
        tuple(list(profile.counts)[:EXAMPLES]),
        reason,
    )
