"""Inspection of a table's columns, before it is read as a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from chainrule.data.tables.columns import Classes
from chainrule.data.tables.file import source_of
from chainrule.data.tables.inference import Question, SchemaInference
from chainrule.data.tables.options import Options
from chainrule.data.tables.profile import Profile
from chainrule.data.tables.table_reader import TableReader, left_out_notes, listed
from chainrule.errors import DataError
from chainrule.text import _, ngettext

#: Names of columns that are proposed as the target wherever they stand.
TARGETS = ("target", "label", "class", "y")
#: Whole numbers of at most so many kinds are proposed as classes.
CODES = 10
#: Cells of a column that are shown.
EXAMPLES = 5


@dataclass(frozen=True)
class ExaminedColumn:
    """The result of inspecting one column of a table: its type, counts and so on.

    Attributes:
        name: the name of the column.
        kind: ``"number"``, ``"category"`` or ``"date"``.
        missing: the number of missing cells.
        distinct: the number of distinct cells, as far as they were counted.
        examples: some of them.
        reason: the reason why the column is left out, or None.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    examples: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Examined:
    """The result of inspecting a table: its columns, target, task and remarks.

    Attributes:
        columns: the result for each column.
        rows: the number of rows.
        target: the column to predict: the one that was asked for, or a proposal.
        task: ``"classification"`` or ``"regression"``.
        classes: the number of rows of each class; empty for a regression.
        features: the number of features of a row of x.
        settings: arguments of ``read_csv`` that differ from its defaults, with the
            proposed answers to the questions.
        notes: remarks, one sentence each.
        questions: what the cells do not tell, with proposed answers.
    """

    columns: tuple[ExaminedColumn, ...]
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
    """Inspect all rows of a CSV file or data frame: types, target and task.

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
    declared = Options.of(target=target, **options)
    answers: dict[str, Any] = {}
    questions: list[Question] = []
    for __ in range(20):  # an answer may lead to another question
        source = source_of(table, delimiter, encoding, answers.get("header", header))
        inference = SchemaInference.of(source, _with_answers(declared, answers))
        result = _examined(inference, answers)
        questions += inference.questions
        if not inference.questions:
            _require_rows(inference, result)
            return replace(result, questions=tuple(questions))
        for question in inference.questions:
            for key, value in question.settings.items():
                known = answers.get(key)
                if isinstance(known, dict):
                    value = {**known, **value}
                answers[key] = [*known, *value] if isinstance(known, list) else value
    raise AssertionError(_("questions without an end"))


def _with_answers(declared: Options, answers: dict[str, Any]) -> Options:
    """Return a table's reading options together with answers to its questions."""
    settings = {key: value for key, value in answers.items() if key != "header"}
    if "dtype" in settings:
        settings["dtype"] = {**(declared.dtype or {}), **settings["dtype"]}
    if "missing_values" in settings:
        further = tuple(settings["missing_values"])
        settings["missing_values"] = (*declared.missing_values, *further)
    return replace(declared, **settings)


def _require_rows(inference: SchemaInference, result: Examined) -> None:
    """Check that a table has a usable row in spite of missing cells."""
    options = inference.options
    needed = options.target if options.missing == "fill" else inference.profiles
    missing = [c.missing for c in result.columns if c.name in needed and not c.reason]
    if sum(missing) >= inference.rows:
        TableReader(inference.source, inference.schema(), inference).require_rows()


def _proposed(inference: SchemaInference) -> str:
    """Propose a table's target column: by its name, or the last usable one."""
    source = inference.source
    names = [name for name in source.columns if name.lower() in TARGETS]
    if len(names) == 1:
        return names[0]
    for name in reversed(source.columns):
        profile = inference.profiles[name]
        kind = inference.kind(profile)
        if inference.reason(profile) is None and kind != "date":
            varies = kind == "number" or len(profile.counts) > 1
            if varies and profile.empty < profile.rows:
                return name
    raise DataError(
        _("'{name}' has no column that could be predicted.", name=source.name),
        expected=_(
            "a column of numbers, or of some texts that come up again and again"
        ),
        got=", ".join(source.columns)[:200],
        fix=_("look at the file; name the target: target='…'"),
    )


def _examined(inference: SchemaInference, answers: dict[str, Any]) -> Examined:
    """Infer a table's schema, with a proposed target and task if not declared."""
    options = inference.options
    if not options.target:
        options = replace(options, target=(_proposed(inference),))
    first = inference.profiles[options.target[0]]
    is_number = inference.kind(first) == "number"
    if len(options.target) == 1 and options.task is None and is_number:
        options = replace(options, task="classification" if _codes(first) else None)
    inference.options = options
    targets = inference.targets()
    task, classes, settings = options.task or "regression", {}, dict(answers)
    if isinstance(targets[0], Classes):
        task = "classification"
        classes = {name: first.counts.get(name, 0) for name in targets[0].classes}
        if is_number and options.classes is None:
            settings["task"] = task
    features = inference.features(options.target)
    columns = tuple(
        _column(inference, profile, inference.left_out.get(name))
        for name, profile in inference.profiles.items()
    )
    return Examined(
        columns,
        inference.rows,
        options.target[0] if len(options.target) == 1 else options.target,
        task,
        classes,
        sum(len(column.names()) for column in features),
        settings,
        _notes(columns, inference),
        (),
    )


def _notes(
    columns: tuple[ExaminedColumn, ...], inference: SchemaInference
) -> list[str]:
    """Return remarks on an inspected table, its columns and its missing cells."""
    missing = {c.name: c.missing for c in columns if c.missing and not c.reason}
    notes = [*inference.notes, *left_out_notes(inference.left_out)]
    notes += [
        ngettext(
            "{n:,} row has no '{name}' and is left out",
            "{n:,} rows have no '{name}' and are left out",
            n=missing.pop(name),
            name=name,
        )
        for name in inference.options.target
        if name in missing
    ]
    if missing:
        note = ngettext(
            "{n:,} cell is empty in {rows}: {gone}",
            "{n:,} cells are empty in {rows}: {gone}",
            n=sum(missing.values()),
            rows=ngettext("{n:,} row", "{n:,} rows", n=inference.rows),
            gone=listed(missing),
        )
        notes.append(note)
    return notes


def _codes(profile: Profile) -> bool:
    """Return whether a column's numbers look like class codes: few, often repeated."""
    kinds = profile.counts
    few = 1 < len(kinds) <= CODES and profile.rows >= 5 * len(kinds)
    return few and not profile.full and all(text.isdigit() for text in kinds)


def _column(
    inference: SchemaInference, profile: Profile, reason: str | None
) -> ExaminedColumn:
    kind, missing = inference.kind(profile), profile.empty
    if kind == "number":  # texts in it are missing values
        missing = profile.rows - profile.numbers[profile.decimal()].count
    elif kind == "date":
        missing = profile.no_number
    examples = tuple(list(profile.counts)[:EXAMPLES])
    return ExaminedColumn(
        profile.name, kind, missing, len(profile.counts), examples, reason
    )
